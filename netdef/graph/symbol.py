"""Symbols: one or more outputs of a graph, as MXNet's Symbol API sees it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from numbers import Real
from typing import Any, TypeVar

from netdef.diag import MXNetError, did_you_mean
from netdef.graph.naming import AttrScope, NameManager
from netdef.graph.node import Entry, Node, topological
from netdef.ops import find
from netdef.ops.base import Op
from netdef.ops.fields import BadValue
from netdef.ops.shapes import Shape

S = TypeVar("S", bound="Symbol")


class Symbol:
    """A tuple of heads.  Immutable: every method returns a new symbol over the same nodes."""

    __slots__ = ("heads",)
    #: numpy leaves `number * symbol` to the symbol
    __array_ufunc__ = None

    def __init__(self, heads: Iterable[Entry]) -> None:
        self.heads = tuple(heads)

    # -- what it consists of --

    @property
    def name(self) -> str | None:
        """The head's name; None for a group."""
        return self.heads[0].node.name if len(self.heads) == 1 else None

    def list_arguments(self) -> list[str]:
        """The names of the free variables, in depth-first post-order."""
        return [node.name for node in self.variables()[0]]

    def list_auxiliary_states(self) -> list[str]:
        """The names of the variables that operators keep state in, such as BatchNorm's moving averages."""
        return [node.name for node in self.variables()[1]]

    def list_outputs(self) -> list[str]:
        return [head.name for head in self.heads]

    def variables(self) -> tuple[list[Node], list[Node]]:
        """The free variables and the auxiliary states."""
        order = topological(self.heads)
        states: set[Node] = set()
        for node in order:
            if isinstance(node.op, Op):
                states.update(entry.node for entry in node.inputs[len(node.op.input_names()) :] if entry)
        variables = [node for node in order if node.is_variable]
        return [v for v in variables if v not in states], [v for v in variables if v in states]

    def get_internals(self: S) -> S:
        """A group of every output of every node."""
        nodes = topological(self.heads)
        return type(self)(Entry(node, i) for node in nodes for i in range(node.visible_outputs()))

    def attr(self, key: str) -> str | None:
        """An attribute of the head, or None."""
        return self.heads[0].node.attributes.get(key)

    def __len__(self) -> int:
        return len(self.heads)

    def __iter__(self: S) -> Iterator[S]:
        return (type(self)([head]) for head in self.heads)

    def __getitem__(self: S, key: int | str) -> S:
        """One output, by number or by name; raises `IndexError` or `ValueError`."""
        if isinstance(key, str):
            names = self.list_outputs()
            if names.count(key) != 1:
                what = "several outputs are called" if key in names else "there is no output"
                raise ValueError(f"{what} {key}; {did_you_mean(key, names)}")
            key = names.index(key)
        return type(self)([self.heads[key]])

    def __repr__(self) -> str:
        return f"<Symbol {self.name}>" if self.name else f"<Symbol group [{', '.join(self.list_outputs())}]>"

    # -- composition --

    def __call__(self: S, *positional: Any, name: str | None = None, **replacements: Symbol) -> S:
        """This net with arguments replaced by other symbols.

        With `name` every node of this net is renamed `<name>_<node>`, so that one net can be applied several
        times without its weights colliding; without it the nodes keep their names.  Raises `MXNetError` for
        positional symbols, an unknown or ambiguous argument, or a symbol of several outputs.
        """
        if positional:
            raise MXNetError(f"{self.name}: compose by keyword, such as net(data=other)")
        if all(head.node.is_variable for head in self.heads):
            raise MXNetError(f"{self.name} is a variable; only a net of operators can be composed")
        arguments = self.list_arguments()
        for key, value in replacements.items():
            if key not in arguments:
                raise MXNetError(f"there is no argument {key}; {did_you_mean(key, arguments)}")
            if arguments.count(key) > 1:
                raise MXNetError(
                    f"{arguments.count(key)} arguments are called {key}; rename them before composing"
                )
            single_entry(value, key)
        prefix = f"{name}_" if name else ""
        made: dict[Node, Node] = {}
        for node in topological(self.heads):
            if node.is_variable and node.name in replacements:
                continue
            inputs = tuple(_follow(entry, made, replacements) for entry in node.inputs)
            if prefix or inputs != node.inputs:
                made[node] = Node(
                    node.op, prefix + node.name, inputs, attributes=node.attributes, shape=node.shape
                )
        return type(self)(_follow(head, made, replacements) for head in self.heads)

    # -- arithmetic: an operator with a symbol or with a number on either side --

    def _binary(self: S, other: Any, operator: str, scalar_operator: str) -> S:
        if isinstance(other, Symbol):
            return create(type(self), operator, (self, other))
        if isinstance(other, Real):
            return create(type(self), scalar_operator, (self,), scalar=float(other))
        return NotImplemented

    def __add__(self: S, other: Any) -> S:
        return self._binary(other, "_Plus", "_PlusScalar")

    def __sub__(self: S, other: Any) -> S:
        return self._binary(other, "_Minus", "_MinusScalar")

    def __mul__(self: S, other: Any) -> S:
        return self._binary(other, "_Mul", "_MulScalar")

    def __truediv__(self: S, other: Any) -> S:
        return self._binary(other, "_Div", "_DivScalar")

    def __rsub__(self: S, other: Any) -> S:
        return self._binary(other, "_Minus", "_RMinusScalar")

    def __rtruediv__(self: S, other: Any) -> S:
        return self._binary(other, "_Div", "_RDivScalar")

    def __neg__(self: S) -> S:
        return self._binary(-1.0, "_Mul", "_MulScalar")

    __radd__ = __add__
    __rmul__ = __mul__

    def __bool__(self) -> bool:
        raise TypeError("a Symbol has no truth value: it stands for a computation, not for a number")


def _follow(entry: Entry | None, made: Mapping[Node, Node], replacements: Mapping[str, Symbol]) -> Entry:
    """The entry that takes the place of `entry` in a composed net."""
    assert entry is not None, "only backward nodes lack inputs, and those are never composed"
    if entry.node.is_variable and entry.node.name in replacements:
        return replacements[entry.node.name].heads[0]
    return Entry(made.get(entry.node, entry.node), entry.index)


def single_entry(symbol: Any, role: str) -> Entry:
    """The one output of `symbol`.

    Raises `MXNetError` where there are several, `TypeError` for another thing.
    """
    if not isinstance(symbol, Symbol):
        raise TypeError(f"{role} must be a Symbol, not {type(symbol).__name__}")
    if len(symbol.heads) != 1:
        outputs = ", ".join(symbol.list_outputs())
        raise MXNetError(
            f"{role} must have one output, not {len(symbol.heads)} ({outputs}); pick one with [...]"
        )
    return symbol.heads[0]


def variable(kind: type[S], name: str, attr: dict[str, str] | None = None, shape: Shape = None) -> S:
    """A free variable.  `shape` holds what is known beforehand; `None` stands for an unknown size."""
    if not isinstance(name, str):
        raise TypeError(f"the name of a variable must be a text, not {name!r}")
    return kind([Entry(Node(None, name, attributes=AttrScope.current(attr), shape=shape), 0)])


def create(
    kind: type[S],
    operator: str,
    positional: tuple[Any, ...] = (),
    name: str | None = None,
    attr: dict[str, str] | None = None,
    **values: Any,
) -> S:
    """A symbol of one new operator node.

    Inputs stand by position or by keyword; those that are missing become variables `<name>_<input>`, as do
    the auxiliary states.  Raises `MXNetError` for an unknown attribute, a bad value, or an input that does
    not exist.
    """
    operation = find(operator)
    named = {key: values.pop(key) for key in list(values) if isinstance(values[key], Symbol)}
    if operation.variadic:
        values.setdefault("num_args", len(positional) or len(named))
    try:
        op = operation(**values)
    except BadValue as bad:
        raise MXNetError(f"{operator} {name or ''}: {bad.message} ({bad.hint})") from None
    node_name = NameManager.current().get(name, operator.lower())
    attributes = AttrScope.current(attr)
    roles = op.input_names()
    if len(positional) > len(roles):
        raise MXNetError(f"{node_name} takes {len(roles)} inputs ({', '.join(roles)}), not {len(positional)}")
    given = dict(zip(roles, positional))
    for key, value in named.items():
        if key not in roles and key not in op.state_names():
            raise MXNetError(f"{node_name} has no input {key}; {did_you_mean(key, roles)}")
        if key in given:
            raise MXNetError(f"{node_name}: input {key} is given twice")
        given[key] = value
    inputs = tuple(
        single_entry(given[role], f"{node_name}: input {role}")
        if role in given
        else Entry(Node(None, f"{node_name}_{role}", attributes=attributes), 0)
        for role in (*roles, *op.state_names())
    )
    node = Node(op, node_name, inputs, attributes=attributes)
    return kind(Entry(node, i) for i in range(op.visible_outputs()))


def group(kind: type[S], symbols: Iterable[Symbol]) -> S:
    """The heads of several symbols in one."""
    return kind(head for symbol in symbols for head in symbol.heads)

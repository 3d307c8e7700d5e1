"""Symbols: one or more outputs of a graph, as MXNet's Symbol API sees it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from netdef.diag import MXNetError, did_you_mean
from netdef.graph.attributes import hidden, shown
from netdef.graph.node import Entry, Node, topological
from netdef.ops.base import Op

S = TypeVar("S", bound="Symbol")


class Symbol:
    """A tuple of heads.  Immutable: every method returns a new symbol over the same nodes."""

    __slots__ = ("heads",)

    def __init__(self, heads: Iterable[Entry]) -> None:
        self.heads = tuple(heads)

    # -- what it consists of --

    @property
    def name(self) -> str | None:
        """The head's name; None for a group of several nodes' outputs."""
        nodes = {head.node for head in self.heads}
        return self.heads[0].node.name if len(nodes) == 1 else None

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

    def get_children(self: S) -> S | None:
        """A group of the direct inputs of the heads' nodes; None for a variable."""
        nodes = dict.fromkeys(head.node for head in self.heads)
        inputs = [entry for node in nodes for entry in node.inputs if entry is not None]
        return type(self)(inputs) if inputs else None

    def list_inputs(self) -> list[str]:
        """The names of all variables, states among the arguments, in depth-first post-order."""
        return [node.name for node in topological(self.heads) if node.is_variable]

    def attr(self, key: str) -> str | None:
        """An attribute of the head as a text, `name` for its name; None where it, or a group, has none."""
        if self.name is None:
            return None
        return self.name if key == "name" else attributes_of(self.heads[0].node).get(key)

    def list_attr(self, recursive: bool = False) -> dict[str, str]:
        """The attributes of the head's node, the operator's own among them; of a group's first."""
        if recursive:
            raise MXNetError("list_attr with recursive=True was given up by MXNet; use attr_dict()")
        return attributes_of(self.heads[0].node)

    def attr_dict(self) -> dict[str, dict[str, str]]:
        """The attributes of every node that has some, by the node's name."""
        found = ((node.name, attributes_of(node)) for node in topological(self.heads))
        return {name: attributes for name, attributes in found if attributes}

    def _set_attr(self, **attributes: str) -> None:
        """Set attributes of the head's node, in place; raises `ValueError` for other than texts."""
        self.heads[0].node.attributes.update(hidden(attributes))

    def __len__(self) -> int:
        return len(self.heads)

    def __iter__(self: S) -> Iterator[S]:
        return (type(self)([head]) for head in self.heads)

    def __getitem__(self: S, key: int | str | slice) -> S:
        """Outputs by number, name or slice; raises `IndexError`, `ValueError` or `TypeError`."""
        if isinstance(key, slice):
            return type(self)(self.heads[key])
        if not isinstance(key, (int, str)):
            raise TypeError(f"outputs have numbers and names, not {key!r}")
        if isinstance(key, str):
            names = self.list_outputs()
            if names.count(key) != 1:
                what = "several outputs are called" if key in names else "there is no output"
                raise ValueError(f"{what} {key}; {did_you_mean(key, names)}")
            key = names.index(key)
        return type(self)([self.heads[key]])

    def __repr__(self) -> str:
        if self.name is not None:
            return f"<Symbol {self.name}>"
        return f"<Symbol group [{', '.join(head.node.name for head in self.heads)}]>"

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
        arguments = [*self.list_arguments(), *self.list_auxiliary_states()]
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
                    node.op,
                    prefix + node.name,
                    inputs,
                    attributes=dict(node.attributes),
                    texts=node.texts,
                    shape=node.shape,
                    dtype=node.dtype,
                )
        return type(self)(_follow(head, made, replacements) for head in self.heads)


def _follow(entry: Entry | None, made: Mapping[Node, Node], replacements: Mapping[str, Symbol]) -> Entry:
    """The entry that takes the place of `entry` in a composed net."""
    assert entry is not None, "only backward nodes lack inputs, and those are never composed"
    if entry.node.is_variable and entry.node.name in replacements:
        return replacements[entry.node.name].heads[0]
    return Entry(made.get(entry.node, entry.node), entry.index)


def single_entry(symbol: Any, role: str) -> Entry:
    """The one output of `symbol`.

    Raises `MXNetError` where there are several, and for another thing.
    """
    if not isinstance(symbol, Symbol):
        raise MXNetError(f"{role} must be a Symbol, not {symbol!r}")
    if len(symbol.heads) != 1:
        outputs = ", ".join(symbol.list_outputs())
        raise MXNetError(
            f"{role} must have one output, not {len(symbol.heads)} ({outputs}); pick one with [...]"
        )
    return symbol.heads[0]


def texts_of(node: Node) -> dict[str, str]:
    """The operator's attributes as texts: as they were written, or else those that are set."""
    if node.texts or not isinstance(node.op, Op):
        return node.texts
    return {name: node.op.fields[name].text(getattr(node.op, name)) for name in sorted(node.op.given)}


def attributes_of(node: Node) -> dict[str, str]:
    """All attributes of a node as MXNet lists them."""
    return shown({**texts_of(node), **node.attributes})


def group(kind: type[S], symbols: Iterable[Symbol]) -> S:
    """The heads of several symbols in one; raises `TypeError` for none, and for another thing."""
    listed = [symbols] if isinstance(symbols, Symbol) else list(symbols)
    if not listed or not all(isinstance(symbol, Symbol) for symbol in listed):
        raise TypeError(f"a group is made of a list of symbols, not {symbols!r}")
    return kind(head for symbol in listed for head in symbol.heads)

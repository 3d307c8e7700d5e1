"""New symbols: variables, and operators applied to symbols (MXNet's composition of an operator)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netdef.diag import MXNetError, did_you_mean
from netdef.graph.attributes import PLAIN, declared, hidden, is_private, require_private, text_of
from netdef.graph.naming import AttrScope, NameManager
from netdef.graph.node import Entry, Node
from netdef.graph.symbol import S, Symbol, single_entry
from netdef.ops import find
from netdef.ops.base import Op
from netdef.ops.fields import BadValue


def variable(kind: type[S], name: str, attr: Mapping[str, str] | None = None) -> S:
    """A free variable, of which `__shape__` and `__dtype__` say what is known beforehand."""
    if not isinstance(name, str):
        raise TypeError(f"the name of a variable must be a text, not {name!r}")
    attributes = hidden(AttrScope.current(dict(attr or {})))
    shape, dtype = declared(attributes, name)
    return kind([Entry(Node(None, name, attributes=attributes, shape=shape, dtype=dtype), 0)])


def make_operator(operator: str, texts: Mapping[str, str]) -> Op:
    """The operator with these attributes as texts; raises `MXNetError` that tells what it was given."""
    try:
        op: Op = find(operator)(**texts)
    except BadValue as bad:
        hint = f" ({bad.hint})" if bad.hint else ""
        raise MXNetError(f"{called(operator, texts)}: {bad.message}{hint}") from None
    return op


def called(operator: str, texts: Mapping[str, str]) -> str:
    """An operator as it was called, for messages."""
    return f"{operator}({', '.join(f'{name}={text}' for name, text in texts.items())})"


def state_attributes(op: Op, role: str, attributes: Mapping[str, str]) -> dict[str, str]:
    """The attributes of a variable made for an input or a state: the operator's, and its initializer."""
    made = dict(attributes)
    if role in op.initial:
        made.setdefault("__init__", op.initial[role])
    return made


def sort_arguments(
    operator: str, positional: Sequence[Any], keywords: Mapping[str, Any], kind: type
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a call gives an operator: its tensors of a `kind` by role, and its attributes.

    By position stand the inputs, the auxiliary states, then the attributes, in MXNet's order; only inputs
    where there may be any number of them (their roles are arg0, arg1, ...).  `None` leaves an input
    out, and an attribute for which it is no value.  Raises `MXNetError` for what is given twice or is too
    much.
    """
    operation = find(operator)
    roles = (*operation.inputs, *operation.states)
    if operation.variadic or (operation.listed and not operation.inputs):
        order: Sequence[str] = [f"arg{number}" for number in range(len(positional))]
    else:
        order = operation.positions()
    if len(positional) > len(order):
        raise _too_many(operator, roles, len(positional))
    tensors: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    for key, value in zip(order, positional):
        if key not in operation.fields:
            tensors[key] = value
        elif isinstance(value, kind):
            raise _too_many(operator, roles, len(positional))
        else:
            attributes[key] = value
    for key, value in keywords.items():
        if key in tensors or key in attributes:
            raise MXNetError(f"{operator}: {key} is given twice, by position and by name")
        is_tensor = isinstance(value, kind) or (value is None and key in roles)
        (tensors if is_tensor else attributes)[key] = value
    return (
        {key: value for key, value in tensors.items() if value is not None},
        {k: v for k, v in attributes.items() if v is not None or not _may_be_left_out(operation, k)},
    )


def _too_many(operator: str, roles: Sequence[str], count: int) -> MXNetError:
    listed = ", ".join(roles) or "none"
    return MXNetError(f"{operator} takes {len(roles)} inputs ({listed}), not {count}")


def _may_be_left_out(operation: type[Op], key: str) -> bool:
    """Whether `None` leaves an attribute out, as one for which it is no value."""
    field = operation.fields.get(key)
    if field is None or field.default is None:
        return False
    try:
        field.parse(None)
    except BadValue:
        return True
    return False


def in_roles(operator: str, roles: Sequence[str], tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors that `sort_arguments` numbered, under the names that the operator has for them.

    Raises `MXNetError` for one that it does not have.
    """
    numbered = {f"arg{number}": role for number, role in enumerate(roles)}
    found = {key if key in roles else numbered.get(key, key): value for key, value in tensors.items()}
    if f"arg{len(roles)}" in found:
        raise _too_many(operator, roles, len(tensors))
    for role in found:
        if role not in roles:
            raise MXNetError(f"{operator} has no input {role}; {did_you_mean(role, roles)}")
    return found


def counted_texts(operation: type[Op], attributes: Mapping[str, Any], tensors: int) -> dict[str, str]:
    """Attributes as texts, with the number of inputs where there may be any number of them."""
    texts = {key: text_of(value) for key, value in attributes.items()}
    if "num_args" in operation.fields:
        texts.setdefault("num_args", str(tensors))
    return texts


def create(
    kind: type[S],
    operator: str,
    positional: Sequence[Any] = (),
    name: str | None = None,
    attr: Mapping[str, str] | None = None,
    hint: str = "",
    **values: Any,
) -> S:
    """A symbol of one new operator node.

    Inputs stand by position or by keyword; those that are missing become variables `<name>_<input>`, as do
    the auxiliary states.  `hint` begins an automatic name, which is the operator's in lower case otherwise.
    Raises `MXNetError` for an unknown attribute, a bad value, or an input that does not exist.
    """
    own = {key: text_of(values.pop(key)) for key in list(values) if key in PLAIN or is_private(key)}
    given, attributes = sort_arguments(operator, positional, values, Symbol)
    operation = find(operator)
    texts = counted_texts(operation, attributes, len(given))
    try:
        scope = hidden({**AttrScope.current(dict(attr or {})), **own})
    except ValueError as error:
        raise MXNetError(f"{called(operator, texts)}: {error}") from None
    if operation.open:
        texts = {**{key: scope.pop(key) for key in list(scope) if not is_private(key)}, **texts}
    op = make_operator(operator, texts)
    node_name = NameManager.current().get(name, hint or operator.lower())
    require_private(scope, f"{called(operator, texts)} {node_name}")
    roles = [op.called(role) for role in (*op.input_names(), *op.state_names())]
    given = in_roles(operator, roles, given)
    inherited = {**texts, **scope}
    inputs = []
    for role in roles:
        if role in given:
            entry = single_entry(given[role], f"{node_name}: input {role}")
            if entry.node.is_variable and role in op.initial:
                entry.node.attributes.setdefault("__init__", op.initial[role])
        else:
            made = state_attributes(op, role, inherited)
            entry = Entry(Node(None, f"{node_name}_{role}", attributes=made), 0)
        inputs.append(entry)
    node = Node(op, node_name, tuple(inputs), attributes=scope, texts=texts)
    return kind(Entry(node, i) for i in range(op.visible_outputs()))

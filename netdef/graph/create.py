"""New symbols: variables, and operators applied to symbols (MXNet's composition of an operator)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netdef.diag import MXNetError, did_you_mean
from netdef.graph.attributes import PLAIN, hidden, is_private, require_private, text_of
from netdef.graph.naming import AttrScope, NameManager
from netdef.graph.node import Entry, Node
from netdef.graph.symbol import S, Symbol, single_entry
from netdef.ops import find
from netdef.ops.base import Op
from netdef.ops.fields import BadValue
from netdef.ops.shapes import Shape


def variable(
    kind: type[S],
    name: str,
    attr: Mapping[str, str] | None = None,
    shape: Shape = None,
    dtype: str | None = None,
) -> S:
    """A free variable.

    `shape` holds what is known beforehand, `None` standing for an unknown size; `dtype` likewise.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of a variable must be a text, not {name!r}")
    attributes = hidden(AttrScope.current(dict(attr or {})))
    return kind([Entry(Node(None, name, attributes=attributes, shape=shape, dtype=dtype), 0)])


def make_operator(operator: str, texts: Mapping[str, str]) -> Op:
    """The operator with these attributes as texts; raises `MXNetError` that tells what it was given."""
    try:
        op: Op = find(operator)(**texts)
    except BadValue as bad:
        given = ", ".join(f"{name}={text}" for name, text in texts.items())
        hint = f" ({bad.hint})" if bad.hint else ""
        raise MXNetError(f"{operator}({given}): {bad.message}{hint}") from None
    return op


def state_attributes(op: Op, role: str, attributes: Mapping[str, str]) -> dict[str, str]:
    """The attributes of a variable made for an input or a state: the operator's, and its initializer."""
    made = dict(attributes)
    if role in op.initial:
        made.setdefault("__init__", op.initial[role])
    return made


def create(
    kind: type[S],
    operator: str,
    positional: Sequence[Any] = (),
    name: str | None = None,
    attr: Mapping[str, str] | None = None,
    **values: Any,
) -> S:
    """A symbol of one new operator node.

    Inputs stand by position or by keyword; those that are missing become variables `<name>_<input>`, as do
    the auxiliary states.  Raises `MXNetError` for an unknown attribute, a bad value, or an input that does
    not exist.
    """
    operation = find(operator)
    positional = list(positional)
    while positional and positional[-1] is None:
        positional.pop()
    named = {key: values.pop(key) for key in list(values) if isinstance(values[key], Symbol)}
    own = {key: text_of(values.pop(key)) for key in list(values) if key in PLAIN or is_private(key)}
    texts = {
        key: text_of(value)
        for key, value in values.items()
        if value is not None or not _may_be_left_out(operation, key)
    }
    if operation.variadic:
        texts.setdefault("num_args", str(len(positional) or len(named)))
    op = make_operator(operator, texts)
    try:
        attributes = hidden({**AttrScope.current(dict(attr or {})), **own})
    except ValueError as error:
        raise MXNetError(f"{operator}: {error}") from None
    node_name = NameManager.current().get(name, operator.lower())
    require_private(attributes, f"{operator} {node_name}")
    roles = (*op.input_names(), *op.state_names())
    given = _inputs(node_name, roles, positional, named)
    inherited = {**texts, **attributes}
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
    node = Node(op, node_name, tuple(inputs), attributes=attributes, texts=texts)
    return kind(Entry(node, i) for i in range(op.visible_outputs()))


def _may_be_left_out(operation: type[Op], key: str) -> bool:
    """Whether `None` leaves it out: an input, or an attribute for which it is no value."""
    if key in operation.fields:
        return operation.fields[key].default is not None
    return key in (*operation.inputs, *operation.states)


def _inputs(
    node: str, roles: Sequence[str], positional: Sequence[Any], named: Mapping[str, Symbol]
) -> dict[str, Any]:
    """The given inputs by role."""
    if len(positional) > len(roles):
        listed = ", ".join(roles) or "none"
        raise MXNetError(f"{node} takes {len(roles)} inputs ({listed}), not {len(positional)}")
    given = {role: value for role, value in zip(roles, positional) if value is not None}
    for key, value in named.items():
        if key not in roles:
            raise MXNetError(f"{node} has no input {key}; {did_you_mean(key, roles)}")
        if key in given:
            raise MXNetError(f"{node}: input {key} is given twice")
        given[key] = value
    return given

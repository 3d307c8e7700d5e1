"""MXNet's symbol JSON, read in the layouts of 0.7 to 1.9 and written in that of 1.9.

A node is `{"op", "name", "attrs", "inputs": [[node, output, version], ...]}`; 0.7 calls the operator's own
attributes `param` and the user's `attr`, 0.9 to 0.11 call both `attr`.  Nodes stand in depth-first order,
inputs first.  A file without a version number counts as 0.8, as in MXNet: auxiliary states, which those files
leave out, are added.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from netdef.diag import MXNetError
from netdef.graph.attributes import PLAIN, declared, is_private, require_private
from netdef.graph.create import called, make_operator, state_attributes
from netdef.graph.node import Entry, Node, topological
from netdef.graph.symbol import Symbol, texts_of
from netdef.ops import OPERATORS, find
from netdef.ops.backward import Backward
from netdef.ops.base import Op

#: the version whose layout is written: major * 10000 + minor * 100 + patch
VERSION = 10901
#: the first version whose files hold auxiliary states, and the first where argmax of axis -1 means the last
WITH_STATES, WITH_LAST_AXIS = 903, 905


def write_symbol(symbol: Symbol) -> str:
    """The JSON text of a symbol."""
    order = topological(symbol.heads)
    gradient = next((node for node in order if isinstance(node.op, Backward)), None)
    if gradient is not None:
        raise MXNetError(f"{gradient.name} computes a gradient; such graphs cannot be saved, only made anew")
    numbers = {node: number for number, node in enumerate(order)}
    changed: dict[Node, int] = {}

    def reference(entry: Entry | None, is_state: bool) -> list[int]:
        assert entry is not None, "only backward nodes lack inputs, and those are never written"
        if is_state:
            changed[entry.node] = changed.get(entry.node, 0) + 1
        return [numbers[entry.node], entry.index, changed.get(entry.node, 0)]

    nodes = []
    rows = [0]
    for node in order:
        attributes = dict(sorted({**texts_of(node), **node.attributes}.items()))
        written: dict[str, Any] = {"op": "null", "name": node.name}
        count, first_state = 1, 0
        if isinstance(node.op, Op):
            written["op"] = node.op.names[0]
            count, first_state = node.op.counted_outputs(), len(node.op.input_names())
        if attributes:
            written["attrs"] = attributes
        written["inputs"] = [
            reference(entry, number >= first_state) for number, entry in enumerate(node.inputs)
        ]
        nodes.append(written)
        rows.append(rows[-1] + count)
    graph = {
        "nodes": nodes,
        "arg_nodes": [number for number, node in enumerate(order) if node.is_variable],
        "node_row_ptr": rows,
        "heads": [reference(head, False) for head in symbol.heads],
        "attrs": {"mxnet_version": ["int", VERSION]},
    }
    return json.dumps(graph, indent=2)


def read_symbol(text: str, where: str = "the JSON text") -> list[Entry]:
    """The heads of a symbol in JSON; raises `MXNetError` that says what is wrong and in which node."""
    try:
        graph = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MXNetError(f"{where} is no json: {error}") from None
    nodes, heads = _member(graph, "nodes", where), _member(graph, "heads", where)
    version = _version(graph)
    made: list[Node] = []
    for number, written in enumerate(nodes):
        if not isinstance(written, dict) or not isinstance(written.get("name"), str):
            raise MXNetError(f"{where}: node {number} has no name")
        told = f"{where}: node {number} ({written['name']})"
        inputs = [_entry(item, made, told) for item in _list(written.get("inputs", []), told, "inputs")]
        made.append(_node(written, inputs, version, told))
    return [_entry(item, made, f"{where}: heads") for item in heads]


def _member(graph: Any, key: str, where: str) -> list[Any]:
    if not isinstance(graph, dict) or key not in graph:
        raise MXNetError(f"{where} is no MXNet symbol: it has no list of {key}")
    return _list(graph[key], where, key)


def _list(value: Any, where: str, key: str) -> list[Any]:
    if not isinstance(value, list):
        raise MXNetError(f"{where}: {key} must be a list, not {value!r}")
    return value


def _version(graph: Mapping[str, Any]) -> int:
    attributes = graph.get("attrs")
    value = attributes.get("mxnet_version") if isinstance(attributes, dict) else None
    if isinstance(value, list) and len(value) == 2 and isinstance(value[1], int):
        return value[1]
    return 800


def _entry(item: Any, made: Sequence[Node], where: str) -> Entry:
    """The entry that `[node, output]` or `[node, output, version]` names; a node stands after its inputs."""
    parts = item if isinstance(item, list) else []
    if len(parts) not in (2, 3) or not all(type(part) is int for part in parts):
        raise MXNetError(f"{where}: {item!r} is no reference; it is [node, output, version]")
    number, index = parts[:2]
    if not 0 <= number < len(made):
        raise MXNetError(f"{where}: {item!r} names a node that does not stand before it")
    if not 0 <= index < made[number].visible_outputs():
        raise MXNetError(f"{where}: {item!r} names output {index}, which {made[number].name} does not have")
    return Entry(made[number], index)


def _texts(written: Mapping[str, Any], where: str) -> dict[str, str]:
    """The attributes of a node from all the names that they have had."""
    found: dict[str, str] = {}
    for key in ("param", "attr", "attrs"):
        part = written.get(key) or {}
        if not isinstance(part, dict) or not all(isinstance(value, str) for value in part.values()):
            raise MXNetError(f"{where}: {key} must be a mapping of texts")
        found.update(part)
    return {f"__{name}__" if name in PLAIN else name: value for name, value in found.items()}


def _node(written: Mapping[str, Any], inputs: list[Entry], version: int, where: str) -> Node:
    name, texts, operator = written["name"], _texts(written, where), written.get("op")
    if operator == "null":
        if inputs:
            raise MXNetError(f"{where}: a variable has no inputs")
        return _variable(name, texts, where)
    if not isinstance(operator, str) or operator not in OPERATORS:
        raise MXNetError(f"{where}: Operator {operator} is not registered; {_nearest(operator)}")
    operation = find(operator)
    if "num_args" in operation.fields:
        texts.setdefault("num_args", str(len(inputs)))
    if version < WITH_LAST_AXIS and operator in ("argmax", "argmin") and texts.get("axis") == "-1":
        del texts["axis"]
    own = {
        key: texts.pop(key)
        for key in list(texts)
        if key not in operation.fields and (is_private(key) or not operation.open)
    }
    for_inputs = {key: own.pop(key) for key in list(own) if _is_for_input(key, operation)}
    require_private(own, f"{where}: {called(operator, texts)}")
    try:
        op = make_operator(operator, texts)
    except MXNetError as error:
        raise MXNetError(f"{where}: {error}") from None
    roles, states = ([op.called(name) for name in names] for names in (op.input_names(), op.state_names()))
    if len(inputs) == len(roles) and states and version < WITH_STATES:
        for role in states:
            made = Node(None, f"{name}_{role}", attributes=state_attributes(op, role, {}))
            inputs.append(Entry(made, 0))
    if len(inputs) != len(roles) + len(states):
        listed = ", ".join((*roles, *states))
        raise MXNetError(f"{where}: {operator} has {len(inputs)} inputs, but needs {listed}")
    for key, value in for_inputs.items():
        plain = next(name for name in PLAIN if key.endswith(f"_{name}"))
        role = key.removesuffix(f"_{plain}")
        if role in roles:  # old files also say bias_lr_mult where there is no bias
            inputs[roles.index(role)].node.attributes[f"__{plain}__"] = value
    return Node(op, name, tuple(inputs), attributes=own, texts=texts)


def _is_for_input(key: str, operation: type[Op]) -> bool:
    """Whether an attribute is the old form `weight_lr_mult` of one that belongs to an input's variable."""
    return any(key == f"{role}_{plain}" for role in operation.inputs for plain in PLAIN)


def _nearest(operator: Any) -> str:
    try:
        find(str(operator))
    except MXNetError as error:
        return str(error)
    return ""


def _variable(name: str, texts: dict[str, str], where: str) -> Node:
    shape, dtype = declared(texts, where)
    return Node(None, name, attributes=texts, shape=shape, dtype=dtype)

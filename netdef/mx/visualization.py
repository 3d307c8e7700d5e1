"""A net as a table and as a drawing: MXNet's `viz`."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from netdef.graph.node import Entry, Node, topological
from netdef.graph.symbol import texts_of
from netdef.mx.symbol import Symbol
from netdef.ops.base import Op

Dims = tuple[int, ...]

_TITLES = ("Layer (type)", "Output Shape", "Param #", "Previous Layer")

#: the fill colours of operators, and that of all others
_COLOURS = {
    "Convolution": "#fb8072",
    "FullyConnected": "#fb8072",
    "BatchNorm": "#bebada",
    "Activation": "#ffffb3",
    "LeakyReLU": "#ffffb3",
    "Pooling": "#80b1d3",
    "Concat": "#fdb462",
    "Flatten": "#fdb462",
    "Reshape": "#fdb462",
}
_OTHER_COLOUR, _VARIABLE_COLOUR = "#fccde5", "#8dd3c7"
_WEIGHTS = (
    "_weight",
    "_bias",
    "_beta",
    "_gamma",
    "_moving_var",
    "_moving_mean",
    "_running_var",
    "_running_mean",
)


def print_summary(
    symbol: Symbol,
    shape: Mapping[str, Dims] | None = None,
    line_length: int = 120,
    positions: Sequence[float] = (0.44, 0.64, 0.74, 1.0),
) -> None:
    """Print a table of a net's layers: name and operator, shape of the output without the batch, number of
    parameters, and the layers before it.

    `shape` holds the shapes of the inputs by name; without it shapes and numbers that do not follow from the
    net alone are missing (blank, and ?).  `line_length` is the width of a line in characters, `positions` the
    four places where the columns end, in characters or, where the last is at most 1, in line lengths.

    Parameters are all arguments of a layer but those named in `shape`, labels, and those whose name ends in
    data or label; auxiliary states do not count.  One that several layers share is counted in the first.
    Raises `TypeError` for a wrong argument, `ValueError` for other than four growing positions and where
    shapes do not follow from `shape`, and `MXNetError` where they contradict each other.
    """
    _require_symbol(symbol)
    table = _Table(line_length, positions)
    shapes = _shapes(symbol, shape)
    nodes = topological(symbol.heads)
    inputs = _inputs(nodes, shape)
    rows = {node for node in nodes if node.op is not None or node in inputs.data}
    uncounted = set(symbol.variables()[0]) - inputs.data - inputs.labels
    counts = []
    print("_" * line_length)
    table.print(_TITLES)
    print("=" * line_length)
    for number, node in enumerate(node for node in nodes if node in rows):
        if number:
            print("_" * line_length)
        sources = [entry.node for entry in node.inputs if entry is not None]
        parameters = {source for source in sources if source in uncounted}
        uncounted -= parameters
        counts.append(_sum(_size(shapes[Entry(parameter, 0)]) for parameter in parameters))
        outputs = [shapes[Entry(node, i)] for i in range(node.visible_outputs())]
        before = [source.name for source in sources if source in rows]
        kind = _operator(node).names[0] if node.op is not None else "null"
        told = ", ".join(_text(output) for output in outputs if output)
        table.print((f"{node.name}({kind})", told, _told(counts[-1]), *before[:1]))
        for name in before[1:]:
            table.print(("", "", "", name))
    print("=" * line_length)
    print(f"Total params: {_told(_sum(counts))}")
    print("_" * line_length)


class _Table:
    """Prints fields so that each ends at its position."""

    def __init__(self, line_length: int, positions: Sequence[float]) -> None:
        ends = list(positions)
        if len(ends) != len(_TITLES) or ends != sorted(ends) or ends[0] <= 0:
            raise ValueError(f"positions must be {len(_TITLES)} growing numbers, not {positions!r}")
        self.ends = [int(line_length * end) for end in ends] if ends[-1] <= 1 else [int(end) for end in ends]

    def print(self, fields: Iterable[str]) -> None:
        line = ""
        for field, end in zip((*fields, "", "", "", ""), self.ends):
            line = (line + field)[:end].ljust(end)
        print(line)


class _Inputs(NamedTuple):
    """The variables that a user feeds."""

    data: set[Node]
    labels: set[Node]


def _inputs(nodes: list[Node], shape: Mapping[str, Dims] | None) -> _Inputs:
    variables = [node for node in nodes if node.is_variable]
    slots: dict[Node, set[str]] = {variable: set() for variable in variables}
    for node in nodes:
        for name, entry in zip(node.read_names(), node.inputs):
            if entry is not None and entry.node in slots:
                slots[entry.node].add(name)
    labels = {v for v in variables if v.name.endswith("label") or slots[v] == {"label"}}
    given = set(shape or ())
    data = {v for v in variables if v.name in given or v.name.endswith("data")}
    if shape is None:
        data.update(variables[:1])  # without shapes, MXNet's guess: the first variable is the input
    return _Inputs(data - labels, labels)


def _shapes(symbol: Symbol, shape: Mapping[str, Dims] | None) -> dict[Entry, Dims | None]:
    """The shape of every output of every node, None where it is not known; all are where `shape` is given."""
    if shape is not None and not isinstance(shape, Mapping):
        raise TypeError(f"shape must be a dict of shapes by name, not {shape!r}")
    internals = symbol.get_internals()
    _, found, _ = internals.infer_shape_partial(**(shape or {}))
    shapes = {
        head: known if known and 0 not in known else None for head, known in zip(internals.heads, found)
    }
    unknown = [head.name for head, known in shapes.items() if known is None]
    if shape is not None and unknown:
        raise ValueError(f"shape says too little: the shape of {unknown[0]} does not follow from it")
    return shapes


def _require_symbol(symbol: Any) -> None:
    if not isinstance(symbol, Symbol):
        raise TypeError(f"symbol must be a Symbol, not {symbol!r}")


def _operator(node: Node) -> Op:
    assert isinstance(node.op, Op), "symbols hold no backward nodes"
    return node.op


def _text(shape: Dims | None) -> str:
    """A shape without its first axis."""
    return "x".join(map(str, shape[1:])) if shape else ""


def _size(shape: Dims | None) -> int | None:
    return None if shape is None else math.prod(shape)


def _sum(counts: Iterable[int | None]) -> int | None:
    """The sum; None where one is not known."""
    listed = list(counts)
    known = [count for count in listed if count is not None]
    return sum(known) if len(known) == len(listed) else None


def _told(count: int | None) -> str:
    return "?" if count is None else str(count)


def plot_network(
    symbol: Symbol,
    title: str = "plot",
    save_format: str = "pdf",
    shape: Mapping[str, Dims] | None = None,
    dtype: Mapping[str, Any] | None = None,
    node_attrs: Mapping[str, str] | None = None,
    hide_weights: bool = True,
) -> Any:
    """A drawing of a net: a `graphviz.Digraph`, with `source`, `render()`, `view()`.

    Each operator is a box whose colour and text tell its kind, each variable an oval; an edge is labelled
    with the shape that flows along it, without the batch, where `shape` holds the shapes of the inputs, and
    with the type where `dtype` holds their types.  With `hide_weights` variables named `*_weight`, `*_bias`
    and so on are left out.  `node_attrs` are further graphviz attributes of all nodes; `title` and
    `save_format` name the file that `render` writes, and its format.

    Raises `ImportError` where the package graphviz is missing, `TypeError` for a wrong argument, `ValueError`
    for an unknown format and where shapes or types do not follow from those given, and `MXNetError` where
    they contradict each other.
    """
    _require_symbol(symbol)
    if node_attrs is not None and not isinstance(node_attrs, Mapping):
        raise TypeError(f"node_attrs must be a dict of graphviz attributes, not {node_attrs!r}")
    shapes = {} if shape is None else _shapes(symbol, shape)
    types = {} if dtype is None else _types(symbol, dtype)
    drawing = _graphviz().Digraph(name=title, format=save_format)
    common = {"shape": "box", "fixedsize": "true", "width": "1.3", "height": "0.8034", "style": "filled"}
    common.update(node_attrs or {})
    nodes = topological(symbol.heads)
    hidden = {node for node in nodes if hide_weights and node.is_variable and node.name.endswith(_WEIGHTS)}
    drawn = [node for node in nodes if node not in hidden]
    for node in drawn:
        form = {"shape": "oval"} if node.is_variable and "shape" not in (node_attrs or {}) else {}
        drawing.node(
            name=_identifier(node), label=_label(node), **{**common, **form, "fillcolor": _colour(node)}
        )
    for node in drawn:
        for entry in node.inputs:
            if entry is not None and entry.node not in hidden:
                label = _text(shapes.get(entry)) + (f"({types[entry]})" if types else "")
                drawing.edge(
                    tail_name=_identifier(node),
                    head_name=_identifier(entry.node),
                    label=label,
                    dir="back",
                    arrowtail="open",
                )
    return drawing


def _graphviz() -> ModuleType:
    try:
        return importlib.import_module("graphviz")
    except ImportError:
        raise ImportError("plot_network needs the package graphviz: pip install 'netdef[viz]'") from None


def _types(symbol: Symbol, dtype: Mapping[str, Any]) -> dict[Entry, str]:
    """The numpy name of the type of every output of every node."""
    if not isinstance(dtype, Mapping):
        raise TypeError(f"dtype must be a dict of types by name, not {dtype!r}")
    internals = symbol.get_internals()
    _, found, _ = internals.infer_type(**dtype)
    if found is None:
        raise ValueError("dtype says too little: the types do not follow from it")
    return {head: np.dtype(kind).name for head, kind in zip(internals.heads, found)}


def _identifier(node: Node) -> str:
    """A node's name as graphviz takes it: what follows a colon would be a port."""
    return node.name.replace(":", "&#58;")


def _colour(node: Node) -> str:
    return _VARIABLE_COLOUR if node.op is None else _COLOURS.get(_operator(node).names[0], _OTHER_COLOUR)


def _label(node: Node) -> str:
    """What is written in a node: the kind and the attributes that matter, or else the name."""
    if node.op is None:
        return node.name
    operator: Any = _operator(node)
    kind = operator.names[0]
    if kind == "FullyConnected":
        return f"{kind}\n{operator.num_hidden}"
    if kind in ("Activation", "LeakyReLU"):
        return f"{kind}\n{operator.act_type}"
    if kind == "Convolution":
        return f"{kind}\n{_window(node)}, {operator.num_filter}"
    if kind == "Pooling":
        window = _window(node) if operator.kernel else "global"
        return f"{kind}\n{operator.pool_type}, {window}"
    return node.name


def _window(node: Node) -> str:
    """Kernel and stride of a convolution or a pooling; a stride that was not given is 1."""
    operator: Any = _operator(node)
    stride = operator.stride if "stride" in texts_of(node) else (1,)
    return f"{_joined(operator.kernel)}/{_joined(stride)}"


def _joined(sizes: Iterable[int]) -> str:
    return "x".join(map(str, sizes))

"""Shapes of a built net, with findings at the fields that are to blame, and what each layer costs."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from netdef.diag import Findings, Span
from netdef.graph.build import Net
from netdef.graph.node import Entry, Node
from netdef.ops.base import Op
from netdef.ops.shapes import Shape, ShapeError, complete, prod, show
from netdef.passes import codes
from netdef.passes.infer import Failure, Known, Order, infer_shapes, infer_types, node_shapes, ordered, unfit
from netdef.passes.trail import show_fact, trail
from netdef.spec.layers.base import Layer

#: Caffe's limit on the elements of a blob
MOST_ELEMENTS = 2**31 - 1


class LayerCost(NamedTuple):
    """The shapes and the work of one layer; an unknown shape is None and costs nothing."""

    name: str
    type: str
    tops: dict[str, Shape]
    params: dict[str, Shape]
    macs: int


def infer_net(net: Net, given: Mapping[str, Shape], findings: Findings) -> Known:
    """The shapes of every entry of a net; those in `given` replace what its input layers declare."""
    shapes = {**_declared(net, given, findings), **given}
    heads = [entry for built in net.layers for entry in built.tops]
    order = ordered(heads)
    known, failures = infer_shapes(order, shapes)
    failures += unfit(order.nodes, known)
    for failure in failures:
        report(failure, known, findings)
    if not failures:
        check_types(order, findings)
    check_layers(
        net, known, {failure.node.origin.name for failure in failures if failure.node.origin}, findings
    )
    if not findings.errors:
        for blob, entry in net.inputs.items():
            shape = known.get(entry)
            if not complete(shape):
                layer = entry.node.origin
                told = f"the shape of {blob} is not known" + (f" in full: {show(shape)}" if shape else "")
                hint = f"give it in {layer.name}, or with --input {blob}=..."
                findings.add(codes.UNKNOWN_SHAPE, layer.span("name"), told, hint)
    if not findings.errors:
        _require_complete(net, known, findings)
    return known


def _require_complete(net: Net, known: Known, findings: Findings) -> None:
    """Report the first layer whose shapes do not follow although those of its bottoms are known."""
    for built in net.layers:
        entries = {param.node.name: Entry(param.node, 0) for param in built.params}
        entries.update(zip(built.layer.top, built.tops))
        for blob, entry in entries.items():
            shape = known.get(entry)
            if not complete(shape):
                told = f"{built.layer.name}: the shape of {blob} does not follow" + (
                    f" in full: {show(shape)}" if shape else ""
                )
                hint = "give it in the layer's attributes"
                findings.add(codes.UNKNOWN_SHAPE, built.layer.span("name"), told, hint)
                return


def check_types(order: Order, findings: Findings) -> None:
    """Report operators that refuse the number types of what they read; what is fed or learnt is float32."""
    variables = [node.name for node in order.nodes if node.is_variable]
    known, failures = infer_types(order, dict.fromkeys(variables, "float32"))
    for failure in failures:
        node, error = failure.node, failure.error
        hint = error.hint or _inputs(node, known)
        span = blamed(node.origin, error.attribute)
        message = f"{node.origin.name}: {_in_blobs(node, error.message)}"
        findings.add(codes.BY_KIND[error.kind], span, message, hint)


def check_layers(net: Net, known: Known, failed: Collection[str], findings: Findings) -> None:
    """Report bottoms that Caffe refuses, and blobs with too many elements where they first appear.

    `failed` names the layers that have been reported already.
    """
    too_large = {entry for entry, shape in known.items() if _is_too_large(shape)}
    for built in net.layers:
        layer = built.layer
        if layer.name in failed or not too_large.isdisjoint(built.bottoms):
            continue
        if type(layer).check_bottoms is not Layer.check_bottoms:
            bottoms = [known.get(entry) for entry in built.bottoms]
            try:
                if all(map(complete, bottoms)):
                    layer.check_bottoms(bottoms)  # type: ignore[arg-type]
            except ShapeError as error:
                span = blamed(layer, error.attribute)
                findings.add(codes.BY_KIND[error.kind], span, f"{layer.name}: {error.message}", error.hint)
                continue
        if not too_large:
            continue
        entries = {
            **dict(zip(layer.top, built.tops)),
            **{p.node.name: Entry(p.node, 0) for p in built.params},
        }
        for blob, entry in entries.items():
            if entry in too_large:
                told = f"{layer.name}: {blob} is {show(known[entry])}, more elements than a blob may have"
                hint = f"at most {MOST_ELEMENTS:,}; look at the shapes that lead here"
                findings.add(codes.BLOB_TOO_LARGE, layer.span("name"), told, hint)
                break


def _is_too_large(shape: Shape) -> bool:
    return shape is not None and (prod(shape) or 0) > MOST_ELEMENTS


def _declared(net: Net, given: Mapping[str, Shape], findings: Findings) -> dict[str, Shape]:
    """The shapes that input layers declare; a layer whose blobs are all given is not asked, so needs no file.

    Where one blob of a layer is given another batch size, its other blobs follow: labels go with their
    images.
    """
    shapes: dict[str, Shape] = {}
    for built in net.layers:
        blobs = [blob for blob, entry in net.inputs.items() if entry.node.origin is built.layer]
        if not blobs or given.keys() >= set(blobs):
            continue
        declared = dict(zip(built.layer.top, built.layer.input_shapes(findings)))
        batches = {_batch(declared[blob]): _batch(given[blob]) for blob in blobs if blob in given}
        for blob, shape in declared.items():
            if shape and batches.get(shape[0]) is not None:
                shape = (batches[shape[0]], *shape[1:])
            shapes[blob] = shape
    return shapes


def _batch(shape: Shape) -> int | None:
    return shape[0] if shape else None


def report(failure: Failure, known: Known, findings: Findings) -> None:
    """A shape failure as a finding at the field to blame, with the trail of shapes that led to it."""
    node, error = failure.node, failure.error
    layer = node.origin
    if not isinstance(layer, Layer) or node.is_variable:
        findings.add(codes.BY_KIND[error.kind], Span("", 0, 0, 0, 0), error.message, error.hint)
        return
    message = f"{layer.name}: {_in_blobs(node, error.message)}"
    hint = error.hint or _inputs(node, known)
    told = trail(node, known, _note)
    findings.add(codes.BY_KIND[error.kind], blamed(layer, error.attribute), message, hint, trail=told)


def _in_blobs(node: Node, message: str) -> str:
    """An operator's message with the names of its tensors replaced by those of what the node reads."""
    reads = {name: entry for name, entry in zip(node.read_names(), node.inputs) if entry is not None}
    # An input may be called `a`, which is a word, too: it is the input where something is said of it.
    words = [rf"{re.escape(name)}(?= is | has | \d)" if name == "a" else re.escape(name) for name in reads]
    word = r"\b(" + "|".join(words) + r")\b"
    return re.sub(word, lambda match: _blob(reads[match[0]], node), message) if reads else message


def _blob(entry: Entry, reader: Node) -> str:
    """What a spec calls an entry: the top of the layer that it was built for, or the variable's name.

    What the reader's own layer computes on the way has no name there; it stands for what it is computed from.
    """
    while entry.node.origin is reader.origin and entry.node.inputs and entry.node.inputs[0] is not None:
        entry = entry.node.inputs[0]
    node = entry.node
    if node.is_variable or not isinstance(node.origin, Layer) or entry.index >= len(node.origin.top):
        return node.name
    return node.origin.top[entry.index]


def _inputs(node: Node, known: Known) -> str:
    """What a node reads, for a failure that names no way out: `it reads data 1x1x8x8 and other 1x1x4x4`."""
    read = [
        f"{_blob(entry, node)} {show_fact(known.get(entry))}" for entry in node.inputs if entry is not None
    ]
    return f"it reads {' and '.join(read)}" if read else ""


def blamed(layer: Layer, attribute: str) -> Span:
    """The place of the first field that was given of those that set the operator's attribute."""
    for path in layer.blame.get(attribute, ()):
        *blocks, field = path.split(".")
        message: Any = layer
        for block in blocks:
            message = getattr(message, block)
        if message.has(field):
            return message.span(field)
    return layer.span("name") if layer.has("name") else layer.span()


def _note(node: Node) -> str:
    """`line 22: stride 6`, for a step that changes the size of an image by a stride."""
    stride = getattr(node.op, "stride", ())
    if not stride or max(stride) == 1:
        return ""
    size = str(stride[0]) if len(set(stride)) == 1 else "x".join(map(str, stride))
    line = blamed(node.origin, "stride").line
    return f"line {line}: stride {size}" if line else f"stride {size}"


def costs(net: Net, known: Known) -> list[LayerCost]:
    """One row for each layer, in the file's order; a shared parameter counts where it stands first."""
    rows = []
    for built in net.layers:
        tops = {blob: known.get(entry) for blob, entry in zip(built.layer.top, built.tops)}
        params = {param.node.name: known.get(Entry(param.node, 0)) for param in built.params if param.owner}
        macs = 0
        for node in built.nodes:
            shapes = node_shapes(node, known)
            if isinstance(node.op, Op) and all(map(complete, shapes.known.values())):
                macs += node.op.macs(shapes)
        rows.append(LayerCost(built.layer.name, built.layer.type, tops, params, macs))
    return rows


def count_params(rows: list[LayerCost]) -> int:
    """The number of elements of every blob that a weight file holds."""
    shapes = [shape for row in rows for shape in row.params.values()]
    return sum(prod(shape) or 0 for shape in shapes if shape is not None)

"""A net for prediction: what follows from one input alone, without labels, losses and scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from netdef.diag import Findings
from netdef.graph.build import BuiltLayer, Net
from netdef.graph.node import Entry, Node, topological
from netdef.graph.symbol import Symbol
from netdef.ops import find
from netdef.ops.base import Op, parameters
from netdef.ops.shapes import Full, complete
from netdef.passes import codes
from netdef.passes.infer import Known, infer_shapes, ordered, unfit
from netdef.passes.net import check_types, report

#: the name of what stands for a loss, as in Caffe's deploy nets
PROBABILITIES = "prob"


def deploy(net: Net, blob: str, wanted: Sequence[str] = ()) -> Net:
    """The part of a net that follows from the input `blob`; its outputs are the blobs that none of it reads.

    A loss that has a prediction (SoftmaxWithLoss: the softmax) is replaced by it, called `prob`, or as the
    loss where a blob has that name already.  Operators that do not read their labels in the forward pass
    (MXNet's SoftmaxOutput) stay: such labels are inputs still, whose values do not matter.  `wanted` names
    the blobs to put out instead; those that do not follow from the input are left out.
    """
    unknown = _unknown(net, blob)
    blobs = {name: entry for name, entry in net.blobs.items() if entry.node not in unknown}
    known = [node for built in net.layers for node in built.nodes if node not in unknown]
    made: dict[Node, BuiltLayer] = {}
    for built in net.layers:
        node = _prediction(built, unknown)
        if node is not None and not any(_is_same(node, other) for other in (*known, *made)):
            made[node] = built
            blobs[built.layer.top[0] if PROBABILITIES in blobs else PROBABILITIES] = Entry(node, 0)
    read = {entry for node in (*known, *made) for entry in _read(node)}
    outputs = [name for name in wanted if name in blobs] or [
        name for name, entry in blobs.items() if entry not in read and not entry.node.is_variable
    ]
    heads = [blobs[name] for name in outputs]
    live = set(topological(heads))
    inputs = {name: entry for name, entry in net.inputs.items() if entry.node in live}
    layers = tuple(_living(net.layers, made, live))
    return Net(net.name, net.phase, Symbol(heads), layers, blobs, inputs, tuple(outputs), ())


def infer_deployed(net: Net, blob: str, shape: Full, findings: Findings) -> Known:
    """The shapes of every entry of a net for prediction, from that of its input; those of labels follow."""
    heads = net.symbol.heads
    order = ordered(heads)
    known, failures = infer_shapes(order, {blob: shape})
    failures += unfit(order.nodes, known)
    for failure in failures:
        report(failure, known, findings)
    if not failures:
        check_types(order, findings)
    if not findings.errors:
        for entry, found in known.items():
            if not complete(found):
                layer = entry.node.origin
                told = f"{layer.name}: the shape of {entry.name} does not follow from that of {blob}"
                findings.add(codes.UNKNOWN_SHAPE, layer.span("name"), told, "give it in the layer")
                break
    return known


def _unknown(net: Net, blob: str) -> set[Node]:
    """The nodes whose values hang on other inputs than `blob`."""
    unknown = {entry.node for name, entry in net.inputs.items() if name != blob}
    for node in topological([entry for built in net.layers for entry in built.tops]):
        if any(entry.node in unknown for entry in _read(node)):
            unknown.add(node)
    return unknown


def _read(node: Node) -> Iterator[Entry]:
    """What the forward pass of a node reads."""
    if not isinstance(node.op, Op):
        return
    everything = node.op.variadic or node.op.listed
    named = parameters(node.op.forward)
    for name, entry in zip(node.read_names(), node.inputs):
        if entry is not None and (everything or name in named):
            yield entry


def _prediction(built: BuiltLayer, unknown: set[Node]) -> Node | None:
    """The node that has the place of a loss; None for any other layer."""
    prediction = built.layer.prediction()
    if prediction is None or built.bottoms[0].node in unknown:
        return None
    operator, attributes = prediction
    return Node(find(operator)(**attributes), built.layer.name, (built.bottoms[0],), origin=built.layer)


def _is_same(node: Node, other: Node) -> bool:
    """Whether both compute the same: some nets for testing have a softmax beside their loss."""
    return node.op == other.op and node.inputs == other.inputs


def _living(
    layers: Sequence[BuiltLayer], made: Mapping[Node, BuiltLayer], live: set[Node]
) -> Iterator[BuiltLayer]:
    """The layers with nodes that are left; the first of those that use a blob owns it."""
    owned: set[Node] = set()
    for built in layers:
        instead = tuple(node for node, replaced in made.items() if replaced is built and node in live)
        if instead:
            tops = tuple(Entry(node, 0) for node in instead)
            yield built._replace(nodes=instead, tops=tops, bottoms=built.bottoms[:1], params=())
        elif any(node in live for node in built.nodes):
            params = tuple(param._replace(owner=param.node not in owned) for param in built.params)
            owned.update(param.node for param in params)
            yield built._replace(params=params)

"""What training computes as one: Caffe's BatchNorm and the Scale after it are MXNet's BatchNorm.

That saves reading and writing the normalised data three times.  Values that somebody else reads stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from netdef.graph.node import Entry, Node, topological
from netdef.ops.normalization import BatchNorm
from netdef.ops.scaling import Scale
from netdef.passes.infer import Known


def fuse(heads: Sequence[Entry], shapes: Known) -> tuple[Entry, ...]:
    """The heads of a graph that computes the same; `shapes` has those of every entry."""
    order = topological(heads)
    readers = Counter(entry for node in order for entry in node.inputs if entry is not None)
    readers.update(heads)
    now: dict[Entry, Entry] = {}
    for node in order:
        if node.is_variable:
            continue
        norm = _norm_before(node, readers, shapes)
        if norm is None:
            made = node.reading(tuple(entry and now.get(entry, entry) for entry in node.inputs))
        else:
            made = _fused(norm, node, now)
        for number in range(len(node.write_names())):
            now[Entry(node, number)] = Entry(made, number)
    return tuple(now.get(head, head) for head in heads)


def _norm_before(node: Node, readers: Counter[Entry], shapes: Known) -> Node | None:
    """The BatchNorm that a Scale belongs to: both have one number for each channel along the same axis."""
    data = node.inputs[0] if node.inputs else None
    if not isinstance(node.op, Scale) or not node.op.bias_term or data is None:
        return None
    norm, rank = data.node, len(shapes[data] or ())
    if not isinstance(norm.op, BatchNorm) or norm.op.affine or norm.op.output_mean_var or data.index:
        return None
    read = [readers[Entry(norm, number)] for number in range(len(norm.write_names()))]
    factor = node.inputs[1]
    alike = (
        factor is not None and len(shapes[factor] or ()) == 1 and node.op.axis % rank == norm.op.axis % rank
    )
    return norm if alike and sum(read) == 1 else None


def _fused(norm: Node, scale: Node, now: dict[Entry, Entry]) -> Node:
    assert isinstance(norm.op, BatchNorm)
    op = BatchNorm(**{**norm.op.values(), "affine": True, "fix_gamma": False})
    data, *states = norm.inputs
    inputs = (data, *scale.inputs[1:], *states)
    return Node(op, norm.name, tuple(entry and now.get(entry, entry) for entry in inputs), origin=norm.origin)

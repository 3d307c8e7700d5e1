"""The graph for passes that do not train."""

from __future__ import annotations

from collections.abc import Sequence

from netdef.graph.node import Entry, topological
from netdef.passes.absorb import absorb
from netdef.passes.fold import Folded, fold
from netdef.passes.infer import Known, infer_shapes
from netdef.passes.strides import raise_strides


def for_inference(heads: Sequence[Entry], shapes: Known, dtype: str = "float32") -> Folded:
    """The heads of a graph that computes the same with less work, and how its new variables come about.

    `shapes` has those of every entry, `dtype` is that of all variables.
    """
    folded = fold(heads, shapes, dtype)
    variables = [node for node in topological(folded.heads) if node.is_variable]
    given = {node.name: node.shape or shapes[Entry(node, 0)] for node in variables}

    def known(heads: Sequence[Entry]) -> Known:
        return infer_shapes(heads, given)[0]

    heads = absorb(folded.heads, known(folded.heads))
    return folded._replace(heads=raise_strides(heads, known(heads)))

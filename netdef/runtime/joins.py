"""Outputs that are made of inputs one after the other, as a Concat's are: who writes these writes there.

Nothing is copied then, and nothing runs.  DenseNet's authors share memory so, too (Pleiss et al., 2017).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from netdef.graph.node import Entry, Node
from netdef.ops.orders import Order
from netdef.ops.shapes import Full
from netdef.runtime.work import Work

#: numbers of a row that is worth being written by itself
ROW = 16
#: how an entry is stored: the order of its axes, where callers know another, and whether shards have it apart
Layout = tuple[Order | None, bool]


class Place(NamedTuple):
    """Where an entry lies in another one, which a node joins: from `start` on along an `axis`."""

    whole: Entry
    axis: int
    start: int
    by: Node


def places(
    work: Sequence[Work],
    shapes: Mapping[Entry, Full],
    layout: Callable[[Entry], Layout],
    apart: Collection[Entry],
) -> dict[Entry, Place]:
    """The entries that lie in others.

    All inputs of a node do or none, and only those that are stored like its output, that nobody else joins
    or sees in another shape, and that are not `apart` because a caller has them.
    """
    made = {entry: each.op for each in work if not each.view for entry in each.writes.values()}
    never = {each.reads[each.view[0]] for each in work if each.view}.union(apart)
    found: dict[Entry, Place] = {}
    for each in reversed(work):  # what joins comes before what joins its output
        axis = each.op.joins(each.shapes) if not each.backward and len(each.writes) == 1 else None
        if axis is None:
            continue
        (output,) = each.writes.values()
        parts = list(each.reads.values())
        whole, along, start, _ = found.get(output, Place(output, axis, 0, each.node))
        free = all(part in made and part not in never and part not in found for part in parts)
        alike = along == axis and {layout(part) for part in parts} == {layout(output)}
        if not free or not alike or len(set(parts)) < len(parts):
            continue
        rows = all(made[part].between and shapes[part][axis] >= ROW for part in parts)
        if not _in_pieces(shapes[whole], layout(whole)[0], axis, rows):
            continue
        for part in parts:
            found[part] = Place(whole, axis, start, each.node)
            start += shapes[part][axis]
    return found


def _in_pieces(shape: Full, order: Order | None, axis: int, rows: bool) -> bool:
    """Whether parts along an axis are one piece of memory each, or rows of it where these will do."""
    axes = (order or Order.BATCH_FIRST).axes(len(shape))
    before = axes[: axes.index(axis)]
    return math.prod(shape[other] for other in before) == 1 or (rows and axis == axes[-1])

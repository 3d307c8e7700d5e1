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
    made = {entry for each in work if not each.view for entry in each.writes.values()}
    viewed = {each.reads[each.view[0]] for each in work if each.view}
    found: dict[Entry, Place] = {}
    for each in reversed(work):  # what joins comes before what joins its output
        axis = each.op.joins(each.shapes) if not each.backward and len(each.writes) == 1 else None
        if axis is None:
            continue
        (output,) = each.writes.values()
        whole, along, start, _ = found.get(output, Place(output, axis, 0, each.node))
        parts = [*each.reads.values()]
        free = made.difference(viewed, apart, found)
        alike = all(part in free and layout(part) == layout(output) for part in parts)
        if along != axis or not alike or len(set(parts)) < len(parts):
            continue
        if not _long(shapes[whole], layout(whole)[0], axis, [shapes[part][axis] for part in parts]):
            continue
        for part in parts:
            found[part] = Place(whole, axis, start, each.node)
            start += shapes[part][axis]
    return found


def _long(shape: Full, order: Order | None, axis: int, sizes: Sequence[int]) -> bool:
    """Whether parts of these sizes along an axis are one piece of memory each, or long rows."""
    axes = (order or Order.BATCH_FIRST).axes(len(shape))
    before = axes[: axes.index(axis)]
    rows = axes[-1] == axis and min(sizes) >= ROW
    return rows or math.prod(shape[other] for other in before) == 1

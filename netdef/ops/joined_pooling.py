"""What windows hold joined to one number each, a maximum or a sum, where nobody asks which element it was.

Axes are joined as they lie in memory, where what lies behind them is a long row.  Where that is short behind
the last spatial axis, what is left after the others is sorted for it: see `netdef.ops.max_pooling`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

from netdef.ops import max_pooling, windows
from netdef.ops.arrays import SHORT, at_least
from netdef.ops.base import Workspace
from netdef.ops.conv_blocks import band_of, evenly
from netdef.ops.map_order import orders
from netdef.ops.max_pooling import Block, Phases
from netdef.ops.shapes import Full

Axes = tuple[windows.Axis, ...]


class Joined:
    """How maps (A..., S..., B...), S... from axis `first` on, are joined, in blocks that stay in the cache.

    A block is a few entries of the first axis where the last spatial axis is `sorted`, else some rows of the
    output of one of them.
    """

    def __init__(self, maps: Full, axes: Axes, first: int) -> None:
        *outer, last = axes
        at = first + len(outer)
        self.axes, self.first = axes, first
        self.sorted = math.prod(maps[at + 1 :]) < SHORT
        self.phases = Phases((*maps[:first], *(axis.windows for axis in outer), *maps[at:]), (last,), at)
        self.entries, self.rows, self.kept = self.phases.count, axes[0].windows, 0
        if self.sorted:
            #: elements for what is sorted
            phases = self.phases.phases + self.phases.stages
            self.kept = phases * self.entries * math.prod(self.phases.shape)
        else:
            row = math.prod(maps[1:]) // max(1, axes[0].size)
            self.entries, self.rows = 1, evenly(axes[0].windows, max_pooling.BLOCK // max(1, row))
        band = (axes[0]._replace(windows=self.rows), *axes[1:])
        between = windows.between(band, (self.entries, *maps[1:]), first)
        #: elements of the workspace
        self.space = self.kept + sum(map(math.prod, between))

    def blocks(self, count: int) -> Iterator[tuple[slice, slice]]:
        """The entries and rows of the blocks."""
        if self.sorted:
            for entries in self.phases.slabs():
                yield entries, slice(0, self.rows)
            return
        for entry in range(count):
            for start in range(0, self.axes[0].windows, self.rows):
                yield slice(entry, entry + 1), slice(start, min(start + self.rows, self.axes[0].windows))


@functools.lru_cache(maxsize=256)
def _joined(maps: Full, axes: Axes, first: int, block: int) -> Joined:
    """`Joined`, worked out once for all calls; `block` is what `BLOCK` is."""
    return Joined(maps, axes, first)


def workspaces(data: Full, axes: Axes) -> dict[str, Workspace]:
    """What is needed for data (N, C, S...) in any order that the plan may store them in."""
    each = [Joined(order.shape(data), axes, order.first) for order in orders(len(data))]
    return {"phases": Workspace((max(joined.space for joined in each),))}


def maxima(xp: Any, axes: Axes, first: int, lowest: float, data: Any, output: Any, space: Any) -> None:
    """output (A..., O..., B...): the maximum of every window of data (A..., S..., B...), or `lowest`."""
    for values, target in _join(xp, xp.maximum, -math.inf, axes, first, data, output, space):
        at_least(xp, lowest, values, target)


def sums(xp: Any, axes: Axes, first: int, data: Any, output: Any, space: Any) -> None:
    """output (A..., O..., B...): the sum of every window of data (A..., S..., B...)."""
    for values, target in _join(xp, xp.add, 0, axes, first, data, output, space):
        if values is not target:
            xp.copyto(target, values)


def _join(
    xp: Any, join: Any, empty: float, axes: Axes, first: int, data: Any, output: Any, space: Any
) -> Iterator[tuple[Any, Any]]:
    """What windows come to, and the part of the output that it belongs to, which may be the same array.

    `empty` is neutral to `join`.
    """
    how = _joined(data.shape, axes, first, max_pooling.BLOCK)
    block = Block(xp, how.phases, join, empty, space[: how.kept]) if how.sorted else None
    for entries, rows in how.blocks(data.shape[0]):
        axis, here = band_of(axes[0], rows)
        target = output[entries][windows.along(first, rows)]
        source, start = data[entries][windows.along(first, here)], how.kept
        outer = (axis, *axes[1:]) if block is None else (axis, *axes[1:])[:-1]
        for position, each in enumerate(outer, start=first):
            shape = (*source.shape[:position], each.windows, *source.shape[position + 1 :])
            last = block is None and position == first + len(axes) - 1
            joined = target if last else windows.carve(space, shape, start)
            _along(xp, join, empty, source, joined, each, position)
            source, start = joined, start + joined.size
        if block is not None:
            block.reduce(source)
            source = block.values
        yield source, target


def _along(
    xp: Any, join: Any, empty: float, source: Any, target: Any, axis: windows.Axis, position: int
) -> None:
    """Join the windows along one axis; first the taps that fall on the input in every window."""
    whole = slice(0, axis.windows)
    taps = sorted(axis.taps(), key=lambda tap: tap[0] != whole)
    full = sum(here == whole for here, _ in taps)
    seen = [source[windows.along(position, there)] for _, there in taps]
    if full > 1:
        join(seen[0], seen[1], out=target)
    else:
        xp.copyto(target, seen[0] if full else empty)
    for (here, _), part in list(zip(taps, seen))[min(full, 2) :]:
        place = target[windows.along(position, here)]
        join(place, part, out=place)

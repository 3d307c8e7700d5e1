"""Max pooling of windows that do not overlap: maxima and gradients straight from and to strided views.

Each element is in one window at most, so that nothing is sorted and nothing is added up.  One tap of all
windows is a strided view of the maps, with rows as long as what lies behind the spatial axes in memory.
Winners have the numbers that `netdef.ops.max_pooling` describes.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any, NamedTuple

from netdef.ops import windows
from netdef.ops.arrays import as_one
from netdef.ops.base import Workspace
from netdef.ops.conv_blocks import elements_of, evenly
from netdef.ops.map_order import order_of, orders
from netdef.ops.max_pooling import as_numbers, refuse
from netdef.ops.shapes import Full

#: floats of maps at a time: with what is made of them they stay in the second-level cache
BLOCK = 256 * 1024
#: the most taps of a window: with more of them, what is done for each tap costs more than to look for winners
TAPS = 16

Axes = tuple[windows.Axis, ...]
Slices = tuple[slice, ...]


def fits(axes: Axes) -> bool:
    """Whether no two windows have an element in common, and all are small."""
    return all(axis.kernel <= axis.stride for axis in axes) and math.prod(a.kernel for a in axes) <= TAPS


def workspaces(data: Full, axes: Axes, numbers: str, backward: bool) -> list[dict[str, Workspace]]:
    """What is needed for data (N, C, S...) in each order that the plan may store them in."""
    maps = [Apart(order.shape(data), axes, order.first) for order in orders(len(data))]
    return [each.workspaces(numbers, backward) for each in maps]


class Apart:
    """Which elements of maps (A..., S..., B...), S... from axis `first` on, the taps of windows fall on.

    Maps are taken some entries of the axes A at a time.
    """

    def __init__(self, maps: Full, axes: Axes, first: int) -> None:
        self.axes, self.first = axes, first
        inner = maps[first:]
        room = BLOCK // max(1, math.prod(inner))
        parts: Full = ()
        for entries in reversed(maps[:first]):
            parts = (evenly(entries, room), *parts)
            room //= parts[0]
        counts = (axis.windows for axis in axes)
        #: how many windows there are at a time
        self.windows = math.prod(parts) * math.prod(counts) * math.prod(inner[len(axes) :])
        each_slab = [_parts(entries, part) for entries, part in zip(maps, parts)]
        self.slabs: list[Slices] = list(itertools.product(*each_slab))
        each = [[*elements_of(axis, slice(0, axis.windows))] for axis in axes]
        #: whether every element is some window's
        self.covered = all(
            sum(here.stop - here.start for _, here, _ in found) == axis.size
            for axis, found in zip(axes, each)
        )
        #: the taps along the last axis for each of those along the others, from the last to the first
        self.rows = [
            [self._tap((*outer, tap)) for tap in reversed(each[-1])]
            for outer in itertools.product(*(found[::-1] for found in each[:-1]))
        ]

    def _tap(self, found: tuple[tuple[int, slice, slice], ...]) -> tuple[int, Slices, Slices]:
        """The number of a tap, the windows for which it falls on an element, and these."""
        taps, here, there = zip(*found)
        place = 0
        for axis, tap in zip(self.axes, taps):
            place = place * axis.kernel + tap
        number = math.prod(axis.kernel for axis in self.axes) - place
        return number, windows.along(self.first, *here), windows.along(self.first, *there)

    def workspaces(self, numbers: str, backward: bool) -> dict[str, Workspace]:
        """A mask, and maxima of a row of taps with their numbers or, for gradients, the mask as factors."""
        size = self.windows
        needed = {"mask": Workspace((size,), "bool")}
        if backward:
            return {**needed, "share": Workspace((size,))}
        return {**needed, "phases": Workspace((size,)), "numbers": Workspace((2 * size,), numbers)}


def _parts(entries: int, part: int) -> list[slice]:
    return [slice(start, min(start + part, entries)) for start in range(0, entries, part)]


@functools.lru_cache(maxsize=256)
def _apart(maps: Full, axes: Axes, first: int, block: int) -> Apart:
    """`Apart`, worked out once for all calls; `block` is what `BLOCK` is."""
    return Apart(maps, axes, first)


def forward(
    xp: Any,
    axes: Axes,
    lowest: float,
    data: Any,
    output: Any,
    winner: Any,
    space: Any,
    numbers: Any,
    mask: Any,
) -> None:
    """output: the maxima, at least `lowest`; winner: the winners' numbers, None where nobody wants them."""
    order = order_of(data)
    maps = _apart(order.shape(data.shape), axes, order.first, BLOCK)
    data, output, winner = order.view(data), order.view(output), order.view(winner)
    for slab in maps.slabs:
        elements, best = data[slab], _Maxima(output[slab], None if winner is None else winner[slab])
        shape = best.values.shape
        codes, spare = windows.carve(numbers, (2, *shape))
        marks = windows.carve(mask.reshape(-1), shape)
        other = _Maxima(windows.carve(space, shape), None if winner is None else codes)
        for place, row in enumerate(maps.rows):
            taps = [(number, elements[there]) for number, _, there in row]
            _reduce(xp, taps, other if place else best, marks, spare)
            if place:
                _join(xp, best, other, marks)
        as_one(xp, refuse, lowest, best.values, best.numbers, marks)


class _Maxima(NamedTuple):
    """Maxima and the numbers of their taps: None where nobody wants them."""

    values: Any
    numbers: Any


def _reduce(xp: Any, taps: list[tuple[int, Any]], target: _Maxima, marks: Any, spare: Any) -> None:
    """target: the maxima of taps along the last axis, which come from the last to the first."""
    values, numbers = target
    (number, best), *others = taps
    if not others:
        xp.copyto(values, best)
    if numbers is not None:
        xp.copyto(numbers, number)
    for number, seen in others:
        xp.maximum(seen, best, out=values)
        best = values
        if numbers is not None:
            xp.equal(seen, best, out=marks)
            xp.multiply(as_numbers(marks, spare), number, out=spare)
            xp.maximum(numbers, spare, out=numbers)


def _join(xp: Any, best: _Maxima, other: _Maxima, marks: Any) -> None:
    """best: the maxima of both; of equal ones those of `other`, whose taps come first (larger numbers)."""
    if best.numbers is not None:
        xp.greater_equal(other.values, best.values, out=marks)
        xp.multiply(other.numbers, as_numbers(marks, other.numbers), out=other.numbers)
        xp.maximum(best.numbers, other.numbers, out=best.numbers)
    xp.maximum(best.values, other.values, out=best.values)


def backward(xp: Any, axes: Axes, doutput: Any, winner: Any, ddata: Any, mask: Any, share: Any) -> None:
    """ddata: the gradient of every window at its first maximum.

    The mask is converted by itself: a product that converts goes through buffers, a few elements at a time.
    Bits are multiplied, not numbers: what does not win gets 0, also where the gradient is not finite.
    """
    order = order_of(ddata)
    maps = _apart(order.shape(ddata.shape), axes, order.first, BLOCK)
    doutput, winner, ddata = order.view(doutput), order.view(winner), order.view(ddata)
    bits = f"int{8 * ddata.itemsize}"
    doutput, ddata, share = (array.view(bits) for array in (doutput, ddata, share))
    for slab in maps.slabs:
        heads, codes, elements = doutput[slab], winner[slab], ddata[slab]
        marks, factors = (windows.carve(array.reshape(-1), heads.shape) for array in (mask, share))
        if not maps.covered:
            xp.copyto(elements, 0)
        for number, here, there in itertools.chain.from_iterable(maps.rows):
            xp.equal(codes, number, out=marks)
            xp.copyto(factors, marks)
            xp.multiply(heads[here], factors[here], out=elements[there])

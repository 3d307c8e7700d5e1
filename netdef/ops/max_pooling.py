"""Maxima of windows over long rows of memory.

The elements of a map are sorted into phases: those at the same place between two windows lie side by side.
What one tap of all windows sees is then a stretch of one phase, of many maps at once, and every step is one
call over as many elements as stay in the cache.  Rows of a map are as long as there are windows and taps
beyond the last; what is computed there is nobody's.

A window's winner is the number of its taps from the first maximum in row-major order on, 0 if no element is
one.  Maxima are joined along the last axis first, from the last tap to the first: what equals the maximum so
far then comes before it in row-major order, and has the larger number.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from netdef.ops import windows
from netdef.ops.arrays import as_one, copy_rows
from netdef.ops.base import Workspace
from netdef.ops.shapes import Full

#: floats in a block of maps
BLOCK = 192 * 1024


class Phases:
    """How maps (A..., S..., B...), S... from axis `first` on, are sorted for windows on them.

    That is done for a few entries of the first axis at a time.
    """

    def __init__(self, maps: Full, axes: tuple[windows.Axis, ...], first: int = 2) -> None:
        self.entries, self.axes, self.first = maps[0], axes, first
        pitch = tuple(axis.windows + (axis.kernel - 1) // axis.stride for axis in axes)
        #: the shape of one phase of one entry
        self.shape = (*maps[1:first], *pitch, *maps[first + len(axes) :])
        #: how many phases there are along each axis, without those between windows
        self.strides = tuple(min(axis.stride, axis.kernel) for axis in axes)
        self.phases = math.prod(self.strides)
        #: arrays of maxima: one for each phase of the axes that are not yet reduced
        self.stages = sum(math.prod(self.strides[:number]) for number in range(len(axes)))
        one = math.prod(self.shape)
        most = max(1, BLOCK // max(1, one * (self.phases + self.stages)))
        #: how many entries are sorted at a time
        self.count = -(-self.entries // max(1, -(-self.entries // most)))
        self.pitch = pitch

    @property
    def pays(self) -> bool:
        """Whether windows are small beside the maps and, if what lies last are rows of a map, overlap.

        Overlapping windows have many taps; where the spatial axes are not the last, tapping windows that lie
        apart costs as many short loops as sorting.
        """
        apart = all(axis.kernel <= axis.stride for axis in self.axes)
        small = math.prod(self.pitch) <= 2 * math.prod(axis.windows for axis in self.axes)
        return small and not (apart and self.first == 2)

    def workspaces(self, numbers: str) -> dict[str, Workspace]:
        """Sorted maps and their maxima, numbers of taps, and masks."""
        size = self.count * math.prod(self.shape)
        return {
            "phases": Workspace(((self.phases + self.stages) * size,)),
            "numbers": Workspace(((self.stages + 1) * size,), numbers),
            "mask": Workspace((size,), "bool"),
        }

    def slabs(self) -> Iterator[slice]:
        """As many entries each; the last ones may be some of those before again."""
        for start in range(0, self.entries, self.count):
            start = min(start, self.entries - self.count)
            yield slice(start, start + self.count)

    @functools.cached_property
    def places(self) -> list[tuple[int, tuple[slice, ...], tuple[slice, ...], bool]]:
        """For each phase where its elements lie in the map and among the sorted ones, and if they fill it."""
        places = []
        each = itertools.product(*(range(stride) for stride in self.strides))
        for number, phase in enumerate(each):
            source, target, full = [], [], True
            for axis, offset, pitch in zip(self.axes, phase, self.pitch):
                first = (offset - axis.pad) % axis.stride
                start = (first + axis.pad) // axis.stride
                count = max(0, min(-(-(axis.size - first) // axis.stride), pitch - start))
                source.append(slice(first, first + count * axis.stride, axis.stride))
                target.append(slice(start, start + count))
                full = full and count == pitch
            here, there = (windows.along(self.first, *each) for each in (source, target))
            places.append((number, here, there, full))
        return places

    def step(self, number: int) -> int:
        """How far elements lie apart that follow each other along a spatial axis."""
        return math.prod(self.shape[self.first + number :])

    def outputs(self, flat: Any, shape: Full) -> Any:
        """The view of an array of windows without what is nobody's."""
        return flat.reshape(shape)[windows.along(self.first, *(slice(axis.windows) for axis in self.axes))]


def forward(
    xp: Any,
    phases: Phases,
    lowest: float,
    data: Any,
    output: Any,
    winner: Any,
    space: Any,
    numbers: Any,
    mask: Any,
) -> None:
    """output: the maxima, at least `lowest`; winner: the winners' numbers.

    data, output and winner are in the order of `phases`.
    """
    mask = mask.reshape(-1)
    block = Block(xp, phases, xp.maximum, -math.inf, space, numbers, mask)
    for slab in phases.slabs():
        block.reduce(data[slab])
        values, found = output[slab], winner[slab]
        xp.copyto(values, block.values)
        xp.copyto(found, block.numbers)
        as_one(xp, refuse, lowest, values, found, windows.carve(mask, values.shape))


def refuse(xp: Any, lowest: float, values: Any, found: Any, kept: Any) -> None:
    """No element wins where the maximum is not a number or below `lowest`."""
    xp.greater_equal(values, lowest, out=kept)
    if not kept.all():
        xp.maximum(values, lowest, out=values)
        if found is not None:
            xp.multiply(found, kept, out=found)


def as_numbers(marks: Any, like: Any) -> Any:
    """Marks as numbers of the dtype of others, if that takes no conversion."""
    return marks.view(like.dtype) if like.itemsize == marks.itemsize else marks


@functools.lru_cache(maxsize=256)
def _phases(maps: Full, axes: tuple[windows.Axis, ...], first: int, block: int) -> Phases:
    return Phases(maps, axes, first)


def phases(maps: Full, axes: tuple[windows.Axis, ...], first: int) -> Phases:
    """`Phases`, worked out once for all calls."""
    return _phases(maps, axes, first, BLOCK)


class _Maxima(NamedTuple):
    """Maxima over some of the axes and their numbers: None where nobody wants them, or all are 1."""

    values: Any
    numbers: Any

    def part(self, start: int, length: int) -> _Maxima:
        """A stretch."""
        numbers = None if self.numbers is None else self.numbers[start : start + length]
        return _Maxima(self.values[start : start + length], numbers)


class Block:
    """What joins the elements of windows for a block of maps at a time: the calls, worked out once.

    `empty` is the neutral element of `join`; `numbers` and `mask` are there for winners' numbers.
    """

    def __init__(
        self,
        xp: Any,
        phases: Phases,
        join: Any,
        empty: float,
        space: Any,
        numbers: Any = None,
        mask: Any = None,
    ) -> None:
        self.xp, self.phases, self.join = xp, phases, join
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        shape = (phases.count, *phases.shape)
        size = math.prod(shape)
        floats = windows.carve(space, (phases.phases + phases.stages, size))
        counts: Any = [None] * (phases.stages + 1)
        if numbers is not None:
            counts = windows.carve(numbers, (phases.stages + 1, size))
        self.maps = floats[: phases.phases].reshape(phases.phases, *shape)
        for number, _, _, full in phases.places:
            if not full:
                xp.copyto(self.maps[number], empty)  # what no element is sorted to stays so for all maps
        self.mask = mask
        self.spare = counts[-1]
        targets = map(_Maxima, floats[phases.phases :], counts)
        best = self._reduce([_Maxima(phase, None) for phase in floats[: phases.phases]], targets)
        self.values = phases.outputs(best.values, shape)
        self.numbers = 1 if best.numbers is None else phases.outputs(best.numbers, shape)

    def reduce(self, data: Any) -> None:
        """Sort maps and join the elements of their windows: `values`, and `numbers` of the winners."""
        for number, source, target, _ in self.phases.places:
            copy_rows(self.xp, self.maps[number][target], data[source])
        for function, one, other, out in self.calls:
            function(one, other, out=out)

    def _reduce(self, level: list[_Maxima], targets: Iterator[_Maxima]) -> _Maxima:
        """The maxima of all windows, axis by axis, the last first."""
        length, inner = level[0].values.size, 1
        for number in reversed(range(len(self.phases.axes))):
            axis, stride = self.phases.axes[number], self.phases.strides[number]
            step = self.phases.step(number)
            length -= (axis.kernel - 1) // axis.stride * step
            taps = [divmod(tap, axis.stride) for tap in reversed(range(axis.kernel))]
            if len(taps) > 1:
                level = [
                    self._join(
                        [level[outer + phase].part(place * step, length) for place, phase in taps],
                        inner,
                        next(targets),
                    )
                    for outer in range(0, len(level), stride)
                ]
            inner *= axis.kernel
        return level[0]

    def _join(self, taps: list[_Maxima], inner: int, target: _Maxima) -> _Maxima:
        """The maxima of taps along one axis, the last first; each is itself one of `inner` taps."""
        best, out = taps[0], target.part(0, taps[0].values.size)
        for place, seen in enumerate(taps[1:], start=1):
            if out.numbers is not None:
                marks = self.mask[: out.values.size]
                self.calls.append((self.xp.greater_equal, seen.values, best.values, marks))
                self._count(seen.numbers, best.numbers, place * inner, marks, out.numbers)
            self.calls.append((self.join, seen.values, best.values, out.values))
            best = out
        return target

    def _count(self, seen: Any, best: Any, before: int, marks: Any, out: Any) -> None:
        """out: where `marks` is true the numbers of a tap and `before` more, else the best so far.

        The former are larger, so that this takes a product and a maximum.
        """
        xp, spare = self.xp, self.spare[: marks.size]
        marks = as_numbers(marks, out)
        if best is None:
            self.calls.append((xp.add, marks, 1, out))
            return
        if seen is None:
            self.calls.append((xp.multiply, marks, before + 1, spare))
        else:
            self.calls.append((xp.add, seen, before, spare))
            self.calls.append((xp.multiply, spare, marks, spare))
        self.calls.append((xp.maximum, best, spare, out))

"""Maxima of windows over long rows of memory.

The elements of a map are sorted into phases: those at the same place between two windows lie side by side.
What one tap of all windows sees is then a stretch of one phase, of all maps at once, and every step is one
call over as many elements as stay in the cache.  Rows of a map are as long as there are windows and taps
beyond the last; what is computed there is nobody's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

from netdef.ops import windows
from netdef.ops.base import Workspace
from netdef.ops.shapes import Full

#: floats in a block of maps
BLOCK = 256 * 1024


class Phases:
    """How maps (N, C, S...) are sorted for windows on them, a few images at a time."""

    def __init__(self, data: Full, axes: tuple[windows.Axis, ...]) -> None:
        self.batch, self.channels, self.axes = data[0], data[1], axes
        self.pitch = tuple(axis.windows + (axis.kernel - 1) // axis.stride for axis in axes)
        self.phases = math.prod(axis.stride for axis in axes)
        one = self.channels * math.prod(self.pitch)
        self.images = max(1, min(self.batch, BLOCK // max(1, one * (self.phases + 2))))
        #: how far the last tap of a window lies from the first
        self.reach = sum(
            (axis.kernel - 1) // axis.stride * math.prod(self.pitch[number + 1 :])
            for number, axis in enumerate(axes)
        )

    @property
    def pays(self) -> bool:
        """Whether windows overlap, so that there are many taps, and are small beside the maps."""
        overlap = any(axis.kernel > axis.stride for axis in self.axes)
        return overlap and math.prod(self.pitch) <= 2 * math.prod(axis.windows for axis in self.axes)

    def workspaces(self, numbers: str) -> dict[str, Workspace]:
        """Sorted maps with two more arrays for windows, and numbers of taps and masks for each window."""
        size = self.images * self.channels * math.prod(self.pitch)
        return {
            "phases": Workspace((self.phases + 2, size)),
            "numbers": Workspace((size,), numbers),
            "mask": Workspace((size,), "bool"),
            "taken": Workspace((size,), "bool"),
        }

    def slabs(self, space: Any) -> Iterator[tuple[slice, Any, Full]]:
        """A few images, a place for all their phases and two arrays more, and the shape of each of these."""
        for start in range(0, self.batch, self.images):
            slab = slice(start, min(start + self.images, self.batch))
            shape = (slab.stop - start, self.channels, *self.pitch)
            yield slab, windows.carve(space.reshape(-1), (self.phases + 2, math.prod(shape))), shape

    def places(self) -> Iterator[tuple[int, tuple[slice, ...], tuple[slice, ...]]]:
        """For each phase, where its elements lie in the map and where among the sorted ones."""
        each = itertools.product(*(range(axis.stride) for axis in self.axes))
        for number, phase in enumerate(each):
            source, target = [], []
            for axis, offset, pitch in zip(self.axes, phase, self.pitch):
                first = (offset - axis.pad) % axis.stride
                start = (first + axis.pad) // axis.stride
                count = max(0, min(-(-(axis.size - first) // axis.stride), pitch - start))
                source.append(slice(first, first + count * axis.stride, axis.stride))
                target.append(slice(start, start + count))
            yield number, windows.along(2, *source), windows.along(2, *target)

    def taps(self, maps: Any) -> Iterator[Any]:
        """What each tap of all windows sees, in row-major order."""
        length = maps.shape[1] - self.reach
        for tap in itertools.product(*(range(axis.kernel) for axis in self.axes)):
            phase = start = 0
            for index, axis, pitch in zip(tap, self.axes, self.pitch):
                phase = phase * axis.stride + index % axis.stride
                start = start * pitch + index // axis.stride
            yield maps[phase, start : start + length]

    def outputs(self, flat: Any, shape: Full) -> Any:
        """The view of an array of windows without what is nobody's."""
        return flat.reshape(shape)[windows.along(2, *(slice(axis.windows) for axis in self.axes))]


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
    taken: Any,
) -> None:
    """output: the maxima; winner: how many taps there are from the first one on, 0 where none equals it."""
    for slab, block, shape in phases.slabs(space):
        maps, best = block[: phases.phases], block[-1]
        maps[...] = lowest
        for number, source, target in phases.places():
            xp.copyto(maps[number].reshape(shape)[target], data[slab][source])
        size = best.size - phases.reach
        best[...] = lowest
        for seen in phases.taps(maps):
            xp.maximum(best[:size], seen, out=best[:size])
        xp.copyto(output[slab], phases.outputs(best, shape))
        if winner is None:
            continue
        found, count, equal = taken[:size], numbers[: best.size], mask[:size]
        found[...] = False
        count[...] = 0
        for seen in phases.taps(maps):
            xp.equal(seen, best[:size], out=equal)
            xp.logical_or(found, equal, out=found)
            xp.add(count[:size], found, out=count[:size])
        xp.copyto(winner[slab], phases.outputs(count, shape))


def backward(
    xp: Any, phases: Phases, doutput: Any, winner: Any, ddata: Any, space: Any, numbers: Any, mask: Any
) -> None:
    """ddata: the gradient of every window at its first maximum."""
    ddata[...] = 0
    for slab, block, shape in phases.slabs(space):
        maps, heads, share = block[: phases.phases], block[-2], block[-1]
        count = numbers[: heads.size]
        block[:-1] = 0
        count[...] = 0
        xp.copyto(phases.outputs(heads, shape), doutput[slab])
        xp.copyto(phases.outputs(count, shape), winner[slab])
        size = heads.size - phases.reach
        remaining = math.prod(axis.kernel for axis in phases.axes)
        for seen in phases.taps(maps):
            xp.equal(count[:size], remaining, out=mask[:size])
            xp.multiply(heads[:size], mask[:size], out=share[:size])
            xp.add(seen, share[:size], out=seen)
            remaining -= 1
        for number, source, target in phases.places():
            xp.copyto(ddata[slab][source], maps[number].reshape(shape)[target])

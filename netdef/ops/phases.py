"""The gradient of the data of a convolution with strides, as convolutions without any.

Elements of the data that are as far apart as windows see the same taps of the filters, and others see others:
each such phase gets a convolution of the output's gradient with its own taps, turned (the polyphase form of
an interpolator; Crochiere and Rabiner 1983).  Added up as columns, every element is fetched for every tap.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any, NamedTuple

from netdef.ops import conv_cost, windows
from netdef.ops.conv_algorithm import DATA, FORWARD, Algorithm, turn
from netdef.ops.conv_sizes import PLANS, Sizes, carved
from netdef.ops.epilogue import NOTHING
from netdef.ops.im2col import Im2Col
from netdef.ops.overlap import Overlap
from netdef.ops.rowwise import RowWise
from netdef.ops.shapes import Full
from netdef.ops.winograd import Winograd
from netdef.ops.winograd1d import Winograd1D

#: what may convolve within a phase
WITHIN = (Im2Col(), Overlap(), RowWise(), Winograd1D(), Winograd())


class _Along(NamedTuple):
    """A phase along one axis: its elements of the data, what they see, and their convolution."""

    places: slice
    taps: slice
    seen: slice
    axis: windows.Axis


class _Phase(NamedTuple):
    """A phase along all axes; without an algorithm nothing is seen."""

    places: tuple[slice, ...]
    taps: tuple[slice, ...]
    seen: tuple[slice, ...]
    sizes: Sizes
    algorithm: Algorithm | None

    @property
    def spaces(self) -> tuple[Full, ...]:
        """The shapes of what it keeps: its filters, and the workspace of its algorithm."""
        return self.sizes.weight, (self.algorithm.room(self.sizes, FORWARD) if self.algorithm else 0,)


def _along(axis: windows.Axis) -> list[_Along]:
    """The phases along one axis.

    Element stride * j + phase gets from output j + late - u what tap first + stride * u makes of it.
    """
    found = []
    for phase in range(min(axis.stride, axis.size)):
        first = (phase + axis.pad) % axis.stride
        late = (phase + axis.pad - first) // axis.stride
        taps = len(range(first, axis.kernel, axis.stride))
        elements = len(range(phase, axis.size, axis.stride))
        begin = min(max(0, late - (taps - 1)), axis.windows)
        size = axis.windows - begin
        inner = windows.Axis(size, taps, 1, begin + taps - 1 - late, 1, elements)
        found.append(
            _Along(
                slice(phase, None, axis.stride), slice(first, None, axis.stride), slice(begin, None), inner
            )
        )
    return found


@functools.lru_cache(PLANS)
def _phases(sizes: Sizes) -> tuple[_Phase, ...]:
    found = []
    for parts in itertools.product(*map(_along, sizes.axes)):
        places, taps, seen, axes = zip(*parts)
        inner = Sizes(sizes.batch, sizes.filters, sizes.channels, sizes.groups, axes)
        able = [each for each in WITHIN if each.serves(inner, FORWARD)] if all(inner.kernel) else []
        best = min(able, key=lambda each: each.cost(inner, FORWARD), default=None)
        found.append(_Phase(places, taps, seen, inner, best))
    return tuple(found)


class Phases(Algorithm):
    """Convolutions of the output's gradient for the elements of each phase."""

    name = "phases"

    def serves(self, sizes: Sizes, which: str) -> bool:
        apart = any(axis.stride > 1 for axis in sizes.axes)
        return which == DATA and apart and all(axis.dilate == 1 for axis in sizes.axes)

    def spaces(self, sizes: Sizes, which: str) -> tuple[Full, ...]:
        each = [phase.spaces for phase in _phases(sizes)]
        return tuple((max(map(math.prod, shapes), default=0),) for shapes in zip(*each))

    def cost(self, sizes: Sizes, which: str) -> float:
        total = math.prod(sizes.weight) * conv_cost.TURN
        for phase in _phases(sizes):
            elements = sizes.batch * sizes.channels * math.prod(phase.sizes.counts)
            total += conv_cost.CALL + conv_cost.copied(elements, sizes.batch)
            total += phase.algorithm.cost(phase.sizes, FORWARD) if phase.algorithm else 0
        return total

    def data_gradient(self, xp: Any, sizes: Sizes, doutput: Any, weight: Any, ddata: Any, space: Any) -> None:
        for phase in _phases(sizes):
            result = ddata[windows.along(2, *phase.places)]
            if phase.algorithm is None:
                xp.copyto(result, 0)
                continue
            filters, rest, _ = carved(space, phase.spaces)
            taps = sizes.by_group(weight)[windows.along(3, *phase.taps)]
            turn(xp, taps, phase.sizes.by_group(filters))
            source = doutput[windows.along(2, *phase.seen)]
            phase.algorithm.correlate(xp, phase.sizes, source, filters, NOTHING, result, rest)

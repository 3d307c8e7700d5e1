"""The sizes of a convolution, and memory for what its algorithms keep while they run."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from netdef.ops import windows
from netdef.ops.shapes import Full

#: elements that every array in a workspace starts at a multiple of, so that vector loads straddle no lines
ALIGNMENT = 16
#: convolutions whose plans are remembered: making one takes as long as a small convolution
PLANS = 1024


class Sizes(NamedTuple):
    """The sizes of one convolution: data (batch, channels, S...) -> output (batch, filters, O...).

    weight (filters, channels / groups, k...).  There is at least one spatial axis.
    """

    batch: int
    channels: int
    filters: int
    groups: int
    axes: tuple[windows.Axis, ...]

    @property
    def kernel(self) -> Full:
        return tuple(axis.kernel for axis in self.axes)

    @property
    def taps(self) -> int:
        """Elements of one window."""
        return math.prod(self.kernel)

    @property
    def inner(self) -> int:
        """Products that are summed into one element of the output."""
        return self.channels // self.groups * self.taps

    @property
    def counts(self) -> Full:
        """The spatial shape of the output."""
        return tuple(axis.windows for axis in self.axes)

    @property
    def weight(self) -> Full:
        """The shape of the weight."""
        return (self.filters, self.channels // self.groups, *self.kernel)

    @property
    def padded(self) -> Full:
        """The shape of one image with its padding, as far as windows reach."""
        return (self.channels, *windows.padded_shape(self.axes))

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the whole convolution."""
        return self.batch * math.prod(self.counts) * self.filters * self.inner

    @property
    def pointwise(self) -> bool:
        """Whether windows are single elements and visit every one: the data are the columns."""
        return all(axis.kernel == axis.stride == 1 and not axis.pad for axis in self.axes)

    @property
    def turns(self) -> bool:
        """Whether the gradient of the data is a convolution, too: windows that visit every element."""
        return all(
            axis.stride == 1
            and axis.pad <= axis.dilate * (axis.kernel - 1)
            and axis.windows == axis.size + 2 * axis.pad - axis.dilate * (axis.kernel - 1)
            for axis in self.axes
        )

    def turned(self) -> Sizes:
        """The convolution of the output's gradient with the filters the other way round: that of the data."""
        axes = tuple(
            windows.Axis(
                size=axis.windows,
                kernel=axis.kernel,
                stride=1,
                pad=axis.dilate * (axis.kernel - 1) - axis.pad,
                dilate=axis.dilate,
                windows=axis.size,
            )
            for axis in self.axes
        )
        return Sizes(self.batch, self.filters, self.channels, self.groups, axes)

    def by_group(self, array: Any) -> Any:
        """An array (filters, ...) or (channels, ...) as (groups, filters of a group, ...)."""
        return array.reshape(self.groups, -1, *array.shape[1:])

    def by_point(self, filters: Any) -> Any:
        """Filters (points, F, channels) with their groups: (points, groups, filters of a group, channels)."""
        return filters.reshape(filters.shape[0], self.groups, -1, filters.shape[-1])

    def matrices(self, array: Any) -> Any:
        """An array (filters, O..., N) or columns (channels, k..., O..., N) as one matrix for each group."""
        places = -len(self.axes) - 1
        rows = math.prod(array.shape[:places]) // self.groups
        return array.reshape(self.groups, rows, math.prod(array.shape[places:]))

    def by_channel(self, bias: Any, trailing: int) -> Any:
        """A bias, if any, that broadcasts against (..., channels, S...) with `trailing` further axes."""
        return None if bias is None else bias.reshape(-1, *(1,) * (len(self.axes) + trailing))


def room(shapes: Iterable[Full]) -> int:
    """Elements of a workspace from which `carved` cuts arrays of these shapes."""
    return sum(-(-math.prod(shape) // ALIGNMENT) * ALIGNMENT for shape in shapes)


def carved(space: Any, shapes: Iterable[Full]) -> list[Any]:
    """Arrays of these shapes, one after the other in a flat workspace; the rest of it comes last."""
    arrays, start = [], 0
    for shape in shapes:
        arrays.append(windows.carve(space, shape, start))
        start += room([shape])
    return [*arrays, space[start:]]

"""How a convolution is cut into pieces that stay in the cache, and which arrays need no copy for it.

Images are (C, S..., N), the batch last.  A band is some rows of an image with the padding around them.  A
block is some rows of the output, of which one may be cut along the second axis, with all images.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

from netdef.ops import windows
from netdef.ops.arrays import batch_last
from netdef.ops.conv_sizes import Sizes
from netdef.ops.shapes import Full

#: floats in the columns of a block, so that they stay in the second-level cache
BLOCK = 256 * 1024
#: floats in the columns or products of a block where the data themselves are the columns
WHOLE = 512 * 1024
#: floats in a band that is copied, which is read once or twice for each element of a kernel
BAND = 512 * 1024


def neighbours(array: Any, like: Any) -> bool:
    """Whether an array (..., N) has the dtype of another and the images of a batch side by side."""
    return array.dtype == like.dtype and (array.shape[-1] == 1 or array.strides[-1] == array.itemsize)


def joined(array: Any, like: Any) -> bool:
    """Whether an array (F, A...) is, without a copy, a matrix with F rows, and has the dtype of another."""
    step = array.itemsize
    for size, stride in zip(array.shape[:0:-1], array.strides[:0:-1]):
        if size > 1 and stride != step:
            return False
        step *= size
    return array.dtype == like.dtype and array.strides[0] >= step


def in_one_piece(xp: Any, array: Any, space: Any) -> Any:
    """An array (F, A...) as `joined` wants it: itself, or a copy in a workspace."""
    if joined(array, space):
        return array
    copied = windows.carve(space.reshape(-1), array.shape)
    xp.copyto(copied, array)
    return copied


def evenly(count: int, most: int) -> int:
    """The length, one at least, of the fewest equal parts of `count` that have at most `most`."""
    parts = max(1, -(-count // max(1, most)))
    return max(1, -(-count // parts))


def band_of(axis: windows.Axis, rows: slice) -> tuple[windows.Axis, slice]:
    """The axis of the band under some rows of the output, and the elements of the data in it."""
    start = rows.start * axis.stride - axis.pad
    stop = (rows.stop - 1) * axis.stride + axis.dilate * (axis.kernel - 1) + 1 - axis.pad
    first, last = max(0, start), min(axis.size, stop)
    count = rows.stop - rows.start
    if first >= last:
        return axis._replace(size=0, pad=0, windows=count), slice(0, 0)
    return axis._replace(size=last - first, pad=first - start, windows=count), slice(first, last)


def rows_of(sizes: Sizes, begin: int, rows: int) -> tuple[Sizes, slice]:
    """The sizes of the convolution that gives some rows of an output, and the rows of the data under them."""
    first, *others = sizes.axes
    if rows == first.windows:
        return sizes, slice(None)
    axis, here = band_of(first, slice(begin, begin + rows))
    return sizes._replace(axes=(axis, *others)), here


class Bands:
    """The bands of an image, each under `rows` rows of the output."""

    def __init__(self, sizes: Sizes, rows: int) -> None:
        self.sizes, self.rows = sizes, rows

    @staticmethod
    def fitting(sizes: Sizes, step: int) -> Bands:
        """Bands that are not too large, of a multiple of `step` rows."""
        first = sizes.axes[0]
        row = sizes.batch * math.prod(sizes.padded) // first.extent
        reach = first.dilate * (first.kernel - 1) + 1
        rows = ((BAND // max(1, row) - reach) // first.stride + 1) // step * step
        return Bands(sizes, min(first.windows, max(step, rows)))

    @property
    def space(self) -> Full:
        """The shape of a band with all its padding."""
        axis, _ = band_of(self.sizes.axes[0], slice(0, self.rows))
        axes = (axis, *self.sizes.axes[1:])
        return (self.sizes.channels, *windows.padded_shape(axes), self.sizes.batch)

    @property
    def copied(self) -> float:
        """How often a row of the image is copied, about."""
        first = self.sizes.axes[0]
        count = -(-first.windows // self.rows)
        return count * self.space[1] / first.extent

    def of(self, xp: Any, data: Any, space: Any) -> Iterator[tuple[slice, Any, tuple[windows.Axis, ...]]]:
        """The rows of the output, the band of data (N, C, S...) under them, and its axes."""
        count = self.sizes.axes[0].windows
        for start in range(0, count, self.rows):
            rows = slice(start, min(start + self.rows, count))
            yield rows, *self.under(xp, data, rows, space)

    def under(self, xp: Any, data: Any, rows: slice, space: Any) -> tuple[Any, tuple[windows.Axis, ...]]:
        """The band of data (N, C, S...) under some rows of the output, and its axes.

        It is a view of the data where no window leaves them and the batch lies last in memory already.
        """
        first, *others = self.sizes.axes
        axis, here = band_of(first, rows)
        axes = (axis, *others)
        part = data[:, :, here]
        band = batch_last(part)
        if not (windows.inside(axes) and neighbours(band, space)):
            shape = (self.sizes.channels, *windows.padded_shape(axes), self.sizes.batch)
            band = windows.carve(space.reshape(-1), shape)
            windows.load(xp, part, axes, band)
        return band, axes


class Blocks:
    """The blocks of the output: twice as large where columns are `added` up, which takes many calls.

    With `parted`, some filters at a time may be multiplied with the columns of a block.
    """

    def __init__(self, sizes: Sizes, added: bool = False, parted: bool = False) -> None:
        self.sizes = sizes
        count, *others = sizes.counts
        second = others[0] if others else 1
        #: a weight beyond the cache is read for every block, which may be as large
        room = WHOLE if sizes.pointwise else BLOCK * 2 if added else BLOCK
        cached = max(room, sizes.filters * sizes.inner)
        rows = max(sizes.channels, sizes.filters) if sizes.pointwise else sizes.channels * sizes.taps
        #: a block would have fewer columns than filters: it has more, and not all filters at a time
        narrow = parted and sizes.pointwise and sizes.groups == 1 and rows * sizes.filters > cached
        rows = sizes.channels if narrow else rows
        place = max(1, rows * sizes.batch * math.prod(others[1:]))
        self.rows = evenly(count, cached // (place * second))
        self.second = second if place * second <= cached else evenly(second, cached // place)
        self.filters = evenly(sizes.filters, WHOLE // math.prod(self.places)) if narrow else sizes.filters

    @property
    def count(self) -> int:
        """How many blocks there are."""
        first, *others = self.sizes.counts
        return -(-first // self.rows) * (-(-others[0] // self.second) if others else 1)

    @property
    def places(self) -> Full:
        """The shape (O..., N) of the largest block."""
        _, *others = self.sizes.counts
        return (self.rows, *((self.second, *others[1:]) if others else ()), self.sizes.batch)

    @property
    def columns(self) -> Full:
        return (self.sizes.channels, *self.sizes.kernel, *self.places)

    @property
    def product(self) -> Full:
        return (self.filters, *self.places)

    def parts(self) -> Iterator[slice]:
        """The filters that are multiplied at a time."""
        for start in range(0, self.sizes.filters, self.filters):
            yield slice(start, min(start + self.filters, self.sizes.filters))

    def within(self, rows: slice) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
        """The blocks of a band of rows: where each lies along the first axes of band and output."""
        _, *others = self.sizes.counts
        parts: list[tuple[slice, ...]] = [()]
        if others:
            starts = range(0, others[0], self.second)
            parts = [(slice(at, min(at + self.second, others[0])),) for at in starts]
        for start in range(rows.start, rows.stop, self.rows):
            stop = min(start + self.rows, rows.stop)
            for part in parts:
                yield (slice(start - rows.start, stop - rows.start), *part), (slice(start, stop), *part)


def elements_of(axis: windows.Axis, here: slice) -> Iterator[tuple[int, slice, slice]]:
    """Each tap that falls on the input for some of the windows `here`: its number, which of them, and where.

    >>> axis = windows.Axis(size=4, kernel=3, stride=1, pad=1, dilate=1, windows=4)
    >>> list(elements_of(axis, slice(0, 2)))[0]
    (0, slice(1, 2, None), slice(0, 1, 1))
    """
    for tap in range(axis.kernel):
        offset = tap * axis.dilate - axis.pad
        first = max(here.start, -(offset // axis.stride))
        last = min(here.stop, (axis.size - 1 - offset) // axis.stride + 1)
        if first < last:
            start = first * axis.stride + offset
            stop = start + (last - first - 1) * axis.stride + 1
            yield tap, slice(first - here.start, last - here.start), slice(start, stop, axis.stride)


def add_columns(
    xp: Any, columns: Any, there: tuple[slice, ...], axes: tuple[windows.Axis, ...], image: Any
) -> None:
    """Add the columns (C, k..., O..., N) of a block to those elements of an image (C, S..., N) that they saw.

    `there` is where the block lies along the first axes of the output.  Padding gets nothing.  Windows
    overlap in memory, so that taps are added one after the other (col2im); a single tap is copied.
    """
    single = all(axis.kernel == 1 for axis in axes)
    places = (*there, *(slice(0, axis.windows) for axis in axes[len(there) :]))
    for found in itertools.product(*(elements_of(*pair) for pair in zip(axes, places))):
        taps, these, elements = zip(*found)
        part = image[windows.along(1, *elements)]
        seen = columns[windows.along(1, *taps, *these)]
        if single:
            xp.copyto(part, seen)
        else:
            xp.add(part, seen, out=part)

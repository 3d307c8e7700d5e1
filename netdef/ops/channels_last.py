"""Maps with the channels last in memory, (N, H, W, C), as convolutions of them see them.

A pixel is a row of C numbers, and what a window sees of one row of a map lies in one piece: `kernel` * C
numbers.  Strips are these pieces, copied for all windows along W and some rows of the maps; the rows of
a window follow each other in a strip, so that whole windows need no copy of their own (MEC, Cho and Brand
2017).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from netdef.ops import windows
from netdef.ops.arrays import copy_rows, largest_part
from netdef.ops.conv_blocks import evenly
from netdef.ops.epilogue import Epilogue
from netdef.ops.shapes import Full

#: numbers of a row that is long
LONG = 8 * 1024


def channels_last(array: Any) -> Any:
    """The view of an array (N, C, S...) as (N, S..., C)."""
    return array.transpose(0, *range(2, array.ndim), 1)


def pixels(array: Any) -> Any:
    """An array (N, H, W, C) as a matrix with a row for each pixel, if that takes no copy; else None."""
    step = array.itemsize
    if array.shape[-1] > 1 and array.strides[-1] != step:
        return None
    place = 0
    for size, stride in zip(array.shape[-2::-1], array.strides[-2::-1]):
        if size > 1:
            if place and stride != place:
                return None
            place = stride * size
    return array.reshape(-1, array.shape[-1])


def row(filters: int) -> Full:
    """The shape of a bias for several pixels at a time: numpy starts a loop for each row of it."""
    return (max(1, LONG // max(1, filters)), filters)


def repeated(xp: Any, bias: Any, space: Any) -> Any:
    """A bias (F,) for several pixels, in a workspace; None where there is none."""
    if bias is not None:
        xp.copyto(space, bias)
    return None if bias is None else space


def finish(xp: Any, epilogue: Epilogue, sums: Any, result: Any, addend: Any, bias: Any) -> None:
    """`Epilogue.finish` for pixels (..., pixels, F) with a bias for several of them."""
    count, several = sums.shape[-2], 1
    if bias is not None:
        several = max(1, largest_part(count, bias.shape[0]))
        bias = bias[:several]

    def seen(array: Any) -> Any:
        return array.reshape(*array.shape[:-2], count // several, several, array.shape[-1])

    epilogue.finish(xp, seen(sums), seen(result), bias, None if addend is None else seen(addend))


class Block(NamedTuple):
    """Some images, and some rows of the output."""

    images: slice
    rows: slice


class Blocks:
    """The blocks of an output, of at most so many images and rows."""

    def __init__(self, batch: int, count: int, images: int, rows: int) -> None:
        self.batch, self.count = batch, count
        self.images, self.rows = evenly(batch, images), evenly(count, rows)

    @property
    def number(self) -> int:
        return -(-self.batch // self.images) * -(-self.count // self.rows)

    def __iter__(self) -> Iterator[Block]:
        for image in range(0, self.batch, self.images):
            images = slice(image, min(image + self.images, self.batch))
            for row in range(0, self.count, self.rows):
                yield Block(images, slice(row, min(row + self.rows, self.count)))


def strips(xp: Any, data: Any, first: int, axis: windows.Axis, target: Any, band: Any) -> None:
    """Copy what windows along W see in the rows of maps from `first` on, with zeros around.

    data (n, H, W, C); target (n, windows, rows, kernel * C); `band` is a flat workspace of as many numbers as
    these rows have, for data that have not the channels last.
    """
    count, rows = target.shape[0], target.shape[2]
    height, width, channels = data.shape[1:]
    low, high = min(rows, max(0, -first)), max(0, min(rows, height - first))
    high = max(low, high)
    for empty in (target[:, :, :low], target[:, :, high:]):
        if empty.size:
            xp.copyto(empty, 0)
    seen, place = data[:, first + low : first + high], target[:, :, low:high]
    if not place.size:
        return
    item = data.itemsize
    if seen.strides[3] != item or seen.strides[2] != channels * item:
        copied = windows.carve(band, seen.shape)
        xp.copyto(copied, seen)
        seen, item = copied, copied.itemsize
    begin = -(-axis.pad // axis.stride)
    end = min(axis.windows, (width + axis.pad - axis.kernel) // axis.stride + 1)
    if begin < end:
        start = seen[:, :, begin * axis.stride - axis.pad :]
        shape = (count, end - begin, high - low, axis.kernel * channels)
        steps = (seen.strides[0], axis.stride * seen.strides[2], seen.strides[1], item)
        copy_rows(xp, place[:, begin:end], xp.lib.stride_tricks.as_strided(start, shape, steps))
    for window in (*range(min(begin, axis.windows)), *range(max(begin, end), axis.windows)):
        start = window * axis.stride - axis.pad
        left, right = min(width, max(0, start)), max(0, min(width, start + axis.kernel))
        inside = slice((left - start) * channels, (max(left, right) - start) * channels)
        strip = place[:, window]
        for empty in (strip[..., : inside.start], strip[..., inside.stop :]):
            if empty.size:
                xp.copyto(empty, 0)
        if left < right:
            part = seen[:, :, left:right]
            xp.copyto(strip[..., inside], part.reshape(*part.shape[:2], -1))

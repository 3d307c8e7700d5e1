"""Maps with the channels last in memory, (N, H, W, C), as convolutions of them see them.

A pixel is a row of C numbers, and what a window sees of one row of a map lies in one piece: `kernel` * C
numbers.  Strips are these pieces, copied for all windows along W and some rows of the maps; the rows of
a window follow each other in a strip, so that whole windows need no copy of their own (MEC, Cho and Brand
2017).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from netdef.ops import windows
from netdef.ops.arrays import copy_rows, largest_part
from netdef.ops.conv_algorithm import Making
from netdef.ops.conv_blocks import evenly, neighbours
from netdef.ops.conv_sizes import Sizes
from netdef.ops.epilogue import Epilogue
from netdef.ops.shapes import Full

#: numbers of a bias that is repeated, about
LONG = 8 * 1024
#: channels that are laid side by side one after the other: a pixel of so few is a short loop for numpy
FEW = 8


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


class Maps(NamedTuple):
    """What a convolution reads and writes: arrays (n, H, W, C), or matrices with a row for each pixel."""

    data: Any
    output: Any
    addend: Any
    epilogue: Epilogue
    #: the bias for several pixels (pixels, F): numpy starts a loop for each row of it; None: there is none
    bias: Any

    def as_pixels(self) -> Maps | None:
        """The same as matrices, if that takes no copy; else None."""
        data, output = pixels(self.data), pixels(self.output)
        addend = None if self.addend is None else pixels(self.addend)
        if data is None or output is None or (addend is None) != (self.addend is None):
            return None
        return self._replace(data=data, output=output, addend=addend)

    def sums(self, here: Any, space: Any) -> Any:
        """Where the sums of a part of the output are made: in it, where nothing has to be added to them."""
        result = self.output[here]
        direct = self.addend is None and neighbours(result, space) and not _between_others(result)
        return result if direct else windows.carve(space, result.shape)

    def finish(self, xp: Any, sums: Any, here: Any) -> None:
        """Write a part of the output from its sums (..., pixels, F); see `Epilogue.finish`.

        Where each pixel is a row by itself it is copied when all is done: numpy starts a loop for every row.
        """
        several = self._several(sums)
        added, target = _by_pixels(sums, several), self.output[here]
        apart = not xp.may_share_memory(sums, target)
        copies = apart and _between_others(target)
        result = _by_pixels(target, several) if apart and not copies else added
        addend = None if self.addend is None else _by_pixels(self.addend[here], several)
        self.epilogue.finish(xp, added, result, None if self.bias is None else self.bias[:several], addend)
        if copies:
            copy_rows(xp, target, sums)

    def add_bias(self, xp: Any, sums: Any) -> None:
        """Do that alone."""
        if self.bias is not None:
            several = self._several(sums)
            added = _by_pixels(sums, several)
            xp.add(added, self.bias[:several], out=added)

    def _several(self, sums: Any) -> int:
        """For how many pixels at a time a bias is added."""
        return 1 if self.bias is None else max(1, largest_part(sums.shape[-2], self.bias.shape[0]))


def _between_others(array: Any) -> bool:
    """Whether the channels (..., pixels, F) of each pixel lie between others, as in an input of a Concat."""
    *_, pixel, step = array.strides
    *_, pixels, filters = array.shape
    return pixels > 1 and step == array.itemsize and pixel != filters * step


def _by_pixels(array: Any, several: int) -> Any:
    """An array (..., pixels, F) with several pixels side by side, which takes no copy."""
    return array.reshape(*array.shape[:-2], array.shape[-2] // several, several, array.shape[-1])


class ChannelsLast(Making):
    """An algorithm for outputs with the channels last in memory."""

    channels_last = True

    def places(self, sizes: Sizes) -> tuple[Full, ...]:
        """The shapes of what `compute` keeps while it runs."""
        raise NotImplementedError

    def compute(self, xp: Any, sizes: Sizes, maps: Maps, factors: Any, spaces: Sequence[Any]) -> None:
        """`multiply` for maps seen with the channels last."""
        raise NotImplementedError

    def kept(self, sizes: Sizes) -> tuple[Full, ...]:
        several = max(1, LONG // max(1, sizes.filters))
        return (*self.places(sizes), (several, sizes.filters))

    def multiply(
        self,
        xp: Any,
        sizes: Sizes,
        data: Any,
        factors: Any,
        epilogue: Epilogue,
        output: Any,
        spaces: Sequence[Any],
    ) -> None:
        *places, bias = spaces
        if epilogue.bias is not None:
            xp.copyto(bias, epilogue.bias)
        addend = None if epilogue.addend is None else channels_last(epilogue.addend)
        repeated = None if epilogue.bias is None else bias
        maps = Maps(channels_last(data), channels_last(output), addend, epilogue, repeated)
        self.compute(xp, sizes, maps, factors, places)


class ImageBlocks:
    """The blocks of an output, of at most so many images and rows."""

    def __init__(self, batch: int, count: int, images: int, rows: int) -> None:
        self.batch, self.count = batch, count
        self.images, self.rows = evenly(batch, images), evenly(count, rows)

    @property
    def number(self) -> int:
        return -(-self.batch // self.images) * -(-self.count // self.rows)

    def __iter__(self) -> Iterator[tuple[slice, slice]]:
        """The images and the rows of each."""
        for image in range(0, self.batch, self.images):
            images = slice(image, min(image + self.images, self.batch))
            for row in range(0, self.count, self.rows):
                yield images, slice(row, min(row + self.rows, self.count))


def _turn(xp: Any, data: Any, target: Any) -> None:
    """Copy maps (n, H, W, C) to memory that has the channels last."""
    if data.shape[3] > FEW:
        xp.copyto(target, data)
        return
    for channel in range(data.shape[3]):
        xp.copyto(target[..., channel], data[..., channel])


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
        _turn(xp, seen, copied)
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

"""Convolution with fewer multiplications along its last axis, and sums over the rows of the kernel.

Minimal filtering along one axis (`toomcook`; Maji et al. 2019) saves less than along two, but its transforms
multiply an eighth or less: it is the quickest with some dozens of channels.  Each row is cut into tiles of
four outputs, which are transformed to points.  There, the rows lie behind each other in memory, so that what
a row of the output needs of several rows is one matrix, which overlaps the next (MEC, Cho and Brand 2017).

The gradients are the adjoints of these steps: the output's gradient goes to points as the output came from
them, and the data's comes from there as the data went.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from netdef.ops import conv_cost, windows
from netdef.ops.arrays import batch_last, copy_rows
from netdef.ops.conv_algorithm import DATA, FORWARD, WEIGHT, Algorithm
from netdef.ops.conv_blocks import band_of, elements_of, evenly, neighbours
from netdef.ops.conv_sizes import PLANS, Sizes, carved
from netdef.ops.epilogue import NOTHING, Epilogue
from netdef.ops.shapes import Full
from netdef.ops.toomcook import Transforms, transforms

#: outputs of a tile
TILE = 4
#: lengths of filters that the points serve with little loss of digits
KERNELS = range(2, 6)
#: floats of a block at its points, of what is read and of what is made
BLOCK = 256 * 1024
#: floats of a block up to which its points stay in the second-level cache
CACHED = 384 * 1024
#: for each number that a transform reads or writes there, and beyond, in nanoseconds
NEAR, FAR = 0.12, 0.3
#: for each number that is written to the side of others
LAID = 0.4
#: how much longer small products take that sum up hundreds of columns into a few dozen numbers a row
LONG = 1.4


class _Side(NamedTuple):
    """What a pass reads or makes (channels, rows, S): windows of rows, and tiles along the last axis."""

    channels: int
    rows: windows.Axis
    tiles: windows.Axis


class _Pieces:
    """How a pass is cut into blocks of rows of what it makes; for a weight, of the output.

    The source is what the rows are made of: the data, or the output's gradient for the gradient of the data.
    """

    def __init__(self, sizes: Sizes, which: str) -> None:
        last, self.groups = sizes.axes[1], sizes.groups
        self.points = TILE + last.kernel - 1
        count = -(-last.windows // TILE)
        over = windows.Axis(last.size, self.points, TILE, last.pad, 1, count)
        under = windows.Axis(last.windows, TILE, TILE, 0, 1, count)
        seen = sizes.turned() if which == DATA else sizes
        first = seen.axes[0]
        apart = windows.Axis(first.windows, 1, 1, 0, 1, first.windows)
        source, result = (under, over) if which == DATA else (over, under)
        self.source = _Side(seen.channels, first, source)
        self.result = _Side(seen.filters, apart, result)
        #: columns of a row at a point: all tiles of all images
        self.columns = count * sizes.batch
        row = self.points * (sizes.channels + sizes.filters) * self.columns
        #: blocks share rows of the source, which are transformed for each
        self.rows = evenly(first.windows, max(BLOCK // max(1, row), 2 * (first.kernel - 1)))

    @property
    def kernel(self) -> int:
        """Rows of the kernel."""
        return self.source.rows.kernel

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return -(-self.source.rows.windows // self.rows)

    def blocks(self) -> Iterator[slice]:
        """The rows of each block."""
        count = self.source.rows.windows
        for start in range(0, count, self.rows):
            yield slice(start, min(start + self.rows, count))

    def elements(self, side: _Side) -> int:
        """What a block has for each element of a tile, or point."""
        return side.channels * (self.rows + side.rows.kernel - 1) * self.columns

    def transform(
        self,
        xp: Any,
        matrix: Any,
        array: Any,
        side: _Side,
        rows: slice,
        spaces: Sequence[Any],
        by_row: bool = False,
    ) -> Any:
        """What is under some rows, of an array (N, C, rows, S), at its points.

        It is (points, groups, channels of a group, rows, columns), `by_row` with rows before channels.  Tiles
        lie in the first of two workspaces, points in the other one.
        """
        under, here = band_of(side.rows, rows)
        source = batch_last(array[:, :, here])
        source = source.reshape(self.groups, side.channels // self.groups, *source.shape[1:])
        axes = (under, side.tiles)
        lengths = (under.extent, source.shape[1]) if by_row else (source.shape[1], under.extent)
        shape = (side.tiles.kernel, self.groups, *lengths, side.tiles.windows, source.shape[-1])
        tiles = windows.carve(spaces[0], shape)
        seen = tiles.swapaxes(2, 3) if by_row else tiles
        if windows.inside(axes):
            copy_rows(xp, seen, xp.moveaxis(windows.taps(xp, source, axes[1:], 3), 3, 0))
        else:
            self._pad(xp, source, axes, seen)
        points = windows.carve(spaces[1], (self.points, *shape[1:4], self.columns))
        xp.matmul(matrix, tiles.reshape(shape[0], -1), out=points.reshape(self.points, -1))
        return points

    @staticmethod
    def _pad(xp: Any, source: Any, axes: tuple[windows.Axis, windows.Axis], tiles: Any) -> None:
        """Tiles (elements, groups, channels, rows, tiles of a row, N); some reach beyond the source."""
        rows, across = axes
        for border in (slice(0, rows.pad), slice(rows.pad + rows.size, rows.extent)):
            if border.start < border.stop:
                xp.copyto(tiles[:, :, :, border], 0)
        inner = tiles[:, :, :, rows.interior]
        for part, (here, places) in zip(inner, _taps(across)):
            for border in (slice(0, here.start), slice(here.stop, across.windows)):
                if border.start < border.stop:
                    xp.copyto(part[:, :, :, border], 0)
            copy_rows(xp, part[:, :, :, here], source[:, :, :, places])

    def filter(self, xp: Any, filters: Any, points: Any, space: Any) -> Any:
        """Each row of the result at its points, from (points, groups, rows, channels, columns).

        filters (points, groups, channels of the result, kernel rows * channels)
        """
        point, group, row, _, item = points.strides
        rows = points.shape[2] + 1 - self.kernel
        shape = (*points.shape[:2], rows, filters.shape[3], self.columns)
        steps = (point, group, row, self.columns * item, item)
        seen = xp.lib.stride_tricks.as_strided(points, shape, steps)
        products = windows.carve(space, (*shape[:3], filters.shape[2], self.columns))
        xp.matmul(filters[:, :, None], seen, out=products)
        return products

    def spread(self, xp: Any, matrix: Any, products: Any, space: Any, target: Any) -> None:
        """Rows at their points back to tiles, which are added up in the target (C, rows, S, N)."""
        axis, groups, batch = self.result.tiles, self.groups, target.shape[-1]
        tiles = windows.carve(space, (axis.kernel, *products.shape[1:4], axis.windows, batch))
        xp.matmul(matrix, products.reshape(self.points, -1), out=tiles.reshape(axis.kernel, -1))
        target = target.reshape(groups, -1, *target.shape[1:]).swapaxes(1, 2)
        first = slice(axis.pad, axis.pad + TILE)
        self._lay(xp, tiles[first], target)
        for tap, (here, places) in enumerate(_taps(axis)):
            if not first.start <= tap < first.stop:
                part = target[:, :, :, places]
                xp.add(part, tiles[tap][:, :, :, here], out=part)

    @staticmethod
    def _lay(xp: Any, tiles: Any, target: Any) -> None:
        """Write tiles (elements, groups, rows, C, tiles, N) side by side; what they do not reach is 0.

        All elements at once take half the time of one after the other, which would fetch memory for each.
        """
        count = min(tiles.shape[4], target.shape[3] // TILE)
        covered, rest = target[:, :, :, : count * TILE], target[:, :, :, count * TILE :]
        places = covered.reshape(*target.shape[:3], count, TILE, target.shape[-1])
        copy_rows(xp, places, xp.moveaxis(tiles[:, :, :, :, :count], 0, 4))
        if count < tiles.shape[4]:
            xp.copyto(rest, xp.moveaxis(tiles[: rest.shape[3], :, :, :, count], 0, 3))
        elif rest.size:
            xp.copyto(rest, 0)


@functools.lru_cache(PLANS)
def _taps(axis: windows.Axis) -> list[tuple[slice, slice]]:
    """For each element of a tile, in which tiles it falls on the axis, and on what elements."""
    found = [(slice(0, 0), slice(0, 0))] * axis.kernel
    for tap, here, places in elements_of(axis, slice(0, axis.windows)):
        found[tap] = here, places
    return found


@functools.lru_cache(PLANS)
def _plan(sizes: Sizes, which: str) -> tuple[_Pieces, tuple[Full, ...]]:
    """How a pass is cut, and the shapes of what it keeps.

    They are tiles and points by turns, then, for an output or the gradient of data, rows that are made
    elsewhere, the filters at their points and a copy of them; for a weight, the points of the output's
    gradient and two sums at points.
    """
    pieces = _Pieces(sizes, which)
    source, result = pieces.source, pieces.result
    weight = math.prod(sizes.weight)
    filters = (pieces.points * weight // sizes.axes[1].kernel,)
    tiles = [side.tiles.kernel * pieces.elements(side) for side in (source, result)]
    points = [pieces.points * pieces.elements(side) for side in (source, result)]
    if which == WEIGHT:
        return pieces, ((max(tiles),), (points[0],), (points[1],), filters, filters)
    below = (result.channels, pieces.rows, result.tiles.size, sizes.batch)
    return pieces, ((max(tiles[0], points[1]),), (max(points[0], tiles[1]),), below, filters, (weight,))


class Winograd1D(Algorithm):
    """F(4, 2) to F(4, 5) along the last of two axes, for windows next to each other without dilation."""

    name = "winograd1d"

    def serves(self, sizes: Sizes, which: str) -> bool:
        if len(sizes.axes) != 2 or (which == DATA and not sizes.turns):
            return False
        close = all(axis.stride == axis.dilate == 1 for axis in sizes.axes)
        return close and sizes.axes[1].kernel in KERNELS

    def spaces(self, sizes: Sizes, which: str) -> tuple[Full, ...]:
        return _plan(sizes, which)[1]

    def cost(self, sizes: Sizes, which: str) -> float:
        pieces, _ = _plan(sizes, which)
        source, result, count = pieces.source, pieces.result, pieces.count
        groups, points = sizes.groups, pieces.points
        inner, filters = source.channels / groups, result.channels / groups
        others = count * 16 * conv_cost.CALL
        block = points * (pieces.elements(source) + pieces.elements(result))
        moved = NEAR if block <= CACHED else FAR
        for side in (source, result):
            others += count * (points + side.tiles.kernel) * pieces.elements(side) * moved
        read, made = (count * pieces.elements(side) for side in (source, result))
        others += conv_cost.copied(read * source.tiles.kernel, sizes.batch) + made * TILE * LAID
        overlapping = made * (result.tiles.kernel - TILE)
        others += conv_cost.added(overlapping, sizes.batch) + overlapping * conv_cost.FETCH
        if which == WEIGHT:
            others += count * points * math.prod(sizes.weight) / sizes.axes[1].kernel * conv_cost.ADD
            products = count * points * groups * pieces.kernel
            larger, smaller = max(inner, filters), min(inner, filters)
            return others + LONG * conv_cost.small(products, larger, smaller, pieces.rows * pieces.columns)
        others += points * groups * conv_cost.OTHER_WEIGHT
        products = points * groups * source.rows.windows
        return others + conv_cost.small(products, filters, pieces.columns, pieces.kernel * inner)

    def correlate(
        self, xp: Any, sizes: Sizes, data: Any, weight: Any, epilogue: Epilogue, output: Any, space: Any
    ) -> None:
        by_row = sizes.by_group(weight).transpose(0, 1, 3, 2, 4)
        self._run(xp, sizes, FORWARD, data, by_row, epilogue, output, space)

    def data_gradient(self, xp: Any, sizes: Sizes, doutput: Any, weight: Any, ddata: Any, space: Any) -> None:
        """Each row of the data gets something of as many rows of the output as the kernel has."""
        by_row = sizes.by_group(weight)[:, :, :, ::-1].transpose(0, 2, 3, 1, 4)
        self._run(xp, sizes, DATA, doutput, by_row, NOTHING, ddata, space)

    def _run(
        self,
        xp: Any,
        sizes: Sizes,
        which: str,
        source: Any,
        weight: Any,
        epilogue: Epilogue,
        result: Any,
        space: Any,
    ) -> None:
        """The output, or the data's gradient, with the weight as `_filters` wants it."""
        pieces, shapes = _plan(sizes, which)
        *spaces, below, filters, copied, _ = carved(space, shapes)
        change = transforms(xp, sizes.kernel[1:], pieces.points, space.dtype.name)
        there, back = (change.heads, change.data.T) if which == DATA else (change.data, change.output)
        matrix = self._filters(xp, change, weight, copied, filters)
        target = batch_last(result)
        direct = epilogue.addend is None and neighbours(target, space)
        bias, addend = sizes.by_channel(epilogue.bias, 1), epilogue.last
        for rows in pieces.blocks():
            points = pieces.transform(xp, there, source, pieces.source, rows, spaces, by_row=True)
            products = pieces.filter(xp, matrix, points, spaces[0])
            part = target[:, rows]
            sums = part if direct else windows.carve(below.reshape(-1), part.shape)
            pieces.spread(xp, back, products, spaces[1], sums)
            epilogue.finish(xp, sums, part, bias, None if addend is None else addend[:, rows])

    @staticmethod
    def _filters(xp: Any, change: Transforms, weight: Any, copied: Any, filters: Any) -> Any:
        """A weight (groups, rows of a matrix, kernel rows, inner, taps) at its points, a matrix for each."""
        taps = windows.carve(copied, (weight.shape[-1], *weight.shape[:-1]))
        xp.copyto(taps, xp.moveaxis(weight, -1, 0))
        points = len(change.weight)
        xp.matmul(change.weight, taps.reshape(len(taps), -1), out=filters.reshape(points, -1))
        return filters.reshape(points, *weight.shape[:2], -1)

    def weight_gradient(
        self, xp: Any, sizes: Sizes, doutput: Any, data: Any, dweight: Any, space: Any
    ) -> None:
        """Summed at the points: one product for each, and each row of the kernel."""
        pieces, shapes = _plan(sizes, WEIGHT)
        tiles, points, heads, share, total, _ = carved(space, shapes)
        change = transforms(xp, sizes.kernel[1:], pieces.points, space.dtype.name)
        inner, filters = sizes.channels // sizes.groups, sizes.filters // sizes.groups
        # OpenBLAS is quicker with the larger number of rows first
        turned = filters < inner
        matrix = (inner, filters) if turned else (filters, inner)
        shape = (pieces.points, sizes.groups, pieces.kernel, *matrix)
        share, total = share.reshape(shape), total.reshape(shape)
        sums = total
        for rows in pieces.blocks():
            below = pieces.transform(xp, change.data, data, pieces.source, rows, (tiles, points))
            above = pieces.transform(xp, change.heads, doutput, pieces.result, rows, (tiles, heads))
            point, group, channel, row, item = below.strides
            length = (rows.stop - rows.start) * pieces.columns
            steps = (point, group, row, channel, item)
            left = xp.lib.stride_tricks.as_strided(below, (*shape[:3], inner, length), steps)
            right = above.reshape(*above.shape[:3], length)[:, :, None]
            left, right = (left, right) if turned else (right, left)
            xp.matmul(left, right.swapaxes(3, 4), out=sums)
            if sums is share:
                xp.add(total, share, out=total)
            sums = share
        taps = windows.carve(share.reshape(-1), (sizes.kernel[1], *shape[1:]))
        xp.matmul(change.weight.T, total.reshape(pieces.points, -1), out=taps.reshape(len(taps), -1))
        by_filter = taps.swapaxes(3, 4) if turned else taps
        xp.copyto(sizes.by_group(dweight), by_filter.transpose(1, 3, 4, 2, 0))

"""Convolution as many small products of matrices that overlap in memory.

im2col copies every element once for each element of the kernel.  Where the rows of an image lie behind each
other, the kernel's rows are neighbours already: the matrix of one row of the output is a view that overlaps
that of the next (MEC, Cho and Brand 2017, with the batch last).  A row is cut into chunks of a few dozen
windows and images, each with its rows in one piece: products of such small matrices are made without packing
them, which with few filters takes as long as the multiplication.

For the gradient of the weight rows are not cut: what each gives is summed up.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from netdef.ops import conv_blocks, conv_cost, windows
from netdef.ops.arrays import batch_last, copy_rows
from netdef.ops.conv_algorithm import DATA, FORWARD, WEIGHT, Turning
from netdef.ops.conv_blocks import Bands, evenly, in_one_piece, joined
from netdef.ops.conv_sizes import PLANS, Sizes, carved
from netdef.ops.epilogue import Epilogue
from netdef.ops.shapes import Full

#: columns that a product should have at most
COLUMNS = 96
#: how much longer small products take that sum up the hundreds of columns of a row
LONG = 1.1


class _Pieces:
    """How the output is cut: bands of rows, chunks along the last axis, and blocks of chunks."""

    def __init__(self, sizes: Sizes, which: str) -> None:
        self.sizes, self.first = sizes, sizes.axes[0]
        self.rank = len(sizes.axes)
        count = sizes.counts[-1]
        #: windows of a chunk; a row that has several other axes, or none, is not cut
        self.width = count if self.rank > 1 else 1
        if self.rank == 2 and which == FORWARD:
            self.width = self._width(count)
        self.columns = self.width * math.prod(sizes.counts[1:-1]) * sizes.batch
        self.chunks = count // self.width if self.rank == 2 else 1
        row = max(1, sizes.channels * math.prod(sizes.kernel[1:]) * self.columns)
        most = (conv_blocks.BLOCK // row - self.first.kernel) // self.first.stride + 1
        self.bands = Bands.fitting(sizes, 1)
        self.bands = Bands(sizes, evenly(self.first.windows, min(self.bands.rows, most)))
        self.block = evenly(self.chunks, conv_blocks.BLOCK // (row * self.bands.space[1]))

    def _width(self, count: int) -> int:
        """The largest divisor of a row that makes a chunk no wider than it should be."""
        return max(
            width
            for width in range(1, count + 1)
            if count % width == 0 and (width == 1 or width * self.sizes.batch <= COLUMNS)
        )

    def overlapping(self, xp: Any, band: Any) -> Any:
        """The matrices (chunks, rows, groups, inner, columns) of chunks (chunks, groups, rows, C, k...)."""
        chunk, group, row = band.strides[:3]
        item = band.itemsize
        rows = (band.shape[2] - self.first.kernel) // self.first.stride + 1
        shape = (band.shape[0], rows, self.sizes.groups, self.sizes.inner, self.columns)
        steps = (chunk, row * self.first.stride, group, self.columns * item, item)
        return xp.lib.stride_tricks.as_strided(band, shape, steps)

    def chunked(self, xp: Any, band: Any, axes: tuple[windows.Axis, ...]) -> Any:
        """A band (C, S..., N) as (chunks, groups, rows, channels of a group, k..., places..., N)."""
        groups = self.sizes.groups
        taps = windows.taps(xp, band, axes[1:], 2)
        apart = taps.reshape(groups, -1, *taps.shape[1:]).swapaxes(1, 2)
        return self._chunks(xp, apart, apart.ndim - 2)

    def results(self, xp: Any, target: Any) -> Any:
        """Rows of the output (F, O..., N) as (chunks, rows, groups, filters of a group, places..., N)."""
        apart = target.reshape(self.sizes.groups, -1, *target.shape[1:])
        return self._chunks(xp, xp.moveaxis(apart, 2, 0), apart.ndim - 2)

    def _chunks(self, xp: Any, array: Any, axis: int) -> Any:
        """The axis (chunks * width) made two, of which the chunks come first of all."""
        if self.rank == 1:
            return array[None]
        shape = (*array.shape[:axis], self.chunks, self.width, *array.shape[axis + 1 :])
        return xp.moveaxis(array.reshape(shape), axis, 0)

    def spaces(self) -> tuple[Full, ...]:
        """A band of the image, the bands of a block of chunks, and as many rows of the output."""
        sizes = self.sizes
        shape = (self.bands.space[1], sizes.channels * math.prod(sizes.kernel[1:]), self.columns)
        rows = (self.block, self.bands.rows, sizes.filters, self.columns)
        return self.bands.space, (self.block, *shape), rows


@functools.lru_cache(PLANS)
def _plan(sizes: Sizes, which: str) -> tuple[_Pieces, tuple[Full, ...]]:
    """How a pass is cut, and the shapes of what it keeps."""
    pieces = _Pieces(sizes, which)
    matrix = (sizes.groups, sizes.filters // sizes.groups, sizes.inner)
    if which == FORWARD:
        return pieces, (*pieces.spaces(), matrix)
    sums = (sizes.groups, sizes.inner, sizes.filters // sizes.groups)
    return pieces, (*pieces.spaces(), (pieces.bands.rows, *sums), sums, sums)


class Overlap(Turning):
    """One product for each row of the output, chunk and group, whose rows lie behind each other.

    Best with few filters and channels.
    """

    name = "overlap"

    def serves(self, sizes: Sizes, which: str) -> bool:
        if which == DATA:
            return super().serves(sizes, which)
        return sizes.kernel[0] > 1 and sizes.axes[0].dilate == 1

    def cost(self, sizes: Sizes, which: str) -> float:
        if which == DATA:
            return super().cost(sizes, which)
        pieces, _ = _plan(sizes, which)
        bands = -(-pieces.first.windows // pieces.bands.rows)
        blocks = bands * -(-pieces.chunks // pieces.block)
        row = pieces.chunks * sizes.channels * math.prod(sizes.kernel[1:]) * pieces.columns
        elements = row * pieces.bands.space[1] * bands
        copies = conv_cost.band(sizes, pieces.bands) + blocks * 12 * conv_cost.CALL
        copies += conv_cost.copied(elements, min(pieces.columns, conv_cost.run(sizes)))
        copies += elements * conv_cost.AGAIN
        count, filters = pieces.chunks * pieces.first.windows * sizes.groups, sizes.filters / sizes.groups
        if which == WEIGHT:
            sums = count * sizes.inner * filters * conv_cost.ADD
            return copies + sums + LONG * conv_cost.small(count, sizes.inner, filters, pieces.columns)
        if sizes.groups > 1:
            copies += count * conv_cost.OTHER_WEIGHT
        return copies + conv_cost.small(count, filters, pieces.columns, sizes.inner)

    def spaces(self, sizes: Sizes, which: str) -> tuple[Full, ...]:
        if which == DATA:
            return super().spaces(sizes, which)
        return _plan(sizes, which)[1]

    def correlate(
        self, xp: Any, sizes: Sizes, data: Any, weight: Any, epilogue: Epilogue, output: Any, space: Any
    ) -> None:
        pieces, shapes = _plan(sizes, FORWARD)
        image, matrices, product, matrix, _ = carved(space, shapes)
        first, *others = sizes.kernel
        rows_first = matrix.reshape(*matrix.shape[:2], first, -1, *others)
        xp.copyto(xp.moveaxis(rows_first, 2, 3), sizes.by_group(weight))
        target, addend = batch_last(output), epilogue.last
        direct = epilogue.addend is None and joined(target, space)
        for rows, band, axes in pieces.bands.of(xp, data, image):
            seen, results = pieces.chunked(xp, band, axes), pieces.results(xp, target[:, rows])
            added = None if addend is None else pieces.results(xp, addend[:, rows])
            for start in range(0, pieces.chunks, pieces.block):
                block = slice(start, min(start + pieces.block, pieces.chunks))
                part, result = seen[block], results[block]
                here = windows.carve(matrices.reshape(-1), part.shape)
                copy_rows(xp, here, part)
                products = result if direct else windows.carve(product.reshape(-1), result.shape)
                flat = products.reshape(*products.shape[:4], -1)
                xp.matmul(matrix, pieces.overlapping(xp, here), out=flat)
                if not direct:
                    bias = sizes.by_channel(epilogue.bias, 0)
                    bias = None if bias is None else bias.reshape(sizes.groups, -1, *bias.shape[1:])
                    epilogue.finish(xp, products, result, bias, None if added is None else added[block])
            if direct:  # the rows of a band are longer than those of a chunk
                part = target[:, rows]
                epilogue.finish(xp, part, part, sizes.by_channel(epilogue.bias, 1), None)

    def weight_gradient(
        self, xp: Any, sizes: Sizes, doutput: Any, data: Any, dweight: Any, space: Any
    ) -> None:
        pieces, shapes = _plan(sizes, WEIGHT)
        image, matrices, product, each, share, total, _ = carved(space, shapes)
        xp.copyto(total, 0)
        source = batch_last(doutput)
        for rows, band, axes in pieces.bands.of(xp, data, image):
            seen = pieces.chunked(xp, band, axes)
            here = windows.carve(matrices.reshape(-1), seen.shape)
            copy_rows(xp, here, seen)
            heads = in_one_piece(xp, source[:, rows], product)
            apart = heads.reshape(sizes.groups, -1, rows.stop - rows.start, pieces.columns)
            sums = each[: rows.stop - rows.start]
            xp.matmul(pieces.overlapping(xp, here)[0], apart.transpose(2, 0, 3, 1), out=sums)
            xp.sum(sums, axis=0, out=share)
            xp.add(total, share, out=total)
        first, *others = sizes.kernel
        by_row = total.reshape(sizes.groups, first, -1, *others, share.shape[2])
        xp.copyto(sizes.by_group(dweight), xp.moveaxis(xp.moveaxis(by_row, -1, 1), 2, 3))

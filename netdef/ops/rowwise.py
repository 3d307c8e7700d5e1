"""Convolution row by row: columns along all axes but the first, and sums of rows along that.

im2col copies every element once for each element of the kernel.  Here it is copied once for each element of
one row of the kernel, and multiplied with all rows of the filters at a time; what a row of the data gives to
the rows of the output above and below it is added there (shift and add, as in kn2row: Vasudevan, Anderson and
Gregg 2017, with the columns of the other axes).  Rows of padding are not computed at all.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

from netdef.ops import conv_cost, windows
from netdef.ops.arrays import batch_last, copy_rows
from netdef.ops.conv_algorithm import DATA, FORWARD, WEIGHT, Turning
from netdef.ops.conv_blocks import Bands, evenly, in_one_piece, neighbours
from netdef.ops.conv_sizes import PLANS, Sizes, carved
from netdef.ops.epilogue import Epilogue
from netdef.ops.im2col import Im2Col, cut, most_parts, parts_of
from netdef.ops.shapes import Full

#: floats in the columns or products of a block
BLOCK = 192 * 1024
#: how much longer sums in the output take than others: it has left the first-level cache in between
FAR = 2.5
#: what serves outputs that have not the batch last in memory
COLUMNS = Im2Col()


class _Pieces:
    """How the rows of the data are cut into blocks."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        first, *others = sizes.axes
        self.kernel = first.kernel
        #: the rows of the data as windows of one element each, with the other axes as they are
        rows = windows.Axis(first.size, 1, 1, 0, 1, first.size)
        single = sizes._replace(axes=(rows, *others))
        #: elements of a row of one channel or filter of the output
        self.row = math.prod(sizes.counts[1:]) * sizes.batch
        #: rows of the matrix of columns, for all groups
        self.inner = single.channels * single.taps
        largest = max(self.inner, sizes.filters * self.kernel) * self.row
        self.rows = evenly(first.size, BLOCK // max(1, largest))
        self.bands = Bands(single, self.rows)

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return -(-self.sizes.axes[0].size // self.rows)

    def spaces(self, which: str) -> tuple[Full, ...]:
        """A band of the data, columns, products or heads, and filters; for weights, their sums twice."""
        sizes, columns = self.sizes, self.rows * self.row
        band, matrix = self.bands.space, math.prod(sizes.weight)
        if which == WEIGHT:
            one = matrix // self.kernel
            share = one * most_parts(one // sizes.groups, columns)
            return band, (self.inner * columns,), (sizes.filters * columns,), (share,), (matrix,)
        return band, (self.inner * columns,), (sizes.filters * self.kernel * columns,), (matrix,)

    def blocks(self, xp: Any, data: Any, band: Any, columns: Any) -> Iterator[tuple[slice, Any]]:
        """Each block of rows of the data and its columns (groups, inner of a group, rows, O'..., N)."""
        groups = self.sizes.groups
        for rows, part, axes in self.bands.of(xp, data, band):
            seen = windows.taps(xp, part, axes, 1)
            copied = windows.carve(columns, seen.shape)
            copy_rows(xp, copied, seen)
            places = seen.shape[1 + len(axes) :]
            yield rows, copied.reshape(groups, self.inner // groups, *places)

    def shifts(self, rows: slice) -> Iterator[tuple[int, slice, slice]]:
        """For each row of the kernel, which rows of a block give something to which rows of the output."""
        first = self.sizes.axes[0]
        for tap in range(self.kernel):
            shift = first.pad - tap * first.dilate
            start, stop = max(0, rows.start + shift), min(first.windows, rows.stop + shift)
            if start < stop:
                here = slice(start - shift - rows.start, stop - shift - rows.start)
                yield tap, here, slice(start, stop)


@functools.lru_cache(PLANS)
def _pieces(sizes: Sizes) -> _Pieces:
    return _Pieces(sizes)


class RowWise(Turning):
    """One product for each block of rows and group, and as many sums as the kernel has rows."""

    name = "rowwise"
    #: it sums in the output itself
    in_place = True

    def serves(self, sizes: Sizes, which: str) -> bool:
        if which == DATA:
            return super().serves(sizes, which)
        return len(sizes.axes) > 1 and sizes.axes[0].stride == 1 and sizes.kernel[0] > 1

    def spaces(self, sizes: Sizes, which: str) -> tuple[Full, ...]:
        return super().spaces(sizes, which) if which == DATA else _pieces(sizes).spaces(which)

    def room(self, sizes: Sizes, which: str) -> int:
        most = super().room(sizes, which)
        return max(most, COLUMNS.room(sizes, which)) if which == FORWARD else most

    def cost(self, sizes: Sizes, which: str) -> float:
        if which == DATA:
            return super().cost(sizes, which)
        pieces = _pieces(sizes)
        count, columns = pieces.count, pieces.rows * pieces.row
        single = pieces.bands.sizes
        height = single.axes[0].size
        copies = conv_cost.band(single, pieces.bands)
        copies += conv_cost.copied(pieces.inner * height * pieces.row, conv_cost.run(single))
        inner, filters = pieces.inner / sizes.groups, sizes.filters / sizes.groups
        if which == WEIGHT:
            products = conv_cost.product(count * pieces.kernel * sizes.groups, inner, filters, columns)
            sums = count * math.prod(sizes.weight) * conv_cost.ADD
            return count * 6 * pieces.kernel * conv_cost.CALL + copies + sums + products
        products = conv_cost.product(count * sizes.groups, filters * pieces.kernel, columns, inner)
        added = (height * pieces.kernel + sizes.counts[0]) * sizes.filters * pieces.row
        calls = count * (2 * pieces.kernel + 12) * conv_cost.CALL
        return calls + copies + products + FAR * conv_cost.added(added, pieces.row)

    def correlate(
        self, xp: Any, sizes: Sizes, data: Any, weight: Any, epilogue: Epilogue, output: Any, space: Any
    ) -> None:
        """The rows of the output begin as what is added to them, and are finished once none adds more."""
        target = batch_last(output)
        if not neighbours(target, space):
            COLUMNS.correlate(xp, sizes, data, weight, epilogue, output, space)
            return
        pieces, first = _pieces(sizes), sizes.axes[0]
        band, columns, products, matrix, _ = carved(space, pieces.spaces(FORWARD))
        filters = sizes.filters // sizes.groups
        by_row = (sizes.groups, pieces.kernel, filters, sizes.channels // sizes.groups, *sizes.kernel[1:])
        xp.copyto(matrix.reshape(by_row), xp.moveaxis(sizes.by_group(weight), 3, 1))
        matrix = matrix.reshape(sizes.groups, pieces.kernel * filters, -1)
        bias, addend = sizes.by_channel(epilogue.bias, 1), epilogue.last
        sums = sizes.by_group(target)
        begun = ended = 0
        for rows, cols in pieces.blocks(xp, data, band, columns):
            begin, begun = begun, min(first.windows, rows.stop + first.pad)
            part = target[:, begin:begun]
            epilogue.begin(xp, part, bias, None if addend is None else addend[:, begin:begun])
            product = windows.carve(products, (sizes.groups, pieces.kernel, filters, *cols.shape[2:]))
            flat = cols.reshape(*cols.shape[:2], -1)
            xp.matmul(matrix, flat, out=product.reshape(*matrix.shape[:2], flat.shape[-1]))
            for tap, here, there in pieces.shifts(rows):
                part = sums[:, :, there]
                xp.add(part, product[:, tap, :, here], out=part)
            end, ended = ended, max(ended, begun - first.dilate * (first.kernel - 1))
            epilogue.end(xp, target[:, end:ended])
        rest = target[:, begun:]
        epilogue.begin(xp, rest, bias, None if addend is None else addend[:, begun:])
        epilogue.end(xp, target[:, ended:])

    def weight_gradient(
        self, xp: Any, sizes: Sizes, doutput: Any, data: Any, dweight: Any, space: Any
    ) -> None:
        pieces = _pieces(sizes)
        band, columns, product, share, total, _ = carved(space, pieces.spaces(WEIGHT))
        filters, groups = sizes.filters // sizes.groups, sizes.groups
        shape = (groups, sizes.inner // pieces.kernel, filters)
        total = total.reshape(pieces.kernel, *shape)
        xp.copyto(total, 0)
        source = batch_last(doutput)
        for rows, cols in pieces.blocks(xp, data, band, columns):
            for tap, here, there in pieces.shifts(rows):
                heads = in_one_piece(xp, source[:, there], product)
                seen = cols[:, :, here]
                length = (here.stop - here.start) * pieces.row
                parts = parts_of(shape[1] * filters, length)
                left = cut(seen.reshape(*seen.shape[:2], -1), parts)
                right = cut(heads.reshape(groups, filters, -1), parts)
                sums = windows.carve(share, (parts, *shape))
                xp.matmul(left, right.swapaxes(2, 3), out=sums)
                for part in sums:
                    xp.add(total[tap], part, out=total[tap])
        whole = total.reshape(pieces.kernel, groups, -1, *sizes.kernel[1:], filters)
        order = (1, whole.ndim - 1, 2, 0, *range(3, whole.ndim - 1))
        xp.copyto(sizes.by_group(dweight), whole.transpose(order))

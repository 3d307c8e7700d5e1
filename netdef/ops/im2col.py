"""Convolution as products of matrices whose columns are windows (im2col, Chellapilla et al. 2006), in blocks.

The columns of a block are copied from an image with the batch last.  Its product is written to the output,
and read from the output's gradient, where that has the batch last, too; elsewhere it is copied.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

from netdef.ops import conv_blocks, conv_cost, windows
from netdef.ops.arrays import batch_last, copy_rows
from netdef.ops.conv_algorithm import DATA, FORWARD, WEIGHT, Algorithm, Turning
from netdef.ops.conv_blocks import (
    Bands,
    Blocks,
    add_columns,
    evenly,
    in_one_piece,
    joined,
    neighbours,
)
from netdef.ops.conv_sizes import PLANS, Sizes, carved
from netdef.ops.epilogue import Epilogue
from netdef.ops.shapes import Full

#: filters of a group from which the gradient of a weight is multiplied in the weight's own order
MANY = 128
#: elements of the largest weight whose gradient OpenBLAS makes without packing, from at most so many columns
TINY, UNPACKED = 1200, 1024


class _Plan(NamedTuple):
    """How a pass is cut, and the shapes of what it keeps."""

    blocks: Blocks
    bands: Bands
    spaces: tuple[Full, ...]


@functools.lru_cache(PLANS)
def _plan(sizes: Sizes, which: str) -> _Plan:
    blocks = Blocks(sizes, added=which == DATA, parted=which == FORWARD)
    bands = Bands.fitting(sizes, blocks.rows)
    sums: tuple[Full, ...] = ()
    if which == WEIGHT:
        total = sizes.filters * sizes.inner
        parts = most_parts(total // sizes.groups, math.prod(blocks.places))
        sums = ((parts * total,), (total,))
    return _Plan(blocks, bands, (bands.space, blocks.columns, blocks.product, *sums))


@functools.lru_cache(PLANS)
def parts_of(weight: int, columns: int) -> int:
    """In how many equal parts the columns of a block are multiplied for the gradient of a group's weight."""
    if not 0 < weight <= TINY:
        return 1
    least = -(-columns // UNPACKED)
    most = most_parts(weight, columns)
    return next((parts for parts in range(max(1, least), most + 1) if columns % parts == 0), 1)


def cut(matrices: Any, parts: int) -> Any:
    """Matrices (groups, rows, columns) cut along their columns: (parts, groups, rows, columns of a part)."""
    groups, rows, columns = matrices.shape
    return matrices.reshape(groups, rows, parts, columns // parts).transpose(2, 0, 1, 3)


def most_parts(weight: int, columns: int) -> int:
    """The most parts that there may be with so many columns or fewer."""
    return 4 * -(-columns // UNPACKED) if weight <= TINY else 1


class Im2Col(Turning):
    """One product for each block and group."""

    name = "im2col"

    def spaces(self, sizes: Sizes, which: str) -> tuple[Full, ...]:
        if which == DATA:
            return super().spaces(sizes, which)
        return _plan(sizes, which).spaces

    def cost(self, sizes: Sizes, which: str) -> float:
        if which == DATA:
            return super().cost(sizes, which)
        blocks, bands, _ = _plan(sizes, which)
        copies = conv_cost.band(sizes, bands) + conv_cost.columns(sizes)
        if which == FORWARD:
            return copies + conv_cost.products(sizes, blocks.count, "fwi")
        sums = (blocks.count - 1) * sizes.filters * sizes.inner * conv_cost.ADD
        return copies + sums + conv_cost.products(sizes, blocks.count, "ifw")

    @staticmethod
    def _columns(xp: Any, sizes: Sizes, seen: Any, columns: Any) -> Any:
        """What the windows of a block see, as columns."""
        if sizes.pointwise and joined(seen, columns):
            return seen
        copied = windows.carve(columns.reshape(-1), seen.shape)
        copy_rows(xp, copied, seen)
        return copied

    def correlate(
        self, xp: Any, sizes: Sizes, data: Any, weight: Any, epilogue: Epilogue, output: Any, space: Any
    ) -> None:
        """Products are made in the output where that has no addend, whose memory it may be."""
        rank = len(sizes.axes)
        blocks, bands, shapes = _plan(sizes, FORWARD)
        image, columns, product, _ = carved(space, shapes)
        matrix, target = weight.reshape(sizes.groups, -1, sizes.inner), batch_last(output)
        bias, addend = sizes.by_channel(epilogue.bias, 1), epilogue.last
        for rows, band, axes in bands.of(xp, data, image):
            taps = windows.taps(xp, band, axes, 1)
            for here, there in blocks.within(rows):
                cols = sizes.matrices(self._columns(xp, sizes, taps[windows.along(1 + rank, *here)], columns))
                for part in blocks.parts():
                    place = (part, *there)
                    result = target[place]
                    direct = addend is None and joined(result, space)
                    products = result if direct else windows.carve(product.reshape(-1), result.shape)
                    xp.matmul(matrix[:, part], cols, out=sizes.matrices(products))
                    epilogue.finish(
                        xp,
                        products,
                        result,
                        None if bias is None else bias[part],
                        None if addend is None else addend[place],
                    )

    def weight_gradient(
        self, xp: Any, sizes: Sizes, doutput: Any, data: Any, dweight: Any, space: Any
    ) -> None:
        """Sums are (groups, inner, filters) where filters are few: OpenBLAS is quicker that way round."""
        rank = len(sizes.axes)
        blocks, bands, shapes = _plan(sizes, WEIGHT)
        image, columns, product, share, total, _ = carved(space, shapes)
        turned = sizes.filters // sizes.groups < MANY
        shape = (sizes.groups, sizes.filters // sizes.groups, sizes.inner)
        shape = (shape[0], shape[2], shape[1]) if turned else shape
        weight = shape[1] * shape[2]
        total = total.reshape(shape)
        source, started = batch_last(doutput), False
        for rows, band, axes in bands.of(xp, data, image):
            taps = windows.taps(xp, band, axes, 1)
            for here, there in blocks.within(rows):
                seen = taps[windows.along(1 + rank, *here)]
                heads = in_one_piece(xp, source[windows.along(1, *there)], product)
                cols = self._columns(xp, sizes, seen, columns)
                left, right = sizes.matrices(heads), sizes.matrices(cols)
                left, right = (right, left) if turned else (left, right)
                parts = parts_of(weight, left.shape[2])
                left, right = cut(left, parts), cut(right, parts)
                sums = windows.carve(share, (parts, *shape)) if started or parts > 1 else total[None]
                xp.matmul(left, right.swapaxes(2, 3), out=sums)
                if not started and parts > 1:
                    xp.copyto(total, 0)
                for part in sums if started or parts > 1 else ():
                    xp.add(total, part, out=total)
                started = True
        by_filter = total.swapaxes(1, 2) if turned else total
        target = sizes.by_group(dweight)
        xp.copyto(target, by_filter.reshape(target.shape))


@functools.lru_cache(PLANS)
def _sums(sizes: Sizes) -> tuple[Full, ...]:
    """Images of the data's gradient, for one that has not the batch last, and columns and products."""
    size = sizes.channels * math.prod(axis.size for axis in sizes.axes)
    images = evenly(sizes.batch, conv_blocks.BAND // max(1, size))
    batches = [batch for batch in (sizes.batch, images, sizes.batch % images) if batch]
    parts = [Blocks(sizes._replace(batch=batch), added=True) for batch in batches]
    columns = max((math.prod(blocks.columns) for blocks in parts), default=0)
    product = max((math.prod(blocks.product) for blocks in parts), default=0)
    return (sizes.channels, *(axis.size for axis in sizes.axes), images), (columns,), (product,)


class Col2Im(Algorithm):
    """The gradient of the data as columns that are added up where windows overlap: serves all."""

    name = "col2im"

    def serves(self, sizes: Sizes, which: str) -> bool:
        return which == DATA

    def spaces(self, sizes: Sizes, which: str) -> tuple[Full, ...]:
        return _sums(sizes)

    def cost(self, sizes: Sizes, which: str) -> float:
        blocks, *_ = _plan(sizes, DATA)
        products = conv_cost.products(sizes, blocks.count, "iwf")
        if sizes.pointwise:
            return products
        calls = blocks.count * sizes.taps * conv_cost.CALL
        elements = sizes.batch * math.prod(sizes.counts) * sizes.channels * sizes.taps
        return calls + conv_cost.added(elements, conv_cost.run(sizes)) + products

    def data_gradient(self, xp: Any, sizes: Sizes, doutput: Any, weight: Any, ddata: Any, space: Any) -> None:
        image, *spaces, _ = carved(space, _sums(sizes))
        if neighbours(batch_last(ddata), space):
            self._add_up(xp, sizes, batch_last(doutput), weight, batch_last(ddata), spaces)
            return
        for start in range(0, sizes.batch, image.shape[-1]):
            slab = slice(start, min(start + image.shape[-1], sizes.batch))
            part = sizes._replace(batch=slab.stop - start)
            here = windows.carve(image.reshape(-1), (*image.shape[:-1], part.batch))
            self._add_up(xp, part, batch_last(doutput[slab]), weight, here, spaces)
            xp.copyto(batch_last(ddata[slab]), here)

    @staticmethod
    def _add_up(xp: Any, sizes: Sizes, source: Any, weight: Any, image: Any, spaces: Any) -> None:
        """image (C, S..., N) from source, the gradient (F, O..., N) of the output."""
        blocks, *_ = _plan(sizes, DATA)
        columns, product = spaces
        across = weight.reshape(sizes.groups, -1, sizes.inner).swapaxes(1, 2)
        if not sizes.pointwise:
            xp.copyto(image, 0)
        for _, there in blocks.within(slice(0, sizes.counts[0])):
            heads = in_one_piece(xp, source[windows.along(1, *there)], product)
            part = image[windows.along(1, *there)]
            if sizes.pointwise and joined(part, columns):
                xp.matmul(across, sizes.matrices(heads), out=sizes.matrices(part))
                continue
            shape = (sizes.channels, *sizes.kernel, *heads.shape[1:])
            cols = windows.carve(columns.reshape(-1), shape)
            xp.matmul(across, sizes.matrices(heads), out=sizes.matrices(cols))
            add_columns(xp, cols, there, sizes.axes, image)

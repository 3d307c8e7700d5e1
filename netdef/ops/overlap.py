"""Convolution as products of matrices that overlap in memory.

im2col copies every element once for each element of the kernel.  With the first spatial axis outermost, the
kernel's rows are neighbours in memory already: the matrix of one row of the output is a view that overlaps
that of the next (MEC, Cho and Brand 2017, with the batch last).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from netdef.ops import conv_cost, windows
from netdef.ops.conv_algorithm import DATA, FORWARD, Turning
from netdef.ops.conv_sizes import Sizes, carved
from netdef.ops.shapes import Full

#: floats in the bands and products of a block, so that they stay in the second-level cache
BLOCK = 192 * 1024
#: bounds for the images of a slab, and the columns that a product of a row should have
FEW, MANY, COLUMNS = 8, 16, 192


class _Pieces:
    """How many images and rows are worked on at a time, and the arrays for them."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes, self.first = sizes, sizes.axes[0]
        self.across = math.prod(sizes.counts[1:])
        self.images = max(1, min(sizes.batch, max(FEW, min(MANY, COLUMNS // self.across))))
        row = math.prod(self.band(1, self.images)) + math.prod(self.product(1, self.images))
        blocks = -(-self.first.windows // max(1, max(BLOCK, sizes.filters * sizes.inner) // row))
        self.rows = -(-self.first.windows // blocks)

    def needed(self, rows: int) -> int:
        """Rows of the input under some rows of the output."""
        return rows + self.first.kernel - 1

    def image(self, images: int) -> Full:
        """Rows outermost."""
        channels, height, *others = self.sizes.padded
        return (height, channels, *others, images)

    def band(self, rows: int, images: int) -> Full:
        """The taps along all other axes of the rows that some rows of the output need."""
        sizes = self.sizes
        return (
            sizes.groups,
            self.needed(rows),
            sizes.channels // sizes.groups,
            *sizes.kernel[1:],
            *sizes.counts[1:],
            images,
        )

    def product(self, rows: int, images: int) -> Full:
        return (rows, self.sizes.filters, *self.sizes.counts[1:], images)

    def spaces(self) -> tuple[Full, ...]:
        images, rows = self.images, self.rows
        return self.image(images), self.band(rows, images), self.product(rows, images)

    def slabs(self, image: Any) -> Iterator[tuple[slice, Any]]:
        for start in range(0, self.sizes.batch, self.images):
            slab = slice(start, min(start + self.images, self.sizes.batch))
            yield slab, windows.carve(image.reshape(-1), self.image(slab.stop - start))

    def load(self, xp: Any, data: Any, image: Any) -> None:
        """Copy data (N, C, S...) to image (S0, C, others..., N)."""
        windows.load(xp, data, self.sizes.axes, xp.swapaxes(image, 0, 1))

    def blocks(self, xp: Any, image: Any, bands: Any, product: Any) -> Iterator[tuple[slice, Any, Any]]:
        """The blocks of rows, each with its windows as overlapping matrices and a place for products.

        Matrices are (rows, groups, inner, columns), products (rows, filters, others..., N).
        """
        sizes, images, count = self.sizes, image.shape[-1], self.first.windows
        taps = windows.taps(xp, image, sizes.axes[1:], 2)
        for start in range(0, count, self.rows):
            rows = slice(start, min(start + self.rows, count))
            number = rows.stop - start
            band = windows.carve(bands.reshape(-1), self.band(number, images))
            source = taps[start : start + band.shape[1]]
            apart = source.reshape(source.shape[0], sizes.groups, -1, *source.shape[2:])
            xp.copyto(band, xp.swapaxes(apart, 0, 1))
            yield (
                rows,
                self._overlapping(xp, band, number),
                windows.carve(product.reshape(-1), self.product(number, images)),
            )

    def _overlapping(self, xp: Any, band: Any, rows: int) -> Any:
        group, row, item = band.strides[0], band.strides[1], band.itemsize
        columns = self.across * band.shape[-1]
        shape = (rows, self.sizes.groups, self.sizes.inner, columns)
        steps = (row, group, columns * item, item)
        return xp.lib.stride_tricks.as_strided(band, shape, steps)

    def matrices(self, product: Any) -> Any:
        """Products as (rows, groups, filters of a group, columns)."""
        return product.reshape(product.shape[0], self.sizes.groups, -1, self.across * product.shape[-1])


class Overlap(Turning):
    """One product for each row of the output and group, for windows next to each other without dilation.

    Best with few channels, where im2col copies more than it multiplies.
    """

    name = "overlap"

    def serves(self, sizes: Sizes, which: str) -> bool:
        if which == DATA:
            return super().serves(sizes, which)
        return which == FORWARD and all(axis.stride == axis.dilate == 1 for axis in sizes.axes)

    def cost(self, sizes: Sizes, which: str) -> float:
        if which == DATA:
            return super().cost(sizes, which)
        pieces, first = _Pieces(sizes), sizes.axes[0]
        windows_of_row = sizes.batch * pieces.across
        slabs = -(-sizes.batch // pieces.images)
        blocks = slabs * -(-first.windows // pieces.rows)
        turn, back = conv_cost.turn(sizes.batch), conv_cost.turn_back(sizes.batch)
        rows_copied = blocks / slabs * pieces.needed(pieces.rows)
        columns = sizes.channels * sizes.taps // first.kernel * windows_of_row * rows_copied
        copies = (
            sizes.batch * math.prod(sizes.padded) * turn
            + columns * conv_cost.COPY
            + sizes.filters * windows_of_row * first.windows * back
        )
        products = conv_cost.product(
            slabs * first.windows * sizes.groups,
            sizes.filters / sizes.groups,
            pieces.across * sizes.batch / slabs,
            sizes.inner,
        )
        return blocks * 3 * conv_cost.CALL + copies + conv_cost.OVERLAP * products

    def spaces(self, sizes: Sizes, which: str) -> tuple[Full, ...]:
        if which == DATA:
            return super().spaces(sizes, which)
        return *_Pieces(sizes).spaces(), (sizes.groups, sizes.filters // sizes.groups, sizes.inner)

    def correlate(
        self, xp: Any, sizes: Sizes, data: Any, weight: Any, bias: Any, output: Any, space: Any
    ) -> None:
        pieces = _Pieces(sizes)
        image, bands, product, matrix, _ = carved(space, self.spaces(sizes, FORWARD))
        first, *others = sizes.kernel
        rows_first = matrix.reshape(*matrix.shape[:2], first, -1, *others)
        xp.copyto(xp.moveaxis(rows_first, 2, 3), sizes.by_group(weight))
        for slab, here in pieces.slabs(image):
            pieces.load(xp, data[slab], here)
            target = output[slab].transpose(2, 1, *range(3, output.ndim), 0)
            for rows, columns, products in pieces.blocks(xp, here, bands, product):
                xp.matmul(matrix, columns, out=pieces.matrices(products))
                if bias is not None:
                    xp.add(products, sizes.by_channel(bias, 0), out=products)
                xp.copyto(target[rows], products)

"""Convolution as products of matrices whose columns are windows (im2col, Chellapilla et al. 2006), in pieces.

A slab is a few images, copied with the batch last.  A block is a few rows of a slab's output: its columns
times the weight are its products.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from netdef.ops import conv_cost, windows
from netdef.ops.conv_algorithm import DATA, FORWARD, WEIGHT, Algorithm, Turning
from netdef.ops.conv_sizes import Sizes, carved
from netdef.ops.shapes import Full

#: floats in the columns and products of a block, and in an image, so that they stay in the second-level cache
BLOCK = 256 * 1024
#: floats that a slab of images has at least, so that the calls it takes are worth it
SLAB = 32 * 1024
#: neighbouring floats that a copy should run over, and bounds for the number of images that make it so
RUN, FEW, MANY = 128, 8, 16


class _Pieces:
    """How the arrays of a convolution are cut into pieces and seen as matrices."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        #: a weight beyond the cache is read for every block, which may be as large
        cached = max(BLOCK, sizes.filters * sizes.inner)
        last, count = sizes.axes[-1], sizes.axes[0].windows
        run = last.windows if last.stride == 1 else 1
        enough = max(min(MANY, max(FEW, RUN // run)), SLAB // self._block(count, 1))
        self.images = max(1, min(sizes.batch, enough, cached // math.prod(sizes.padded)))
        blocks = -(-count // max(1, cached // self._block(1, self.images)))
        self.rows = -(-count // blocks)

    def _block(self, rows: int, images: int) -> int:
        return math.prod(self.columns(rows, images)) + math.prod(self.product(rows, images))

    def image(self, images: int) -> Full:
        return (*self.sizes.padded, images)

    def columns(self, rows: int, images: int) -> Full:
        return (self.sizes.channels, *self.sizes.kernel, *self.product(rows, images)[1:])

    def product(self, rows: int, images: int) -> Full:
        return (self.sizes.filters, rows, *self.sizes.counts[1:], images)

    def spaces(self) -> tuple[Full, ...]:
        """An image, columns and products."""
        images, rows = self.images, self.rows
        return self.image(images), self.columns(rows, images), self.product(rows, images)

    def slabs(self, image: Any) -> Iterator[tuple[slice, Any]]:
        """The slabs of the batch, each with its part of the workspace for images."""
        for start in range(0, self.sizes.batch, self.images):
            slab = slice(start, min(start + self.images, self.sizes.batch))
            yield slab, windows.carve(image.reshape(-1), self.image(slab.stop - start))

    def blocks(self, columns: Any, product: Any, images: int) -> Iterator[tuple[slice, Any, Any]]:
        """The blocks of rows, each with its part of the workspaces."""
        count = self.sizes.axes[0].windows
        for start in range(0, count, self.rows):
            rows = slice(start, min(start + self.rows, count))
            shapes = self.columns(rows.stop - start, images), self.product(rows.stop - start, images)
            yield (
                rows,
                windows.carve(columns.reshape(-1), shapes[0]),
                windows.carve(product.reshape(-1), shapes[1]),
            )

    def of_rows(self, taps: Any, rows: slice) -> Any:
        """The part of the taps (C, k..., O..., N) that belongs to some rows of the output."""
        return taps[windows.along(1 + len(self.sizes.axes), rows)]

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return -(-self.sizes.batch // self.images) * -(-self.sizes.axes[0].windows // self.rows)

    def copies(self, turn: float, move: float) -> float:
        """What it costs to turn all images and to move all columns."""
        sizes = self.sizes
        columns = sizes.channels * sizes.taps * math.prod(sizes.counts) * move
        return self.sizes.batch * (turn * math.prod(sizes.padded) + columns)

    def heads(self, turn: float) -> float:
        """What it costs to turn all outputs."""
        return self.sizes.batch * self.sizes.filters * math.prod(self.sizes.counts) * turn

    def products(self, order: str) -> float:
        """What all products of matrices cost; `order` says what are their rows, columns and inner elements.

        It is made of the letters `w` for the windows of a block, `f` for filters and `i` for inner.
        """
        sizes = self.sizes
        numbers = {
            "w": sizes.batch * math.prod(sizes.counts) / self.count,
            "f": sizes.filters / sizes.groups,
            "i": sizes.inner,
        }
        count = self.count * sizes.groups
        return self.count * conv_cost.CALL * 2 + conv_cost.product(count, *(numbers[key] for key in order))

    def matrices(self, array: Any) -> Any:
        """Columns or products as one matrix for each group, a column for each window of each image."""
        return array.reshape(self.sizes.groups, -1, math.prod(array.shape[-len(self.sizes.axes) - 1 :]))


class Im2Col(Turning):
    """One product for each block and group."""

    name = "im2col"

    def spaces(self, sizes: Sizes, which: str) -> tuple[Full, ...]:
        if which == DATA:
            return super().spaces(sizes, which)
        sums = ((sizes.groups, sizes.inner, sizes.filters // sizes.groups),) * 2 if which == WEIGHT else ()
        return *_Pieces(sizes).spaces(), *sums

    def cost(self, sizes: Sizes, which: str) -> float:
        if which == DATA:
            return super().cost(sizes, which)
        pieces = _Pieces(sizes)
        turn, back = conv_cost.turn(sizes.batch), conv_cost.turn_back(sizes.batch)
        copies = pieces.copies(turn, conv_cost.REUSE)
        if which == FORWARD:
            return copies + pieces.heads(back + conv_cost.REUSE) + pieces.products("fwi")
        sums = pieces.count * sizes.filters * sizes.inner * conv_cost.ADD
        return copies + pieces.heads(turn) + pieces.products("ifw") + sums

    def correlate(
        self, xp: Any, sizes: Sizes, data: Any, weight: Any, bias: Any, output: Any, space: Any
    ) -> None:
        pieces = _Pieces(sizes)
        image, columns, product, _ = carved(space, self.spaces(sizes, FORWARD))
        matrix = weight.reshape(sizes.groups, -1, sizes.inner)
        for slab, here in pieces.slabs(image):
            windows.load(xp, data[slab], sizes.axes, here)
            taps = windows.taps(xp, here, sizes.axes, 1)
            target = xp.moveaxis(output[slab], 0, -1)
            for rows, cols, products in pieces.blocks(columns, product, here.shape[-1]):
                xp.copyto(cols, pieces.of_rows(taps, rows))
                xp.matmul(matrix, pieces.matrices(cols), out=pieces.matrices(products))
                if bias is not None:
                    xp.add(products, sizes.by_channel(bias, 1), out=products)
                xp.copyto(target[:, rows], products)

    def weight_gradient(
        self, xp: Any, sizes: Sizes, doutput: Any, data: Any, dweight: Any, space: Any
    ) -> None:
        """The sums are (groups, inner, filters of a group): OpenBLAS is quickest that way round."""
        pieces = _Pieces(sizes)
        image, columns, product, share, total, _ = carved(space, self.spaces(sizes, WEIGHT))
        total[...] = 0
        for slab, here in pieces.slabs(image):
            windows.load(xp, data[slab], sizes.axes, here)
            taps = windows.taps(xp, here, sizes.axes, 1)
            source = xp.moveaxis(doutput[slab], 0, -1)
            for rows, cols, products in pieces.blocks(columns, product, here.shape[-1]):
                xp.copyto(products, source[:, rows])
                xp.copyto(cols, pieces.of_rows(taps, rows))
                xp.matmul(pieces.matrices(cols), pieces.matrices(products).swapaxes(1, 2), out=share)
                xp.add(total, share, out=total)
        by_filter = total.reshape(sizes.groups, *dweight.shape[1:], -1)
        xp.copyto(sizes.by_group(dweight), xp.moveaxis(by_filter, -1, 1))


class Col2Im(Algorithm):
    """The gradient of the data as columns that are added up where windows overlap: serves all."""

    name = "col2im"

    def serves(self, sizes: Sizes, which: str) -> bool:
        return which == DATA

    def spaces(self, sizes: Sizes, which: str) -> tuple[Full, ...]:
        return _Pieces(sizes).spaces()

    def cost(self, sizes: Sizes, which: str) -> float:
        pieces = _Pieces(sizes)
        turn, back = conv_cost.turn(sizes.batch), conv_cost.turn_back(sizes.batch)
        return pieces.copies(back, conv_cost.SCATTER) + pieces.heads(turn) + pieces.products("iwf")

    def data_gradient(self, xp: Any, sizes: Sizes, doutput: Any, weight: Any, ddata: Any, space: Any) -> None:
        pieces = _Pieces(sizes)
        image, columns, product, _ = carved(space, self.spaces(sizes, DATA))
        across = weight.reshape(sizes.groups, -1, sizes.inner).swapaxes(1, 2)
        for slab, here in pieces.slabs(image):
            here[...] = 0
            taps = windows.taps(xp, here, sizes.axes, 1)
            source = xp.moveaxis(doutput[slab], 0, -1)
            for rows, cols, products in pieces.blocks(columns, product, here.shape[-1]):
                xp.copyto(products, source[:, rows])
                xp.matmul(across, pieces.matrices(products), out=pieces.matrices(cols))
                windows.add_taps(xp, cols, pieces.of_rows(taps, rows), sizes.axes)
            windows.unload(xp, here, sizes.axes, ddata[slab])

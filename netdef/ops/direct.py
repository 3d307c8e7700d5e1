"""Convolution element by element: every tap of every filter times the image that it sees, added up.

The plainest way and, with one channel in a group (depthwise convolution), where products of matrices would be
products of numbers, the fastest one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

from netdef.ops import conv_cost, windows
from netdef.ops.conv_algorithm import DATA, FORWARD, WEIGHT, Algorithm
from netdef.ops.conv_sizes import Sizes, carved
from netdef.ops.epilogue import Epilogue
from netdef.ops.shapes import Full

#: floats in the arrays that one tap is added over, so that they stay in the first-level cache or near it
BLOCK = 64 * 1024
#: bounds for the images of a slab
FEW, MANY = 8, 16


class _Pieces:
    """How many images and groups are worked on at a time, and the arrays for them."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.images = max(1, min(sizes.batch, max(FEW, min(MANY, 128 // sizes.counts[-1]))))
        filters = sizes.filters // sizes.groups
        one = self.images * (math.prod(sizes.padded) // sizes.groups + 2 * filters * math.prod(sizes.counts))
        self.groups = max(1, min(sizes.groups, BLOCK // one))

    def spaces(self) -> tuple[Full, ...]:
        """An image of all groups of a block, sums and products."""
        return self._shapes(self.groups, self.images)

    def _shapes(self, groups: int, images: int) -> tuple[Full, ...]:
        sizes = self.sizes
        channels, *spatial = sizes.padded
        out = (groups, sizes.filters // sizes.groups, *sizes.counts, images)
        return (groups * (channels // sizes.groups), *spatial, images), out, out

    def blocks(self, *spaces: Any) -> Iterator[tuple[slice, slice, Any, Any, Any]]:
        """Images and groups, with their arrays."""
        sizes = self.sizes
        for start in range(0, sizes.batch, self.images):
            slab = slice(start, min(start + self.images, sizes.batch))
            for first in range(0, sizes.groups, self.groups):
                block = slice(first, min(first + self.groups, sizes.groups))
                shapes = self._shapes(block.stop - first, slab.stop - start)
                yield slab, block, *(windows.carve(s.reshape(-1), shape) for s, shape in zip(spaces, shapes))

    def of(self, array: Any, slab: slice, block: slice) -> Any:
        """The part of an array (N, channels or filters, ...) that belongs to some images and groups."""
        each = array.shape[1] // self.sizes.groups
        return array[slab, block.start * each : block.stop * each]

    def taps(self, xp: Any, image: Any, groups: int) -> Iterator[tuple[tuple[Any, ...], Any]]:
        """Every element of a filter of some groups: its index in a weight by groups, and what it sees.

        That is a view (groups, 1, O..., N) of the image.
        """
        axes = self.sizes.axes
        seen = windows.taps(xp, image, axes, 1)
        seen = seen.reshape(groups, -1, *seen.shape[1:])
        for element in itertools.product(range(seen.shape[1]), *(range(axis.kernel) for axis in axes)):
            index = windows.along(1, *element)
            yield windows.along(2, *element), seen[index][:, None]


class Direct(Algorithm):
    """One multiplication and one addition of arrays for each element of the filters of a group."""

    name = "direct"

    def spaces(self, sizes: Sizes, which: str) -> tuple[Full, ...]:
        sums = (sizes.weight, (sizes.filters,)) if which == WEIGHT else ()
        return *_Pieces(sizes).spaces(), *sums

    def cost(self, sizes: Sizes, which: str) -> float:
        pieces = _Pieces(sizes)
        blocks = -(-sizes.batch // pieces.images) * -(-sizes.groups // pieces.groups)
        calls = 2 * blocks * sizes.inner * conv_cost.CALL
        return calls + sizes.macs * 2 * (conv_cost.TAP + conv_cost.ADD_ROW / conv_cost.run(sizes))

    def correlate(
        self, xp: Any, sizes: Sizes, data: Any, weight: Any, epilogue: Epilogue, output: Any, space: Any
    ) -> None:
        pieces = _Pieces(sizes)
        *spaces, _ = carved(space, self.spaces(sizes, FORWARD))
        for slab, block, image, sums, products in pieces.blocks(*spaces):
            windows.load(xp, pieces.of(data, slab, block), sizes.axes, image)
            factors = sizes.by_group(weight)[block]
            xp.copyto(sums, 0)
            for index, seen in pieces.taps(xp, image, sums.shape[0]):
                factor = factors[index].reshape(*sums.shape[:2], *(1,) * (sums.ndim - 2))
                xp.multiply(seen, factor, out=products)
                xp.add(sums, products, out=sums)
            bias, addend = epilogue.bias, epilogue.addend
            epilogue.finish(
                xp,
                sums.reshape(-1, *sums.shape[2:]),
                xp.moveaxis(pieces.of(output, slab, block), 0, -1),
                None if bias is None else sizes.by_channel(sizes.by_group(bias)[block], 1),
                None if addend is None else xp.moveaxis(pieces.of(addend, slab, block), 0, -1),
            )

    def data_gradient(self, xp: Any, sizes: Sizes, doutput: Any, weight: Any, ddata: Any, space: Any) -> None:
        """The adjoint: every tap of every filter is added to what it sees."""
        pieces = _Pieces(sizes)
        *spaces, _ = carved(space, self.spaces(sizes, DATA))
        for slab, block, image, heads, products in pieces.blocks(*spaces):
            source = xp.moveaxis(pieces.of(doutput, slab, block), 0, -1)
            xp.copyto(heads.reshape(-1, *heads.shape[2:]), source)
            factors = sizes.by_group(weight)[block]
            xp.copyto(image, 0)
            for index, seen in pieces.taps(xp, image, heads.shape[0]):
                factor = factors[index].reshape(*heads.shape[:2], *(1,) * (heads.ndim - 2))
                xp.multiply(heads, factor, out=products)
                for filtered in xp.moveaxis(products, 1, 0):
                    xp.add(seen[:, 0], filtered, out=seen[:, 0])
            windows.unload(xp, image, sizes.axes, pieces.of(ddata, slab, block))

    def weight_gradient(
        self, xp: Any, sizes: Sizes, doutput: Any, data: Any, dweight: Any, space: Any
    ) -> None:
        pieces = _Pieces(sizes)
        *spaces, total, share, _ = carved(space, self.spaces(sizes, WEIGHT))
        xp.copyto(total, 0)
        for slab, block, image, heads, products in pieces.blocks(*spaces):
            windows.load(xp, pieces.of(data, slab, block), sizes.axes, image)
            source = xp.moveaxis(pieces.of(doutput, slab, block), 0, -1)
            xp.copyto(heads.reshape(-1, *heads.shape[2:]), source)
            added = sizes.by_group(total)[block]
            sums = sizes.by_group(share)[block]
            for index, seen in pieces.taps(xp, image, heads.shape[0]):
                xp.multiply(seen, heads, out=products)
                xp.sum(products.reshape(*sums.shape, -1), axis=2, out=sums)
                xp.add(added[index], sums, out=added[index])
        xp.copyto(dweight, total)

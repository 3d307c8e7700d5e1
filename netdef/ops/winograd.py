"""Convolution with fewer multiplications, written as products of matrices.

Winograd's minimal filtering (Lavin and Gray 2015) for windows next to each other: a tile of m outputs of a
filter of r elements takes m + r - 1 = 6 products along an axis, F(4, 3) or F(2, 5), from the same six points
(Cook and Toom): 0, 1, -1, 2, -2 and infinity.  Over several axes the transform of a tile is one product with
the Kronecker product of the transforms along each.  So a step is three products of large matrices: all tiles
and channels into the transformed domain, one product over the channels for each point there, and back.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from netdef.ops import conv_cost, windows
from netdef.ops.conv_algorithm import DATA, FORWARD, WEIGHT, Algorithm
from netdef.ops.conv_sizes import Sizes, carved
from netdef.ops.shapes import Full

#: finite points at which the polynomials are multiplied; infinity is the last
FINITE = (0, 1, -1, 2, -2)
POINTS = len(FINITE) + 1
#: lengths of filters that the points serve with little loss of digits
KERNELS = (3, 5)
#: floats in the transformed tiles of a block
BLOCK = 512 * 1024
#: bounds for the images of a slab
FEW, MANY = 8, 16


class Transforms(NamedTuple):
    """The matrices of one kernel shape, for flattened tiles: `P` points, `k` taps, `m` outputs."""

    #: (P, P): a tile of the data to points
    data: Any
    #: (P, k): a filter to points
    weight: Any
    #: (P, k): a filter the other way round to points
    turned: Any
    #: (m, P): points to a tile of the output
    output: Any


def _polynomial(roots: Sequence[int]) -> list[int]:
    """The coefficients of the product of all (x - root), the constant one first."""
    factors = [1]
    for root in roots:
        factors = [high - root * low for high, low in zip([0, *factors], [*factors, 0])]
    return factors


def matrices(kernel: int) -> tuple[list[list[float]], list[list[float]], list[list[float]]]:
    """The transforms along one axis: data (6, 6), filter (6, kernel) and back (7 - kernel, 6).

    >>> matrices(3)[0][0]
    [4.0, 0.0, -5.0, 0.0, 1.0, 0.0]
    >>> matrices(5)[2]
    [[1.0, 1.0, 1.0, 1.0, 1.0, 0.0], [0.0, 1.0, -1.0, 2.0, -2.0, 1.0]]
    """
    data: list[list[float]] = []
    weight: list[list[float]] = []
    for point in FINITE:
        others = [other for other in FINITE if other != point]
        data.append([*map(float, _polynomial(others)), 0.0])
        scale = math.prod(point - other for other in others)
        weight.append([point**power / scale for power in range(kernel)])
    data.append([float(factor) for factor in _polynomial(FINITE)])
    weight.append([0.0] * (kernel - 1) + [1.0])
    count = POINTS + 1 - kernel
    output = [
        [float(point**power) for point in FINITE] + [float(power == count - 1)] for power in range(count)
    ]
    return data, weight, output


@functools.cache
def transforms(xp: Any, kernel: Full, dtype: str) -> Transforms:
    """The transforms over all axes, as arrays that every caller shares."""
    whole = [xp.ones((1, 1), "float64")] * 3
    for size in kernel:
        whole = [xp.kron(left, xp.asarray(right)) for left, right in zip(whole, matrices(size))]
    data, weight, output = (xp.ascontiguousarray(array, dtype) for array in whole)
    return Transforms(data, weight, xp.ascontiguousarray(weight[:, ::-1]), output)


class _Pieces:
    """How many images and rows of tiles are worked on at a time, and the arrays for them."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.points = POINTS ** len(sizes.axes)
        #: the tiles as windows over the data and over the output
        self.over = tuple(
            windows.Axis(axis.size, POINTS, step, axis.pad, 1, count)
            for axis, step, count in zip(sizes.axes, self._tile, self.tiles)
        )
        self.under = tuple(
            windows.Axis(axis.windows, step, step, 0, 1, count)
            for axis, step, count in zip(sizes.axes, self._tile, self.tiles)
        )
        self.images = max(1, min(sizes.batch, max(FEW, min(MANY, 64 // self.tiles[-1]))))
        cached = max(BLOCK, self.points * sizes.filters * sizes.channels // sizes.groups)
        row = self.points * (sizes.channels + sizes.filters) * math.prod(self.tiles[1:]) * self.images
        blocks = -(-self.tiles[0] // max(1, cached // row))
        self.rows = -(-self.tiles[0] // blocks)

    @property
    def _tile(self) -> Full:
        """Outputs of a tile along each axis."""
        return tuple(POINTS + 1 - axis.kernel for axis in self.sizes.axes)

    @property
    def tiles(self) -> Full:
        return tuple(-(-axis.windows // step) for axis, step in zip(self.sizes.axes, self._tile))

    def image(self, channels: int, axes: tuple[windows.Axis, ...], images: int) -> Full:
        return (channels, *windows.padded_shape(axes), images)

    def patches(self, channels: int, axes: tuple[windows.Axis, ...], rows: int, images: int) -> Full:
        """Tiles, a row for each element of one: (elements..., channels, tiles..., images)."""
        return (*(axis.kernel for axis in axes), channels, rows, *self.tiles[1:], images)

    def spaces(self) -> tuple[Full, ...]:
        """Images of data and output, and two places for the tiles of either."""
        sizes = self.sizes
        most = self.patches(max(sizes.channels, sizes.filters), self.over, self.rows, self.images)
        return (
            self.image(sizes.channels, self.over, self.images),
            self.image(sizes.filters, self.under, self.images),
            (math.prod(most),),
            (math.prod(most),),
        )

    def slabs(self, above: Any, below: Any) -> Iterator[tuple[slice, Any, Any]]:
        """The slabs of the batch with their images of data and output."""
        sizes = self.sizes
        for start in range(0, sizes.batch, self.images):
            slab = slice(start, min(start + self.images, sizes.batch))
            number = slab.stop - start
            yield (
                slab,
                windows.carve(above.reshape(-1), self.image(sizes.channels, self.over, number)),
                windows.carve(below.reshape(-1), self.image(sizes.filters, self.under, number)),
            )

    def blocks(self) -> Iterator[slice]:
        """The blocks of rows of tiles."""
        for start in range(0, self.tiles[0], self.rows):
            yield slice(start, min(start + self.rows, self.tiles[0]))

    def tiles_of(self, xp: Any, image: Any, axes: tuple[windows.Axis, ...], rows: slice) -> Any:
        """A view of the tiles of an image: (elements..., channels, tiles..., images)."""
        taps = windows.taps(xp, image, axes, 1)[windows.along(1 + len(axes), rows)]
        return xp.moveaxis(taps, 0, len(axes))

    def transformed(
        self,
        xp: Any,
        matrix: Any,
        image: Any,
        axes: tuple[windows.Axis, ...],
        rows: slice,
        patches: Any,
        points: Any,
    ) -> Any:
        """The tiles of an image in the transformed domain: (points, groups, channels of a group, tiles).

        They lie in the workspace `points`; `patches` is free again afterwards.
        """
        view = self.tiles_of(xp, image, axes, rows)
        tiles = windows.carve(patches, view.shape)
        xp.copyto(tiles, view)
        columns = tiles.reshape(matrix.shape[1], -1)
        values = windows.carve(points, (self.points, columns.shape[1]))
        xp.matmul(matrix, columns, out=values)
        return self.by_group(values, image)

    def by_group(self, points: Any, image: Any) -> Any:
        groups = self.sizes.groups
        return points.reshape(self.points, groups, image.shape[0] // groups, -1)


class Winograd(Algorithm):
    """F(4, 3) and F(2, 5) along one or two axes, for windows next to each other without dilation."""

    name = "winograd"

    def serves(self, sizes: Sizes, which: str) -> bool:
        small = len(sizes.axes) <= 2 and all(
            axis.kernel in KERNELS and axis.stride == axis.dilate == 1 for axis in sizes.axes
        )
        return small and (which != DATA or sizes.turns)

    def spaces(self, sizes: Sizes, which: str) -> tuple[Full, ...]:
        pieces = _Pieces(sizes.turned() if which == DATA else sizes)
        filters = (pieces.points, sizes.filters, sizes.channels // sizes.groups)
        if which == WEIGHT:
            upper = pieces.patches(sizes.filters, pieces.over, pieces.rows, pieces.images)
            return *pieces.spaces(), (math.prod(upper),), filters, filters
        return *pieces.spaces(), filters

    def cost(self, sizes: Sizes, which: str) -> float:
        seen = sizes.turned() if which == DATA else sizes
        pieces = _Pieces(seen)
        points, batch, groups = pieces.points, seen.batch, seen.groups
        slabs = -(-batch // pieces.images)
        blocks = slabs * -(-pieces.tiles[0] // pieces.rows)
        tiles = batch * math.prod(pieces.tiles)
        tile = math.prod(axis.kernel for axis in pieces.under)
        filters = points * sizes.filters * sizes.channels / groups
        turn = conv_cost.turn(batch)
        back = turn if which == WEIGHT else conv_cost.turn_back(batch)
        copies = tiles * (
            seen.channels * (points * conv_cost.COPY + tile * turn)
            + seen.filters * tile * (conv_cost.COPY + back)
        )
        copies += (blocks + 1) * filters * conv_cost.FETCH
        changes = conv_cost.FEW_ROWS * (
            conv_cost.product(blocks, points, seen.channels * tiles / blocks, points)
            + conv_cost.product(blocks, points, seen.filters * tiles / blocks, tile)
            + conv_cost.product(1, points, filters / points, sizes.taps)
        )
        shape = seen.filters / groups, tiles / blocks, seen.channels / groups
        if which == WEIGHT:
            shape = shape[0], shape[2], shape[1]
            copies += blocks * filters * conv_cost.ADD
            copies += points * tiles * (seen.channels + seen.filters) * conv_cost.FETCH
        products = conv_cost.product(blocks * points * groups, *shape)
        return blocks * 4 * conv_cost.CALL + copies + changes + products

    def correlate(
        self, xp: Any, sizes: Sizes, data: Any, weight: Any, bias: Any, output: Any, space: Any
    ) -> None:
        *spaces, filters, _ = carved(space, self.spaces(sizes, FORWARD))
        matrix = transforms(xp, sizes.kernel, space.dtype.name).weight
        self._filter(xp, matrix, weight, filters)
        grouped = filters.reshape(filters.shape[0], sizes.groups, -1, filters.shape[-1])
        self._run(xp, sizes, data, grouped, bias, output, spaces)

    def data_gradient(self, xp: Any, sizes: Sizes, doutput: Any, weight: Any, ddata: Any, space: Any) -> None:
        """The same with turned filters, whose transform needs no copy of them."""
        *spaces, filters, _ = carved(space, self.spaces(sizes, DATA))
        matrix = transforms(xp, sizes.kernel, space.dtype.name).turned
        self._filter(xp, matrix, weight, filters)
        grouped = filters.reshape(filters.shape[0], sizes.groups, -1, filters.shape[-1])
        self._run(xp, sizes.turned(), doutput, grouped.swapaxes(2, 3), None, ddata, spaces)

    @staticmethod
    def _filter(xp: Any, matrix: Any, weight: Any, filters: Any) -> None:
        """All filters in the transformed domain."""
        taps = weight.reshape(-1, matrix.shape[1])
        xp.matmul(matrix, taps.T, out=filters.reshape(matrix.shape[0], -1))

    @staticmethod
    def _run(
        xp: Any, sizes: Sizes, data: Any, filters: Any, bias: Any, output: Any, spaces: Sequence[Any]
    ) -> None:
        pieces = _Pieces(sizes)
        above, below, first, second = spaces
        change = transforms(xp, sizes.kernel, first.dtype.name)
        for slab, here, result in pieces.slabs(above, below):
            windows.load(xp, data[slab], pieces.over, here)
            for rows in pieces.blocks():
                points = pieces.transformed(xp, change.data, here, pieces.over, rows, first, second)
                shape = (pieces.points, result.shape[0] * points.shape[-1])
                products = windows.carve(first, shape)
                xp.matmul(filters, points, out=pieces.by_group(products, result))
                target = pieces.tiles_of(xp, result, pieces.under, rows)
                tiles = windows.carve(second, target.shape)
                xp.matmul(change.output, products, out=tiles.reshape(change.output.shape[0], -1))
                xp.copyto(target, tiles)
            if bias is not None:
                xp.add(result, sizes.by_channel(bias, 1), out=result)
            windows.unload(xp, result, pieces.under, output[slab])

    def weight_gradient(
        self, xp: Any, sizes: Sizes, doutput: Any, data: Any, dweight: Any, space: Any
    ) -> None:
        """Summed in the transformed domain; the way there of each is the adjoint of its way back."""
        pieces = _Pieces(sizes)
        above, below, patches, points, upper, share, total, _ = carved(space, self.spaces(sizes, WEIGHT))
        change = transforms(xp, sizes.kernel, space.dtype.name)
        share, total = (
            array.reshape(pieces.points, sizes.groups, -1, array.shape[-1]) for array in (share, total)
        )
        total[...] = 0
        for slab, here, heads in pieces.slabs(above, below):
            windows.load(xp, data[slab], pieces.over, here)
            windows.load(xp, doutput[slab], pieces.under, heads)
            for rows in pieces.blocks():
                left = pieces.transformed(xp, change.output.T, heads, pieces.under, rows, patches, upper)
                right = pieces.transformed(xp, change.data, here, pieces.over, rows, patches, points)
                xp.matmul(left, right.swapaxes(2, 3), out=share)
                xp.add(total, share, out=total)
        taps = windows.carve(share.reshape(-1), (*sizes.kernel, *dweight.shape[:2]))
        xp.matmul(change.weight.T, total.reshape(pieces.points, -1), out=taps.reshape(sizes.taps, -1))
        xp.copyto(dweight, xp.moveaxis(taps, (-2, -1), (0, 1)))

"""Winograd's minimal filtering along both axes of maps with the channels last in memory.

F(4, 3) and F(2, 5) as in `netdef.ops.winograd` (Lavin and Gray 2015); a tile is one piece of a strip
(`channels_last`), and every row of every matrix is as long as there are channels: one image is as quick as
several.  Where tiles are few, products of some filters at a time are so small that OpenBLAS does not pack
their factors, which would take as long as to multiply them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from netdef.ops import conv_cost, windows
from netdef.ops.channels_last import ChannelsLast, ImageBlocks, Maps, strips
from netdef.ops.conv_sizes import PLANS, Sizes
from netdef.ops.shapes import Full
from netdef.ops.toomcook import transforms
from netdef.ops.winograd import KERNELS, POINTS

#: numbers in the transformed tiles of a block and their products
BLOCK = 512 * 1024
#: how many times as many numbers as transformed filters that are larger
FILTERS = 2
#: tiles of a product at most, and filters of one that is small: as many as the first-level cache holds
MOST, FEW = 1 << 20, 64


class _Plan(NamedTuple):
    """How the tiles are cut into blocks, and the shapes of what is kept."""

    blocks: ImageBlocks
    #: outputs of a tile along each axis
    tile: tuple[int, int]
    #: the tiles along W as windows
    across: windows.Axis
    spaces: tuple[Full, ...]


@functools.lru_cache(PLANS)
def _plan(sizes: Sizes, most: int) -> _Plan:
    """For products of at most so many tiles."""
    first, second = sizes.axes
    high, wide = (POINTS + 1 - axis.kernel for axis in sizes.axes)
    down, across = -(-first.windows // high), -(-second.windows // wide)
    points = POINTS**2
    room = max(BLOCK, FILTERS * points * sizes.filters * sizes.channels // sizes.groups)
    tiles = max(1, min(most, room // (points * (sizes.channels + sizes.filters))))
    rows = max(1, tiles // max(1, across))
    blocks = ImageBlocks(sizes.batch, down, max(1, rows // max(1, down)), rows)
    count = blocks.images * across * blocks.rows
    height = (blocks.rows - 1) * high + POINTS
    spaces = (
        (blocks.images * height * second.size * sizes.channels,),
        (blocks.images, across, height, POINTS * sizes.channels),
        (points, count * sizes.channels),
        (points, count * sizes.filters),
        (count * high * wide * sizes.filters,),
    )
    axis = windows.Axis(second.size, POINTS, wide, second.pad, 1, across)
    return _Plan(blocks, (high, wide), axis, spaces)


class WinogradNHWC(ChannelsLast):
    """The output alone, for windows next to each other without dilation."""

    name = "winograd_nhwc"

    def columns(self, sizes: Sizes) -> int:
        """Filters of a product: all of a group."""
        return sizes.filters // sizes.groups

    def plan(self, sizes: Sizes) -> _Plan:
        return _plan(sizes, MOST)

    def fits(self, sizes: Sizes) -> bool:
        return len(sizes.axes) == 2 and all(
            axis.kernel in KERNELS and axis.stride == axis.dilate == 1 for axis in sizes.axes
        )

    def factors(self, sizes: Sizes) -> Full:
        """(points, groups, parts, channels of a group, filters of a part), as they are multiplied."""
        group, columns = sizes.channels // sizes.groups, self.columns(sizes)
        return (POINTS**2, sizes.groups, sizes.filters // sizes.groups // columns, group, columns)

    def make(self, xp: Any, weight: Any, factors: Any) -> None:
        matrix = transforms(xp, weight.shape[2:], POINTS, factors.dtype.name).weight
        _, groups, parts, channels, columns = factors.shape
        taps = weight.reshape(groups, parts, columns, channels, matrix.shape[1])
        xp.matmul(matrix, taps.transpose(0, 1, 3, 4, 2), out=factors.transpose(1, 2, 3, 0, 4))

    def making(self, sizes: Sizes) -> float:
        weights = math.prod(sizes.weight) / sizes.taps
        return POINTS**2 * weights * conv_cost.FETCH + conv_cost.product(1, POINTS**2, weights, sizes.taps)

    def places(self, sizes: Sizes) -> tuple[Full, ...]:
        return self.plan(sizes).spaces

    def multiplying(self, sizes: Sizes) -> float:
        plan, points = self.plan(sizes), POINTS**2
        blocks, across = plan.blocks.number, plan.across.windows
        tiles = sizes.batch * across * -(-sizes.axes[0].windows // plan.tile[0])
        tile = math.prod(plan.tile)
        run = POINTS * sizes.channels
        copies = conv_cost.copied(tiles * plan.tile[0] * run, run)
        copies += conv_cost.copied(tiles * tile * sizes.filters, plan.tile[1] * sizes.filters)
        changes = conv_cost.small(tiles, points, sizes.channels, points)
        changes += conv_cost.small(tiles, tile, sizes.filters, points)
        products = self.products(sizes, blocks, tiles / max(1, blocks))
        return blocks * 16 * conv_cost.CALL + copies + changes + products

    def products(self, sizes: Sizes, blocks: int, tiles: float) -> float:
        """What the products of so many blocks cost, each of so many tiles, and to fetch their factors."""
        count = blocks * POINTS**2 * sizes.groups
        fetched = blocks * math.prod(self.factors(sizes)) * conv_cost.FETCH
        return fetched + conv_cost.product(count, tiles, self.columns(sizes), sizes.channels / sizes.groups)

    def compute(self, xp: Any, sizes: Sizes, maps: Maps, factors: Any, spaces: Sequence[Any]) -> None:
        plan, points = self.plan(sizes), POINTS**2
        _, groups, several, channels, columns = factors.shape
        band, lines, above, below, space = spaces
        change = transforms(xp, sizes.kernel, POINTS, lines.dtype.name)
        rest = maps.epilogue._replace(bias=None)
        (high, wide), across = plan.tile, plan.across.windows
        for images, rows in plan.blocks:
            data, down = maps.data[images], rows.stop - rows.start
            tiles = (data.shape[0], across, down)
            strip = windows.carve(lines.reshape(-1), (*tiles[:2], (down - 1) * high + POINTS, lines.shape[3]))
            strips(xp, data, rows.start * high - sizes.axes[0].pad, plan.across, strip, band)
            upper = windows.carve(above.reshape(-1), (points, *tiles, sizes.channels))
            lower = windows.carve(below.reshape(-1), (points, *tiles, sizes.filters))
            xp.matmul(change.data, _tiles(xp, strip, down, high), out=xp.moveaxis(upper, 0, 3))
            count = math.prod(tiles)
            factor = upper.reshape(points, count, groups, 1, channels).transpose(0, 2, 3, 1, 4)
            sums = lower.reshape(points, count, groups, several, columns).transpose(0, 2, 3, 1, 4)
            xp.matmul(factor, factors, out=sums)
            outputs = windows.carve(space, (*tiles, high * wide, sizes.filters))
            xp.matmul(change.output, xp.moveaxis(lower, 0, 3), out=outputs)
            maps.add_bias(xp, outputs.reshape(-1, sizes.filters))
            there = images, slice(rows.start * high, min(rows.stop * high, maps.output.shape[1]))
            parts = outputs.reshape(*tiles[:2], down * high, wide, sizes.filters)
            results = _columns(maps.output[there], wide)
            addends = [None, None] if maps.addend is None else _columns(maps.addend[there], wide)
            for part, result, addend in zip(_cut(parts, maps.output.shape[2]), results, addends):
                if result.size:
                    rest.finish(xp, part[:, :, : result.shape[2]], result, None, addend)


class WinogradNHWC64(WinogradNHWC):
    """The same with products of so few tiles and filters that OpenBLAS does not pack their factors."""

    name = "winograd_nhwc64"

    def columns(self, sizes: Sizes) -> int:
        group = sizes.filters // sizes.groups
        return FEW if group % FEW == 0 else group

    def plan(self, sizes: Sizes) -> _Plan:
        inner = max(1, sizes.channels // sizes.groups * self.columns(sizes))
        return _plan(sizes, int(conv_cost.SMALL) // inner)

    def products(self, sizes: Sizes, blocks: int, tiles: float) -> float:
        """Factors that are not packed come from memory while others are multiplied."""
        streamed = blocks * math.prod(self.factors(sizes)) * conv_cost.STREAM
        columns = self.columns(sizes)
        count = blocks * POINTS**2 * (sizes.filters // columns)
        return max(streamed, conv_cost.small(count, tiles, columns, sizes.channels / sizes.groups))


def _tiles(xp: Any, strip: Any, rows: int, high: int) -> Any:
    """The tiles (n, across, rows, points, C) of strips (n, across, height, POINTS * C), which overlap."""
    channels, item = strip.shape[3] // POINTS, strip.itemsize
    shape = (*strip.shape[:2], rows, POINTS**2, channels)
    steps = (*strip.strides[:2], high * strip.strides[2], channels * item, item)
    return xp.lib.stride_tricks.as_strided(strip, shape, steps)


def _columns(maps: Any, wide: int) -> list[Any]:
    """Maps (n, rows, W, F) as whole columns of tiles (n, columns, rows, wide, F), and the rest likewise."""
    count, rows, width, filters = maps.shape
    whole = width // wide * wide
    columns = maps[:, :, :whole].reshape(count, rows, -1, wide, filters)
    return [columns.swapaxes(1, 2), maps[:, None, :, whole:]]


def _cut(parts: Any, width: int) -> list[Any]:
    """What was computed (n, across, rows, wide, F) likewise, for maps of a width."""
    whole, rest = divmod(width, parts.shape[3])
    return [parts[:, :whole], parts[:, whole:, :, :rest]]

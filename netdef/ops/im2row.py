"""Convolution as products of matrices whose rows are windows, for maps with the channels last in memory.

The rows of a product are the windows of a row of the output, of several images where there are some; they are
views of strips (`channels_last`).  Where these are few, the windows of several rows are copied (im2row, as in
Chellapilla et al. 2006 with the other order of axes).  Windows of one element are the pixels themselves.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from netdef.ops import conv_blocks, conv_cost, windows
from netdef.ops.arrays import largest_part
from netdef.ops.channels_last import ChannelsLast, ImageBlocks, Maps, strips
from netdef.ops.conv_blocks import evenly
from netdef.ops.conv_sizes import PLANS, Sizes
from netdef.ops.few_rows import in_parts
from netdef.ops.shapes import Full

#: numbers in the pixels of a block, or in their products, so that both stay in the second-level cache
PIXELS = 128 * 1024
#: how many times as many numbers as a weight that is larger
WEIGHTS = 4
#: rows that a product should have at least, and one that needs no packing
ROWS, LEAST = 96, 24
#: pixels of a block are a multiple of it: some of them have their bias added at a time
EVEN = 16
#: filters of a product of pixels that takes twice as long as one of the same numbers the other way round
FEW = 8


class _Plan(NamedTuple):
    """How the output is cut, and the shapes of what is kept."""

    blocks: ImageBlocks
    #: windows of a product: a part of a row of the output, a row of several images or, copied, several rows
    width: int
    rows: int
    spaces: tuple[Full, ...]


@functools.lru_cache(PLANS)
def _plan(sizes: Sizes) -> _Plan:
    first, second = sizes.axes
    width, images, rows = _part(sizes), 1, 1
    if not width:
        images = evenly(sizes.batch, -(-ROWS // max(1, second.windows)))
        width = images * second.windows
        rows = min(first.windows, -(-ROWS // max(1, width)))
    line = images * second.windows * second.kernel * sizes.channels
    most = (conv_blocks.BLOCK // max(1, line) - first.kernel) // first.stride + 1
    blocks = ImageBlocks(sizes.batch, first.windows, images, max(rows, most // rows * rows))
    height = (blocks.rows - 1) * first.stride + first.kernel
    place = images * blocks.rows * second.windows
    spaces = (
        (images * height * second.size * sizes.channels,),
        (images, second.windows, height, second.kernel * sizes.channels),
        (place * sizes.inner if rows > 1 else 0,),
        (max(place, _most_pixels(sizes)) * sizes.filters,),
    )
    return _Plan(blocks, width, rows, spaces)


def _part(sizes: Sizes) -> int:
    """Windows of a part of a row whose product OpenBLAS does not pack, if there are enough; else 0."""
    count = sizes.axes[1].windows
    most = int(conv_cost.SMALL) // max(1, sizes.inner * sizes.filters)
    width = largest_part(count, most)
    return width if width >= LEAST else 0


@functools.lru_cache(PLANS)
def _few_pixels(sizes: Sizes, count: int) -> int:
    """Pixels of a product where several products that OpenBLAS does not pack cost less than one; else 0."""
    most = int(conv_cost.SMALL) // max(1, sizes.channels * sizes.filters)
    few = largest_part(count, most)
    if few < LEAST:
        return 0
    apart = conv_cost.small(count / few, few, sizes.filters, sizes.channels)
    return few if apart < conv_cost.product(1, count, sizes.filters, sizes.channels) else 0


def _most_pixels(sizes: Sizes) -> int:
    """Pixels of a block where they are multiplied as they are."""
    if not sizes.pointwise:
        return 0
    room = max(PIXELS, WEIGHTS * sizes.filters * sizes.channels)
    count = sizes.batch * math.prod(sizes.counts)
    step = evenly(count, room // max(1, sizes.filters, sizes.channels))
    return -(-step // EVEN) * EVEN


class Im2Row(ChannelsLast):
    """The output alone, of maps along two axes without groups or dilation."""

    name = "im2row"

    def fits(self, sizes: Sizes) -> bool:
        return sizes.groups == 1 and len(sizes.axes) == 2 and all(axis.dilate == 1 for axis in sizes.axes)

    def factors(self, sizes: Sizes) -> Full:
        return (sizes.inner, sizes.filters)

    def make(self, xp: Any, weight: Any, factors: Any) -> None:
        """A weight (F, C, kh, kw) as (kh * kw * C, F)."""
        filters, channels, *kernel = weight.shape
        xp.copyto(factors.reshape(*kernel, channels, filters), weight.transpose(2, 3, 1, 0))

    def making(self, sizes: Sizes) -> float:
        return math.prod(sizes.weight) * conv_cost.TURN

    def places(self, sizes: Sizes) -> tuple[Full, ...]:
        return _plan(sizes).spaces

    def multiplying(self, sizes: Sizes) -> float:
        if sizes.pointwise:
            count = sizes.batch * math.prod(sizes.counts)
            blocks = -(-count // _most_pixels(sizes)) if count else 0
            few = _few_pixels(sizes, _most_pixels(sizes))
            if few:
                return conv_cost.small(count / few, few, sizes.filters, sizes.channels)
            thin = 1 + FEW / sizes.filters
            return thin * conv_cost.product(blocks, count / max(1, blocks), sizes.filters, sizes.channels)
        plan, (first, second) = _plan(sizes), sizes.axes
        run = second.kernel * sizes.channels
        height = plan.blocks.rows * first.stride + first.kernel - first.stride
        elements = plan.blocks.number * plan.blocks.images * second.windows * height * run
        copies = conv_cost.copied(elements, run)
        places = sizes.batch * math.prod(sizes.counts)
        if plan.rows > 1:
            copies += conv_cost.copied(places * sizes.inner, first.kernel * run)
        width = plan.width * plan.rows
        make = conv_cost.small if _part(sizes) else conv_cost.product
        products = make(places / max(1, width), width, sizes.filters, sizes.inner)
        return plan.blocks.number * 20 * conv_cost.CALL + copies + products

    def compute(self, xp: Any, sizes: Sizes, maps: Maps, factors: Any, spaces: Sequence[Any]) -> None:
        band, lines, columns, product = spaces
        matrices = maps.as_pixels() if sizes.pointwise else None
        if matrices is not None and maps.data.dtype == product.dtype:
            _multiply(xp, sizes, matrices, factors, product)
            return
        plan, (first, second) = _plan(sizes), sizes.axes
        for here in plan.blocks:
            images, rows = here
            result = maps.output[here]
            count, down, across, filters = result.shape
            height = (down - 1) * first.stride + first.kernel
            strip = windows.carve(lines.reshape(-1), (count, across, height, lines.shape[3]))
            strips(xp, maps.data[images], rows.start * first.stride - first.pad, second, strip, band)
            seen = _windows(xp, strip, first, down)
            if plan.rows > 1:
                copied = windows.carve(columns, (count, down, across, sizes.inner))
                xp.copyto(copied, seen.swapaxes(1, 2))
                products = windows.carve(product, result.shape)
                xp.matmul(copied.reshape(-1, sizes.inner), factors, out=products.reshape(-1, filters))
            elif count > 1:
                products = windows.carve(product, (down, count * across, filters))
                xp.matmul(seen.reshape(-1, *seen.shape[2:]).swapaxes(0, 1), factors, out=products)
                products = products.reshape(down, count, across, filters).swapaxes(0, 1)
            else:
                products = maps.sums(here, product)
                parts = seen[0].reshape(-1, plan.width, *seen.shape[2:]).transpose(2, 0, 1, 3)
                xp.matmul(parts, factors, out=products.reshape(down, -1, plan.width, filters))
            maps.finish(xp, products, here)


def _windows(xp: Any, strip: Any, axis: windows.Axis, rows: int) -> Any:
    """The windows (n, across, rows, kh * kw * C) of strips: views that overlap."""
    line = strip.shape[3] * strip.itemsize
    shape = (*strip.shape[:2], rows, axis.kernel * strip.shape[3])
    steps = (*strip.strides[:2], axis.stride * line, strip.itemsize)
    return xp.lib.stride_tricks.as_strided(strip, shape, steps)


def _multiply(xp: Any, sizes: Sizes, maps: Maps, factors: Any, product: Any) -> None:
    """The products of some pixels at a time."""
    whole, step = maps.output.shape[0], _most_pixels(sizes)
    for start in range(0, whole, step):
        part = slice(start, min(start + step, whole))
        data, products = maps.data[part], maps.sums(part, product)
        few = _few_pixels(sizes, len(data)) or len(data)
        xp.matmul(in_parts(data, few), factors, out=in_parts(products, few))
        maps.finish(xp, products, part)

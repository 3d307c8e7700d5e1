"""Depthwise convolution of maps with the channels last in memory (Sifre 2014; Howard et al. 2017).

Some rows of the data are copied with zeros around them.  Every window is a view of these then, and one sum of
products over the elements of the kernel gives the output: rows that are a number of pixels long, each
multiplied by as many copies of the filters.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from netdef.ops import conv_cost, windows
from netdef.ops.arrays import largest_part, sum_of_products
from netdef.ops.channels_last import ChannelsLast, ImageBlocks, Maps
from netdef.ops.conv_blocks import band_of
from netdef.ops.conv_sizes import PLANS, Sizes
from netdef.ops.shapes import Full

#: numbers in the rows of a block and in its sums, so that both stay in the second-level cache
BLOCK = 256 * 1024
#: numbers of a row that is long enough for a loop of its own
LONG = 2048
#: nanoseconds for each element of a tap, and for each row that is multiplied
TAP, TAP_ROW = 0.16, 16.0


class _Plan(NamedTuple):
    """How the output is cut, and the shapes of what is kept."""

    blocks: ImageBlocks
    #: neighbouring pixels of the output whose windows are neighbours, too, in one row
    several: int
    spaces: tuple[Full, ...]


@functools.lru_cache(PLANS)
def _plan(sizes: Sizes) -> _Plan:
    first, second = sizes.axes
    several = 1
    if second.stride == 1:
        several = max(1, largest_part(second.windows, LONG // max(1, sizes.filters)))
    under, _ = band_of(second, slice(0, second.windows))
    across = under.extent * sizes.filters
    line = across * first.stride + second.windows * sizes.filters
    rows = max(1, BLOCK // max(1, line))
    blocks = ImageBlocks(sizes.batch, first.windows, max(1, rows // max(1, first.windows)), rows)
    height = (blocks.rows - 1) * first.stride + first.dilate * (first.kernel - 1) + 1
    sums = blocks.rows * second.windows * sizes.filters
    return _Plan(blocks, several, ((blocks.images * height * across,), (blocks.images * sums,)))


class DepthwiseNHWC(ChannelsLast):
    """The output alone, where each channel has one filter of its own."""

    name = "depthwise_nhwc"

    def fits(self, sizes: Sizes) -> bool:
        return sizes.groups == sizes.channels == sizes.filters and len(sizes.axes) == 2

    def factors(self, sizes: Sizes) -> Full:
        """Rows of the weight (kernel..., pixels, channels)."""
        return (*sizes.kernel, _plan(sizes).several, sizes.filters)

    def make(self, xp: Any, weight: Any, factors: Any) -> None:
        xp.copyto(factors, weight.transpose(2, 3, 1, 0))

    def making(self, sizes: Sizes) -> float:
        return math.prod(self.factors(sizes)) * conv_cost.APART

    def places(self, sizes: Sizes) -> tuple[Full, ...]:
        return _plan(sizes).spaces

    def multiplying(self, sizes: Sizes) -> float:
        plan = _plan(sizes)
        band, _ = plan.spaces
        elements = sizes.batch * math.prod(sizes.counts) * sizes.filters
        products = elements * sizes.taps * (TAP + TAP_ROW / (plan.several * sizes.filters))
        copies = plan.blocks.number * conv_cost.copied(math.prod(band), sizes.axes[1].size * sizes.filters)
        return plan.blocks.number * 6 * conv_cost.CALL + copies + products

    def compute(self, xp: Any, sizes: Sizes, maps: Maps, factors: Any, spaces: Sequence[Any]) -> None:
        plan, (first, second), (band, space) = _plan(sizes), sizes.axes, spaces
        weight = factors.reshape(*sizes.kernel, -1)
        across, columns = band_of(second, slice(0, second.windows))
        windows.clear(xp, band.reshape(-1, across.extent, sizes.filters), across, 1)
        for here in plan.blocks:
            images, rows = here
            down, lines = band_of(first, rows)
            data = maps.data[images, lines, columns]
            padded = windows.carve(band, (len(data), down.extent, across.extent, sizes.filters))
            windows.clear(xp, padded, down, 1)
            xp.copyto(windows.interior(padded, (down, across), 1), data)
            sums = windows.carve(space, maps.output[here].shape)
            seen = _windows(xp, padded, down, across, plan.several)
            joined = sums.reshape(*seen.shape[:3], -1)
            sum_of_products(xp, "nhwijc,ijc->nhwc", seen, weight, joined)
            maps.finish(xp, sums, here)


def _windows(xp: Any, padded: Any, down: windows.Axis, across: windows.Axis, several: int) -> Any:
    """The windows (n, rows, W, kh, kw, several * C) of maps: views that overlap."""
    image, row, pixel, item = padded.strides
    shape = (down.windows, across.windows // several, down.kernel, across.kernel, several * padded.shape[3])
    steps = (row * down.stride, pixel * across.stride * several, row * down.dilate, pixel * across.dilate)
    return xp.lib.stride_tricks.as_strided(padded, (len(padded), *shape), (image, *steps, item))

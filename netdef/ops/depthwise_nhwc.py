"""Depthwise convolution of maps with the channels last in memory (Sifre 2014; Howard et al. 2017).

A tap is the data times a row of the weight, a number for each channel: a product and a sum of long rows, made
for some rows of the output at a time, which stay in the cache.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from netdef.ops import conv_cost, windows
from netdef.ops.channels_last import ChannelsLast, ImageBlocks, Maps
from netdef.ops.conv_blocks import elements_of
from netdef.ops.conv_sizes import PLANS, Sizes
from netdef.ops.shapes import Full

#: numbers in the sums of a block
BLOCK = 64 * 1024
#: channels from which a row of a weight is long enough by itself; others are repeated for all pixels of a row
LONG = 256
#: nanoseconds for each element of a tap
TAP = 0.2


class _Plan(NamedTuple):
    """How the output is cut, and the shapes of what is kept."""

    blocks: ImageBlocks
    spaces: tuple[Full, ...]


@functools.lru_cache(PLANS)
def _plan(sizes: Sizes) -> _Plan:
    first, second = sizes.axes
    line = max(1, second.windows * sizes.filters)
    rows = max(1, BLOCK // line)
    blocks = ImageBlocks(sizes.batch, first.windows, max(1, rows // max(1, first.windows)), rows)
    sums = (blocks.images * blocks.rows * line,)
    return _Plan(blocks, (sums, sums))


class DepthwiseNHWC(ChannelsLast):
    """The output alone, where each channel has one filter of its own."""

    name = "depthwise_nhwc"

    def fits(self, sizes: Sizes) -> bool:
        return sizes.groups == sizes.channels == sizes.filters and len(sizes.axes) == 2

    def factors(self, sizes: Sizes) -> Full:
        """Rows of the weight (kernel..., pixels, channels)."""
        pixels = sizes.axes[1].windows if sizes.filters < LONG else 1
        return (*sizes.kernel, pixels, sizes.filters)

    def make(self, xp: Any, weight: Any, factors: Any) -> None:
        xp.copyto(factors, weight.transpose(2, 3, 1, 0))

    def making(self, sizes: Sizes) -> float:
        return math.prod(self.factors(sizes)) * conv_cost.APART

    def places(self, sizes: Sizes) -> tuple[Full, ...]:
        return _plan(sizes).spaces

    def multiplying(self, sizes: Sizes) -> float:
        elements = sizes.batch * math.prod(sizes.counts) * sizes.filters
        run = sizes.filters * (self.factors(sizes)[2] if sizes.axes[1].stride == 1 else 1)
        calls = 2 * sizes.taps * _plan(sizes).blocks.number * conv_cost.CALL
        return calls + elements * sizes.taps * (TAP + 2 * conv_cost.ADD_ROW / run)

    def compute(self, xp: Any, sizes: Sizes, maps: Maps, factors: Any, spaces: Sequence[Any]) -> None:
        first, second = sizes.axes
        space, products = spaces
        for here in _plan(sizes).blocks:
            images, rows = here
            down, across = elements_of(first, rows), elements_of(second, slice(0, second.windows))
            taps = [_Tap.of(*pair) for pair in itertools.product(down, across)]
            sums = maps.sums(here, space)
            _add_up(xp, maps.data[images], factors, taps, sums, products)
            maps.finish(xp, sums, here)


class _Tap(NamedTuple):
    """An element of the kernel, the windows in which it falls on the data, and on what it falls there."""

    number: tuple[int, int]
    here: tuple[slice, ...]
    there: tuple[slice, ...]

    @staticmethod
    def of(one: tuple[int, slice, slice], other: tuple[int, slice, slice]) -> _Tap:
        number = one[0], other[0]
        return _Tap(number, windows.along(1, one[1], other[1]), windows.along(1, one[2], other[2]))


def _add_up(xp: Any, data: Any, weight: Any, taps: list[_Tap], total: Any, products: Any) -> None:
    """total: the sum of all taps, of which one that falls on the data in every window comes first."""
    first = next((tap for tap in taps if total[tap.here].shape == total.shape), None)
    if first is None:
        xp.copyto(total, 0)
    for tap in sorted(taps, key=lambda tap: tap is not first):
        seen = data[tap.there]
        place, factors = total[tap.here], weight[tap.number][: seen.shape[2]]
        product = place if tap is first else windows.carve(products, place.shape)
        xp.multiply(seen, factors, out=product)
        if tap is not first:
            xp.add(place, product, out=place)

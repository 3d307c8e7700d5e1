"""Which algorithm computes each pass of a convolution."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

from netdef.ops.base import wide
from netdef.ops.conv_algorithm import DATA, FORWARD, WEIGHT, Algorithm, Made, Making
from netdef.ops.conv_sizes import PLANS, Sizes
from netdef.ops.depthwise import Depthwise
from netdef.ops.depthwise_nhwc import DepthwiseNHWC
from netdef.ops.direct import Direct
from netdef.ops.im2col import Col2Im, Im2Col
from netdef.ops.im2row import Im2Row
from netdef.ops.overlap import Overlap
from netdef.ops.phases import Phases
from netdef.ops.pointwise import Pointwise
from netdef.ops.rowwise import RowWise
from netdef.ops.winograd import Winograd
from netdef.ops.winograd1d import Winograd1D
from netdef.ops.winograd_nhwc import WinogradNHWC, WinogradNHWC64

#: all algorithms by name; where two cost the same, the first is taken
ALGORITHMS: dict[str, Algorithm] = {
    algorithm.name: algorithm
    for algorithm in (
        Pointwise(),
        Depthwise(),
        Im2Col(),
        Col2Im(),
        Phases(),
        Overlap(),
        RowWise(),
        Winograd1D(),
        Winograd(),
        Im2Row(),
        WinogradNHWC(),
        WinogradNHWC64(),
        DepthwiseNHWC(),
        Direct(),
    )
}
#: those that compute outputs quicker where weights stay the same, by the names of the others
PREPARED: dict[str, Algorithm] = {
    name: Made(algorithm) for name, algorithm in ALGORITHMS.items() if isinstance(algorithm, Making)
}
#: the wish that leaves the choice to the costs
AUTO = "auto"


class Choice(NamedTuple):
    """The algorithm of each pass."""

    forward: Algorithm
    data: Algorithm
    weight: Algorithm
    #: the algorithm that was wished for; empty: none
    wanted: str = ""
    #: whether arrays are multiplied in another dtype than their own
    widens: bool = False

    def algorithm(self, which: str) -> Algorithm:
        return {FORWARD: self.forward, DATA: self.data, WEIGHT: self.weight}[which]

    def told(self, which: str) -> str:
        """The name of a pass's algorithm and, where it is not the one wished for, that this cannot serve."""
        name = self.algorithm(which).name
        return name if self.wanted in ("", name) else f"{name} ({self.wanted} cannot)"


#: what serves all sizes and dtypes
PLAIN = Choice(ALGORITHMS["im2col"], ALGORITHMS["col2im"], ALGORITHMS["im2col"])


@functools.lru_cache(PLANS)
def choose(
    sizes: Sizes, dtype: str, wanted: str = "", constant: bool = False, channels_last: bool = False
) -> Choice:
    """The algorithm `wanted` where it can serve; elsewhere, and for `AUTO` or none, the one that costs least.

    `constant` weights stay the same from pass to pass, in which only outputs are computed.  With
    `channels_last`, so outputs do in memory, and an algorithm that is made for it is taken.  Costs depend on
    sizes alone, so that the same net computes the same numbers everywhere.  Raises `ValueError` for a name
    that is no algorithm's.
    """
    wanted = "" if wanted == AUTO else wanted
    if wanted and wanted not in ALGORITHMS:
        raise ValueError(f"there is no algorithm {wanted}; there are {AUTO}, {', '.join(ALGORITHMS)}")
    widens = wide(dtype) != dtype

    def best(which: str) -> Algorithm:
        able = [
            algorithm for algorithm in _able(sizes, which, constant) if not (widens and algorithm.in_place)
        ]
        asked = [algorithm for algorithm in able if algorithm.name == wanted]
        last = channels_last and which == FORWARD
        made = [algorithm for algorithm in able if algorithm.channels_last == last]
        return asked[0] if asked else min(made or able, key=lambda algorithm: algorithm.cost(sizes, which))

    return Choice(best(FORWARD), best(DATA), best(WEIGHT), wanted, widens)


def _able(sizes: Sizes, which: str, constant: bool) -> list[Algorithm]:
    """The algorithms that can compute a pass."""
    usual = {**ALGORITHMS, **PREPARED} if constant and which == FORWARD else ALGORITHMS
    return [algorithm for algorithm in usual.values() if algorithm.serves(sizes, which)]


@functools.lru_cache(PLANS)
def cost_of_output(sizes: Sizes, channels_last: bool, wanted: str = "", constant: bool = False) -> float:
    """Nanoseconds of the output with or without the channels last; inf: nothing is made for that.

    An algorithm that is `wanted` and can serve rules out the order that it is not made for.
    """
    able = _able(sizes, FORWARD, constant)
    asked = [each for each in able if each.name == wanted]
    made = [each for each in asked or able if each.channels_last == channels_last]
    return min((each.cost(sizes, FORWARD) for each in made), default=math.inf)

"""What the algorithms for convolution have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from netdef.ops import conv_cost, windows
from netdef.ops.conv_sizes import Sizes, carved, room
from netdef.ops.epilogue import NOTHING, Epilogue
from netdef.ops.shapes import Full

#: the passes: the output, the gradient of the data, the gradient of the weight
FORWARD, DATA, WEIGHT = "forward", "data", "weight"


class Algorithm:
    """One way to compute a convolution and its gradients, for the sizes that it `serves`.

    All arrays have the channels second and may have any strides; `space` is a flat workspace of the dtype in
    which sums are made, with as many elements as `room` says.  Nothing is kept between calls.  Convolutions
    are steady: all is computed by functions of `xp`, which sizes and memory alone decide.
    """

    name: str
    #: whether it multiplies the arrays themselves, which must then have the dtype in which sums are made
    in_place: ClassVar[bool] = False
    #: whether it is made for arrays with the channels last in memory; others are for the batch last
    channels_last: bool = False

    def serves(self, sizes: Sizes, which: str) -> bool:
        """Whether it can compute a pass."""
        return True

    def cost(self, sizes: Sizes, which: str) -> float:
        """About how many nanoseconds a pass takes; see `conv_cost`."""
        raise NotImplementedError

    def spaces(self, sizes: Sizes, which: str) -> tuple[Full, ...]:
        """The shapes of what a pass keeps while it runs, cut from its workspace in this order."""
        raise NotImplementedError

    def room(self, sizes: Sizes, which: str) -> int:
        """Elements of the workspace for a pass."""
        return room(self.spaces(sizes, which))

    def prepared(self, sizes: Sizes) -> Full:
        """The shape of what `correlate` wants to have instead of a weight; (): the weight itself."""
        return ()

    def prepare(self, xp: Any, weight: Any, prepared: Any) -> None:
        """Make of a weight what `correlate` wants to have."""
        raise NotImplementedError

    def correlate(
        self, xp: Any, sizes: Sizes, data: Any, weight: Any, epilogue: Epilogue, output: Any, space: Any
    ) -> None:
        """output = data convolved with weight, and what the epilogue does to that."""
        raise NotImplementedError

    def data_gradient(self, xp: Any, sizes: Sizes, doutput: Any, weight: Any, ddata: Any, space: Any) -> None:
        """ddata from doutput and weight."""
        raise NotImplementedError

    def weight_gradient(
        self, xp: Any, sizes: Sizes, doutput: Any, data: Any, dweight: Any, space: Any
    ) -> None:
        """dweight from doutput and data."""
        raise NotImplementedError


class Making(Algorithm):
    """An algorithm whose outputs are products with what it makes of the weight."""

    def serves(self, sizes: Sizes, which: str) -> bool:
        return which == FORWARD and self.fits(sizes)

    def fits(self, sizes: Sizes) -> bool:
        """Whether it can compute the outputs."""
        raise NotImplementedError

    def factors(self, sizes: Sizes) -> Full:
        """The shape of what is made of the weight."""
        raise NotImplementedError

    def make(self, xp: Any, weight: Any, factors: Any) -> None:
        """Make it."""
        raise NotImplementedError

    def making(self, sizes: Sizes) -> float:
        """What it costs to make that."""
        raise NotImplementedError

    def multiplying(self, sizes: Sizes) -> float:
        """What all else costs for outputs."""
        raise NotImplementedError

    def kept(self, sizes: Sizes) -> tuple[Full, ...]:
        """The shapes of what `multiply` keeps while it runs."""
        raise NotImplementedError

    def multiply(
        self,
        xp: Any,
        sizes: Sizes,
        data: Any,
        factors: Any,
        epilogue: Epilogue,
        output: Any,
        spaces: Sequence[Any],
    ) -> None:
        """`correlate` with what was made of the weight, and arrays of the shapes that are kept."""
        raise NotImplementedError

    def spaces(self, sizes: Sizes, which: str) -> tuple[Full, ...]:
        return (*self.kept(sizes), self.factors(sizes))

    def cost(self, sizes: Sizes, which: str) -> float:
        return self.multiplying(sizes) + self.making(sizes)

    def correlate(
        self, xp: Any, sizes: Sizes, data: Any, weight: Any, epilogue: Epilogue, output: Any, space: Any
    ) -> None:
        *spaces, factors, _ = carved(space, self.spaces(sizes, FORWARD))
        self.make(xp, weight, factors)
        self.multiply(xp, sizes, data, factors, epilogue, output, spaces)


class Made(Algorithm):
    """The outputs of an algorithm alone, from what was made of the weight before all passes."""

    def __init__(self, maker: Making) -> None:
        self._maker = maker
        self.name, self.channels_last = maker.name, maker.channels_last

    def serves(self, sizes: Sizes, which: str) -> bool:
        return which == FORWARD and self._maker.serves(sizes, which)

    def spaces(self, sizes: Sizes, which: str) -> tuple[Full, ...]:
        return self._maker.kept(sizes)

    def cost(self, sizes: Sizes, which: str) -> float:
        return self._maker.multiplying(sizes)

    def prepared(self, sizes: Sizes) -> Full:
        return self._maker.factors(sizes)

    def prepare(self, xp: Any, weight: Any, prepared: Any) -> None:
        self._maker.make(xp, weight, prepared)

    def correlate(
        self, xp: Any, sizes: Sizes, data: Any, weight: Any, epilogue: Epilogue, output: Any, space: Any
    ) -> None:
        *spaces, _ = carved(space, self._maker.kept(sizes))
        self._maker.multiply(xp, sizes, data, weight, epilogue, output, spaces)


class Turning(Algorithm):
    """An algorithm for the output that gives the gradient of the data as well.

    Where windows visit every element, that is a convolution, too: of the output's gradient with every filter
    the other way round.
    """

    def serves(self, sizes: Sizes, which: str) -> bool:
        return which != DATA or (sizes.turns and self.serves(sizes.turned(), FORWARD))

    def cost(self, sizes: Sizes, which: str) -> float:
        turned = sizes.turned()
        return math.prod(turned.weight) * conv_cost.TURN + self.cost(turned, FORWARD)

    def spaces(self, sizes: Sizes, which: str) -> tuple[Full, ...]:
        turned = sizes.turned()
        return turned.weight, (self.room(turned, FORWARD),)

    def data_gradient(self, xp: Any, sizes: Sizes, doutput: Any, weight: Any, ddata: Any, space: Any) -> None:
        turned = sizes.turned()
        filters, rest, _ = carved(space, self.spaces(sizes, DATA))
        turn(xp, sizes.by_group(weight), turned.by_group(filters))
        self.correlate(xp, turned, doutput, filters, NOTHING, ddata, rest)


def turn(xp: Any, weight: Any, filters: Any) -> None:
    """A weight (groups, filters, channels, k...) the other way round (groups, channels, filters, k...)."""
    reverse = windows.along(3, *(slice(None, None, -1) for _ in range(weight.ndim - 3)))
    xp.copyto(filters, xp.swapaxes(weight, 1, 2)[reverse])

"""What the algorithms for convolution have in common."""

from __future__ import annotations

from typing import Any, ClassVar

from netdef.ops.conv_sizes import Sizes, carved, room
from netdef.ops.shapes import Full

#: the passes: the output, the gradient of the data, the gradient of the weight
FORWARD, DATA, WEIGHT = "forward", "data", "weight"
PASSES = (FORWARD, DATA, WEIGHT)


class Algorithm:
    """One way to compute a convolution and its gradients, for the sizes that it `serves`.

    All arrays have the channels second and may have any strides; `space` is a flat workspace of the dtype in
    which sums are made, with as many elements as `room` says.  Nothing is kept between calls.
    """

    name: ClassVar[str]

    def serves(self, sizes: Sizes, which: str) -> bool:
        """Whether it can compute a pass; by default the data's gradient where this is a convolution."""
        return which != DATA or (sizes.turns and self.serves(sizes.turned(), FORWARD))

    def cost(self, sizes: Sizes, which: str) -> float:
        """About how long a pass takes, in nanoseconds on one core with AVX-512 (see `conv_choice`)."""
        if which == DATA:
            return self.cost(sizes.turned(), FORWARD)
        raise NotImplementedError

    def spaces(self, sizes: Sizes, which: str) -> tuple[Full, ...]:
        """The shapes of what a pass keeps while it runs, cut from its workspace in this order."""
        if which == DATA:
            back = sizes.turned()
            return back.weight, (self.room(back, FORWARD),)
        raise NotImplementedError

    def room(self, sizes: Sizes, which: str) -> int:
        """Elements of the workspace for a pass."""
        return room(self.spaces(sizes, which))

    def correlate(
        self, xp: Any, sizes: Sizes, data: Any, weight: Any, bias: Any, output: Any, space: Any
    ) -> None:
        """output = data convolved with weight, plus bias where there is one."""
        raise NotImplementedError

    def data_gradient(
        self, xp: Any, sizes: Sizes, doutput: Any, weight: Any, ddata: Any, space: Any
    ) -> None:
        """ddata from doutput and weight: by default a convolution with every filter the other way round."""
        back = sizes.turned()
        filters, rest, _ = carved(space, self.spaces(sizes, DATA))
        reverse = (slice(None),) * 3 + (slice(None, None, -1),) * len(sizes.axes)
        xp.copyto(back.by_group(filters), xp.swapaxes(sizes.by_group(weight), 1, 2)[reverse])
        self.correlate(xp, back, doutput, filters, None, ddata, rest)

    def weight_gradient(
        self, xp: Any, sizes: Sizes, doutput: Any, data: Any, dweight: Any, space: Any
    ) -> None:
        """dweight from doutput and data."""
        raise NotImplementedError

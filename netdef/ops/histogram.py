"""Counting numbers."""

from __future__ import annotations

from typing import Any

from netdef.ops.base import Op
from netdef.ops.fields import BadValue, Floats, Int
from netdef.ops.shapes import ShapeError, Shapes, prod, show


class Histogram(Op):
    """How many numbers lie in each bin, and the bounds: data, bins -> output0 (K,), output1 (K+1,).

    Without `bin_cnt` the ascending bounds are the input bins (K+1,); with it there are that many bins of one
    width over `range`, and no such input.  A bin holds its lower bound, the last one its upper bound, too;
    other numbers are not counted.  MXNet's _histogram, which has no gradient.
    """

    bin_cnt = Int(None, "the number of bins of one width, instead of bins", min=1)
    range = Floats(None, "with bin_cnt: the lower bound of the first bin, the upper one of the last")

    names = ("_histogram",)
    inputs = ("data", "bins")
    outputs = ("output0", "output1")
    visible = 2
    allocates = "numpy counts into new arrays"
    examples = (
        ({}, {"data": (4, 3), "bins": (5,)}),
        ({"bin_cnt": 5, "range": (-1.0, 1.5)}, {"data": (4, 3)}),
    )

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        if (self.bin_cnt is None) != (self.range is None):
            raise BadValue("bin_cnt and range belong together", "give both, or bins instead")
        if self.range is not None and not (len(self.range) == 2 and self.range[0] <= self.range[1]):
            raise BadValue(f"range: {self.range} is not a lower and an upper bound", "such as (0, 1)")

    def input_names(self) -> tuple[str, ...]:
        return self.inputs if self.bin_cnt is None else self.inputs[:1]

    def shape(self, s: Shapes) -> None:
        if self.bin_cnt is not None:
            s.merge("output0", (self.bin_cnt,), f"bin_cnt is {self.bin_cnt}")
            s.merge("output1", (self.bin_cnt + 1,), f"bin_cnt is {self.bin_cnt}")
            return
        s.same("bins", "output1")
        bins = s["bins"]
        if bins is None:
            return
        if len(bins) != 1 or (bins[0] is not None and bins[0] < 2):
            raise ShapeError(
                f"bins is {show(bins)}, but a vector of two bounds or more is needed", tensor="bins"
            )
        s.merge("output0", (None if bins[0] is None else bins[0] - 1,))

    def types(self, t: Shapes) -> None:
        t.merge("output0", "int64")  # type: ignore[arg-type]
        t.same("data", *self.input_names()[1:], "output1")

    def flops(self, s: Shapes) -> int:
        return prod(s.full("data")) or 0

    def forward(self, xp: Any, data: Any, bins: Any, output0: Any, output1: Any) -> None:
        count = output0.size
        if bins is None:
            low, high = self.range
            output1[...] = (xp.arange(count + 1) * high + xp.arange(count, -1, -1) * low) / count
        else:
            output1[...] = bins
        inside = data[(data >= output1[0]) & (data <= output1[-1])]
        if bins is None:
            # by arithmetic, then one bin down or up where rounding, of bounds too, led beside the right one
            places = ((inside - low) * (count / ((high - low) or 1))).astype("int64")
            places = xp.clip(places, 0, count - 1)
            places -= inside < output1[places]
            places += (inside >= output1[places + 1]) & (places != count - 1)
        else:
            places = xp.minimum(xp.searchsorted(output1, inside, side="right") - 1, count - 1)
        output0[...] = xp.bincount(places, minlength=count)

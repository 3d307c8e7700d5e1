"""Random choices: whole numbers, classes by their probabilities, orders."""

from __future__ import annotations

import math
from typing import Any

from netdef.ops.base import Op
from netdef.ops.creation import Device, wanted
from netdef.ops.fields import Bool, Dims, DType, Int
from netdef.ops.shapes import ShapeError, Shapes, show


class RandomRandint(Op):
    """Whole numbers from `low` to below `high`, all equally likely: -> output.  MXNet's _random_randint."""

    low = Int(help="the smallest number")
    high = Int(help="the number behind the largest one")
    shape_ = Dims(None, "the shape; 0, or nothing at all, is what the reader needs", min=0)
    ctx = Device()
    dtype = DType("int32", "int64", default=None, help="the dtype; left out: int32")

    inputs = ()
    names = ("_random_randint", "random_randint")
    allocates = "numpy's integers has no out"
    examples = (
        ({"low": -2, "high": 3}, {"output": (4, 3)}),
        ({"low": 0, "high": 9, "dtype": "int64"}, {"output": (4, 3)}),
    )

    def shape(self, s: Shapes) -> None:
        if self.low >= self.high:
            told = f"there is no whole number from {self.low} to below {self.high}"
            raise ShapeError(told, attribute="high")
        s.merge("output", wanted(self.shape_), f"the attribute says {self.shape_}", "shape")

    def types(self, t: Shapes) -> None:
        t.merge("output", self.dtype or "int32")  # type: ignore[arg-type]

    def forward(self, xp: Any, random: Any, output: Any) -> None:
        output[...] = random.integers(self.low, self.high, output.shape, dtype=output.dtype)


class SampleMultinomial(Op):
    """Numbers of classes, drawn with given probabilities: data (A..., K) -> output (A..., shape...).

    Each row of the data holds the probabilities of K classes; they count in proportion to their sum.  With
    `get_prob` there is a second output, the logarithm of the probability of each class that was drawn, whose
    gradient d/p goes to that probability.  One row without `shape` gives (1,).  MXNet's sample_multinomial.
    """

    shape_ = Dims((), "how many numbers for each row; left out: one", min=0)
    get_prob = Bool(False, "give the logarithms of the probabilities, too")
    dtype = DType("uint8", "int32", "float16", "float32", "float64", default="int32", help="of the numbers")

    outputs = ("output", "output0", "output1")
    names = ("_sample_multinomial", "sample_multinomial")
    allocates = "numpy's searchsorted and indexing have no out"
    examples = (
        ({}, {"data": (4, 3)}),
        ({"shape": (5, 2)}, {"data": (4, 3)}),
        ({"shape": 5, "get_prob": True}, {"data": (4, 2, 3)}),
        ({"get_prob": True, "dtype": "float32"}, {"data": (4, 3)}),
    )

    def output_names(self) -> tuple[str, ...]:
        return self.outputs[1:] if self.get_prob else self.outputs[:1]

    def visible_outputs(self) -> int:
        return 2 if self.get_prob else 1

    def shape(self, s: Shapes) -> None:
        data = s.rank("data", 1, "(..., classes)")
        if data is not None:
            drawn = (*data[:-1], *self.shape_) or (1,)
            for name in self.output_names():
                s.merge(name, drawn, f"data is {show(data)} and shape {self.shape_}")
        s.same(*self.output_names())
        output = s[self.output_names()[0]]
        if data is not None and output is not None:
            s.merge("data", (*output[: len(data) - 1], data[-1]), f"the output is {show(output)}")

    def types(self, t: Shapes) -> None:
        t.merge(self.output_names()[0], self.dtype)
        if self.get_prob:
            t.same("data", "output1")

    def forward(self, xp: Any, random: Any, data: Any, output: Any, output0: Any, output1: Any) -> None:
        drawn = output if output0 is None else output0
        classes = data.shape[-1]
        rows = data.reshape(-1, classes)
        chosen = self._choose(xp, random, rows, drawn.size // len(rows))
        drawn[...] = chosen.reshape(drawn.shape)
        if output1 is not None:
            output1[...] = xp.log(xp.take_along_axis(rows, chosen, axis=1)).reshape(output1.shape)

    @staticmethod
    def _choose(xp: Any, random: Any, rows: Any, count: int) -> Any:
        """For each row of probabilities the numbers of `count` classes."""
        ends = xp.cumsum(rows, axis=1, dtype="float64")
        totals = ends[:, -1:]
        if not (rows.min() >= 0 and totals.min() > 0 and totals.max() < math.inf):
            place = int(xp.argmin(xp.isfinite(totals[:, 0]) & (totals[:, 0] > 0) & (rows >= 0).all(axis=1)))
            raise ValueError(f"row {place} of data does not hold probabilities: {rows[place].tolist()}")
        # All rows in one sorted line, row i from i to i + 1, so that one search serves them all.
        starts = xp.arange(len(rows))[:, None]
        line = (ends / totals + starts).reshape(-1)
        noise = xp.minimum(random.random((len(rows), count)) + starts, xp.nextafter(starts + 1.0, 0))
        return xp.searchsorted(line, noise, side="right") - starts * rows.shape[1]

    def backward(self, xp: Any, data: Any, output0: Any, doutput1: Any, ddata: Any) -> None:
        ddata[...] = 0
        if doutput1 is None:
            return
        classes = data.shape[-1]
        rows = math.prod(data.shape[:-1])
        chosen = output0.reshape(rows, -1).astype("int64")
        slopes = doutput1.reshape(rows, -1) / xp.take_along_axis(data.reshape(rows, classes), chosen, axis=1)
        places = (chosen + xp.arange(rows)[:, None] * classes).reshape(-1)
        ddata[...] = xp.bincount(places, slopes.reshape(-1), rows * classes).reshape(ddata.shape)


class Shuffle(Op):
    """The parts along the first axis in a random order: data -> output of the same shape.

    The hidden output `order` (n,) holds for each place of the output where its part came from.  MXNet's
    shuffle, which has no gradient there.
    """

    outputs = ("output", "order")
    counted = 1
    names = ("_shuffle", "shuffle")
    work = 0
    allocates = "numpy's permutation has no out"
    examples = (({}, {"data": (4, 3, 2)}), ({}, {"data": (4,)}))

    def shape(self, s: Shapes) -> None:
        s.same("data", "output")
        data = s.rank("data", 1, "at least one axis")
        if data is not None:
            s.merge("order", data[:1], f"data is {show(data)}")
            s.merge("data", (*(s["order"] or ()), *data[1:]))
            s.same("data", "output")

    def types(self, t: Shapes) -> None:
        t.same("data", "output")
        t.merge("order", "int64")  # type: ignore[arg-type]

    def forward(self, xp: Any, random: Any, data: Any, output: Any, order: Any) -> None:
        chosen = random.permutation(len(data))
        output[...] = data[chosen]
        if order is not None:
            order[...] = chosen

    def backward(self, xp: Any, doutput: Any, order: Any, ddata: Any) -> None:
        ddata[order] = doutput

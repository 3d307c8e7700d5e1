"""Fully connected layers."""

from __future__ import annotations

from typing import Any

from netdef.ops import few_rows
from netdef.ops.arrays import write_back
from netdef.ops.base import Cut, Op
from netdef.ops.fields import Bool, Int
from netdef.ops.foreign import As, Fixed, Lost
from netdef.ops.shapes import ShapeError, Shapes, prod


class FullyConnected(Op):
    """An affine map of the axes from `axis` on: output = data . weight' + bias.

    data (M..., K...) -> output (M..., num_hidden), where K... are the axes from `axis` on, flattened; weight
    (num_hidden, K), or (K, num_hidden) with `transpose`; bias (num_hidden,).  MXNet's FullyConnected, with
    Caffe's InnerProduct fields `axis` and `transpose` added.
    """

    num_hidden = Int(min=1, help="number of outputs of each sample")
    no_bias = Bool(False, "leave out the bias")
    flatten = Bool(True, "flatten the axes from `axis` on; otherwise only the last axis is mapped")
    axis = Int(1, "first axis that is mapped; negative counts from the end")
    transpose = Bool(False, "the weight is stored as (K, num_hidden)")

    inputs = ("data", "weight", "bias")
    steady = ("forward", "backward")
    batched = ("data", "output")
    batch_last = None
    onnx = (
        As(
            "Gemm",
            num_hidden=Lost("the shape of the weight says it"),
            no_bias=Lost("the absence of the third input says it"),
            flatten=Fixed(True),
            axis=Fixed(1),
            transpose=Fixed(False),
        ),
    )
    examples = (
        ({"num_hidden": 5}, {"data": (4, 3, 2)}),
        ({"num_hidden": 5, "no_bias": True, "transpose": True}, {"data": (4, 6)}),
        ({"num_hidden": 5, "flatten": False}, {"data": (4, 3, 2)}),
        ({"num_hidden": 1, "axis": 2}, {"data": (2, 3, 2, 2)}),
        ({"num_hidden": 5, "axis": 0}, {"data": (2, 3)}),
    )

    def input_names(self) -> tuple[str, ...]:
        return self.inputs[:2] if self.no_bias else self.inputs

    def _first(self, s: Shapes) -> int:
        return s.axis("data", self.axis if self.flatten else -1)

    def shape(self, s: Shapes) -> None:
        data = s["data"]
        if data is None:  # MXNet, too, says nothing of the rest then
            return
        s.merge("bias", (self.num_hidden,), f"num_hidden is {self.num_hidden}", attribute="num_hidden")
        weight = (None, self.num_hidden) if self.transpose else (self.num_hidden, None)
        s.merge("weight", weight, f"num_hidden is {self.num_hidden}", attribute="num_hidden")
        first = self._first(s)
        inner = prod(data[first:])
        if inner == 0:
            raise ShapeError("data has no elements to map", tensor="data")
        weight = (inner, self.num_hidden) if self.transpose else (self.num_hidden, inner)
        s.merge("weight", weight, f"data gives {inner} values a sample, num_hidden is {self.num_hidden}")
        s.merge("output", (*data[:first], self.num_hidden), f"num_hidden is {self.num_hidden}")
        output = s["output"] or ()
        s.merge("data", (*output[:first], *data[first:]))

    def samples(self, s: Shapes) -> tuple[str, ...]:
        return self.batched if self._first(s) else ()  # otherwise all is one sample

    def cuts(self, s: Shapes, backward: bool) -> tuple[Cut, ...]:
        """By samples, or by outputs, which the weight's gradient is cut by: it has no shares of a sum."""
        if not self.samples(s):
            return ()
        samples = Cut({"data": 0, "output": 0}, ("ddata",) if backward else ())
        by_output = {"output": -1, "weight": 1 if self.transpose else 0, "bias": 0}
        if backward:
            return samples, Cut(by_output, ("dweight", "dbias"))
        few = s.full("output")[0] < self.num_hidden
        return (Cut(by_output),) if few else (samples,)

    def macs(self, s: Shapes) -> int:
        return (prod(s.full("output")) or 0) * (prod(s.full("weight")) or 0) // self.num_hidden

    def forward(self, xp: Any, data: Any, weight: Any, bias: Any, output: Any) -> None:
        matrix = weight if self.transpose else weight.T
        hidden = matrix.shape[1]
        outer = output.size // hidden
        flat = output.reshape(outer, hidden)
        few_rows.multiply(xp, data.reshape(outer, matrix.shape[0]), matrix, flat)
        if bias is not None:
            xp.add(flat, bias, out=flat)
        write_back(xp, flat, output)

    def backward(
        self, xp: Any, doutput: Any, data: Any, weight: Any, ddata: Any, dweight: Any, dbias: Any
    ) -> None:
        matrix = weight if self.transpose else weight.T
        upper = doutput.reshape(-1, matrix.shape[1])
        if ddata is not None:
            flat = ddata.reshape(upper.shape[0], matrix.shape[0])
            few_rows.multiply(xp, upper, matrix.T, flat)
            write_back(xp, flat, ddata)
        if dweight is not None:
            lower = data.reshape(upper.shape[0], matrix.shape[0])
            left, right = (lower, upper) if self.transpose else (upper, lower)
            xp.matmul(left.T, right, out=dweight)
        if dbias is not None:
            xp.sum(upper, axis=0, out=dbias)

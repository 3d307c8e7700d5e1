"""Scaling by channel."""

from __future__ import annotations

from typing import Any

from netdef.ops.arrays import ordered, others, spread
from netdef.ops.base import Cut, Op, Workspace
from netdef.ops.fields import Bool, Int
from netdef.ops.shapes import ShapeError, Shapes, show


class Scale(Op):
    """Multiply by one number for each place along some axes: data, scale[, bias] -> output, shaped as data.

    scale has the shape of `num_axes` axes of data from `axis` on (-1: to the last, 0: one number); bias, with
    `bias_term`, has the shape of scale.  A scale whose shape is known beforehand, because it is computed,
    decides by its own rank.  Caffe's Scale.
    """

    axis = Int(1, "first axis of data that scale runs along; negative counts from the end")
    num_axes = Int(1, "how many axes; -1 for all from `axis` on, 0 for a single number", min=-1)
    bias_term = Bool(False, "add a bias")

    inputs = ("data", "scale", "bias")
    scratch = ("work",)
    batched = ("data", "output")
    batch_last = None
    inplace = (("data", "output"), ("doutput", "ddata"))
    examples = (
        ({}, {"data": (4, 3, 2)}),
        ({"num_axes": -1, "bias_term": True}, {"data": (4, 3, 2)}),
        ({"num_axes": 0, "bias_term": True}, {"data": (4, 3)}),
        ({"axis": 0, "num_axes": 2}, {"data": (4, 3, 2)}),
        ({"axis": -2}, {"data": (4, 3, 2), "scale": (3, 2)}),
    )

    def input_names(self) -> tuple[str, ...]:
        return self.inputs if self.bias_term else self.inputs[:2]

    def shape(self, s: Shapes) -> None:
        s.same("data", "output")
        s.same(*self.input_names()[1:])
        data, scale = s["data"], s["scale"]
        if data is None:
            return
        if (self.num_axes if scale is None else len(scale)) == 0:
            axis = count = 0
        else:
            axis = s.axis("data", self.axis)
            count = self.num_axes if scale is None else len(scale)
            count = len(data) - axis if count < 0 else count
        if axis + count > len(data):
            raise ShapeError(
                f"data {show(data)} has no {count} axes from axis {axis} on",
                tensor="data",
                attribute="num_axes" if scale is None else "axis",
                hint=f"at most {len(data) - axis}, or another axis",
            )
        for name in self.input_names()[1:]:
            rule = f"data is {show(data)} and scale runs along its axes from {axis} on"
            s.merge(name, data[axis : axis + count], rule)
        known = s["scale"] or ()
        s.merge("data", (*data[:axis], *known, *data[axis + count :]))

    def samples(self, s: Shapes) -> tuple[str, ...]:
        return self.batched if len(s.full("scale")) and s.axis("data", self.axis) else ()

    def cuts(self, s: Shapes, backward: bool) -> tuple[Cut, ...]:
        """Along the first axis of scale."""
        if not s.full("scale"):
            return ()
        return (Cut({"data": self.axis, "output": self.axis, "scale": 0, "bias": 0}),)

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"work": Workspace(s.full("data"))} if backward else {}

    def _first(self, data: Any, scale: Any) -> int:
        return self.axis % data.ndim if scale.ndim else 0

    def forward(self, xp: Any, data: Any, scale: Any, bias: Any, output: Any) -> None:
        axis = self._first(data, scale)
        xp.multiply(data, spread(scale, data, axis), out=output)
        if bias is not None:
            xp.add(output, spread(bias, data, axis), out=output)

    def backward(
        self, xp: Any, doutput: Any, data: Any, scale: Any, ddata: Any, dscale: Any, dbias: Any, work: Any
    ) -> None:
        axis = self._first(data, scale)
        rest = others(data.ndim, axis, scale.ndim)
        if dscale is not None:
            work = ordered(work, data)
            xp.multiply(doutput, data, out=work)
            work.sum(axis=rest, out=dscale)
        if dbias is not None:
            doutput.sum(axis=rest, out=dbias)
        if ddata is not None:
            xp.multiply(doutput, spread(scale, data, axis), out=ddata)

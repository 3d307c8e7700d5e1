"""Smaller operators of mx.contrib."""

from __future__ import annotations

import math
from typing import Any

from netdef.ops.arrays import count_up, ordered
from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Bool, Dims, Float, Hint, Int
from netdef.ops.shapes import Shapes, Types, prod, show


class Quadratic(Op):
    """a x^2 + b x + c of every element: data -> output of the same shape.  MXNet's contrib.quadratic."""

    a = Float(0.0, "coefficient of the square")
    b = Float(0.0, "coefficient of the number itself")
    c = Float(0.0, "what is added")

    names = ("_contrib_quadratic",)
    work = 4
    scratch = ("slope",)
    inplace = (("doutput", "ddata"),)
    examples = (
        ({"a": 2, "b": -1, "c": 0.5}, {"data": (4, 3, 2)}),
        ({}, {"data": (4,)}),
    )

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"slope": Workspace(s.full("data"))} if backward else {}

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        xp.multiply(data, self.a, out=output)
        xp.add(output, self.b, out=output)
        xp.multiply(output, data, out=output)
        xp.add(output, self.c, out=output)

    def backward(self, xp: Any, doutput: Any, data: Any, ddata: Any, slope: Any) -> None:
        slope = ordered(slope, data)
        xp.multiply(data, 2 * self.a, out=slope)
        xp.add(slope, self.b, out=slope)
        xp.multiply(doutput, slope, out=ddata)


class DivSqrtDim(Op):
    """Every element divided by the root of the last axis' size: data -> output of the same shape.

    What attention divides its products by (Vaswani et al. 2017).  MXNet's contrib.div_sqrt_dim.
    """

    names = ("_contrib_div_sqrt_dim",)
    inplace = (("data", "output"), ("doutput", "ddata"))
    examples = (({}, {"data": (4, 3)}), ({}, {"data": (5,)}))

    def shape(self, s: Shapes) -> None:
        s.same("data", "output")
        s.rank("data", 1, "a last axis")

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        xp.divide(data, math.sqrt(data.shape[-1]), out=output)

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        xp.divide(doutput, math.sqrt(doutput.shape[-1]), out=ddata)


class GradientMultiplier(Op):
    """The input itself, and `scalar` times the gradient: data -> output, the same memory where possible.

    With a negative scalar the reversal layer of Ganin and Lempitsky 2015.  MXNet's
    contrib.gradientmultiplier.
    """

    scalar = Float(1.0, "what the gradient is multiplied by")
    is_int = Hint("whether the scalar stands for a whole number")

    names = ("_contrib_gradientmultiplier",)
    work = 0
    inplace = (("data", "output"), ("doutput", "ddata"))
    examples = (({"scalar": -0.5}, {"data": (4, 3, 2)}),)

    def view(self, train: bool) -> tuple[str, str] | None:
        return "data", "output"

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        xp.copyto(output, data)

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        xp.multiply(doutput, self.scalar, out=ddata)


class ArangeLike(Op):
    """Evenly spaced numbers in the shape of another tensor: data -> output.

    start, start + step, ..., each `repeat` times, in row-major order; with `axis` a vector as long as that
    axis.  Integer dtypes lose the fractions of start and step.  No gradient passes.  MXNet's
    contrib.arange_like, whose float16 loses them, too; here it does not.
    """

    start = Float(0.0, "the first number")
    step = Float(1.0, "the distance of the numbers")
    repeat = Int(1, "how often each number stands", min=1)
    ctx = Hint("where MXNet puts the output")
    axis = Int(None, "the axis whose size counts; negative from the end; left out: all")

    names = ("_contrib_arange_like",)
    scratch = ("ramp", "value")
    work = 2
    examples = (
        ({}, {"data": (4, 3)}),
        ({"start": 1.5, "step": -0.5, "repeat": 2}, {"data": (4, 3)}),
        ({"axis": -2, "repeat": 3}, {"data": (4, 5)}),
    )

    def shape(self, s: Shapes) -> None:
        if self.axis is None:
            s.same("data", "output")
        elif (data := s["data"]) is not None:
            axis = s.axis("data", self.axis)
            s.merge("output", (data[axis],), f"data is {show(data)} and axis {axis} counts")
            s.merge("data", (*data[:axis], *(s["output"] or ()), *data[axis + 1 :]))

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        size = prod(s.full("output")) or 0
        return {"ramp": Workspace((size,), "int64"), "value": Workspace((size,), "float64")}

    def forward(self, xp: Any, output: Any, ramp: Any, value: Any) -> None:
        count_up(xp, ramp)
        xp.floor_divide(ramp, self.repeat, out=ramp)
        start, step = self.start, self.step
        if output.dtype.kind in "iu":
            start, step = int(start), int(step)
        xp.multiply(ramp, step, out=value)
        xp.add(value, start, out=value)
        xp.copyto(output, value.reshape(output.shape), casting="unsafe")


class IndexArray(Op):
    """The indices of every place: data (D0, ..., Dn) -> output (D0, ..., Dn, n + 1) of type int64.

    With `axes` only the indices along these, in that order.  No gradient passes.  MXNet's
    contrib.index_array.
    """

    axes = Dims(None, "the axes whose indices the output holds; negative from the end; left out: all")

    names = ("_contrib_index_array",)
    scratch = ("ramp",)
    work = 0
    examples = (({}, {"data": (4, 3)}), ({"axes": (-1, 0)}, {"data": (4, 3, 2)}), ({}, {"data": (4,)}))

    def shape(self, s: Shapes) -> None:
        data, output = s["data"], s["output"]
        if data is not None:
            for axis in self.axes or ():
                s.axis("data", axis, "axes")
            wide = len(data) if self.axes is None else len(self.axes)
            s.merge("output", (*data, wide), f"data is {show(data)}", "axes")
            output = s["output"]
        if output:
            s.merge("data", output[:-1])

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.merge("output", "int64")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"ramp": Workspace((max(s.full("data"), default=0),), "int64")}

    def forward(self, xp: Any, output: Any, ramp: Any) -> None:
        count_up(xp, ramp)
        rank = output.ndim - 1
        for number, axis in enumerate(range(rank) if self.axes is None else self.axes):
            axis %= rank
            along = ramp[: output.shape[axis]]
            output[..., number] = along.reshape((-1,) + (1,) * (rank - 1 - axis))


class AllClose(Op):
    """Whether two tensors are nearly equal: a, b of one shape -> output, a scalar of type uint8.

    1 where |a - b| <= atol + rtol |b| or a = b everywhere.  No gradient passes.  MXNet's contrib.allclose.
    """

    rtol = Float(1e-5, "how much of b may be missing")
    atol = Float(1e-8, "how much may be missing at all")
    equal_nan = Bool(True, "whether NaN equals NaN")

    names = ("_contrib_allclose",)
    inputs = ("a", "b")
    scratch = ("gap", "limit", "near", "left", "right")
    work = 5
    examples = (({}, {"a": (4, 3)}), ({"rtol": 9, "equal_nan": False}, {"a": (4, 3)}))

    def shape(self, s: Shapes) -> None:
        s.same("a", "b")
        s.merge("output", ())

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.same("a", "b")
        t.merge("output", "uint8")

    def flops(self, s: Shapes) -> int:
        return self.work * (prod(s.full("a")) or 0)

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        numbers, facts = Workspace(s.full("a"), "float64"), Workspace(s.full("a"), "bool")
        return {"gap": numbers, "limit": numbers, "near": facts, "left": facts, "right": facts}

    def forward(
        self,
        xp: Any,
        a: Any,
        b: Any,
        output: Any,
        gap: Any,
        limit: Any,
        near: Any,
        left: Any,
        right: Any,
    ) -> None:
        xp.equal(a, b, out=near)
        for number, array in ((gap, a), (limit, b)):
            xp.copyto(number, array)
            xp.copyto(number, 0, where=near)  # the difference of equal infinities is no number
        xp.subtract(gap, limit, out=gap)
        xp.absolute(gap, out=gap)
        xp.absolute(limit, out=limit)
        xp.multiply(limit, self.rtol, out=limit)
        xp.add(limit, self.atol, out=limit)
        xp.logical_or(near, xp.less_equal(gap, limit, out=left), out=near)
        if self.equal_nan:
            xp.not_equal(a, a, out=left)
            xp.not_equal(b, b, out=right)
            xp.logical_or(near, xp.logical_and(left, right, out=left), out=near)
        output[...] = near.all()

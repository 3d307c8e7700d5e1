"""Reductions: one number of all those along some axes."""

from __future__ import annotations

from typing import Any, ClassVar

from netdef.ops.arrays import ordered, write_back
from netdef.ops.axes import KEEPDIMS_HELP, Axis, aligned, along, distinct, reduced_shape, total
from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Bool, Dims, DType, Int
from netdef.ops.shapes import Full, ShapeError, Shapes, prod

#: the dtypes that an output may be given
NUMBERS = ("float16", "float32", "float64", "int32", "int64", "int8")


class _Reduction(Op, abstract=True):
    """A reduction: data (any shape) -> output, without the axes or with size 1 for them."""

    axis = Dims(None, "the axes to reduce; left out or empty: all; negative counts from the end")
    keepdims = Bool(False, KEEPDIMS_HELP)

    examples: ClassVar[tuple[tuple[dict[str, Any], dict[str, Full]], ...]] = (
        ({}, {"data": (4, 3, 2)}),
        ({"axis": 1}, {"data": (4, 3, 2)}),
        ({"axis": (-1, 0), "keepdims": True}, {"data": (4, 3, 2)}),
        ({"axis": (), "keepdims": True}, {"data": (4, 3)}),
    )

    def axes(self, s: Shapes) -> tuple[int, ...]:
        """The reduced axes of data of known rank, counted from the front."""
        return distinct(s, "data", self.axis) if self.axis else tuple(range(len(s["data"] or ())))

    def shape(self, s: Shapes) -> None:
        if s["data"] is not None:
            s.merge("output", reduced_shape(s["data"], self.axes(s), self.keepdims))

    def flops(self, s: Shapes) -> int:
        return self.work * (prod(s.full("data")) or 0)

    def _small(self, data: Any, output: Any) -> tuple[tuple[int, ...], Any]:
        """The reduced axes, and a view of output (or its gradient) that broadcasts against data."""
        axes = self.axes(Shapes({"data": data.shape}))
        return axes, aligned(output, data.shape, axes)


class _Excluding(_Reduction, abstract=True):
    """A reduction that may be over all axes but those given."""

    exclude = Bool(False, "reduce the axes that are not in `axis`")
    examples = (*_Reduction.examples, ({"axis": 0, "exclude": True}, {"data": (4, 3, 2)}))

    def axes(self, s: Shapes) -> tuple[int, ...]:
        axes = super().axes(s)
        if self.exclude and self.axis:
            return tuple(axis for axis in range(len(s["data"] or ())) if axis not in axes)
        return axes


class Sum(_Excluding):
    """The sum over axes: data -> output.  MXNet's sum."""

    names = ("sum", "sum_axis", "_sparse_sum")

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        axes, small = self._small(data, output)
        total(xp, data, axes, small)

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        xp.copyto(ddata, self._small(ddata, doutput)[1])


class Mean(_Excluding):
    """The mean over axes: data -> output.  MXNet's mean; whole numbers are truncated."""

    names = ("mean", "_sparse_mean")

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        axes, small = self._small(data, output)
        total(xp, data, axes, small)
        xp.divide(small, data.size // max(1, small.size), out=small, casting="unsafe")

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        _, small = self._small(ddata, doutput)
        xp.divide(small, ddata.size // max(1, small.size), out=ddata)


class Prod(_Excluding):
    """The product over axes: data -> output.

    The gradient is output / data, so it is NaN or infinite at a zero, as in MXNet.
    """

    names = ("prod",)

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        axes, small = self._small(data, output)
        xp.prod(data, axis=axes, keepdims=True, out=small)

    def backward(self, xp: Any, doutput: Any, data: Any, output: Any, ddata: Any) -> None:
        xp.divide(self._small(data, output)[1], data, out=ddata)
        xp.multiply(ddata, self._small(data, doutput)[1], out=ddata)


class _SkippingNaN(_Excluding, abstract=True):
    """A reduction of the numbers that are not NaN, which get no gradient."""

    scratch = ("work", "mask")
    #: what stands in for NaN
    neutral = 0

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        mask = {"mask": Workspace(s.full("data"), "bool")}
        return mask if backward else {**mask, "work": Workspace(s.full("data"))}

    def _fill(self, xp: Any, data: Any, work: Any, mask: Any) -> Any:
        """Data with NaN replaced, in the workspace."""
        work, mask = ordered(work, data), ordered(mask, data)
        xp.isnan(data, out=mask)
        xp.copyto(work, data)
        xp.copyto(work, self.neutral, where=mask)
        return work


class NanSum(_SkippingNaN):
    """The sum over axes of the numbers that are not NaN: data -> output.  MXNet's nansum."""

    names = ("nansum",)

    def forward(self, xp: Any, data: Any, output: Any, work: Any, mask: Any) -> None:
        axes, small = self._small(data, output)
        total(xp, self._fill(xp, data, work, mask), axes, small)

    def backward(self, xp: Any, doutput: Any, data: Any, ddata: Any, mask: Any) -> None:
        mask = ordered(mask, data)
        xp.isnan(data, out=mask)
        xp.copyto(ddata, self._small(data, doutput)[1])
        xp.copyto(ddata, 0, where=mask)


class NanProd(_SkippingNaN):
    """The product over axes of the numbers that are not NaN: data -> output.

    MXNet's nanprod.  The gradient is output / data, so it is NaN or infinite at a zero.
    """

    names = ("nanprod",)
    neutral = 1

    def forward(self, xp: Any, data: Any, output: Any, work: Any, mask: Any) -> None:
        axes, small = self._small(data, output)
        xp.prod(self._fill(xp, data, work, mask), axis=axes, keepdims=True, out=small)

    def backward(self, xp: Any, doutput: Any, data: Any, output: Any, ddata: Any, mask: Any) -> None:
        mask = ordered(mask, data)
        xp.isnan(data, out=mask)
        xp.divide(self._small(data, output)[1], data, out=ddata)
        xp.multiply(ddata, self._small(data, doutput)[1], out=ddata)
        xp.copyto(ddata, 0, where=mask)


class _Extreme(_Excluding, abstract=True):
    """The largest or smallest number; each number that equals it gets the whole gradient."""

    scratch = ("mask",)
    function = ""

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"mask": Workspace(s.full("data"), "bool")} if backward else {}

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        axes, small = self._small(data, output)
        getattr(xp, self.function)(data, axis=axes, keepdims=True, out=small)

    def backward(self, xp: Any, doutput: Any, data: Any, output: Any, ddata: Any, mask: Any) -> None:
        mask = ordered(mask, data)
        xp.equal(data, self._small(data, output)[1], out=mask)
        xp.multiply(self._small(data, doutput)[1], mask, out=ddata)


class Max(_Extreme):
    """The largest number over axes: data -> output; NaN if there is one.

    MXNet's max: each number that equals the largest gets the whole gradient.
    """

    names = ("max", "max_axis")
    function = "max"


class Min(_Extreme):
    """The smallest number over axes: data -> output; NaN if there is one.

    MXNet's min: each number that equals the smallest gets the whole gradient.
    """

    names = ("min", "min_axis")
    function = "min"


class Norm(_Reduction):
    """The sum of magnitudes (ord 1) or the root of the sum of squares (ord 2) over axes: data -> output.

    MXNet's norm.  Two axes are no matrix norm: both are reduced.  The gradient of a norm of ord 2 that is
    zero is NaN, as in MXNet.
    """

    ord = Int(2, "1 or 2", min=1, max=2)
    out_dtype = DType(
        *NUMBERS,
        default=None,
        help="the dtype of the output; left out: that of the data",
    )

    begins = ("data", "ord", "axis", "out_dtype")
    names = ("norm", "_sparse_norm")
    scratch = ("work", "sums")
    examples = (
        *_Reduction.examples,
        ({"ord": 1, "axis": 1}, {"data": (4, 3, 2)}),
        ({"ord": 1}, {"data": (4, 3)}),
    )
    work = 2

    def types(self, t: Shapes) -> None:
        if self.out_dtype is None:
            t.same("data", "output")
        else:
            t.merge("output", self.out_dtype, f"out_dtype is {self.out_dtype}")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        if backward:
            return {}
        # float64, because the squares of float16 and float32 may overflow where the norm does not
        small = tuple(1 if axis in self.axes(s) else size for axis, size in enumerate(s.full("data")))
        return {"work": Workspace(s.full("data"), "float64"), "sums": Workspace(small, "float64")}

    def forward(self, xp: Any, data: Any, output: Any, work: Any, sums: Any) -> None:
        axes, small = self._small(data, output)
        work = ordered(work, data)
        xp.copyto(work, data)
        if self.ord == 1:
            xp.absolute(work, out=work)
        else:
            xp.multiply(work, work, out=work)
        total(xp, work, axes, sums)
        if self.ord == 2:
            xp.sqrt(sums, out=sums)
        xp.copyto(small, sums, casting="unsafe")

    def backward(self, xp: Any, doutput: Any, data: Any, output: Any, ddata: Any) -> None:
        if self.ord == 1:
            xp.sign(data, out=ddata)
        else:
            xp.divide(data, self._small(data, output)[1], out=ddata)
        xp.multiply(ddata, self._small(data, doutput)[1], out=ddata)


class Moments(Op):
    """Mean and variance over axes: data -> output0, output1.

    MXNet's moments: the variance is divided by the number of elements, and `axes` must be given, even for
    all of them.
    """

    axes = Dims(None, "the axes to reduce; negative counts from the end")
    keepdims = Bool(False, KEEPDIMS_HELP)

    names = ("moments",)
    outputs = ("output0", "output1")
    visible = 2
    scratch = ("deviation",)
    work = 4
    examples = (
        ({"axes": (0, 2)}, {"data": (4, 3, 2)}),
        ({"axes": (-1,), "keepdims": True}, {"data": (4, 3, 2)}),
        ({"axes": (0, 1)}, {"data": (4, 3)}),
    )

    def shape(self, s: Shapes) -> None:
        s.same("output0", "output1")
        if s["data"] is None:
            return
        if not self.axes:
            told = "axes is empty, but moments reduces only axes that are named"
            raise ShapeError(told, attribute="axes", hint="give axes, for all of them too")
        shape = reduced_shape(s["data"], distinct(s, "data", self.axes, "axes"), self.keepdims)
        s.merge("output0", shape)
        s.merge("output1", shape)

    def flops(self, s: Shapes) -> int:
        return self.work * (prod(s.full("data")) or 0)

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {} if backward else {"deviation": Workspace(s.full("data"))}

    def forward(self, xp: Any, data: Any, output0: Any, output1: Any, deviation: Any) -> None:
        axes = tuple(axis % data.ndim for axis in self.axes)
        mean, variance = aligned(output0, data.shape, axes), aligned(output1, data.shape, axes)
        count = data.size // max(1, mean.size)
        total(xp, data, axes, mean)
        xp.divide(mean, count, out=mean, casting="unsafe")
        deviation = ordered(deviation, data)
        xp.subtract(data, mean, out=deviation)
        xp.multiply(deviation, deviation, out=deviation)
        total(xp, deviation, axes, variance)
        xp.divide(variance, count, out=variance, casting="unsafe")

    def backward(self, xp: Any, doutput0: Any, doutput1: Any, data: Any, output0: Any, ddata: Any) -> None:
        axes = tuple(axis % data.ndim for axis in self.axes)
        mean = aligned(output0, data.shape, axes)
        count = data.size // max(1, mean.size)
        if doutput1 is None:
            ddata.fill(0)
        else:
            xp.subtract(data, mean, out=ddata)
            xp.multiply(ddata, 2, out=ddata)
            xp.multiply(ddata, aligned(doutput1, data.shape, axes), out=ddata)
        if doutput0 is not None:
            xp.add(ddata, aligned(doutput0, data.shape, axes), out=ddata)
        xp.divide(ddata, count, out=ddata)


class CumSum(Op):
    """The sums of all elements up to each one: a -> output, shaped as a, or a vector for axis None.

    MXNet's cumsum, as numpy's.
    """

    axis = Axis(None, "the axis to add along; left out: all elements as one; negative counts from the end")
    dtype = DType(*NUMBERS, default=None, help="the dtype of output and sums; left out: that of the data")

    names = ("_np_cumsum", "cumsum")
    inputs = ("a",)
    examples = (
        ({}, {"a": (4, 3)}),
        ({"axis": 0}, {"a": (4, 3)}),
        ({"axis": -2}, {"a": (4, 3, 2)}),
    )

    def shape(self, s: Shapes) -> None:
        a = s["a"]
        if a is not None and self.axis is None:
            s.merge("output", (prod(a),))
        elif a is not None:
            s.axis("a", self.axis)
            s.same("a", "output")

    def types(self, t: Shapes) -> None:
        if self.dtype is None:
            t.same("a", "output")
        else:
            t.merge("output", self.dtype, f"dtype is {self.dtype}")

    def forward(self, xp: Any, a: Any, output: Any) -> None:
        xp.cumsum(along(a, self.axis), axis=-1, dtype=output.dtype, out=along(output, self.axis))

    def backward(self, xp: Any, doutput: Any, da: Any) -> None:
        line = along(da, self.axis)
        xp.cumsum(along(doutput, self.axis)[..., ::-1], axis=-1, dtype=da.dtype, out=line[..., ::-1])
        if self.axis is None:
            write_back(xp, line, da)

"""Distributions: softmax and its kin."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from netdef.ops.arrays import ordered, softmax
from netdef.ops.base import Op, Workspace
from netdef.ops.elementwise import Pairs, refuse_types
from netdef.ops.fields import Bool, DType, Enum, Float, Int
from netdef.ops.foreign import As, Fixed, To
from netdef.ops.shapes import Shapes, Types, show


class Distribution(Op, abstract=True):
    """Turn the values along one axis into a distribution: data[, length] -> output of the same shape.

    The data are divided by `temperature` first.  With `use_length` only the first so many values along the
    axis count, length (the shape of data without the axis, or (1,); whole numbers) says how many; the others
    become 0 and get no gradient.  With `dtype` the output has another dtype than the data.
    """

    axis = Int(-1, "the axis whose values sum to one; negative counts from the end")
    temperature = Float(None, "what the data are divided by; left out: 1")
    dtype = DType(
        *("float16", "float32", "float64"),
        default=None,
        help="the dtype of the output; left out: that of data",
    )
    use_length = Bool(False, "whether only the first values along the axis count, as many as length says")

    inputs = ("data", "length")
    work = 5
    scratch = ("column", "double", "exponentials", "places", "beyond")
    inplace: ClassVar[Pairs] = (("data", "output"),)
    examples = (
        ({}, {"data": (4, 3)}),
        ({"axis": 1, "temperature": 2.5}, {"data": (2, 3, 4)}),
        ({"axis": 0}, {"data": (5,)}),
        ({"axis": 1, "use_length": True}, {"data": (2, 3, 4)}),
    )

    #: what the data are multiplied by
    sign: ClassVar[int] = 1

    def input_names(self) -> tuple[str, ...]:
        return self.inputs if self.use_length else self.inputs[:1]

    def shape(self, s: Shapes) -> None:
        s.same("data", "output")
        data = s["data"]
        if data is None:
            return
        axis = s.axis("data", self.axis)
        others = (*data[:axis], *data[axis + 1 :])
        s.merge("length", others or (1,), f"data is {show(data)} and the axis is {axis}")
        if others and (length := s.get("length")) is not None:
            s.merge("data", (*length[:axis], data[axis], *length[axis:]))
            s.same("data", "output")

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.floating("data")
        if self.dtype is None:
            t.same("data", "output")
        else:
            t.merge("output", self.dtype, f"dtype is {self.dtype}")
        if self.use_length:
            refuse_types(t, "length", ("float", "bool"), "whole numbers")
            if t["length"] is None:
                t.merge("length", "int32")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        shape, axis = s.full("data"), s.axis("data", self.axis)
        dtype = "" if self.dtype is None else "float64"
        spaces = {"column": Workspace((*shape[:axis], 1, *shape[axis + 1 :]), dtype)}
        if self.dtype is not None:
            spaces["double"] = Workspace(shape, dtype)
        if self.use_length:
            spaces["places"] = Workspace(shape[axis : axis + 1], "int64")
            spaces["beyond"] = Workspace(shape, "bool")
        return spaces

    def _mark(self, xp: Any, data: Any, length: Any, places: Any, beyond: Any) -> Any:
        """Where the values no longer count."""
        axis = self.axis % data.ndim
        places.fill(1)
        xp.cumsum(places, out=places)  # from 1 on: an arange that allocates nothing
        line = places.reshape([-1 if i == axis else 1 for i in range(data.ndim)])
        beyond = ordered(beyond, data)
        xp.greater(line, length if data.ndim == 1 else xp.expand_dims(length, axis), out=beyond)
        return beyond

    def forward(
        self,
        xp: Any,
        data: Any,
        length: Any,
        output: Any,
        column: Any,
        double: Any,
        exponentials: Any,
        places: Any,
        beyond: Any,
    ) -> None:
        target = output if double is None else ordered(double, data)
        source = data
        if double is not None or length is not None:
            xp.copyto(target, data)
            source = target
        if (divisor := self._divisor()) != 1:
            source = xp.divide(source, divisor, out=target)
        if length is not None:
            beyond = self._mark(xp, data, length, places, beyond)
            xp.copyto(target, -math.inf, where=beyond)
        self._normalise(xp, source, column, target, exponentials)
        if length is not None:
            xp.copyto(target, 0, where=beyond)
        if double is not None:
            xp.copyto(output, target, casting="same_kind")

    def _divisor(self) -> float:
        return self.sign * (1 if self.temperature is None else self.temperature)

    def _normalise(self, xp: Any, data: Any, column: Any, output: Any, exponentials: Any) -> None:
        """Write the distribution; output may be data."""
        raise NotImplementedError

    def _finish_gradient(self, xp: Any, target: Any, ddata: Any) -> None:
        """Undo the division, and the other dtype."""
        if (divisor := self._divisor()) != 1:
            xp.divide(target, divisor, out=target)
        if target is not ddata:
            xp.copyto(ddata, target, casting="same_kind")


class Softmax(Distribution):
    """exp(x) divided by its sum along one axis: data[, length] -> output of the same shape.

    The data are divided by `temperature` first.  With `use_length` only the first values along the axis
    count, as many as length (the shape of data without the axis) says; the others become 0.  MXNet's softmax;
    Caffe's Softmax has axis 1.
    """

    names = ("softmax",)
    onnx: ClassVar[tuple[As, ...]] = (
        As(
            "Softmax",
            axis=To("axis", absent=-1),
            temperature=Fixed(None),
            dtype=Fixed(None),
            use_length=Fixed(False),
        ),
    )

    def _normalise(self, xp: Any, data: Any, column: Any, output: Any, exponentials: Any) -> None:
        softmax(xp, data, (self.axis,), column, output)

    def backward(self, xp: Any, doutput: Any, output: Any, ddata: Any, column: Any, double: Any) -> None:
        target = ddata if double is None else ordered(double, output)
        column = ordered(column, output)
        xp.multiply(doutput, output, out=target)
        target.sum(axis=self.axis, keepdims=True, out=column)
        xp.subtract(doutput, column, out=target)
        xp.multiply(target, output, out=target)
        self._finish_gradient(xp, target, ddata)


class Softmin(Softmax):
    """The softmax of the negated data: data[, length] -> output of the same shape; see `Softmax`."""

    begins = ("data", "axis", "temperature", "dtype", "use_length")
    names = ("softmin",)
    onnx = ()
    sign = -1


class LogSoftmax(Distribution):
    """The logarithm of the softmax: data[, length] -> output of the same shape.

    Computed without the softmax, so that no probability is too small for it.  Values that do not count (see
    `Softmax`) become 0.
    """

    begins = ("data", "axis", "temperature", "dtype", "use_length")
    names = ("log_softmax",)
    onnx = (
        As(
            "LogSoftmax",
            axis=To("axis", absent=-1),
            temperature=Fixed(None),
            dtype=Fixed(None),
            use_length=Fixed(False),
        ),
    )

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        spaces = super().workspaces(s, backward)
        if not backward:
            spaces["exponentials"] = Workspace(s.full("data"), spaces["column"].dtype)
        return spaces

    def _normalise(self, xp: Any, data: Any, column: Any, output: Any, exponentials: Any) -> None:
        exponentials, column = ordered(exponentials, data), ordered(column, data)
        data.max(axis=self.axis, keepdims=True, out=column)
        xp.subtract(data, column, out=output)
        xp.exp(output, out=exponentials)
        exponentials.sum(axis=self.axis, keepdims=True, out=column)
        xp.log(column, out=column)
        xp.subtract(output, column, out=output)

    def backward(
        self,
        xp: Any,
        doutput: Any,
        length: Any,
        output: Any,
        ddata: Any,
        column: Any,
        double: Any,
        places: Any,
        beyond: Any,
    ) -> None:
        target = ddata if double is None else ordered(double, output)
        column = ordered(column, output)
        if length is None:
            doutput.sum(axis=self.axis, keepdims=True, out=column)
        else:
            beyond = self._mark(xp, output, length, places, beyond)
            xp.copyto(target, doutput)
            xp.copyto(target, 0, where=beyond)
            target.sum(axis=self.axis, keepdims=True, out=column)
        xp.exp(output, out=target)
        xp.multiply(target, column, out=target)
        xp.subtract(doutput, target, out=target)
        if length is not None:
            xp.copyto(target, 0, where=beyond)
        self._finish_gradient(xp, target, ddata)


class SoftmaxActivation(Op):
    """Softmax as a layer: data (N, C, S...) -> output of the same shape.

    channel normalises over axis 1 of data with at least 3 axes.  instance normalises over the last axis, the
    only one of two; with more axes than that its gradient is, as in MXNet 1.9, that of a softmax over axis 1,
    which does not match.
    """

    mode = Enum("instance", "channel", default="instance", help="what sums to one")

    work = 5
    scratch = ("column",)
    inplace: ClassVar[Pairs] = (("data", "output"),)
    examples = (
        ({}, {"data": (4, 3)}),
        ({"mode": "channel"}, {"data": (2, 3, 4)}),
    )

    def shape(self, s: Shapes) -> None:
        s.same("data", "output")
        least = 3 if self.mode == "channel" else 2
        s.rank("data", least, f"a batch with at least {least} axes")

    def types(self, t: Types) -> None:  # type: ignore[override]
        super().types(t)
        t.floating("data")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        shape = [*s.full("data")]
        shape[self._axis(backward)] = 1
        return {"column": Workspace(tuple(shape))}

    def _axis(self, backward: bool) -> int:
        return 1 if backward or self.mode == "channel" else -1

    def forward(self, xp: Any, data: Any, output: Any, column: Any) -> None:
        softmax(xp, data, (self._axis(False),), column, output)

    def backward(self, xp: Any, doutput: Any, output: Any, ddata: Any, column: Any) -> None:
        column = ordered(column, output)
        xp.multiply(doutput, output, out=ddata)
        ddata.sum(axis=self._axis(True), keepdims=True, out=column)
        xp.subtract(doutput, column, out=ddata)
        xp.multiply(ddata, output, out=ddata)

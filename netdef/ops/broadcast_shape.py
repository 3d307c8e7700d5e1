"""Operators that repeat a tensor along axes of size 1."""

from __future__ import annotations

from typing import Any

from netdef.ops.axes import total
from netdef.ops.base import Op
from netdef.ops.fields import Dims
from netdef.ops.shapes import Shape, ShapeError, Shapes, show


class _Repeat(Op, abstract=True):
    """Repeats the first input along axes where the output is larger; the gradients of repeats add up."""

    work = 0

    def repeats(self, s: Shapes, data: tuple[int | None, ...]) -> Shape:
        """The shape of the output, as far as it follows; raises `ShapeError`."""
        raise NotImplementedError

    def shape(self, s: Shapes) -> None:
        data = s[self.inputs[0]]
        if data is not None:
            s.merge("output", self.repeats(s, data))

    def refuse(self, data: Shape, axis: int, size: int, attribute: str = "") -> ShapeError:
        """Why an axis cannot become another size."""
        return ShapeError(
            f"{self.inputs[0]} is {show(data)}, but only axes of size 1 can be repeated, "
            f"and axis {axis} shall be {size}",
            tensor=self.inputs[0],
            attribute=attribute,
        )


def _sum_of_repeats(xp: Any, doutput: Any, gradient: Any) -> None:
    """The gradient of what was repeated: the sum over the axes along which it was."""
    pairs = enumerate(zip(gradient.shape, doutput.shape))
    total(xp, doutput, tuple(axis for axis, (one, many) in pairs if one != many), gradient)


class _RepeatData(_Repeat, abstract=True):
    """`_Repeat` of an input called data."""

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        xp.copyto(output, data)

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        _sum_of_repeats(xp, doutput, ddata)


class BroadcastAxis(_RepeatData):
    """Axes of size 1 repeated: data -> output, which has `size` along `axis`.  MXNet's broadcast_axis."""

    axis = Dims((), "the axes to repeat, which have size 1", min=0)
    size = Dims((), "the size of each of these axes in the output", min=1)

    names = ("broadcast_axis", "broadcast_axes")
    examples = (
        ({"axis": 1, "size": 3}, {"data": (4, 1, 2)}),
        ({"axis": (3, 1), "size": (2, 3)}, {"data": (4, 1, 2, 1)}),
        ({}, {"data": (4, 3)}),
    )

    def repeats(self, s: Shapes, data: tuple[int | None, ...]) -> Shape:
        if len(self.axis) != len(self.size):
            raise ShapeError(
                f"{len(self.size)} sizes for {len(self.axis)} axes",
                attribute="size",
                hint="give one size for each axis",
            )
        output = list(data)
        for axis, size in zip(self.axis, self.size):
            s.axis("data", axis)
            if output[axis] not in (1, None):
                raise self.refuse(data, axis, size, "axis")
            output[axis] = size
        return tuple(output)


class BroadcastTo(_RepeatData):
    """Axes of size 1 repeated until the output has a shape: data -> output.

    MXNet's broadcast_to; 0 in the shape keeps the size of data, and the number of axes stays.
    """

    shape_ = Dims((), "the shape of the output; 0 keeps a size", min=0)

    names = ("broadcast_to",)
    examples = (
        ({"shape": (0, 5, 0)}, {"data": (4, 1, 3)}),
        ({"shape": (0, 3)}, {"data": (4, 3)}),
    )

    def repeats(self, s: Shapes, data: tuple[int | None, ...]) -> Shape:
        if len(data) != len(self.shape_):
            raise ShapeError(
                f"data is {show(data)}, but shape has {len(self.shape_)} sizes",
                tensor="data",
                attribute="shape",
                hint="give a size, or 0, for each axis of data",
            )
        for axis, (size, wanted) in enumerate(zip(data, self.shape_)):
            if wanted and size not in (1, wanted, None):
                raise self.refuse(data, axis, wanted, "shape")
        return tuple(wanted or size for size, wanted in zip(data, self.shape_))


class BroadcastLike(_Repeat):
    """Axes of size 1 of lhs repeated until it has the shape of rhs: lhs, rhs -> output.

    With `lhs_axes` and `rhs_axes` only those axes of lhs, which must have size 1, become as large as those
    of rhs.  rhs only gives its shape: it may have another dtype, and no gradient passes to it.  MXNet's
    broadcast_like, which ignores axes given for one side only.
    """

    lhs_axes = Dims(None, "the axes of lhs to repeat; negative counts from the end")
    rhs_axes = Dims(None, "the axes of rhs whose sizes they get; negative counts from the end")

    names = ("broadcast_like",)
    inputs = ("lhs", "rhs")
    examples = (
        ({}, {"lhs": (4, 1, 2), "rhs": (4, 3, 2)}),
        ({"lhs_axes": (1,), "rhs_axes": (0,)}, {"lhs": (4, 1), "rhs": (5, 2, 3)}),
        ({"lhs_axes": (-1, 1), "rhs_axes": (-2, -1)}, {"lhs": (4, 1, 2, 1), "rhs": (5, 3)}),
    )

    def repeats(self, s: Shapes, data: tuple[int | None, ...]) -> Shape:
        rhs = s["rhs"]
        if self.lhs_axes is None or self.rhs_axes is None:
            if rhs is None:
                return None
            if len(data) != len(rhs):
                told = f"lhs is {show(data)}, but rhs is {show(rhs)}: both need as many axes"
                raise ShapeError(told, tensor="lhs")
            for axis, (size, wanted) in enumerate(zip(data, rhs)):
                if wanted is not None and size not in (1, wanted, None):
                    raise self.refuse(data, axis, wanted)
            return rhs
        if len(self.lhs_axes) != len(self.rhs_axes) or not self.lhs_axes:
            raise ShapeError(
                f"{len(self.lhs_axes)} axes of lhs for {len(self.rhs_axes)} of rhs",
                attribute="lhs_axes",
                hint="give one axis of rhs for each axis of lhs, and at least one",
            )
        output = list(data)
        for here, there in zip(self.lhs_axes, self.rhs_axes):
            axis = s.axis("lhs", here, "lhs_axes")
            size = None if rhs is None else rhs[s.axis("rhs", there, "rhs_axes")]
            if data[axis] not in (1, None):
                raise self.refuse(data, axis, size or 0, "lhs_axes")
            output[axis] = size
        return tuple(output)

    def types(self, t: Shapes) -> None:
        t.same("lhs", "output")

    def forward(self, xp: Any, lhs: Any, output: Any) -> None:
        xp.copyto(output, lhs)

    def backward(self, xp: Any, doutput: Any, dlhs: Any) -> None:
        _sum_of_repeats(xp, doutput, dlhs)

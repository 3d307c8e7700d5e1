"""Operators that take or replace a part of a tensor."""

from __future__ import annotations

from typing import Any

from netdef.ops.arrays import as_stored, batch_last, copy_rows
from netdef.ops.base import Op, Variadic
from netdef.ops.fields import Bool, Dims, Float, Int, OpenDims
from netdef.ops.shapes import Full, Shape, ShapeError, Shapes, show
from netdef.ops.windows import along

Cut = tuple[slice, ...]


def length(cut: slice, size: int | None) -> int | None:
    """How many of `size` elements a slice takes."""
    if size is None:
        return None
    return len(range(*cut.indices(size)))


class _Part(Op, abstract=True):
    """A part of the data: data -> output."""

    work = 0
    steady = ("forward", "backward")

    def _cut(self, whole: Full, part: Full) -> Cut:
        """Where the output lies in the data."""
        raise NotImplementedError

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        part = data[self._cut(data.shape, output.shape)]
        copy_rows(xp, batch_last(output), batch_last(part))

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        xp.copyto(ddata, 0)
        xp.copyto(ddata[self._cut(ddata.shape, doutput.shape)], doutput)


class _Region(Op, abstract=True):
    """An operator on the region that begin, end and step cut out, as Python's slices do."""

    begin = OpenDims(help="first element along each axis; None: the first, or the last if step is negative")
    end = OpenDims(help="the element behind the last one along each axis; None: all")
    step = OpenDims((), "distance along each axis, not 0; None or left out: 1")

    work = 0

    def _slices(self, s: Shapes, name: str) -> Cut:
        """The slices for `name`, a tensor of known rank; axes that are not named are taken whole."""
        rank = len(s[name] or ())
        if len(self.begin) != len(self.end) or len(self.step) not in (0, len(self.begin)):
            counts = f"{len(self.begin)}, {len(self.end)} and {len(self.step)} numbers"
            raise ShapeError(f"begin, end and step have {counts}", tensor=name, attribute="end")
        if len(self.begin) > rank:
            told = f"begin and end are for {len(self.begin)} axes, but {name} is {show(s[name])}"
            raise ShapeError(told, tensor=name, attribute="begin")
        if 0 in self.step:
            raise ShapeError("step is 0 along an axis", tensor=name, attribute="step")
        return self._region()

    def _region(self) -> Cut:
        steps = self.step or (None,) * len(self.begin)
        return tuple(map(slice, self.begin, self.end, steps))

    def _sizes(self, s: Shapes, name: str) -> Shape:
        """The shape of the region in `name`."""
        whole, cut = s[name] or (), self._slices(s, name)
        taken = tuple(length(one, size) for one, size in zip(cut, whole))
        return (*taken, *whole[len(cut) :])


class Slice(_Region, _Part):
    """The elements from `begin` to before `end`, every `step`-th one, along the first axes: data -> output.

    Negative numbers count from the end, and what lies outside is cut off, as with Python's slices.  MXNet's
    slice (crop in older versions).
    """

    batched = ("data", "output")
    batch_last = None
    any_order = True
    names = ("slice", "crop", "_sparse_slice")
    examples = (
        ({"begin": (1, 0), "end": (3, 2)}, {"data": (4, 3, 2)}),
        ({"begin": (None, -2), "end": (-1, None)}, {"data": (4, 3, 2)}),
        ({"begin": (None, 1, 1), "end": (None,) * 3, "step": (1, 1, 2)}, {"data": (4, 3, 6)}),
        ({"begin": (3, None, 0), "end": (0, None, 9), "step": (-2, -1, None)}, {"data": (4, 3, 2)}),
    )

    def shape(self, s: Shapes) -> None:
        data = s["data"]
        if data is None:
            return
        s.merge("output", self._sizes(s, "data"), f"begin {self.begin} to end {self.end} of {show(data)}")
        output, count = s["output"] or (), len(self.begin)
        s.merge("data", (*(None,) * count, *output[count:]))

    def samples(self, s: Shapes) -> tuple[str, ...]:
        """Every sample is by itself where the first axis is taken whole, however many there are."""
        first = self._region()[0] if self.begin else slice(None)
        whole = not first.start and first.stop is None and first.step in (None, 1)
        return self.batched if whole else ()

    def _cut(self, whole: Full, part: Full) -> Cut:
        return self._region()


class SliceAxis(_Part):
    """The elements from `begin` to before `end` along one axis: data -> output.

    Negative numbers count from the end; the range must not be empty and must lie inside.  MXNet's slice_axis.
    """

    axis = Int(help="the axis; negative counts from the end")
    begin = Int(help="first element; negative counts from the end")
    end = Int(None, "the element behind the last one; None: all that follow")

    names = ("slice_axis",)
    examples = (
        ({"axis": 1, "begin": 1, "end": 3}, {"data": (4, 3, 2)}),
        ({"axis": -2, "begin": -2, "end": None}, {"data": (4, 3, 2)}),
        ({"axis": 1, "begin": 0, "end": -1}, {"data": (4, 3)}),
    )

    def shape(self, s: Shapes) -> None:
        data, output = s["data"], s["output"]
        if data is None and output is None:
            return
        name = "output" if data is None else "data"
        axis = s.axis(name, self.axis)
        known = s[name] or ()
        others = (*known[:axis], None, *known[axis + 1 :])
        s.merge("data", others)
        size = (s["data"] or ())[axis]
        taken = None if size is None else self._taken(s, size)
        s.merge("output", (*others[:axis], taken, *others[axis + 1 :]), f"data is {show(s['data'])}")
        output = s["output"] or ()
        s.merge("data", (*output[:axis], None, *output[axis + 1 :]), f"output is {show(output)}")

    def _taken(self, s: Shapes, size: int) -> int:
        begin, end = self.begin, size if self.end is None else self.end
        begin, end = (place + size if place < 0 else place for place in (begin, end))
        if not 0 <= begin < end <= size:
            raise ShapeError(
                f"data is {show(s['data'])} and has nothing from {self.begin} to before {self.end} "
                f"along axis {self.axis}",
                tensor="data",
                attribute="begin",
            )
        return end - begin

    def _cut(self, whole: Full, part: Full) -> Cut:
        return along(self.axis % len(whole), slice(self.begin, self.end))


class SliceLike(_Part):
    """The first elements of data along some axes, as many as another tensor has: data, shape_like -> output.

    MXNet's slice_like: shape_like gives its shape only, may have another dtype and gets no gradient.  It may
    have more or fewer axes than data where `axes` says which ones count.
    """

    axes = Dims((), "the axes that are cut; negative counts from the end of data; left out: all")

    inputs = ("data", "shape_like")
    names = ("slice_like",)
    examples = (
        ({}, {"data": (4, 3), "shape_like": (2, 3)}),
        ({"axes": (1, -1)}, {"data": (4, 3, 2), "shape_like": (5, 2, 1)}),
    )

    def shape(self, s: Shapes) -> None:
        data, like = s["data"], s["shape_like"]
        if data is None or like is None:
            return
        if not self.axes and len(data) != len(like):
            told = f"data is {show(data)}, but shape_like {show(like)}: both need as many axes"
            raise ShapeError(told, tensor="shape_like")
        sizes = list(data)
        axes = {s.axis("data", axis, "axes") for axis in self._all(data)}
        for axis in axes:
            whole, part = data[axis], like[s.axis("shape_like", axis, "axes")]
            if whole is not None and part is not None and part > whole:
                told = f"data is {show(data)} and shape_like {show(like)}, which is more along axis {axis}"
                raise ShapeError(told, tensor="shape_like")
            sizes[axis] = part
        s.merge("output", tuple(sizes), f"data is {show(data)} and shape_like {show(like)}")
        output = s["output"] or ()
        s.merge("data", tuple(None if axis in axes else size for axis, size in enumerate(output)))
        s.merge("shape_like", tuple(output[axis] if axis in axes else None for axis in range(len(like))))

    def _all(self, data: Shape) -> tuple[int, ...]:
        return self.axes or tuple(range(len(data or ())))

    def types(self, t: Shapes) -> None:
        t.same("data", "output")

    def _cut(self, whole: Full, part: Full) -> Cut:
        return tuple(map(slice, part))


class Crop(Variadic):
    """A part of images: arg0 (N, C, H, W) -> output (N, C, h, w).

    h and w are those of a second input arg1 (., ., h, w) or, without it, `h_w`; the part starts at `offset`
    or lies in the middle.  MXNet's Crop: arg1 gives its shape only and gets no gradient.
    """

    num_args = Int(help="1, or 2 with arg1; set by composition", min=1, max=2)
    offset = Dims((0, 0), "first row and column", min=0)
    h_w = Dims((0, 0), "rows and columns, where there is no arg1", min=0)
    center_crop = Bool(False, "take the middle; offset is ignored")

    inputs = ("arg0", "arg1")
    names = ("Crop",)
    work = 0
    examples = (
        ({"num_args": 2}, {"arg0": (2, 3, 5, 4), "arg1": (1, 1, 3, 4)}),
        ({"num_args": 2, "offset": (1, 2)}, {"arg0": (2, 3, 5, 4), "arg1": (1, 1, 3, 2)}),
        ({"num_args": 1, "h_w": (2, 3), "center_crop": True}, {"arg0": (2, 3, 5, 4)}),
    )

    def shape(self, s: Shapes) -> None:
        for name in (*self.input_names(), "output"):
            shape = s[name]
            if shape is not None and len(shape) != 4:
                raise ShapeError(f"{name} is {show(shape)}, but (N, C, H, W) is needed", tensor=name)
        unknown: tuple[int | None, ...] = (None,) * 4
        if self.num_args == 1:
            if len(self.h_w) != 2 or 0 in self.h_w:
                told = f"h_w is {self.h_w}, but two positive numbers or a second input are needed"
                raise ShapeError(told, attribute="h_w")
            part: tuple[int | None, ...] = self.h_w
        else:
            part = (s["arg1"] or unknown)[2:]
        s.merge("output", (*(s["arg0"] or unknown)[:2], *part), f"it is cut to {show(part)}")
        output = s["output"] or ()
        s.merge("arg0", (*output[:2], None, None), f"output is {show(output)}")
        if self.num_args == 2:
            s.merge("arg1", (None, None, *output[2:]), f"output is {show(output)}")
        self._require_inside(s)

    def _require_inside(self, s: Shapes) -> None:
        whole, part = (s["arg0"] or ())[2:], (s["output"] or ())[2:]
        if len(self.offset) != 2:
            raise ShapeError(f"offset is {self.offset}, but two numbers are needed", attribute="offset")
        for size, taken, first in zip(whole, part, self.offset):
            first = 0 if self.center_crop else first
            if size is not None and taken is not None and first + taken > size:
                where = f" from {show(self.offset)} on" if first else ""
                told = f"arg0 is {show(s['arg0'])} and does not hold {show(part)}{where}"
                raise ShapeError(told, tensor="arg0", attribute="offset" if first else "")

    def _cut(self, whole: Full, part: Full) -> tuple[Any, ...]:
        first = self.offset
        if self.center_crop:
            first = tuple((size - taken) // 2 for size, taken in zip(whole[2:], part[2:]))
        return (..., *(slice(start, start + taken) for start, taken in zip(first, part[2:])))

    def forward(self, xp: Any, arg0: Any, output: Any) -> None:
        xp.copyto(output, arg0[self._cut(arg0.shape, output.shape)])

    def backward(self, xp: Any, doutput: Any, darg0: Any) -> None:
        darg0[...] = 0
        xp.copyto(darg0[self._cut(darg0.shape, doutput.shape)], doutput)


class SliceAssign(_Region):
    """lhs with rhs in the place of a region: lhs, rhs -> output of the shape of lhs.

    The region is that of Slice, and rhs has its shape.  MXNet's _slice_assign, which has no gradient there.
    """

    inputs = ("lhs", "rhs")
    names = ("_slice_assign", "_crop_assign")
    inplace = (("lhs", "output"), ("doutput", "dlhs"))
    examples = (
        ({"begin": (1, 0), "end": (3, 2)}, {"lhs": (4, 3, 2)}),
        ({"begin": (None, 2), "end": (None, None), "step": (None, -2)}, {"lhs": (4, 3)}),
    )

    def shape(self, s: Shapes) -> None:
        s.same("lhs", "output")
        if s["lhs"] is not None:
            s.merge("rhs", self._sizes(s, "lhs"), f"begin {self.begin} to end {self.end} of {show(s['lhs'])}")

    def forward(self, xp: Any, lhs: Any, rhs: Any, output: Any) -> None:
        xp.copyto(output, lhs)
        xp.copyto(output[self._region()], rhs)

    def backward(self, xp: Any, doutput: Any, dlhs: Any, drhs: Any) -> None:
        if drhs is not None:  # first: dlhs may be the memory of doutput
            xp.copyto(drhs, doutput[self._region()])
        if dlhs is not None:
            xp.copyto(dlhs, doutput)
            dlhs[self._region()] = 0


class SliceAssignScalar(_Region):
    """The data with a number in every place of a region: data -> output of the same shape.

    The region is that of Slice.  MXNet's _slice_assign_scalar, which has no gradient there.
    """

    scalar = Float(0.0, "the number, which whole numbers take as C does", infinite=True)

    names = ("_slice_assign_scalar", "_crop_assign_scalar")
    inplace = (("data", "output"), ("doutput", "ddata"))
    examples = (
        ({"begin": (1, 0), "end": (3, 2), "scalar": 1.5}, {"data": (4, 3, 2)}),
        ({"begin": (0,), "end": (0,)}, {"data": (4, 3)}),
    )

    def shape(self, s: Shapes) -> None:
        s.same("data", "output")
        if s["data"] is not None:
            self._slices(s, "data")

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        xp.copyto(output, data)
        output[self._region()] = as_stored(self.scalar, output.dtype)

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        xp.copyto(ddata, doutput)
        ddata[self._region()] = 0

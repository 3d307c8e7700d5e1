"""Picking elements and slices by index tensors, and conditions."""

from __future__ import annotations

from typing import Any

from netdef.ops.arrays import as_stored, count_up
from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Bool, DType, Enum, Float, Int
from netdef.ops.gather import any_index_type, legal, places, scatter_add, take, take_rows, whole
from netdef.ops.shapes import ShapeError, Shapes, Types, complete, prod, show

#: the types of numbers that MXNet's operators list
NUMBERS = ("float16", "float32", "float64", "int8", "int32", "int64", "uint8")


class Take(Op):
    """Slices at some indices along one axis: a, indices -> output.

    a (A..., n, B...), its axis `axis` of size n; indices (I...), of any type and truncated; output
    (A..., I..., B...).  The gradient of a adds up over equal indices; indices get none.  MXNet's take; mode
    raise raises `IndexError` for a number that is not between 0 and n - 1.
    """

    axis = Int(0, "the axis of a that is indexed; negative counts from the end")
    mode = Enum(
        "clip", "raise", "wrap", default="clip", help="an index outside: the nearest, an error, or modulo"
    )

    names = ("take",)
    inputs = ("a", "indices")
    work = 0
    scratch = ("index", "place", "ramp")
    examples = (
        ({}, {"a": (4, 3), "indices": (2, 3)}),
        ({"axis": 1, "mode": "wrap"}, {"a": (4, 3, 2), "indices": (5,)}),
        ({"axis": -1, "mode": "raise"}, {"a": (4, 3, 2), "indices": (5, 1)}),
    )

    def shape(self, s: Shapes) -> None:
        a, indices = s["a"], s["indices"]
        if a is None:
            return
        axis = s.axis("a", self.axis)
        if indices is None:
            return
        rule = f"a is {show(a)} and indices {show(indices)}"
        s.merge("output", (*a[:axis], *indices, *a[axis + 1 :]), rule)
        output, stop = s["output"] or (), axis + len(indices)
        s.merge("a", (*output[:axis], a[axis], *output[stop:]))
        s.merge("indices", output[axis:stop])

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.same("a", "output")
        any_index_type(t, "indices", "a")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        spaces = {"index": Workspace(s.full("indices"), "int64")}
        if backward:
            a, axis = s.full("a"), s.axis("a", self.axis)
            sides = prod(a[:axis]) or 0, prod(a[axis + 1 :]) or 0
            spaces["place"] = Workspace(s.full("output"), "int64")
            spaces["ramp"] = Workspace((max(sides),), "int64")
        return spaces

    def forward(self, xp: Any, a: Any, indices: Any, output: Any, index: Any) -> None:
        legal(xp, indices, a.shape[self.axis], self.mode, index)
        take(xp, a, index, self.axis, output)

    def backward(
        self, xp: Any, doutput: Any, indices: Any, da: Any, index: Any, place: Any, ramp: Any
    ) -> None:
        axis = self.axis % da.ndim
        size, before = da.shape[axis], prod(da.shape[:axis])
        legal(xp, indices, size, self.mode, index)
        places(xp, index.reshape(1, -1, 1), size, ramp, place.reshape(before, index.size, -1))
        scatter_add(xp, doutput, place, da)


class Picking(Op, abstract=True):
    """One element for each place of all axes but one, whose index along that axis another tensor holds."""

    scratch = ("picks", "place", "ramp")
    work = 0
    axis: Any
    mode: Any = "clip"

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        first = self.input_names()[0]
        data, axis, size = s.full(first), s.axis(first, self.axis), prod(s.full("output")) or 0
        sides = prod(data[:axis]) or 0, prod(data[axis + 1 :]) or 0
        return {
            "picks": Workspace((size,), "int64"),
            "place": Workspace((size,), "int64"),
            "ramp": Workspace((max(sides),), "int64"),
        }

    def _places(self, xp: Any, data: Any, numbers: Any, picks: Any, place: Any, ramp: Any) -> None:
        """Write to `place` where the picked elements lie in the flattened data."""
        axis = self.axis % data.ndim
        legal(xp, numbers, data.shape[axis], self.mode, picks)
        shape = prod(data.shape[:axis]), 1, prod(data.shape[axis + 1 :])
        places(xp, picks.reshape(shape), data.shape[axis], ramp, place.reshape(shape))


class Pick(Picking):
    """One element along an axis for each index: data, index -> output.

    data (A..., n, B...), its axis `axis` of size n; index (A..., B...) or (A..., 1, B...), of any type and
    truncated; output (A..., B...), with `keepdims` (A..., 1, B...).  Of data of one axis index and output
    are (1,).  index gets no gradient.  MXNet's pick; `axis` None, which MXNet lists, works nowhere.
    """

    axis = Int(-1, "the axis that is indexed; negative counts from the end")
    keepdims = Bool(False, "keep the axis in the output, with size 1")
    mode = Enum("clip", "wrap", default="clip", help="an index outside: the nearest, or modulo")

    names = ("pick", "choose_element_0index")
    inputs = ("data", "index")
    examples = (
        ({}, {"data": (4, 3)}),
        ({"axis": 0, "mode": "wrap", "keepdims": True}, {"data": (4, 3, 2)}),
        ({"axis": 1}, {"data": (4, 3, 2)}),
        ({}, {"data": (4,)}),
    )

    def shape(self, s: Shapes) -> None:
        data = s["data"]
        if data is None:
            return
        axis = s.axis("data", self.axis)
        rest = (*data[:axis], *data[axis + 1 :]) or (1,)
        kept = (*data[:axis], 1, *data[axis + 1 :])
        index = s["index"]
        same_rank = index is not None and len(index) == len(data)
        rule = f"data is {show(data)} and one element along axis {axis} is picked"
        s.merge("index", kept if same_rank else rest, rule)
        s.merge("output", kept if self.keepdims else rest, rule)
        for name in ("index", "output"):
            known = s[name] or ()
            after = axis + (len(known) == len(data))
            s.merge("data", (*known[:axis], data[axis], *known[after:]))

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.same("data", "output")
        any_index_type(t, "index", "data")

    def forward(self, xp: Any, data: Any, index: Any, output: Any, picks: Any, place: Any, ramp: Any) -> None:
        self._places(xp, data, index, picks, place, ramp)
        take_rows(xp, data, place, output)

    def backward(
        self, xp: Any, doutput: Any, index: Any, ddata: Any, picks: Any, place: Any, ramp: Any
    ) -> None:
        self._places(xp, ddata, index, picks, place, ramp)
        scatter_add(xp, doutput, place, ddata)


class BatchTake(Picking):
    """One element of each row: a, indices -> output.

    a (N..., n), indices (N...) of type int32, output (N...).  Indices outside go to the nearest end; they
    get no gradient.  MXNet's batch_take.
    """

    axis = -1

    names = ("batch_take",)
    inputs = ("a", "indices")
    examples = (({}, {"a": (4, 3)}), ({}, {"a": (4, 3, 2)}))

    def shape(self, s: Shapes) -> None:
        a = s.rank("a", 2, "a batch of rows")
        if a is None:
            return
        for name in ("indices", "output"):
            s.merge(name, a[:-1], f"a is {show(a)} and has one element taken of each row")
            s.merge("a", (*(s[name] or ()), a[-1]))

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.same("a", "output")
        t.merge("indices", "int32")

    def forward(self, xp: Any, a: Any, indices: Any, output: Any, picks: Any, place: Any, ramp: Any) -> None:
        self._places(xp, a, indices, picks, place, ramp)
        take_rows(xp, a, place, output)

    def backward(
        self, xp: Any, doutput: Any, indices: Any, da: Any, picks: Any, place: Any, ramp: Any
    ) -> None:
        self._places(xp, da, indices, picks, place, ramp)
        scatter_add(xp, doutput, place, da)


class OneHot(Op):
    """A vector for each index: indices (I...) -> output (I..., depth).

    It has `on_value` at the index, of any type and truncated, and `off_value` everywhere else; an index
    outside gives `off_value` alone.  No gradient passes.  MXNet's one_hot.
    """

    depth = Int(help="the length of each vector", min=0)
    on_value = Float(1.0, "the value at the index", infinite=True)
    off_value = Float(0.0, "the value everywhere else", infinite=True)
    dtype = DType(*NUMBERS, default="float32", help="the type of the output")

    names = ("one_hot",)
    inputs = ("indices",)
    scratch = ("index", "ramp", "mask")
    work = 0
    examples = (
        ({"depth": 3}, {"indices": (4,)}),
        ({"depth": 2, "on_value": 2.5, "off_value": -1.5, "dtype": "float64"}, {"indices": (4, 3)}),
        ({"depth": 3, "on_value": 7, "off_value": -1, "dtype": "int8"}, {"indices": (4, 1)}),
    )

    def shape(self, s: Shapes) -> None:
        indices, output = s["indices"], s["output"]
        if indices is not None:
            s.merge("output", (*indices, self.depth), f"indices is {show(indices)} and depth {self.depth}")
            output = s["output"]
        if output:
            s.merge("indices", output[:-1])
            s.merge("output", (*output[:-1], self.depth), f"depth is {self.depth}")

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.merge("output", self.dtype)
        any_index_type(t, "indices", "output")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {
            "index": Workspace(s.full("indices"), "int64"),
            "ramp": Workspace((self.depth,), "int64"),
            "mask": Workspace(s.full("output"), "bool"),
        }

    def forward(self, xp: Any, indices: Any, output: Any, index: Any, ramp: Any, mask: Any) -> None:
        whole(xp, indices, index)
        count_up(xp, ramp)
        xp.equal(index.reshape(*index.shape, 1), ramp, out=mask)
        xp.copyto(output, as_stored(self.off_value, output.dtype))
        xp.copyto(output, as_stored(self.on_value, output.dtype), where=mask)


class Where(Op):
    """Elements of x where a condition holds, and of y elsewhere: condition, x, y -> output.

    x, y and output have one shape; condition has the same, or one number for each row of x.  That is checked,
    as in MXNet, when shapes are bound, not while they are inferred.  Any number but 0 holds.  The gradient
    goes to what was taken; the condition gets none.  MXNet's where.
    """

    names = ("where", "_sparse_where")
    inputs = ("condition", "x", "y")
    scratch = ("mask",)
    inplace = (("y", "output"),)
    work = 0
    examples = (
        ({}, {"condition": (4, 3), "x": (4, 3)}),
        ({}, {"condition": (4,), "x": (4, 3, 2)}),
        ({}, {"condition": (4,), "x": (4,)}),
    )

    def shape(self, s: Shapes) -> None:
        s.same("x", "y", "output")
        x, condition = s["x"], s["condition"]
        if x is None or condition is None:
            return
        if len(condition) == 1 and x:
            s.merge("condition", x[:1], f"x is {show(x)}: give its shape, or one number for each row")
            s.merge("x", (*(s["condition"] or ()), *x[1:]))
            s.same("x", "y", "output")
        elif len(condition) == len(x) and not (complete(condition) and complete(x)):
            s.same("condition", "x", "y", "output")

    def check(self, s: Shapes) -> None:
        x, condition = s.full("x"), s.full("condition")
        if condition not in (x, x[:1]):
            told = f"condition is {show(condition)}, but x is {show(x)}"
            raise ShapeError(
                f"{told}: give its shape, or one number for each row",
                tensor="condition",
                kind="input-shapes-differ",
            )

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.same("x", "y", "output")
        any_index_type(t, "condition", "x")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"mask": Workspace(s.full("condition"), "bool")}

    def _mask(self, xp: Any, condition: Any, mask: Any, ndim: int) -> Any:
        """Whether the condition holds, in a shape that broadcasts to that of x."""
        xp.not_equal(condition, 0, out=mask)
        return mask.reshape(mask.shape + (1,) * (ndim - mask.ndim))

    def forward(self, xp: Any, condition: Any, x: Any, y: Any, output: Any, mask: Any) -> None:
        xp.copyto(output, y)
        xp.copyto(output, x, where=self._mask(xp, condition, mask, x.ndim))

    def backward(self, xp: Any, doutput: Any, condition: Any, dx: Any, dy: Any, mask: Any) -> None:
        mask = self._mask(xp, condition, mask, doutput.ndim)
        if dx is not None:
            xp.copyto(dx, 0)
            xp.copyto(dx, doutput, where=mask)
        if dy is not None:
            xp.copyto(dy, doutput)
            xp.copyto(dy, 0, where=mask)

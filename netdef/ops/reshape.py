"""Operators that give the same elements another shape; their outputs are the memory of their data."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from netdef.ops.fields import Bool, Dims, Int
from netdef.ops.shapes import ShapeError, Shapes, complete, prod, show
from netdef.ops.structure import SameMemory, new_axis

COPY, INFER, REST, JOIN, SPLIT = 0, -1, -2, -3, -4

Sizes = tuple[int | None, ...]


class Part(NamedTuple):
    """Neighbouring axes of the data, `before` of them, and the axes that stand in their place.

    `after` holds the sizes of the latter, None where only the data say them.  Both sides have the same
    number of elements; not so for `loose` parts, of which only all together have.
    """

    before: int
    after: Sizes
    loose: bool = False


def settle(left: list[int | None], right: list[int | None]) -> None:
    """Fill in the one size that is missing among sizes with one product."""
    for here, there in ((left, right), (right, left)):
        total = prod(there)
        known = math.prod(size for size in here if size is not None)
        if here.count(None) == 1 and total is not None and known:
            here[here.index(None)] = total // known


def balance(parts: Sequence[Part], data: Sizes, output: Sizes) -> tuple[Sizes, Sizes]:
    """The sizes of data and output as far as they follow from each other; raises `ShapeError`."""
    sides: tuple[list[int | None], list[int | None]] = ([], [])
    loose: tuple[list[int], list[int]] = ([], [])  # axes
    for part in parts:
        counts = part.before, len(part.after)
        here = [list(sizes[len(side) :][:count]) for sizes, side, count in zip((data, output), sides, counts)]
        if part.loose:
            for axes, side, count in zip(loose, sides, counts):
                axes += range(len(side), len(side) + count)
        else:
            settle(*here)
            left, right = map(prod, here)
            if None not in (left, right) and left != right:
                raise ShapeError(
                    f"data has {show(tuple(here[0]))} where the output has {show(tuple(here[1]))}",
                    tensor="data",
                    attribute="shape",
                )
        for side, sizes in zip(sides, here):
            side += sizes
    rest = [[side[axis] for axis in axes] for side, axes in zip(sides, loose)]
    settle(*rest)
    for side, axes, sizes in zip(sides, loose, rest):
        for axis, size in zip(axes, sizes):
            side[axis] = size
    return tuple(sides[0]), tuple(sides[1])


class Reshape(SameMemory):
    """The same elements in row-major order under another shape: data -> output.

    Each number of `shape` makes sizes of the output from those of the data, from left to right, or with
    `reverse` from right to left: n > 0 is a size, 0 takes the next size over, -1 is what remains of the
    elements, -2 takes all further sizes over, -3 joins the next two axes, and -4 splits the next axis into
    the two sizes that follow, of which one may be -1.  The older `target_shape` counts only without `shape`:
    its 0 is what remains, and with `keep_highest` the first size is that of the data.

    A size that is not known follows from the others, in both directions.  MXNet's Reshape.  As there, shapes
    with different numbers of elements are refused when they are bound, not while they are inferred.  Unlike
    there, -1 keeps its place behind -2 and -4, and -4 works with `reverse`.
    """

    shape_ = Dims((), "the sizes, with the codes 0, -1, -2, -3 and -4", min=-4)
    reverse = Bool(False, "match shape and the data's sizes from the right")
    target_shape = Dims((), "the older form of shape; 0 is what remains", min=0)
    keep_highest = Bool(False, "the first size of target_shape is that of the data")

    names = ("Reshape", "reshape")
    examples = (
        ({"shape": (0, -1)}, {"data": (4, 3, 2)}),
        ({"shape": (-1, 2, 0), "reverse": True}, {"data": (4, 6, 5)}),
        ({"shape": (-3, -2)}, {"data": (4, 3, 2)}),
        ({"shape": (0, -4, -1, 2, -2)}, {"data": (4, 6, 5)}),
        ({"shape": (-1, -4, 3, 2), "reverse": True}, {"data": (4, 5, 6)}),
        ({"target_shape": (0, 6)}, {"data": (4, 3, 2)}),
        ({"target_shape": (9, 0), "keep_highest": True}, {"data": (4, 3, 2)}),
    )

    def shape(self, s: Shapes) -> None:
        data = s["data"]
        if data is None or not (self.shape_ or self.target_shape):
            return
        parts = list(self._parts(len(data)))
        if self._from_the_right():
            parts.reverse()
        sizes = tuple(size for part in parts for size in part.after)
        attribute = "shape" if self.shape_ else "target_shape"
        s.merge("output", sizes, f"data {show(data)} is reshaped to {show(sizes)}", attribute)
        output = s["output"]
        assert output is not None, "merged just now"
        data, output = balance(parts, data, output)
        s.merge("output", output)
        s.merge("data", data)

    def check(self, s: Shapes) -> None:
        same_count(s, "data", "output")

    def _from_the_right(self) -> bool:
        return self.reverse and bool(self.shape_)

    def _codes(self) -> Iterator[tuple[int, ...]]:
        """The codes from left to right, -4 with the two sizes that belong to it."""
        if not self.shape_:
            rest = tuple(size or INFER for size in self.target_shape)
            yield from ((code,) for code in ((COPY, *rest[1:]) if self.keep_highest else rest))
            return
        codes = iter(self.shape_)
        for code in codes:
            if code != SPLIT:
                yield (code,)
                continue
            sizes = tuple(itertools.islice(codes, 2))
            if len(sizes) < 2 or any(size < INFER or size == 0 for size in sizes) or sizes == (INFER, INFER):
                raise self._refused("-4 needs two sizes behind it, of which one may be -1")
            yield code, *sizes

    def _parts(self, left: int) -> Iterator[Part]:
        """The parts for data of `left` axes, in the order in which the codes are read."""
        codes = list(self._codes())
        if codes.count((INFER,)) > 1:
            raise self._refused("only one size can be what remains")
        for code, *sizes in reversed(codes) if self._from_the_right() else codes:
            if left < {COPY: 1, JOIN: 2, SPLIT: 1}.get(code, 0):
                raise self._refused(f"too few axes are left for {code}")
            if code == REST:
                yield from (Part(1, (None,)) for _ in range(left))
                left = 0
            elif code in (COPY, JOIN):
                count = 1 if code == COPY else 2
                yield Part(count, (None,))
                left -= count
            elif code == SPLIT:
                yield Part(1, tuple(None if size == INFER else size for size in sizes))
                left -= 1
            else:
                count = min(left, 1)
                yield Part(count, (None if code == INFER else code,), loose=True)
                left -= count
        yield Part(left, (), loose=True)

    def _refused(self, why: str) -> ShapeError:
        attribute = "shape" if self.shape_ else "target_shape"
        numbers = ", ".join(map(str, self.shape_ or self.target_shape))
        return ShapeError(f"{attribute} is ({numbers}), but {why}", tensor="data", attribute=attribute)


def same_count(s: Shapes, data: str, output: str) -> None:
    """Refuse complete shapes that hold different numbers of elements."""
    counts = [math.prod(s.full(name)) for name in (data, output)]
    if counts[0] != counts[1]:
        raise ShapeError(
            f"{data} is {show(s[data])}, {counts[0]} elements, which do not fill {show(s[output])}, "
            f"{counts[1]} elements",
            tensor=data,
            attribute="shape",
        )


class ReshapeLike(SameMemory):
    """lhs in the shape of rhs, or some axes of it in the shape of some axes of rhs: lhs, rhs -> output.

    The axes of lhs from `lhs_begin` to before `lhs_end` become those of rhs from `rhs_begin` to before
    `rhs_end`; negative numbers count from the end.  MXNet's reshape_like: rhs gives its shape only, may have
    another dtype and gets no gradient.
    """

    lhs_begin = Int(None, "first axis of lhs that is replaced; left out: 0")
    lhs_end = Int(None, "the axis of lhs behind the last one; left out: all")
    rhs_begin = Int(None, "first axis of rhs that is taken; left out: 0")
    rhs_end = Int(None, "the axis of rhs behind the last one; left out: all")

    inputs = ("lhs", "rhs")
    names = ("reshape_like",)
    inplace = (("lhs", "output"), ("doutput", "dlhs"))
    examples = (
        ({}, {"lhs": (4, 6), "rhs": (4, 3, 2)}),
        ({"lhs_begin": 1, "rhs_begin": -2, "rhs_end": -1}, {"lhs": (4, 3, 2), "rhs": (5, 6, 1)}),
    )

    def shape(self, s: Shapes) -> None:
        lhs, rhs = s["lhs"], s["rhs"]
        if lhs is None or rhs is None:
            return
        begin, end = self._range("lhs", lhs, self.lhs_begin, self.lhs_end)
        first, last = self._range("rhs", rhs, self.rhs_begin, self.rhs_end)
        s.merge("output", (*lhs[:begin], *rhs[first:last], *lhs[end:]))
        output = s["output"]
        assert output is not None, "merged just now"
        taken, behind = output[begin : begin + last - first], len(lhs) - end
        s.merge("lhs", (*output[:begin], *lhs[begin:end], *output[len(output) - behind :]))
        s.merge("rhs", (*rhs[:first], *taken, *rhs[last:]))
        left, right = list(lhs[begin:end]), list(taken)
        settle(left, right)
        s.merge("lhs", (*lhs[:begin], *left, *lhs[end:]))
        s.merge("output", (*output[:begin], *right, *output[begin + len(taken) :]))
        if complete(s["lhs"]) and complete(s["output"]):
            same_count(s, "lhs", "output")

    @staticmethod
    def _range(name: str, shape: Sizes, begin: int | None, end: int | None) -> tuple[int, int]:
        first, last = begin or 0, len(shape) if end is None else end
        first, last = (axis + len(shape) if axis < 0 else axis for axis in (first, last))
        if not 0 <= first < last <= len(shape):
            raise ShapeError(
                f"{name} is {show(shape)} and has no axes from {begin or 0} to before {end}",
                tensor=name,
                attribute=f"{name}_begin",
            )
        return first, last

    def types(self, t: Shapes) -> None:
        t.same("lhs", "output")

    def view(self, train: bool) -> tuple[str, str] | None:
        return "lhs", "output"

    def forward(self, xp: Any, lhs: Any, output: Any) -> None:
        output[...] = lhs.reshape(output.shape)

    def backward(self, xp: Any, doutput: Any, dlhs: Any) -> None:
        dlhs[...] = doutput.reshape(dlhs.shape)


class ExpandDims(SameMemory):
    """A new axis of size 1: data (A..., B...) -> output (A..., 1, B...)."""

    axis = Int(help="where the new axis stands in the output; negative counts from the end")

    names = ("expand_dims",)
    examples = (
        ({"axis": 0}, {"data": (4, 3)}),
        ({"axis": 1}, {"data": (4, 3)}),
        ({"axis": -1}, {"data": (4, 3)}),
    )

    def shape(self, s: Shapes) -> None:
        data = s["data"]
        if data is not None:
            axis = new_axis(s, "data", self.axis)
            s.merge("output", (*data[:axis], 1, *data[axis:]), f"data {show(data)} gets an axis {axis}")
        output = s.rank("output", 1, "at least the new axis")
        if output is not None:
            axis = s.axis("output", self.axis)
            s.merge("output", (*output[:axis], 1, *output[axis + 1 :]), f"its axis {axis} is the new one")
            s.merge("data", (*output[:axis], *output[axis + 1 :]), f"output is {show(output)}")


class Squeeze(SameMemory):
    """Without axes of size 1: data -> output.

    `axis` names those that go, all by default.  Where none would be left, one stays: MXNet has no tensors
    without axes.
    """

    axis = Dims(None, "axes that go, all of size 1; left out: every axis of size 1")

    names = ("squeeze",)
    examples = (
        ({}, {"data": (4, 1, 3, 1)}),
        ({"axis": 1}, {"data": (4, 1, 3, 1)}),
        ({"axis": (-1, 1)}, {"data": (4, 1, 3, 1)}),
    )

    def shape(self, s: Shapes) -> None:
        data = s["data"]
        if data is None or (self.axis is None and not complete(data)):
            return
        if self.axis is None:
            gone = [axis for axis, size in enumerate(data) if size == 1]
        else:
            gone = [s.axis("data", axis) for axis in self.axis]
        if len(set(gone)) < len(gone):
            raise ShapeError(f"an axis of data {show(data)} is named twice", tensor="data", attribute="axis")
        ones = tuple(1 if axis in gone else size for axis, size in enumerate(data))
        s.merge("data", ones, f"axis {', '.join(map(str, gone))} must be of size 1", "axis")
        kept = [axis for axis in range(len(data)) if axis not in gone]
        s.merge("output", tuple(ones[axis] for axis in kept) or (1,), f"data is {show(data)}")
        if kept:
            sizes = dict(zip(kept, s["output"] or ()))
            s.merge("data", tuple(sizes.get(axis, 1) for axis in range(len(data))))

"""Operators that cut a tensor into several."""

from __future__ import annotations

from typing import Any

from netdef.ops.base import MOST_TENSORS, Op
from netdef.ops.fields import Bool, Dims, Int
from netdef.ops.shapes import Shape, ShapeError, Shapes, merge, show
from netdef.ops.windows import along

#: for each part, the first element and the one behind the last; None: up to the end
Bounds = list[tuple[int, int | None]]


class _Split(Op, abstract=True):
    """The data in parts along one axis: data -> output0, output1, ..."""

    axis = Int(1, "the axis that is cut; negative counts from the end")
    squeeze_axis = Bool(False, "leave the axis out of the parts, which then have one element along it")

    splits = True
    outputs = ()
    work = 0

    def count(self) -> int:
        """How many parts there are."""
        raise NotImplementedError

    def bounds(self, size: int) -> Bounds:
        """Where the parts lie along an axis of `size` elements; raises `ShapeError`."""
        raise NotImplementedError

    def whole(self, sizes: list[int | None]) -> int | None:
        """The size of the axis, from what is known of those of the parts."""
        raise NotImplementedError

    def output_names(self) -> tuple[str, ...]:
        return tuple(f"output{number}" for number in range(self.count()))

    def visible_outputs(self) -> int:
        return self.count()

    def shape(self, s: Shapes) -> None:
        names = self.output_names()
        axis = self._axis(s)
        if axis is None:
            return
        common: Shape = None
        for name in ("data", *names):
            common = self._joined(s, name, axis, common)
        assert common is not None, "the rank follows from some tensor"
        before, after = common[:axis], common[axis:]
        s.merge("data", (*before, None, *after))
        size = (s["data"] or ())[axis]
        if size is None:
            sizes = [1 if self.squeeze_axis else (s[name] or (None,) * (axis + 1))[axis] for name in names]
            size = self.whole(sizes)
            s.merge("data", (*before, size, *after))
        parts = [None] * len(names) if size is None else [_length(part, size) for part in self.bounds(size)]
        for name, part in zip(names, parts):
            if self.squeeze_axis:
                if part not in (None, 1):
                    told = f"data is {show(s['data'])}, and {name} would have {part} elements along its axis"
                    raise ShapeError(f"{told} {self.axis}", tensor="data", attribute="squeeze_axis")
                s.merge(name, (*before, *after))
            else:
                s.merge(name, (*before, part, *after), f"data is {show(s['data'])}")

    def _axis(self, s: Shapes) -> int | None:
        """The axis, once the rank is known."""
        if s["data"] is not None:
            return s.axis("data", self.axis)
        for name in self.output_names():
            shape = s[name]
            if shape is not None:
                rank = len(shape) + self.squeeze_axis
                if not -rank <= self.axis < rank:
                    told = f"axis {self.axis} is out of range for data of {rank} axes, as {name} needs"
                    raise ShapeError(told, tensor=name, attribute="axis")
                return self.axis % rank
        return None

    def _joined(self, s: Shapes, name: str, axis: int, common: Shape) -> Shape:
        """The sizes that all tensors share, with those of one more tensor."""
        shape = s[name]
        if shape is None:
            return common
        rest = shape if self.squeeze_axis and name != "data" else (*shape[:axis], *shape[axis + 1 :])
        try:
            return merge(common, rest)
        except ValueError as conflict:
            told = f"{name} is {show(shape)}, but beside the axis the others are {show(common)} ({conflict})"
            raise ShapeError(told, tensor=name) from None

    def _places(self, ndim: int, size: int) -> list[tuple[Any, ...]]:
        """The index of each part."""
        axis = self.axis % ndim
        return [
            along(axis, start if self.squeeze_axis else slice(start, stop))
            for start, stop in self.bounds(size)
        ]

    def forward(self, xp: Any, data: Any, outs: Any) -> None:
        for place, part in zip(self._places(data.ndim, data.shape[self.axis]), outs):
            if part is not None:
                part[...] = data[place]

    def backward(self, xp: Any, douts: Any, ddata: Any) -> None:
        for place, part in zip(self._places(ddata.ndim, ddata.shape[self.axis]), douts):
            ddata[place] = 0 if part is None else part


def _length(part: tuple[int, int | None], size: int) -> int:
    start, stop = part
    return (size if stop is None else stop) - start


class SliceChannel(_Split):
    """The data in `num_outputs` equal parts along one axis: data -> output0, output1, ...

    MXNet's SliceChannel (split).
    """

    num_outputs = Int(help="number of parts", min=1, max=MOST_TENSORS)

    begins = ("data", "num_outputs")
    names = ("SliceChannel", "split")
    examples = (
        ({"num_outputs": 3}, {"data": (4, 6, 2)}),
        ({"num_outputs": 2, "axis": -1, "squeeze_axis": True}, {"data": (4, 3, 2)}),
        ({"num_outputs": 1, "axis": 0}, {"data": (4,)}),
    )

    def count(self) -> int:
        return self.num_outputs

    def bounds(self, size: int) -> Bounds:
        if size % self.num_outputs:
            raise ShapeError(
                f"{size} elements along axis {self.axis} of data are not {self.num_outputs} equal parts",
                tensor="data",
                attribute="num_outputs",
            )
        part = size // self.num_outputs
        return [(start * part, (start + 1) * part) for start in range(self.num_outputs)]

    def whole(self, sizes: list[int | None]) -> int | None:
        known = [size for size in sizes if size is not None]
        return known[0] * self.num_outputs if known else None


class SplitV2(_Split):
    """The data in parts of any sizes along one axis: data -> output0, output1, ...

    `indices` holds where each part starts, the first at 0.  With `sections` they are as equal as possible,
    the larger ones first.  One part alone is called output.  MXNet's _split_v2, which stands behind its
    function split_v2.
    """

    indices = Dims(help="where the parts start, rising from 0; not used with sections", min=0)
    sections = Int(0, "number of parts, as equal as possible; 0: see indices", min=0, max=MOST_TENSORS)

    names = ("_split_v2",)
    examples = (
        ({"indices": (0, 1, 3)}, {"data": (4, 5)}),
        ({"indices": (0,), "axis": 0}, {"data": (4, 3)}),
        ({"indices": (), "sections": 3, "axis": -1}, {"data": (4, 5)}),
        ({"indices": (0, 1), "axis": 1, "squeeze_axis": True}, {"data": (4, 2, 3)}),
    )

    def count(self) -> int:
        return self.sections or len(self.indices)

    def output_names(self) -> tuple[str, ...]:
        return super().output_names() if self.count() > 1 else ("output",)

    def bounds(self, size: int) -> Bounds:
        if self.sections:
            part, more = divmod(size, self.sections)
            starts = [number * part + min(number, more) for number in range(self.sections)]
            return list(zip(starts, [*starts[1:], size]))
        steps = list(zip(self.indices, self.indices[1:]))
        if self.indices[:1] != (0,) or any(start > stop for start, stop in steps) or self.indices[-1] > size:
            raise ShapeError(
                f"indices {self.indices} do not rise from 0 to at most {size}, the size of axis {self.axis}",
                tensor="data",
                attribute="indices",
            )
        return [*steps, (self.indices[-1], None)]

    def whole(self, sizes: list[int | None]) -> int | None:
        if self.sections:
            known = [size for size in sizes if size is not None]
            return sum(known) if len(known) == len(sizes) else None
        return None if sizes[-1] is None else self.indices[-1] + sizes[-1]

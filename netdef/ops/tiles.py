"""Operators that repeat elements: over the whole tensor, one by one, or around its border."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

from netdef.ops import windows
from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Dims, Enum, Float, Int
from netdef.ops.shapes import Full, Shape, ShapeError, Shapes, prod, show

#: the number of padded sides of images and of volumes, those of batch and channels included
SIDES = (8, 10)


class Tile(Op):
    """The whole tensor `reps` times along each axis: data (A, B, ...) -> output (r1*A, r2*B, ...).

    With fewer numbers than axes they stand for the last axes; with more the data get axes of size 1 in front.
    MXNet's tile.
    """

    reps = Dims(help="how often along each axis", min=0)

    names = ("tile",)
    work = 0
    examples = (
        ({"reps": (2,)}, {"data": (4, 3)}),
        ({"reps": (2, 1, 3)}, {"data": (4, 3, 2)}),
        ({"reps": (2, 3, 1)}, {"data": (4, 3)}),
        ({"reps": ()}, {"data": (4, 3)}),
    )

    def shape(self, s: Shapes) -> None:
        data = s["data"]
        if data is None:
            return
        sizes, reps = self._aligned(data)
        whole = tuple(None if size is None else size * rep for size, rep in zip(sizes, reps))
        s.merge("output", whole, f"data is {show(data)} and reps {self.reps}", "reps")
        output = s["output"] or ()
        back = [None if size is None or not rep else size // rep for size, rep in zip(output, reps)]
        s.merge("data", tuple(back[len(back) - len(data) :]), f"output is {show(output)}")

    def _aligned(self, shape: Any) -> tuple[tuple[Any, ...], Full]:
        """The sizes and the repetitions of all axes of the output."""
        rank = max(len(shape), len(self.reps))
        sizes, reps = (1,) * (rank - len(shape)), (1,) * (rank - len(self.reps))
        return (*sizes, *shape), (*reps, *self.reps)

    def _views(self, data: Any, output: Any) -> tuple[Any, Any]:
        """Both with two axes, repetition and element, for each axis of the output."""
        sizes, reps = self._aligned(data.shape)
        apart = [number for pair in zip(reps, sizes) for number in pair]
        ones = [number for size in sizes for number in (1, size)]
        return data.reshape(ones), output.reshape(apart)

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        elements, copies = self._views(data, output)
        xp.copyto(copies, elements)

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        elements, copies = self._views(ddata, doutput)
        copies.sum(axis=tuple(range(0, copies.ndim, 2)), keepdims=True, out=elements)


class Repeat(Op):
    """Every element `repeats` times: data -> output.

    Along `axis` each slice is repeated in its place: data (A, n, B) -> output (A, n*repeats, B).  Without
    `axis` the output is flat.  MXNet's repeat.
    """

    repeats = Int(help="how often", min=0)
    axis = Int(None, "the axis; negative counts from the end; left out: flat")

    names = ("repeat",)
    work = 0
    examples = (
        ({"repeats": 2}, {"data": (4, 3)}),
        ({"repeats": 3, "axis": 0}, {"data": (4, 3)}),
        ({"repeats": 2, "axis": -1}, {"data": (4, 3)}),
    )

    def shape(self, s: Shapes) -> None:
        data = s["data"]
        if data is None:
            return
        if self.axis is None:
            count = prod(data)
            s.merge("output", (None if count is None else count * self.repeats,), f"data is {show(data)}")
            return
        axis, size = s.axis("data", self.axis), data[self.axis]
        whole = None if size is None else size * self.repeats
        s.merge("output", (*data[:axis], whole, *data[axis + 1 :]), f"data is {show(data)}")
        output = s["output"] or ()
        size = output[axis]
        part = None if size is None or not self.repeats else size // self.repeats
        s.merge("data", (*output[:axis], part, *output[axis + 1 :]), f"output is {show(output)}")

    def _views(self, data: Any, output: Any) -> tuple[Any, Any, int]:
        """Both with an axis more for the repetitions, and that axis."""
        axis = data.ndim if self.axis is None else self.axis % data.ndim + 1
        copies = output.reshape(*data.shape[:axis], self.repeats, *data.shape[axis:])
        return data[windows.along(axis, None)], copies, axis

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        elements, copies, _ = self._views(data, output)
        xp.copyto(copies, elements)

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        elements, copies, axis = self._views(ddata, doutput)
        copies.sum(axis=axis, keepdims=True, out=elements)


class Piece(NamedTuple):
    """Places along an axis of the padded tensor and the places of the data that they are copies of."""

    there: slice
    here: slice
    #: whether all are copies of one place
    spread: bool = False


class Pad(Op):
    """Images or volumes with a border: data (N, C, S...) -> output (N, C, S + before + after).

    The border holds a number, the nearest element (edge), or what lies as far on the other side of the edge
    (reflect; the border is then smaller than the data).  MXNet's Pad: 4 or 5 axes, and no border along the
    first two.
    """

    mode = Enum("constant", "edge", "reflect", help="what the border holds")
    pad_width = Dims(help="two numbers for each axis: elements before and after", min=0)
    constant_value = Float(0.0, "what a constant border holds", infinite=True)

    names = ("Pad", "pad")
    work = 0
    scratch = ("sums",)
    examples = (
        (
            {"mode": "constant", "pad_width": (0, 0, 0, 0, 1, 2, 0, 1), "constant_value": -1.5},
            {"data": (2, 2, 3, 4)},
        ),
        ({"mode": "edge", "pad_width": (0, 0, 0, 0, 1, 2, 0, 3)}, {"data": (2, 2, 3, 4)}),
        ({"mode": "reflect", "pad_width": (0, 0, 0, 0, 2, 1, 0, 3)}, {"data": (2, 2, 3, 4)}),
        ({"mode": "reflect", "pad_width": (0, 0, 0, 0, 1, 0, 0, 1, 1, 1)}, {"data": (2, 1, 2, 3, 2)}),
        ({"mode": "edge", "pad_width": (0, 0, 0, 0, 1, 1, 0, 1, 1, 0)}, {"data": (2, 1, 2, 1, 2)}),
    )

    def shape(self, s: Shapes) -> None:
        widths = self.pad_width
        if len(widths) not in SIDES or any(widths[:4]):
            told = f"pad_width is {widths}, but 8 or 10 numbers are needed, of which the first four are 0"
            raise ShapeError(told, attribute="pad_width")
        pairs = list(zip(widths[::2], widths[1::2]))
        for name in ("data", "output"):
            shape = s[name]
            if shape is not None and len(shape) != len(pairs):
                told = f"{name} is {show(shape)}, but pad_width has two numbers for each of {len(pairs)} axes"
                raise ShapeError(told, tensor=name, attribute="pad_width")
        data, output = s["data"], s["output"]
        if data is not None:
            padded: Shape = tuple(None if n is None else n + sum(pair) for n, pair in zip(data, pairs))
            s.merge("output", padded, f"data is {show(data)} and pad_width {widths}")
        if output is not None:
            inner: Shape = tuple(None if n is None else n - sum(pair) for n, pair in zip(output, pairs))
            s.merge("data", inner, f"output is {show(output)} and pad_width {widths}")
        for size, pair in zip(s["data"] or (), pairs):
            if size is not None and (size < 0 or (self.mode == "reflect" and max(pair) >= max(size, 1))):
                told = f"data is {show(s['data'])}, too small for a border of {widths} in mode {self.mode}"
                raise ShapeError(told, tensor="data", attribute="pad_width")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"sums": Workspace(s.full("data"))} if backward and self.mode == "edge" else {}

    def _interior(self, padded: Any) -> Any:
        pairs = zip(self.pad_width[::2], self.pad_width[1::2], padded.shape)
        return padded[tuple(slice(before, size - after) for before, after, size in pairs)]

    def _pieces(self, data: Full) -> Iterator[tuple[Piece, ...]]:
        """Rectangles that cover the padded tensor, each with what it is a copy of, interior first."""
        axes = []
        for before, after, size in zip(self.pad_width[::2], self.pad_width[1::2], data):
            pieces = [Piece(slice(before, before + size), slice(0, size))]
            stop = before + size
            if self.mode == "edge":
                pieces += [Piece(slice(0, before), slice(0, 1), True)] * bool(before)
                pieces += [Piece(slice(stop, stop + after), slice(size - 1, size), True)] * bool(after)
            else:
                pieces += [Piece(slice(0, before), slice(before, 0, -1))] * bool(before)
                last = size - 2 - after
                mirrored = slice(size - 2, last if last >= 0 else None, -1)
                pieces += [Piece(slice(stop, stop + after), mirrored)] * bool(after)
            axes.append(pieces)
        return itertools.product(*axes)

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        if self.mode == "constant":
            output[...] = self.constant_value
            xp.copyto(self._interior(output), data)
            return
        for piece in self._pieces(data.shape):
            there, here, _ = zip(*piece)
            xp.copyto(output[there], data[here])

    def backward(self, xp: Any, doutput: Any, ddata: Any, sums: Any) -> None:
        if self.mode == "constant":
            xp.copyto(ddata, self._interior(doutput))
            return
        ddata[...] = 0
        for piece in self._pieces(ddata.shape):
            there, here, spread = zip(*piece)
            part = doutput[there]
            if any(spread):
                axes = tuple(axis for axis, many in enumerate(spread) if many)
                part = part.sum(axis=axes, keepdims=True, out=sums[here])
            xp.add(ddata[here], part, out=ddata[here])

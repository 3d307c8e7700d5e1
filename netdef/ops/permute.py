"""Operators that reorder elements along and between axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netdef.ops.base import Op
from netdef.ops.fields import Dims, Int
from netdef.ops.foreign import As
from netdef.ops.shapes import Shape, ShapeError, Shapes, show


class _Permuted(Op, abstract=True):
    """The axes of the data in another order."""

    work = 0

    def _order(self, s: Shapes, name: str) -> Sequence[int]:
        """For each axis of the output that of the data; `name` is a tensor of known rank."""
        raise NotImplementedError

    def shape(self, s: Shapes) -> None:
        data, output = s["data"], s["output"]
        if data is not None:
            order = self._order(s, "data")
            s.merge("output", tuple(data[axis] for axis in order), f"data is {show(data)}")
            output = s["output"]
        if output is not None:
            order = self._order(s, "output")
            sizes: Shape = tuple(output[order.index(axis)] for axis in range(len(output)))
            s.merge("data", sizes, f"output is {show(output)}")

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        xp.copyto(output, self._moved(xp, data))

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        xp.copyto(self._moved(xp, ddata), doutput)

    def _moved(self, xp: Any, array: Any) -> Any:
        """A view of an array shaped like the data, shaped like the output."""
        raise NotImplementedError


class Transpose(_Permuted):
    """The axes in another order: axis i of the output is axis `axes[i]` of the data.  MXNet's transpose."""

    axes = Dims((), "for each axis of the output that of the data; left out: reversed", min=0)

    names = ("transpose",)
    examples = (
        ({}, {"data": (4, 3, 2)}),
        ({"axes": (1, 2, 0)}, {"data": (4, 3, 2)}),
        ({"axes": (0, 2, 1)}, {"data": (4, 3, 2)}),
        ({}, {"data": (4,)}),
    )

    def _order(self, s: Shapes, name: str) -> Sequence[int]:
        rank = len(s[name] or ())
        if self.axes and sorted(self.axes) != list(range(rank)):
            raise ShapeError(
                f"axes {self.axes} are not the {rank} axes of {name} {show(s[name])}, each once",
                tensor=name,
                attribute="axes",
                hint=f"an order of {', '.join(map(str, range(rank)))}",
            )
        return self.axes or range(rank - 1, -1, -1)

    def _moved(self, xp: Any, array: Any) -> Any:
        return array.transpose(self.axes or None)


class SwapAxis(_Permuted):
    """Two axes in each other's place: data (A, X, B, Y, C) -> output (A, Y, B, X, C).  MXNet's SwapAxis."""

    dim1 = Int(0, "one axis; negative counts from the end")
    dim2 = Int(0, "the other axis")

    names = ("SwapAxis", "swapaxes")
    examples = (
        ({"dim1": 0, "dim2": 2}, {"data": (4, 3, 2)}),
        ({"dim1": -1, "dim2": 1}, {"data": (4, 3, 2)}),
        ({}, {"data": (4, 3)}),
    )

    def _order(self, s: Shapes, name: str) -> Sequence[int]:
        one, other = s.axis(name, self.dim1, "dim1"), s.axis(name, self.dim2, "dim2")
        order = list(range(len(s[name] or ())))
        order[one], order[other] = other, one
        return order

    def _moved(self, xp: Any, array: Any) -> Any:
        return array.swapaxes(self.dim1, self.dim2)


class Reverse(Op):
    """The elements in reverse order along each of some axes: data -> output of the same shape.

    MXNet's reverse.  As there, an axis counts from the front, and one that is named twice is as it was.
    """

    axis = Dims(help="the axes to reverse", min=0)

    names = ("reverse", "flip")
    work = 0
    examples = (
        ({"axis": 0}, {"data": (4, 3)}),
        ({"axis": (2, 1)}, {"data": (4, 3, 2)}),
        ({"axis": ()}, {"data": (4, 3)}),
    )

    def shape(self, s: Shapes) -> None:
        s.same("data", "output")
        if s["data"] is not None:
            for axis in self.axis:
                s.axis("data", axis)

    def _reversed(self, array: Any) -> Any:
        steps = [-1 if self.axis.count(axis) % 2 else 1 for axis in range(array.ndim)]
        return array[tuple(slice(None, None, step) for step in steps)]

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        xp.copyto(output, self._reversed(data))

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        xp.copyto(ddata, self._reversed(doutput))


class _Blocks(Op, abstract=True):
    """Blocks of pixels against channels: one tensor is (N, b*b*C, H, W), the other (N, C, H*b, W*b)."""

    block_size = Int(help="the side of a block, b", min=1)

    work = 0
    #: which of data and output has the many channels, and which the many pixels
    deep, wide = "data", "output"

    def shape(self, s: Shapes) -> None:
        for name in (self.deep, self.wide):
            shape = s[name]
            if shape is not None and len(shape) != 4:
                raise ShapeError(f"{name} is {show(shape)}, but (N, C, H, W) is needed", tensor=name)
        size = self.block_size
        deep = s[self.deep]
        if deep is not None:
            n, c, h, w = deep
            whole = (n, self._divided(s, self.deep, 1, size**2), _times(h, size), _times(w, size))
            s.merge(self.wide, whole, f"{self.deep} is {show(deep)} and block_size {size}")
        wide = s[self.wide]
        if wide is not None:
            n, c, h, w = wide
            rows, columns = (self._divided(s, self.wide, axis, size) for axis in (2, 3))
            whole = (n, _times(c, size**2), rows, columns)
            s.merge(self.deep, whole, f"{self.wide} is {show(wide)} and block_size {size}")

    def _divided(self, s: Shapes, name: str, axis: int, by: int) -> int | None:
        shape = s[name] or ()
        size = shape[axis]
        if size is not None and size % by:
            raise ShapeError(
                f"{name} is {show(shape)}, and its axis {axis} is no multiple of {by}, as block_size "
                f"{self.block_size} needs",
                tensor=name,
                attribute="block_size",
            )
        return None if size is None else size // by

    def _views(self, deep: Any, wide: Any) -> tuple[Any, Any]:
        """Both as (N, C, H, b, W, b)."""
        n, _, h, w = deep.shape
        b, c = self.block_size, wide.shape[1]
        return deep.reshape(n, b, b, c, h, w).transpose(0, 3, 4, 1, 5, 2), wide.reshape(n, c, h, b, w, b)


def _times(size: int | None, by: int) -> int | None:
    return None if size is None else size * by


class DepthToSpace(_Blocks):
    """Channels become blocks of pixels: data (N, b*b*C, H, W) -> output (N, C, H*b, W*b).

    Channel (i*b + j)*C + c is pixel (i, j) of the blocks of channel c.  MXNet's depth_to_space.
    """

    names = ("depth_to_space",)
    onnx = (As("DepthToSpace", block_size="blocksize"),)
    examples = (
        ({"block_size": 2}, {"data": (2, 12, 2, 1)}),
        ({"block_size": 1}, {"data": (2, 3, 2, 2)}),
    )

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        deep, wide = self._views(data, output)
        xp.copyto(wide, deep)

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        deep, wide = self._views(ddata, doutput)
        xp.copyto(deep, wide)


class SpaceToDepth(_Blocks):
    """Blocks of pixels become channels: data (N, C, H*b, W*b) -> output (N, b*b*C, H, W).

    The inverse of DepthToSpace.  MXNet's space_to_depth.
    """

    names = ("space_to_depth",)
    deep, wide = "output", "data"
    onnx = (As("SpaceToDepth", block_size="blocksize"),)
    examples = (
        ({"block_size": 2}, {"data": (2, 3, 4, 2)}),
        ({"block_size": 3}, {"data": (2, 1, 3, 6)}),
    )

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        deep, wide = self._views(output, data)
        xp.copyto(deep, wide)

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        deep, wide = self._views(doutput, ddata)
        xp.copyto(wide, deep)


class Diag(Op):
    """Diagonals of matrices, or a matrix from its diagonal.

    Data of more than one axis hold matrices with rows along `axis1` and columns along `axis2`; their `k`-th
    diagonals become the last axis: data (A, R, B, C, D) -> output (A, B, D, diagonal).  Data of one axis
    become the `k`-th diagonal of a square matrix of zeros: data (n,) -> output (n+|k|, n+|k|).  MXNet's diag.
    """

    k = Int(0, "which diagonal: 0 the main one, above it positive, below it negative")
    axis1 = Int(0, "the axis of the rows; negative counts from the end")
    axis2 = Int(1, "the axis of the columns; negative counts from the end")

    names = ("diag",)
    work = 0
    examples = (
        ({}, {"data": (4, 3)}),
        ({"k": 1}, {"data": (4, 3)}),
        ({"k": -2, "axis1": 2, "axis2": 0}, {"data": (4, 3, 5, 2)}),
        ({"axis1": 1, "axis2": -1}, {"data": (4, 3, 2)}),
    )

    def shape(self, s: Shapes) -> None:
        data = s["data"]
        if data is None:
            return
        if len(data) < 2:
            s.rank("data", 1, "at least one axis")
            side = None if data[0] is None else data[0] + abs(self.k)
            s.merge("output", (side, side), f"data is {show(data)} and k {self.k}")
            sides = {size for size in s["output"] or () if size is not None}
            if len(sides) == 1:
                (known,) = sides
                s.merge("output", (known, known))
                s.merge("data", (known - abs(self.k),), f"output is {show(s['output'])} and k {self.k}")
            return
        rows, columns = s.axis("data", self.axis1, "axis1"), s.axis("data", self.axis2, "axis2")
        if rows == columns:
            told = f"axis1 {self.axis1} and axis2 {self.axis2} are one axis of data {show(data)}"
            raise ShapeError(told, tensor="data", attribute="axis2")
        length = self._length(data[rows], data[columns])
        if length is not None and length < 0:
            told = f"data is {show(data)}, and its matrices have no diagonal {self.k}"
            raise ShapeError(told, tensor="data", attribute="k")
        others = [axis for axis in range(len(data)) if axis not in (rows, columns)]
        s.merge("output", (*(data[axis] for axis in others), length), f"data is {show(data)}")
        sizes = dict(zip(others, s["output"] or ()))
        s.merge("data", tuple(sizes.get(axis) for axis in range(len(data))))

    def _length(self, rows: int | None, columns: int | None) -> int | None:
        if rows is None or columns is None:
            return None
        return min(rows + min(self.k, 0), columns - max(self.k, 0))

    def _diagonal(self, xp: Any, whole: Any, axis1: int = 0, axis2: int = 1) -> Any:
        """A view of the diagonals."""
        matrices = xp.moveaxis(whole, (axis1, axis2), (-2, -1))
        part = matrices[..., max(-self.k, 0) :, max(self.k, 0) :]
        length = min(part.shape[-2:])
        return xp.einsum("...ii->...i", part[..., :length, :length])

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        if data.ndim > 1:
            xp.copyto(output, self._diagonal(xp, data, self.axis1, self.axis2))
        else:
            output[...] = 0
            self._diagonal(xp, output)[...] = data

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        if ddata.ndim > 1:
            ddata[...] = 0
            self._diagonal(xp, ddata, self.axis1, self.axis2)[...] = doutput
        else:
            xp.copyto(ddata, self._diagonal(xp, doutput))

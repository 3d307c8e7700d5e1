"""Multi-indices into places of the flattened array, and back."""

from __future__ import annotations

from typing import Any

from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Dims
from netdef.ops.gather import whole
from netdef.ops.shapes import ShapeError, Shapes, show


class MultiIndex(Op, abstract=True):
    """A conversion between multi-indices of a shape, one in each column, and places in the flattened one."""

    shape_ = Dims(help="the shape that the indices go into; its first size does not matter")

    inputs = ("data",)
    work = 2

    def _axes(self) -> int:
        if not self.shape_:
            raise ShapeError("there are no indices into a shape without axes", attribute="shape")
        return len(self.shape_)


class RavelMultiIndex(MultiIndex):
    """Multi-indices into places: data (M, N), a column for each index -> output (N,).

    Row-major order; `shape` has M sizes, and indices outside are not refused.  The numbers are truncated.
    No gradient passes.  MXNet's ravel_multi_index.
    """

    names = ("_ravel_multi_index", "ravel_multi_index")
    scratch = ("index", "place")
    examples = (({"shape": (3, 4)}, {"data": (2, 5)}), ({"shape": (-1, 4, 2)}, {"data": (3, 4)}))

    def shape(self, s: Shapes) -> None:
        s.merge("data", (self._axes(), None), f"a row for each axis of {self.shape_} is needed", "shape")
        s.merge("output", (s["data"] or ())[1:], f"data is {show(s['data'])}")
        s.merge("data", (None, *(s["output"] or ())))

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        line = Workspace(s.full("output"), "int64")
        return {"index": line, "place": line}

    def forward(self, xp: Any, data: Any, output: Any, index: Any, place: Any) -> None:
        place.fill(0)
        for along, size in zip(data, self.shape_):
            whole(xp, along, index)
            xp.multiply(place, size, out=place)
            xp.add(place, index, out=place)
        xp.copyto(output, place, casting="unsafe")


class UnravelIndex(MultiIndex):
    """Places into multi-indices: data (I...) -> output (M, I...); `shape` has M sizes.

    Row-major order; what goes beyond the shape shows in the first row.  The numbers are truncated.  No
    gradient passes.  MXNet's unravel_index.
    """

    names = ("_unravel_index", "unravel_index")
    scratch = ("index", "place")
    examples = (({"shape": (3, 4)}, {"data": (5,)}), ({"shape": (-1, 4, 2)}, {"data": (4, 3)}))

    def shape(self, s: Shapes) -> None:
        data, axes = s["data"], self._axes()
        if data is not None:
            s.merge("output", (axes, *data), f"data is {show(data)}", "shape")
        if output := s["output"]:
            s.merge("output", (axes, *output[1:]), f"a row for each axis of {self.shape_} is needed", "shape")
            s.merge("data", output[1:], f"output is {show(output)}")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        line = Workspace(s.full("data"), "int64")
        return {"index": line, "place": line}

    def forward(self, xp: Any, data: Any, output: Any, index: Any, place: Any) -> None:
        whole(xp, data, place)
        for axis in range(len(self.shape_) - 1, 0, -1):
            # as C divides: towards zero, so a negative place has a negative rest
            xp.fmod(place, self.shape_[axis], out=index)
            xp.copyto(output[axis], index, casting="unsafe")
            xp.subtract(place, index, out=place)
            xp.floor_divide(place, self.shape_[axis], out=place)
        xp.copyto(output[0], place, casting="unsafe")

"""Reading and writing at multi-indices."""

from __future__ import annotations

from typing import Any, ClassVar

from netdef.ops.arrays import count_up
from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Dims
from netdef.ops.gather import (
    any_index_type,
    places,
    put_rows,
    require_within,
    scatter_add,
    take,
    take_rows,
    whole,
)
from netdef.ops.shapes import Full, ShapeError, Shapes, Types, prod, show


class MultiIndexed(Op, abstract=True):
    """An operator with a tensor `whole` (X0, ..., Xn), multi-indices (M, Y...) and `parts` (Y..., XM, ...).

    Column y of the indices, of any type and truncated, names the slice that stands at y in the parts; a
    negative number counts from the end, one outside raises `IndexError`.
    """

    work = 0
    scratch: ClassVar[tuple[str, ...]] = ("number", "row")
    #: the operator's names of the whole tensor and of the parts
    big: str
    small: str

    def merge_shapes(self, s: Shapes) -> None:
        big, indices = s[self.big], s.rank("indices", 2, "one row for each axis that is indexed")
        if big is None or indices is None or indices[0] is None:
            return
        if indices[0] > len(big):
            raise ShapeError(
                f"indices is {show(indices)}, {indices[0]} numbers for each place, but {self.big} "
                f"{show(big)} has {len(big)} axes",
                tensor="indices",
                hint=f"at most {len(big)} along the first axis",
            )
        there, inner = indices[1:], big[indices[0] :]
        rule = f"{self.big} is {show(big)} and indices {show(indices)}"
        s.merge(self.small, (*there, *inner), rule)
        small = s[self.small] or ()
        s.merge("indices", (indices[0], *small[: len(there)]))
        s.merge(self.big, (*big[: indices[0]], *small[len(there) :]))

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.same(*(name for name in (*self.input_names(), "output") if name != "indices"))
        any_index_type(t, "indices", "output")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        there = s.full("indices")[1:]
        return {"number": Workspace(there, "int64"), "row": Workspace(there, "int64")}

    def _rows(self, xp: Any, indices: Any, sizes: Full, number: Any, row: Any) -> None:
        """Write to `row` which of the slices, counted through, each multi-index names."""
        row.fill(0)
        for along, size in zip(indices, sizes):
            whole(xp, along, number)
            require_within(number, -size, size - 1)
            xp.remainder(number, size, out=number)
            xp.multiply(row, size, out=row)
            xp.add(row, number, out=row)


class Adding(MultiIndexed, abstract=True):
    """One that adds up slices at equal multi-indices, forward or backward."""

    scratch = ("number", "row", "place", "ramp")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        small = s.full(self.small)
        inner = prod(small[len(s.full("indices")) - 1 :]) or 0
        return {
            **super().workspaces(s, backward),
            "place": Workspace((1, prod(s.full("indices")[1:]) or 0, inner), "int64"),
            "ramp": Workspace((max(1, inner),), "int64"),
        }

    def _add_up(
        self, xp: Any, source: Any, indices: Any, out: Any, number: Any, row: Any, place: Any, ramp: Any
    ) -> None:
        sizes = out.shape[: len(indices)]
        self._rows(xp, indices, sizes, number, row)
        places(xp, row.reshape(1, -1, 1), prod(sizes), ramp, place)  # type: ignore[arg-type]
        scatter_add(xp, source, place, out)


class GatherND(Adding):
    """Slices at multi-indices: data (X0, ..., Xn), indices (M, Y...) -> output (Y..., XM, ..., Xn).

    output[y] is data[indices[0, y], ..., indices[M - 1, y]]; indices of any type, truncated, negative ones
    counted from the end; one outside raises `IndexError`.  The gradient of data adds up over equal indices;
    indices get none.  MXNet's gather_nd.
    """

    names = ("gather_nd",)
    inputs = ("data", "indices")
    big, small = "data", "output"
    examples = (
        ({}, {"data": (4, 3, 2), "indices": (2, 5)}),
        ({}, {"data": (4, 3), "indices": (2, 4)}),
        ({}, {"data": (4, 3), "indices": (1, 2, 2)}),
    )

    def shape(self, s: Shapes) -> None:
        self.merge_shapes(s)

    def forward(self, xp: Any, data: Any, indices: Any, output: Any, number: Any, row: Any) -> None:
        self._rows(xp, indices, data.shape[: len(indices)], number, row)
        take_rows(xp, data, row, output)

    def backward(
        self,
        xp: Any,
        doutput: Any,
        indices: Any,
        ddata: Any,
        number: Any,
        row: Any,
        place: Any,
        ramp: Any,
    ) -> None:
        self._add_up(xp, doutput, indices, ddata, number, row, place, ramp)


class ScatterND(MultiIndexed):
    """Slices written at multi-indices: data (Y..., XM, ..., Xn), indices (M, Y...) -> output of `shape`.

    output[indices[0, y], ..., indices[M - 1, y]] is data[y]; everything else is 0.  Of equal indices the last
    one counts, but the gradient goes to all of them.  indices of any type, truncated, negative ones counted
    from the end; one outside raises `IndexError`; they get no gradient.  MXNet's scatter_nd.
    """

    shape_ = Dims(help="the shape of the output", min=1)

    names = ("scatter_nd",)
    inputs = ("data", "indices")
    big, small = "output", "data"
    examples = (
        ({"shape": (6, 3)}, {"data": (4, 3), "indices": (1, 4)}),
        ({"shape": (3, 4, 2)}, {"data": (5, 2), "indices": (2, 5)}),
        ({"shape": (3, 4)}, {"data": (2, 2), "indices": (2, 2, 2)}),
    )

    def shape(self, s: Shapes) -> None:
        s.merge("output", self.shape_, "the attribute says so", "shape")
        self.merge_shapes(s)

    def forward(self, xp: Any, data: Any, indices: Any, output: Any, number: Any, row: Any) -> None:
        self._rows(xp, indices, output.shape[: len(indices)], number, row)
        xp.copyto(output, 0)
        put_rows(xp, data, row, output)

    def backward(self, xp: Any, doutput: Any, indices: Any, ddata: Any, number: Any, row: Any) -> None:
        self._rows(xp, indices, doutput.shape[: len(indices)], number, row)
        take_rows(xp, doutput, row, ddata)


class BackwardGatherND(Adding):
    """Slices added up at multi-indices: data (Y..., XM, ..., Xn), indices (M, Y...) -> output of `shape`.

    As scatter_nd, but of equal indices all count.  MXNet's _backward_gather_nd, the gradient of gather_nd.
    """

    shape_ = Dims(help="the shape of the output", min=1)

    names = ("_backward_gather_nd",)
    inputs = ("data", "indices")
    big, small = "output", "data"
    examples = (
        ({"shape": (6, 3)}, {"data": (4, 3), "indices": (1, 4)}),
        ({"shape": (2, 2)}, {"data": (5, 3), "indices": (2, 5, 3)}),
    )

    def shape(self, s: Shapes) -> None:
        s.merge("output", self.shape_, "the attribute says so", "shape")
        self.merge_shapes(s)

    def forward(
        self,
        xp: Any,
        data: Any,
        indices: Any,
        output: Any,
        number: Any,
        row: Any,
        place: Any,
        ramp: Any,
    ) -> None:
        self._add_up(xp, data, indices, output, number, row, place, ramp)

    def backward(self, xp: Any, doutput: Any, indices: Any, ddata: Any, number: Any, row: Any) -> None:
        self._rows(xp, indices, doutput.shape[: len(indices)], number, row)
        take_rows(xp, doutput, row, ddata)


class ScatterSetND(MultiIndexed):
    """A tensor with slices overwritten: lhs of `shape`, rhs (Y..., XM, ..., Xn), indices (M, Y...) -> output.

    output is lhs but for output[indices[0, y], ..., indices[M - 1, y]], which is rhs[y].  No gradient passes.
    MXNet's _scatter_set_nd, which assigns to elements of an NDArray: its output is the memory of lhs.
    """

    shape_ = Dims(help="the shape of the output", min=1)

    names = ("_scatter_set_nd",)
    inputs = ("lhs", "rhs", "indices")
    inplace = (("lhs", "output"),)
    big, small = "output", "rhs"
    examples = (({"shape": (6, 3)}, {"lhs": (6, 3), "rhs": (4, 3), "indices": (1, 4)}),)

    def shape(self, s: Shapes) -> None:
        s.merge("output", self.shape_, "the attribute says so", "shape")
        s.same("lhs", "output")
        self.merge_shapes(s)

    def forward(self, xp: Any, lhs: Any, rhs: Any, indices: Any, output: Any, number: Any, row: Any) -> None:
        self._rows(xp, indices, output.shape[: len(indices)], number, row)
        xp.copyto(output, lhs)
        put_rows(xp, rhs, row, output)


class IndexCopy(Op):
    """A tensor with some rows overwritten: old_tensor, index_vector, new_tensor -> output.

    old_tensor and output (N, S...), new_tensor (n, S...), index_vector (n,): row i of new_tensor becomes row
    index_vector[i]; of equal indices the last one counts.  The gradient of an overwritten row goes to the new
    rows, of equal indices to all of them.  MXNet's contrib.index_copy.
    """

    names = ("_contrib_index_copy",)
    inputs = ("old_tensor", "index_vector", "new_tensor")
    inplace = (("old_tensor", "output"),)
    scratch = ("row",)
    work = 0
    examples = (
        ({}, {"old_tensor": (4, 3), "new_tensor": (2, 3)}),
        ({}, {"old_tensor": (4,), "new_tensor": (3,)}),
    )

    def shape(self, s: Shapes) -> None:
        s.same("old_tensor", "output")
        old, new, index = s["old_tensor"], s["new_tensor"], s["index_vector"]
        s.merge("index_vector", None if new is None else new[:1], f"new_tensor is {show(new)}")
        s.merge("index_vector", (None,), "a vector is needed")
        index = s["index_vector"] or (None,)
        if old is not None:
            rule = f"old_tensor is {show(old)} and only the number of rows may differ"
            s.merge("new_tensor", (*index, *old[1:]), rule)
        if (new := s["new_tensor"]) is not None:
            s.merge("new_tensor", (*index, *new[1:]))
            s.merge("old_tensor", (None, *new[1:]))
        s.same("old_tensor", "output")
        rows, more = (old or (None,))[0], (new or (None,))[0]
        if rows is not None and more is not None and more > rows:
            raise ShapeError(
                f"new_tensor {show(new)} has more rows than old_tensor {show(old)}", tensor="new_tensor"
            )

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.same("old_tensor", "new_tensor", "output")
        any_index_type(t, "index_vector", "output")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"row": Workspace(s.full("index_vector"), "int64")}

    def _rows(self, xp: Any, index_vector: Any, row: Any, count: int) -> None:
        whole(xp, index_vector, row)
        require_within(row, 0, count - 1)

    def forward(
        self, xp: Any, old_tensor: Any, index_vector: Any, new_tensor: Any, output: Any, row: Any
    ) -> None:
        self._rows(xp, index_vector, row, len(output))
        xp.copyto(output, old_tensor)
        output[row] = new_tensor

    def backward(
        self, xp: Any, doutput: Any, index_vector: Any, dold_tensor: Any, dnew_tensor: Any, row: Any
    ) -> None:
        self._rows(xp, index_vector, row, len(doutput))
        if dnew_tensor is not None:
            take(xp, doutput, row, 0, dnew_tensor)
        if dold_tensor is not None:
            xp.copyto(dold_tensor, doutput)
            dold_tensor[row] = 0


class FillElement0Index(Op):
    """A matrix with one element of each row overwritten: lhs (N, n), mhs (N,), rhs (N,) -> output (N, n).

    output[i, rhs[i]] is mhs[i], everything else is lhs; rhs is truncated, and one outside raises
    `IndexError`.  No gradient passes.  MXNet's fill_element_0index.
    """

    names = ("fill_element_0index",)
    inputs = ("lhs", "mhs", "rhs")
    inplace = (("lhs", "output"),)
    scratch = ("place", "row")
    work = 0
    examples = (({}, {"lhs": (4, 3)}),)

    def shape(self, s: Shapes) -> None:
        s.same("lhs", "output")
        s.same("mhs", "rhs")
        s.merge("lhs", (None, None), "a matrix is needed")
        lhs = s["lhs"] or ()
        s.merge("mhs", lhs[:1], f"lhs is {show(lhs)} and one element of each row is filled")
        s.merge("lhs", (*(s["mhs"] or ()), None))
        s.same("lhs", "output")
        s.same("mhs", "rhs")

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.same("lhs", "mhs", "output")
        any_index_type(t, "rhs", "output")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        rows = Workspace(s.full("rhs"), "int64")
        return {"place": rows, "row": rows}

    def forward(self, xp: Any, lhs: Any, mhs: Any, rhs: Any, output: Any, place: Any, row: Any) -> None:
        whole(xp, rhs, place)
        require_within(place, 0, output.shape[1] - 1)
        count_up(xp, row)
        xp.copyto(output, lhs)
        output[row, place] = mhs

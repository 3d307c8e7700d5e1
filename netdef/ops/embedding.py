"""Vectors for words."""

from __future__ import annotations

from typing import Any, ClassVar

from netdef.ops.base import Op, Workspace
from netdef.ops.fields import DType, Hint, Int
from netdef.ops.gather import legal, places, scatter_add, take
from netdef.ops.indexing import NUMBERS
from netdef.ops.shapes import Shapes, Types, prod, show


class _Rows(Op, abstract=True):
    """A row of the weight for each id: data, weight -> output.

    data (I...), weight (input_dim, output_dim), output (I..., output_dim).
    """

    input_dim = Int(help="how many ids there are", min=1)
    output_dim = Int(help="the length of each vector", min=1)
    dtype = DType(*NUMBERS, default="float32", help="the type of a weight that nobody declares")

    inputs = ("data", "weight")
    scratch = ("index", "place", "ramp")
    work = 0
    examples: ClassVar[Any] = (
        ({"input_dim": 5, "output_dim": 3, "dtype": "float64"}, {"data": (4,)}),
        ({"input_dim": 2, "output_dim": 1, "dtype": "float64"}, {"data": (4, 3, 2)}),
    )

    def shape(self, s: Shapes) -> None:
        s.merge("weight", (self.input_dim, self.output_dim), "input_dim and output_dim say so")
        if (data := s["data"]) is not None:
            s.merge("output", (*data, self.output_dim), f"data is {show(data)}", "output_dim")
        if output := s["output"]:
            s.merge("output", (*output[:-1], self.output_dim), "output_dim says so", "output_dim")
            s.merge("data", output[:-1])

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.same("weight", "output")
        if t["weight"] is None:
            t.merge("weight", self.dtype)
            t.merge("output", self.dtype)
        if t["data"] is None:
            t.merge("data", t["weight"])  # type: ignore[arg-type]

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        data = s.full("data")
        spaces = {"index": Workspace(data, "int64")}
        if backward:
            spaces["place"] = Workspace((1, prod(data) or 0, self.output_dim), "int64")
            spaces["ramp"] = Workspace((self.output_dim,), "int64")
        return spaces

    def forward(self, xp: Any, data: Any, weight: Any, output: Any, index: Any) -> None:
        legal(xp, data, self.input_dim, "clip", index)
        take(xp, weight, index, 0, output)

    def backward(
        self, xp: Any, doutput: Any, data: Any, dweight: Any, index: Any, place: Any, ramp: Any
    ) -> None:
        legal(xp, data, self.input_dim, "clip", index)
        places(xp, index.reshape(1, -1, 1), self.input_dim, ramp, place)
        scatter_add(xp, doutput, place, dweight)


class Embedding(_Rows):
    """A row of the weight for each id: data, weight -> output.

    data (I...), weight (input_dim, output_dim), output (I..., output_dim).  The ids in data have any type and
    are truncated; one outside goes to the nearest end.  The gradient of the weight adds up over equal ids;
    the ids get none.  MXNet's Embedding.
    """

    sparse_grad = Hint("whether MXNet stores the rows of the gradient that are not zero alone")

    names = ("Embedding", "_sparse_Embedding")


class SparseEmbedding(_Rows):
    """What Embedding computes, in an older form: data, weight -> output.

    data (I...), weight (input_dim, output_dim), output (I..., output_dim).  MXNet's contrib.SparseEmbedding,
    whose gradient has only the rows that are not zero there; here it is whole.
    """

    deterministic = Hint("whether MXNet's GPU kernel gives the same sums each time")

    names = ("_contrib_SparseEmbedding",)
    examples = (({"input_dim": 5, "output_dim": 3, "dtype": "float64"}, {"data": (4,)}),)

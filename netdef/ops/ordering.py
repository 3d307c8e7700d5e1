"""Operators about the order of numbers: which is the largest, sorting, the k largest."""

from __future__ import annotations

from typing import Any

from netdef.ops.arrays import write_back
from netdef.ops.axes import KEEPDIMS_HELP, Axis, along, reduced_shape
from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Bool, DType, Enum, Int
from netdef.ops.shapes import ShapeError, Shapes, prod, show

_IDS = DType(
    "float16",
    "float32",
    "float64",
    "int32",
    "int64",
    "uint8",
    default="float32",
    help="the dtype of indices, which must be able to hold them",
)
ASCEND_HELP = "the smallest first, not the largest"


class _Place(Op, abstract=True):
    """The number of the first largest or smallest element, in the dtype of the data; no gradient passes."""

    scratch = ("places",)
    allocates = "numpy's argmax and argmin copy data whose axis is not the last one in memory"
    function = ""

    def axis_of(self, s: Shapes) -> int | None:
        """The axis of data of known rank, or None for all elements."""
        raise NotImplementedError

    def keeps(self) -> bool:
        """Whether the axis stays, with size 1."""
        return False

    def shape(self, s: Shapes) -> None:
        data = s["data"]
        if data is not None:
            axis = self.axis_of(s)
            axes = tuple(range(len(data))) if axis is None else (axis,)
            s.merge("output", reduced_shape(data, axes, self.keeps()))

    def flops(self, s: Shapes) -> int:
        return prod(s.full("data")) or 0

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"places": Workspace(s.full("output"), "int64")}

    def forward(self, xp: Any, data: Any, output: Any, places: Any) -> None:
        axis = self.axis_of(Shapes({"data": data.shape}))
        shape = () if axis is None else (*data.shape[:axis], *data.shape[axis + 1 :])
        getattr(xp, self.function)(data, axis=axis, out=places.reshape(shape))
        xp.copyto(output, places, casting="unsafe")


class _PlaceAlong(_Place, abstract=True):
    """argmax and argmin."""

    axis = Axis(None, "the axis to search; left out: all elements as one; negative counts from the end")
    keepdims = Bool(False, KEEPDIMS_HELP)

    examples = (
        ({}, {"data": (4, 3, 2)}),
        ({"axis": 1}, {"data": (4, 3, 2)}),
        ({"axis": -3, "keepdims": True}, {"data": (4, 3, 2)}),
        ({"keepdims": True}, {"data": (4, 3)}),
    )

    def axis_of(self, s: Shapes) -> int | None:
        return None if self.axis is None else s.axis("data", self.axis)

    def keeps(self) -> bool:
        return self.keepdims


class ArgMax(_PlaceAlong):
    """The number of the first largest element along an axis: data -> output, in the dtype of the data."""

    names = ("argmax",)
    function = "argmax"


class ArgMin(_PlaceAlong):
    """The number of the first smallest element along an axis: data -> output, in the dtype of the data."""

    names = ("argmin",)
    function = "argmin"


class ArgMaxChannel(_Place):
    """The number of the first largest element along axis 1: data (N, C, S...) -> output (N, S...)."""

    names = ("argmax_channel",)
    function = "argmax"
    examples = (({}, {"data": (4, 3)}), ({}, {"data": (4, 3, 2)}))

    def axis_of(self, s: Shapes) -> int | None:
        return s.axis("data", 1)


class _Sorting(Op, abstract=True):
    """A stable sort along an axis: of equal numbers the one that comes first in the data stays first."""

    axis = Axis(-1, "the axis to sort; None: all elements as one; negative counts from the end")
    is_ascend = Bool(True, ASCEND_HELP)

    allocates = "numpy's sorts have no out"

    def flops(self, s: Shapes) -> int:
        length = self.length(s)
        return (prod(s.full("data")) or 0) * max(1, length.bit_length())

    def length(self, s: Shapes) -> int:
        """How many elements are sorted together."""
        shape = s.full("data")
        return (prod(shape) or 0) if self.axis is None else shape[self.axis]

    def sorted_shape(self, s: Shapes, k: int | None = None) -> tuple[int | None, ...] | None:
        """The shape of what is sorted, or of `k` elements of it."""
        data = s["data"]
        if data is None:
            return None
        if self.axis is None:
            return (prod(data) if k is None else k,)
        axis = s.axis("data", self.axis)
        return data if k is None else (*data[:axis], k, *data[axis + 1 :])

    def order(self, xp: Any, data: Any) -> tuple[Any, Any]:
        """The data with the sorted axis last, and the numbers of its elements in order."""
        line = along(data, self.axis)
        if self.is_ascend:
            return line, xp.argsort(line, axis=-1, kind="stable")
        # from the end, so that reversing it puts the first of equal numbers first again
        backwards = xp.argsort(line[..., ::-1], axis=-1, kind="stable")[..., ::-1]
        return line, line.shape[-1] - 1 - backwards

    def spread_back(self, xp: Any, values: Any, places: Any, target: Any) -> None:
        """Write `values` at their places along the sorted axis of `target`, zero elsewhere."""
        target.fill(0)
        line = along(target, self.axis)
        xp.put_along_axis(line, along(places, self.axis).astype("int64"), along(values, self.axis), axis=-1)
        if self.axis is None:
            write_back(xp, line, target)


class Sort(_Sorting):
    """The data in order along an axis: data -> output0, shaped as data, or a vector for axis None.

    MXNet's sort; of equal numbers the first stays first, and each gradient goes where its number came from.
    The hidden output1 says from where that is.
    """

    names = ("sort",)
    outputs = ("output0", "output1")
    examples = (
        ({}, {"data": (4, 3)}),
        ({"axis": 0, "is_ascend": False}, {"data": (4, 3)}),
        ({"axis": None}, {"data": (4, 3)}),
        ({"axis": -2}, {"data": (4, 3, 2)}),
    )

    def shape(self, s: Shapes) -> None:
        s.same("output0", "output1")
        shape = self.sorted_shape(s)
        s.merge("output0", shape)
        s.merge("output1", shape)

    def types(self, t: Shapes) -> None:
        t.merge("output1", "int64")  # type: ignore[arg-type]
        t.same("data", "output0")

    def forward(self, xp: Any, data: Any, output0: Any, output1: Any) -> None:
        line, order = self.order(xp, data)
        along(output0, self.axis)[...] = xp.take_along_axis(line, order, axis=-1)
        if output1 is not None:
            along(output1, self.axis)[...] = order

    def backward(self, xp: Any, doutput0: Any, output1: Any, ddata: Any) -> None:
        self.spread_back(xp, doutput0, output1, ddata)


class ArgSort(_Sorting):
    """Where the numbers that sorting puts in order come from: data -> output, shaped as by sort.

    MXNet's argsort; float32 unless `dtype` says otherwise, and no gradient passes.
    """

    dtype = _IDS

    names = ("argsort",)
    examples = (
        ({}, {"data": (4, 3)}),
        ({"axis": 0, "is_ascend": False}, {"data": (4, 3)}),
        ({"axis": None, "dtype": "int32"}, {"data": (4, 3)}),
    )

    def shape(self, s: Shapes) -> None:
        s.merge("output", self.sorted_shape(s))

    def types(self, t: Shapes) -> None:
        t.merge("output", self.dtype, f"dtype is {self.dtype}")

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        along(output, self.axis)[...] = self.order(xp, data)[1]


class TopK(_Sorting):
    """The k largest or smallest numbers along an axis, in order: data -> output, output0 or both.

    ret_typ value gives the numbers as output0, indices where they are as output, both gives both, as output0
    and output1, and mask ones at their places and zeros elsewhere as output, shaped as data.  k below 1 means
    all.  MXNet's topk: of equal numbers the first comes first; only numbers pass a gradient, each to where it
    came from.  With value the hidden output1 says where that is.
    """

    axis = Axis(-1, "the axis to search; None: all elements as one; negative counts from the end")
    k = Int(1, "how many; below 1: all")
    ret_typ = Enum("both", "indices", "mask", "value", default="indices", help="what is returned")
    is_ascend = Bool(False, ASCEND_HELP)
    dtype = _IDS

    begins = ("data", "axis", "k", "ret_typ")
    names = ("topk",)
    outputs = ("output", "output0", "output1")
    examples = (
        ({"k": 2}, {"data": (4, 3)}),
        ({"k": 2, "ret_typ": "value", "axis": 1}, {"data": (4, 3, 2)}),
        ({"k": 3, "ret_typ": "both", "axis": 0, "is_ascend": True}, {"data": (4, 3)}),
        ({"k": 2, "ret_typ": "mask", "axis": -2}, {"data": (4, 3, 2)}),
        ({"k": 0, "ret_typ": "value", "axis": None}, {"data": (4, 3)}),
        ({"k": 4, "ret_typ": "mask", "axis": None}, {"data": (4, 3)}),
    )

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        if self.ret_typ in ("value", "both"):
            # without this there is no gradient: the graph goes by what the kernel of a node names
            object.__setattr__(self, "backward", self._backward_of_values)

    def output_names(self) -> tuple[str, ...]:
        return self.outputs[1:] if self.ret_typ in ("value", "both") else self.outputs[:1]

    def visible_outputs(self) -> int:
        return 2 if self.ret_typ == "both" else 1

    def shape(self, s: Shapes) -> None:
        s.same(*self.output_names())
        data = s["data"]
        if data is None:
            return
        whole = self.sorted_shape(s)
        assert whole is not None, "that of data is known"
        length = whole[0 if self.axis is None else self.axis]
        if length is not None and self.k > length:
            raise ShapeError(
                f"k is {self.k}, but data {show(data)} has {length} elements along axis {self.axis}",
                tensor="data",
                attribute="k",
                hint=f"at most {length}",
            )
        shape = data if self.ret_typ == "mask" else self.sorted_shape(s, self.k if self.k > 0 else None)
        for name in self.output_names():
            s.merge(name, shape)

    def types(self, t: Shapes) -> None:
        if self.ret_typ == "indices":
            t.merge("output", self.dtype, f"dtype is {self.dtype}")
        elif self.ret_typ == "mask":
            t.same("data", "output")
        else:
            places = self.dtype if self.ret_typ == "both" else "int64"
            t.merge("output1", places, f"its dtype is {places}")  # type: ignore[arg-type]
            t.same("data", "output0")

    def forward(self, xp: Any, data: Any, output: Any, output0: Any, output1: Any) -> None:
        line, order = self.order(xp, data)
        if self.k > 0:
            order = order[..., : self.k]
        if output0 is not None:
            along(output0, self.axis)[...] = xp.take_along_axis(line, order, axis=-1)
        if output1 is not None:
            along(output1, self.axis)[...] = order
        if self.ret_typ == "indices":
            along(output, self.axis)[...] = order
        elif self.ret_typ == "mask":
            output.fill(0)
            line = along(output, self.axis)
            xp.put_along_axis(line, order, 1, axis=-1)
            if self.axis is None:
                write_back(xp, line, output)

    def _backward_of_values(self, xp: Any, doutput0: Any, output1: Any, ddata: Any) -> None:
        """`backward` where numbers are returned."""
        self.spread_back(xp, doutput0, output1, ddata)

"""Convolution."""

from __future__ import annotations

import copy
import math
from collections.abc import Collection
from typing import Any, ClassVar

from netdef.ops import layouts, windows
from netdef.ops.arrays import batch_last, write_back
from netdef.ops.base import WIDE, Cut, Op, Workspace
from netdef.ops.conv_algorithm import DATA, FORWARD, WEIGHT, Algorithm
from netdef.ops.conv_blocks import joined, rows_of
from netdef.ops.conv_choice import PLAIN, Choice, choose
from netdef.ops.conv_sizes import Sizes
from netdef.ops.epilogue import Epilogue
from netdef.ops.fields import Bool, Dims, Hint, Int
from netdef.ops.foreign import As, Fixed, Lost, To
from netdef.ops.shapes import Full, ShapeError, Shapes, show


class Convolving(Op, abstract=True):
    """What convolution and deconvolution share: attributes, inputs, groups, layouts and algorithms."""

    kernel = Dims(help="size of the filters: one number, or one for each spatial axis", min=1)
    stride = Dims((), "step between windows; default 1", min=1)
    dilate = Dims((), "step between the elements of a window; default 1", min=1)
    pad = Dims((), "zeros added on both sides; default 0", min=0)
    num_filter = Int(min=1, help="number of filters: channels of the output")
    num_group = Int(1, "groups of channels that are convolved apart from each other", min=1)
    no_bias = Bool(False, "leave out the bias")
    layout = layouts.Layout()
    workspace = Hint()
    cudnn_tune = Hint()
    cudnn_off = Hint()

    inputs: ClassVar[tuple[str, ...]] = ("data", "weight", "bias")
    begins: ClassVar[tuple[str, ...]] = (
        *inputs,
        "kernel",
        "stride",
        "dilate",
        "pad",
        "num_filter",
        "num_group",
        "workspace",
    )
    batched: ClassVar[tuple[str, ...]] = ("data", "output")
    batch_last = True
    steady = ("forward", "backward")
    scratch: ClassVar[tuple[str, ...]] = ("space", "filters")
    #: the pass of the convolution that computes each tensor
    computed: ClassVar[dict[str, str]]
    #: the algorithm of each pass; None where nobody has tuned the operator
    choice: Choice | None = None

    def input_names(self) -> tuple[str, ...]:
        return self.inputs[:2] if self.no_bias else self.inputs

    def _windows(self, rank: int) -> windows.Windows:
        return windows.windows(rank, self.kernel, self.stride, self.pad, self.dilate)

    def _require_groups_of(self, number: int, what: str) -> None:
        if number < 1:
            raise ShapeError(f"data has no {what}", tensor="data")
        if number % self.num_group:
            raise ShapeError(
                f"{self.num_group} groups do not divide {number} {what}",
                tensor="data",
                attribute="num_group",
                hint=f"group: {math.gcd(number, self.num_group)} would do",
                kind="group-not-dividing-channels",
            )

    def _seen(self, xp: Any, array: Any) -> Any:
        """An array with its channels second, whatever the layout."""
        return None if array is None else layouts.seen(xp, self.layout, array)

    def _sizes(self, data: Full, weight: Full = ()) -> Sizes:
        """The sizes of the convolution for data with its channels second.

        Where a piece has but some of the filters, its `weight` says which.
        """
        raise NotImplementedError

    def _weight(self, xp: Any, weight: Any, filters: Any) -> Any:
        """The weight as (filters, channels of a group, k...), side by side in memory, as it is multiplied."""
        turned = with_axis(self._seen(xp, weight))
        if filters is None:
            return turned
        filters = filters.reshape(turned.shape)
        xp.copyto(filters, turned)
        return filters

    # -- algorithms --

    def tuned(self, s: Shapes, dtype: str, wanted: str = "", constant: Collection[str] = ()) -> Op:
        sizes = self._sizes(layouts.inwards(self.layout, s.full("data")))
        twin = copy.copy(self)
        object.__setattr__(twin, "choice", choose(sizes, dtype, wanted, "weight" in constant))
        return twin

    def algorithm(self, written: Collection[str]) -> str:
        passes = {name: which for name, which in self.computed.items() if name in written}
        if self.choice is None or not passes:
            return ""
        if "output" in passes:
            return self.choice.told(passes["output"])
        return ", ".join(f"{name} {self.choice.told(which)}" for name, which in passes.items())

    def _by(self, tensor: str) -> Algorithm:
        """What computes a tensor."""
        return (self.choice or PLAIN).algorithm(self.computed[tensor])

    def _possible(self, s: Shapes) -> list[Sizes]:
        """The sizes of the convolution for complete shapes: several where a piece may be any part of it."""
        data, weight = (layouts.inwards(self.layout, s.full(name)) for name in ("data", "weight"))
        return [self._sizes(data, weight)]

    def seconds(self, s: Shapes, written: Collection[str]) -> float:
        *_, sizes = self._possible(s)
        return 1e-9 * sum(
            self._by(name).cost(sizes, which) for name, which in self.computed.items() if name in written
        )

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        tensors = ("ddata", "dweight") if backward else ("output",)
        space = max(
            self._by(tensor).room(sizes, self.computed[tensor])
            for tensor in tensors
            for sizes in self._possible(s)
        )
        if backward:
            space = max(space, math.prod(s.full("output")) // self.num_filter)
        spaces = {"space": Workspace((space,), WIDE)}
        # Where the dtype is not known yet, it may be one that is not multiplied as it is.
        if layouts.channels_last(self.layout) or self.choice is None or self.choice.widens:
            spaces["filters"] = Workspace(s.full("weight"), WIDE)
        return spaces


#: products with half as many rows were measured to take a fifth longer than with half of the columns
FEW_FILTERS = 64


def bias_gradient(xp: Any, doutput: Any, dbias: Any, space: Any) -> None:
    """dbias (F,) from doutput (N, F, O...), with a workspace of an element for each of N and O...

    With the batch last, one product with ones takes a quarter of the time of numpy's sums.
    """
    last = batch_last(doutput)
    if joined(last, space) and dbias.dtype == space.dtype:
        matrix = last.reshape(last.shape[0], math.prod(last.shape[1:]))
        ones = space[: matrix.shape[1]]
        xp.copyto(ones, 1)
        xp.matmul(matrix, ones, out=dbias)
    else:
        xp.sum(doutput, axis=(0, *range(2, doutput.ndim)), out=dbias)


#: what stands for the axes of data that have none
POINT = windows.Axis(size=1, kernel=1, stride=1, pad=0, dilate=1, windows=1)


def with_axis(array: Any) -> Any:
    """An array with its channels second; one without spatial axes has one of a single element."""
    return array[..., None] if array is not None and array.ndim == 2 else array


#: what both say alike in ONNX
ONNX: dict[str, To | Fixed | Lost | str] = {
    "kernel": "kernel_shape",
    "stride": "strides",
    "dilate": "dilations",
    "pad": "pads",
    "num_filter": Lost("the shape of the weight says it"),
    "num_group": "group",
    "no_bias": Lost("the absence of the third input says it"),
    "layout": Fixed(None, ("NCW", "NCHW", "NCDHW")),
    **dict.fromkeys(("workspace", "cudnn_tune", "cudnn_off"), Lost("advice for MXNet's backends")),
}


class Convolution(Convolving):
    """Correlation of the spatial axes of data with `num_filter` filters, summed over the channels of a group.

    data (N..., C, S...) -> output (N..., num_filter, O...): axis `axis` holds the channels, all before it are
    batch axes, and O follows the `valid` rule of `windows.count`.  weight (num_filter, C / num_group, k...),
    bias (num_filter,).  Any number of spatial axes, even none.  `kernel`, `stride` (default 1), `dilate`
    (default 1) and `pad` (default 0) are one number, or one for each spatial axis.

    With a `layout` that has the channels last, data is (N, S..., C), output (N, O..., num_filter) and weight
    (num_filter, k..., C / num_group).  MXNet's Convolution, with Caffe's `axis` added.
    """

    axis = Int(1, "axis of the channels, seen with the channels second; negative counts from the end")

    scratch = (*Convolving.scratch, "prepared")

    names: ClassVar[tuple[str, ...]] = ("Convolution",)
    computed = {"output": FORWARD, "ddata": DATA, "dweight": WEIGHT}
    onnx: ClassVar[tuple[As, ...]] = (As("Conv", axis=Fixed(1), **ONNX),)
    examples: ClassVar[Any] = (
        ({"kernel": (3, 3), "num_filter": 4}, {"data": (2, 3, 5, 6)}),
        (
            {
                "kernel": (3, 2),
                "num_filter": 4,
                "stride": (2, 1),
                "dilate": (1, 2),
                "pad": (2, 1),
                "num_group": 2,
            },
            {"data": (3, 4, 5, 6)},
        ),
        ({"kernel": (1, 1), "num_filter": 6, "num_group": 3}, {"data": (2, 3, 3, 4)}),
        ({"kernel": (1,), "num_filter": 2, "stride": (2,), "no_bias": True}, {"data": (2, 3, 5, 4)}),
        ({"kernel": (3,), "num_filter": 3, "pad": (1,), "no_bias": True}, {"data": (2, 2, 7)}),
        ({"kernel": (2, 1, 2), "num_filter": 2, "axis": -4}, {"data": (2, 2, 3, 3, 4)}),
        ({"kernel": (2,), "num_filter": 2, "axis": 2}, {"data": (2, 2, 3, 4, 3)}),
        ({"kernel": (2, 2), "num_filter": 2, "axis": 0}, {"data": (3, 4, 4)}),
        ({"kernel": (), "num_filter": 4}, {"data": (3, 5)}),
        ({"kernel": (2, 3), "num_filter": 4, "num_group": 2, "layout": "NHWC"}, {"data": (2, 4, 3, 2)}),
        ({"kernel": (1,), "num_filter": 3, "layout": "NWC"}, {"data": (2, 4, 2)}),
    )

    # -- shapes ----------------------------------------------------------------------------------------------

    def shape(self, s: Shapes) -> None:
        layout, filters = self.layout, f"num_filter is {self.num_filter}"
        self._require_groups_of(self.num_filter, "filters")
        layouts.require_rank(s, layout)
        data = layouts.inwards(layout, s["data"])
        if data is None:  # MXNet, too, says nothing of the rest then
            return
        s.merge("bias", (self.num_filter,), filters, attribute="num_filter")
        at = s.axis("data", self.axis)
        channels, sizes = data[at], data[at + 1 :]
        tiling = self._windows(len(sizes))
        if channels is not None:
            self._require_groups_of(channels, "channels")
        group = None if channels is None else channels // self.num_group
        given = f"data is {show(s['data'])}"
        weight = layouts.outwards(layout, (self.num_filter, group, *tiling.kernel))
        s.merge("weight", weight, f"{given} and the attributes ask for {show(weight)}")
        whole = (*data[:at], self.num_filter, *tiling.counts(sizes))
        s.merge("output", layouts.outwards(layout, whole), f"{given}, {filters}")
        output = layouts.inwards(layout, s["output"]) or ()
        below = (*output[:at], None, *tiling.sizes(output[at + 1 :]))
        s.merge("data", layouts.outwards(layout, below), f"output is {show(s['output'])}")

    def _sizes(self, data: Full, weight: Full = ()) -> Sizes:
        at = self.axis % len(data)
        axes = self._windows(len(data) - at - 1).on(data[at + 1 :])
        filters, groups = (weight[0], data[at] // weight[1]) if weight else (self.num_filter, self.num_group)
        return Sizes(math.prod(data[:at]), data[at], filters, groups, axes or (POINT,))

    def _possible(self, s: Shapes) -> list[Sizes]:
        """A piece may have any rows of the output, at its ends or in between."""
        (sizes,) = super()._possible(s)
        output = layouts.inwards(self.layout, s.full("output"))
        at = s.axis("data", self.axis) + 1
        rows, count = output[at] if at < len(output) else 1, sizes.counts[0]
        if rows == count:
            return [sizes]
        return list(dict.fromkeys(rows_of(sizes, begin, rows)[0] for begin in range(count - rows + 1)))

    def samples(self, s: Shapes) -> tuple[str, ...]:
        return self.batched if s.axis("data", self.axis) else ()

    def cuts(self, s: Shapes, backward: bool) -> tuple[Cut, ...]:
        """By images; one alone by filters, by whole groups where there are any, or by rows.

        The gradient of the data needs all filters, that of the weight all images.  Rows need nothing of each
        other where a window is one element, and make better products than half of a few dozen filters.  Else
        rows of the output share some rows of the data, and filters all of what is made of these: the output
        is cut as it costs less.
        """
        data = layouts.inwards(self.layout, s.full("data"))
        at = self.axis % len(data)
        images = max(range(at), key=data.__getitem__, default=0)
        if math.prod(data[:at]) > 1:
            return (Cut({"data": images, "output": images}),)
        sizes = self._sizes(data)
        last, first = layouts.channels_last(self.layout), sizes.axes[0]
        apart = all(axis.kernel == 1 and not axis.pad for axis in sizes.axes)
        even = at + 1 < len(data) and first.size == first.stride * first.windows
        if apart and even and self.num_filter <= FEW_FILTERS:
            rows = 1 if last else at + 1
            return (Cut({"data": rows, "output": rows}, units=first.windows),)
        channels = -1 if last else at
        by_filter = {"output": channels, "weight": 0, "bias": 0}
        if self.num_group > 1:
            return (Cut({**by_filter, "data": channels}, units=self.num_group),)
        if not backward:
            by_row = {"output": 1 if last else at + 1}
            return (Cut(by_row if self._costs_less_by_rows(sizes) else by_filter),)
        return Cut({}, ("ddata",)), Cut(by_filter, ("dweight", "dbias"))

    def _costs_less_by_rows(self, sizes: Sizes) -> bool:
        """Whether halves of the output cost less by rows than by filters."""
        first, by = sizes.axes[0], self._by("output")
        if first.windows < 2 or first.pad > first.dilate * (first.kernel - 1):
            return False
        rows, _ = rows_of(sizes, 0, -(-first.windows // 2))
        filters = sizes._replace(filters=-(-sizes.filters // 2))
        return by.cost(rows, FORWARD) < by.cost(filters, FORWARD)

    def macs(self, s: Shapes) -> int:
        return math.prod(s.full("output")) * math.prod(s.full("weight")[1:])

    # -- kernels ---------------------------------------------------------------------------------------------

    def prepared(self, s: Shapes) -> dict[str, Workspace]:
        data, weight = (layouts.inwards(self.layout, s.full(name)) for name in ("data", "weight"))
        shape = self._by("output").prepared(self._sizes(data, weight))
        return {"prepared": Workspace(shape, WIDE)} if shape else {}

    def prepare(self, xp: Any, weight: Any, filters: Any, prepared: Any) -> None:
        """What the algorithm wants to have instead of the weight."""
        self._by("output").prepare(xp, self._weight(xp, weight, filters), prepared)

    def _batched(self, sizes: Sizes, array: Any) -> Any:
        """An array (N, C, S...) with all its batch axes made one, and one spatial axis at least."""
        at = self.axis % array.ndim
        return with_axis(array if at == 1 else array.reshape(sizes.batch, *array.shape[at:]))

    def forward(
        self,
        xp: Any,
        data: Any,
        weight: Any,
        bias: Any,
        output: Any,
        space: Any,
        filters: Any,
        prepared: Any,
        begin: int,
    ) -> None:
        self.correlate(xp, data, weight, Epilogue(bias), output, space, filters, prepared, begin)

    def correlate(
        self,
        xp: Any,
        data: Any,
        weight: Any,
        epilogue: Epilogue,
        output: Any,
        space: Any,
        filters: Any,
        prepared: Any,
        begin: int,
    ) -> None:
        """The forward pass, and what is done to the output besides; of a part, from row `begin` on."""
        data, output, addend = (self._seen(xp, array) for array in (data, output, epilogue.addend))
        sizes = self._sizes(data.shape, self._seen(xp, weight).shape)
        images, results = self._batched(sizes, data), self._batched(sizes, output)
        sizes, rows = rows_of(sizes, begin, results.shape[2])
        if addend is not None:
            epilogue = epilogue._replace(addend=self._batched(sizes, addend))
        factors = self._weight(xp, weight, filters) if prepared is None else prepared
        self._by("output").correlate(xp, sizes, images[:, :, rows], factors, epilogue, results, space)
        write_back(xp, results, output)

    def backward(
        self,
        xp: Any,
        doutput: Any,
        data: Any,
        weight: Any,
        ddata: Any,
        dweight: Any,
        dbias: Any,
        space: Any,
        filters: Any,
    ) -> None:
        doutput, data, ddata = (self._seen(xp, array) for array in (doutput, data, ddata))
        sizes = self._sizes(data.shape, self._seen(xp, weight).shape)
        upper = self._batched(sizes, doutput)
        if dweight is not None:
            lower, filter_gradient = self._batched(sizes, data), with_axis(self._seen(xp, dweight))
            self._by("dweight").weight_gradient(xp, sizes, upper, lower, filter_gradient, space)
        if ddata is not None:
            below = self._batched(sizes, ddata)
            weight = self._weight(xp, weight, filters)
            self._by("ddata").data_gradient(xp, sizes, upper, weight, below, space)
            write_back(xp, below, ddata)
        if dbias is not None:
            bias_gradient(xp, upper, dbias, space)


class ConvolutionV1(Convolution):
    """Convolution under the name that MXNet keeps for files of its first one, which computed the same."""

    names = ("Convolution_v1",)
    onnx = ()
    examples = (({"kernel": (2, 2), "num_filter": 2}, {"data": (2, 3, 3, 4)}),)

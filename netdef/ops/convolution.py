"""Convolution."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from netdef.ops import im2col, layouts, windows
from netdef.ops.arrays import write_back
from netdef.ops.base import Cut, Op, Workspace
from netdef.ops.fields import Bool, Dims, Hint, Int
from netdef.ops.foreign import As, Fixed, Lost, To
from netdef.ops.shapes import Full, ShapeError, Shapes, show


class Convolving(Op, abstract=True):
    """What convolution and deconvolution share: attributes, inputs, groups and the weight's layout."""

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

    inputs = ("data", "weight", "bias")
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
    scratch = (*im2col.SCRATCH, "filters")
    batched = ("data", "output")

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

    def _kept(self, s: Shapes) -> dict[str, Workspace]:
        """The workspace for a weight whose layout is not that of the products."""
        return {"filters": Workspace(s.full("weight"))} if layouts.channels_last(self.layout) else {}

    def _weight(self, xp: Any, weight: Any, filters: Any) -> Any:
        """The weight as (filters, channels of a group, k...), side by side in memory."""
        if filters is None:
            return weight
        turned = self._seen(xp, weight)
        filters = filters.reshape(turned.shape)
        xp.copyto(filters, turned)
        return filters


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

    names: ClassVar[tuple[str, ...]] = ("Convolution",)
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

    def _sizes(self, data: Full) -> im2col.Im2Col:
        """The sizes of the products for data with its channels second."""
        at = self.axis % len(data)
        axes = self._windows(len(data) - at - 1).on(data[at + 1 :])
        return im2col.Im2Col(math.prod(data[:at]), data[at], self.num_filter, self.num_group, axes)

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        sizes = self._sizes(layouts.inwards(self.layout, s.full("data")))
        needed = im2col.SCRATCH if backward else ("image", "columns", "product")
        return {**sizes.workspaces(*needed), **self._kept(s)}

    def cuts(self, s: Shapes, backward: bool) -> tuple[Cut, ...]:
        return super().cuts(s, backward) if s.axis("data", self.axis) else ()

    def macs(self, s: Shapes) -> int:
        return math.prod(s.full("output")) * math.prod(s.full("weight")[1:])

    # -- kernels ---------------------------------------------------------------------------------------------

    def _batched(self, sizes: im2col.Im2Col, array: Any) -> Any:
        """An array with all its batch axes made one."""
        rank = len(sizes.axes) + 2
        if array is None or array.ndim == rank:
            return array
        return array.reshape(sizes.batch, *array.shape[array.ndim - rank + 1 :])

    def forward(
        self,
        xp: Any,
        data: Any,
        weight: Any,
        bias: Any,
        output: Any,
        image: Any,
        columns: Any,
        product: Any,
        filters: Any,
    ) -> None:
        data, output = self._seen(xp, data), self._seen(xp, output)
        sizes = self._sizes(data.shape)
        results = self._batched(sizes, output)
        weight = self._weight(xp, weight, filters)
        im2col.correlate(
            xp, sizes, self._batched(sizes, data), weight, bias, results, image, columns, product
        )
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
        image: Any,
        adjoint: Any,
        columns: Any,
        product: Any,
        share: Any,
        total: Any,
        filters: Any,
    ) -> None:
        doutput, data, ddata = (self._seen(xp, array) for array in (doutput, data, ddata))
        sizes = self._sizes(data.shape)
        upper, lower, below = (self._batched(sizes, array) for array in (doutput, data, ddata))
        weight, dweight = self._weight(xp, weight, filters), self._seen(xp, dweight)
        spaces = image, adjoint, columns, product, share, total
        im2col.gradients(xp, sizes, upper, lower, weight, below, dweight, *spaces)
        if ddata is not None:
            write_back(xp, below, ddata)
        if dbias is not None:
            xp.sum(upper, axis=(0, *range(2, upper.ndim)), out=dbias)


class ConvolutionV1(Convolution):
    """Convolution under the name that MXNet keeps for files of its first one, which computed the same."""

    names = ("Convolution_v1",)
    onnx = ()
    examples = (({"kernel": (2, 2), "num_filter": 2}, {"data": (2, 3, 3, 4)}),)

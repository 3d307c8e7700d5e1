"""Convolution."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any, ClassVar

from netdef.ops import layouts, windows
from netdef.ops.arrays import write_back
from netdef.ops.base import WIDE, Cut, Workspace
from netdef.ops.conv_algorithm import DATA, FORWARD, WEIGHT
from netdef.ops.conv_blocks import rows_of
from netdef.ops.conv_choice import cost_of_output
from netdef.ops.conv_sizes import Sizes
from netdef.ops.convolving import ONNX, POINT, Convolving, bias_gradient, with_axis
from netdef.ops.epilogue import Epilogue
from netdef.ops.fields import Int
from netdef.ops.foreign import As, Fixed
from netdef.ops.shapes import Full, Shapes, show

#: products with half as many rows were measured to take a fifth longer than with half of the columns
FEW_FILTERS = 64


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
    between = True

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

    def axes_of(self, data: Full) -> tuple[windows.Axis, ...]:
        """The spatial axes of data with its channels in front of these."""
        spatial = data[self.axis % len(data) + 1 :]
        return self._windows(len(spatial)).on(spatial)

    def _sizes(self, data: Full, weight: Full = ()) -> Sizes:
        at, axes = self.axis % len(data), self.axes_of(data)
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

    def cost(
        self,
        s: Shapes,
        images: int,
        channels_last: bool,
        wanted: str = "",
        constant: Collection[str] = (),
    ) -> float:
        if layouts.channels_last(self.layout) or s.axis("data", self.axis) != 1:
            return super().cost(s, images, channels_last)
        sizes = self._sizes(s.full("data"))._replace(batch=images)
        return cost_of_output(sizes, channels_last, wanted, "weight" in constant)

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
        by_row = {"output": 1 if last else at + 1}
        if not backward and self._by("output").channels_last and self.num_group > 1 and first.windows > 1:
            return (Cut(by_row),)
        if self.num_group > 1:
            return (Cut({**by_filter, "data": channels}, units=self.num_group),)
        if not backward:
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

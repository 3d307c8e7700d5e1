"""Deconvolution."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from netdef.ops import layouts, windows
from netdef.ops.conv_algorithm import DATA, FORWARD, WEIGHT
from netdef.ops.conv_sizes import Sizes
from netdef.ops.convolving import ONNX, POINT, Convolving, bias_gradient, with_axis
from netdef.ops.epilogue import NOTHING
from netdef.ops.fields import Bool, Dims
from netdef.ops.foreign import As, Fixed
from netdef.ops.shapes import Full, ShapeError, Shapes, show


class _Axis(NamedTuple):
    """One spatial axis: what is cut off at both sides, what is added at the end, and the output's size."""

    pad: int
    adj: int
    size: int


class Deconvolution(Convolving):
    """The gradient of a convolution to its data, as a layer: every element of data is spread by the filters.

    data (N, C, S...) -> output (N, num_filter, O...), weight (C, num_filter / num_group, k...), bias
    (num_filter,).  O = stride * (S - 1) + dilate * (kernel - 1) + 1 - 2 * pad + adj along each axis, with
    `adj` less than `stride`.  A `target_shape` says O itself: `pad` and `adj` are then ignored, and what is
    too much is cut off at both sides, an odd element at the front.  0 in it leaves an axis to `pad` and
    `adj`.  Any number of spatial axes; each attribute is one number, or one for each of them.

    With a `layout` that has the channels last, data is (N, S..., C), output (N, O..., num_filter) and weight
    (C, k..., num_filter / num_group).  Zeiler et al. 2010; MXNet's Deconvolution, which knows no dilation in
    3 dimensions.
    """

    adj = Dims((), "elements added at the end of the output; default 0", min=0)
    target_shape = Dims((), "size of the output, instead of pad and adj; 0 for an axis without", min=0)
    no_bias = Bool(True, "leave out the bias")

    begins = (*Convolving.begins[:7], "adj", "target_shape", *Convolving.begins[7:])
    computed = {"output": DATA, "ddata": FORWARD, "dweight": WEIGHT}

    onnx = (As("ConvTranspose", adj="output_padding", target_shape=Fixed((), ((0,), (0, 0))), **ONNX),)
    examples = (
        ({"kernel": (3, 3), "num_filter": 2}, {"data": (2, 3, 3, 4)}),
        (
            {
                "kernel": (3, 2),
                "num_filter": 4,
                "stride": (2, 3),
                "pad": (1, 0),
                "adj": (1, 2),
                "num_group": 2,
                "no_bias": False,
            },
            {"data": (2, 4, 3, 2)},
        ),
        ({"kernel": (3,), "num_filter": 2, "stride": 2, "target_shape": (6,)}, {"data": (3, 2, 3)}),
        ({"kernel": 2, "num_filter": 2, "dilate": (1, 2, 1)}, {"data": (2, 1, 2, 2, 3)}),
        ({"kernel": (1, 1), "num_filter": 3, "no_bias": False}, {"data": (2, 2, 3, 2)}),
        ({"kernel": (2, 2), "num_filter": 4, "num_group": 2, "layout": "NHWC"}, {"data": (2, 2, 3, 4)}),
    )

    # -- shapes ----------------------------------------------------------------------------------------------

    def _axes(self, sizes: tuple[int | None, ...]) -> Iterator[_Axis | None]:
        """Each spatial axis, `None` where the size is not known; raises `ShapeError`."""
        rank = len(sizes)
        tiling = self._windows(rank)
        adjs = windows.for_each_axis("adj", self.adj, rank, 0)
        targets = windows.for_each_axis("target_shape", self.target_shape, rank, 0)
        for size, reach, stride, pad, adj, target in zip(
            sizes, tiling.reaches(), tiling.stride, tiling.pad, adjs, targets
        ):
            if size is None:
                yield None
                continue
            whole = stride * (size - 1) + reach
            blame = "adj"
            if target:
                blame = "target_shape"
                if target > whole:
                    raise ShapeError(
                        f"target_shape {show(self.target_shape)} is too large for data of {show(sizes)}",
                        tensor="data",
                        attribute=blame,
                        hint=f"at most {whole} where data has {size}",
                    )
                pad, adj = -(-(whole - target) // 2), (whole - target) % 2
            if adj >= stride:
                raise ShapeError(
                    f"{blame} {show(getattr(self, blame))} asks for {adj} more than the last window reaches, "
                    f"which must be less than the stride {stride}",
                    tensor="data",
                    attribute=blame,
                    hint=f"{target - 1} or {target + 1}" if target else f"at most {stride - 1}",
                )
            out = whole - 2 * pad + adj
            if out < 1:
                raise ShapeError(
                    f"pad {show(tiling.pad)} leaves nothing of what data of {show(sizes)} spreads to",
                    tensor="data",
                    attribute="pad",
                )
            yield _Axis(pad, adj, out)

    def _before(self, counts: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The spatial sizes of data that those of the output determine."""
        rank = len(counts)
        tiling = self._windows(rank)
        adjs = windows.for_each_axis("adj", self.adj, rank, 0)
        if any(self.target_shape):
            return (None,) * rank
        sizes: list[int | None] = []
        for count, reach, stride, pad, adj in zip(counts, tiling.reaches(), tiling.stride, tiling.pad, adjs):
            room = None if count is None else count + 2 * pad - adj - reach
            sizes.append(None if room is None or room < 0 or room % stride else room // stride + 1)
        return tuple(sizes)

    def shape(self, s: Shapes) -> None:
        layout, filters = self.layout, f"num_filter is {self.num_filter}"
        s.merge("bias", (self.num_filter,), filters, attribute="num_filter")
        self._require_groups_of(self.num_filter, "filters")
        layouts.require_rank(s, layout)
        s.rank("data", 2, "(batch, channels, spatial axes...)")
        data = layouts.inwards(layout, s["data"])
        if data is None:
            return
        channels, sizes = data[1], data[2:]
        tiling = self._windows(len(sizes))
        if channels is not None:
            self._require_groups_of(channels, "channels")
        given = f"data is {show(s['data'])}"
        weight = (channels, self.num_filter // self.num_group, *tiling.kernel)
        s.merge(
            "weight", layouts.outwards(layout, weight), f"{given} and the attributes ask for {show(weight)}"
        )
        counts = tuple(axis and axis.size for axis in self._axes(sizes))
        whole = layouts.outwards(layout, (data[0], self.num_filter, *counts))
        s.merge("output", whole, f"{given}, {filters}")
        output = layouts.inwards(layout, s["output"]) or ()
        known = layouts.inwards(layout, s["weight"]) or ()
        below = (output[0], known[0], *self._before(output[2:]))
        s.merge("data", layouts.outwards(layout, below), f"output is {show(s['output'])}")

    def _sizes(self, data: Full, weight: Full = ()) -> Sizes:
        """The sizes of the convolution that this is the gradient of."""
        tiling = self._windows(len(data) - 2)
        axes = tuple(
            windows.Axis(axis.size, kernel, stride, axis.pad, dilate, windows=size)  # type: ignore[union-attr]
            for size, axis, kernel, stride, dilate in zip(
                data[2:], self._axes(data[2:]), tiling.kernel, tiling.stride, tiling.dilate
            )
        )
        return Sizes(data[0], self.num_filter, data[1], self.num_group, axes or (POINT,))

    def macs(self, s: Shapes) -> int:
        return math.prod(s.full("data")) * math.prod(s.full("weight")[1:])

    # -- kernels ---------------------------------------------------------------------------------------------

    def forward(
        self, xp: Any, data: Any, weight: Any, bias: Any, output: Any, space: Any, filters: Any
    ) -> None:
        sizes = self._sizes(self._seen(xp, data).shape)
        data, output = (with_axis(self._seen(xp, array)) for array in (data, output))
        weight = self._weight(xp, weight, filters)
        self._by("output").data_gradient(xp, sizes, data, weight, output, space)
        if bias is not None:
            xp.add(output, sizes.by_channel(bias, 0), out=output)

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
        sizes = self._sizes(self._seen(xp, data).shape)
        doutput, data, ddata, dweight = (
            with_axis(self._seen(xp, array)) for array in (doutput, data, ddata, dweight)
        )
        if dweight is not None:
            self._by("dweight").weight_gradient(xp, sizes, data, doutput, dweight, space)
        if ddata is not None:
            weight = self._weight(xp, weight, filters)
            self._by("ddata").correlate(xp, sizes, doutput, weight, NOTHING, ddata, space)
        if dbias is not None:
            bias_gradient(xp, doutput, dbias, space)

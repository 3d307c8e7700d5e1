"""Pooling."""

from __future__ import annotations

import math
from typing import Any

from netdef.ops import windows
from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Bool, Dims, Enum
from netdef.ops.foreign import As, Fixed, Lost, To
from netdef.ops.shapes import Full, ShapeError, Shapes, show

_Rules = dict[str, To | Fixed | Lost | str]
_PLAIN: _Rules = {"kernel": "kernel_shape", "stride": "strides", "pad": "pads", "global_pool": Fixed(False)}
_ROUNDING = To("ceil_mode", {"valid": 0, "clip": 1}, absent="valid")
_WHOLE = Lost("the window is the whole map")
_GLOBAL: _Rules = {
    "kernel": _WHOLE,
    "stride": _WHOLE,
    "pad": _WHOLE,
    "pooling_convention": _WHOLE,
    "count_include_pad": _WHOLE,
    "global_pool": Fixed(True),
}


class Pooling(Op):
    """Reduce every window of every channel to one number.

    data (N, C, S...) -> output (N, C, O...), with O from `windows.count` and any number of spatial axes.
    `kernel`, `stride` (default 1) and `pad` (default 0, less than the kernel) are one number, or one for each
    spatial axis.  MXNet's Pooling, with Caffe's rule for sizes added as `clip`.

    * max: padding never wins.  Of tied maxima the first in row-major order gets the whole gradient.  A window
      with a NaN gives NaN and passes no gradient; one without elements, or with nothing but -inf, gives the
      lowest finite number, as in Caffe and MXNet.
    * avg: divides by the window's size, less what reaches beyond the padded input; `count_include_pad` says
      whether padding counts.  A window without elements gives 0.
    * sum: padding counts as 0.
    """

    kernel = Dims(
        (), "size of the windows: one number, or one for each spatial axis; not for `global_pool`", min=1
    )
    stride = Dims((), "step between windows; default 1", min=1)
    pad = Dims((), "padding on both sides; default 0", min=0)
    pool_type = Enum("max", "avg", "sum", default="max", help="what a window is reduced to")
    pooling_convention = Enum(
        "valid", "full", "clip", "same", default="valid", help="what becomes of a last, partial window"
    )
    global_pool = Bool(False, "one window over each whole map; kernel, stride and pad are ignored")
    count_include_pad = Bool(True, "whether avg counts the padding")

    outputs = ("output", "winner")
    scratch = ("partial", "padded", "mask", "taken", "share", "lengths")
    names = ("Pooling", "Pooling_v1")
    onnx = (
        As("GlobalMaxPool", pool_type=Fixed("max"), **_GLOBAL),
        As("GlobalAveragePool", pool_type=Fixed("avg"), **_GLOBAL),
        As(
            "MaxPool",
            pool_type=Fixed("max"),
            pooling_convention=_ROUNDING,
            count_include_pad=Lost("padding never wins a maximum"),
            **_PLAIN,
        ),
        As(
            "AveragePool",
            pool_type=Fixed("avg"),
            pooling_convention=_ROUNDING,
            count_include_pad=To("count_include_pad", {True: 1, False: 0}, absent=False),
            **_PLAIN,
        ),
    )
    examples = (
        ({"kernel": (2, 2), "stride": (2, 2)}, {"data": (2, 3, 4, 6)}),
        (
            {"kernel": (3, 3), "stride": (2, 2), "pad": (1, 1), "pooling_convention": "clip"},
            {"data": (2, 2, 6, 7)},
        ),
        ({"kernel": (3,), "stride": (2,), "pooling_convention": "same"}, {"data": (2, 2, 7)}),
        (
            {"kernel": (2, 3, 2), "pool_type": "sum", "pooling_convention": "full", "stride": 2},
            {"data": (2, 1, 5, 4, 3)},
        ),
        ({"kernel": (3, 2), "pool_type": "avg", "pad": (1, 0)}, {"data": (2, 2, 4, 3)}),
        (
            {"kernel": 3, "pool_type": "avg", "stride": 2, "pad": 1, "pooling_convention": "clip"},
            {"data": (2, 2, 6, 5)},
        ),
        (
            {"kernel": 3, "pool_type": "avg", "stride": 2, "pad": 1, "count_include_pad": False},
            {"data": (2, 2, 6, 5)},
        ),
        ({"global_pool": True}, {"data": (2, 2, 3, 4)}),
        ({"global_pool": True, "pool_type": "avg"}, {"data": (2, 2, 3, 4)}),
    )

    def output_names(self) -> tuple[str, ...]:
        return self.outputs if self.pool_type == "max" else self.outputs[:1]

    # -- shapes ----------------------------------------------------------------------------------------------

    def shape(self, s: Shapes) -> None:
        data = s.rank("data", 3, "(batch, channels, spatial axes...)")
        if data is None:
            return
        sizes = data[2:]
        if self.global_pool:
            counts: tuple[int | None, ...] = (1,) * len(sizes)
            if 0 in sizes:
                raise ShapeError(f"data is {show(data)}, and there is nothing to pool", tensor="data")
        else:
            tiling = self._windows(len(sizes))
            tiling.require_small_pad()
            counts = tiling.counts(sizes)
        for name in self.output_names():
            s.merge(
                name, (*data[:2], *counts), f"data is {show(data)} and pooled to {show((*data[:2], *counts))}"
            )
        output = s["output"] or ()
        s.merge("data", (*output[:2], *data[2:]), f"output is {show(output)}")

    def types(self, t: Shapes) -> None:
        t.same("data", "output")
        # Tap numbers fit into bytes where the attributes alone show that a window is small.
        small = not self.global_pool and len(self.kernel) > 1 and math.prod(self.kernel) < 256
        t.merge("winner", "uint8" if small else "int32")  # type: ignore[arg-type]

    def _windows(self, rank: int) -> windows.Windows:
        return windows.windows(rank, self.kernel, self.stride, self.pad, rule=self.pooling_convention)

    def _axes(self, data: Full) -> tuple[windows.Axis, ...]:
        sizes = data[2:]
        tiling = windows.windows(len(sizes), sizes) if self.global_pool else self._windows(len(sizes))
        return tiling.on(sizes)

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        data, output = s.full("data"), s.full("output")
        axes = self._axes(data)
        partial = Workspace((sum(math.prod(shape) for shape in windows.between(axes, data, 2)),))
        if self.pool_type == "max":
            needed = {"mask": Workspace(output, "bool")}
            if not windows.inside(axes):
                needed["padded"] = Workspace((*data[:2], *windows.padded_shape(axes)))
            more = (
                {"share": Workspace(output)}
                if backward
                else {"taken": Workspace(output, "bool"), "partial": partial}
            )
            return {**needed, **more}
        if self.pool_type == "sum":
            return {"partial": partial}
        needed = {"partial": partial, "lengths": Workspace(output[2:])}
        return {**needed, "share": Workspace(output)} if backward else needed

    def flops(self, s: Shapes) -> int:
        taps = math.prod(axis.kernel for axis in self._axes(s.full("data")))
        return math.prod(s.full("output")) * taps

    # -- kernels ---------------------------------------------------------------------------------------------

    def forward(
        self,
        xp: Any,
        data: Any,
        output: Any,
        winner: Any,
        partial: Any,
        padded: Any,
        mask: Any,
        taken: Any,
        lengths: Any,
    ) -> None:
        axes = self._axes(data.shape)
        if self.pool_type != "max":
            windows.reduce(xp, xp.add, 0, data, axes, 2, output, partial)
            if self.pool_type == "avg":
                windows.fill_with_lengths(axes, self.count_include_pad, lengths)
                xp.divide(output, lengths, out=output)
            return
        lowest = float(xp.finfo(data.dtype).min)
        windows.reduce(xp, xp.maximum, lowest, data, axes, 2, output, partial)
        if winner is None:
            return
        if padded is not None:
            padded[...] = lowest
            xp.copyto(windows.interior(padded, axes, 2), data)
            data = padded
        # How many taps there are from the first maximum of a window on, 0 where nothing equals it.
        winner[...] = 0
        taken[...] = False
        for tap in windows.each_tap(windows.taps(xp, data, axes, 2), axes, 2):
            xp.equal(tap, output, out=mask)
            xp.logical_or(taken, mask, out=taken)
            xp.add(winner, taken, out=winner)

    def backward(
        self,
        xp: Any,
        doutput: Any,
        winner: Any,
        ddata: Any,
        partial: Any,
        padded: Any,
        mask: Any,
        share: Any,
        lengths: Any,
    ) -> None:
        if ddata is None:
            return
        axes = self._axes(ddata.shape)
        if self.pool_type != "max":
            if self.pool_type == "avg":
                windows.fill_with_lengths(axes, self.count_include_pad, lengths)
                doutput = xp.divide(doutput, lengths, out=share)
            windows.distribute(xp, doutput, axes, 2, ddata, partial)
            return
        target = ddata if padded is None else padded
        target[...] = 0
        overlapping = any(axis.kernel > axis.stride for axis in axes)
        remaining = math.prod(axis.kernel for axis in axes)
        for tap in windows.each_tap(windows.taps(xp, target, axes, 2), axes, 2):
            xp.equal(winner, remaining, out=mask)
            if overlapping:
                xp.multiply(doutput, mask, out=share)
                xp.add(tap, share, out=tap)
            else:
                xp.multiply(doutput, mask, out=tap)
            remaining -= 1
        if padded is not None:
            xp.copyto(ddata, windows.interior(padded, axes, 2))

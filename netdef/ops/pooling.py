"""Pooling."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from netdef.ops import apart_pooling, joined_pooling, layouts, max_gradient, max_pooling, sum_pooling, windows
from netdef.ops.arrays import ordered
from netdef.ops.base import Cut, Workspace
from netdef.ops.fields import Bool, Enum, Hint, Int
from netdef.ops.foreign import As, Fixed, Lost, To
from netdef.ops.map_order import largest, order_of, orders
from netdef.ops.shapes import Full, ShapeError, Shapes, show
from netdef.ops.windowed import Windowed

_Rules = dict[str, To | Fixed | Lost | str]
_ALWAYS: _Rules = {
    "layout": Fixed(None, ("NCW", "NCHW", "NCDHW")),
    "cudnn_off": Lost("advice for MXNet's backends"),
}
_PLAIN: _Rules = {
    "kernel": "kernel_shape",
    "stride": "strides",
    "pad": "pads",
    "global_pool": Fixed(False),
    "pooling_convention": To("ceil_mode", {"valid": 0, "clip": 1}, absent="valid"),
    **_ALWAYS,
}
_WHOLE = Lost("the window is the whole map")
_GLOBAL: _Rules = {
    "kernel": _WHOLE,
    "stride": _WHOLE,
    "pad": _WHOLE,
    "pooling_convention": _WHOLE,
    "count_include_pad": _WHOLE,
    "global_pool": Fixed(True),
    **_ALWAYS,
}
_NOT_LP = Lost("only lp has a power")
#: about how many seconds each element of each window takes
_ELEMENT = 0.4e-9
#: ONNX takes absolute values first, which only an even power does not notice
_POWER = To("p", {2: 2}, absent=2)


class _Counted(Bool):
    """True or false; MXNet's None stands for true."""

    def parse_one(self, value: Any) -> bool:
        return value in (None, "None") or super().parse_one(value)


class Pooling(Windowed):
    """Reduce every window of every channel to one number.

    data (N, C, S...) -> output (N, C, O...), with O from `windows.count` and any number of spatial axes;
    (N, S..., C) -> (N, O..., C) with a `layout` that has the channels last.  `kernel`, `stride` (default 1)
    and `pad` (default 0, less than the kernel) are one number, or one for each spatial axis.  MXNet's
    Pooling, with Caffe's rule for sizes added as `clip`.

    * max: padding never wins.  Of tied maxima the first in row-major order gets the whole gradient.  A window
      with a NaN gives NaN and passes no gradient; one without elements, or with nothing but -inf, gives the
      lowest finite number, as in Caffe and MXNet.
    * avg: divides by the window's size, less what reaches beyond the padded input; `count_include_pad` says
      whether padding counts.  A window without elements gives 0.
    * sum: padding counts as 0.
    * lp: the root of degree `p_value` of the sum of as many powers of the elements (not of their absolute
      values, as in MXNet); 1 is sum.  Where it is 0 no gradient passes.  Sermanet et al. 2012.
    """

    pool_type = Enum("max", "avg", "sum", "lp", default="max", help="what a window is reduced to")
    pooling_convention = Enum(
        "valid", "full", "clip", "same", default="valid", help="what becomes of a last, partial window"
    )
    count_include_pad = _Counted(True, "whether avg counts the padding")
    p_value = Int(None, "the power of lp: 1, 2 or 3")
    layout = layouts.Layout()
    cudnn_off = Hint()

    begins = ("data", "kernel", "pool_type", "global_pool", "cudnn_off", "pooling_convention")
    outputs = ("output", "winner", "slope", "factor")
    batched = ("data", *outputs)
    batch_last = True
    any_order = True
    steady = ("forward", "backward")
    scratch = (
        *("partial", "padded", "mask", "taken", "share", "lengths", "power", "phases", "numbers"),
        *("places", "offsets", "ones"),
    )
    onnx = (
        As("GlobalMaxPool", pool_type=Fixed("max"), p_value=_NOT_LP, **_GLOBAL),
        As("GlobalAveragePool", pool_type=Fixed("avg"), p_value=_NOT_LP, **_GLOBAL),
        As(
            "MaxPool",
            pool_type=Fixed("max"),
            count_include_pad=Lost("padding never wins a maximum"),
            p_value=_NOT_LP,
            **_PLAIN,
        ),
        As(
            "AveragePool",
            pool_type=Fixed("avg"),
            count_include_pad=To("count_include_pad", {True: 1, False: 0}, absent=False),
            p_value=_NOT_LP,
            **_PLAIN,
        ),
        As("GlobalLpPool", pool_type=Fixed("lp"), p_value=_POWER, **_GLOBAL),
        As("LpPool", pool_type=Fixed("lp"), p_value=_POWER, count_include_pad=Lost("padding is 0"), **_PLAIN),
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
        (
            {"kernel": 2, "pool_type": "lp", "p_value": 2, "pad": 1, "pooling_convention": "full"},
            {"data": (2, 2, 3, 4)},
        ),
        ({"kernel": 2, "stride": 2, "pool_type": "lp", "p_value": 3}, {"data": (2, 2, 5)}),
        ({"kernel": 2, "pool_type": "lp", "p_value": 1}, {"data": (2, 2, 5)}),
        ({"kernel": (2, 3), "pad": (1, 1), "layout": "NHWC"}, {"data": (2, 3, 4, 2)}),
        ({"kernel": (2,), "pool_type": "lp", "p_value": 2, "layout": "NWC"}, {"data": (2, 3, 2)}),
        ({"global_pool": True, "pool_type": "avg", "layout": "NDHWC"}, {"data": (2, 2, 3, 2, 2)}),
    )

    @property
    def _powers(self) -> bool:
        """Whether a window is more than a maximum or a sum."""
        return self.pool_type == "lp" and self.p_value != 1

    def counted_outputs(self) -> int:
        kept = self.pool_type == "max" and self.kernel != () and not layouts.channels_last(self.layout)
        return 2 if kept else 1  # MXNet counts what its CPU kernel of a maximum keeps for the gradient

    def output_names(self) -> tuple[str, ...]:
        if self._powers:
            return ("output", "slope", "factor")
        return self.outputs[:2] if self.pool_type == "max" else self.outputs[:1]

    # -- shapes ----------------------------------------------------------------------------------------------

    def shape(self, s: Shapes) -> None:
        if self.pool_type == "lp" and self.p_value not in (1, 2, 3):
            given = "missing" if self.p_value is None else self.p_value
            raise ShapeError(f"p_value is {given}, but lp needs 1, 2 or 3", attribute="p_value")
        layout = self.layout
        s.rank("data", 3, "(batch, channels, spatial axes...)")
        layouts.require_rank(s, layout)
        s.same(*(name for name in ("data", "slope") if name in s))
        data = layouts.inwards(layout, s["data"])
        if data is None:
            return
        if not self.global_pool:
            self._windows(len(data) - 2).require_small_pad()
        counts = layouts.outwards(layout, self._counts(data))
        for name in ("output", "winner", "factor"):
            s.merge(name, counts, f"data is {show(s['data'])} and pooled to {show(counts)}")
        output = layouts.inwards(layout, s["output"]) or ()
        below = (*output[:2], *data[2:])
        s.merge("data", layouts.outwards(layout, below), f"output is {show(s['output'])}")

    def types(self, t: Shapes) -> None:
        super().types(t)
        for name in ("slope", "factor"):
            t.merge(name, t["data"])
        t.merge("winner", self._tap_numbers)  # type: ignore[arg-type]

    @property
    def _tap_numbers(self) -> str:
        """The dtype of tap numbers: bytes where the attributes alone show that a window is small."""
        small = not self.global_pool and len(self.kernel) > 1 and math.prod(self.kernel) < 256
        return "uint8" if small else "int32"

    def cuts(self, s: Shapes, backward: bool) -> tuple[Cut, ...]:
        """By images; one alone by channels."""
        channels = -1 if layouts.channels_last(self.layout) else 1
        return (Cut(dict.fromkeys(self.batched, channels if s.full("data")[0] == 1 else 0)),)

    def seconds(self, s: Shapes, written: Collection[str]) -> float:
        return self.flops(s) * _ELEMENT

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        data, output = (layouts.inwards(self.layout, s.full(name)) for name in ("data", "output"))
        axes = self._axes(data)
        if self.pool_type == "max":
            if apart_pooling.fits(axes) and (backward or windows.inside(axes)):
                return largest(apart_pooling.workspaces(data, axes, self._tap_numbers, backward))
            if backward:
                return max_gradient.workspaces(data, axes, self._tap_numbers)
            return self._for_maxima(data, output, axes)
        needed = sum_pooling.workspaces(data, axes)
        if self.pool_type == "avg":
            needed["lengths"] = Workspace(output[2:])
        if self._powers and not backward:
            needed.update(power=Workspace(data), mask=Workspace(output, "bool"))
        if backward and (self.pool_type == "avg" or self._powers):
            needed["share"] = Workspace(output)
        return needed

    def _for_maxima(self, data: Full, output: Full, axes: tuple[windows.Axis, ...]) -> dict[str, Workspace]:
        """Workspaces for the larger of the needs: the plan may store the maps in any order."""
        maps = [max_pooling.Phases(order.shape(data), axes, order.first) for order in orders(len(data))]
        needs = [phases.workspaces(self._tap_numbers) for phases in maps if phases.pays]
        if needs:
            needs.append(joined_pooling.workspaces(data, axes))
        if not all(phases.pays for phases in maps):
            partial = sum(math.prod(shape) for shape in windows.between(axes, data, 2))
            marks = Workspace(output, "bool")
            needs.append({"partial": Workspace((partial,)), "mask": marks, "taken": marks})
            if not windows.inside(axes):
                needs.append({"padded": Workspace((*data[:2], *windows.padded_shape(axes)))})
        return largest(needs)

    # -- kernels ---------------------------------------------------------------------------------------------

    def forward(
        self,
        xp: Any,
        data: Any,
        output: Any,
        winner: Any,
        slope: Any,
        factor: Any,
        partial: Any,
        padded: Any,
        mask: Any,
        taken: Any,
        lengths: Any,
        power: Any,
        phases: Any,
        numbers: Any,
        ones: Any,
    ) -> None:
        arrays = (data, output, winner, slope, factor)
        data, output, winner, slope, factor = (self._seen(xp, array) for array in arrays)
        axes = self._axes(data.shape)
        if self.pool_type == "max":
            lowest = float(xp.finfo(data.dtype).min)
            if apart_pooling.fits(axes) and windows.inside(axes):
                apart_pooling.forward(xp, axes, lowest, data, output, winner, phases, numbers, mask)
                return
            order = order_of(data)
            maps = max_pooling.phases(order.shape(data.shape), axes, order.first)
            if maps.pays:
                data, output, winner = (order.view(array) for array in (data, output, winner))
                if winner is None:
                    joined_pooling.maxima(xp, axes, order.first, lowest, data, output, phases)
                    return
                max_pooling.forward(xp, maps, lowest, data, output, winner, phases, numbers, mask)
                return
            windows.reduce(xp, xp.maximum, lowest, data, axes, 2, output, partial)
            if winner is not None:
                self._find(xp, data, output, winner, padded, mask, taken, axes)
            return
        if self._powers:
            power = ordered(power, data)
            self._raise(xp, data, slope, power)
            data = power
        sum_pooling.forward(xp, axes, data, output, phases, partial, ones)
        if self.pool_type == "avg":
            windows.fill_with_lengths(xp, axes, self.count_include_pad, lengths)
            xp.divide(output, lengths, out=output)
        elif self._powers:
            (xp.sqrt if self.p_value == 2 else xp.cbrt)(output, out=output)
            if factor is not None:
                xp.power(output, self.p_value - 1, out=factor)
                xp.not_equal(factor, 0, out=mask)
                xp.divide(1, factor, out=factor, where=mask)

    def _seen(self, xp: Any, array: Any) -> Any:
        """An array with its channels second, whatever the layout."""
        return None if array is None else layouts.seen(xp, self.layout, array)

    def _raise(self, xp: Any, data: Any, slope: Any, power: Any) -> None:
        """power = data ** p; slope = data ** (p - 1), the part of the gradient that is each element's own."""
        xp.copyto(power, data)
        if self.p_value == 3:
            xp.multiply(power, data, out=power)
        if slope is not None:
            xp.copyto(slope, power)
        xp.multiply(power, data, out=power)

    def _find(
        self,
        xp: Any,
        data: Any,
        output: Any,
        winner: Any,
        padded: Any,
        mask: Any,
        taken: Any,
        axes: tuple[windows.Axis, ...],
    ) -> None:
        """Write how many taps there are from the first maximum of a window on, 0 where nothing equals it."""
        if padded is not None:
            xp.copyto(padded, -math.inf)  # padding is no winner, however low the numbers are
            xp.copyto(windows.interior(padded, axes, 2), data)
            data = padded
        mask, taken = (windows.carve(space.reshape(-1), output.shape) for space in (mask, taken))
        xp.copyto(winner, 0)
        xp.copyto(taken, False)
        for tap in windows.each_tap(windows.taps(xp, data, axes, 2), axes, 2):
            xp.equal(tap, output, out=mask)
            xp.logical_or(taken, mask, out=taken)
            xp.add(winner, taken, out=winner)

    def backward(
        self,
        xp: Any,
        doutput: Any,
        winner: Any,
        slope: Any,
        factor: Any,
        ddata: Any,
        partial: Any,
        padded: Any,
        mask: Any,
        share: Any,
        lengths: Any,
        places: Any,
        offsets: Any,
        phases: Any,
        numbers: Any,
    ) -> None:
        if ddata is None:
            return
        arrays = (doutput, winner, slope, factor, ddata)
        doutput, winner, slope, factor, ddata = (self._seen(xp, array) for array in arrays)
        axes = self._axes(ddata.shape)
        if self.pool_type != "max":
            heads = doutput
            if self.pool_type == "avg":
                heads = ordered(share, doutput)
                windows.fill_with_lengths(xp, axes, self.count_include_pad, lengths)
                xp.divide(doutput, lengths, out=heads)
            elif self._powers:
                heads = ordered(share, doutput)
                xp.multiply(doutput, factor, out=heads)
            sum_pooling.backward(xp, axes, heads, ddata, phases, partial)
            if self._powers:
                xp.multiply(ddata, slope, out=ddata)
            return
        if apart_pooling.fits(axes):
            apart_pooling.backward(xp, axes, doutput, winner, ddata, mask, share)
            return
        spaces = places, offsets, share, numbers, mask, padded
        max_gradient.backward(xp, axes, doutput, winner, ddata, *spaces)

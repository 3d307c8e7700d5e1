"""Pooling as MXNet 0.7 had it."""

from __future__ import annotations

import math
from typing import Any

from netdef.ops import windows
from netdef.ops.base import Workspace
from netdef.ops.fields import Enum
from netdef.ops.shapes import Full, Shapes, show
from netdef.ops.windowed import Windowed


class PoolingV1(Windowed):
    """Reduce every window of every channel to one number, by the rules of MXNet's first Pooling.

    data (N, C, S...) -> output (N, C, O...), with O from `windows.count`.  Unlike Pooling: padding counts as
    0 in a maximum, too; each of tied maxima gets the whole gradient; avg divides by the size of the kernel
    even where a window reaches beyond the padded input; a window that lies beyond it altogether has the
    maximum -inf.  MXNet's Pooling_v1.
    """

    pool_type = Enum("max", "avg", "sum", default="max", help="what a window is reduced to")

    scratch = ("padded", "adjoint", "mask", "share", "partial")
    begins = ("data", "kernel", "pool_type", "global_pool", "pooling_convention")
    names = ("Pooling_v1",)
    examples = (
        ({"kernel": (2, 2)}, {"data": (2, 2, 3, 4)}),
        (
            {"kernel": (3, 2), "stride": (2, 2), "pad": (1, 1), "pooling_convention": "full"},
            {"data": (2, 2, 4, 5)},
        ),
        (
            {"kernel": 2, "stride": 2, "pool_type": "avg", "pooling_convention": "full"},
            {"data": (2, 2, 3, 4)},
        ),
        ({"kernel": 2, "pool_type": "sum", "pad": 1}, {"data": (2, 2, 3)}),
        ({"global_pool": True}, {"data": (2, 2, 3, 4)}),
        ({"global_pool": True, "pool_type": "avg"}, {"data": (2, 2, 3, 4)}),
    )

    def shape(self, s: Shapes) -> None:
        data = s.rank("data", 3, "(batch, channels, spatial axes...)")
        if data is None:
            return
        counts = self._counts(data)
        s.merge("output", counts, f"data is {show(data)} and pooled to {show(counts)}")
        output = s["output"] or ()
        s.merge("data", (*output[:2], *data[2:]), f"output is {show(output)}")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        data, output = s.full("data"), s.full("output")
        axes = self._axes(data)
        if self.pool_type == "max":
            padded = Workspace((*data[:2], *windows.padded_shape(axes)))
            if not backward:
                return {"padded": padded}
            marks = {"mask": Workspace(output, "bool"), "share": Workspace(output)}
            return {"padded": padded, "adjoint": padded, **marks}
        partial = Workspace((sum(math.prod(shape) for shape in windows.between(axes, data, 2)),))
        return {"partial": partial, **({"share": Workspace(output)} if backward else {})}

    def _divisor(self, data: Full) -> int:
        return math.prod(axis.kernel for axis in self._axes(data)) if self.pool_type == "avg" else 1

    def _fill(self, xp: Any, data: Any, axes: tuple[windows.Axis, ...], padded: Any) -> Any:
        """The taps of data with zeros around it, and -inf beyond."""
        padded[...] = -math.inf
        padded[windows.along(2, *(slice(axis.size + 2 * axis.pad) for axis in axes))] = 0
        xp.copyto(windows.interior(padded, axes, 2), data)
        return windows.taps(xp, padded, axes, 2)

    def forward(self, xp: Any, data: Any, output: Any, padded: Any, partial: Any) -> None:
        axes = self._axes(data.shape)
        if self.pool_type == "max":
            output[...] = -math.inf
            for tap in windows.each_tap(self._fill(xp, data, axes, padded), axes, 2):
                xp.maximum(output, tap, out=output)
            return
        windows.reduce(xp, xp.add, 0, data, axes, 2, output, partial)
        xp.divide(output, self._divisor(data.shape), out=output)

    def backward(
        self,
        xp: Any,
        doutput: Any,
        data: Any,
        output: Any,
        ddata: Any,
        padded: Any,
        adjoint: Any,
        mask: Any,
        share: Any,
        partial: Any,
    ) -> None:
        if ddata is None:
            return
        axes = self._axes(data.shape)
        if self.pool_type != "max":
            xp.divide(doutput, self._divisor(data.shape), out=share)
            windows.distribute(xp, share, axes, 2, ddata, partial)
            return
        adjoint[...] = 0
        taps, back = self._fill(xp, data, axes, padded), windows.taps(xp, adjoint, axes, 2)
        for tap, target in zip(windows.each_tap(taps, axes, 2), windows.each_tap(back, axes, 2)):
            xp.equal(tap, output, out=mask)
            xp.multiply(doutput, mask, out=share)
            xp.add(target, share, out=target)
        xp.copyto(ddata, windows.interior(adjoint, axes, 2))

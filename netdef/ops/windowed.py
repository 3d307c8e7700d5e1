"""What both kinds of pooling share."""

from __future__ import annotations

import math

from netdef.ops import windows
from netdef.ops.base import Op
from netdef.ops.fields import Bool, Dims, Enum
from netdef.ops.shapes import Full, ShapeError, Shapes, show


class Windowed(Op, abstract=True):
    """Windows over the maps of data (N, C, S...)."""

    kernel = Dims(
        (), "size of the windows: one number, or one for each spatial axis; not for `global_pool`", min=1
    )
    stride = Dims((), "step between windows; default 1", min=1)
    pad = Dims((), "padding on both sides; default 0", min=0)
    pooling_convention = Enum("valid", "full", default="valid", help="what becomes of a last, partial window")
    global_pool = Bool(False, "one window over each whole map; kernel, stride and pad are ignored")

    def _windows(self, rank: int) -> windows.Windows:
        return windows.windows(rank, self.kernel, self.stride, self.pad, rule=self.pooling_convention)

    def _axes(self, data: Full) -> tuple[windows.Axis, ...]:
        """The windows on data with its channels second."""
        sizes = data[2:]
        tiling = windows.windows(len(sizes), sizes) if self.global_pool else self._windows(len(sizes))
        return tiling.on(sizes)

    def _counts(self, data: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the output for data with its channels second."""
        sizes = data[2:]
        if not self.global_pool:
            return (*data[:2], *self._windows(len(sizes)).counts(sizes))
        if 0 in sizes:
            raise ShapeError(f"data is {show(data)}, and there is nothing to pool", tensor="data")
        return (*data[:2], *(1 for _ in sizes))

    def types(self, t: Shapes) -> None:
        t.floating("data", "output")  # type: ignore[attr-defined]
        t.same("data", "output")

    def flops(self, s: Shapes) -> int:
        data = s.full("data")
        if self.global_pool:
            return math.prod(data)
        return math.prod(s.full("output")) * math.prod(self._windows(len(data) - 2).kernel)

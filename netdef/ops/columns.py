"""Windows of images as columns of a matrix, and back."""

from __future__ import annotations

import math
from typing import Any

from netdef.ops import windows
from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Dims
from netdef.ops.shapes import Full, ShapeError, Shapes, prod, show


class _Columns(Op, abstract=True):
    """An operator on all windows of images: images (N, C, S...) against columns (N, C*taps, windows)."""

    kernel = Dims(help="size of the windows: one number for each spatial axis", min=1)
    stride = Dims((), "step between windows; default 1", min=1)
    dilate = Dims((), "distance between the taps of a window; default 1", min=1)
    pad = Dims((), "zeros on both sides; default 0", min=0)

    scratch = ("padded",)
    images, columns = "data", "output"

    def _windows(self, rank: int) -> windows.Windows:
        return windows.windows(rank, self.kernel, self.stride, self.pad, self.dilate)

    def _axes(self, images: Full) -> tuple[windows.Axis, ...]:
        return self._windows(len(images) - 2).on(images[2:])

    def _to_columns(self, s: Shapes) -> None:
        """What the shape of the images says about that of the columns."""
        images = s.rank(self.images, 3, "(batch, channels, spatial axes...)")
        if images is None:
            return
        tiling = self._windows(len(images) - 2)
        taps = math.prod(tiling.kernel)
        rows = None if images[1] is None else images[1] * taps
        count = prod(tiling.counts(images[2:]))
        s.merge(self.columns, (images[0], rows, count), f"{self.images} is {show(images)}")
        n, rows, _ = s[self.columns] or (None, None, None)
        channels = None if rows is None else rows // taps
        s.merge(self.images, (n, channels, *images[2:]), f"{self.columns} is {show(s[self.columns])}")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        images = s.full(self.images)
        axes = self._axes(images)
        if windows.inside(axes):
            return {}
        return {"padded": Workspace((*images[:2], *windows.padded_shape(axes)))}

    def _apart(self, columns: Any, images: Full, axes: tuple[windows.Axis, ...]) -> Any:
        """The columns as (N, C, k..., O...)."""
        kernel, counts = (axis.kernel for axis in axes), (axis.windows for axis in axes)
        return columns.reshape(*images[:2], *kernel, *counts)

    def _gather(self, xp: Any, images: Any, columns: Any, padded: Any) -> None:
        """Copy every tap of every window."""
        axes = self._axes(images.shape)
        if padded is not None:
            padded[...] = 0
            xp.copyto(windows.interior(padded, axes, 2), images)
        source = images if padded is None else padded
        xp.copyto(self._apart(columns, images.shape, axes), windows.taps(xp, source, axes, 2))

    def _scatter(self, xp: Any, columns: Any, images: Any, padded: Any) -> None:
        """Add up what all windows say about each element: the adjoint of `_gather`."""
        axes = self._axes(images.shape)
        target = images if padded is None else padded
        target[...] = 0
        apart = self._apart(columns, images.shape, axes)
        windows.add_taps(xp, apart, windows.taps(xp, target, axes, 2), axes, 2)
        if padded is not None:
            xp.copyto(images, windows.interior(padded, axes, 2))


class Im2Col(_Columns):
    """Every window of images as a column: data (N, C, S...) -> output (N, C*taps, windows).

    Row (c, tap) holds that tap of channel c; what lies in the padding is 0.  MXNet's im2col, for any number
    of spatial axes.
    """

    names = ("im2col",)
    work = 0
    examples = (
        ({"kernel": (2, 2)}, {"data": (2, 3, 3, 4)}),
        (
            {"kernel": (3, 2), "stride": (2, 1), "dilate": (1, 2), "pad": (1, 0)},
            {"data": (2, 2, 4, 5)},
        ),
        ({"kernel": (3,), "pad": (2,)}, {"data": (2, 2, 4)}),
        ({"kernel": (2, 1, 2)}, {"data": (2, 1, 3, 2, 2)}),
    )

    def shape(self, s: Shapes) -> None:
        self._to_columns(s)

    def forward(self, xp: Any, data: Any, output: Any, padded: Any) -> None:
        self._gather(xp, data, output, padded)

    def backward(self, xp: Any, doutput: Any, ddata: Any, padded: Any) -> None:
        self._scatter(xp, doutput, ddata, padded)


class Col2Im(_Columns):
    """The sum of windows that overlap: data (N, C*taps, windows) -> output (N, C, `output_size`).

    The adjoint of Im2Col.  MXNet's col2im.
    """

    output_size = Dims(help="the spatial sizes of the output", min=1)

    images, columns = "output", "data"
    begins = ("data", "output_size")
    names = ("col2im",)
    examples = (
        ({"output_size": (3, 4), "kernel": (2, 2)}, {"data": (2, 12, 6)}),
        (
            {"output_size": (4, 5), "kernel": (3, 2), "stride": (2, 1), "dilate": (1, 2), "pad": (1, 0)},
            {"data": (2, 12, 6)},
        ),
        ({"output_size": (4,), "kernel": (3,), "pad": (2,)}, {"data": (2, 6, 6)}),
    )

    def shape(self, s: Shapes) -> None:
        data = s["data"]
        if data is not None and len(data) != 3:
            raise ShapeError(f"data is {show(data)}, but (N, C*taps, windows) is needed", tensor="data")
        taps = math.prod(self._windows(len(self.output_size)).kernel)
        n, rows, _ = data or (None, None, None)
        if rows is not None and rows % taps:
            told = f"data is {show(data)}, and {rows} is no multiple of the {taps} taps of a window"
            raise ShapeError(told, tensor="data", attribute="kernel")
        channels = None if rows is None else rows // taps
        s.merge("output", (n, channels, *self.output_size), f"data is {show(data)}", "output_size")
        self._to_columns(s)

    def flops(self, s: Shapes) -> int:
        return math.prod(s.full("data"))

    def forward(self, xp: Any, data: Any, output: Any, padded: Any) -> None:
        self._scatter(xp, data, output, padded)

    def backward(self, xp: Any, doutput: Any, ddata: Any, padded: Any) -> None:
        self._gather(xp, doutput, ddata, padded)

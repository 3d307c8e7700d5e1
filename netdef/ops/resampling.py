"""Maps brought to another size: adaptive averages and bilinear interpolation.

Both are linear along each of the two spatial axes, so each is two products with small matrices: output =
rows @ data @ columns^T.
"""

from __future__ import annotations

import struct
from typing import Any

from netdef.ops.arrays import count_up
from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Bool, Dims, Enum, Float, Int
from netdef.ops.shapes import Shape, ShapeError, Shapes, show


class Resampling(Op, abstract=True):
    """data (N, C, H, W) -> output (N, C, H', W'), each row and column a weighted sum of those of data."""

    scratch = ("rows", "columns", "between", "ramp", "mask")

    def weights(self, xp: Any, old: Any, new: Any, matrix: Any, mask: Any) -> None:
        """Write to `matrix` (n', n) what each old place counts for each new one.

        old (n,) and new (n', 1) hold 0, 1, 2, ... and may be overwritten; mask (n', n) is a workspace.
        """
        raise NotImplementedError

    def merge_images(self, s: Shapes) -> Shape:
        """Learn what data and output have in common; returns the shape of data where its rank is known."""
        for name, other in (("output", "data"), ("data", "output"), ("output", "data")):
            s.merge(name, (*(s[other] or (None, None))[:2], None, None), "images (N, C, H, W) are needed")
        return s["data"]

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        (n, c, height, width), (*_, rows, columns) = s.full("data"), s.full("output")
        return {
            "rows": Workspace((rows, height)),
            "columns": Workspace((columns, width)),
            "between": Workspace((n, c, height, columns)),
            "ramp": Workspace((max(height + rows, width + columns),), "float64"),
            "mask": Workspace((max(height * rows, width * columns),), "bool"),
        }

    def macs(self, s: Shapes) -> int:
        (n, c, height, width), (*_, rows, columns) = s.full("data"), s.full("output")
        return n * c * height * columns * (width + rows)

    def flops(self, s: Shapes) -> int:
        return 2 * self.macs(s)

    def _matrices(self, xp: Any, rows: Any, columns: Any, ramp: Any, mask: Any) -> None:
        for matrix in (rows, columns):
            new, old = matrix.shape
            first, second = ramp[:old], ramp[old : old + new]
            count_up(xp, first)
            count_up(xp, second)
            shaped = mask[: matrix.size].reshape(matrix.shape)
            self.weights(xp, first, second.reshape(new, 1), matrix, shaped)

    def forward(
        self, xp: Any, data: Any, output: Any, rows: Any, columns: Any, between: Any, ramp: Any, mask: Any
    ) -> None:
        self._matrices(xp, rows, columns, ramp, mask)
        xp.matmul(data, columns.T, out=between)
        xp.matmul(rows, between, out=output)

    def backward(
        self, xp: Any, doutput: Any, ddata: Any, rows: Any, columns: Any, between: Any, ramp: Any, mask: Any
    ) -> None:
        self._matrices(xp, rows, columns, ramp, mask)
        xp.matmul(rows.T, doutput, out=between)
        xp.matmul(between, columns, out=ddata)


class AdaptiveAvgPooling2D(Resampling):
    """Averages over windows that divide the map as evenly as can be: data -> output.

    data (N, C, H, W), output (N, C, H', W').  Place i of n' along an axis of size n is the mean of the places
    from floor(i n / n') to, and without, ceil((i + 1) n / n').  MXNet's contrib.AdaptiveAvgPooling2D.
    """

    output_size = Dims((), "H' and W', or one number for both; default 1", min=1)

    names = ("_contrib_AdaptiveAvgPooling2D",)
    examples = (
        ({"output_size": (2, 3)}, {"data": (4, 2, 3, 5)}),
        ({"output_size": 4}, {"data": (4, 1, 3, 2)}),
        ({}, {"data": (4, 2, 3, 2)}),
    )

    def shape(self, s: Shapes) -> None:
        if len(self.output_size) > 2:
            told = f"output_size has {len(self.output_size)} numbers, but there are two spatial axes"
            raise ShapeError(told, attribute="output_size", hint="give one or two")
        size = (self.output_size * 2)[:2] or (1, 1)
        s.merge("output", (None, None, *size), "output_size says so", "output_size")
        self.merge_images(s)

    def weights(self, xp: Any, old: Any, new: Any, matrix: Any, mask: Any) -> None:
        # place j lies in window i where j n' < (i + 1) n and (j + 1) n' > i n: where -n' < j n' - i n < n
        after, before = matrix.shape
        xp.multiply(old, after, out=old)
        xp.multiply(new, before, out=new)
        xp.subtract(old, new, out=matrix)
        xp.less(matrix, before, out=mask)
        xp.copyto(matrix, -after, where=xp.logical_not(mask, out=mask))
        xp.greater(matrix, -after, out=mask)
        mask.sum(axis=1, keepdims=True, out=new)
        xp.divide(mask, new, out=matrix)


def single(number: float) -> float:
    """A number rounded to single precision."""
    rounded: float = struct.unpack("f", struct.pack("f", number))[0]
    return rounded


class BilinearResize2D(Resampling):
    """Bilinear interpolation to another size: data[, like] -> output.

    data (N, C, H, W), output (N, C, H', W').  With `align_corners` the outermost places lie on each other;
    without it those of the map's edges, and places beyond the outermost count as these.  A single row or
    column is the first one of data.  The size is

    * size: `height` and `width`, or with both scales floor(scale * n);
    * odd_scale: floor(scale * n) of an even size n, floor(scale * (n - 1)) + 1 of an odd one;
    * like: that of the second input, which gets no gradient;
    * to_even_down, to_even_up, to_odd_down, to_odd_up: the nearest such size, n itself where it is one.

    MXNet's contrib.BilinearResize2D.
    """

    height = Int(1, "height of the output", min=1)
    width = Int(1, "width of the output", min=1)
    scale_height = Float(None, "what the height is multiplied by")
    scale_width = Float(None, "what the width is multiplied by")
    mode = Enum(
        "size",
        "odd_scale",
        "like",
        "to_even_down",
        "to_even_up",
        "to_odd_down",
        "to_odd_up",
        default="size",
        help="where the size comes from",
    )
    align_corners = Bool(True, "whether the outermost places lie on each other, or the edges")

    names = ("_contrib_BilinearResize2D",)
    inputs = ("data", "like")
    examples = (
        ({"height": 5, "width": 2}, {"data": (4, 2, 3, 4)}),
        ({"height": 2, "width": 7, "align_corners": False}, {"data": (4, 2, 3, 4)}),
        ({"mode": "like"}, {"data": (4, 2, 3, 4), "like": (1, 3, 6, 1)}),
        ({"scale_height": 2, "scale_width": 0.5}, {"data": (4, 1, 3, 4)}),
    )

    def input_names(self) -> tuple[str, ...]:
        return self.inputs if self.mode == "like" else self.inputs[:1]

    def shape(self, s: Shapes) -> None:
        data = self.merge_images(s)
        if self.mode == "like":
            s.merge("like", (None, None, *(s["output"] or ())[2:]))
            size = (s["like"] or ())[2:]
        else:
            if (self.scale_height is None) != (self.scale_width is None) or (
                self.mode == "odd_scale" and self.scale_height is None
            ):
                raise ShapeError("give both scale_height and scale_width", attribute="scale_height")
            old = (data or ())[2:]
            scales, sizes = (self.scale_height, self.scale_width), (self.height, self.width)
            size = tuple(self._size(*known) for known in zip(old, scales, sizes))
        s.merge("output", (None, None, *size), f"data is {show(data)} and mode {self.mode}", "mode")

    def _size(self, old: int | None, scale: float | None, size: int) -> int | None:
        """The new size of an axis."""
        if self.mode == "size" and scale is None:
            return size
        if old is None:
            return None
        odd = old % 2
        if self.mode in ("size", "odd_scale"):
            rest = odd if self.mode == "odd_scale" else 0
            return int(single(single(scale or 0) * (old - rest))) + rest
        change = 1 if self.mode.endswith("up") else -1
        return old if odd == ("odd" in self.mode) else old + change

    def weights(self, xp: Any, old: Any, new: Any, matrix: Any, mask: Any) -> None:
        after, before = matrix.shape
        if self.align_corners:
            xp.multiply(new, (before - 1) / max(1, after - 1), out=new)
        else:
            xp.add(new, 0.5, out=new)
            xp.multiply(new, before / after if after > 1 else 0, out=new)
            xp.subtract(new, 0.5, out=new)
            xp.clip(new, 0, before - 1, out=new)
        # what lies at a distance d from the place counts 1 - d, as far as that is positive
        xp.subtract(new, old, out=matrix)
        xp.absolute(matrix, out=matrix)
        xp.subtract(1, matrix, out=matrix)
        xp.maximum(matrix, 0, out=matrix)

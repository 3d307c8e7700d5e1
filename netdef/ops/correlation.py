"""Correlation of two images."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

from netdef.ops import windows
from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Bool, Int
from netdef.ops.shapes import Full, ShapeError, Shapes, show


class Correlation(Op):
    """Compare each patch of one image with the patches around the same place of another.

    data1, data2 (N, C, H, W) -> output (N, D * D, h, w).  Both are padded by `pad_size`.  A patch is
    `kernel_size` high and wide, odd; patches of data1 lie `stride1` apart and far enough from the borders for
    all displacements.  Those go up to `max_displacement` along each axis in steps of `stride2`: D = 2 *
    (max_displacement // stride2) + 1 of them, rows first.  Two patches give the mean over elements and
    channels of their products or, without `is_multiply`, of their absolute differences; equal elements then
    have the slope of a larger one in data1.

    Dosovitskiy et al. 2015; MXNet's Correlation.
    """

    kernel_size = Int(1, "height and width of a patch, odd", min=1)
    max_displacement = Int(1, "how far away along each axis a patch may be", min=0)
    stride1 = Int(1, "step between the patches of data1", min=1)
    stride2 = Int(1, "step between displacements", min=1)
    pad_size = Int(0, "zeros added on all sides", min=0)
    is_multiply = Bool(True, "multiply elements, rather than take their absolute difference")

    inputs = ("data1", "data2")
    scratch = ("padded", "adjoint", "product", "total", "partial", "mark")
    counted = 3
    examples = (
        ({"pad_size": 1}, {"data1": (2, 3, 4, 3), "data2": (2, 3, 4, 3)}),
        (
            {"kernel_size": 3, "max_displacement": 2, "stride1": 2, "stride2": 2, "pad_size": 3},
            {"data1": (2, 2, 5, 6), "data2": (2, 2, 5, 6)},
        ),
        ({"kernel_size": 3, "is_multiply": False}, {"data1": (2, 2, 5, 6), "data2": (2, 2, 5, 6)}),
        ({"max_displacement": 0}, {"data1": (2, 2, 3, 3), "data2": (2, 2, 3, 3)}),
    )

    @property
    def _reach(self) -> int:
        """How many steps there are from the middle to the furthest displacement."""
        return self.max_displacement // self.stride2

    def _count(self, size: int) -> int:
        """How many patches lie along an axis."""
        room = size + 2 * self.pad_size - 2 * (self.max_displacement + self.kernel_size // 2)
        return -(-room // self.stride1)

    def shape(self, s: Shapes) -> None:
        if self.kernel_size % 2 == 0:
            raise ShapeError(
                f"kernel_size is {self.kernel_size}, but a patch needs a middle",
                attribute="kernel_size",
                hint="give an odd number",
            )
        for name in self.inputs:
            s.merge(name, (None, None, None, None), "images are needed, (batch, channels, height, width)")
        s.same(*self.inputs)
        data = s["data1"] or (None,) * 4
        counts = []
        for size in data[2:]:
            count = None if size is None else self._count(size)
            if count is not None and count < 1:
                raise ShapeError(
                    f"no patch of {self.kernel_size} fits images of {show(data[2:])} with a displacement of "
                    f"{self.max_displacement} on all sides",
                    tensor="data1",
                    attribute="max_displacement",
                    hint="a larger pad_size makes room",
                )
            counts.append(count)
        whole = (data[0], (2 * self._reach + 1) ** 2, *counts)
        s.merge("output", whole, f"data1 is {show(data)} and gives {show(whole)}")
        for name in self.inputs:
            s.merge(name, ((s["output"] or (None,))[0], None, None, None), f"output is {show(s['output'])}")

    def _axes(self, data: Full) -> tuple[windows.Axis, ...]:
        """The patches on the part of data1 that they cover."""
        axes = []
        for size in data[2:]:
            count = self._count(size)
            span = (count - 1) * self.stride1 + self.kernel_size
            axes.append(windows.Axis(span, self.kernel_size, self.stride1, 0, 1, windows=count))
        return tuple(axes)

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        data = s.full("data1")
        axes = self._axes(data)
        spans = tuple(axis.size for axis in axes)
        total = (data[0], *spans)
        padded = Workspace((2, *data[:2], *(size + 2 * self.pad_size for size in data[2:])))
        return {
            "padded": padded,
            "product": Workspace((*data[:2], *spans)),
            "total": Workspace(total),
            "partial": Workspace((sum(math.prod(shape) for shape in windows.between(axes, total, 1)),)),
            **({"adjoint": padded, "mark": Workspace((*data[:2], *spans), "bool")} if backward else {}),
        }

    def macs(self, s: Shapes) -> int:
        return math.prod(s.full("output")) * self.kernel_size**2 * s.full("data1")[1]

    # -- kernels ---------------------------------------------------------------------------------------------

    def _load(self, xp: Any, images: tuple[Any, Any], padded: Any) -> None:
        """Copy both images, with zeros around."""
        padded[...] = 0
        for image, target in zip(images, padded):
            xp.copyto(self._inside(target), image)

    def _inside(self, padded: Any) -> Any:
        height, width = padded.shape[-2:]
        pad = self.pad_size
        return padded[..., pad : height - pad, pad : width - pad]

    def _pairs(self, arrays: Any, axes: tuple[windows.Axis, ...]) -> Iterator[tuple[Any, Any]]:
        """For each displacement, the part of two padded arrays that is compared."""
        first, second = arrays
        steps = range(-self._reach, self._reach + 1)
        for moves in itertools.product(steps, steps):
            here = [slice(self.max_displacement, self.max_displacement + axis.size) for axis in axes]
            there = [
                slice(part.start + move * self.stride2, part.stop + move * self.stride2)
                for part, move in zip(here, moves)
            ]
            yield first[windows.along(2, *here)], second[windows.along(2, *there)]

    def forward(
        self,
        xp: Any,
        data1: Any,
        data2: Any,
        output: Any,
        padded: Any,
        product: Any,
        total: Any,
        partial: Any,
    ) -> None:
        axes = self._axes(data1.shape)
        self._load(xp, (data1, data2), padded)
        for number, (here, there) in enumerate(self._pairs(padded, axes)):
            if self.is_multiply:
                xp.multiply(here, there, out=product)
            else:
                xp.subtract(here, there, out=product)
                xp.absolute(product, out=product)
            product.sum(axis=1, out=total)
            windows.reduce(xp, xp.add, 0, total, axes, 1, output[:, number], partial)
        xp.divide(output, self.kernel_size**2 * data1.shape[1], out=output)

    def backward(
        self,
        xp: Any,
        doutput: Any,
        data1: Any,
        data2: Any,
        ddata1: Any,
        ddata2: Any,
        padded: Any,
        adjoint: Any,
        product: Any,
        total: Any,
        partial: Any,
        mark: Any,
    ) -> None:
        axes = self._axes(data1.shape)
        self._load(xp, (data1, data2), padded)
        adjoint[...] = 0
        pairs = zip(self._pairs(padded, axes), self._pairs(adjoint, axes))
        for number, ((here, there), (back_here, back_there)) in enumerate(pairs):
            windows.distribute(xp, doutput[:, number], axes, 1, total, partial)
            heads = total[:, None]
            if self.is_multiply:
                xp.multiply(heads, there, out=product)
                xp.add(back_here, product, out=back_here)
                xp.multiply(heads, here, out=product)
                xp.add(back_there, product, out=back_there)
            else:
                xp.copyto(product, heads)
                xp.less(here, there, out=mark)
                xp.negative(product, out=product, where=mark)
                xp.add(back_here, product, out=back_here)
                xp.subtract(back_there, product, out=back_there)
        for gradient, back in zip((ddata1, ddata2), adjoint):
            if gradient is not None:
                xp.divide(self._inside(back), self.kernel_size**2 * data1.shape[1], out=gradient)

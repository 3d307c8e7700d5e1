"""Local response normalisation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from netdef.ops import windows
from netdef.ops.base import WIDE, Cut, Op, Workspace, wide
from netdef.ops.fields import Enum, Float, Int
from netdef.ops.foreign import As, Fixed, To
from netdef.ops.map_order import MapOrder, order_of, orders
from netdef.ops.shapes import Full, ShapeError, Shapes

#: numbers in a block, which several passes go over
BLOCK = 64 * 1024

ACROSS_CHANNELS, WITHIN_CHANNEL = "ACROSS_CHANNELS", "WITHIN_CHANNEL"


class LRN(Op):
    """Divide every element by a power of its neighbours' squares (Krizhevsky et al. 2012).

    output = data * scale ** -beta, all of the shape of data (N, C, S...):

    * ACROSS_CHANNELS (MXNet): scale = knorm + alpha / nsize * (sum of data ** 2 over `nsize` channels around)
    * WITHIN_CHANNEL (added from Caffe): scale = 1 + alpha * (mean of data ** 2 over `nsize` positions around,
      along every spatial axis); `knorm` is not used

    Beyond the edges data counts as 0, and the windows keep their size.  The gradient is exact.
    """

    nsize = Int(min=1, help="width of the window, an odd number")
    alpha = Float(1e-4, "factor of the squares")
    beta = Float(0.75, "exponent")
    knorm = Float(2.0, "added to the squares; not used within a channel")
    norm_region = Enum(
        ACROSS_CHANNELS, WITHIN_CHANNEL, default=ACROSS_CHANNELS, help="where an element's neighbours are"
    )

    begins = ("data", "alpha", "beta", "knorm", "nsize")
    outputs = ("output", "scale")
    batched = ("data", *outputs)
    batch_last = True
    scratch = ("values", "sums", "partial")
    inplace = (("data", "output"), ("doutput", "ddata"))
    onnx = (
        As(
            "LRN",
            nsize="size",
            alpha="alpha",
            beta="beta",
            knorm=To("bias", absent=1.0),
            norm_region=Fixed(ACROSS_CHANNELS),
        ),
    )
    examples = (
        ({"nsize": 3, "alpha": 0.5}, {"data": (2, 5, 3, 2)}),
        ({"nsize": 5, "alpha": 1.0, "beta": 0.5, "knorm": 1.0}, {"data": (2, 3)}),
        ({"nsize": 3, "alpha": 2.0, "norm_region": WITHIN_CHANNEL}, {"data": (2, 2, 4, 5)}),
        ({"nsize": 5, "alpha": 2.0, "beta": 1.0, "norm_region": WITHIN_CHANNEL}, {"data": (2, 2, 3)}),
    )

    @property
    def _first(self) -> int:
        """The first axis that windows lie along."""
        return 1 if self.norm_region == ACROSS_CHANNELS else 2

    def shape(self, s: Shapes) -> None:
        if self.nsize % 2 == 0:
            raise ShapeError(
                f"a window of {self.nsize} has no centre",
                attribute="nsize",
                hint=f"{self.nsize - 1} or {self.nsize + 1} would do",
            )
        meaning = "(batch, channels, ...)" if self._first == 1 else "(batch, channels, spatial axes...)"
        s.rank("data", self._first + 1, meaning)
        s.same("data", "output", "scale")

    def types(self, t: Shapes) -> None:
        t.same("data", "output")
        if t["data"] is not None:
            t.merge("scale", wide(t["data"]))  # type: ignore[arg-type]

    def cuts(self, s: Shapes, backward: bool) -> tuple[Cut, ...]:
        """By images; one alone by channels or, where windows lie across these, by rows."""
        data = s.full("data")
        other = 2 if self.norm_region == ACROSS_CHANNELS else 1
        return (Cut(dict.fromkeys(self.batched, other if data[0] == 1 and len(data) > other else 0)),)

    def _axes(self, data: Full) -> tuple[windows.Axis, ...]:
        sizes = data[1:2] if self.norm_region == ACROSS_CHANNELS else data[2:]
        return windows.windows(len(sizes), (self.nsize,), pad=(self.nsize // 2,)).on(sizes)

    def _factor(self, axes: Sequence[windows.Axis]) -> float:
        factor: float = self.alpha / self.nsize ** len(axes)
        return factor

    def _first_of(self, order: MapOrder) -> int:
        """The first axis that windows lie along, where the axes are in some order."""
        return order.axes.index(1) if self.norm_region == ACROSS_CHANNELS else order.first

    def _cut(self, order: MapOrder, data: Full) -> tuple[int, int]:
        """An axis that no window lies along, and how many of its elements make a block of data in order."""
        axis = 0 if self._first_of(order) else 1
        others = math.prod(data) // max(1, data[axis])
        return axis, max(1, min(data[axis], BLOCK // max(1, others)))

    def _blocks(self, order: MapOrder, data: Full) -> Iterator[tuple[slice, ...]]:
        axis, count = self._cut(order, data)
        for start in range(0, data[axis], count):
            yield windows.along(axis, slice(start, min(start + count, data[axis])))

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        data = s.full("data")
        axes = self._axes(data)
        block = partial = 0
        for order in orders(len(data)):
            shape = order.shape(data)
            axis, count = self._cut(order, shape)
            shape = (*shape[:axis], count, *shape[axis + 1 :])
            between = windows.between(axes, shape, self._first_of(order))
            block = max(block, math.prod(shape))
            partial = max(partial, sum(math.prod(shape) for shape in between))
        return {
            "values": Workspace((block,), WIDE),
            "sums": Workspace((block,), WIDE),
            "partial": Workspace((partial,), WIDE),
        }

    def flops(self, s: Shapes) -> int:
        data = s.full("data")
        each: int = self.nsize * len(self._axes(data)) + 5
        return math.prod(data) * each

    def forward(
        self, xp: Any, data: Any, output: Any, scale: Any, values: Any, sums: Any, partial: Any
    ) -> None:
        axes, order = self._axes(data.shape), order_of(data)
        first = self._first_of(order)
        data, output, scale = (order.view(array) for array in (data, output, scale))
        for block in self._blocks(order, data.shape):
            part = data[block]
            work, total = (windows.carve(space, part.shape) for space in (values, sums))
            xp.multiply(part, part, out=work, dtype=work.dtype)
            windows.reduce(xp, xp.add, 0, work, axes, first, total, partial)
            xp.multiply(total, self._factor(axes), out=total)
            xp.add(total, self.knorm if self.norm_region == ACROSS_CHANNELS else 1.0, out=total)
            if scale is not None:
                xp.copyto(scale[block], total)
            xp.power(total, -self.beta, out=work)
            xp.multiply(part, work, out=output[block])

    def backward(
        self, xp: Any, doutput: Any, data: Any, scale: Any, ddata: Any, values: Any, sums: Any, partial: Any
    ) -> None:
        if ddata is None:
            return
        axes, order = self._axes(data.shape), order_of(data)
        first = self._first_of(order)
        doutput, data, scale, ddata = (order.view(array) for array in (doutput, data, scale, ddata))
        for block in self._blocks(order, data.shape):
            part, gradient = data[block], ddata[block]
            work, total = (windows.carve(space, part.shape) for space in (values, sums))
            xp.copyto(total, scale[block])
            xp.power(total, -self.beta, out=work)
            xp.multiply(doutput[block], work, out=gradient)
            # What reaches an element through the scales it is part of; the window is its own adjoint.
            xp.multiply(gradient, part, out=work)
            xp.divide(work, total, out=work)
            windows.reduce(xp, xp.add, 0, work, axes, first, total, partial)
            xp.multiply(total, part, out=total)
            xp.multiply(total, 2 * self._factor(axes) * self.beta, out=total)
            xp.subtract(gradient, total, out=gradient)

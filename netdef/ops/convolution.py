"""Convolution."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from netdef.ops import windows
from netdef.ops.arrays import write_back
from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Bool, Dims, Int
from netdef.ops.foreign import As, Fixed, Lost
from netdef.ops.shapes import Full, ShapeError, Shapes, show

#: floats in the columns and products of a block, and in an image, so that they stay in the second-level cache
BLOCK = 256 * 1024
#: floats that a slab of images has at least, so that the calls it takes are worth it
SLAB = 32 * 1024
#: neighbouring floats that a copy should run over, and bounds for the number of images that make it so
RUN, FEW, MANY = 128, 8, 16


class Convolution(Op):
    """Correlation of the spatial axes of data with `num_filter` filters, summed over the channels of a group.

    data (N..., C, S...) -> output (N..., num_filter, O...): axis `axis` holds the channels, all before it are
    batch axes, and O follows the `valid` rule of `windows.count`.  weight (num_filter, C / num_group, k...),
    bias (num_filter,).  Any number of spatial axes, even none.  `kernel`, `stride` (default 1), `dilate`
    (default 1) and `pad` (default 0) are one number, or one for each spatial axis.

    MXNet's Convolution, with Caffe's `axis` added.
    """

    kernel = Dims(help="size of the filters: one number, or one for each spatial axis", min=1)
    stride = Dims((), "step between windows; default 1", min=1)
    dilate = Dims((), "step between the elements of a window; default 1", min=1)
    pad = Dims((), "zeros added on both sides; default 0", min=0)
    num_filter = Int(min=1, help="number of filters: channels of the output")
    num_group = Int(1, "groups of channels that are convolved apart from each other", min=1)
    no_bias = Bool(False, "leave out the bias")
    axis = Int(1, "axis of the channels; negative counts from the end")

    inputs = ("data", "weight", "bias")
    scratch = ("image", "adjoint", "columns", "product", "share", "total")
    names = ("Convolution", "Convolution_v1")
    onnx = (
        As(
            "Conv",
            kernel="kernel_shape",
            stride="strides",
            dilate="dilations",
            pad="pads",
            num_filter=Lost("the shape of the weight says it"),
            num_group="group",
            no_bias=Lost("the absence of the third input says it"),
            axis=Fixed(1),
        ),
    )
    examples = (
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
    )

    def input_names(self) -> tuple[str, ...]:
        return self.inputs[:2] if self.no_bias else self.inputs

    # -- shapes ----------------------------------------------------------------------------------------------

    def _windows(self, rank: int) -> windows.Windows:
        return windows.windows(rank, self.kernel, self.stride, self.pad, self.dilate)

    def shape(self, s: Shapes) -> None:
        filters = f"num_filter is {self.num_filter}"
        s.merge("bias", (self.num_filter,), filters, attribute="num_filter")
        self._require_groups_of(self.num_filter, "filters")
        data = s["data"]
        if data is None:
            return
        at = s.axis("data", self.axis)
        channels, sizes = data[at], data[at + 1 :]
        tiling = self._windows(len(sizes))
        if channels is not None:
            self._require_groups_of(channels, "channels")
        group = None if channels is None else channels // self.num_group
        weight = (self.num_filter, group, *tiling.kernel)
        s.merge("weight", weight, f"data is {show(data)} and the attributes ask for {show(weight)}")
        s.merge(
            "output", (*data[:at], self.num_filter, *tiling.counts(sizes)), f"data is {show(data)}, {filters}"
        )
        output = s["output"] or ()
        s.merge("data", (*output[:at], None, *tiling.sizes(output[at + 1 :])), f"output is {show(output)}")

    def _require_groups_of(self, number: int, what: str) -> None:
        if number < 1:
            raise ShapeError(f"data has no {what}", tensor="data")
        if number % self.num_group:
            raise ShapeError(
                f"{self.num_group} groups do not divide {number} {what}",
                tensor="data",
                attribute="num_group",
                hint=f"group: {math.gcd(number, self.num_group)} would do",
                kind="group-not-dividing-channels",
            )

    def _layout(self, data: Full) -> _Layout:
        at = self.axis % len(data)
        axes = self._windows(len(data) - at - 1).on(data[at + 1 :])
        return _Layout(math.prod(data[:at]), data[at], self.num_filter, self.num_group, axes)

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        layout = self._layout(s.full("data"))
        sums = Workspace((layout.filters * layout.inner,))
        needed = {"share": sums, "total": sums} if backward else {}
        if not layout.pointwise:
            image = Workspace((math.prod(layout.image(layout.images)),))
            needed["image"] = image
            needed["columns"] = Workspace((math.prod(layout.columns(layout.rows, layout.images)),))
            needed["product"] = Workspace((math.prod(layout.product(layout.rows, layout.images)),))
            if backward:
                needed["adjoint"] = image
        return needed

    def macs(self, s: Shapes) -> int:
        return math.prod(s.full("output")) * math.prod(s.full("weight")[1:])

    # -- kernels ---------------------------------------------------------------------------------------------

    def forward(
        self, xp: Any, data: Any, weight: Any, bias: Any, output: Any, image: Any, columns: Any, product: Any
    ) -> None:
        layout = self._layout(data.shape)
        matrix = weight.reshape(layout.groups, -1, layout.inner)
        images, results = layout.batched(data), layout.batched(output)
        if layout.pointwise:
            _forward_pointwise(xp, layout, images, matrix, bias, results)
        else:
            _forward_in_blocks(xp, layout, images, matrix, bias, results, image, columns, product)
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
        image: Any,
        adjoint: Any,
        columns: Any,
        product: Any,
        share: Any,
        total: Any,
    ) -> None:
        layout = self._layout(data.shape)
        across = weight.reshape(layout.groups, -1, layout.inner).swapaxes(1, 2)
        upper, lower = layout.batched(doutput), layout.batched(data)
        below = None if ddata is None else layout.batched(ddata)
        if dweight is None:
            total = None
        else:
            # Summed as (groups, inner, filters of a group): OpenBLAS is quickest that way round.
            share, total = (array.reshape(layout.groups, layout.inner, -1) for array in (share, total))
            total[...] = 0
        if layout.pointwise:
            _backward_pointwise(xp, layout, upper, lower, across, below, share, total)
        else:
            workspaces = image, adjoint, columns, product
            _backward_in_blocks(xp, layout, upper, lower, across, below, share, total, *workspaces)
        if ddata is not None:
            write_back(xp, below, ddata)
        if dweight is not None:
            by_group = dweight.reshape(layout.groups, -1, *dweight.shape[1:])
            xp.copyto(by_group, xp.moveaxis(total.reshape(layout.groups, *dweight.shape[1:], -1), -1, 1))
        if dbias is not None:
            xp.sum(upper, axis=(0, *range(2, upper.ndim)), out=dbias)


class _Layout(NamedTuple):
    """The sizes of one convolution, and how its arrays are cut into pieces and seen as matrices.

    A slab is a few images, copied to `image` with the batch last.  A block is a few rows of a slab's output:
    its columns (im2col, Chellapilla et al. 2006) times the weight are its products.
    """

    batch: int
    channels: int
    filters: int
    groups: int
    axes: tuple[windows.Axis, ...]

    @property
    def inner(self) -> int:
        """Products that are summed into one element of the output."""
        return self.channels // self.groups * math.prod(axis.kernel for axis in self.axes)

    @property
    def pointwise(self) -> bool:
        """Whether the data itself is the columns: filters of one element that visit every element once."""
        return all(axis.kernel == axis.stride == 1 and not axis.pad for axis in self.axes)

    @property
    def images(self) -> int:
        """Images in a slab: enough for long copies and for few calls, not more than stay in the cache."""
        run = self.axes[-1].windows if self.axes[-1].stride == 1 else 1
        enough = max(min(MANY, max(FEW, RUN // run)), SLAB // self._block(self.axes[0].windows, 1))
        return max(1, min(self.batch, enough, self._cached // math.prod(self.image(1))))

    @property
    def rows(self) -> int:
        """Rows in a block, so that it stays in the cache and blocks are about equal."""
        count = self.axes[0].windows
        blocks = -(-count // max(1, self._cached // self._block(1, self.images)))
        return -(-count // blocks)

    @property
    def _cached(self) -> int:
        """Floats in a buffer: a weight beyond the cache is read for every block, which may be as large."""
        return max(BLOCK, self.filters * self.inner)

    def _block(self, rows: int, images: int) -> int:
        return math.prod(self.columns(rows, images)) + math.prod(self.product(rows, images))

    def image(self, images: int) -> Full:
        return (self.channels, *windows.padded_shape(self.axes), images)

    def columns(self, rows: int, images: int) -> Full:
        return (self.channels, *(axis.kernel for axis in self.axes), *self.product(rows, images)[1:])

    def product(self, rows: int, images: int) -> Full:
        return (self.filters, rows, *(axis.windows for axis in self.axes[1:]), images)

    def slabs(self, *workspaces: Any) -> Iterator[tuple[Any, ...]]:
        """The slabs of the batch, each with its part of the workspaces for images."""
        for start in range(0, self.batch, self.images):
            slab = slice(start, min(start + self.images, self.batch))
            yield slab, *(windows.carve(space, self.image(slab.stop - start)) for space in workspaces)

    def blocks(self, columns: Any, product: Any, images: int) -> Iterator[tuple[slice, Any, Any]]:
        """The blocks of rows, each with its part of the workspaces."""
        count = self.axes[0].windows
        for start in range(0, count, self.rows):
            rows = slice(start, min(start + self.rows, count))
            shapes = self.columns(rows.stop - start, images), self.product(rows.stop - start, images)
            yield rows, windows.carve(columns, shapes[0]), windows.carve(product, shapes[1])

    def of_rows(self, taps: Any, rows: slice) -> Any:
        """The part of the taps (C, k..., O..., N) that belongs to some rows of the output."""
        return taps[windows.along(1 + len(self.axes), rows)]

    def matrices(self, array: Any) -> Any:
        """Columns or products as one matrix for each group, a column for each window of each image."""
        return array.reshape(self.groups, -1, math.prod(array.shape[-len(self.axes) - 1 :]))

    def grouped(self, array: Any) -> Any:
        """(N, channels, S...) as one matrix for each image and group, a column for each position."""
        channels = array.shape[1] // self.groups
        return array.reshape(self.batch, self.groups, channels, math.prod(array.shape[2:]))

    def batched(self, array: Any) -> Any:
        """An array with all its batch axes made one."""
        rank = len(self.axes) + 2
        return (
            array if array.ndim == rank else array.reshape(self.batch, *array.shape[array.ndim - rank + 1 :])
        )

    def by_channel(self, bias: Any, trailing: int) -> Any:
        """A bias that broadcasts against (..., channels, S...) with `trailing` further axes."""
        return bias.reshape(-1, *(1,) * (len(self.axes) + trailing))


def _forward_pointwise(xp: Any, layout: _Layout, data: Any, matrix: Any, bias: Any, output: Any) -> None:
    """One product for each image and group, with nothing copied."""
    flat = layout.grouped(output)
    xp.matmul(matrix, layout.grouped(data), out=flat)
    write_back(xp, flat, output)
    if bias is not None:
        xp.add(output, layout.by_channel(bias, 0), out=output)


def _backward_pointwise(
    xp: Any, layout: _Layout, doutput: Any, data: Any, across: Any, ddata: Any, share: Any, total: Any
) -> None:
    heads = layout.grouped(doutput)
    if ddata is not None:
        flat = layout.grouped(ddata)
        xp.matmul(across, heads, out=flat)
        write_back(xp, flat, ddata)
    if total is not None:
        for values, head in zip(layout.grouped(data), heads):
            xp.matmul(values, head.swapaxes(1, 2), out=share)
            xp.add(total, share, out=total)


def _forward_in_blocks(
    xp: Any,
    layout: _Layout,
    data: Any,
    matrix: Any,
    bias: Any,
    output: Any,
    image: Any,
    columns: Any,
    product: Any,
) -> None:
    """One product for each block and group."""
    for slab, here in layout.slabs(image):
        windows.load(xp, data[slab], layout.axes, here)
        taps = windows.taps(xp, here, layout.axes, 1)
        target = xp.moveaxis(output[slab], 0, -1)
        for rows, cols, products in layout.blocks(columns, product, here.shape[-1]):
            xp.copyto(cols, layout.of_rows(taps, rows))
            xp.matmul(matrix, layout.matrices(cols), out=layout.matrices(products))
            if bias is not None:
                xp.add(products, layout.by_channel(bias, 1), out=products)
            xp.copyto(target[:, rows], products)


def _backward_in_blocks(
    xp: Any,
    layout: _Layout,
    doutput: Any,
    data: Any,
    across: Any,
    ddata: Any,
    share: Any,
    total: Any,
    image: Any,
    adjoint: Any,
    columns: Any,
    product: Any,
) -> None:
    """The columns serve twice in each block: for the weight's gradient, then for that of the data."""
    for slab, here, back in layout.slabs(image, adjoint):
        if total is not None:
            windows.load(xp, data[slab], layout.axes, here)
        if ddata is not None:
            back[...] = 0
        taps, taps_back = (windows.taps(xp, array, layout.axes, 1) for array in (here, back))
        source = xp.moveaxis(doutput[slab], 0, -1)
        for rows, cols, products in layout.blocks(columns, product, here.shape[-1]):
            xp.copyto(products, source[:, rows])
            heads = layout.matrices(products)
            if total is not None:
                xp.copyto(cols, layout.of_rows(taps, rows))
                xp.matmul(layout.matrices(cols), heads.swapaxes(1, 2), out=share)
                xp.add(total, share, out=total)
            if ddata is not None:
                xp.matmul(across, heads, out=layout.matrices(cols))
                windows.add_taps(xp, cols, layout.of_rows(taps_back, rows), layout.axes)
        if ddata is not None:
            windows.unload(xp, back, layout.axes, ddata[slab])

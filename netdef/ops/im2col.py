"""Convolution as products of matrices: the kernels that convolution and deconvolution share.

Deconvolution is the gradient of a convolution, so that its forward pass is `gradients` and its gradient
`correlate`.  Everything works for any number of spatial axes and any strides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from netdef.ops import windows
from netdef.ops.arrays import write_back
from netdef.ops.base import Workspace
from netdef.ops.shapes import Full

#: floats in the columns and products of a block, and in an image, so that they stay in the second-level cache
BLOCK = 256 * 1024
#: floats that a slab of images has at least, so that the calls it takes are worth it
SLAB = 32 * 1024
#: neighbouring floats that a copy should run over, and bounds for the number of images that make it so
RUN, FEW, MANY = 128, 8, 16

#: the workspaces that the kernels may need
SCRATCH = ("image", "adjoint", "columns", "product", "share", "total")


class Im2Col(NamedTuple):
    """The sizes of one convolution, and how its arrays are cut into pieces and seen as matrices.

    data (batch, channels, S...) -> output (batch, filters, O...), weight (filters, channels / groups, k...).
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

    def workspaces(self, *needed: str) -> dict[str, Workspace]:
        """What is needed of the workspaces named; the products of whole images need no pieces."""
        sums = Workspace((self.filters * self.inner,))
        spaces = {"share": sums, "total": sums}
        if not self.pointwise:
            spaces["image"] = spaces["adjoint"] = Workspace((math.prod(self.image(self.images)),))
            spaces["columns"] = Workspace((math.prod(self.columns(self.rows, self.images)),))
            spaces["product"] = Workspace((math.prod(self.product(self.rows, self.images)),))
        return {name: spaces[name] for name in needed if name in spaces}

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

    def by_channel(self, bias: Any, trailing: int) -> Any:
        """A bias that broadcasts against (..., channels, S...) with `trailing` further axes."""
        return bias.reshape(-1, *(1,) * (len(self.axes) + trailing))


def correlate(
    xp: Any,
    sizes: Im2Col,
    data: Any,
    weight: Any,
    bias: Any,
    output: Any,
    image: Any,
    columns: Any,
    product: Any,
) -> None:
    """output = data convolved with weight, plus bias where there is one."""
    matrix = weight.reshape(sizes.groups, -1, sizes.inner)
    if sizes.pointwise:
        _forward_pointwise(xp, sizes, data, matrix, bias, output)
    else:
        _forward_in_blocks(xp, sizes, data, matrix, bias, output, image, columns, product)


def gradients(
    xp: Any,
    sizes: Im2Col,
    doutput: Any,
    data: Any,
    weight: Any,
    ddata: Any,
    dweight: Any,
    image: Any,
    adjoint: Any,
    columns: Any,
    product: Any,
    share: Any,
    total: Any,
) -> None:
    """The gradients of `correlate`: ddata from doutput and weight, dweight from doutput and data.

    What is `None` is not wanted, and then neither what only it is made from.
    """
    across = None
    if ddata is not None:
        across = weight.reshape(sizes.groups, -1, sizes.inner).swapaxes(1, 2)
    if dweight is None:
        total = None
    else:
        # Summed as (groups, inner, filters of a group): OpenBLAS is quickest that way round.
        share, total = (array.reshape(sizes.groups, sizes.inner, -1) for array in (share, total))
        total[...] = 0
    if sizes.pointwise:
        _backward_pointwise(xp, sizes, doutput, data, across, ddata, share, total)
    else:
        workspaces = image, adjoint, columns, product
        _backward_in_blocks(xp, sizes, doutput, data, across, ddata, share, total, *workspaces)
    if dweight is not None:
        by_group = dweight.reshape(sizes.groups, -1, *dweight.shape[1:])
        xp.copyto(by_group, xp.moveaxis(total.reshape(sizes.groups, *dweight.shape[1:], -1), -1, 1))


def spread(
    xp: Any,
    sizes: Im2Col,
    data: Any,
    weight: Any,
    bias: Any,
    output: Any,
    image: Any,
    columns: Any,
    product: Any,
) -> None:
    """Deconvolution: data (batch, filters, O...) -> output (batch, channels, S...), plus bias (channels,)."""
    spaces = image, image, columns, product, None, None
    gradients(xp, sizes, data, None, weight, output, None, *spaces)
    if bias is not None:
        xp.add(output, sizes.by_channel(bias, 0), out=output)


def spread_gradients(
    xp: Any,
    sizes: Im2Col,
    doutput: Any,
    data: Any,
    weight: Any,
    ddata: Any,
    dweight: Any,
    image: Any,
    columns: Any,
    product: Any,
    share: Any,
    total: Any,
) -> None:
    """The gradients of `spread`."""
    if ddata is not None:
        correlate(xp, sizes, doutput, weight, None, ddata, image, columns, product)
    if dweight is not None:
        spaces = image, image, columns, product, share, total
        gradients(xp, sizes, data, doutput, None, None, dweight, *spaces)


def _forward_pointwise(xp: Any, sizes: Im2Col, data: Any, matrix: Any, bias: Any, output: Any) -> None:
    """One product for each image and group, with nothing copied."""
    flat = sizes.grouped(output)
    xp.matmul(matrix, sizes.grouped(data), out=flat)
    write_back(xp, flat, output)
    if bias is not None:
        xp.add(output, sizes.by_channel(bias, 0), out=output)


def _backward_pointwise(
    xp: Any, sizes: Im2Col, doutput: Any, data: Any, across: Any, ddata: Any, share: Any, total: Any
) -> None:
    heads = sizes.grouped(doutput)
    if ddata is not None:
        flat = sizes.grouped(ddata)
        xp.matmul(across, heads, out=flat)
        write_back(xp, flat, ddata)
    if total is not None:
        for values, head in zip(sizes.grouped(data), heads):
            xp.matmul(values, head.swapaxes(1, 2), out=share)
            xp.add(total, share, out=total)


def _forward_in_blocks(
    xp: Any,
    sizes: Im2Col,
    data: Any,
    matrix: Any,
    bias: Any,
    output: Any,
    image: Any,
    columns: Any,
    product: Any,
) -> None:
    """One product for each block and group."""
    for slab, here in sizes.slabs(image):
        windows.load(xp, data[slab], sizes.axes, here)
        taps = windows.taps(xp, here, sizes.axes, 1)
        target = xp.moveaxis(output[slab], 0, -1)
        for rows, cols, products in sizes.blocks(columns, product, here.shape[-1]):
            xp.copyto(cols, sizes.of_rows(taps, rows))
            xp.matmul(matrix, sizes.matrices(cols), out=sizes.matrices(products))
            if bias is not None:
                xp.add(products, sizes.by_channel(bias, 1), out=products)
            xp.copyto(target[:, rows], products)


def _backward_in_blocks(
    xp: Any,
    sizes: Im2Col,
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
    for slab, here, back in sizes.slabs(image, adjoint):
        if total is not None:
            windows.load(xp, data[slab], sizes.axes, here)
        if ddata is not None:
            back[...] = 0
        taps, taps_back = (windows.taps(xp, array, sizes.axes, 1) for array in (here, back))
        source = xp.moveaxis(doutput[slab], 0, -1)
        for rows, cols, products in sizes.blocks(columns, product, here.shape[-1]):
            xp.copyto(products, source[:, rows])
            heads = sizes.matrices(products)
            if total is not None:
                xp.copyto(cols, sizes.of_rows(taps, rows))
                xp.matmul(sizes.matrices(cols), heads.swapaxes(1, 2), out=share)
                xp.add(total, share, out=total)
            if ddata is not None:
                xp.matmul(across, heads, out=sizes.matrices(cols))
                windows.add_taps(xp, cols, sizes.of_rows(taps_back, rows), sizes.axes)
        if ddata is not None:
            windows.unload(xp, back, sizes.axes, ddata[slab])

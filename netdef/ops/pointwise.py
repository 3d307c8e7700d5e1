"""Convolution with filters of one element: the data themselves are the columns of a product."""

from __future__ import annotations

import math
from typing import Any

from netdef.ops.conv_algorithm import DATA, WEIGHT, Algorithm
from netdef.ops.conv_sizes import Sizes, carved
from netdef.ops.epilogue import Epilogue
from netdef.ops.im2col import Col2Im, Im2Col
from netdef.ops.shapes import Full

#: what serves arrays with the batch last: it copies columns only where windows lie apart
COLUMNS, SUMS = Im2Col(), Col2Im()


class Pointwise(Algorithm):
    """Products of the arrays themselves: of all images where the batch lies last, else one for each image."""

    name = "pointwise"
    in_place = True

    def serves(self, sizes: Sizes, which: str) -> bool:
        return all(axis.kernel == 1 and not axis.pad for axis in sizes.axes)

    @staticmethod
    def _columns(which: str) -> Algorithm:
        return SUMS if which == DATA else COLUMNS

    def spaces(self, sizes: Sizes, which: str) -> tuple[Full, ...]:
        """The sums of weights, for images one by one."""
        return ((sizes.groups, sizes.inner, sizes.filters // sizes.groups),) * 2 if which == WEIGHT else ()

    def room(self, sizes: Sizes, which: str) -> int:
        return max(super().room(sizes, which), self._columns(which).room(sizes, which))

    def cost(self, sizes: Sizes, which: str) -> float:
        return self._columns(which).cost(sizes, which)

    def correlate(
        self, xp: Any, sizes: Sizes, data: Any, weight: Any, epilogue: Epilogue, output: Any, space: Any
    ) -> None:
        if epilogue.addend is not None or not _image_by_image(sizes, data, output):
            COLUMNS.correlate(xp, sizes, data, weight, epilogue, output, space)
            return
        matrix = weight.reshape(sizes.groups, -1, sizes.inner)
        xp.matmul(matrix, _matrices(sizes, data), out=_matrices(sizes, output))
        epilogue.finish(xp, output, output, sizes.by_channel(epilogue.bias, 0), None)

    def data_gradient(self, xp: Any, sizes: Sizes, doutput: Any, weight: Any, ddata: Any, space: Any) -> None:
        if not _image_by_image(sizes, doutput, ddata):
            SUMS.data_gradient(xp, sizes, doutput, weight, ddata, space)
            return
        across = weight.reshape(sizes.groups, -1, sizes.inner).swapaxes(1, 2)
        xp.matmul(across, _matrices(sizes, doutput), out=_matrices(sizes, ddata))

    def weight_gradient(
        self, xp: Any, sizes: Sizes, doutput: Any, data: Any, dweight: Any, space: Any
    ) -> None:
        """The sums are (groups, inner, filters of a group): OpenBLAS is quickest that way round."""
        if not _image_by_image(sizes, data, doutput):
            COLUMNS.weight_gradient(xp, sizes, doutput, data, dweight, space)
            return
        share, total, _ = carved(space, self.spaces(sizes, WEIGHT))
        xp.copyto(total, 0)
        for values, heads in zip(_matrices(sizes, data), _matrices(sizes, doutput)):
            xp.matmul(values, heads.swapaxes(1, 2), out=share)
            xp.add(total, share, out=total)
        xp.copyto(dweight.reshape(sizes.groups, -1, sizes.inner), total.swapaxes(1, 2))


def _image_by_image(sizes: Sizes, *arrays: Any) -> bool:
    """Whether every element is visited, in arrays that have the batch first."""
    together = all(axis.stride == 1 for axis in sizes.axes)
    return together and sizes.batch > 1 and all(array.flags.c_contiguous for array in arrays)


def _matrices(sizes: Sizes, array: Any) -> Any:
    """An array (N, C, O...) as one matrix for each image and group."""
    count = math.prod(sizes.counts)
    return array.reshape(sizes.batch, sizes.groups, array.shape[1] // sizes.groups, count)

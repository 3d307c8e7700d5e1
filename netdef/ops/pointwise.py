"""Convolution with filters of one element: the data themselves are the columns of a product."""

from __future__ import annotations

import math
from typing import Any

from netdef.ops import conv_cost, windows
from netdef.ops.arrays import write_back
from netdef.ops.conv_algorithm import DATA, FORWARD, WEIGHT, Algorithm
from netdef.ops.conv_sizes import Sizes, carved
from netdef.ops.shapes import Full


class Pointwise(Algorithm):
    """One product for each image and group; where windows lie apart, of a copy of what they see."""

    name = "pointwise"
    in_place = True

    def serves(self, sizes: Sizes, which: str) -> bool:
        return all(axis.kernel == 1 and not axis.pad for axis in sizes.axes)

    def spaces(self, sizes: Sizes, which: str) -> tuple[Full, ...]:
        sums = ((sizes.groups, sizes.inner, sizes.filters // sizes.groups),) * 2 if which == WEIGHT else ()
        seen = () if _together(sizes) else ((sizes.batch, sizes.channels, *sizes.counts),)
        return *seen, *sums

    def cost(self, sizes: Sizes, which: str) -> float:
        places, filters, group = math.prod(sizes.counts), sizes.filters / sizes.groups, sizes.inner
        shape = {
            FORWARD: (filters, places, group),
            DATA: (group, places, filters),
            WEIGHT: (group, filters, places),
        }[which]
        copied = 0 if _together(sizes) else 2 * sizes.batch * sizes.channels * places
        added = sizes.batch * sizes.filters * group if which == WEIGHT else 0
        moves = copied * conv_cost.COPY + added * conv_cost.ADD
        return moves + conv_cost.product(sizes.batch * sizes.groups, *shape)

    def correlate(
        self, xp: Any, sizes: Sizes, data: Any, weight: Any, bias: Any, output: Any, space: Any
    ) -> None:
        seen, _ = self._seen(xp, sizes, data, space)
        flat = _matrices(sizes, output)
        xp.matmul(weight.reshape(sizes.groups, -1, sizes.inner), _matrices(sizes, seen), out=flat)
        write_back(xp, flat, output)
        if bias is not None:
            xp.add(output, sizes.by_channel(bias, 0), out=output)

    def data_gradient(self, xp: Any, sizes: Sizes, doutput: Any, weight: Any, ddata: Any, space: Any) -> None:
        across = weight.reshape(sizes.groups, -1, sizes.inner).swapaxes(1, 2)
        target = ddata if _together(sizes) else carved(space, self.spaces(sizes, DATA))[0]
        flat = _matrices(sizes, target)
        xp.matmul(across, _matrices(sizes, doutput), out=flat)
        write_back(xp, flat, target)
        if target is not ddata:
            ddata[...] = 0
            xp.copyto(_windows(sizes, ddata), target)

    def weight_gradient(
        self, xp: Any, sizes: Sizes, doutput: Any, data: Any, dweight: Any, space: Any
    ) -> None:
        """The sums are (groups, inner, filters of a group): OpenBLAS is quickest that way round."""
        seen, rest = self._seen(xp, sizes, data, space)
        share, total, _ = carved(rest, self.spaces(sizes, WEIGHT)[-2:])
        total[...] = 0
        for values, heads in zip(_matrices(sizes, seen), _matrices(sizes, doutput)):
            xp.matmul(values, heads.swapaxes(1, 2), out=share)
            xp.add(total, share, out=total)
        xp.copyto(dweight.reshape(sizes.groups, -1, sizes.inner), total.swapaxes(1, 2))

    def _seen(self, xp: Any, sizes: Sizes, data: Any, space: Any) -> tuple[Any, Any]:
        """What the windows see, and the rest of the workspace."""
        if _together(sizes):
            return data, space
        seen, rest = carved(space, [(sizes.batch, sizes.channels, *sizes.counts)])
        xp.copyto(seen, _windows(sizes, data))
        return seen, rest


def _together(sizes: Sizes) -> bool:
    """Whether every element is visited."""
    return all(axis.stride == 1 for axis in sizes.axes)


def _windows(sizes: Sizes, data: Any) -> Any:
    """The view of data (or its gradient) that the windows see."""
    return data[windows.along(2, *(slice(None, None, axis.stride) for axis in sizes.axes))]


def _matrices(sizes: Sizes, array: Any) -> Any:
    """An array (N, C, O...) as one matrix for each image and group."""
    count = math.prod(sizes.counts)
    return array.reshape(sizes.batch, sizes.groups, array.shape[1] // sizes.groups, count)

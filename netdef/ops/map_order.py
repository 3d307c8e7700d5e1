"""The order in which the axes of maps lie in memory.

Kernels that run over maps (N, C, S...) in one piece of memory, whatever its order, turn all arrays to the
order of one of them first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

from netdef.ops.base import Workspace
from netdef.ops.orders import Order
from netdef.ops.shapes import Full


class MapOrder(NamedTuple):
    """A permutation of the axes of maps (N, C, S...), with the spatial ones in a row from `first` on."""

    axes: Full
    first: int

    def shape(self, shape: Full) -> Full:
        """A shape (N, C, S...) in this order."""
        return tuple(shape[axis] for axis in self.axes)

    def view(self, array: Any) -> Any:
        """The view of an array (N, C, S...) in this order; nothing is nothing."""
        return None if array is None else array.transpose(self.axes)


def orders(rank: int) -> tuple[MapOrder, ...]:
    """The orders of arrays with `rank` axes: the batch last, the channels last, and as the axes are."""
    before = ((Order.BATCH_LAST, 1), (Order.CHANNELS_LAST, 1), (Order.BATCH_FIRST, 2))
    return tuple(MapOrder(order.axes(rank), first) for order, first in before)


def order_of(array: Any) -> MapOrder:
    """The order in which an array (N, C, S...) is a piece of memory or part of one, or that of its axes."""
    every = orders(array.ndim)
    whole = (order for order in every if order.view(array).flags.c_contiguous)
    parts = (order for order in every if _descends(order.view(array)))
    return next(whole, None) or next(parts, every[-1])


def _descends(array: Any) -> bool:
    """Whether no axis has smaller steps than one behind it."""
    steps = [step for size, step in zip(array.shape, array.strides) if size > 1]
    return all(one >= other for one, other in pairwise(steps))


def largest(needs: Iterable[dict[str, Workspace]]) -> dict[str, Workspace]:
    """The largest workspace of each name: what is enough for any of the needs."""
    found: dict[str, Workspace] = {}
    for name, space in (item for need in needs for item in need.items()):
        if name not in found or math.prod(space.shape) > math.prod(found[name].shape):
            found[name] = space
    return found

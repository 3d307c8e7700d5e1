"""The orders in which the axes of a tensor (N, C, S...) lie in memory."""

from __future__ import annotations

from enum import Enum

from netdef.ops.shapes import Full


class Order(Enum):
    """The value is what plans say of it."""

    #: (N, C, S...), as callers know tensors
    BATCH_FIRST = ""
    #: (C, S..., N)
    BATCH_LAST = "batch last"
    #: (N, S..., C)
    CHANNELS_LAST = "channels last"

    def axes(self, rank: int) -> Full:
        """The axes of a tensor, the outermost in memory first."""
        if self is Order.BATCH_LAST:
            return (*range(1, rank), 0)
        if self is Order.CHANNELS_LAST and rank > 2:
            return (0, *range(2, rank), 1)
        return tuple(range(rank))

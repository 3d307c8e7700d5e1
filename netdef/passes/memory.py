"""Where temporary tensors live: intervals of steps packed into one arena."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from typing import NamedTuple

#: every tensor starts at a multiple of this many bytes, a cache line
ALIGNMENT = 64


class Interval(NamedTuple):
    """A tensor that is in use from step `first` to step `last`, both included."""

    bytes: int
    first: int
    last: int


def pack(intervals: Sequence[Interval]) -> tuple[list[int], int]:
    """Offsets, and the arena's size in bytes: what overlaps in time does not overlap in memory.

    Largest first, each at the lowest offset that is free for its whole life ("greedy by size", Pisarchyk
    and Lee 2020), which is within a few per cent of the lower bound on usual nets.
    """
    offsets = [0] * len(intervals)
    placed: list[tuple[int, int, int, int]] = []  # offset, end, first step, last step; sorted by offset
    total = 0
    for number in sorted(range(len(intervals)), key=lambda i: (-intervals[i].bytes, intervals[i].first)):
        interval = intervals[number]
        size = -(-interval.bytes // ALIGNMENT) * ALIGNMENT
        offset = 0
        for start, end, first, last in placed:
            if last < interval.first or first > interval.last:
                continue
            if start - offset >= size:
                break
            offset = max(offset, end)
        offsets[number] = offset
        insort(placed, (offset, offset + size, interval.first, interval.last))
        total = max(total, offset + size)
    return offsets, total

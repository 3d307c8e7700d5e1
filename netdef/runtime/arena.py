"""The memory of a plan: what all shards of the batch share, then as much for each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from netdef.ops.shapes import Full
from netdef.passes.memory import ALIGNMENT, Interval, pack


class Buffer:
    """A stretch of memory while a plan is made: from the `first` to the `last` step it is in use.

    It is `apart` where every shard has as many bytes of its own.
    """

    __slots__ = ("apart", "bytes", "first", "last", "offset")

    def __init__(self, size: int, number: int, apart: bool) -> None:
        self.bytes, self.first, self.last, self.apart, self.offset = size, number, number, apart, 0


class Scratch(NamedTuple):
    """Shape, dtype and place of a workspace: so many bytes after the beginning of a buffer."""

    shape: Full
    dtype: str
    buffer: Buffer
    start: int = 0


class Arena:
    """All buffers of a plan, and where they are once they are packed."""

    def __init__(self) -> None:
        self._buffers: list[Buffer] = []
        self._shared = 0
        #: bytes from the memory of one shard to that of the next
        self.distance = 0

    def buffer(self, size: int, number: int, apart: bool) -> Buffer:
        """Memory that is in use at one step."""
        buffer = Buffer(size, number, apart)
        self._buffers.append(buffer)
        return buffer

    def pack(self, runs: Mapping[int, int]) -> None:
        """Give every buffer its offset; `runs` says to which run a step belongs.

        Within a run shards are at different steps at one time: what they share is in use for all of it.
        """
        spans: dict[int, tuple[int, int]] = {}
        for number, run in runs.items():
            spans[run] = spans.get(run, (number, number))[0], number

        def span(number: int) -> tuple[int, int]:
            return spans[runs[number]] if number in runs else (number, number)

        shared = [buffer for buffer in self._buffers if not buffer.apart]
        own = [buffer for buffer in self._buffers if buffer.apart]
        self._shared = _place(shared, [(span(b.first)[0], span(b.last)[1]) for b in shared])
        self.distance = _place(own, [(b.first, b.last) for b in own])

    def offset(self, buffer: Buffer, shard: int = 0) -> int:
        """Where a buffer is once all are packed; that of a shard where each has one."""
        return buffer.offset + (self._shared + shard * self.distance if buffer.apart else 0)

    def bytes(self, shards: int) -> int:
        """Bytes of the whole arena."""
        return self._shared + shards * self.distance


def _place(buffers: list[Buffer], lives: list[tuple[int, int]]) -> int:
    """Give buffers offsets; returns how many bytes they take."""
    offsets, total = pack([Interval(b.bytes, *life) for b, life in zip(buffers, lives)])
    for buffer, offset in zip(buffers, offsets):
        buffer.offset = offset
    return -(-total // ALIGNMENT) * ALIGNMENT

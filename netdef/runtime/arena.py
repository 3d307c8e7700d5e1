"""The memory of a plan: what all shards of the batch share, what each has, and what each worker has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from netdef.ops.shapes import Full
from netdef.passes.memory import ALIGNMENT, Interval, pack
from netdef.runtime.plan import Room

ALL, SHARD, WORKER = "all", "shard", "worker"


class Buffer:
    """A stretch of memory while a plan is made: from the `first` to the `last` step it is in use.

    `owner` says who has as many bytes: all together, every shard, or every worker, which takes one shard
    after the other.
    """

    __slots__ = ("bytes", "first", "last", "offset", "owner")

    def __init__(self, size: int, number: int, owner: str) -> None:
        self.bytes, self.first, self.last, self.owner, self.offset = size, number, number, owner, 0


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
        #: bytes that each owner has
        self._sizes = dict.fromkeys((ALL, SHARD, WORKER), 0)
        self._shards = 0

    @property
    def distance(self) -> int:
        """Bytes from the memory of one shard to that of the next."""
        return self._sizes[SHARD]

    def buffer(self, size: int, number: int, owner: str) -> Buffer:
        """Memory that is in use at one step."""
        buffer = Buffer(size, number, owner)
        self._buffers.append(buffer)
        return buffer

    def pack(self, runs: Mapping[int, int], shards: int) -> None:
        """Give every buffer its offset; `runs` says to which run of `shards` a step belongs.

        Within a run shards are at different steps at one time: what they share is in use for all of it.
        """
        spans: dict[int, tuple[int, int]] = {}
        for number, run in runs.items():
            spans[run] = spans.get(run, (number, number))[0], number

        def span(number: int) -> tuple[int, int]:
            return spans[runs[number]] if number in runs else (number, number)

        self._shards = shards
        for owner in self._sizes:
            buffers = [buffer for buffer in self._buffers if buffer.owner == owner]
            lives = [(buffer.first, buffer.last) for buffer in buffers]
            if owner == ALL:
                lives = [(span(first)[0], span(last)[1]) for first, last in lives]
            self._sizes[owner] = _place(buffers, lives)

    @property
    def room(self) -> Room:
        """Where the memory of workers is."""
        return Room(self.bytes(0), self._sizes[WORKER])

    def offset(self, buffer: Buffer, shard: int = 0) -> int:
        """Where a buffer is once all are packed; that of a worker, where it is for the first one."""
        after = {
            ALL: 0,
            SHARD: self._sizes[ALL] + shard * self._sizes[SHARD],
            WORKER: self.room.start,
        }
        return buffer.offset + after[buffer.owner]

    def bytes(self, workers: int) -> int:
        """Bytes of the whole arena with so many workers."""
        return self._sizes[ALL] + self._shards * self._sizes[SHARD] + workers * self._sizes[WORKER]


def _place(buffers: list[Buffer], lives: list[tuple[int, int]]) -> int:
    """Give buffers offsets; returns how many bytes they take."""
    offsets, total = pack([Interval(b.bytes, *life) for b, life in zip(buffers, lives)])
    for buffer, offset in zip(buffers, offsets):
        buffer.offset = offset
    return -(-total // ALIGNMENT) * ALIGNMENT

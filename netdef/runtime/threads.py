"""One pool of threads in the process, which computes the pieces of a step side by side.

How a step is cut is decided by its plan, whatever the number of threads, so that results are the same bits
with any number of them.  numpy and BLAS let other threads run while they compute.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any

from netdef.runtime.memory import share_memory

Piece = tuple[Callable[..., Any], Sequence[Any]]


class _Job:
    """The pieces of one step; threads take the next one until there are none left."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces: Iterator[tuple[int, Piece]] = iter(list(enumerate(pieces)))
        self.failed: dict[int, BaseException] = {}
        self.finished: SimpleQueue[None] = SimpleQueue()

    def work(self) -> None:
        for number, (kernel, arguments) in self._pieces:
            try:
                kernel(*arguments)
            except Exception as error:
                self.failed[number] = error

    def raise_first(self) -> None:
        """Raise what the first piece that failed has raised, as if pieces ran one after the other."""
        if self.failed:
            raise self.failed[min(self.failed)]


class Threads:
    """`count` threads, the caller's among them; the others start with the first job."""

    def __init__(self, count: int = 1) -> None:
        if count < 1:
            raise ValueError(f"there must be at least one thread, not {count}")
        self.count = count
        self._jobs: SimpleQueue[tuple[Any, _Job] | None] = SimpleQueue()
        self._started = 0
        self._process = os.getpid()

    def run(self, guard: Callable[[], Any], pieces: Sequence[Piece]) -> None:
        """Call all pieces, each within a context of its thread that `guard` makes; the caller works, too.

        Returns when all are done; raises what the first of them raised that failed.
        """
        helpers = min(self.count, len(pieces)) - 1
        if helpers < 1:
            for kernel, arguments in pieces:
                kernel(*arguments)
            return
        if os.getpid() != self._process:
            # The threads did not survive a fork.
            self._process, self._started, self._jobs = os.getpid(), 0, SimpleQueue()
        while self._started < helpers:
            threading.Thread(target=self._serve, args=(self._jobs,), daemon=True, name="netdef").start()
            self._started += 1
        job = _Job(pieces)
        for _ in range(helpers):
            self._jobs.put((guard, job))
        try:
            job.work()
        finally:
            for _ in range(helpers):
                job.finished.get()
        job.raise_first()

    def close(self) -> None:
        """Let the threads end."""
        for _ in range(self._started):
            self._jobs.put(None)
        self._started = 0

    @staticmethod
    def _serve(jobs: SimpleQueue[tuple[Any, _Job] | None]) -> None:
        while (taken := jobs.get()) is not None:
            guard, job = taken
            with guard():
                job.work()
            job.finished.put(None)


#: the pool of this process; one thread until somebody asks for more
_pool = Threads()


#: whether executors that are made from now on may go through shards of the batch in processes
_forks = False


def set_threads(count: int, forks: bool = False) -> None:
    """Compute with `count` threads from now on; raises `ValueError` for less than one.

    BLAS should be held to one thread then: both together would ask for more cores than there are.  With
    `forks`, shards of the batch are computed by processes where the system can fork any: call it before
    arrays are made, which are in shared memory then.
    """
    global _pool, _forks
    _forks = forks and can_fork(count)
    if _forks:
        share_memory()
    if count != _pool.count:
        made = Threads(count)
        _pool.close()
        _pool = made


def can_fork(count: int) -> bool:
    """Whether so many can be processes on this system, and need be."""
    return count > 1 and sys.platform == "linux"


def count() -> int:
    """How many threads compute, or processes."""
    return _pool.count


def forks() -> bool:
    """Whether shards of the batch are computed by processes."""
    return _forks


def run(guard: Callable[[], Any], pieces: Sequence[Piece]) -> None:
    """Call pieces on the threads of this process; see `Threads.run`."""
    _pool.run(guard, pieces)

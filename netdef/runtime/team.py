"""Processes that go through shards of the batch side by side.

Threads of Python wait for each other whenever one of them is between two calls of numpy: with calls of 20
microseconds, two threads were measured to be hardly faster than one, and two processes twice as fast.  The
processes of a team are forked from this one once all arrays are there, in memory that they share, and then do
nothing but make the calls of their shards when they are told to.
"""

from __future__ import annotations

import gc
import mmap
import os
import pickle
import select
import signal
import warnings
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any, NoReturn

from netdef.diag import EnvironmentFault, MXNetError
from netdef.runtime.memory import is_shared
from netdef.runtime.tickets import Tickets

#: the calls of one shard in a run
Chain = Sequence[tuple[Callable[..., Any], Sequence[Any]]]
#: a shard that failed, and what it raised
Failure = tuple[int, BaseException]

#: what a member is told instead of the number of a run when it shall end
_END = -1
#: seconds for which either side looks for news before it sleeps, and milliseconds until it looks once more
_LOOK, _SLEEP = 1e-3, 2
#: what is written for the other side to read: how many runs were told, which one; how many are done, and the
#: shard and the length of an error that one has raised, which follows
_TOLD, _RUN, _DONE, _SHARD, _FAILED = range(5)
#: places that say whether the process that tells sleeps, and whether the other one does
_SLEEPS = 5, 6
#: bytes of the board, and where on it an error stands
_BOARD, _ERROR = 64 * 1024, 1024

#: ends of pipes by which this process talks to members of any team: no other member may keep them open
_own: set[int] = set()


class Team:
    """Runs that processes go through together; `guard` makes the context in which each of them computes."""

    def __init__(self, guard: Callable[[], Any]) -> None:
        self._guard = guard
        self._runs: list[Sequence[Sequence[Chain]]] = []
        self._members: list[_Member] = []
        self._tickets: Tickets | None = None

    def add(self, workers: Sequence[Sequence[Chain]]) -> int:
        """The number of a run: the chains of all shards as each of several processes makes their calls.

        Members that do not know it are replaced when they are needed.
        """
        self.close()
        self._runs.append(workers)
        return len(self._runs) - 1

    def run(self, number: int) -> None:
        """Make the calls of all shards of a run; returns when all are done.

        This process computes, too, and each takes the next shard that nobody has.  Raises what the first
        shard raised that failed, and `EnvironmentFault` where a process has ended.
        """
        workers = self._runs[number]
        if self._tickets is None:
            self._tickets = Tickets()
        while len(self._members) < len(workers) - 1:
            self._members.append(_Member(self, len(self._members) + 1))
        members = self._members[: len(workers) - 1]
        try:
            if _are_dealt(workers):
                self._tickets.lay(len(workers[0]), len(workers))
            for member in members:
                member.tell(number)
            failures = [self._go_through(number, 0)]
            failures += [member.wait() for member in members]
        except BaseException:
            self.close()  # a member may have an answer left that nobody asks for
            raise
        raise_first(failures)

    def work(self, place: int, link: _Link) -> None:
        """What a member does until it is told to end, or the process that tells it is no more."""
        told = 0
        with self._guard():
            while link.wait(_TOLD, told):
                told += 1
                number = link.board[_RUN]
                if number == _END:
                    return
                link.tell(self._go_through(number, place))
                link.board[_DONE] = told
                link.wake()

    def _go_through(self, number: int, place: int) -> Failure | None:
        """Make the calls of one process in a run."""
        assert self._tickets is not None, "a team has tickets before it has members"
        workers = self._runs[number]
        mine = self._tickets.take() if _are_dealt(workers) else range(len(workers[0]))[place : place + 1]
        return go_through(workers[place], mine)

    def close(self) -> None:
        """Let the members end."""
        for member in self._members:
            member.end()
        self._members = []
        self._tickets = None  # some may be left


class _Link:
    """What two processes read and write to tell each other something: numbers that both see, and pipes.

    Whoever waits looks at the numbers for a while, since most runs are short, and then sleeps until a byte
    arrives or for a short time: the other side may not have seen in time that it went to sleep.
    """

    def __init__(self, board: memoryview, sleeps: tuple[int, int], inside: int, out: int) -> None:
        self.board, self.inside, self.out = board, inside, out
        #: places on the board that say whether this side sleeps, and whether the other one does
        self._mine, self._other = sleeps
        self._poll = select.poll()
        self._poll.register(inside, select.POLLIN)

    def wait(self, place: int, known: int) -> bool:
        """Wait until a number has grown beyond what is known; false where the other process has ended."""
        board = self.board
        until = perf_counter() + _LOOK
        while board[place] == known:
            if perf_counter() < until:
                os.sched_yield()
            elif not self._sleep(place, known):
                return False
        return True

    def _sleep(self, place: int, known: int) -> bool:
        """Sleep until a byte arrives; once the other side must have seen so, for as long as that takes."""
        self.board[self._mine] = 1
        try:
            for milliseconds in (_SLEEP, None):
                if self.board[place] != known:
                    return True
                if self._poll.poll(milliseconds):
                    return os.read(self.inside, 1) != b"" or self.board[place] != known
        finally:
            self.board[self._mine] = 0
        return True

    def tell(self, failure: Failure | None) -> None:
        """Write a failure for the other side, or that there was none; of a long error only the beginning."""
        self.board[_FAILED] = 0
        if failure is None:
            return
        self.board[_SHARD], error = failure
        pickled = pickle.dumps(error)
        if len(pickled) > _BOARD - _ERROR:
            pickled = pickle.dumps(MXNetError(str(error)[:1000]))
        self.board.cast("B")[_ERROR : _ERROR + len(pickled)] = pickled
        self.board[_FAILED] = len(pickled)

    def failure(self) -> Failure | None:
        """What the other side has written."""
        size = self.board[_FAILED]
        if not size:
            return None
        return self.board[_SHARD], pickle.loads(self.board.cast("B")[_ERROR : _ERROR + size])

    def wake(self) -> None:
        """Wake the other side if it sleeps."""
        if self.board[self._other]:
            os.write(self.out, b"\0")


class _Member:
    """Another process, as this one sees it."""

    def __init__(self, team: Team, place: int) -> None:
        board = memoryview(mmap.mmap(-1, _BOARD)).cast("q")
        there, here = os.pipe(), os.pipe()
        mine = here[0], there[1]
        _own.update(mine)
        # A collection writes to every object that it looks at, and so would copy each page that both have.
        gc.freeze()
        with warnings.catch_warnings():
            # Threads that read data do not live on in the fork; it never waits for them.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._process = os.fork()
        if self._process == 0:
            _be_a_member(team, place, _Link(board, _SLEEPS[::-1], there[0], here[1]))
        os.close(there[0])
        os.close(here[1])
        self._link = _Link(board, _SLEEPS, *mine)
        self._told = 0
        self.end = weakref.finalize(self, _end, self._process, self._link)

    def tell(self, number: int) -> None:
        """Let it take shards of a run."""
        self._told += 1
        _tell(self._link, self._told, number)

    def wait(self) -> Failure | None:
        """Wait until there are none left for it; returns which of its own failed first."""
        if not self._link.wait(_DONE, self._told - 1):
            told = "a process that computed a part of the batch has ended"
            raise EnvironmentFault(f"{told}; was there enough memory? With --threads 1 there is none")
        return self._link.failure()


def _tell(link: _Link, told: int, what: int) -> None:
    link.board[_RUN] = what
    link.board[_TOLD] = told
    with suppress(BrokenPipeError):  # waiting for the answer will find that it has ended
        link.wake()


def _are_dealt(workers: Sequence[Sequence[Chain]]) -> bool:
    """Whether processes take shards as they get on; where each has one at most, it is that of its place."""
    return len(workers[0]) > len(workers)


def go_through(chains: Sequence[Chain], numbers: Iterable[int]) -> Failure | None:
    """Make the calls of some shards, in the order of their numbers; returns which one failed first.

    Others go on, so that the first of all that fail is the same however shards are dealt.
    """
    first: Failure | None = None
    for number in numbers:
        try:
            for kernel, arguments in chains[number]:
                kernel(*arguments)
        except Exception as error:
            first = first or (number, error)
    return first


def raise_first(failures: Iterable[Failure | None]) -> None:
    """Raise what the first shard raised of those that failed."""
    found = [failure for failure in failures if failure]
    if found:
        raise min(found, key=lambda failure: failure[0])[1]


def shareable(workers: Sequence[Sequence[Chain]]) -> bool:
    """Whether all arrays of these calls are in memory that forked processes share."""
    chains = (chain for each in workers for chain in each)
    return all(is_shared(array) for chain in chains for _, arguments in chain for array in _arrays(arguments))


def _arrays(values: Any) -> list[Any]:
    if isinstance(values, list | tuple):
        return [array for value in values for array in _arrays(value)]
    return [values] if hasattr(values, "__array_interface__") and hasattr(values, "base") else []


def _be_a_member(team: Team, place: int, link: _Link) -> NoReturn:
    """The life of a forked process; it leaves without running what this process does at its end."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for end in _own:
            os.close(end)
        gc.disable()
        team.work(place, link)
    finally:
        os._exit(0)


def _end(process: int, link: _Link) -> None:
    """Tell a member to end, and wait for it."""
    _tell(link, link.board[_TOLD] + 1, _END)
    for end in (link.inside, link.out):
        _own.discard(end)
        os.close(end)
    with suppress(ChildProcessError):  # somebody else has waited for it
        os.waitpid(process, 0)
    if not _own:  # there are no members left that share pages with this process
        gc.unfreeze()

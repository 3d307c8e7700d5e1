"""Processes that go through shards of the batch side by side.

Threads of Python wait for each other whenever one of them is between two calls of numpy: with calls of 20
microseconds, two threads were measured to be hardly faster than one, and two processes twice as fast.  The
processes of a team are forked from this one once all arrays are there, in memory that they share, and then do
nothing but make the calls of their shards when they are told to.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import warnings
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from netdef.diag import MXNetError
from netdef.runtime.memory import is_shared

#: the calls of one shard in a run
Chain = Sequence[tuple[Callable[..., Any], Sequence[Any]]]

#: what a member is told instead of the number of a run when it shall end
_END = 0xFFFF
_DONE, _FAILED = b"\0", b"\1"

#: ends of pipes by which this process talks to members of any team: no other member may keep them open
_own: set[int] = set()


class Team:
    """Runs that processes go through together; `guard` makes the context in which each of them computes."""

    def __init__(self, guard: Callable[[], Any]) -> None:
        self._guard = guard
        self._runs: list[Sequence[Chain]] = []
        self._members: list[_Member] = []

    def add(self, chains: Sequence[Chain]) -> int:
        """The number of a run of shards; to be told before the first run."""
        self._runs.append(chains)
        return len(self._runs) - 1

    def run(self, number: int, processes: int) -> None:
        """Make the calls of all shards of a run; returns when all are done.

        This process computes, too.  Raises what the first shard raised that failed, and `MXNetError` where a
        process has ended.
        """
        chains = self._runs[number]
        if len(self._members) != processes - 1:
            self.close()
            self._members = [_Member(self, place, processes) for place in range(1, processes)]
        try:
            for member in self._members:
                member.tell(number)
            failed: list[tuple[int, BaseException]] = []
            try:
                go_through(chains, 0, processes)
            except Exception as error:
                failed.append((0, error))
            for place, member in enumerate(self._members, start=1):
                if (raised := member.wait()) is not None:
                    failed.append((place, raised))
        except BaseException:
            self.close()  # a member may have an answer left that nobody asks for
            raise
        if failed:
            raise min(failed, key=lambda item: item[0])[1]

    def work(self, place: int, processes: int, commands: int, answers: int) -> None:
        """What a member does until it is told to end, or the process that tells it is no more."""
        with self._guard():
            while (told := int.from_bytes(os.read(commands, 2) or b"\xff\xff", "little")) != _END:
                try:
                    go_through(self._runs[told], place, processes)
                except Exception as error:
                    pickled = pickle.dumps(error)
                    os.write(answers, _FAILED + len(pickled).to_bytes(4, "little") + pickled)
                else:
                    os.write(answers, _DONE)

    def close(self) -> None:
        """Let the members end."""
        for member in self._members:
            member.end()
        self._members = []


class _Member:
    """Another process, and the pipes to it."""

    def __init__(self, team: Team, place: int, processes: int) -> None:
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        _own.update((self._commands, self._answers))
        with warnings.catch_warnings():
            # Threads that read data do not live on in the fork; it never waits for them.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._process = os.fork()
        if self._process == 0:
            _be_a_member(team, place, processes, commands, answers)
        os.close(commands)
        os.close(answers)
        self.end = weakref.finalize(self, _end, self._process, self._commands, self._answers)

    def tell(self, number: int) -> None:
        """Let it go through its shards of a run."""
        try:
            os.write(self._commands, number.to_bytes(2, "little"))
        except BrokenPipeError:
            raise self._gone() from None

    def wait(self) -> BaseException | None:
        """Wait until it has; returns what it raised."""
        answer = os.read(self._answers, 1)
        if answer == _DONE:
            return None
        if not answer:
            raise self._gone()
        size = int.from_bytes(self._read(4), "little")
        error: BaseException = pickle.loads(self._read(size))
        return error

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            found += os.read(self._answers, size - len(found))
        return found

    def _gone(self) -> MXNetError:
        told = "a process that computed a part of the batch has ended"
        return MXNetError(f"{told}; was there enough memory? With --threads 1 there is none")


def go_through(chains: Sequence[Chain], first: int, step: int) -> None:
    """Make the calls of some of the shards."""
    for calls in chains[first::step]:
        for kernel, arguments in calls:
            kernel(*arguments)


def shareable(chains: Sequence[Chain]) -> bool:
    """Whether all arrays of these calls are in memory that forked processes share."""
    arrays = (each for calls in chains for _, arguments in calls for each in _arrays(arguments))
    return all(is_shared(array) for array in arrays)


def _arrays(values: Any) -> list[Any]:
    if isinstance(values, list | tuple):
        return [array for value in values for array in _arrays(value)]
    return [values] if hasattr(values, "__array_interface__") and hasattr(values, "base") else []


def _be_a_member(team: Team, place: int, processes: int, commands: int, answers: int) -> NoReturn:
    """The life of a forked process; it leaves without running what this process does at its end."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for end in _own:
            os.close(end)
        gc.freeze()
        gc.disable()
        team.work(place, processes, commands, answers)
    finally:
        os._exit(0)


def _end(process: int, commands: int, answers: int) -> None:
    """Tell a member to end, and wait for it."""
    with suppress(BrokenPipeError):  # it has ended
        os.write(commands, _END.to_bytes(2, "little"))
    for end in (commands, answers):
        _own.discard(end)
        os.close(end)
    with suppress(ChildProcessError):  # somebody else has waited for it
        os.waitpid(process, 0)

"""How kernels run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

from netdef.diag import MXNetError
from netdef.runtime import threads
from netdef.runtime.team import Failure, Team, go_through, raise_first

#: elements of numpy's buffer: operands that do not lie in one piece are copied through it, also where no
#: dtype is converted.  By default it is 8192; with 512 such operations take a third of the time.
BUFFER = 512
#: a kernel with its arguments
Call = tuple[Callable[..., Any], Sequence[Any]]


def run(xp: Any, calls: Sequence[Call]) -> None:
    """Call kernels; infinity and NaN are results, of which none is warned about.

    One guard around all of them costs a microsecond; in the kernels there would be hundreds.  CuPy has none
    because it does not warn.  Raises `MXNetError` for a matrix that cannot be factored or inverted.
    """
    try:
        with quiet(xp):
            for kernel, arguments in calls:
                kernel(*arguments)
    except xp.linalg.LinAlgError as error:
        raise MXNetError(f"linear algebra: {error}") from None


def quiet(xp: Any) -> Any:
    """A context of this thread in which numpy does not warn, and copies little through buffers."""
    return _Quiet(xp) if hasattr(xp, "setbufsize") else nullcontext()


class _Quiet:
    """numpy's settings while kernels run."""

    def __init__(self, xp: Any) -> None:
        self._xp, self._errors = xp, xp.errstate(all="ignore")

    def __enter__(self) -> None:
        self._errors.__enter__()
        self._size = self._xp.setbufsize(BUFFER)

    def __exit__(self, *error: Any) -> None:
        self._xp.setbufsize(self._size)
        self._errors.__exit__(*error)


def run_pieces(xp: Any, pieces: Sequence[Call], sums: Sequence[Call], alone: bool) -> None:
    """Call the pieces of a step, then what adds up their shares.

    On the threads of the process or, where that takes longer, `alone` on this one.
    """
    for calls in (pieces, sums):
        if alone:
            _run_all(calls)
        else:
            threads.run(partial(quiet, xp), calls)


def run_shards(
    xp: Any, workers: Sequence[Sequence[Sequence[Call]]], sums: Sequence[Call], alone: bool
) -> None:
    """Make all calls of each shard, one after the other, then those that add up their shares.

    `workers` holds the calls of all shards as each worker makes them.  On the threads of the process, of
    which each plays the part of a worker, or, where that takes longer, `alone` on this one.
    """
    numbers = iter(range(len(workers[0])))
    failures: list[Failure | None] = []
    parts = [(_go_through, (shards, numbers, failures)) for shards in workers]
    if alone:
        _run_all(parts)
    else:
        threads.run(partial(quiet, xp), parts)
    raise_first(failures)
    threads.run(partial(quiet, xp), sums)


def _go_through(
    shards: Sequence[Sequence[Call]], numbers: Iterator[int], failures: list[Failure | None]
) -> None:
    failures.append(go_through(shards, numbers))


def run_together(team: Team, numbers: Sequence[int], sums: Sequence[Call]) -> None:
    """`run_shards` by processes, one run after the other; sums that are short are added up here."""
    for number in numbers:
        team.run(number)
    _run_all(sums)


def _run_all(calls: Sequence[Call]) -> None:
    for kernel, arguments in calls:
        kernel(*arguments)

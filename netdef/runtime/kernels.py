"""How kernels run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

from netdef.diag import MXNetError
from netdef.runtime import threads

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
    """A context of this thread in which numpy does not warn."""
    return xp.errstate(all="ignore") if hasattr(xp, "errstate") else nullcontext()


def run_pieces(xp: Any, pieces: Sequence[Call], sums: Sequence[Call]) -> None:
    """Call the pieces of a step on the threads of the process, then what adds up their shares."""
    threads.run(partial(quiet, xp), pieces)
    threads.run(partial(quiet, xp), sums)


def run_shards(xp: Any, shards: Sequence[Sequence[Call]], sums: Sequence[Call], alone: bool) -> None:
    """Make all calls of each shard, one after the other, then those that add up their shares.

    On the threads of the process, or, where that takes longer, `alone` on this one.
    """
    if alone:
        for calls in shards:
            _run_all(calls)
    else:
        threads.run(partial(quiet, xp), [(_run_all, (calls,)) for calls in shards])
    threads.run(partial(quiet, xp), sums)


def _run_all(calls: Sequence[Call]) -> None:
    for kernel, arguments in calls:
        kernel(*arguments)

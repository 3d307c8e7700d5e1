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
#: an array, and the shares that are to be added to what it holds
Sum = tuple[Any, Sequence[Any]]


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


def run_pieces(xp: Any, pieces: Sequence[Call], sums: Sequence[Sum]) -> None:
    """Call the pieces of a step on the threads of the process, then add up their shares."""
    threads.run(partial(quiet, xp), pieces)
    if sums:
        _add_up(xp, sums)


def run_shards(xp: Any, shards: Sequence[Sequence[Call]], sums: Sequence[Sum], alone: bool) -> None:
    """Make all calls of each shard, one after the other, then add up their shares.

    On the threads of the process, or, where that takes longer, `alone` on this one.
    """
    if alone:
        for calls in shards:
            _run_all(calls)
    else:
        threads.run(partial(quiet, xp), [(_run_all, (calls,)) for calls in shards])
    if sums:
        _add_up(xp, sums)


def _run_all(calls: Sequence[Call]) -> None:
    for kernel, arguments in calls:
        kernel(*arguments)


def _add_up(xp: Any, sums: Sequence[Sum]) -> None:
    """Add shares to their sums in order, by rows that stay in the cache."""
    for total, shares in sums:
        for share in shares:
            xp.add(total, share, out=total)

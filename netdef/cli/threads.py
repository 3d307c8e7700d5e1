"""How many threads compute."""

from __future__ import annotations

import os

_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def hold_blas_to_one_thread() -> None:
    """Ask BLAS for one thread, whatever the environment says; call it before numpy is loaded.

    A second thread gains little on the matrices of small nets, spins while another process has its core (a
    step was then measured to take 2 to 60 times as long), and changes the last bits of sums.  Containers and
    job systems often set these variables to the number of cores.
    """
    os.environ.update(dict.fromkeys(_VARIABLES, "1"))


def use_threads(count: int | None) -> None:
    """Compute with `count` threads, by default one for each core that this process may use.

    Steps are cut into pieces for them, and BLAS is held to one thread; call it before numpy is loaded.
    """
    hold_blas_to_one_thread()
    from netdef.runtime.threads import set_threads

    set_threads(count or cores(), forks=True)


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

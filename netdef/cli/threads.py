"""How many threads BLAS may use."""

from __future__ import annotations

import os

_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def hold_blas_to_one_thread() -> None:
    """Ask BLAS for one thread, unless the environment says otherwise; call it before numpy is loaded.

    A second thread gains little on the matrices of small nets, spins while another process has its core (a
    training step was then measured to take 60 times as long), and changes the last bits of sums.
    """
    for variable in _VARIABLES:
        os.environ.setdefault(variable, "1")

"""Threads of the commands."""

import os
import subprocess
import sys

SCRIPT = """
import os
from netdef.cli.threads import use_threads
use_threads(2)
import numpy as np
big = np.ones((600, 600), "float32")
for _ in range(20):
    big @ big
print(os.environ["OPENBLAS_NUM_THREADS"], len(os.listdir("/proc/self/task")) if os.path.isdir("/proc") else 1)
"""


def test_blas_has_one_thread_whatever_the_environment_says():
    """Each process of a step would start as many as there are cores otherwise."""
    wanted = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "3")
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, **wanted},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == ["1", "1"]

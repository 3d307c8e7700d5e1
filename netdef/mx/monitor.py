"""MXNet's Monitor: statistics of outputs, parameters and states while a net runs."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from netdef.diag import MXNetError
from netdef.mx.ndarray import NDArray

#: step, name and text of one statistic
Statistic = tuple[int, str, str]


class Monitor:
    """Collects `stat_func` of arrays whose names match `pattern`, every `interval` batches.

    `install` an executor, call `tic` before its forward pass and `toc` or `toc_print` after the backward
    pass. Outputs of operators come as they are computed, with `monitor_all` inputs too; parameters and
    states are looked at in `toc`.  `stat_func` takes an NDArray and gives one, or a list of them; without
    it the statistic is norm / sqrt(size).  `sort` orders results by name.
    """

    def __init__(
        self,
        interval: int,
        stat_func: Callable[[NDArray], Any] | None = None,
        pattern: str = ".*",
        sort: bool = False,
        monitor_all: bool = False,
    ) -> None:
        if interval <= 0:
            raise ValueError(f"interval is {interval}; it counts batches, so it must be positive")
        self.interval, self.stat_func = interval, stat_func or _root_mean_square
        self.re_prog = re.compile(pattern)
        self.sort, self.monitor_all = sort, monitor_all
        self.activated = False
        self.queue: list[tuple[int, str, Any]] = []
        self.step = 0
        self.exes: list[Any] = []

    def stat_helper(self, name: str | bytes, array: NDArray) -> None:
        """Take an array into account; executors call this."""
        text = name.decode() if isinstance(name, bytes) else name
        if self.activated and self.re_prog.match(text):
            self.queue.append((self.step, text, self.stat_func(array)))

    def install(self, exe: Any) -> None:
        """Watch an executor, too."""
        exe.set_monitor_callback(self.stat_helper, self.monitor_all)
        self.exes.append(exe)

    def tic(self) -> None:
        """Begin a batch, and to collect if it is its turn."""
        if self.step % self.interval == 0:
            self.queue = []
            self.activated = True
        self.step += 1

    def toc(self) -> list[Statistic]:
        """End a batch; step, name and text of what was collected."""
        if not self.activated:
            return []
        for exe in self.exes:
            for name, array in (*exe.arg_dict.items(), *exe.aux_dict.items()):
                self.stat_helper(name, array)
        self.activated = False
        queue, self.queue = self.queue, []
        if self.sort:
            queue.sort(key=lambda entry: entry[1])
        return [(step, name, _text(name, found)) for step, name, found in queue]

    def toc_print(self) -> None:
        """End a batch and log what was collected."""
        for step, name, text in self.toc():
            logging.info("Batch: %7d %-30s %s", step, name, text)


def _root_mean_square(array: NDArray) -> NDArray:
    values = array.asnumpy()
    norm = np.linalg.norm(values.ravel()) / math.sqrt(max(values.size, 1))
    return NDArray(np.array([norm], values.dtype if values.dtype.kind == "f" else np.float32))


def _text(name: str, found: Any) -> str:
    """Each number or array with a tab after it."""
    listed = found if isinstance(found, list) else [found]
    text = ""
    for value in listed:
        if not isinstance(value, NDArray):
            raise MXNetError(
                f"stat_func gave {value!r} for {name}; it must give an NDArray or a list of them"
            )
        text += str(value.asscalar() if value.shape == (1,) else value.asnumpy()) + "\t"
    return text

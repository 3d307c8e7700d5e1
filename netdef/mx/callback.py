"""MXNet's callbacks, called by the training loop after batches and epochs; they log what MXNet logs."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from netdef.mx.checkpoint import save_checkpoint
from netdef.mx.ndarray import NDArray


class BatchEndParam(NamedTuple):
    """What callbacks after a batch are told: where training is, the metric, and the loop's variables."""

    epoch: int
    nbatch: int
    eval_metric: Any
    locals: Any


def module_checkpoint(
    mod: Any, prefix: str, period: int = 1, save_optimizer_states: bool = False
) -> Callable[..., None]:
    """After every `period` epochs, save a module's net, parameters and, if wanted, optimizer states."""
    period = max(1, int(period))

    def save(iter_no: int, sym: Any = None, arg: Any = None, aux: Any = None) -> None:
        if (iter_no + 1) % period == 0:
            mod.save_checkpoint(prefix, iter_no + 1, save_optimizer_states)

    return save


def do_checkpoint(prefix: str, period: int = 1) -> Callable[..., None]:
    """After every `period` epochs, save the net and the parameters that the callback is given."""
    period = max(1, int(period))

    def save(iter_no: int, sym: Any, arg: Mapping[str, NDArray], aux: Mapping[str, NDArray]) -> None:
        if (iter_no + 1) % period == 0:
            save_checkpoint(prefix, iter_no + 1, sym, arg, aux)

    return save


def log_train_metric(period: int, auto_reset: bool = False) -> Callable[[BatchEndParam], None]:
    """After every `period` batches, log the metric, and with `auto_reset` start it anew."""
    _positive("period", period)

    def log(param: BatchEndParam) -> None:
        if param.nbatch % period == 0 and param.eval_metric is not None:
            for name, value in param.eval_metric.get_name_value():
                logging.info("Iter[%d] Batch[%d] Train-%s=%f", param.epoch, param.nbatch, name, value)
            if auto_reset:
                param.eval_metric.reset_local()

    return log


class Speedometer:
    """After every `frequent` batches, logs samples per second and the metric.

    With `auto_reset` the metric starts anew after each line.
    """

    def __init__(self, batch_size: int, frequent: int = 50, auto_reset: bool = True) -> None:
        _positive("frequent", frequent)
        self.batch_size, self.frequent, self.auto_reset = batch_size, frequent, auto_reset
        self.init = False
        self.tic = 0.0
        self.last_count = 0

    def __call__(self, param: BatchEndParam) -> None:
        count = param.nbatch
        restarted = self.last_count > count
        self.last_count = count
        if restarted or not self.init:
            self.init = True
            self.tic = time.time()
        elif count % self.frequent == 0:
            elapsed = time.time() - self.tic
            speed = self.frequent * self.batch_size / elapsed if elapsed else math.inf
            self._log(param, speed)
            self.tic = time.time()

    def _log(self, param: BatchEndParam, speed: float) -> None:
        if param.eval_metric is None:
            logging.info("Iter[%d] Batch [%d]\tSpeed: %.2f samples/sec", param.epoch, param.nbatch, speed)
            return
        named = param.eval_metric.get_name_value()
        start = 0
        if self.auto_reset:
            param.eval_metric.reset_local()
            start = param.nbatch - self.frequent
        line = "Epoch[%d] Batch [%d-%d]\tSpeed: %.2f samples/sec" + "\t%s=%f" * len(named)
        logging.info(
            line, param.epoch, start, param.nbatch, speed, *(part for pair in named for part in pair)
        )


class ProgressBar:
    """Logs a bar of `length` characters that fills up until batch `total`."""

    def __init__(self, total: int, length: int = 80) -> None:
        _positive("total", total)
        self.total, self.bar_len = total, length

    def __call__(self, param: BatchEndParam) -> None:
        part = param.nbatch / self.total
        filled = round(self.bar_len * part)
        bar = "=" * filled + "-" * (self.bar_len - filled)
        logging.info("[%s] %s%s\r", bar, math.ceil(100.0 * param.nbatch / self.total), "%")


class LogValidationMetricsCallback:
    """After an evaluation, logs its metric."""

    def __call__(self, param: BatchEndParam) -> None:
        if param.eval_metric:
            for name, value in param.eval_metric.get_name_value():
                logging.info("Epoch[%d] Validation-%s=%f", param.epoch, name, value)


def _positive(name: str, value: float) -> None:
    if value <= 0:
        raise ValueError(f"{name} is {value}; it must be positive")

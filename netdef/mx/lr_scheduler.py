"""MXNet's learning rate schedulers: functions of the number of updates."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from itertools import pairwise

from netdef.diag import MXNetError

_MODES = ("linear", "constant")


class LRScheduler:
    """Base of the schedulers, with MXNet's warm-up.

    Before update `warmup_steps` the rate climbs on a line from `warmup_begin_lr` to `base_lr` (mode
    `linear`), or stays at `warmup_begin_lr` (mode `constant`).  `base_lr` is the rate at present and moves
    with it.
    """

    def __init__(
        self,
        base_lr: float = 0.01,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ) -> None:
        _whole("warmup_steps", warmup_steps)
        if warmup_begin_lr > base_lr:
            raise ValueError(
                f"warmup_begin_lr is {warmup_begin_lr}, more than base_lr {base_lr}; a warm-up rises"
            )
        if warmup_steps < 0:
            raise ValueError(f"warmup_steps is {warmup_steps}; it must be positive or 0")
        if warmup_mode not in _MODES:
            raise ValueError(f"warmup_mode is {warmup_mode!r}; legal: {', '.join(_MODES)}")
        self.base_lr = base_lr
        self.warmup_steps = warmup_steps
        self.warmup_begin_lr = warmup_begin_lr
        self.warmup_final_lr = base_lr
        self.warmup_mode = warmup_mode

    def get_warmup_lr(self, num_update: int) -> float:
        """The rate at an update before `warmup_steps`."""
        if num_update >= self.warmup_steps:
            raise MXNetError(f"update {num_update} is after the warm-up of {self.warmup_steps} updates")
        if self.warmup_mode == "constant":
            return self.warmup_begin_lr
        rise = (self.warmup_final_lr - self.warmup_begin_lr) * num_update / self.warmup_steps
        return self.warmup_begin_lr + rise

    def __call__(self, num_update: int) -> float:
        """The rate at update `num_update`, which counts up from one call to the next."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(num_update)")


class FactorScheduler(LRScheduler):
    """Multiplies the rate by `factor` after every `step` updates, and stops at `stop_factor_lr`."""

    def __init__(
        self,
        step: int,
        factor: float = 1,
        stop_factor_lr: float = 1e-8,
        base_lr: float = 0.01,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        if step < 1:
            raise ValueError(f"step is {step}; the rate changes after 1 update or more")
        _falling(factor)
        self.step, self.factor, self.stop_factor_lr = step, factor, stop_factor_lr
        self.count = 0

    def __call__(self, num_update: int) -> float:
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        while num_update > self.count + self.step:
            self.count += self.step
            self.base_lr *= self.factor
            if self.base_lr < self.stop_factor_lr:
                self.base_lr = self.stop_factor_lr
                logging.info(
                    "Update[%d]: now learning rate arrived at %0.5e, will not change in the future",
                    num_update,
                    self.base_lr,
                )
            else:
                logging.info("Update[%d]: Change learning rate to %0.5e", num_update, self.base_lr)
        return self.base_lr


class MultiFactorScheduler(LRScheduler):
    """Multiplies the rate by `factor` after each of the updates listed in `step`, which increase."""

    def __init__(
        self,
        step: Sequence[int],
        factor: float = 1,
        base_lr: float = 0.01,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        if not isinstance(step, list) or not step:
            raise MXNetError(f"step is {step!r}; give a list of update numbers, one or more")
        if any(second <= first for first, second in pairwise(step)):
            raise ValueError(f"step is {step}; the update numbers must increase")
        if step[0] < 1:
            raise ValueError(f"step is {step}; update numbers begin at 1")
        _falling(factor)
        self.step, self.factor = step, factor
        self.cur_step_ind = 0
        self.count = 0

    def __call__(self, num_update: int) -> float:
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        while self.cur_step_ind < len(self.step) and num_update > self.step[self.cur_step_ind]:
            self.count = self.step[self.cur_step_ind]
            self.cur_step_ind += 1
            self.base_lr *= self.factor
            logging.info("Update[%d]: Change learning rate to %0.5e", num_update, self.base_lr)
        return self.base_lr


class _Descent(LRScheduler):
    """A rate that falls from `base_lr` to `final_lr` between the warm-up and update `max_update`."""

    def __init__(
        self,
        max_update: int,
        base_lr: float,
        final_lr: float,
        warmup_steps: int,
        warmup_begin_lr: float,
        warmup_mode: str,
    ) -> None:
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        _whole("max_update", max_update)
        if max_update < 1:
            raise ValueError(f"max_update is {max_update}; it must be positive")
        self.base_lr_orig = base_lr
        self.max_update, self.final_lr = max_update, final_lr
        self.max_steps = max_update - warmup_steps

    def _remaining(self, done: float) -> float:
        """How much of the way is left when `done` of it, from 0 to 1, is over."""
        raise NotImplementedError

    def __call__(self, num_update: int) -> float:
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        if num_update <= self.max_update:
            # A warm-up up to max_update leaves no way: the rate is the final one at once.
            done = (num_update - self.warmup_steps) / self.max_steps if self.max_steps else 1.0
            self.base_lr = self.final_lr + (self.base_lr_orig - self.final_lr) * self._remaining(done)
        return self.base_lr


class PolyScheduler(_Descent):
    """Falls as (1 - t / T) ^ pwr from `base_lr` to `final_lr` at update `max_update`, and stays there."""

    def __init__(
        self,
        max_update: int,
        base_lr: float = 0.01,
        pwr: float = 2,
        final_lr: float = 0,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(max_update, base_lr, final_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        self.power = pwr

    def _remaining(self, done: float) -> float:
        return float((1 - done) ** self.power)


class CosineScheduler(_Descent):
    """Falls on half a cosine from `base_lr` to `final_lr` at update `max_update`, and stays there.

    Loshchilov and Hutter 2017, without restarts.
    """

    def __init__(
        self,
        max_update: int,
        base_lr: float = 0.01,
        final_lr: float = 0,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(max_update, base_lr, final_lr, warmup_steps, warmup_begin_lr, warmup_mode)

    def _remaining(self, done: float) -> float:
        return (1 + math.cos(math.pi * done)) / 2


def _whole(name: str, value: object) -> None:
    if not isinstance(value, int):
        raise MXNetError(f"{name} is {value!r}; it counts updates, so it must be an int")


def _falling(factor: float) -> None:
    if factor > 1:
        raise ValueError(f"factor is {factor}; it must be no more than 1, so that the rate falls")

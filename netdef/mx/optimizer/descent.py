"""Optimizers that follow the gradient, with or without momentum.

g is the gradient with decay, lr the rate.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from netdef.mx.generator import generator
from netdef.mx.ndarray import NDArray
from netdef.mx.optimizer.base import Optimizer, Turn, register


def _descend(turn: Turn, lr: float) -> None:
    """w -= lr g; uses the gradient up."""
    np.multiply(turn.gradient, lr, out=turn.gradient)
    np.subtract(turn.weight, turn.gradient, out=turn.weight)


def _norm(array: Any) -> float:
    """The Euclidean norm of an array of any shape."""
    flat = array.reshape(-1)
    if flat.dtype == np.float16:
        flat = flat.astype(np.float32)  # squares of small halves vanish, sums of large ones overflow
    return math.sqrt(float(np.vdot(flat, flat)))


class _Momentum(Optimizer):
    """A momentum for each weight, unless `momentum` is 0 (a negative one counts as 0)."""

    _master = 1

    def __init__(self, momentum: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum = momentum

    @property
    def slots(self) -> int:  # type: ignore[override]
        return int(self.momentum > 0)

    def _step(self, turn: Turn) -> None:
        self._move(turn, self.momentum)

    def _move(self, turn: Turn, momentum: float) -> None:
        if not turn.state:
            _descend(turn, turn.lr)
            return
        (velocity,) = turn.state
        velocity *= momentum
        np.multiply(turn.gradient, turn.lr, out=turn.gradient)
        velocity -= turn.gradient
        np.add(turn.weight, velocity, out=turn.weight)


@register
class SGD(_Momentum):
    """m = momentum m - lr g; w += m (Polyak 1964); without momentum w -= lr g.

    `lazy_update` concerns sparse gradients, which do not exist here.
    """

    def __init__(self, momentum: float = 0.0, lazy_update: bool = True, **kwargs: Any) -> None:
        super().__init__(momentum, **kwargs)
        self.lazy_update = lazy_update
        self.aggregate_num = 4


@register
class ccSGD(SGD):
    """Another name of SGD."""


@register
class NAG(_Momentum):
    """d = lr (g0 + wd w); w += momentum^2 m - (1 + momentum) d; m = momentum m - lr (g0 + wd w).

    Nesterov 1983, in the form of Sutskever, Martens, Dahl and Hinton 2013; g0 is the gradient without decay.
    The momentum receives the decay of the new weight: MXNet's kernel has overwritten the old one by then.
    """

    scratches = 2
    decay = ""

    def _move(self, turn: Turn, momentum: float) -> None:
        weight, gradient, (step, scratch) = turn.weight, turn.gradient, turn.scratch
        np.multiply(weight, turn.wd, out=step)
        step += gradient
        if turn.state:
            (velocity,) = turn.state
            velocity *= momentum
            step *= -(1 + momentum) * turn.lr
            step += np.multiply(velocity, momentum, out=scratch)
            np.add(weight, step, out=weight)
            gradient += np.multiply(weight, turn.wd, out=step)
            gradient *= turn.lr
            velocity -= gradient
        else:
            step *= turn.lr
            np.subtract(weight, step, out=weight)


@register
class LARS(_Momentum):
    """SGD whose rate is lr eta |w| / (|g0| + wd |w| + eps) for each weight (You, Gitman and Ginsburg 2017).

    g0 is the gradient without clipping and decay.  Parameters whose names end in `gamma`, `beta` or `bias`
    keep lr, and so does one where w or g0 is zero.  With `momentum_correction` the momentum is multiplied
    by new lr / old lr in the first call of `update` after the rate changed.  Only names in `_weight` decay.
    """

    def __init__(
        self,
        momentum: float = 0.0,
        lazy_update: bool = True,
        eta: float = 0.001,
        eps: float = 0,
        momentum_correction: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(momentum, **kwargs)
        self.lazy_update = lazy_update
        self.aggregate_num = 4
        self.eta, self.eps, self.momentum_correction = eta, eps, momentum_correction
        self.last_lr: float | None = None
        self.cur_lr: float | None = None

    @staticmethod
    def _decays(name: str) -> bool:
        return name.endswith("_weight")

    def _get_lrs(self, indices: Sequence[Any]) -> list[float]:
        rate = self.learning_rate
        self.last_lr = rate if self.cur_lr is None else self.cur_lr
        self.cur_lr = rate
        return super()._get_lrs(indices)

    def _update_one(
        self, index: Any, weight: NDArray, grad: NDArray, state: Any, lr: float, wd: float
    ) -> None:
        if not self.idx2name.get(index, str(index)).endswith(("gamma", "beta", "bias")):
            of_weight, of_gradient = _norm(weight.array), _norm(grad.array) * abs(self.rescale_grad)
            if of_weight > 0 and of_gradient > 0:
                lr *= self.eta * of_weight / (of_gradient + wd * of_weight + self.eps)
        super()._update_one(index, weight, grad, state, lr, wd)

    def _step(self, turn: Turn) -> None:
        momentum = self.momentum
        if self.momentum_correction and self.last_lr and self.cur_lr is not None:
            momentum *= self.cur_lr / self.last_lr
        self._move(turn, momentum)


@register
class LBSGD(_Momentum):
    """SGD for large batches: `batch_scale` gradients are averaged into one update, whose rate is scaled.

    The factor grows over `warmup_epochs` from 1 to `batch_scale` with `warmup_strategy` `linear`, `power2`
    or `sqrt`, and stays 1 under any other name but `lars`: then it is sqrt(|w|^2 / (|g|^2 + wd |w|^2)),
    from 0.01 to 100.  `num_epochs` is for information.
    """

    _strategies = {"linear": lambda part: part, "power2": lambda part: part * part, "sqrt": math.sqrt}

    def __init__(
        self,
        momentum: float = 0.0,
        multi_precision: bool = False,
        warmup_strategy: str = "linear",
        warmup_epochs: int = 5,
        batch_scale: int = 1,
        updates_per_epoch: int = 32,
        begin_epoch: int = 0,
        num_epochs: int = 60,
        **kwargs: Any,
    ) -> None:
        super().__init__(momentum, multi_precision=multi_precision, **kwargs)
        logging.info("Running Large-Batch SGD Algorithm")
        logging.info(
            "(Batch_scale=%f, warmup_epochs=%d, warmup_strategy=%s, updates_per_epoch=%d)",
            batch_scale,
            warmup_epochs,
            warmup_strategy,
            updates_per_epoch,
        )
        self.warmup_strategy, self.warmup_epochs = warmup_strategy, warmup_epochs
        self.batch_scale, self.updates_per_epoch = batch_scale, updates_per_epoch
        self.init_updates = begin_epoch * updates_per_epoch
        self.num_epochs = num_epochs
        #: by index: the sum of gradients since the last update, and how many gradients there were in all
        self.cumgrads: dict[Any, tuple[NDArray, int]] = {}

    def _count_and_rates(self, indices: Sequence[Any]) -> tuple[list[float], list[float]]:
        # The rate is that before this update.
        lrs, wds = self._get_lrs(indices), self._get_wds(indices)
        self._update_count(indices)
        return lrs, wds

    def _update_one(
        self, index: Any, weight: NDArray, grad: NDArray, state: Any, lr: float, wd: float
    ) -> None:
        self._checked(index, weight, grad, state)
        if index in self.cumgrads:
            total, count = self.cumgrads[index]
            total.array[...] += grad.array
        else:
            total, count = grad.copy(), self.init_updates
        count += 1
        self.cumgrads[index] = total, count
        if count % self.batch_scale:
            return
        total.array[...] /= self.batch_scale
        if self.warmup_strategy == "lars":
            lr *= self._ratio(weight.array, total.array, wd)
        else:
            lr *= self._scale(count)
        super()._update_one(index, weight, total, state, lr, wd)
        total.array[...] = 0

    def _ratio(self, weight: Any, gradient: Any, wd: float) -> float:
        of_weight, of_gradient = _norm(weight) ** 2, _norm(gradient) ** 2
        return min(max(math.sqrt(of_weight / (of_gradient + wd * of_weight + 1e-18)), 0.01), 100.0)

    def _scale(self, count: int) -> float:
        warmup = self.warmup_epochs * self.updates_per_epoch
        if count >= warmup:
            return self.batch_scale
        if warmup <= 1 or self.warmup_strategy not in self._strategies:
            return 1.0
        return 1 + (self.batch_scale - 1) * self._strategies[self.warmup_strategy](count / warmup)


@register
class DCASGD(Optimizer):
    """m = momentum m - lr (g + lamda g0^2 (w - w')); w += m, where w' is the weight before the last update.

    g0 is the gradient without decay: asynchronous SGD with compensation of the delay (Zheng and others 2016).
    """

    scratches = 2
    decay = ""

    def __init__(self, momentum: float = 0.0, lamda: float = 0.04, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum, self.lamda = momentum, lamda
        self.weight_previous: dict[Any, NDArray] = {}

    @property
    def slots(self) -> int:  # type: ignore[override]
        return 1 + (self.momentum > 0)

    def create_state(self, index: Any, weight: NDArray) -> tuple[NDArray | None, NDArray]:
        """The momentum, None without one, and the weight before the last update."""
        return super().create_state(index, weight)[0] if self.momentum > 0 else None, weight.copy()

    def _step(self, turn: Turn) -> None:
        *momentum, previous = turn.state
        weight, gradient, (delay, product) = turn.weight, turn.gradient, turn.scratch
        np.subtract(weight, previous, out=delay)
        np.multiply(gradient, gradient, out=product)
        product *= self.lamda
        delay *= product
        delay += gradient
        delay += np.multiply(weight, turn.wd, out=product)
        delay *= -turn.lr
        np.copyto(previous, weight)
        if momentum:
            momentum[0] *= self.momentum
            momentum[0] += delay
            delay = momentum[0]
        np.add(weight, delay, out=weight)


@register
class SGLD(Optimizer):
    """w -= lr / 2 g - N(0, lr): stochastic gradient Langevin dynamics (Welling and Teh 2011)."""

    def _step(self, turn: Turn) -> None:
        _descend(turn, turn.lr / 2)
        noise = generator().normal(0, math.sqrt(turn.lr), turn.weight.shape)
        turn.weight[...] += turn.context.xp.asarray(noise, turn.weight.dtype)


@register
class Signum(Optimizer):
    """m = momentum m - (1 - momentum) g; w = (1 - lr wd_lh) w + lr sign(m) (Bernstein and others 2018).

    Without momentum (signSGD): w -= lr sign(g0), plus decay lr wd w; g0 is the gradient without decay.
    """

    def __init__(
        self, learning_rate: float = 0.01, momentum: float = 0.9, wd_lh: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        if wd_lh and momentum <= 0:
            raise ValueError(f"wd_lh is {wd_lh}, but there is no momentum; use wd, or give a momentum")
        self.momentum, self.wd_lh = momentum, wd_lh

    @property
    def slots(self) -> int:  # type: ignore[override]
        return int(self.momentum > 0)

    @property
    def decay(self) -> str:  # type: ignore[override]
        return "after" if self.momentum > 0 else ""

    def _step(self, turn: Turn) -> None:
        weight, gradient = turn.weight, turn.gradient
        if not turn.state:
            np.sign(gradient, out=gradient)
            weight *= 1 - turn.lr * turn.wd
            _descend(turn, turn.lr)
            return
        (mean,) = turn.state
        mean *= self.momentum
        gradient *= 1 - self.momentum
        mean -= gradient
        np.sign(mean, out=gradient)
        weight *= 1 - turn.lr * self.wd_lh
        _descend(turn, -turn.lr)


@register
class Test(Optimizer):
    """w += rescale_grad gradient; the state is a copy of the weight.  For tests of what calls optimizers."""

    slots = 1

    def update(self, index: Any, weight: NDArray, grad: NDArray, state: NDArray) -> None:
        """Update one weight; nothing is counted."""
        self._checked(index, weight, grad, state)
        weight.array[...] += grad.array * self.rescale_grad
        np.copyto(state.array, weight.array)

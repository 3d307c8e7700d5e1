"""Optimizers that scale each element's step by its history.

g is the gradient with decay, added before clipping where an optimizer's `decay` says so; lr is the rate.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from netdef.mx.optimizer.base import Optimizer, Turn, register
from netdef.mx.optimizer.descent import _norm


def _rest(keep: float) -> float:
    """1 - keep as float32 has it: MXNet's kernels round their arguments first, which shows for 0.999."""
    return float(np.float32(1) - np.float32(keep))


def _average(mean: Any, keep: float, rest: float, values: Any, scratch: Any) -> None:
    """mean = keep mean + rest values."""
    mean *= keep
    mean += np.multiply(values, rest, out=scratch)


def _average_squares(mean: Any, keep: float, rest: float, values: Any, scratch: Any) -> None:
    """mean = keep mean + rest values^2."""
    mean *= keep
    np.multiply(values, values, out=scratch)
    scratch *= rest
    mean += scratch


@register
class Adam(Optimizer):
    """m, v: averages of g, g^2; w -= lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt v + epsilon).

    Kingma and Ba 2015.  `lazy_update` concerns sparse gradients, which do not exist here.
    """

    slots = 2
    decay = "before"

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        lazy_update: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1, self.beta2, self.epsilon, self.lazy_update = beta1, beta2, epsilon, lazy_update

    def _step(self, turn: Turn) -> None:
        mean, squares = turn.state
        (scratch,) = turn.scratch
        lr = turn.lr * math.sqrt(1 - self.beta2**turn.updates) / (1 - self.beta1**turn.updates)
        _average(mean, self.beta1, _rest(self.beta1), turn.gradient, scratch)
        _average_squares(squares, self.beta2, _rest(self.beta2), turn.gradient, scratch)
        np.sqrt(squares, out=scratch)
        scratch += self.epsilon
        np.divide(mean, scratch, out=scratch)
        scratch *= lr
        np.subtract(turn.weight, scratch, out=turn.weight)


@register
class Adamax(Optimizer):
    """m = average of g, u = max(beta2 u, |g|); w -= lr / (1 - beta1^t) m / u.

    Kingma and Ba 2015, section 7.1.  Where all gradients were zero so far, the weight stays; MXNet
    divides 0 by 0.
    """

    slots = 2
    decay = "before"

    def __init__(
        self, learning_rate: float = 0.002, beta1: float = 0.9, beta2: float = 0.999, **kwargs: Any
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1, self.beta2 = beta1, beta2

    def _step(self, turn: Turn) -> None:
        mean, largest = turn.state
        (scratch,) = turn.scratch
        _average(mean, self.beta1, 1 - self.beta1, turn.gradient, scratch)
        largest *= self.beta2
        np.maximum(largest, np.abs(turn.gradient, out=scratch), out=largest)
        np.maximum(largest, float(np.finfo(largest.dtype).tiny), out=scratch)
        np.divide(mean, scratch, out=scratch)
        scratch *= turn.lr / (1 - self.beta1**turn.updates)
        np.subtract(turn.weight, scratch, out=turn.weight)


@register
class Nadam(Optimizer):
    """Adam with Nesterov momentum, whose strength follows a schedule (Dozat 2016).

    The product of the schedule runs over all calls of `update`, those for other weights included, as in
    MXNet.
    """

    slots = 2
    decay = "before"

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        schedule_decay: float = 0.004,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.schedule_decay = schedule_decay
        self.m_schedule = 1.0

    def _momentum(self, count: int) -> float:
        return float(self.beta1 * (1 - 0.5 * 0.96 ** (count * self.schedule_decay)))

    def _step(self, turn: Turn) -> None:
        mean, squares = turn.state
        gradient, (scratch,) = turn.gradient, turn.scratch
        now, following = self._momentum(turn.updates), self._momentum(turn.updates + 1)
        self.m_schedule *= now
        _average(mean, self.beta1, 1 - self.beta1, gradient, scratch)
        _average_squares(squares, self.beta2, 1 - self.beta2, gradient, scratch)
        gradient *= (1 - now) / (1 - self.m_schedule)
        np.multiply(mean, following / (1 - self.m_schedule * following), out=scratch)
        gradient += scratch
        np.multiply(squares, 1 / (1 - self.beta2**turn.updates), out=scratch)
        np.sqrt(scratch, out=scratch)
        scratch += self.epsilon
        gradient /= scratch
        gradient *= turn.lr
        np.subtract(turn.weight, gradient, out=turn.weight)


@register
class AdaGrad(Optimizer):
    """h += g0^2; w -= lr (g0 / sqrt(h + eps) + wd w), g0 the gradient without decay.

    Duchi, Hazan and Singer 2011.
    """

    slots = 1
    decay = ""

    def __init__(self, eps: float = 1e-7, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.float_stable_eps = eps

    def _step(self, turn: Turn) -> None:
        (squares,) = turn.state
        weight, gradient, (scratch,) = turn.weight, turn.gradient, turn.scratch
        squares += np.multiply(gradient, gradient, out=scratch)
        np.add(squares, self.float_stable_eps, out=scratch)
        gradient /= np.sqrt(scratch, out=scratch)
        gradient += np.multiply(weight, turn.wd, out=scratch)
        gradient *= turn.lr
        np.subtract(weight, gradient, out=weight)


@register
class AdaDelta(Optimizer):
    """h = average of g0^2, s = g0 sqrt((u + epsilon) / (h + epsilon)), u = average of s^2; w -= s + wd w.

    g0 is the gradient without decay; there is no rate (Zeiler 2012).
    """

    slots = 2
    decay = ""

    def __init__(self, rho: float = 0.90, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rho, self.epsilon = rho, epsilon

    def _step(self, turn: Turn) -> None:
        squares, steps = turn.state
        weight, gradient, (scratch,) = turn.weight, turn.gradient, turn.scratch
        _average_squares(squares, self.rho, 1 - self.rho, gradient, scratch)
        np.add(steps, self.epsilon, out=scratch)
        gradient *= np.sqrt(scratch, out=scratch)
        np.add(squares, self.epsilon, out=scratch)
        gradient /= np.sqrt(scratch, out=scratch)
        _average_squares(steps, self.rho, 1 - self.rho, gradient, scratch)
        gradient += np.multiply(weight, turn.wd, out=scratch)
        np.subtract(weight, gradient, out=weight)


@register
class RMSProp(Optimizer):
    """n = average of g^2; w -= lr g / sqrt(n + epsilon) (Tieleman and Hinton 2012).

    `centered` (Graves 2013): m = average of g; d = gamma2 d - lr g / sqrt(n - m^2 + epsilon); w += d.
    Weights are clipped to +-`clip_weights` where that is positive.
    """

    decay = "before"

    def __init__(
        self,
        learning_rate: float = 0.001,
        gamma1: float = 0.9,
        gamma2: float = 0.9,
        epsilon: float = 1e-8,
        centered: bool = False,
        clip_weights: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.gamma1, self.gamma2, self.epsilon = gamma1, gamma2, epsilon
        self.centered, self.clip_weights = centered, clip_weights

    @property
    def slots(self) -> int:  # type: ignore[override]
        return 3 if self.centered else 1

    def _step(self, turn: Turn) -> None:
        squares, *more = turn.state
        weight, gradient, (scratch,) = turn.weight, turn.gradient, turn.scratch
        rest = _rest(self.gamma1)
        _average_squares(squares, self.gamma1, rest, gradient, scratch)
        if more:
            mean, delta = more
            _average(mean, self.gamma1, rest, gradient, scratch)
            np.multiply(mean, mean, out=scratch)
            np.subtract(squares, scratch, out=scratch)
            scratch += self.epsilon
        else:
            np.add(squares, self.epsilon, out=scratch)
        gradient *= turn.lr
        gradient /= np.sqrt(scratch, out=scratch)
        if more:
            delta *= self.gamma2
            delta -= gradient
            np.add(weight, delta, out=weight)
        else:
            np.subtract(weight, gradient, out=weight)
        if self.clip_weights is not None and self.clip_weights > 0:
            np.clip(weight, -self.clip_weights, self.clip_weights, out=weight)


@register
class Ftrl(Optimizer):
    """Follow the regularised leader, proximal (McMahan and others 2013), with L1 strength `lamda1`.

    z += g0 - (sqrt(n + g0^2) - sqrt n) w / lr; n += g0^2; w = (sign(z) lamda1 - z) / ((beta + sqrt n) / lr
    + wd) where |z| > lamda1, else 0; g0 has no decay.  A rate of 0 changes nothing (MXNet divides by it).
    """

    slots = 2
    scratches = 2
    decay = ""

    def __init__(
        self, lamda1: float = 0.01, learning_rate: float = 0.1, beta: float = 1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        # A scheduler keeps its base_lr, unlike beside a learning_rate given to the base.
        self.lamda1, self.beta, self.lr = lamda1, beta, learning_rate

    def _step(self, turn: Turn) -> None:
        if not turn.lr:
            return
        linear, squares = turn.state
        weight, gradient, (root, scratch) = turn.weight, turn.gradient, turn.scratch
        linear += gradient
        np.sqrt(squares, out=root)
        gradient *= gradient
        squares += gradient
        np.sqrt(squares, out=gradient)
        np.subtract(gradient, root, out=root)
        root *= weight
        root *= 1 / turn.lr
        linear -= root
        # |z| <= lamda1 gives exactly 0: sign(z) max(|z| - lamda1, 0) is z beyond the threshold.
        np.abs(linear, out=scratch)
        scratch -= self.lamda1
        np.maximum(scratch, 0, out=scratch)
        scratch *= np.sign(linear, out=root)
        gradient += self.beta
        gradient *= 1 / turn.lr
        gradient += turn.wd
        scratch /= gradient
        np.negative(scratch, out=weight)


@register
class FTML(Optimizer):
    """Follow the moving leader (Zheng and Kwok 2017).

    v = average of g^2; d' = (1 - beta1^t) / lr (sqrt(v / (1 - beta2^t)) + epsilon);
    z = beta1 z + (1 - beta1) g - (d' - beta1 d) w; d = d'; w = -z / d.  A rate of 0 changes
    nothing (MXNet divides by it).
    """

    slots = 3
    scratches = 2
    decay = "before"

    def __init__(
        self, beta1: float = 0.6, beta2: float = 0.999, epsilon: float = 1e-8, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon

    def _step(self, turn: Turn) -> None:
        if not turn.lr:
            return
        last, squares, leader = turn.state
        weight, gradient, (now, scratch) = turn.weight, turn.gradient, turn.scratch
        _average_squares(squares, self.beta2, _rest(self.beta2), gradient, scratch)
        np.multiply(squares, 1 / (1 - float(np.float32(self.beta2)) ** turn.updates), out=now)
        np.sqrt(now, out=now)
        now += self.epsilon
        now *= (1 - float(np.float32(self.beta1)) ** turn.updates) / turn.lr
        _average(leader, self.beta1, _rest(self.beta1), gradient, scratch)
        last *= -self.beta1
        last += now
        last *= weight
        leader -= last
        np.copyto(last, now)
        np.divide(leader, now, out=weight)
        np.negative(weight, out=weight)


@register
class LAMB(Optimizer):
    """Adam's step with a rate for each weight: w -= lr |w| / |s| s (You and others 2020).

    s = m / (sqrt v + epsilon) + wd w, m and v the averages of g0 and g0^2, corrected for their start at
    zero with `bias_correction`.  |w| is limited to `lower_bound` and `upper_bound` where they are given;
    where a norm is zero, the rate is lr.
    """

    slots = 2
    decay = ""

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-6,
        lower_bound: float | None = None,
        upper_bound: float | None = None,
        bias_correction: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.lower_bound, self.upper_bound = lower_bound, upper_bound
        self.bias_correction = bias_correction
        self.aggregate_num = 45

    def _step(self, turn: Turn) -> None:
        mean, squares = turn.state
        weight, gradient, (scratch,) = turn.weight, turn.gradient, turn.scratch
        _average(mean, self.beta1, _rest(self.beta1), gradient, scratch)
        _average_squares(squares, self.beta2, _rest(self.beta2), gradient, scratch)
        if self.bias_correction:
            np.multiply(squares, 1 / (1 - float(np.float32(self.beta2)) ** turn.updates), out=scratch)
            np.multiply(mean, 1 / (1 - float(np.float32(self.beta1)) ** turn.updates), out=gradient)
            np.sqrt(scratch, out=scratch)
        else:
            np.sqrt(squares, out=scratch)
            np.copyto(gradient, mean)
        scratch += self.epsilon
        gradient /= scratch
        gradient += np.multiply(weight, turn.wd, out=scratch)
        gradient *= turn.lr * self._ratio(_norm(weight), _norm(gradient))
        np.subtract(weight, gradient, out=weight)

    def _ratio(self, of_weight: float, of_step: float) -> float:
        if self.lower_bound:
            of_weight = max(of_weight, self.lower_bound)
        if self.upper_bound:
            of_weight = min(of_weight, self.upper_bound)
        return of_weight / of_step if of_weight and of_step else 1.0

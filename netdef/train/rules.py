"""Caffe's update pipeline and rules, the rules in order of complexity (`sgd_solver.cpp`, `solvers/*.cpp`).

Everything happens in place: a rule uses the gradient up, and an update allocates nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from netdef.spec.solver import SolverSpec


class Learnable(NamedTuple):
    """One learnable blob with everything that its update needs; all arrays have its shape."""

    #: Caffe's key: the layer that owns it and the number among its blobs, `conv1/0`
    key: str
    value: np.ndarray
    gradient: np.ndarray
    #: what the rule remembers from update to update
    history: tuple[np.ndarray, ...]
    #: an array whose content does not matter
    scratch: np.ndarray
    lr_mult: float
    decay_mult: float


def sgd(solver: SolverSpec, blob: Learnable, rate: float, iteration: int) -> None:
    """h = momentum h + rate g; w -= h (Polyak 1964)."""
    (velocity,) = blob.history
    velocity *= solver.momentum
    np.multiply(blob.gradient, rate, out=blob.gradient)
    velocity += blob.gradient
    np.subtract(blob.value, velocity, out=blob.value)


def nesterov(solver: SolverSpec, blob: Learnable, rate: float, iteration: int) -> None:
    """h' = momentum h + rate g; w -= (1 + momentum) h' - momentum h.

    Nesterov 1983; in this form Sutskever, Martens, Dahl and Hinton 2013.
    """
    (velocity,) = blob.history
    value, gradient, scratch = blob.value, blob.gradient, blob.scratch
    np.multiply(velocity, solver.momentum, out=scratch)
    gradient *= rate
    np.add(scratch, gradient, out=velocity)
    value += scratch
    np.multiply(velocity, 1 + solver.momentum, out=scratch)
    value -= scratch


def adagrad(solver: SolverSpec, blob: Learnable, rate: float, iteration: int) -> None:
    """h += g^2; w -= rate g / (sqrt h + delta) (Duchi, Hazan and Singer 2011)."""
    (squares,) = blob.history
    np.multiply(blob.gradient, blob.gradient, out=blob.scratch)
    squares += blob.scratch
    _descend(blob, blob.gradient, squares, rate, solver.delta)


def rmsprop(solver: SolverSpec, blob: Learnable, rate: float, iteration: int) -> None:
    """h = rms_decay h + (1 - rms_decay) g^2; w -= rate g / (sqrt h + delta) (Tieleman and Hinton 2012)."""
    (squares,) = blob.history
    _average_squares(squares, solver.rms_decay, blob)
    _descend(blob, blob.gradient, squares, rate, solver.delta)


def adadelta(solver: SolverSpec, blob: Learnable, rate: float, iteration: int) -> None:
    """w -= rate s, s = g sqrt((u + delta) / (h + delta)), averages h of g^2, u of s^2 (Zeiler 2012)."""
    squares, steps = blob.history
    value, gradient, scratch = blob.value, blob.gradient, blob.scratch
    _average_squares(squares, solver.momentum, blob)
    np.add(steps, solver.delta, out=scratch)
    gradient *= np.sqrt(scratch, out=scratch)
    np.add(squares, solver.delta, out=scratch)
    gradient /= np.sqrt(scratch, out=scratch)
    _average_squares(steps, solver.momentum, blob)
    gradient *= rate
    value -= gradient


def adam(solver: SolverSpec, blob: Learnable, rate: float, iteration: int) -> None:
    """w -= rate m / (sqrt v + delta), with averages m of g and v of g^2 (Kingma and Ba 2015).

    Both are corrected for their start at zero.
    """
    mean, squares = blob.history
    steps = iteration + 1
    correction = math.sqrt(1 - solver.momentum2**steps) / (1 - solver.momentum**steps)
    _average_squares(squares, solver.momentum2, blob)
    mean *= solver.momentum
    np.multiply(blob.gradient, 1 - solver.momentum, out=blob.scratch)
    mean += blob.scratch
    np.copyto(blob.gradient, mean)
    _descend(blob, blob.gradient, squares, rate * correction, solver.delta)


def _average_squares(average: np.ndarray, keep: float, blob: Learnable) -> None:
    """average = keep average + (1 - keep) g^2."""
    average *= keep
    np.multiply(blob.gradient, blob.gradient, out=blob.scratch)
    np.multiply(blob.scratch, 1 - keep, out=blob.scratch)
    average += blob.scratch


def _descend(blob: Learnable, step: np.ndarray, squares: np.ndarray, rate: float, delta: float) -> None:
    """w -= rate step / (sqrt(squares) + delta); uses `step` up."""
    np.sqrt(squares, out=blob.scratch)
    np.add(blob.scratch, delta, out=blob.scratch)
    step /= blob.scratch
    step *= rate
    np.subtract(blob.value, step, out=blob.value)


class Rule(NamedTuple):
    """An update rule and the number of history arrays it keeps for each blob."""

    update: Callable[[SolverSpec, Learnable, float, int], None]
    slots: int


#: the names of `SolverParameter.type`
RULES = {
    "SGD": Rule(sgd, 1),
    "Nesterov": Rule(nesterov, 1),
    "AdaGrad": Rule(adagrad, 1),
    "RMSProp": Rule(rmsprop, 1),
    "AdaDelta": Rule(adadelta, 2),
    "Adam": Rule(adam, 2),
}


def apply_update(solver: SolverSpec, blobs: Sequence[Learnable], rate: float, iteration: int) -> None:
    """Clip, average over iter_size, regularise, then the solver's rule: Caffe's ApplyUpdate."""
    if solver.clip_gradients >= 0:
        _clip(blobs, solver.clip_gradients)
    rule = RULES[solver.type].update
    for blob in blobs:
        if solver.iter_size > 1:
            np.multiply(blob.gradient, 1 / solver.iter_size, out=blob.gradient)
        decay = solver.weight_decay * blob.decay_mult
        if decay:
            if solver.regularization_type == "L1":
                np.sign(blob.value, out=blob.scratch)
                np.multiply(blob.scratch, decay, out=blob.scratch)
            else:
                np.multiply(blob.value, decay, out=blob.scratch)
            np.add(blob.gradient, blob.scratch, out=blob.gradient)
        rule(solver, blob, rate * blob.lr_mult, iteration)


def _clip(blobs: Sequence[Learnable], limit: float) -> None:
    """Scale all gradients so that their common L2 norm is at most `limit` (Pascanu et al. 2013)."""
    norm = math.sqrt(sum(float(np.vdot(blob.gradient, blob.gradient)) for blob in blobs))
    if norm > limit:
        for blob in blobs:
            np.multiply(blob.gradient, limit / norm, out=blob.gradient)

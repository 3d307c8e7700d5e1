"""Caffe's learning-rate policies (`sgd_solver.cpp`, GetLearningRate)."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable

from netdef.spec.solver import SolverSpec


def _sigmoid(solver: SolverSpec, iteration: int) -> float:
    # Written with tanh, which saturates where exp would overflow.
    return 0.5 * (1 + math.tanh(solver.gamma * (iteration - solver.stepsize) / 2))


#: policy -> the factor on base_lr at an iteration, counted from 0
FACTORS: dict[str, Callable[[SolverSpec, int], float]] = {
    "fixed": lambda solver, iteration: 1.0,
    "step": lambda solver, iteration: solver.gamma ** (iteration // solver.stepsize),
    "exp": lambda solver, iteration: solver.gamma**iteration,
    "inv": lambda solver, iteration: (1 + solver.gamma * iteration) ** -solver.power,
    "multistep": lambda solver, iteration: solver.gamma ** bisect_right(solver.stepvalue, iteration),
    "poly": lambda solver, iteration: (1 - iteration / solver.max_iter) ** solver.power,
    "sigmoid": _sigmoid,
}


def rate(solver: SolverSpec, iteration: int) -> float:
    """The learning rate of an iteration, counted from 0, before any lr_mult; infinite where it overflows."""
    try:
        return solver.base_lr * FACTORS[solver.lr_policy](solver, iteration)
    except (OverflowError, ZeroDivisionError):
        return math.inf

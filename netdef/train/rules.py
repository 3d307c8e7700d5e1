"""Caffe's update pipeline and rules, the rules in order of complexity (`sgd_solver.cpp`, `solvers/*.cpp`).

Everything happens in place: a rule uses the gradient up, and an update allocates nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from netdef.spec.solver import SolverSpec


class Piece(NamedTuple):
    """Learnable numbers that are updated alike and what their update needs; all arrays have one shape."""

    value: np.ndarray
    gradient: np.ndarray
    #: what the rule remembers from update to update
    history: tuple[np.ndarray, ...]
    #: an array whose content does not matter
    scratch: np.ndarray
    lr_mult: float
    decay_mult: float


def sgd(solver: SolverSpec, piece: Piece, rate: float, iteration: int) -> None:
    """h = momentum h + rate g; w -= h (Polyak 1964)."""
    (velocity,) = piece.history
    velocity *= solver.momentum
    np.multiply(piece.gradient, rate, out=piece.gradient)
    velocity += piece.gradient
    np.subtract(piece.value, velocity, out=piece.value)


def nesterov(solver: SolverSpec, piece: Piece, rate: float, iteration: int) -> None:
    """h' = momentum h + rate g; w -= (1 + momentum) h' - momentum h.

    Nesterov 1983; in this form Sutskever, Martens, Dahl and Hinton 2013.
    """
    (velocity,) = piece.history
    value, gradient, scratch = piece.value, piece.gradient, piece.scratch
    np.multiply(velocity, solver.momentum, out=scratch)
    gradient *= rate
    np.add(scratch, gradient, out=velocity)
    value += scratch
    np.multiply(velocity, 1 + solver.momentum, out=scratch)
    value -= scratch


def adagrad(solver: SolverSpec, piece: Piece, rate: float, iteration: int) -> None:
    """h += g^2; w -= rate g / (sqrt h + delta) (Duchi, Hazan and Singer 2011)."""
    (squares,) = piece.history
    np.multiply(piece.gradient, piece.gradient, out=piece.scratch)
    squares += piece.scratch
    _descend(piece, piece.gradient, squares, rate, solver.delta)


def rmsprop(solver: SolverSpec, piece: Piece, rate: float, iteration: int) -> None:
    """h = rms_decay h + (1 - rms_decay) g^2; w -= rate g / (sqrt h + delta) (Tieleman and Hinton 2012)."""
    (squares,) = piece.history
    _average_squares(squares, solver.rms_decay, piece)
    _descend(piece, piece.gradient, squares, rate, solver.delta)


def adadelta(solver: SolverSpec, piece: Piece, rate: float, iteration: int) -> None:
    """w -= rate s, s = g sqrt((u + delta) / (h + delta)), averages h of g^2, u of s^2 (Zeiler 2012)."""
    squares, steps = piece.history
    value, gradient, scratch = piece.value, piece.gradient, piece.scratch
    _average_squares(squares, solver.momentum, piece)
    np.add(steps, solver.delta, out=scratch)
    gradient *= np.sqrt(scratch, out=scratch)
    np.add(squares, solver.delta, out=scratch)
    gradient /= np.sqrt(scratch, out=scratch)
    _average_squares(steps, solver.momentum, piece)
    gradient *= rate
    value -= gradient


def adam(solver: SolverSpec, piece: Piece, rate: float, iteration: int) -> None:
    """w -= rate m / (sqrt v + delta), with averages m of g and v of g^2 (Kingma and Ba 2015).

    Both are corrected for their start at zero.
    """
    mean, squares = piece.history
    steps = iteration + 1
    correction = math.sqrt(1 - solver.momentum2**steps) / (1 - solver.momentum**steps)
    _average_squares(squares, solver.momentum2, piece)
    mean *= solver.momentum
    np.multiply(piece.gradient, 1 - solver.momentum, out=piece.scratch)
    mean += piece.scratch
    np.copyto(piece.gradient, mean)
    _descend(piece, piece.gradient, squares, rate * correction, solver.delta)


def _average_squares(average: np.ndarray, keep: float, piece: Piece) -> None:
    """average = keep average + (1 - keep) g^2."""
    average *= keep
    np.multiply(piece.gradient, piece.gradient, out=piece.scratch)
    np.multiply(piece.scratch, 1 - keep, out=piece.scratch)
    average += piece.scratch


def _descend(piece: Piece, step: np.ndarray, squares: np.ndarray, rate: float, delta: float) -> None:
    """w -= rate step / (sqrt(squares) + delta); uses `step` up."""
    np.sqrt(squares, out=piece.scratch)
    np.add(piece.scratch, delta, out=piece.scratch)
    step /= piece.scratch
    step *= rate
    np.subtract(piece.value, step, out=piece.value)


class Rule(NamedTuple):
    """An update rule and the number of history arrays it keeps for each piece."""

    update: Callable[[SolverSpec, Piece, float, int], None]
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


def apply_update(
    solver: SolverSpec,
    gradients: Sequence[np.ndarray],
    pieces: Sequence[Piece],
    rate: float,
    iteration: int,
) -> None:
    """Clip, average over iter_size, regularise, then the solver's rule: Caffe's ApplyUpdate.

    `gradients` holds those of all blobs, whose common norm is clipped; the pieces hold the same memory, cut
    otherwise.
    """
    update_pieces(solver, pieces, clipping(solver, gradients), rate, iteration)


def update_pieces(
    solver: SolverSpec, pieces: Sequence[Piece], clipped: float, rate: float, iteration: int
) -> None:
    """`apply_update` for some of the pieces, whose gradients are multiplied by `clipped` first."""
    rule = RULES[solver.type].update
    for piece in pieces:
        if clipped < 1:
            np.multiply(piece.gradient, clipped, out=piece.gradient)
        if solver.iter_size > 1:
            np.multiply(piece.gradient, 1 / solver.iter_size, out=piece.gradient)
        decay = solver.weight_decay * piece.decay_mult
        if decay:
            if solver.regularization_type == "L1":
                np.sign(piece.value, out=piece.scratch)
                np.multiply(piece.scratch, decay, out=piece.scratch)
            else:
                np.multiply(piece.value, decay, out=piece.scratch)
            np.add(piece.gradient, piece.scratch, out=piece.gradient)
        rule(solver, piece, rate * piece.lr_mult, iteration)


def clipping(solver: SolverSpec, gradients: Sequence[np.ndarray]) -> float:
    """The factor for all gradients by which their common L2 norm is at most the solver's `clip_gradients`.

    Pascanu et al. 2013.
    """
    limit = solver.clip_gradients
    if limit < 0:
        return 1.0
    norm = math.sqrt(sum(float(np.vdot(gradient, gradient)) for gradient in gradients))
    return limit / norm if norm > limit else 1.0

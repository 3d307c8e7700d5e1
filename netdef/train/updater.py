"""The update of all learnable blobs, as few long calls over the memory that they share."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

import numpy as np

from netdef.runtime.memory import zeros
from netdef.spec.solver import SolverSpec
from netdef.train.flat import Flat
from netdef.train.rules import RULES, Piece, apply_update
from netdef.train.runner import Runner

#: how many numbers are updated at once: a call costs as much as some thousand numbers, and the arrays of a
#: piece should stay in the last-level cache from one call to the next
PIECE = 512 * 1024


class Learnable(NamedTuple):
    """One learnable blob; all arrays have its shape."""

    #: Caffe's key: the layer that owns it and the number among its blobs, `conv1/0`
    key: str
    value: np.ndarray
    gradient: np.ndarray
    #: what the rule remembers from update to update
    history: tuple[np.ndarray, ...]


class Updater:
    """Updates the blobs of a runner whose gradients it computes, and keeps the solver's history of them."""

    def __init__(self, solver: SolverSpec, runner: Runner) -> None:
        self.solver = solver
        self._gradients = [gradients for _, gradients in runner.blocks]
        self._pieces: list[Piece] = []
        kept: dict[str, list[np.ndarray]] = {name: [] for name in runner.gradients}
        longest = max((gradients.whole.size for gradients in self._gradients), default=0)
        scratch = zeros(np, (min(longest, PIECE),), runner.blobs.dtype)
        for values, gradients in runner.blocks:
            history = [gradients.like(gradients.shapes) for _ in range(RULES[solver.type].slots)]
            for slot in history:
                for name, array in slot.arrays().items():
                    kept[name].append(array)
            self._pieces += _cut(runner, values, gradients, history, scratch)
        blobs = runner.blobs.by_variable
        #: the blobs that a gradient reaches, in Caffe's order
        self.learnables = [
            Learnable(blobs[name].key, blobs[name].value, runner.gradients[name], tuple(kept[name]))
            for name in runner.net.params()
            if name in runner.gradients
        ]

    def clear(self) -> None:
        """Set all gradients to zero."""
        for gradients in self._gradients:
            gradients.whole.fill(0)

    def update(self, rate: float, iteration: int) -> None:
        """Apply the gradients, which are used up; `iteration` counts finished updates."""
        gradients = [blob.gradient for blob in self.learnables]
        apply_update(self.solver, gradients, self._pieces, rate, iteration)

    def history(self) -> dict[str, np.ndarray]:
        """The solver's history arrays by `<slot>/<key>`."""
        return {
            f"{slot}/{blob.key}": array for blob in self.learnables for slot, array in enumerate(blob.history)
        }


def _cut(
    runner: Runner, values: Flat, gradients: Flat, history: list[Flat], scratch: np.ndarray
) -> Iterator[Piece]:
    """The gradients of a block and what lies beside them, in pieces of at most `PIECE` numbers.

    The places of values and gradients differ where blobs in between are not learnt.
    """
    params = runner.net.params()

    def alike(name: str) -> tuple[float, float, int]:
        distance = values.spans[name].start - gradients.spans[name].start
        return params[name].lr_mult or 0.0, params[name].decay_mult, distance

    for (lr_mult, decay_mult, distance), names in groupby(gradients.spans, alike):
        spans = [gradients.spans[name] for name in names]
        for start in range(spans[0].start, spans[-1].stop, PIECE):
            stop = min(start + PIECE, spans[-1].stop)
            yield Piece(
                values.whole[start + distance : stop + distance],
                gradients.whole[start:stop],
                tuple(slot.whole[start:stop] for slot in history),
                scratch[: stop - start],
                lr_mult,
                decay_mult,
            )

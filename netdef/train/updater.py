"""The update of all learnable blobs, as few long calls over the memory that they share."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

import numpy as np

from netdef.runtime import threads
from netdef.runtime.memory import zeros
from netdef.runtime.team import Team
from netdef.spec.solver import SolverSpec
from netdef.train.flat import Flat
from netdef.train.rules import RULES, Piece, clipping, update_pieces
from netdef.train.runner import Runner

#: how many numbers are updated at once: a call costs as much as some thousand numbers, and the arrays of a
#: piece should stay in the cache from one call to the next
PIECE = 64 * 1024


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
        self._runner = runner
        #: the numbers that change from update to update, where members of a team see them
        self._now = zeros(np, (3,), "float64")
        self._run: tuple[Team, int] | None = None
        scratch = self._make_scratch()
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
        clipped = clipping(self.solver, [blob.gradient for blob in self.learnables])
        if threads.forks() and self._run is None and len(self._pieces) > 1:
            self._run = self._together()
        if self._run is None:
            update_pieces(self.solver, self._pieces, clipped, rate, iteration)
            return
        team, number = self._run
        self._now[...] = clipped, rate, iteration
        team.run(number)

    def _make_scratch(self) -> np.ndarray:
        longest = max((gradients.whole.size for gradients in self._gradients), default=0)
        return zeros(np, (min(longest, PIECE),), self._runner.blobs.dtype)

    def _together(self) -> tuple[Team, int]:
        """Let the processes that compute the passes update as well; each has pieces of its own."""
        team = self._runner.executor.bound(True).team
        workers = min(threads.count(), len(self._pieces))
        chains = []
        for worker in range(workers):
            scratch = self._make_scratch()
            mine = [
                piece._replace(scratch=scratch[: piece.value.size]) for piece in self._pieces[worker::workers]
            ]
            chains.append([(_update, (self.solver, mine, self._now))])
        return team, team.add([chains] * workers)

    def history(self) -> dict[str, np.ndarray]:
        """The solver's history arrays by `<slot>/<key>`."""
        return {
            f"{slot}/{blob.key}": array for blob in self.learnables for slot, array in enumerate(blob.history)
        }


def _update(solver: SolverSpec, pieces: list[Piece], now: np.ndarray) -> None:
    """Update pieces with the numbers that hold now."""
    clipped, rate, iteration = now.tolist()
    update_pieces(solver, pieces, clipped, rate, int(iteration))


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

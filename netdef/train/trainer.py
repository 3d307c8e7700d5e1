"""Caffe's Solver.

Iterations, learning rates, updates, evaluation and state (`solver.cpp`, `sgd_solver.cpp`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from netdef.diag import Diagnostic, NumericFault
from netdef.passes.pipeline import Loaded
from netdef.spec.layers.base import Layer
from netdef.spec.solver import SolverSpec
from netdef.train import codes
from netdef.train.blobs import Blobs
from netdef.train.objective import has_value
from netdef.train.policies import rate
from netdef.train.runner import Runner, input_shapes
from netdef.train.updater import Updater

#: writes the next batch into the input arrays of the net, which it gets by blob
Fill = Callable[[Mapping[str, np.ndarray]], None]


class Trainer:
    """Trains the blobs of a net with a solver.

    `iteration` counts finished updates, `losses` are those of the last `average_loss` iterations.
    `conv_algo` names an algorithm for the convolutions.
    """

    def __init__(self, solver: SolverSpec, loaded: Loaded, blobs: Blobs, conv_algo: str = "") -> None:
        self.solver, self.net, self.blobs = solver, loaded.net, blobs
        blobs.add(loaded.net, loaded.shapes)
        self.iteration = 0
        self.losses: deque[float] = deque(maxlen=solver.average_loss)
        self.random = np.random.default_rng((blobs.seed, 1))
        trained = {name: param for name, param in loaded.net.params().items() if param.lr_mult}
        self.runner = Runner(
            loaded.net,
            input_shapes(loaded.net, loaded.shapes),
            blobs,
            wanted=trained,
            grad_req="write" if solver.iter_size == 1 else "add",
            random=self.random,
            conv_algo=conv_algo,
        )
        self.updater = Updater(solver, self.runner)

    @property
    def rate(self) -> float:
        """The learning rate of the next update; raises `NumericFault` where the blobs cannot hold it."""
        value = rate(self.solver, self.iteration)
        if not value <= float(np.finfo(self.blobs.dtype).max):
            message = f"the learning rate of iteration {self.iteration} is {value:g}"
            hint = "lower base_lr or gamma, or use another lr_policy"
            span = self.solver.span("lr_policy")
            raise NumericFault([Diagnostic(codes.LOSS_NOT_FINITE, span, message, hint)])
        return value

    @property
    def smoothed_loss(self) -> float | None:
        """The mean loss of the last `average_loss` iterations; None where no loss of the net has a value."""
        if not has_value(self.net):
            return None
        return sum(self.losses) / len(self.losses) if self.losses else math.nan

    def scores(self) -> dict[str, float]:
        """The scalar outputs of the last pass by blob."""
        return {
            blob: float(np.sum(value)) for blob, value in self.runner.outputs.items() if np.size(value) == 1
        }

    def step(self, fill: Fill) -> float:
        """One iteration: forward and backward over iter_size batches, then the update.

        Returns the mean loss before the update.
        Raises `NumericFault`, naming the first layer that went wrong, before the weights are touched.
        """
        if self.solver.iter_size > 1:
            self.updater.clear()
        loss = 0.0
        with np.errstate(all="ignore"):
            for _ in range(self.solver.iter_size):
                fill(self.runner.inputs)
                before = self.random.bit_generator.state
                self.runner.forward(train=True)
                loss += self.runner.objective()
                if not math.isfinite(loss):
                    self.random.bit_generator.state = before
                    raise self._not_finite(loss)
                self.runner.backward()
            self.updater.update(self.rate, self.iteration)
        loss /= self.solver.iter_size
        self.losses.append(loss)
        self.iteration += 1
        return loss

    def _not_finite(self, loss: float) -> NumericFault:
        """The fault that names the first layer whose output is not finite: the pass is run once more."""
        blame = "the outputs of all layers are finite; their sum overflowed"
        span = self.net.layers[0].layer.span()
        for node, outputs in self.runner.executor.watch(train=True):
            if any(array.dtype.kind == "f" and not np.isfinite(array).all() for array in outputs.values()):
                layer = node.origin
                if isinstance(layer, Layer):
                    span, blame = layer.span("name"), f"the first layer with such a value is {layer.name}"
                break
        rates = f"iteration {self.iteration}, learning rate {self.rate:g}"
        what = f"the loss is {loss}" if has_value(self.net) else "the output of a loss layer is not finite"
        message = f"{what} ({rates}); {blame}"
        hint = "lower base_lr, or set clip_gradients"
        if self.iteration == 0:
            hint = "nothing has been updated yet: look at the data, the fillers and the weights given"
        return NumericFault([Diagnostic(codes.LOSS_NOT_FINITE, span, message, hint)])

    # -- state --

    def history(self) -> dict[str, np.ndarray]:
        """The solver's history arrays by `<slot>/<key>`."""
        return self.updater.history()

    def state(self) -> dict[str, Any]:
        """Everything else that the next iterations depend on, as JSON data."""
        return {
            "iteration": self.iteration,
            "losses": list(self.losses),
            "random": self.random.bit_generator.state,
            "solver": self.solver.type,
            "seed": self.blobs.seed,
        }

    def restore(self, history: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
        """Take over what `history` and `state` returned; arrays are copied in place."""
        for key, array in self.history().items():
            array[...] = history[key]
        self.iteration = state["iteration"]
        self.losses.extend(state["losses"])
        self.random.bit_generator.state = state["random"]

"""Gradients of a whole net against central differences, in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from netdef.diag import Error
from netdef.graph.build import Net
from netdef.graph.node import topological
from netdef.passes.infer import infer_types
from netdef.passes.pipeline import Loaded
from netdef.train.blobs import Blobs
from netdef.train.labels import blame_labels
from netdef.train.random_inputs import fill_inputs, label_classes
from netdef.train.runner import Runner, input_shapes

#: half the distance of a central difference; small, so that few ReLU and max kinks lie inside
STEP = 1e-6
#: directions tried for each blob; a kink between the two ends spoils one of them, an error all
DIRECTIONS = 3


class Checked(NamedTuple):
    """The derivative of the objective along a random direction of one blob, computed and measured."""

    blob: str
    size: int
    computed: float
    measured: float

    @property
    def error(self) -> float:
        """The difference relative to the larger of both; absolute where both are tiny."""
        return abs(self.computed - self.measured) / max(abs(self.computed), abs(self.measured), 1e-6)


def check_gradients(loaded: Loaded, seed: int, conv_algo: str = "") -> Iterator[Checked]:
    """Check every learnable blob and input that a gradient reaches; yields the best of a few directions.

    Blobs take their fillers' values, those that are constant small random ones on top, so that no gradient
    vanishes by symmetry; inputs are normal, labels random classes.  Dropout draws the same mask every time.
    `conv_algo` names an algorithm for the convolutions.
    Raises `Error` for a net in which an operator makes numbers of a type that does not go with float64.
    """
    net = loaded.net
    _require_wide(net)
    blobs = Blobs(seed, "float64")
    blobs.add(net, loaded.shapes)
    random = np.random.default_rng(seed)
    for blob in blobs.by_variable.values():
        if blob.param.lr_mult is not None and np.ptp(blob.value) == 0:
            np.add(blob.value, random.normal(0, 0.1, blob.value.shape), out=blob.value)
    labels = label_classes(loaded)
    wanted = [*net.params(), *(blob for blob in net.inputs if blob not in labels)]
    shapes, draws = input_shapes(net, loaded.shapes), np.random.default_rng(seed)
    runner = Runner(net, shapes, blobs, wanted=wanted, random=draws, conv_algo=conv_algo)
    fill_inputs(runner, loaded, random)
    state = runner.executor.random.bit_generator.state
    states = {
        name: blob.value.copy() for name, blob in blobs.by_variable.items() if blob.param.lr_mult is None
    }

    def objective() -> float:
        runner.executor.random.bit_generator.state = state
        for name, before in states.items():
            blobs.by_variable[name].value[...] = before
        with blame_labels(runner, train=True):
            runner.forward(train=True)
        return runner.objective()

    objective()
    runner.backward()
    gradients = {name: gradient.copy() for name, gradient in runner.gradients.items()}
    arrays = {**runner.inputs, **blobs.values()}
    for name, gradient in gradients.items():
        tried: list[Checked] = []
        for _ in range(DIRECTIONS):
            direction = random.normal(0, 1, gradient.shape)
            direction /= np.linalg.norm(direction)
            before = arrays[name].copy()
            arrays[name][...] = before + STEP * direction
            above = objective()
            arrays[name][...] = before - STEP * direction
            below = objective()
            arrays[name][...] = before
            computed = float(np.vdot(gradient, direction))
            tried.append(Checked(name, gradient.size, computed, (above - below) / (2 * STEP)))
        yield min(tried, key=lambda checked: checked.error)


def _require_wide(net: Net) -> None:
    """Refuse a net whose operators do not take their number types where all blobs are float64."""
    variables = [node for node in topological(net.symbol.heads) if node.is_variable]
    _, failures = infer_types(net.symbol.heads, {node.name: "float64" for node in variables})
    if failures:
        node, error = failures[0].node, failures[0].error
        told = f"gradients are checked in float64, where {node.name} refuses its inputs: {error.message}"
        raise Error(f"{told}; give float64 as the dtype of the layers that make them")

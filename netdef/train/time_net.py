"""How long each layer of a net takes, on random data (Caffe's `caffe time`)."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import NamedTuple

import numpy as np

from netdef.graph.node import Node
from netdef.passes.pipeline import Loaded
from netdef.runtime.clock import Timing, time_steps
from netdef.train.blobs import Blobs
from netdef.train.labels import blame_labels
from netdef.train.random_inputs import fill_inputs
from netdef.train.runner import Runner, input_shapes

#: passes before the clock starts: memory is touched for the first time, processors speed up
WARM_UP = 2
#: the row of what belongs to no single layer: gradients that several layers contribute to
GRADIENTS = "sums of gradients"


class LayerTime(NamedTuple):
    """The seconds of one layer, each a median over the iterations; None for a pass that it has no part in."""

    name: str
    type: str
    forward: float | None
    backward: float | None
    #: floating-point operations of both passes
    flops: int


class NetTime(NamedTuple):
    """The seconds of a net: one row for each layer, and medians of the whole passes.

    `backward` is None where only the forward pass was run.  `batch` is the first size of the first input.
    """

    layers: list[LayerTime]
    forward: float
    backward: float | None
    batch: int | None
    flops: int

    @property
    def seconds(self) -> float:
        """Of an iteration: forward and backward."""
        return self.forward + (self.backward or 0.0)


def time_net(loaded: Loaded, iterations: int) -> NetTime:
    """Time the passes of a net: in the TRAIN phase as in training, in the TEST phase forward only.

    Blobs take their fillers' values, inputs random ones.  A TRAIN net without a loss, or without a blob that
    is learnt, has no backward pass.  Raises `Error` where an operator refuses the random values.
    """
    net, train = loaded.net, loaded.net.phase == "TRAIN"
    blobs = Blobs(seed=0)
    blobs.add(net, loaded.shapes)
    wanted = [name for name, param in net.params().items() if param.lr_mult and train and net.losses]
    shapes = input_shapes(net, loaded.shapes)
    runner = Runner(net, shapes, blobs, wanted=wanted, random=np.random.default_rng(0))
    fill_inputs(runner, loaded, np.random.default_rng(0))
    backward = bool(wanted)
    with blame_labels(runner, train):
        time_steps(runner.executor, train, backward, WARM_UP)
    timings = time_steps(runner.executor, train, backward, iterations)
    batch = next((shape[0] for shape in shapes.values() if shape), None)
    passes = [_median(t for t in timings if t.backward is part) for part in (False, True)]
    return NetTime(
        _rows(loaded, timings),
        passes[0] or 0.0,
        (passes[1] or 0.0) if backward else None,
        batch,
        _flops(timings),
    )


def _rows(loaded: Loaded, timings: list[Timing]) -> list[LayerTime]:
    """A row for each layer in the net's order, then one for what belongs to none."""
    by_layer: dict[str | None, list[Timing]] = {built.layer.name: [] for built in loaded.net.layers}
    for timing in timings:
        by_layer.setdefault(_layer_name(timing), []).append(timing)
    types = {built.layer.name: built.layer.type for built in loaded.net.layers}
    rows = []
    for name, own in by_layer.items():
        forward, backward = (_median(t for t in own if t.backward is part) for part in (False, True))
        label, kind = (GRADIENTS, "") if name is None else (name, types[name])
        rows.append(LayerTime(label, kind, forward, backward, _flops(own)))
    return rows


def _layer_name(timing: Timing) -> str | None:
    """The layer that a call was planned for."""
    if timing.step is None:
        return None
    node: Node = timing.step.node.forward or timing.step.node
    return None if node.origin is None else node.origin.name


def _median(timings: Iterable[Timing]) -> float | None:
    """The median over the iterations of the time that calls take together."""
    seconds = [timing.seconds for timing in timings]
    return median(map(sum, zip(*seconds))) if seconds else None


def _flops(timings: list[Timing]) -> int:
    return sum(timing.step.flops for timing in timings if timing.step is not None)

"""A net of one phase bound to arrays."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any, cast

import numpy as np

from netdef.graph.build import Net
from netdef.graph.symbol import Symbol
from netdef.ops.shapes import Full
from netdef.passes.fold import Folding
from netdef.passes.fuse import fuse
from netdef.passes.infer import Known, infer_shapes
from netdef.passes.inference import for_inference
from netdef.runtime.context import cpu
from netdef.runtime.executor import Executor
from netdef.runtime.folding import fill_folded
from netdef.runtime.memory import zeros
from netdef.train.blobs import Blobs
from netdef.train.flat import Flat


class Runner:
    """The inputs, blobs, gradients and outputs of a net, and the executor over them.

    `inputs` holds an array for each input blob, which the caller fills; `gradients` one for each variable in
    `wanted` (`grad_req` as in MXNet: write, or add to accumulate over several passes).  With `folds` constant
    factors and shifts are part of the weights before them: such a runner makes no pass that trains, and
    `refold` takes over weights that have changed.  `conv_algo` names an algorithm for the convolutions.
    """

    def __init__(
        self,
        net: Net,
        shapes: Mapping[str, tuple[int, ...]],
        blobs: Blobs,
        *,
        wanted: Collection[str] = (),
        grad_req: str = "write",
        random: np.random.Generator | None = None,
        folds: bool = False,
        conv_algo: str = "",
    ) -> None:
        self.net, self.blobs = net, blobs
        self.inputs = {blob: zeros(np, shapes[blob], blobs.dtype) for blob in net.inputs}
        self._foldings: tuple[Folding, ...] = ()
        self._folded: dict[str, np.ndarray] = {}
        symbol = self._fold(shapes) if folds else self._fuse(shapes) if wanted else net.symbol
        values = {**self.inputs, **blobs.values(), **self._folded}
        arguments, states = ({node.name: values[node.name] for node in nodes} for nodes in symbol.variables())
        reached = [name for name in wanted if name in arguments]
        #: each block of blobs with the memory of the gradients of those that are wanted, in the same order
        self.blocks: list[tuple[Flat, Flat]] = [(block, block.like(reached)) for block in blobs.blocks]
        laid = {name: array for _, flat in self.blocks for name, array in flat.arrays().items()}
        self.gradients = {
            name: laid[name] if name in laid else zeros(np, arguments[name].shape, blobs.dtype)
            for name in reached
        }
        weights = {loss.head: loss.weight for loss in net.losses}
        self.executor = Executor(
            symbol,
            cpu(),
            arguments,
            self.gradients,
            dict.fromkeys(self.gradients, grad_req),
            states,
            random,
            weights,
            conv_algo=conv_algo,
            constants={*blobs.values(), *self._folded} if folds else (),
        )

    def _known(self, shapes: Mapping[str, tuple[int, ...]]) -> Known:
        """The shape of every entry."""
        given = {**shapes, **{name: value.shape for name, value in self.blobs.values().items()}}
        return infer_shapes(self.net.symbol.heads, given)[0]

    def _fuse(self, shapes: Mapping[str, tuple[int, ...]]) -> Symbol:
        """The symbol for training."""
        return Symbol(fuse(self.net.symbol.heads, self._known(shapes)))

    def _fold(self, shapes: Mapping[str, tuple[int, ...]]) -> Symbol:
        """The symbol for inference; makes the arrays of its own weights."""
        folded = for_inference(self.net.symbol.heads, self._known(shapes), self.blobs.dtype)
        self._foldings = folded.foldings
        for folding in folded.foldings:
            for node in (folding.weight, folding.bias):
                # It is declared with its whole shape.
                self._folded[node.name] = zeros(np, cast("Full", node.shape), self.blobs.dtype)
        self._fill_folded()
        return Symbol(folded.heads)

    def refold(self) -> None:
        """Take over the weights as they are now; without effect on a runner that folds nothing."""
        self._fill_folded()
        self.executor.renew()

    def _fill_folded(self) -> None:
        values = self.blobs.values()
        with np.errstate(all="ignore"):
            for folding in self._foldings:
                weight, bias = (self._folded[node.name] for node in (folding.weight, folding.bias))
                fill_folded(folding, cpu(), values, weight, bias)

    def forward(self, train: bool) -> None:
        """Compute the outputs from `inputs`; with `train` so that `backward` may follow."""
        self.executor.forward(train)

    def backward(self) -> None:
        """Compute the gradients of the objective."""
        self.executor.backward()

    @property
    def outputs(self) -> dict[str, Any]:
        """The output blobs of the last pass; the arrays are used again by the next one."""
        return dict(zip(self.net.outputs, self.executor.outputs))

    def objective(self) -> float:
        """The weighted sum of the losses of the last pass.

        A loss without a value, which makes its own gradient, adds 0, or NaN where its output is not finite.
        """
        total = 0.0
        for loss in self.net.losses:
            output = self.executor.outputs[loss.head]
            if loss.has_value:
                total += loss.weight * float(np.sum(output))
            elif not np.isfinite(output).all():
                total = math.nan
        return total


def input_shapes(net: Net, known: Mapping[Any, Any], batch: int | None = None) -> dict[str, tuple[int, ...]]:
    """The inferred shapes of a net's inputs, with another batch size if one is given."""
    shapes = {blob: tuple(known[entry]) for blob, entry in net.inputs.items()}
    if batch is None:
        return shapes
    return {blob: (batch, *shape[1:]) for blob, shape in shapes.items()}

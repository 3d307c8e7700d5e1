"""The weights of folded graphs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netdef.graph.node import Node
from netdef.ops.base import Op
from netdef.passes.fold import Folding
from netdef.runtime.context import Context
from netdef.runtime.invoke import invoke


def fill_folded(
    folding: Folding, context: Context, values: Mapping[str, Any], weight: Any, bias: Any
) -> None:
    """Write weight and bias of a folded operator, from the arrays of the variables that it stands for.

    Computed in float64: factor and shift of the chain are what it makes of 0 and of 1.
    """
    xp = context.xp
    shift = _through(folding, context, values, 0.0)
    factor = _through(folding, context, values, 1.0) - shift
    if folding.base is None:
        weight[...], bias[...] = factor, shift
        return
    inputs = _inputs(folding.base, xp, values)
    along = (1,) * folding.along + (-1,) + (1,) * (weight.ndim - folding.along - 1)
    weight[...] = inputs["weight"] * factor.reshape(along)
    bias[...] = inputs["bias"] * factor + shift if "bias" in inputs else shift


def _through(folding: Folding, context: Context, values: Mapping[str, Any], value: float) -> Any:
    """What the chain makes of one number in every channel."""
    data = context.xp.full(folding.sample, value, "float64")
    for node in folding.chain:
        op = node.op
        assert isinstance(op, Op), "a chain has operators of the forward pass"
        tensors = {op.called(name): array for name, array in _inputs(node, context.xp, values).items()}
        tensors[op.called(node.read_names()[0])] = data
        (data, *_) = invoke(op, node.name, context, tensors)
    return data.reshape(-1)


def _inputs(node: Node, xp: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """What an operator reads besides its data, in float64, by the operator's names."""
    return {
        name: xp.asarray(values[entry.node.name], "float64")
        for name, entry in zip(node.read_names()[1:], node.inputs[1:])
        if entry is not None
    }

"""Layer normalisation."""

from __future__ import annotations

from typing import Any

from netdef.ops.arrays import ordered, others, spread
from netdef.ops.base import WIDE, Workspace
from netdef.ops.fields import Bool, Float, Int
from netdef.ops.foreign import As, Fixed
from netdef.ops.instance import SelfNormalized
from netdef.ops.moments import centre, invert_root
from netdef.ops.shapes import Shapes, show


class LayerNorm(SelfNormalized):
    """Normalise along one axis: output = (data - mean) / std * gamma + beta, std = sqrt(variance + eps).

    data of any shape -> output of the same; gamma and beta have the size of `axis`.  The outputs `mean` and
    `std` have size 1 there; no gradient passes through them.  Ba et al. 2016; MXNet's LayerNorm.
    """

    axis = Int(-1, "the axis that is normalised; negative counts from the end")
    eps = Float(1e-5, "what is added to the variance")
    output_mean_var = Bool(False, "show the outputs mean and std")

    onnx = (As("LayerNormalization", axis=Fixed(-1), eps="epsilon", output_mean_var=Fixed(False)),)
    examples = (
        ({}, {"data": (2, 3, 4)}),
        ({"axis": 0, "eps": 0.1}, {"data": (3, 4)}),
        ({"axis": -2, "output_mean_var": True}, {"data": (2, 3, 4)}),
    )

    def visible_outputs(self) -> int:
        return 3 if self.output_mean_var else 1

    def shape(self, s: Shapes) -> None:
        s.same("data", "output")
        data = s["data"]
        if data is None:
            return
        axis = s.axis("data", self.axis)
        for name in ("gamma", "beta"):
            s.merge(name, (data[axis],), f"data {show(data)} has {data[axis]} numbers along axis {axis}")
        for name in ("mean", "std"):
            s.merge(name, (*data[:axis], 1, *data[axis + 1 :]))

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        spaces = super().workspaces(s, backward)
        spaces.pop("inverse", None)
        return {**spaces, "heads": Workspace(s.full("data"), WIDE)} if backward else spaces

    def forward(
        self,
        xp: Any,
        data: Any,
        gamma: Any,
        beta: Any,
        output: Any,
        mean: Any,
        std: Any,
        work: Any,
        first: Any,
        second: Any,
        scale: Any,
    ) -> None:
        axis = self.axis % data.ndim
        centre(xp, data, (axis,), first, second, output, ordered(work, data))
        invert_root(xp, second, self.eps, scale)
        if mean is not None:
            xp.copyto(mean, first)
        if std is not None:
            xp.divide(1, scale, out=std)
        xp.multiply(output, scale, out=output)
        xp.multiply(output, spread(gamma, data, axis), out=output)
        xp.add(output, spread(beta, data, axis), out=output)

    def backward(
        self,
        xp: Any,
        doutput: Any,
        data: Any,
        gamma: Any,
        mean: Any,
        std: Any,
        ddata: Any,
        dgamma: Any,
        dbeta: Any,
        work: Any,
        heads: Any,
        first: Any,
        second: Any,
        scale: Any,
        vector: Any,
    ) -> None:
        axis = self.axis % data.ndim
        rest = others(data.ndim, axis)
        work, heads = ordered(work, data), ordered(heads, data)
        if dbeta is not None:
            doutput.sum(axis=rest, out=vector)
            xp.copyto(dbeta, vector)
        xp.divide(1, std, out=scale)
        xp.subtract(data, mean, out=work)
        xp.multiply(work, scale, out=work)  # the normalised data
        if dgamma is not None:
            xp.multiply(doutput, work, out=heads)
            heads.sum(axis=rest, out=vector)
            xp.copyto(dgamma, vector)
        if ddata is None:
            return
        # with h = doutput * gamma: (h - mean of h - normalised * mean of (h * normalised)) / std
        factors = spread(gamma, data, axis)
        xp.multiply(doutput, factors, out=heads)
        heads.mean(axis=axis, keepdims=True, out=first)
        xp.multiply(heads, work, out=heads)
        heads.mean(axis=axis, keepdims=True, out=second)
        xp.multiply(work, second, out=work)
        xp.add(work, first, out=work)
        xp.multiply(doutput, factors, out=heads)
        xp.subtract(heads, work, out=heads)
        xp.multiply(heads, scale, out=ddata)

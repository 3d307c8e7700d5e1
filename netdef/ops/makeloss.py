"""Operators that make a gradient of their own: MakeLoss, IdentityAttachKLSparseReg."""

from __future__ import annotations

from typing import Any

from netdef.ops.arrays import others, spread
from netdef.ops.base import WIDE, Workspace
from netdef.ops.elementwise import Identity
from netdef.ops.fields import Enum, Float
from netdef.ops.shapes import Shapes, prod


class MakeLoss(Identity):
    """The data as a loss: data -> output of the same shape, and a gradient whatever arrives from above.

    The gradient is grad_scale everywhere, divided by the count of numbers above `valid_thresh` (valid), never
    by less than 1, or by the size of the batch (batch).  MXNet's MakeLoss, to which all axes but the last
    are the batch.
    """

    grad_scale = Float(1.0, "the gradient")
    valid_thresh = Float(0.0, "what a number has to exceed to be counted by valid")
    normalization = Enum("null", "batch", "valid", default="null", help="what the gradient is divided by")

    names = ("MakeLoss",)
    scratch = ("mask",)
    examples = (
        ({"grad_scale": 2.5}, {"data": (4, 3)}),
        ({"normalization": "batch"}, {"data": (4, 3, 2)}),
        ({"normalization": "valid", "valid_thresh": 0.5}, {"data": (4, 3)}),
    )

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        counts = backward and self.normalization == "valid"
        return {"mask": Workspace(s.full("data"), "bool")} if counts else {}

    def backward(self, xp: Any, data: Any, ddata: Any, mask: Any) -> None:
        divisor = 1
        if self.normalization == "batch":
            divisor = prod(data.shape[:-1]) or 0
        elif self.normalization == "valid":
            xp.greater(data, self.valid_thresh, out=mask)
            divisor = int(xp.count_nonzero(mask))
        ddata.fill(self.grad_scale / max(1, divisor))


class IdentityAttachKLSparseReg(Identity):
    """The data, with a gradient that draws the mean activity of each unit to a target.

    data (N, C, S...), numbers between 0 and 1 as of a sigmoid -> output of the same shape.  Added to what
    arrives is penalty * ((1 - target) / (1 - mean) - target / mean), the derivative of the Kullback-Leibler
    divergence, where mean is the state `moving_avg` (C,), which the backward pass first moves towards the
    mean of the batch.  MXNet's IdentityAttachKLSparseReg, which does not divide by the size of the batch.
    """

    sparseness_target = Float(0.1, "the mean activity that is wanted", min=0, max=1)
    penalty = Float(0.001, "factor of the added gradient")
    momentum = Float(0.9, "the share of the old mean that remains", min=0, max=1)

    begins = ("data", "sparseness_target", "penalty", "momentum")
    names = ("IdentityAttachKLSparseReg",)
    states = ("moving_avg",)
    initial = {"moving_avg": '["zero", {}]'}
    scratch = ("mean", "pull")
    inplace = (("data", "output"), ("doutput", "ddata"))
    examples = (
        ({}, {"data": (4, 3)}),
        ({"sparseness_target": 0.3, "penalty": 0.1, "momentum": 0.5}, {"data": (4, 3)}),
    )

    def shape(self, s: Shapes) -> None:
        s.same("data", "output")
        data = s.rank("data", 2, "(batch, units)")
        if data is not None:
            s.merge("moving_avg", data[1:2])

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        unit = Workspace(s.full("moving_avg"), WIDE)
        return {"mean": unit, "pull": unit} if backward else {}

    def backward(
        self, xp: Any, doutput: Any, data: Any, moving_avg: Any, ddata: Any, mean: Any, pull: Any
    ) -> None:
        data.mean(axis=others(data.ndim, 1), out=mean)
        xp.multiply(mean, 1 - self.momentum, out=mean)
        xp.multiply(moving_avg, self.momentum, out=moving_avg)
        xp.add(moving_avg, mean, out=moving_avg)
        xp.divide(-self.sparseness_target, moving_avg, out=pull)
        xp.subtract(1, moving_avg, out=mean)
        xp.divide(1 - self.sparseness_target, mean, out=mean)
        xp.add(pull, mean, out=pull)
        xp.multiply(pull, self.penalty, out=pull)
        xp.add(doutput, spread(pull, data, 1), out=ddata)

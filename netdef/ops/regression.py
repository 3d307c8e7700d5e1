"""Outputs with the gradient of a loss that is not computed: regression and the support vector machine."""

from __future__ import annotations

import math
from typing import Any

from netdef.ops.arrays import choose, ordered, sigmoid
from netdef.ops.base import Workspace
from netdef.ops.fields import Bool, Float
from netdef.ops.loss import Labelled, WithLabel
from netdef.ops.shapes import ShapeError, Shapes, prod, show


class Regression(WithLabel, abstract=True):
    """data (N, S...), label -> output, shaped as data.

    The label has the shape of data, or another with the same batch and as many numbers, such as (N,) for data
    (N, 1).  The gradient is that of the loss, multiplied by grad_scale and divided by the numbers for each
    sample, whatever arrives from above.
    """

    grad_scale = Float(1.0, "factor of the gradient")

    inplace = (("data", "output"), ("output", "ddata"))
    examples = (
        ({}, {"data": (4, 3), "label": (4, 3)}),
        ({"grad_scale": 2.0}, {"data": (4, 1), "label": (4,)}),
        ({}, {"data": (2, 3, 2), "label": (2, 6)}),
    )

    def shape(self, s: Shapes) -> None:
        s.same("data", "output")
        data, label = s.rank("data", 1, "a batch of predictions"), s["label"]
        if data is None:
            return
        if label is None:
            # where the second size is not known, both (N,) and (N, 1) would do
            if data[1:] != (None,):
                s.merge("label", data[:1] if data[1:] == (1,) else data)
            return
        if len(label) == len(data) and prod(label[1:]) is None:
            s.same("data", "label", "output")
            return
        if not label or (None not in (label[0], data[0]) and label[0] != data[0]):
            raise self._misfit(data, label)
        needed, given = prod(data[1:]), prod(label[1:])
        if None not in (needed, given) and needed != given:
            raise self._misfit(data, label)
        s.merge("data", (label[0], *data[1:]))
        s.merge("output", s["data"])
        s.merge("label", (data[0], *label[1:]))

    @staticmethod
    def _misfit(data: Any, label: Any) -> ShapeError:
        return ShapeError(
            f"label is {show(label)}, but data is {show(data)}: both need one batch and as many numbers",
            tensor="label",
            hint=f"{show(data)} would do",
        )

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        xp.copyto(output, data)

    def backward(self, xp: Any, label: Any, output: Any, ddata: Any) -> None:
        xp.subtract(output, label.reshape(output.shape), out=ddata)
        self._scale(xp, ddata)

    def _scale(self, xp: Any, ddata: Any) -> None:
        xp.multiply(ddata, self.grad_scale / max(1, prod(ddata.shape[1:]) or 0), out=ddata)


class LinearRegressionOutput(Regression):
    """The data, with the gradient of half the squared error: output - label.

    data (N, S...), label -> output, shaped as data.  MXNet's LinearRegressionOutput: the gradient is divided
    by the numbers for each sample.
    """

    names = ("LinearRegressionOutput", "_sparse_LinearRegressionOutput")
    work = 0


class MAERegressionOutput(Regression):
    """The data, with the gradient of the absolute error: 1 or -1, the sign of output - label.

    data (N, S...), label -> output, shaped as data.  MXNet's MAERegressionOutput: the gradient is divided by
    the numbers for each sample, and -1 (not 0) where both are equal.
    """

    names = ("MAERegressionOutput", "_sparse_MAERegressionOutput")
    work = 0

    def backward(self, xp: Any, label: Any, output: Any, ddata: Any) -> None:
        xp.greater(output, label.reshape(output.shape), out=ddata)
        xp.subtract(ddata, 0.5, out=ddata)
        xp.multiply(ddata, 2, out=ddata)
        self._scale(xp, ddata)


class LogisticRegressionOutput(Regression):
    """The sigmoid of the data, with the gradient of the cross entropy: output - label.

    data (N, S...), label (probabilities) -> output, shaped as data.  MXNet's LogisticRegressionOutput: the
    gradient is divided by the numbers for each sample.
    """

    names = ("LogisticRegressionOutput", "_sparse_LogisticRegressionOutput")
    work = 4

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        sigmoid(xp, data, output)


class SVMOutput(Labelled):
    """The data, with the gradient of a one-against-all support vector machine.

    data (N, C) -> output (N, C), label (N,) with class numbers.  With y = 1 at the label and -1 elsewhere the
    loss of each number is max(0, margin - y * data), squared unless `use_linear`; the gradient is that of
    their sum times `regularization_coefficient`, whatever arrives from above.  Of more axes the last one
    holds the classes.  MXNet's SVMOutput; Tang 2013.
    """

    margin = Float(1.0, "how far beyond zero a prediction has to be")
    regularization_coefficient = Float(1.0, "factor of the gradient")
    use_linear = Bool(False, "the plain loss, not its square")

    work = 0
    inplace = (("data", "output"),)
    examples = (
        ({}, {"data": (4, 3), "label": (4,)}),
        ({"use_linear": True, "margin": 0.5}, {"data": (4, 3), "label": (4,)}),
        ({"regularization_coefficient": 0.25}, {"data": (2, 3, 4), "label": (2, 3)}),
    )

    def class_axes(self, rank: int) -> tuple[int, ...]:
        return (rank - 1,)

    def ignored_label(self) -> None:
        return None

    def shape(self, s: Shapes) -> None:
        s.same("data", "output")
        data = s.rank("data", 2, "a batch of class scores")
        if data is not None:
            s.merge("label", data[:-1], f"data is {show(data)}, with the classes along the last axis")
            s.merge("data", (*(s["label"] or ()), data[-1]))
            s.merge("output", s["data"])

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return super().workspaces(s, backward) if backward else {}

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        xp.copyto(output, data)

    def backward(
        self,
        xp: Any,
        data: Any,
        label: Any,
        ddata: Any,
        classes: Any,
        chosen: Any,
        column: Any,
        work: Any,
    ) -> None:
        choose(xp, label, None, self.class_axes(data.ndim), classes, chosen, None, column)
        side = ordered(work, data)  # -y: -1 at the label, 1 elsewhere
        xp.multiply(chosen, -2, out=side)
        xp.add(side, 1, out=side)
        xp.multiply(side, data, out=ddata)
        xp.add(ddata, self.margin, out=ddata)
        if self.use_linear:
            xp.greater(ddata, 0, out=ddata)
            factor = self.regularization_coefficient
        else:
            xp.clip(ddata, 0, math.inf, out=ddata)
            factor = 2 * self.regularization_coefficient
        xp.multiply(ddata, side, out=ddata)
        xp.multiply(ddata, factor, out=ddata)

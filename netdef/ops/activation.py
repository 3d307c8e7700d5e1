"""Activations: functions of every element whose gradients follow from the output alone."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from netdef.ops.arrays import in_order_of, rectify, sigmoid
from netdef.ops.base import Cut, Op, Workspace
from netdef.ops.elementwise import cut_anywhere
from netdef.ops.fields import Enum, Float
from netdef.ops.foreign import As, Fixed
from netdef.ops.shapes import Shapes, Types
from netdef.ops.trigonometry import Tanh
from netdef.ops.unary import FromOutput


class Relu(FromOutput):
    """max(data, 0); its derivative at 0 is 0.  NaN stays NaN."""

    names = ("relu", "_sparse_relu")
    onnx = (As("Relu"),)
    exact = True
    slope_dtype = "bool"

    def value(self, xp: Any, data: Any, output: Any, work: Any) -> None:
        if output.dtype.kind == "f":
            rectify(xp, *in_order_of(data, output))
        else:
            xp.maximum(data, 0, out=output)

    def slope(self, xp: Any, output: Any, work: Any) -> Any:
        xp.greater(output, 0, out=work)
        return work


class Sigmoid(FromOutput):
    """1 / (1 + e^-data)."""

    names = ("sigmoid", "_sparse_sigmoid")
    onnx = (As("Sigmoid"),)

    def value(self, xp: Any, data: Any, output: Any, work: Any) -> None:
        sigmoid(xp, data, output)

    def slope(self, xp: Any, output: Any, work: Any) -> Any:  # y (1 - y)
        xp.subtract(1, output, out=work)
        xp.multiply(output, work, out=work)
        return work


class _Softrelu(FromOutput, abstract=True):
    """log(1 + e^data)."""

    value_works = True

    def value(self, xp: Any, data: Any, output: Any, work: Any) -> None:
        # max(x, 0) + log(1 + e^-|x|): nothing overflows
        xp.absolute(data, out=work)
        xp.negative(work, out=work)
        xp.exp(work, out=work)
        xp.log1p(work, out=work)
        xp.clip(data, 0, math.inf, out=output)
        xp.add(output, work, out=output)

    def slope(self, xp: Any, output: Any, work: Any) -> Any:  # sigmoid(x) = 1 - e^-y
        xp.negative(output, out=work)
        xp.expm1(work, out=work)
        xp.negative(work, out=work)
        return work


class Softsign(FromOutput):
    """data / (1 + |data|)."""

    names = ("softsign",)
    onnx = (As("Softsign"),)
    value_works = True

    def value(self, xp: Any, data: Any, output: Any, work: Any) -> None:
        xp.absolute(data, out=work)
        xp.add(work, 1, out=work)
        xp.divide(data, work, out=output)

    def slope(self, xp: Any, output: Any, work: Any) -> Any:  # (1 - |y|)^2
        xp.absolute(output, out=work)
        xp.subtract(1, work, out=work)
        xp.multiply(work, work, out=work)
        return work


class HardSigmoid(FromOutput):
    """alpha data + beta, kept between 0 and 1, where its derivative is 0."""

    alpha = Float(0.2, "the slope")
    beta = Float(0.5, "the value at 0")

    names = ("hard_sigmoid",)
    onnx = (As("HardSigmoid", alpha="alpha", beta="beta"),)
    examples = (({}, {"data": (4, 3, 2)}), ({"alpha": 0.7, "beta": 0.3}, {"data": (4, 3)}))

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.floating("data")
        super().types(t)

    def value(self, xp: Any, data: Any, output: Any, work: Any) -> None:
        xp.multiply(data, self.alpha, out=output)
        xp.add(output, self.beta, out=output)
        output.clip(0, 1, out=output)

    def slope(self, xp: Any, output: Any, work: Any) -> Any:
        # y (1 - y) is above 0 exactly between the two
        xp.subtract(1, output, out=work)
        xp.multiply(work, output, out=work)
        xp.greater(work, 0, out=work)
        xp.multiply(work, self.alpha, out=work)
        return work


class Activation(Op):
    """A fixed function of every element: data -> output of the same shape.

    relu max(x, 0), sigmoid 1/(1+e^-x), tanh, softrelu log(1+e^x), softsign x/(1+|x|).  The gradients follow
    from the output alone, so a chain of layers may work in place; that of relu at 0 is 0.  NaN stays NaN.
    MXNet's Activation; Caffe's ReLU, Sigmoid and TanH.
    """

    act_type = Enum("relu", "sigmoid", "tanh", "softrelu", "softsign", help="the function")

    steady = ("forward", "backward")
    scratch = ("work",)
    batched = ("data", "output")
    batch_last = None
    any_order = True
    inplace = FromOutput.inplace
    onnx = (
        As("Relu", act_type=Fixed("relu")),
        As("Sigmoid", act_type=Fixed("sigmoid")),
        As("Tanh", act_type=Fixed("tanh")),
        As("Softplus", act_type=Fixed("softrelu")),
        As("Softsign", act_type=Fixed("softsign")),
    )
    examples = tuple(
        ({"act_type": act_type}, {"data": (4, 3, 2)})
        for act_type in ("relu", "sigmoid", "tanh", "softrelu", "softsign")
    )

    _functions: ClassVar[dict[str, FromOutput]] = {
        "relu": Relu(),
        "sigmoid": Sigmoid(),
        "tanh": Tanh(),
        "softrelu": _Softrelu(),
        "softsign": Softsign(),
    }

    def types(self, t: Types) -> None:  # type: ignore[override]
        super().types(t)
        t.floating("data")

    def cuts(self, s: Shapes, backward: bool) -> tuple[Cut, ...]:
        return cut_anywhere(s, "data", "output")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return self._functions[self.act_type].workspaces(s, backward)

    def forward(self, xp: Any, data: Any, output: Any, work: Any) -> None:
        self._functions[self.act_type].forward(xp, data, output, work)

    def backward(self, xp: Any, doutput: Any, output: Any, ddata: Any, work: Any) -> None:
        self._functions[self.act_type].backward(xp, doutput, output, ddata, work)

"""ReLUs that let negative values through, changed."""

from __future__ import annotations

import math
from typing import Any

from netdef.ops import approximations
from netdef.ops.arrays import ordered, spread
from netdef.ops.base import Op, Workspace
from netdef.ops.elementwise import add_up
from netdef.ops.fields import Enum, Float
from netdef.ops.foreign import As, Fixed, Lost, To
from netdef.ops.shapes import ShapeError, Shapes, Types, show

#: Klambauer et al. 2017
_SELU_ALPHA, _SELU_LAMBDA = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946

_NO_SLOPE = Lost("only leaky and elu have a slope")
_NO_BOUNDS: dict[str, Any] = {
    "lower_bound": Lost("only rrelu has bounds"),
    "upper_bound": Lost("only rrelu has bounds"),
}


class LeakyReLU(Op):
    """A ReLU that lets negative values through, changed: data[, gamma] -> output[, mask].

    For x <= 0: leaky slope*x; prelu gamma*x with gamma (C,) for the channels of data (N, C, S...), or one
    gamma (1,) for all; rrelu m*x with m drawn between the bounds for every element when training, their
    middle otherwise, and shown as a second output; elu slope*(e^x - 1); selu lambda*alpha*(e^x - 1), and
    lambda*x above 0.  gelu is x times the normal distribution's share below x, for all x.

    The gradients are taken from the input, so that any slope, a negative one too, is right.  That of selu
    for x <= 0 is MXNet's lambda*(alpha + output), not the derivative.  He et al. 2015 (prelu), Xu et al. 2015
    (rrelu), Clevert et al. 2015 (elu), Klambauer et al. 2017 (selu), Hendrycks and Gimpel 2016 (gelu).
    MXNet's LeakyReLU; Caffe's ReLU with `negative_slope`, and its ELU.
    """

    act_type = Enum(
        *("leaky", "elu", "prelu", "rrelu", "selu", "gelu"),
        default="leaky",
        help="what becomes of negative values",
    )
    slope = Float(0.25, "the slope of leaky, or what elu tends to (negated) for very negative values")
    lower_bound = Float(0.125, "the least random slope of rrelu")
    upper_bound = Float(0.334, "the largest random slope of rrelu")

    inputs = ("data", "gamma")
    outputs = ("output", "mask")
    initial = {"gamma": '["Constant", {"value": 0.25}]'}
    scratch = ("work", "below", "noise", "doubles")
    inplace = (("data", "output"), ("doutput", "ddata"), ("data", "ddata"), ("mask", "ddata"))
    onnx = (
        As("LeakyRelu", act_type=Fixed("leaky"), slope=To("alpha", absent=0.01), **_NO_BOUNDS),
        As("Elu", act_type=Fixed("elu"), slope=To("alpha", absent=1.0), **_NO_BOUNDS),
        As("Selu", act_type=Fixed("selu"), slope=_NO_SLOPE, **_NO_BOUNDS),
        As("Gelu", act_type=Fixed("gelu"), slope=_NO_SLOPE, **_NO_BOUNDS),
    )
    batch_last = None
    examples = (
        ({}, {"data": (4, 3, 2)}),
        ({"slope": 2}, {"data": (4, 3)}),
        ({"slope": -0.5}, {"data": (4, 3)}),
        ({"slope": 0}, {"data": (4, 3)}),
        ({"act_type": "elu", "slope": 1.5}, {"data": (4, 3)}),
        ({"act_type": "prelu"}, {"data": (4, 3, 2)}),
        ({"act_type": "rrelu", "upper_bound": 0.5}, {"data": (4, 3, 2)}),
        ({"act_type": "selu"}, {"data": (4, 3, 2)}),
        ({"act_type": "gelu"}, {"data": (4, 3, 2)}),
    )

    def input_names(self) -> tuple[str, ...]:
        return self.inputs if self.act_type == "prelu" else self.inputs[:1]

    def output_names(self) -> tuple[str, ...]:
        return self.outputs if self.act_type == "rrelu" else self.outputs[:1]

    def visible_outputs(self) -> int:
        return len(self.output_names())

    def draws(self) -> bool:
        return self.act_type == "rrelu"

    def samples(self, s: Shapes) -> tuple[str, ...]:
        return ("data", *self.output_names()) if len(s.full("data")) > 1 else ()

    def shape(self, s: Shapes) -> None:
        s.same("data", *self.output_names())
        data, gamma = s["data"], s.get("gamma")
        if self.act_type != "prelu" or data is None:
            return
        if gamma is None and len(data) > 1:
            s.merge("gamma", data[1:2])
        elif gamma is not None:
            channels = data[min(1, len(data) - 1)] if data else 1
            if len(gamma) != 1 or (gamma[0] not in (1, None) and channels not in (gamma[0], None)):
                raise ShapeError(
                    f"gamma is {show(gamma)}, but data {show(data)} needs one slope for each of its "
                    f"{show((channels,))} channels, or a single one",
                    tensor="gamma",
                    attribute="act_type",
                )

    def types(self, t: Types) -> None:  # type: ignore[override]
        super().types(t)
        t.floating("data")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        data = s.full("data")
        mask = {"below": Workspace(data, "bool")}
        if self.act_type == "gelu":
            return {"doubles": Workspace((6, *data), "float64"), **mask}
        noise = {"noise": Workspace(data, "float32")} if self.act_type == "rrelu" else {}
        return {"work": Workspace(data), **(mask if backward else noise)}

    def _factor(self, data: Any, gamma: Any, mask: Any) -> Any:
        """What negative values are multiplied by: a number, or an array that broadcasts against data."""
        if gamma is not None:
            return spread(gamma, data, 0 if data.ndim == 1 else 1)
        return mask if mask is not None else self.slope

    def forward(
        self,
        xp: Any,
        train: bool,
        random: Any,
        data: Any,
        gamma: Any,
        output: Any,
        mask: Any,
        work: Any,
        below: Any,
        noise: Any,
        doubles: Any,
    ) -> None:
        if self.act_type == "gelu":
            share, *_ = self._normal_share(xp, data, below, doubles)
            xp.multiply(data, share, out=output, casting="same_kind")
            return
        if mask is not None:
            self._draw(xp, train, random, mask, noise)
        work = ordered(work, data)
        data.clip(-math.inf, 0, out=work)
        if self.act_type in ("elu", "selu"):
            xp.expm1(work, out=work)
        if self.act_type == "selu":
            xp.multiply(work, _SELU_LAMBDA * _SELU_ALPHA, out=work)
        elif self.slope or self.act_type != "leaky":
            xp.multiply(work, self._factor(data, gamma, mask), out=work)
        else:
            work.fill(0)  # 0 * -inf would be NaN
        data.clip(0, math.inf, out=output)
        if self.act_type == "selu":
            xp.multiply(output, _SELU_LAMBDA, out=output)
        xp.add(output, work, out=output)

    def _draw(self, xp: Any, train: bool, random: Any, mask: Any, noise: Any) -> None:
        """The slopes of rrelu."""
        if train:
            random.random(dtype=xp.float32, out=noise)
            xp.copyto(mask, noise)
            xp.multiply(mask, self.upper_bound - self.lower_bound, out=mask)
            xp.add(mask, self.lower_bound, out=mask)
        else:
            mask.fill((self.lower_bound + self.upper_bound) / 2)

    @staticmethod
    def _normal_share(xp: Any, data: Any, below: Any, doubles: Any) -> list[Any]:
        """The share of the normal distribution below each x; the arrays that are left follow it."""
        share, *spaces = (ordered(space, data) for space in doubles)
        xp.multiply(data, math.sqrt(0.5), out=share)
        approximations.erf(xp, share, spaces, ordered(below, data))
        xp.add(share, 1, out=share)
        xp.multiply(share, 0.5, out=share)
        return [share, *spaces]

    def backward(
        self,
        xp: Any,
        doutput: Any,
        data: Any,
        gamma: Any,
        mask: Any,
        ddata: Any,
        dgamma: Any,
        work: Any,
        below: Any,
        doubles: Any,
    ) -> None:
        if self.act_type == "gelu":
            share, density, *_ = self._normal_share(xp, data, below, doubles)
            xp.multiply(data, data, out=density)
            xp.multiply(density, -0.5, out=density)
            xp.exp(density, out=density)
            xp.multiply(density, 1 / math.sqrt(2 * math.pi), out=density)
            xp.multiply(density, data, out=density)
            xp.add(share, density, out=share)
            xp.multiply(doutput, share, out=ddata, casting="same_kind")
            return
        work, below = ordered(work, data), ordered(below, data)
        data.clip(-math.inf, 0, out=work)
        if dgamma is not None:
            xp.multiply(work, doutput, out=work)
            add_up(xp, work, spread(dgamma, data, 0 if data.ndim == 1 else 1))
        if ddata is None:
            return
        if self.act_type == "elu":
            xp.exp(work, out=work)
            xp.multiply(work, self.slope, out=work)
        elif self.act_type == "selu":
            xp.expm1(work, out=work)
            xp.multiply(work, _SELU_LAMBDA, out=work)
            xp.add(work, 1, out=work)
            xp.multiply(work, _SELU_LAMBDA * _SELU_ALPHA, out=work)
        else:
            xp.copyto(work, self._factor(data, gamma, mask))
        xp.multiply(doutput, work, out=work)
        # by products with masks: a masked copy takes 15 times as long where the signs are random
        xp.less_equal(data, 0, out=below)
        xp.multiply(work, below, out=work)
        xp.logical_not(below, out=below)
        xp.multiply(doutput, below, out=ddata)
        if self.act_type == "selu":
            xp.multiply(ddata, _SELU_LAMBDA, out=ddata)
        xp.add(ddata, work, out=ddata)

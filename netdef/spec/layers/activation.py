"""Activation layers: ReLU, Sigmoid, TanH."""

from __future__ import annotations

from netdef.ops.fields import Enum, Float
from netdef.spec.layers.base import Builder, Entry, Layer
from netdef.spec.message import Message, Sub

ENGINE_HELP = "Caffe's choice of implementation; accepted, without effect"


class ReLUParameter(Message):
    """Settings of ReLU."""

    negative_slope = Float(0.0, "slope below zero; 0 is the plain ReLU", number=1)
    engine = Enum("DEFAULT", "CAFFE", "CUDNN", default="DEFAULT", number=2, help=ENGINE_HELP)


class SigmoidParameter(Message):
    """Settings of Sigmoid."""

    engine = Enum("DEFAULT", "CAFFE", "CUDNN", default="DEFAULT", number=1, help=ENGINE_HELP)


class TanHParameter(Message):
    """Settings of TanH."""

    engine = Enum("DEFAULT", "CAFFE", "CUDNN", default="DEFAULT", number=1, help=ENGINE_HELP)


class ReLU(Layer):
    """Rectifier: max(x, 0) + negative_slope * min(x, 0), element by element (Nair and Hinton 2010).

    One bottom of any shape, one top of the same shape; may work in place.  With a negative_slope it is the
    leaky ReLU (Maas, Hannun and Ng 2013).
    """

    relu_param = Sub(ReLUParameter, "settings of the layer", number=123)

    blame = {"slope": ("relu_param.negative_slope",)}

    def lower(self, net: Builder) -> list[Entry]:
        slope = self.relu_param.negative_slope
        if slope:
            return net.op("LeakyReLU", net.bottoms[0], act_type="leaky", slope=slope)
        return net.op("Activation", net.bottoms[0], act_type="relu")


class Sigmoid(Layer):
    """Logistic function: 1 / (1 + exp(-x)), element by element.

    One bottom of any shape, one top of the same shape; may work in place.
    """

    sigmoid_param = Sub(SigmoidParameter, "settings of the layer", number=124)

    def lower(self, net: Builder) -> list[Entry]:
        return net.op("Activation", net.bottoms[0], act_type="sigmoid")


class TanH(Layer):
    """Hyperbolic tangent, element by element.

    One bottom of any shape, one top of the same shape; may work in place.
    """

    tanh_param = Sub(TanHParameter, "settings of the layer", number=127)

    def lower(self, net: Builder) -> list[Entry]:
        return net.op("Activation", net.bottoms[0], act_type="tanh")

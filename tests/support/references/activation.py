"""References of netdef.ops.activation and leaky."""

import math

import numpy as np

from references import each, exempt, mapped, reference

ACTIVATIONS = {
    "relu": (lambda x: max(x, 0), lambda x: float(x > 0)),
    "sigmoid": (lambda x: 1 / (1 + math.exp(-x)), lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2),
    "tanh": (math.tanh, lambda x: 1 / math.cosh(x) ** 2),
    "softrelu": (lambda x: math.log(1 + math.exp(x)), lambda x: 1 / (1 + math.exp(-x))),
    "softsign": (lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2),
}

exempt(
    "gradients_are_derivatives",
    "that of selu is MXNet's, and not the derivative; the others are compared with their definitions",
    "LeakyReLU",
)


@reference("Activation")
def activation(op, x, heads):
    return mapped(*ACTIVATIONS[op.act_type], x, heads)


@reference("Relu", "Sigmoid", "Softsign")
def named(op, x, heads):
    return mapped(*ACTIVATIONS[type(op).__name__.lower()], x, heads)


@reference("HardSigmoid", more=[({"alpha": -1, "beta": 0.1}, {"data": (9,)})])
def hard_sigmoid(op, x, heads):
    def line(v):
        return op.alpha * v + op.beta

    return mapped(lambda v: min(max(line(v), 0), 1), lambda v: op.alpha if 0 < line(v) < 1 else 0, x, heads)


@reference(
    "LeakyReLU",
    more=[
        ({"act_type": "prelu"}, {"data": (5,), "gamma": (5,)}),
        ({"act_type": "prelu"}, {"data": (4, 3, 2), "gamma": (1,)}),
        ({"act_type": "prelu"}, {"data": (5,), "gamma": (1,)}),
        ({"act_type": "prelu"}, {"data": (2, 3)}),
        ({"act_type": "prelu"}, {"data": (2, 1, 3, 2)}),
    ],
)
def leaky_relu(op, x, heads):
    data = x["data"]
    if op.act_type == "rrelu":
        # the harness starts every pass with this generator
        noise = np.random.default_rng(7).random(data.shape, dtype="float32").astype(float)
        slopes = op.lower_bound + (op.upper_bound - op.lower_bound) * noise
        return {
            "output": each(lambda v, slope: v if v > 0 else slope * v, data, slopes),
            "mask": slopes,
            "ddata": each(lambda v, slope: 1 if v > 0 else slope, data, slopes) * heads["doutput"],
        }
    if op.act_type == "prelu":
        return prelu(x, heads)
    a, scale = 1.6732632423543772, 1.0507009873554805

    def share(v):
        return 0.5 * math.erfc(-v / math.sqrt(2))

    value, slope = {
        "leaky": (lambda v: op.slope * v, lambda v: op.slope),
        "elu": (lambda v: op.slope * (math.exp(v) - 1), lambda v: op.slope * math.exp(v)),
        "selu": (
            lambda v: scale * a * (math.exp(v) - 1),
            lambda v: scale * (a + scale * a * (math.exp(v) - 1)),
        ),
        "gelu": (
            lambda v: v * share(v),
            lambda v: share(v) + v * math.exp(-v * v / 2) / math.sqrt(2 * math.pi),
        ),
    }[op.act_type]
    if op.act_type == "gelu":
        return mapped(value, slope, x, heads)
    top = scale if op.act_type == "selu" else 1
    return mapped(lambda v: top * v if v > 0 else value(v), lambda v: top if v > 0 else slope(v), x, heads)


def prelu(x, heads):
    data, gamma = x["data"], x["gamma"]
    result = {name: np.zeros(shape.shape) for name, shape in (("output", data), ("ddata", data))}
    result["dgamma"] = np.zeros(gamma.shape)
    for place in np.ndindex(data.shape):
        channel = 0 if len(gamma) == 1 else place[0 if data.ndim == 1 else 1]
        v, head = data[place], heads["doutput"][place]
        result["output"][place] = v if v > 0 else gamma[channel] * v
        result["ddata"][place] = head if v > 0 else gamma[channel] * head
        result["dgamma"][channel] += 0 if v > 0 else head * v
    return result

"""References of netdef.ops.activation."""

import math

import numpy as np

from references import distribution, lines, mapped, reference

ACTIVATIONS = {
    "relu": (lambda x: max(x, 0), lambda x: float(x > 0)),
    "sigmoid": (lambda x: 1 / (1 + math.exp(-x)), lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2),
    "tanh": (math.tanh, lambda x: 1 / math.cosh(x) ** 2),
    "softrelu": (lambda x: math.log(1 + math.exp(x)), lambda x: 1 / (1 + math.exp(-x))),
    "softsign": (lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2),
}


@reference("Activation")
def activation(op, x, heads):
    return mapped(*ACTIVATIONS[op.act_type], x, heads)


@reference("LeakyReLU")
def leaky_relu(op, x, heads):
    if op.act_type == "leaky":
        return mapped(lambda v: v if v > 0 else op.slope * v, lambda v: 1 if v > 0 else op.slope, x, heads)
    return mapped(
        lambda v: v if v > 0 else op.slope * (math.exp(v) - 1),
        lambda v: 1 if v > 0 else op.slope * math.exp(v),
        x,
        heads,
    )


@reference("Softmax")
def softmax(op, x, heads):
    data, head = lines(x["data"], op.axis), lines(heads["doutput"], op.axis)
    output, gradient = np.empty(data.shape), np.zeros(data.shape)
    temperature = op.temperature or 1
    for n, i in np.ndindex(data.shape[0], data.shape[2]):
        p = output[n, :, i] = distribution(data[n, :, i] / temperature)
        for j, k in np.ndindex(len(p), len(p)):
            gradient[n, j, i] += head[n, k, i] * p[k] * ((j == k) - p[j]) / temperature
    return {"output": output.reshape(x["data"].shape), "ddata": gradient.reshape(x["data"].shape)}

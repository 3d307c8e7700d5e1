"""References of netdef.ops.regression."""

import math

import numpy as np

from references import each, exempt, reference

exempt(
    "gradients_are_derivatives",
    "its gradient is that of a loss it does not compute",
    "LinearRegressionOutput",
    "MAERegressionOutput",
    "LogisticRegressionOutput",
    "SVMOutput",
)


@reference(
    "LinearRegressionOutput",
    "MAERegressionOutput",
    "LogisticRegressionOutput",
    more=[
        ({"grad_scale": -0.5}, {"data": (3,), "label": (3,)}),
        ({}, {"data": (3,), "label": (3, 1)}),
        ({}, {"data": (2, 6), "label": (2, 3, 2)}),
    ],
)
def regression(op, x, heads):
    kind = type(op).__name__
    output = x["data"]
    if kind == "LogisticRegressionOutput":
        output = each(lambda v: 1 / (1 + math.exp(-v)), x["data"])
    label = x["label"].reshape(output.shape)

    def slope(y, t):
        return (1 if y > t else -1) if kind == "MAERegressionOutput" else y - t

    size = math.prod(output.shape[1:])
    return {"output": output, "ddata": each(slope, output, label) * op.grad_scale / size}


@reference(
    "SVMOutput",
    more=[
        ({"margin": 0.0}, {"data": (5, 4), "label": (5,)}),
        (
            {"use_linear": True, "margin": 2.0, "regularization_coefficient": 0.3},
            {"data": (5, 4), "label": (5,)},
        ),
        ({"margin": -0.5}, {"data": (5, 1), "label": (5,)}),
    ],
)
def svm_output(op, x, heads):
    data = x["data"]
    gradient = np.zeros(data.shape)
    for place in np.ndindex(data.shape):
        side = 1 if place[-1] == int(x["label"][place[:-1]]) else -1
        short = op.margin - side * data[place]
        if short > 0:
            gradient[place] = -side * op.regularization_coefficient * (1 if op.use_linear else 2 * short)
    return {"output": data, "ddata": gradient}

"""References of netdef.ops.multi."""

import math

import numpy as np

from references import exempt, reference, sample


@reference("MultiSumSq")
def sums(op, x, heads):
    squares = [math.fsum(v * v for v in x[name].flat) for name in op.input_names()]
    return {"output": np.array(squares, "float32")}


@sample("MultiLars")
def lengths(op, shapes, random):
    drawn = {name: random.uniform(0.1, 1, shapes.full(name)) for name in op.inputs}
    drawn["weights_sum_sq"][0] = drawn["grads_sum_sq"][1] = 0
    return drawn


@reference("MultiLars")
def rates(op, x, heads):
    output = []
    for lr, w, g, wd in zip(*(x[name] for name in op.inputs)):
        w, g = math.sqrt(w), math.sqrt(g)
        output.append(lr * op.eta * w / (g * op.rescale_grad + wd * w + op.eps) if w and g else lr)
    return {"output": np.array(output)}


exempt("the_outputs_have_the_dtype_of_the_data", "it is float32", "MultiSumSq")

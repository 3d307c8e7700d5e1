"""References of netdef.ops.structure."""

import math

import numpy as np

from references import reference


@reference("Flatten")
def flatten(op, x, heads):
    shape = list(x["data"].shape)
    first = op.axis + (len(shape) if op.axis < 0 else 0)
    last = op.end_axis + (len(shape) if op.end_axis < 0 else 0)
    shape[first : last + 1] = [math.prod(shape[first : last + 1])]
    return {
        "output": np.array(list(x["data"].flat)).reshape(shape),
        "ddata": np.array(list(heads["doutput"].flat)).reshape(x["data"].shape),
    }


@reference("Reinterpret")
def reinterpret(op, x, heads):
    return {
        "output": np.array(list(x["data"].flat)).reshape(heads["doutput"].shape),
        "ddata": np.array(list(heads["doutput"].flat)).reshape(x["data"].shape),
    }


@reference(
    "Concat", "RNNParamConcat", more=[({"num_args": 2, "dim": -1}, {"arg0": (2, 3, 1), "arg1": (2, 3, 4)})]
)
def concat(op, x, heads):
    parts = [x[f"arg{i}"] for i in range(op.num_args)]
    axis = op.dim % parts[0].ndim
    output = np.empty(heads["doutput"].shape)
    gradients = [np.empty(part.shape) for part in parts]
    start = 0
    for part, gradient in zip(parts, gradients):
        for place in np.ndindex(part.shape):
            there = (*place[:axis], place[axis] + start, *place[axis + 1 :])
            output[there] = part[place]
            gradient[place] = heads["doutput"][there]
        start += part.shape[axis]
    return {"output": output, **{f"darg{i}": gradient for i, gradient in enumerate(gradients)}}


@reference("Stack", more=[({"num_args": 2, "axis": 2}, {"arg0": (2, 3), "arg1": (2, 3)})])
def stack(op, x, heads):
    output, gradients = np.empty(heads["doutput"].shape), {}
    axis = op.axis % output.ndim
    for number in range(op.num_args):
        part = x[f"arg{number}"]
        gradients[f"darg{number}"] = np.empty(part.shape)
        for place in np.ndindex(part.shape):
            there = (*place[:axis], number, *place[axis:])
            output[there] = part[place]
            gradients[f"darg{number}"][place] = heads["doutput"][there]
    return {"output": output, **gradients}

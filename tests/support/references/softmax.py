"""References of netdef.ops.softmax."""

import numpy as np

from references import distribution, exempt, lines, reference, sample

exempt("gradients_are_derivatives", "in mode instance its gradient is MXNet's", "SoftmaxActivation")

LENGTHS = [
    ({"axis": 0, "use_length": True, "temperature": 0.5}, {"data": (4, 3)}),
    ({"use_length": True}, {"data": (4,)}),
]
DTYPES = [({"dtype": "float64", "axis": 0, "temperature": -2}, {"data": (4, 3)})]


@sample("Softmax", "Softmin", "LogSoftmax")
def lengths(op, shapes, random):
    if not op.use_length:
        return {}
    return {"length": random.integers(0, shapes.full("data")[op.axis] + 1, shapes.full("length"))}


def gradient_of_softmax(p, head, scale):
    """The sums over k of head k times the derivative of p k by value j."""
    return np.array(
        [sum(head[k] * p[k] * ((j == k) - p[j]) for k in range(len(p))) * scale for j in range(len(p))]
    )


@reference("Softmax", "Softmin", "LogSoftmax", more=[*LENGTHS, *DTYPES])
def softmax(op, x, heads):
    data, head = lines(x["data"], op.axis), lines(heads["doutput"], op.axis)
    output, gradient = np.zeros(data.shape), np.zeros(data.shape)
    scale = (-1 if type(op).__name__ == "Softmin" else 1) / (op.temperature or 1)
    counts = np.full((data.shape[0], data.shape[2]), data.shape[1])
    if op.use_length:
        counts = x["length"].reshape(counts.shape)
    for n, i in np.ndindex(counts.shape):
        first = slice(0, int(counts[n, i]))
        p = distribution(data[n, first, i] * scale)
        there = head[n, first, i]
        if type(op).__name__ == "LogSoftmax":
            output[n, first, i] = np.log(p)
            gradient[n, first, i] = (there - p * there.sum()) * scale
        else:
            output[n, first, i] = p
            gradient[n, first, i] = gradient_of_softmax(p, there, scale)
    return {"output": output.reshape(x["data"].shape), "ddata": gradient.reshape(x["data"].shape)}


@reference(
    "SoftmaxActivation", more=[({}, {"data": (2, 3, 4)}), ({"mode": "channel"}, {"data": (2, 3, 2, 2)})]
)
def softmax_activation(op, x, heads):
    def along(array, axis):
        return np.moveaxis(array, axis, -1).reshape(-1, array.shape[axis])

    def back(rows, axis):
        shape = np.moveaxis(x["data"], axis, -1).shape
        return np.moveaxis(np.reshape(rows, shape), -1, axis)

    axis = 1 if op.mode == "channel" else -1
    output = back([distribution(row) for row in along(x["data"], axis)], axis)
    rows = zip(along(output, 1), along(heads["doutput"], 1))
    gradient = back([p * (head - sum(p * head)) for p, head in rows], 1)
    return {"output": output, "ddata": gradient}

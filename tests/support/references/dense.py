"""References of netdef.ops.dense."""

import math

import numpy as np

from references import reference


@reference("FullyConnected", more=[({"num_hidden": 2, "axis": -1}, {"data": (2, 3, 4)})])
def fully_connected(op, x, heads):
    data, head = x["data"], heads["doutput"]
    first = (op.axis if op.flatten else -1) % data.ndim
    rows = data.reshape(math.prod(data.shape[:first]), -1)
    upper = head.reshape(len(rows), op.num_hidden)
    weight = x["weight"].T if op.transpose else x["weight"]
    output, d_rows, d_weight = np.zeros(upper.shape), np.zeros(rows.shape), np.zeros(weight.shape)
    d_bias = np.zeros(op.num_hidden)
    for n, o in np.ndindex(upper.shape):
        for k in range(rows.shape[1]):
            output[n, o] += rows[n, k] * weight[o, k]
            d_rows[n, k] += upper[n, o] * weight[o, k]
            d_weight[o, k] += upper[n, o] * rows[n, k]
        output[n, o] += 0 if op.no_bias else x["bias"][o]
        d_bias[o] += upper[n, o]
    return {
        "output": output.reshape(head.shape),
        "ddata": d_rows.reshape(data.shape),
        "dweight": d_weight.T if op.transpose else d_weight,
        **({} if op.no_bias else {"dbias": d_bias}),
    }

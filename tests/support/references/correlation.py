"""Reference of netdef.ops.correlation: one patch and one displacement after the other."""

import math

import numpy as np

from references import reference


def images(*shape):
    return {"data1": shape, "data2": shape}


@reference(
    "Correlation",
    more=(
        ({"kernel_size": 3, "max_displacement": 2, "stride2": 3, "pad_size": 2}, images(1, 1, 4, 5)),
        (
            {"kernel_size": 5, "stride1": 3, "pad_size": 4, "max_displacement": 3, "stride2": 2},
            images(1, 2, 6, 5),
        ),
        ({"stride1": 3, "is_multiply": False, "pad_size": 1}, images(2, 3, 5, 4)),
    ),
)
def correlation(op, x, heads):
    upper = heads["doutput"]
    pad, size = op.pad_size, op.kernel_size
    around = ((0, 0), (0, 0), (pad, pad), (pad, pad))
    first, second = (np.pad(x[name], around) for name in ("data1", "data2"))
    border = op.max_displacement + size // 2
    counts = [math.ceil((n - 2 * border) / op.stride1) for n in first.shape[2:]]
    reach = op.max_displacement // op.stride2
    moves = [
        (a * op.stride2, b * op.stride2) for a in range(-reach, reach + 1) for b in range(-reach, reach + 1)
    ]
    output = np.zeros((len(first), len(moves), *counts))
    back = np.zeros(first.shape), np.zeros(first.shape)
    share = 1 / (size * size * first.shape[1])
    for n, q, i, j in np.ndindex(*output.shape):
        top, left = i * op.stride1 + op.max_displacement, j * op.stride1 + op.max_displacement
        for c, a, b in np.ndindex(first.shape[1], size, size):
            here = (n, c, top + a, left + b)
            there = (n, c, top + a + moves[q][0], left + b + moves[q][1])
            u, v, head = first[here], second[there], upper[n, q, i, j] * share
            if op.is_multiply:
                output[n, q, i, j] += u * v * share
                slopes = v, u
            else:
                output[n, q, i, j] += abs(u - v) * share
                slopes = (1, -1) if u >= v else (-1, 1)
            back[0][here] += head * slopes[0]
            back[1][there] += head * slopes[1]
    height, width = x["data1"].shape[2:]
    inner = (..., slice(pad, pad + height), slice(pad, pad + width))
    return {"output": output, "ddata1": back[0][inner], "ddata2": back[1][inner]}

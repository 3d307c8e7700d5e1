"""Deconvolution: each product of an element of data and one of the weight goes to one place of the output."""

import itertools

import numpy as np

from references import reference
from references.windows import numbers, turned


def cut(op, sizes):
    """What is cut off at the front of each axis, and the sizes of the output."""
    rank = len(sizes)
    kernel, stride, dilate = (numbers(getattr(op, n), rank, 1) for n in ("kernel", "stride", "dilate"))
    pad, adj, target = (numbers(getattr(op, n), rank, 0) for n in ("pad", "adj", "target_shape"))
    front, whole = [], []
    for a in range(rank):
        full = stride[a] * (sizes[a] - 1) + dilate[a] * (kernel[a] - 1) + 1
        if target[a]:
            front.append((full - target[a] + 1) // 2)
            whole.append(target[a])
        else:
            front.append(pad[a])
            whole.append(full - 2 * pad[a] + adj[a])
    return front, whole


@reference(
    "Deconvolution",
    more=(
        ({"kernel": (3, 3), "num_filter": 1, "stride": 2, "pad": (1, 1), "adj": 1}, {"data": (1, 1, 1, 1)}),
        ({"kernel": (3, 3), "num_filter": 2, "pad": (3, 2)}, {"data": (1, 2, 6, 5)}),
        (
            {"kernel": (5, 5), "num_filter": 2, "stride": 3, "target_shape": (10, 11), "num_group": 2},
            {"data": (2, 2, 3, 4)},
        ),
        ({"kernel": (2, 2), "num_filter": 2, "stride": (3, 3)}, {"data": (2, 2, 2, 3)}),
        ({"kernel": (3, 3), "num_filter": 2, "stride": 2, "target_shape": (0, 6)}, {"data": (1, 2, 2, 3)}),
        ({"kernel": (3,), "num_filter": 2, "dilate": 2, "target_shape": (5,)}, {"data": (1, 1, 3)}),
        ({"kernel": (3,), "num_filter": 2, "layout": "NWC", "stride": (2,)}, {"data": (2, 3, 2)}),
        ({"kernel": (1, 1), "num_filter": 2, "layout": "NHWC", "no_bias": False}, {"data": (2, 2, 3, 4)}),
        ({"kernel": 2, "num_filter": 2, "layout": "NDHWC", "num_group": 2}, {"data": (1, 2, 2, 2, 4)}),
    ),
)
def deconvolution(op, x, heads):
    data, weight, upper = (turned(op, v) for v in (x["data"], x["weight"], heads["doutput"]))
    sizes = data.shape[2:]
    rank = len(sizes)
    stride, dilate = numbers(op.stride, rank, 1), numbers(op.dilate, rank, 1)
    front, whole = cut(op, sizes)
    output = np.zeros((data.shape[0], op.num_filter, *whole))
    found = {"ddata": np.zeros(data.shape), "dweight": np.zeros(weight.shape)}
    inner, per_group = data.shape[1] // op.num_group, op.num_filter // op.num_group
    for n, c, f in itertools.product(range(data.shape[0]), range(data.shape[1]), range(per_group)):
        out = c // inner * per_group + f
        for here in np.ndindex(*sizes):
            for tap in np.ndindex(*weight.shape[2:]):
                place = tuple(here[a] * stride[a] + tap[a] * dilate[a] - front[a] for a in range(rank))
                if not all(0 <= p < size for p, size in zip(place, whole)):
                    continue
                output[(n, out, *place)] += data[(n, c, *here)] * weight[(c, f, *tap)]
                found["ddata"][(n, c, *here)] += upper[(n, out, *place)] * weight[(c, f, *tap)]
                found["dweight"][(c, f, *tap)] += upper[(n, out, *place)] * data[(n, c, *here)]
    if "bias" in x:
        output += x["bias"].reshape(-1, *(1,) * rank)
        found["dbias"] = upper.sum(axis=(0, *range(2, 2 + rank)))
    bias = {"dbias": found.pop("dbias")} if "dbias" in found else {}
    return {**{name: turned(op, v, back=True) for name, v in {"output": output, **found}.items()}, **bias}

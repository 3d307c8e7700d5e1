"""References of netdef.ops.instance and netdef.ops.layernorm."""

import math

import numpy as np

from references import reference


def normalized(x, heads, groups, eps, place_of):
    """Normalise each group of places; `place_of` says where a place's gamma and beta are."""
    data, head = x["data"], heads["doutput"]
    output, gradient = np.empty(data.shape), np.empty(data.shape)
    d_gamma, d_beta = np.zeros(x["gamma"].shape), np.zeros(x["gamma"].shape)
    means, stds = [], []
    for places in groups:
        values = [float(data[p]) for p in places]
        n = len(values)
        mean = math.fsum(values) / n
        std = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / n + eps)
        means.append(mean)
        stds.append(std)
        normal = [(v - mean) / std for v in values]
        arriving = []
        for p, v in zip(places, normal):
            gamma = place_of(p)
            output[p] = v * x["gamma"][gamma] + x["beta"][gamma]
            d_gamma[gamma] += head[p] * v
            d_beta[gamma] += head[p]
            arriving.append(head[p] * x["gamma"][gamma])
        for i, p in enumerate(places):
            jacobian = [((i == j) - (1 + normal[i] * normal[j]) / n) / std for j in range(n)]
            gradient[p] = math.fsum(a * b for a, b in zip(arriving, jacobian))
    return means, stds, {"output": output, "ddata": gradient, "dgamma": d_gamma, "dbeta": d_beta}


def grouped(shape, key):
    """The places of an array of this shape, gathered by key, in the order of the keys."""
    groups = {}
    for place in np.ndindex(shape):
        groups.setdefault(key(place), []).append(place)
    return [groups[name] for name in sorted(groups)]


@reference("InstanceNorm", more=[({}, {"data": (2, 3, 1)}), ({"eps": 0.5}, {"data": (1, 2, 2, 2, 2)})])
def instance_norm(op, x, heads):
    groups = grouped(x["data"].shape, lambda place: place[:2])
    return normalized(x, heads, groups, op.eps, lambda place: place[1])[2]


@reference("GroupNorm", more=[({"num_groups": 4, "output_mean_var": True}, {"data": (1, 4, 2, 1, 2)})])
def group_norm(op, x, heads):
    shape = x["data"].shape
    size = shape[1] // op.num_groups
    groups = grouped(shape, lambda place: (place[0], place[1] // size))
    means, stds, result = normalized(x, heads, groups, op.eps, lambda place: place[1] // size)
    return {
        **result,
        "mean": np.reshape(means, (shape[0], op.num_groups)),
        "std": np.reshape(stds, (shape[0], op.num_groups)),
    }


@reference("LayerNorm", more=[({}, {"data": (5,)}), ({"axis": 1}, {"data": (2, 1, 3)})])
def layer_norm(op, x, heads):
    shape = x["data"].shape
    axis = op.axis % len(shape)
    groups = grouped(shape, lambda place: (*place[:axis], *place[axis + 1 :]))
    means, stds, result = normalized(x, heads, groups, op.eps, lambda place: place[axis])
    kept = (*shape[:axis], 1, *shape[axis + 1 :])
    return {**result, "mean": np.reshape(means, kept), "std": np.reshape(stds, kept)}


@reference("L2Normalization", more=[({}, {"data": (3,)}), ({"mode": "channel"}, {"data": (2, 1, 2, 2)})])
def l2_normalization(op, x, heads):
    data, head = x["data"], heads["doutput"]
    keys = {
        "instance": lambda place: place[:1],
        "channel": lambda place: (place[0], *place[2:]),
        "spatial": lambda place: place[:2],
    }
    output, gradient = np.empty(data.shape), np.empty(data.shape)
    for places in grouped(data.shape, keys[op.mode]):
        length = math.sqrt(math.fsum(data[p] ** 2 for p in places) + op.eps)
        along = math.fsum(head[p] * data[p] for p in places)
        for p in places:
            output[p] = data[p] / length
            gradient[p] = head[p] / length - data[p] * along / length**3
    return {"output": output, "ddata": gradient}

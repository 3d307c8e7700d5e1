"""References of netdef.ops.makeloss."""

import math

import numpy as np

from references import exempt, reference, sample

exempt(
    "gradients_are_derivatives",
    "it makes a gradient of its own, or adds one",
    "MakeLoss",
    "IdentityAttachKLSparseReg",
)


@reference(
    "MakeLoss",
    more=[
        ({}, {"data": (3,)}),
        ({"normalization": "batch", "grad_scale": 3.0}, {"data": (3,)}),
        ({"normalization": "valid", "valid_thresh": 100.0, "grad_scale": 2.0}, {"data": (3, 2)}),
    ],
)
def make_loss(op, x, heads):
    data = x["data"]
    divisors = {
        "null": 1,
        "batch": math.prod(data.shape[:-1]),
        "valid": max(1, sum(v > op.valid_thresh for v in data.flat)),
    }
    return {"output": data, "ddata": np.full(data.shape, op.grad_scale / divisors[op.normalization])}


@sample("IdentityAttachKLSparseReg")
def activities(op, shapes, random):
    return {name: random.uniform(0.1, 0.9, shapes.full(name)) for name in ("data", "moving_avg")}


@reference("IdentityAttachKLSparseReg", more=[({"penalty": 1.0}, {"data": (2, 3, 4)})])
def sparse_identity(op, x, heads):
    data, gradient = x["data"], heads["doutput"].copy()
    means = np.empty(data.shape[1])
    for c in range(data.shape[1]):
        batch = math.fsum(data[:, c].flat) / data[:, c].size
        mean = means[c] = op.momentum * x["moving_avg"][c] + (1 - op.momentum) * batch
        target = op.sparseness_target
        gradient[:, c] += op.penalty * ((1 - target) / (1 - mean) - target / mean)
    return {"output": data, "moving_avg": means, "ddata": gradient}

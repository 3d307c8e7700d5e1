"""References of netdef.ops.reduce."""

import math

import numpy as np

from references import reference, sample


def groups(data, axes, keepdims):
    """The shape that remains, and for each place in it the places in data that are reduced to it."""
    axes = {axis % data.ndim for axis in axes}
    kept = [axis for axis in range(data.ndim) if axis not in axes]
    members = {}
    for place in np.ndindex(data.shape):
        small = tuple(0 if axis in axes else place[axis] for axis in range(data.ndim))
        members.setdefault(small if keepdims else tuple(place[axis] for axis in kept) or (0,), []).append(
            place
        )
    shape = tuple(1 + max(place[axis] for place in members) for axis in range(len(next(iter(members)))))
    return shape, members


def reduced_axes(op, ndim):
    """The axes that the attributes call for."""
    if not op.axis:
        return range(ndim)
    given = {axis % ndim for axis in op.axis}
    return [axis for axis in range(ndim) if (axis in given) != getattr(op, "exclude", False)]


VALUES = {
    "Sum": math.fsum,
    "NanSum": lambda v: math.fsum(x for x in v if not math.isnan(x)),
    "Mean": lambda v: math.fsum(v) / len(v),
    "Prod": math.prod,
    "NanProd": lambda v: math.prod(x for x in v if not math.isnan(x)),
    "Max": max,
    "Min": min,
}
#: the derivative by one number, from all of them and that one's place
SLOPES = {
    "Sum": lambda v, i: 1,
    "NanSum": lambda v, i: float(not math.isnan(v[i])),
    "Mean": lambda v, i: 1 / len(v),
    "Prod": lambda v, i: math.prod(v[:i] + v[i + 1 :]),
    "NanProd": lambda v, i: math.prod(x for j, x in enumerate(v) if j != i and not math.isnan(x)),
    "Max": lambda v, i: float(v[i] == max(v)),
    "Min": lambda v, i: float(v[i] == min(v)),
}


def norm(order):
    """The norm of an order, and its derivative."""
    if order == 1:
        return lambda v: math.fsum(map(abs, v)), lambda v, i: math.copysign(1, v[i])
    return lambda v: math.hypot(*v), lambda v, i: v[i] / math.hypot(*v)


@reference(
    *VALUES,
    more=[
        ({"axis": (0, 1)}, {"data": (4, 3)}),
        ({"axis": (0, 1), "exclude": True}, {"data": (4, 3)}),
        ({"axis": (), "exclude": True}, {"data": (4, 3)}),
        ({"axis": (-1,), "exclude": True, "keepdims": True}, {"data": (4, 3, 2)}),
        ({"axis": 0, "keepdims": True}, {"data": (1,)}),
        ({"axis": -1}, {"data": (4, 1)}),
        ({}, {"data": (1,)}),
    ],
)
def reduction(op, x, heads):
    value, slope = VALUES[type(op).__name__], SLOPES[type(op).__name__]
    return through(value, slope, reduced_axes(op, x["data"].ndim), op, x, heads)


@reference("Norm", more=[({"ord": 1, "axis": (0, 2), "keepdims": True}, {"data": (4, 3, 2)})])
def norm_reference(op, x, heads):
    return through(*norm(op.ord), reduced_axes(op, x["data"].ndim), op, x, heads)


def through(value, slope, axes, op, x, heads):
    """A reduction and its gradient from functions of a list."""
    data = x["data"]
    shape, members = groups(data, axes, op.keepdims)
    output, gradient = np.empty(shape), np.empty(data.shape)
    for small, places in members.items():
        numbers = [float(data[place]) for place in places]
        output[small] = value(numbers)
        for i, place in enumerate(places):
            gradient[place] = slope(numbers, i) * heads["doutput"][small]
    return {"output": output, "ddata": gradient}


@reference("Moments", more=[({"axes": (1, 0), "keepdims": True}, {"data": (4, 3)})])
def moments(op, x, heads):
    data = x["data"]
    shape, members = groups(data, op.axes, op.keepdims)
    mean, variance, gradient = np.empty(shape), np.empty(shape), np.empty(data.shape)
    for small, places in members.items():
        numbers = [float(data[place]) for place in places]
        mean[small] = math.fsum(numbers) / len(numbers)
        variance[small] = math.fsum((v - mean[small]) ** 2 for v in numbers) / len(numbers)
        for place in places:
            through_variance = 2 * (data[place] - mean[small]) * heads["doutput1"][small]
            gradient[place] = (heads["doutput0"][small] + through_variance) / len(numbers)
    return {"output0": mean, "output1": variance, "ddata": gradient}


@sample("Norm", "Prod", "NanProd")
def away_from_zero(op, shapes, random):
    size = shapes.full("data")
    return {"data": random.uniform(0.5, 1.5, size) * random.choice([-1, 1], size)}


@reference("CumSum", more=[({"axis": 1}, {"a": (4, 1)})])
def cumsum(op, x, heads):
    a = x["a"].reshape(-1) if op.axis is None else x["a"]
    axis = 0 if op.axis is None else op.axis
    output, gradient = np.zeros(a.shape), np.zeros(a.shape)
    for place in np.ndindex(a.shape):
        for other in np.ndindex(a.shape):
            same = all(place[i] == other[i] for i in range(a.ndim) if i != axis % a.ndim)
            if same and other[axis] <= place[axis]:
                output[place] += a[other]
                gradient[other] += heads["doutput"][place]
    return {"output": output, "da": gradient.reshape(x["a"].shape)}

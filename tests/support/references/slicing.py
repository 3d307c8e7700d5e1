"""References of netdef.ops.slicing: lists of taken indices, one for each axis."""

import itertools

import numpy as np

from references import reference


def taken(data, indices, doutput):
    """The part at the product of these indices, and the gradient of the whole."""
    places = list(itertools.product(*indices))
    output = np.array([data[place] for place in places]).reshape([len(part) for part in indices])
    gradient = np.zeros(data.shape)
    for place, value in zip(places, doutput.flat):
        gradient[place] = value
    return output, gradient


def region(op, shape):
    steps = op.step or (1,) * len(op.begin)
    cuts = [range(n)[a:b:c] for n, a, b, c in zip(shape, op.begin, op.end, steps)]
    return [*cuts, *map(range, shape[len(cuts) :])]


@reference("Slice", more=[({"begin": (-9,), "end": (2,)}, {"data": (4,)})])
def slice_(op, x, heads):
    output, gradient = taken(x["data"], region(op, x["data"].shape), heads["doutput"])
    return {"output": output, "ddata": gradient}


@reference("SliceAxis")
def slice_axis(op, x, heads):
    indices = list(map(range, x["data"].shape))
    indices[op.axis] = indices[op.axis][op.begin : op.end]
    output, gradient = taken(x["data"], indices, heads["doutput"])
    return {"output": output, "ddata": gradient}


@reference("SliceLike", more=[({"axes": (-2,)}, {"data": (4, 5, 6), "shape_like": (1, 3, 2)})])
def slice_like(op, x, heads):
    indices = list(map(range, x["data"].shape))
    for axis in op.axes or range(x["data"].ndim):
        indices[axis] = range(x["shape_like"].shape[axis])
    output, gradient = taken(x["data"], indices, heads["doutput"])
    return {"output": output, "ddata": gradient}


@reference(
    "Crop",
    more=[
        ({"num_args": 1, "h_w": (2, 3), "offset": (1, 2)}, {"arg0": (1, 2, 4, 5)}),
        ({"num_args": 2, "center_crop": True}, {"arg0": (1, 1, 5, 6), "arg1": (2, 3, 2, 3)}),
    ],
)
def crop(op, x, heads):
    size = x["arg1"].shape[2:] if op.num_args == 2 else op.h_w
    first = op.offset
    if op.center_crop:
        first = [(whole - part) // 2 for whole, part in zip(x["arg0"].shape[2:], size)]
    indices = [*map(range, x["arg0"].shape[:2]), *(range(a, a + n) for a, n in zip(first, size))]
    output, gradient = taken(x["arg0"], indices, heads["doutput"])
    return {"output": output, "darg0": gradient}


@reference("SliceAssign")
def slice_assign(op, x, heads):
    output, left = x["lhs"].copy(), heads["doutput"].copy()
    places = list(itertools.product(*region(op, output.shape)))
    for place, value in zip(places, x["rhs"].flat):
        output[place], left[place] = value, 0
    right = np.array([heads["doutput"][place] for place in places]).reshape(x["rhs"].shape)
    return {"output": output, "dlhs": left, "drhs": right}


@reference("SliceAssignScalar")
def slice_assign_scalar(op, x, heads):
    output, gradient = x["data"].copy(), heads["doutput"].copy()
    for place in itertools.product(*region(op, output.shape)):
        output[place], gradient[place] = op.scalar, 0
    return {"output": output, "ddata": gradient}

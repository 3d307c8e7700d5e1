"""References of netdef.ops.reshape."""

import math

import numpy as np

from references import exempt, reference


def refilled(array, shape):
    """The elements in row-major order in another shape."""
    return np.array(list(array.flat)).reshape(shape)


@reference(
    "Reshape",
    more=[
        ({"shape": (3, 8)}, {"data": (4, 6)}),
        ({"shape": (-1,)}, {"data": (2, 3, 4)}),
        ({"shape": (2, -4, -1, 3, -2)}, {"data": (2, 3, 4)}),
        ({"shape": (-2, 1, 1)}, {"data": (2, 3)}),
        ({"shape": (-1, 0, 0, -3), "reverse": True}, {"data": (8, 3, 3, 4, 4)}),
        ({"target_shape": (6, 4)}, {"data": (2, 3, 4)}),
    ],
)
def reshape(op, x, heads):
    data = list(x["data"].shape)
    codes = list(op.shape_ or (size or -1 for size in op.target_shape))
    if op.keep_highest and not op.shape_:
        codes[0] = data[0]
    tokens = []
    while codes:
        code = codes.pop(0)
        tokens.append([code, codes.pop(0), codes.pop(0)] if code == -4 else [code])
    reverse = op.reverse and op.shape_
    sizes = []
    for code, *pair in tokens[::-1] if reverse else tokens:
        at = -1 if reverse else 0
        if code == -2:
            made, data = data, []
        elif code == -3:
            made = [data.pop(at) * data.pop(at)]
        elif code == -4:
            whole = data.pop(at)
            made = [whole // math.prod(size for size in pair if size != -1) if n == -1 else n for n in pair]
        else:
            first = data.pop(at) if data else 1
            made = [first if code == 0 else code]
        sizes = made + sizes if reverse else sizes + made
    if -1 in sizes:
        sizes[sizes.index(-1)] = x["data"].size // math.prod(size for size in sizes if size != -1)
    return {"output": refilled(x["data"], sizes), "ddata": refilled(heads["doutput"], x["data"].shape)}


@reference(
    "ReshapeLike",
    more=[
        (
            {"lhs_begin": 0, "lhs_end": 1, "rhs_begin": 0, "rhs_end": 2},
            {"lhs": (30, 7), "rhs": (15, 2, 4)},
        ),
        ({"lhs_end": -1, "rhs_end": 1}, {"lhs": (3, 4, 5), "rhs": (12, 3)}),
    ],
)
def reshape_like(op, x, heads):
    left, right = x["lhs"].shape, x["rhs"].shape
    axes = range(len(left))[slice(op.lhs_begin, op.lhs_end)]
    shape = (*left[: axes[0]], *right[slice(op.rhs_begin, op.rhs_end)], *left[axes[-1] + 1 :])
    return {"output": refilled(x["lhs"], shape), "dlhs": refilled(heads["doutput"], left)}


@reference("ExpandDims", more=[({"axis": -3}, {"data": (2, 3)}), ({"axis": 2}, {"data": (2, 3)})])
def expand_dims(op, x, heads):
    shape = list(x["data"].shape)
    shape.insert(op.axis if op.axis >= 0 else op.axis + len(shape) + 1, 1)
    return {"output": refilled(x["data"], shape), "ddata": refilled(heads["doutput"], x["data"].shape)}


@reference(
    "Squeeze",
    more=[({"axis": ()}, {"data": (1, 3)}), ({"axis": (0, -1)}, {"data": (1, 1)}), ({}, {"data": (1,)})],
)
def squeeze(op, x, heads):
    data = x["data"].shape
    every = [axis for axis, size in enumerate(data) if size == 1]
    gone = every if op.axis is None else [axis % len(data) for axis in op.axis]
    shape = [size for axis, size in enumerate(data) if axis not in gone] or [1]
    return {"output": refilled(x["data"], shape), "ddata": refilled(heads["doutput"], data)}


exempt(
    "a_contradiction_is_refused",
    "MXNet refuses another number of elements when it is bound, not while it infers",
    "Reshape",
)

"""References of netdef.ops.permute: each places element by element."""

import numpy as np

from references import reference


def moved(target, x, heads):
    """Output and gradient when each place of the data goes to one place of the output."""
    output, gradient = np.zeros(heads["doutput"].shape), np.zeros(x["data"].shape)
    for place in np.ndindex(x["data"].shape):
        there = target(place)
        if there is not None:
            output[there] = x["data"][place]
            gradient[place] = heads["doutput"][there]
    return {"output": output, "ddata": gradient}


@reference("Transpose", more=[({"axes": (0, 1)}, {"data": (2, 3)})])
def transpose(op, x, heads):
    axes = op.axes or range(x["data"].ndim)[::-1]
    return moved(lambda place: tuple(place[axis] for axis in axes), x, heads)


@reference("SwapAxis")
def swap_axis(op, x, heads):
    def target(place):
        there = list(place)
        there[op.dim1], there[op.dim2] = place[op.dim2], place[op.dim1]
        return tuple(there)

    return moved(target, x, heads)


@reference("Reverse")
def reverse(op, x, heads):
    sizes = x["data"].shape
    return moved(
        lambda place: tuple(
            size - 1 - i if axis in op.axis else i for axis, (i, size) in enumerate(zip(place, sizes))
        ),
        x,
        heads,
    )


@reference("DepthToSpace")
def depth_to_space(op, x, heads):
    b, channels = op.block_size, heads["doutput"].shape[1]

    def target(place):
        n, d, h, w = place
        pixel, c = divmod(d, channels)
        return n, c, h * b + pixel // b, w * b + pixel % b

    return moved(target, x, heads)


@reference("SpaceToDepth")
def space_to_depth(op, x, heads):
    b, channels = op.block_size, x["data"].shape[1]

    def target(place):
        n, c, h, w = place
        return n, (h % b * b + w % b) * channels + c, h // b, w // b

    return moved(target, x, heads)


@reference(
    "Diag",
    more=[
        ({}, {"data": (3,)}),
        ({"k": 2}, {"data": (2,)}),
        ({"k": -1, "axis1": 5}, {"data": (3,)}),
        ({"k": 3}, {"data": (3, 4)}),
        ({"axis1": -1, "axis2": 0, "k": 1}, {"data": (2, 3, 4)}),
    ],
)
def diag(op, x, heads):
    ndim = x["data"].ndim

    def target(place):
        if ndim == 1:
            return place[0] + max(-op.k, 0), place[0] + max(op.k, 0)
        rows, columns = op.axis1 % ndim, op.axis2 % ndim
        if place[columns] - place[rows] != op.k:
            return None
        others = (i for axis, i in enumerate(place) if axis not in (rows, columns))
        return (*others, min(place[rows], place[columns]))

    return moved(target, x, heads)

"""References of netdef.ops.resampling."""

import math

import numpy as np

from references import reference


def weighted(x, heads, shares):
    """Output and gradient where place i of a new axis of n places is a sum of (old place, share) pairs."""
    data = x["data"]
    output, gradient = np.zeros(heads["doutput"].shape), np.zeros(data.shape)
    for i, j in np.ndindex(output.shape[2:]):
        for row, share in shares(i, data.shape[2], output.shape[2]):
            for column, other in shares(j, data.shape[3], output.shape[3]):
                output[:, :, i, j] += share * other * data[:, :, row, column]
                gradient[:, :, row, column] += share * other * heads["doutput"][:, :, i, j]
    return {"output": output, "ddata": gradient}


@reference(
    "AdaptiveAvgPooling2D",
    more=[
        ({"output_size": (7, 5)}, {"data": (1, 1, 11, 5)}),
        ({"output_size": (1, 9)}, {"data": (1, 2, 3, 4)}),
    ],
)
def adaptive_average(op, x, heads):
    def shares(i, old, new):
        places = range(i * old // new, math.ceil((i + 1) * old / new))
        return [(place, 1 / len(places)) for place in places]

    return weighted(x, heads, shares)


@reference(
    "BilinearResize2D",
    more=[
        ({"height": 1, "width": 3}, {"data": (1, 2, 4, 1)}),
        ({"height": 1, "width": 8, "align_corners": False}, {"data": (1, 1, 5, 3)}),
        ({"mode": "odd_scale", "scale_height": 1.5, "scale_width": 1.5}, {"data": (1, 1, 5, 4)}),
        ({"mode": "to_odd_up"}, {"data": (1, 1, 3, 4)}),
    ],
)
def bilinear(op, x, heads):
    def shares(i, old, new):
        if new == 1:
            place = 0
        elif op.align_corners:
            place = i * (old - 1) / (new - 1)
        else:
            place = min(max((i + 0.5) * old / new - 0.5, 0), old - 1)
        below = min(int(place), old - 1)
        above = min(below + 1, old - 1)
        return [(below, 1 - (place - below)), (above, place - below)]

    return weighted(x, heads, shares)

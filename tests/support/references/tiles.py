"""References of netdef.ops.tiles: for each place of the output the place of the data that it copies."""

import numpy as np

from references import reference


def copied(source, x, heads):
    """Output and gradient; `source` gives None where nothing is copied."""
    output, gradient = np.empty(heads["doutput"].shape), np.zeros(x["data"].shape)
    for place in np.ndindex(output.shape):
        here = source(place)
        if here is not None:
            output[place] = x["data"][here]
            gradient[here] += heads["doutput"][place]
    return output, gradient


@reference("Tile", more=[({"reps": 2}, {"data": (2,)}), ({"reps": (1, 1)}, {"data": (2, 3)})])
def tile(op, x, heads):
    shape = x["data"].shape

    def source(place):
        return tuple(i % size for i, size in zip(place[len(place) - len(shape) :], shape))

    output, gradient = copied(source, x, heads)
    return {"output": output, "ddata": gradient}


@reference(
    "Repeat", more=[({"repeats": 1}, {"data": (2, 3)}), ({"repeats": 2, "axis": -2}, {"data": (2, 3)})]
)
def repeat(op, x, heads):
    places = list(np.ndindex(x["data"].shape))

    def source(place):
        if op.axis is None:
            return places[place[0] // op.repeats]
        axis = op.axis % len(place)
        return tuple(i // op.repeats if number == axis else i for number, i in enumerate(place))

    output, gradient = copied(source, x, heads)
    return {"output": output, "ddata": gradient}


@reference(
    "Pad",
    more=[
        ({"mode": "reflect", "pad_width": (0, 0, 0, 0, 2, 2, 3, 3)}, {"data": (1, 1, 3, 4)}),
        ({"mode": "edge", "pad_width": (0, 0, 0, 0, 4, 0, 0, 0)}, {"data": (1, 2, 2, 1)}),
        ({"mode": "constant", "pad_width": (0, 0, 0, 0, 1, 0, 0, 0, 2, 1)}, {"data": (1, 1, 2, 1, 2)}),
    ],
)
def pad(op, x, heads):
    shape = x["data"].shape

    def source(place):
        here = []
        for i, size, before in zip(place, shape, op.pad_width[::2]):
            i -= before
            if not 0 <= i < size:
                if op.mode == "constant":
                    return None
                mirrored = -i if i < 0 else 2 * (size - 1) - i
                i = mirrored if op.mode == "reflect" else min(max(i, 0), size - 1)
            here.append(i)
        return tuple(here)

    output, gradient = copied(source, x, heads)
    if op.mode == "constant":
        for place in np.ndindex(output.shape):
            if source(place) is None:
                output[place] = op.constant_value
    return {"output": output, "ddata": gradient}

"""References of netdef.ops.ordering."""

import numpy as np

from references import exempt, lines, reference

exempt("the_outputs_have_the_dtype_of_the_data", "places are float32 whatever the data", "ArgSort", "TopK")


def line_by_line(op, data, function, shape):
    """Apply a function of a list to each line along the axis; gives an array of `shape`."""
    rows = lines(data.reshape(-1) if op.axis is None else data, 0 if op.axis is None else op.axis)
    result = np.empty((rows.shape[0], len(function([float(v) for v in rows[0, :, 0]])), rows.shape[2]))
    for n, i in np.ndindex(rows.shape[0], rows.shape[2]):
        result[n, :, i] = function([float(v) for v in rows[n, :, i]])
    return result.reshape(shape)


def in_order(op, numbers):
    """The places of numbers in order; Python's sort keeps the order of equal ones."""
    return sorted(range(len(numbers)), key=lambda i: numbers[i] if op.is_ascend else -numbers[i])


def sorted_shape(op, data, k=None):
    if op.axis is None:
        return (data.size if k is None else k,)
    shape = list(data.shape)
    if k is not None:
        shape[op.axis] = k
    return tuple(shape)


def through_values(op, data, head, places):
    """The gradient of the numbers at `places`, both with the sorted axis where it is."""
    flat = data.reshape(-1) if op.axis is None else data
    gradient = np.zeros(flat.shape)
    for place in np.ndindex(head.shape):
        source = list(place)
        source[0 if op.axis is None else op.axis] = int(places[place])
        gradient[tuple(source)] += head[place]
    return gradient.reshape(data.shape)


@reference("Sort", "ArgSort", "TopK", more=[({"axis": 0}, {"data": (5,)}), ({"axis": -1}, {"data": (4, 1)})])
def sorting(op, x, heads):
    data, kind = x["data"], type(op).__name__
    ret_typ = {"Sort": "value", "ArgSort": "indices"}.get(kind) or op.ret_typ
    k = op.k if kind == "TopK" and op.k > 0 else None
    shape = sorted_shape(op, data, k)
    places = line_by_line(op, data, lambda v: in_order(op, v)[:k], shape)
    values = line_by_line(op, data, lambda v: [v[i] for i in in_order(op, v)[:k]], shape)
    if ret_typ == "indices":
        return {"output": places}
    if ret_typ == "mask":
        chosen = line_by_line(
            op, data, lambda v: [float(i in in_order(op, v)[:k]) for i in range(len(v))], data.shape
        )
        return {"output": chosen}
    gradient = through_values(op, data, heads["doutput0"], places)
    return {"output0": values, "output1": places, "ddata": gradient}


@reference(
    "ArgMax",
    "ArgMin",
    more=[({"axis": 0}, {"data": (5,)}), ({"axis": -1, "keepdims": True}, {"data": (4, 1)})],
)
def place(op, x, heads):
    best = max if type(op).__name__ == "ArgMax" else min
    shape = list(sorted_shape(op, x["data"], 1))
    if op.axis is None:
        shape = [1] * (x["data"].ndim if op.keepdims else 1)
    elif not op.keepdims and len(shape) > 1:
        del shape[op.axis]
    return {"output": line_by_line(op, x["data"], lambda v: [v.index(best(v))], shape)}


@reference("ArgMaxChannel")
def channel(op, x, heads):
    data = lines(x["data"], 1)
    output = np.empty((data.shape[0], data.shape[2]))
    for n, i in np.ndindex(output.shape):
        numbers = list(data[n, :, i])
        output[n, i] = numbers.index(max(numbers))
    return {"output": output.reshape(x["data"].shape[:1] + x["data"].shape[2:])}

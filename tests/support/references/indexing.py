"""References of netdef.ops.indexing."""

import numpy as np

from references import exempt, reference, sample

exempt("the_outputs_have_the_dtype_of_the_data", "its attribute says the dtype", "OneHot")
exempt("the_outputs_have_the_dtype_of_the_data", "its first input is the condition, of any type", "Where")


def bounded(number, size, mode):
    """The index that a number stands for."""
    number = int(number)
    return number % size if mode == "wrap" else min(max(number, 0), size - 1)


@sample("Take")
def numbers_for_take(op, shapes, random):
    size = shapes.full("a")[op.axis]
    low, high = (0, size) if op.mode == "raise" else (-size, 2 * size)
    return {"indices": random.integers(low, high, shapes.full("indices")) + 0.4 * (low < 0)}


@reference("Take", more=[({"axis": 0}, {"a": (3,), "indices": (7,)}), ({}, {"a": (3, 2), "indices": ()})])
def take(op, x, heads):
    a, indices = x["a"], x["indices"]
    axis = op.axis % a.ndim
    output, gradient = np.empty(heads["doutput"].shape), np.zeros(a.shape)
    for place in np.ndindex(output.shape):
        before, there, after = place[:axis], place[axis : axis + indices.ndim], place[axis + indices.ndim :]
        source = (*before, bounded(indices[there], a.shape[axis], op.mode), *after)
        output[place] = a[source]
        gradient[source] += heads["doutput"][place]
    return {"output": output, "da": gradient}


@sample("Pick", "BatchTake")
def numbers_for_pick(op, shapes, random):
    data, index = op.input_names()
    size = shapes.full(data)[op.axis]
    return {index: random.integers(-size, 2 * size, shapes.full(index))}


@reference(
    "Pick",
    more=[
        ({"axis": 1}, {"data": (4, 3, 2), "index": (4, 1, 2)}),
        ({"axis": 1, "keepdims": True}, {"data": (4, 3, 2), "index": (4, 1, 2)}),
        ({"axis": -2, "mode": "wrap"}, {"data": (4, 1, 2)}),
    ],
)
def pick(op, x, heads):
    return picked(x["data"], x["index"], op.axis, op.mode, heads["doutput"], "ddata")


@reference("BatchTake")
def batch_take(op, x, heads):
    return picked(x["a"], x["indices"], -1, "clip", heads["doutput"], "da")


def picked(data, index, axis, mode, head, gradient_name):
    axis %= data.ndim
    rest = (*data.shape[:axis], *data.shape[axis + 1 :])
    index, given = index.reshape(rest), head.reshape(rest)
    output, gradient = np.empty(rest), np.zeros(data.shape)
    for place in np.ndindex(rest):
        source = (*place[:axis], bounded(index[place], data.shape[axis], mode), *place[axis:])
        output[place] = data[source]
        gradient[source] = given[place]
    return {"output": output.reshape(head.shape), gradient_name: gradient}


@sample("OneHot")
def numbers_for_one_hot(op, shapes, random):
    return {"indices": random.integers(-1, op.depth + 1, shapes.full("indices")) + 0.3}


@reference("OneHot", more=[({"depth": 0}, {"indices": (3,)})])
def one_hot(op, x, heads):
    output = np.full((*x["indices"].shape, op.depth), op.off_value)
    for place in np.ndindex(output.shape):
        if int(x["indices"][place[:-1]]) == place[-1]:
            output[place] = op.on_value
    return {"output": output}


@sample("Where")
def conditions(op, shapes, random):
    return {"condition": random.integers(-1, 2, shapes.full("condition")) / 2}


@reference("Where")
def where(op, x, heads):
    output, dx, dy = (np.zeros(x["x"].shape) for _ in range(3))
    rows = x["condition"].ndim < x["x"].ndim
    for place in np.ndindex(output.shape):
        holds = x["condition"][place[:1] if rows else place] != 0
        output[place] = x["x" if holds else "y"][place]
        (dx if holds else dy)[place] = heads["doutput"][place]
    return {"output": output, "dx": dx, "dy": dy}

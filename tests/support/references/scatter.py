"""References of netdef.ops.scatter."""

import math

import numpy as np

from references import exempt, reference, sample

for _test in ("work_grows_with_the_batch", "kernels_allocate_nothing"):
    exempt(
        _test,
        "it grows with the second axis of its indices; test_indexing enlarges that",
        "ScatterND",
        "BackwardGatherND",
        "ScatterSetND",
        "RavelMultiIndex",
    )


def several(random, sizes, count):
    """Multi-indices (M, count) that differ from each other, some written as negative numbers."""
    chosen = random.permutation(math.prod(sizes))[:count]
    rows = np.array(np.unravel_index(chosen, sizes))
    negative = random.integers(0, 2, rows.shape)
    return rows - negative * np.array(sizes)[:, None]


@sample("GatherND", "ScatterND", "BackwardGatherND", "ScatterSetND")
def multi_indices(op, shapes, random):
    depth, *there = shapes.full("indices")
    sizes = shapes.full("data" if type(op).__name__ == "GatherND" else "output")[:depth]
    if type(op).__name__ in ("GatherND", "BackwardGatherND"):
        numbers = np.array([random.integers(-size, size, there) for size in sizes])
    else:
        numbers = several(random, sizes, math.prod(there)).reshape(depth, *there)
    return {"indices": numbers}


def columns(indices):
    """Each place of the parts with the multi-index that stands there."""
    for there in np.ndindex(indices.shape[1:]):
        yield there, tuple(int(number) for number in indices[(slice(None), *there)])


@reference("GatherND")
def gather_nd(op, x, heads):
    output, gradient = np.empty(heads["doutput"].shape), np.zeros(x["data"].shape)
    for there, place in columns(x["indices"]):
        output[there] = x["data"][place]
        gradient[place] += heads["doutput"][there]
    return {"output": output, "ddata": gradient}


def scattered(op, x, heads, old, new, add):
    output, gradient = old.copy(), np.empty(new.shape)
    for there, place in columns(x["indices"]):
        output[place] = output[place] + new[there] if add else new[there]
        if heads["doutput"] is not None:
            gradient[there] = heads["doutput"][place]
    return {"output": output, "ddata": gradient}


@reference("ScatterND", more=[({"shape": (5,)}, {"data": (3,), "indices": (1, 3)})])
def scatter_nd(op, x, heads):
    return scattered(op, x, heads, np.zeros(op.values()["shape"]), x["data"], add=False)


@reference("BackwardGatherND")
def backward_gather_nd(op, x, heads):
    return scattered(op, x, heads, np.zeros(op.values()["shape"]), x["data"], add=True)


@reference("ScatterSetND")
def scatter_set_nd(op, x, heads):
    return {"output": scattered(op, x, heads, x["lhs"], x["rhs"], add=False)["output"]}


@sample("IndexCopy")
def rows(op, shapes, random):
    return {"index_vector": random.permutation(shapes.full("old_tensor")[0])[: shapes.full("new_tensor")[0]]}


@reference("IndexCopy")
def index_copy(op, x, heads):
    output, old, new = x["old_tensor"].copy(), heads["doutput"].copy(), np.empty(x["new_tensor"].shape)
    for number, row in enumerate(x["index_vector"]):
        output[int(row)] = x["new_tensor"][number]
        new[number] = heads["doutput"][int(row)]
        old[int(row)] = 0
    return {"output": output, "dold_tensor": old, "dnew_tensor": new}


@sample("FillElement0Index")
def elements(op, shapes, random):
    rows, size = shapes.full("lhs")
    return {"rhs": random.integers(0, size, rows)}


@reference("FillElement0Index")
def fill_element(op, x, heads):
    output = x["lhs"].copy()
    for row, column in enumerate(x["rhs"]):
        output[row, int(column)] = x["mhs"][row]
    return {"output": output}


def sizes(op):
    """The shape of the indices, its first size, which does not matter, made one that numpy takes."""
    return (1000, *op.values()["shape"][1:])


@sample("RavelMultiIndex")
def indices(op, shapes, random):
    return {"data": random.integers(0, 2, shapes.full("data")) + 0.5}


@reference("RavelMultiIndex", more=[({"shape": (7,)}, {"data": (1, 3)})])
def ravel(op, x, heads):
    return {"output": np.ravel_multi_index(tuple(x["data"].astype(int)), sizes(op), mode="raise")}


@sample("UnravelIndex")
def flat_indices(op, shapes, random):
    return {"data": random.integers(0, 40, shapes.full("data")) + 0.5}


@reference("UnravelIndex", more=[({"shape": (7,)}, {"data": (3,)})])
def unravel(op, x, heads):
    return {"output": np.array(np.unravel_index(x["data"].astype(int), sizes(op)))}

"""References of netdef.ops.embedding."""

import numpy as np

from references import exempt, reference, sample

exempt(
    "the_outputs_have_the_dtype_of_the_data",
    "it has that of the weight; data are ids",
    "Embedding",
    "SparseEmbedding",
)


@sample("Embedding", "SparseEmbedding")
def ids(op, shapes, random):
    return {"data": random.integers(-1, op.input_dim + 1, shapes.full("data"))}


@reference(
    "Embedding",
    "SparseEmbedding",
    more=[({"input_dim": 3, "output_dim": 2, "dtype": "float64"}, {"data": (40,)})],
)
def embedding(op, x, heads):
    output, gradient = np.empty(heads["doutput"].shape), np.zeros(x["weight"].shape)
    for place in np.ndindex(x["data"].shape):
        row = min(max(int(x["data"][place]), 0), op.input_dim - 1)
        output[place] = x["weight"][row]
        gradient[row] += heads["doutput"][place]
    return {"output": output, "dweight": gradient}

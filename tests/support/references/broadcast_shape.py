"""References of netdef.ops.broadcast_shape."""

import numpy as np

from references import reference


def repeated(data, head):
    """An array repeated to the shape of its gradient, and what comes back."""
    output, gradient = np.empty(head.shape), np.zeros(data.shape)
    for place in np.ndindex(output.shape):
        source = tuple(0 if size == 1 else i for i, size in zip(place, data.shape))
        output[place] = data[source]
        gradient[source] += head[place]
    return output, gradient


@reference("BroadcastAxis", "BroadcastTo")
def broadcast(op, x, heads):
    output, gradient = repeated(x["data"], heads["doutput"])
    return {"output": output, "ddata": gradient}


@reference(
    "BroadcastLike",
    more=[({"lhs_axes": (0,)}, {"lhs": (1, 3), "rhs": (4, 3)}), ({}, {"lhs": (1, 1), "rhs": (1, 5)})],
)
def broadcast_like(op, x, heads):
    output, gradient = repeated(x["lhs"], heads["doutput"])
    return {"output": output, "dlhs": gradient}

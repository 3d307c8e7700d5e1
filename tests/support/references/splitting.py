"""References of netdef.ops.splitting."""

import numpy as np

from references import reference


def parts(op, lengths, x, heads, lone="output0"):
    """The parts of these lengths one after the other, and the gradient put together again."""
    data = np.moveaxis(x["data"], op.axis, 0)
    pieces, gradient, start = {}, [], 0
    for number, length in enumerate(lengths):
        name = f"output{number}" if len(lengths) > 1 else lone
        piece = np.array([data[start + i] for i in range(length)]).reshape(length, *data.shape[1:])
        head = heads[f"d{name}"]
        if op.squeeze_axis:
            pieces[name] = piece[0]
            gradient.append(head)
        else:
            pieces[name] = np.moveaxis(piece, 0, op.axis)
            gradient.extend(np.moveaxis(head, op.axis, 0))
        start += length
    return {**pieces, "ddata": np.moveaxis(np.array(gradient), 0, op.axis)}


@reference("SliceChannel", more=[({"num_outputs": 2, "axis": 0, "squeeze_axis": True}, {"data": (2, 3)})])
def slice_channel(op, x, heads):
    size = x["data"].shape[op.axis]
    return parts(op, [size // op.num_outputs] * op.num_outputs, x, heads)


@reference(
    "SplitV2",
    more=[
        ({"indices": (0, 1, 1), "axis": 0}, {"data": (3, 2)}),
        ({"indices": (0,), "axis": -1}, {"data": (3, 2)}),
        ({"indices": (), "sections": 4}, {"data": (2, 6)}),
    ],
)
def split_v2(op, x, heads):
    size = x["data"].shape[op.axis]
    if op.sections:
        lengths = [len(range(i, size, op.sections)) for i in range(op.sections)]
    else:
        ends = [*op.indices[1:], size]
        lengths = [end - start for start, end in zip(op.indices, ends)]
    return parts(op, lengths, x, heads, lone="output")

"""References of netdef.ops.sequence."""

import numpy as np

from references import reference, sample

OPERATORS = "SequenceLast", "SequenceMask", "SequenceReverse"


@sample(*OPERATORS)
def lengths(op, shapes, random):
    if not op.use_sequence_length:
        return {}
    time = shapes.full("data")[op.axis]
    return {"sequence_length": random.integers(1, time + 1, shapes.full("sequence_length")) + 0.5}


def sources(op, x):
    """For each place of data in time and batch: these, the sequence's length, and the index to use."""
    data = x["data"]
    for time in range(data.shape[op.axis]):
        for number in range(data.shape[1 - op.axis]):
            length = data.shape[op.axis]
            if op.use_sequence_length:
                length = int(x["sequence_length"][number])
            yield time, number, length, (time, number) if op.axis == 0 else (number, time)


@reference("SequenceLast")
def sequence_last(op, x, heads):
    output, gradient = np.empty(heads["doutput"].shape), np.zeros(x["data"].shape)
    for time, number, length, place in sources(op, x):
        if time == length - 1:
            output[number] = x["data"][place]
            gradient[place] = heads["doutput"][number]
    return {"output": output, "ddata": gradient}


@reference("SequenceMask")
def sequence_mask(op, x, heads):
    output, gradient = x["data"].copy(), heads["doutput"].copy()
    for time, _, length, place in sources(op, x):
        if time >= length:
            output[place] = op.value
            gradient[place] = 0
    return {"output": output, "ddata": gradient}


@reference("SequenceReverse")
def sequence_reverse(op, x, heads):
    output, gradient = np.empty(x["data"].shape), np.empty(x["data"].shape)
    for time, number, length, place in sources(op, x):
        there = (length - 1 - time, number) if time < length else place
        output[place] = x["data"][there]
        gradient[there] = heads["doutput"][place]
    return {"output": output, "ddata": gradient}

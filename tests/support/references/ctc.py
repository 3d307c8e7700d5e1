"""References of netdef.ops.ctc."""

import itertools
import math

import numpy as np

from references import distribution, reference, sample


@sample("CTCLoss")
def labels(op, shapes, random):
    steps, batch, classes = shapes.full("data")
    longest = shapes.full("label")[1]
    first = 1 if op.blank_label == "first" else 0
    label = random.integers(first, first + classes - 1, (batch, longest))
    if not op.use_label_lengths:
        for n in range(batch):
            label[n, longest - n % (longest + 1) :] = first - 1
    return {
        "label": label,
        "data_lengths": random.integers(1, steps + 1, batch),
        "label_lengths": random.integers(0, longest + 1, batch),
    }


@reference(
    "CTCLoss",
    more=[
        ({}, {"data": (1, 2, 3), "label": (2, 1)}),
        ({}, {"data": (2, 2, 2), "label": (2, 2)}),
        ({"blank_label": "last", "use_data_lengths": True}, {"data": (4, 2, 3), "label": (2, 2)}),
        ({"blank_label": "last", "use_label_lengths": True}, {"data": (4, 3, 3), "label": (3, 3)}),
        ({}, {"data": (3, 2, 3), "label": (2, 0)}),
    ],
)
def ctc_loss(op, x, heads):
    """Every sequence of classes is spelt out, and those that give the label are summed up."""
    steps, batch, classes = x["data"].shape
    blank, padding = (0, 0) if op.blank_label == "first" else (classes - 1, -1)
    losses, gradient = np.zeros(batch), np.zeros(x["data"].shape)
    for n in range(batch):
        label = [int(v) for v in x["label"][n]]
        if op.use_label_lengths:
            label = label[: int(x["label_lengths"][n])]
        elif padding in label:
            label = label[: label.index(padding)]
        length = int(x["data_lengths"][n]) if op.use_data_lengths else steps
        p = np.array([distribution(x["data"][t, n]) for t in range(length)])
        total, here = 0.0, np.zeros(p.shape)
        for path in itertools.product(range(classes), repeat=length):
            if [k for k, _ in itertools.groupby(path) if k != blank] == label:
                weight = math.prod(p[t, k] for t, k in enumerate(path))
                total += weight
                for t, k in enumerate(path):
                    here[t, k] += weight
        if total:
            losses[n] = -math.log(total)
            gradient[:length, n] = (p - here / total) * heads["doutput0"][n]
    return {"output0": losses, "ddata": gradient}

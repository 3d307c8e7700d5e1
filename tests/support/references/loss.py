"""References of netdef.ops.loss."""

import math

import numpy as np

from references import distribution, lines, reference


@reference(
    "SoftmaxWithLoss",
    more=[
        ({"ignore_label": 1}, {"data": (7, 3), "label": (7,)}),
        ({"ignore_label": 0, "normalization": "BATCH_SIZE"}, {"data": (4, 2, 3), "label": (4, 3)}),
        ({"ignore_label": 0, "normalization": "FULL"}, {"data": (4, 2, 3), "label": (12,)}),
        ({"ignore_label": 0}, {"data": (4, 1), "label": (4, 1)}),
    ],
)
def softmax_with_loss(op, x, heads):
    data = lines(x["data"], op.axis)
    label = x["label"].reshape(data.shape[0], data.shape[2])
    prob, gradient = np.empty(data.shape), np.zeros(data.shape)
    losses, counted = [], 0
    for n, i in np.ndindex(label.shape):
        p = prob[n, :, i] = distribution(data[n, :, i])
        target = int(label[n, i])
        if target == op.ignore_label:
            continue
        counted += 1
        losses.append(-math.log(max(p[target], 1.17549435e-38)))
        for k in range(len(p)):
            gradient[n, k, i] = p[k] - (k == target)
    divisors = {"FULL": label.size, "VALID": counted, "BATCH_SIZE": len(label), "NONE": 1}
    divisor = max(1, divisors[op.normalization])
    return {
        "loss": math.fsum(losses) / divisor,
        "ddata": gradient.reshape(x["data"].shape) * float(heads["dloss"]) / divisor,
        **({"prob": prob.reshape(x["data"].shape)} if op.output_prob else {}),
    }


@reference(
    "Accuracy",
    more=[
        ({"top_k": 3}, {"data": (5, 3), "label": (5,)}),
        ({"axis": 0, "per_class": True}, {"data": (3, 4), "label": (4,)}),
        ({"ignore_label": 2, "per_class": True, "top_k": 2}, {"data": (9, 3), "label": (9,)}),
    ],
)
def accuracy(op, x, heads):
    data = lines(x["data"], op.axis)
    label = x["label"].reshape(data.shape[0], data.shape[2])
    right, total = np.zeros(data.shape[1]), np.zeros(data.shape[1])
    for n, i in np.ndindex(label.shape):
        target = int(label[n, i])
        if target == op.ignore_label:
            continue
        rivals = sum(data[n, k, i] >= data[n, target, i] for k in range(data.shape[1]) if k != target)
        total[target] += 1
        right[target] += rivals < op.top_k
    return {
        "accuracy": sum(right) / sum(total) if sum(total) else 0.0,
        **({"each": np.array([r / t if t else 0 for r, t in zip(right, total)])} if op.per_class else {}),
    }

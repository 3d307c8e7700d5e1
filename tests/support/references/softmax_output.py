"""References of netdef.ops.softmax_output."""

import math

import numpy as np

from references import distribution, exempt, lines, reference

exempt("gradients_are_derivatives", "its gradient is that of a loss it does not compute", "SoftmaxOutput")


@reference(
    "SoftmaxOutput",
    more=[
        ({"normalization": "batch"}, {"data": (4, 3), "label": (4,)}),
        ({"normalization": "valid", "ignore_label": 1, "use_ignore": True}, {"data": (6, 3), "label": (6,)}),
        ({"normalization": "valid", "ignore_label": 1}, {"data": (6, 3), "label": (6,)}),
        ({"multi_output": True, "out_grad": True}, {"data": (2, 3, 4), "label": (2, 4)}),
        ({"multi_output": True, "normalization": "batch"}, {"data": (2, 3, 4), "label": (2, 1, 4)}),
        ({"smooth_alpha": 0.2}, {"data": (4, 1), "label": (4,)}),
        ({}, {"data": (2, 3, 4), "label": (2, 3)}),
        ({}, {"data": (4,), "label": (4,)}),
        ({"normalization": "valid", "ignore_label": 1}, {"data": (2, 3, 4), "label": (2, 3)}),
        (
            {"normalization": "valid", "ignore_label": 1, "use_ignore": True},
            {"data": (2, 3, 4), "label": (2, 3)},
        ),
        ({"preserve_shape": True, "out_grad": True}, {"data": (2, 3, 4), "label": (2, 3, 4)}),
    ],
)
def softmax_output(op, x, heads):
    shape = x["data"].shape
    flat = x["data"].reshape(shape[0], -1) if not op.preserve_shape else x["data"]
    data = lines(x["data"], 1) if op.multi_output else lines(flat, -1)
    alpha = 0 if op.multi_output else op.smooth_alpha
    output, gradient = np.empty(data.shape), np.empty(data.shape)
    labels = list(x["label"].flat)
    places = list(np.ndindex(data.shape[0], data.shape[2]))
    for number, (n, i) in enumerate(places):
        p = output[n, :, i] = distribution(data[n, :, i])
        for k in range(len(p)):
            if x["label"].shape == shape:
                gradient[n, k, i] = p[k] - labels[number * len(p) + k]
            elif op.use_ignore and int(labels[number]) == int(op.ignore_label):
                gradient[n, k, i] = 0
            elif k == int(labels[number]):
                gradient[n, k, i] = p[k] - 1 + alpha
            else:
                gradient[n, k, i] = p[k] - alpha / (len(p) - 1)
    divisor = 1
    if x["label"].shape != shape:
        if op.multi_output and op.normalization != "valid":
            divisor *= data.shape[2]
        if op.normalization == "batch":
            divisor *= shape[0] if op.multi_output else len(labels)
        if op.normalization == "valid":
            divisor = max(1, sum(int(label) != int(op.ignore_label) for label in labels))
    gradient = gradient.reshape(shape) * op.grad_scale / divisor
    if op.out_grad:
        gradient = gradient * output.reshape(shape)
    return {"output": output.reshape(shape), "ddata": gradient}


@reference(
    "SoftmaxCrossEntropy",
    more=[({}, {"data": (1, 3), "label": (1,)}), ({}, {"data": (3, 1), "label": (3,)})],
)
def softmax_cross_entropy(op, x, heads):
    data = x["data"]
    total, gradient = [], np.empty(data.shape)
    for n, line in enumerate(data):
        target = int(x["label"][n])
        p = distribution(line)
        total.append(-math.log(max(p[target], 1e-8)))
        for k in range(len(p)):
            gradient[n, k] = (p[k] - (k == target)) * heads["doutput"][0]
    return {"output": np.array([math.fsum(total)]), "ddata": gradient}

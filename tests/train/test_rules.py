"""Update rules against formulas written from Caffe's table (systems, section 1.6), element by element in
float64.
"""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from netdef.train.rules import RULES, Piece, apply_update

DEFAULTS = {
    "base_lr": 0.1,
    "momentum": 0.9,
    "momentum2": 0.99,
    "rms_decay": 0.95,
    "delta": 1e-3,
    "weight_decay": 0.01,
    "regularization_type": "L2",
    "clip_gradients": -1.0,
    "iter_size": 1,
}


def slow(kind, s, w, g, h, rate, t):
    """One element: the new value and history."""
    if kind == "SGD":
        v = s.momentum * h[0] + rate * g
        return w - v, [v]
    if kind == "Nesterov":
        v = s.momentum * h[0] + rate * g
        return w - ((1 + s.momentum) * v - s.momentum * h[0]), [v]
    if kind == "AdaGrad":
        q = h[0] + g * g
        return w - rate * g / (math.sqrt(q) + s.delta), [q]
    if kind == "RMSProp":
        q = s.rms_decay * h[0] + (1 - s.rms_decay) * g * g
        return w - rate * g / (math.sqrt(q) + s.delta), [q]
    if kind == "AdaDelta":
        q = s.momentum * h[0] + (1 - s.momentum) * g * g
        u = g * math.sqrt((h[1] + s.delta) / (q + s.delta))
        return w - rate * u, [q, s.momentum * h[1] + (1 - s.momentum) * u * u]
    m = s.momentum * h[0] + (1 - s.momentum) * g
    v = s.momentum2 * h[1] + (1 - s.momentum2) * g * g
    step = rate * math.sqrt(1 - s.momentum2**t) / (1 - s.momentum**t) * m / (math.sqrt(v) + s.delta)
    return w - step, [m, v]


@pytest.mark.parametrize("kind", list(RULES))
@pytest.mark.parametrize("regularization", ["L1", "L2"])
@pytest.mark.parametrize("clip", [-1.0, 0.5])
def test_five_updates_are_caffes(kind, regularization, clip):
    """Two blobs with multipliers, clipping by their common norm, iter_size 2, both regularizations."""
    solver = SimpleNamespace(
        **{
            **DEFAULTS,
            "type": kind,
            "regularization_type": regularization,
            "clip_gradients": clip,
            "iter_size": 2,
        }
    )
    random = np.random.default_rng(4)
    shapes, multipliers = [(3, 2), (4,)], [(1.0, 1.0), (2.0, 0.0)]
    blobs = []
    for shape, (lr, decay) in zip(shapes, multipliers):
        value = random.normal(0, 1, shape)
        history = tuple(np.zeros(shape) for _ in range(RULES[kind].slots))
        blobs.append(Piece(value, np.empty(shape), history, np.empty(shape), lr, decay))
    expected = [blob.value.ravel().tolist() for blob in blobs]
    memory = [[[0.0] * RULES[kind].slots for _ in row] for row in expected]

    for iteration in range(5):
        gradients = [random.normal(0, 1, shape) for shape in shapes]
        for blob, gradient in zip(blobs, gradients):
            blob.gradient[...] = gradient
        apply_update(solver, [blob.gradient for blob in blobs], blobs, 0.1, iteration)

        norm = math.sqrt(sum(float((g * g).sum()) for g in gradients))
        factor = clip / norm if 0 <= clip < norm else 1.0
        for b, (lr, decay) in enumerate(multipliers):
            for i, g in enumerate(gradients[b].ravel().tolist()):
                w = expected[b][i]
                g = g * factor / 2
                g += 0.01 * decay * (w if regularization == "L2" else (w > 0) - (w < 0))
                expected[b][i], memory[b][i] = slow(kind, solver, w, g, memory[b][i], 0.1 * lr, iteration + 1)

    for blob, row in zip(blobs, expected):
        np.testing.assert_allclose(blob.value.ravel(), row, rtol=1e-10)

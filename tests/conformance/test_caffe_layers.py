"""Layers against values recorded from Caffe 1.0: outputs, gradients, states after the passes."""

import json
from functools import cache
from pathlib import Path

import builds
import numpy as np
import prototxt
import pytest

from netdef.graph.node import Entry
from netdef.graph.symbol import Symbol
from netdef.runtime.context import cpu
from netdef.runtime.executor import Executor
from netdef.spec.layers import LAYERS

ROOT = Path(__file__).parents[3] / "shared" / "conformance" / "caffe" / "dev" / "layers"
#: cases that the foundation's layers cannot say, with the reason
LATER = {
    "Eltwise.inplace_sum": "refused: Caffe clears the blob in place before it adds it, so the sum loses it",
    "mask": "the argmax mask, Pooling's second top, comes with Caffe's whole vocabulary",
    "LRN.within_num": "an enum given by its number is prototxt's spelling, which its reader will translate",
}


@cache
def index():
    path = ROOT / "index.json"
    return json.loads(path.read_text())["cases"] if path.exists() else {}


@cache
def arrays(file):
    with np.load(ROOT / file) as data:
        return {key: data[key] for key in data.files}


def types_of(case):
    return {layer["type"] for layer in prototxt.net(case["net"])["layer"]}


CASES = sorted(
    name
    for name, case in index().items()
    if case.get("standard_caffe") is not False and types_of(case) <= LAYERS.keys()
)


def test_the_vectors_are_there():
    """Without the recorded vectors the tests below would pass by being empty."""
    if not ROOT.exists():
        pytest.skip("the recorded vectors are not beside the project (../shared/conformance)")
    assert len(CASES) > 100


class Bound:
    """A built net with every blob as a head, bound to float32 arrays, all gradients wanted."""

    def __init__(self, case):
        loaded = builds.build(prototxt.net(case["net"]), case["phase"])
        self.net = loaded.net
        self.blobs = list(self.net.blobs)
        symbol = Symbol(self.net.blobs[blob] for blob in self.blobs)
        shapes = loaded.shapes
        arguments, states = symbol.variables()
        self.arrays = {
            node.name: np.zeros(shapes[Entry(node, 0)], np.float32) for node in [*arguments, *states]
        }
        labels = {"label", "labels"}
        self.gradients = {
            node.name: np.zeros(shapes[Entry(node, 0)], np.float32)
            for node in arguments
            if node.name not in labels
        }
        self.executor = Executor(
            symbol,
            cpu(),
            {node.name: self.arrays[node.name] for node in arguments},
            self.gradients,
            dict.fromkeys(self.gradients, "write"),
            {node.name: self.arrays[node.name] for node in states},
        )
        self.params = {
            f"{built.layer.name}/{number}": param.node.name
            for built in self.net.layers
            for number, param in enumerate(built.params)
        }

    def is_learnt(self, key):
        """Whether a gradient is computed.

        Caffe leaves that of a blob with lr_mult 0 at zero, and so of states.
        """
        layer, number = key.rsplit("/", 1)
        (built,) = (built for built in self.net.layers if built.layer.name == layer)
        return bool(built.params[int(number)].lr_mult)


@pytest.mark.parametrize("name", CASES)
def test_a_layer_computes_what_caffe_computes(name):
    """Every recorded array agrees within the tolerance recorded with it."""
    case = index()[name]
    for word, reason in LATER.items():
        if word in name:
            pytest.skip(reason)
    recorded = {key: arrays(case["file"])[f"{name}/{key}"] for key in case["arrays"]}
    bound = Bound(case)
    tolerance = {"rtol": case["rtol"], "atol": case["atol"]}

    def part(kind):
        return {key[len(kind) + 1 :]: value for key, value in recorded.items() if key.startswith(f"{kind}/")}

    for blob, value in part("in").items():
        array = bound.arrays[bound.net.inputs[blob].node.name]
        array[...] = value.reshape(array.shape)
    for key, value in part("param").items():
        array = bound.arrays[bound.params[key]]
        array[...] = value.reshape(array.shape)
    for _ in range(case["forwards"]):
        outputs = dict(zip(bound.blobs, bound.executor.forward(train=True)))
    if case.get("check") == "dropout":
        check_dropout(recorded, outputs, bound)
        return
    for blob, value in part("out").items():
        np.testing.assert_allclose(
            outputs[blob].reshape(value.shape), value, err_msg=f"out {blob}", **tolerance
        )
    for key, value in part("param_after").items():
        array = bound.arrays[bound.params[key]].reshape(value.shape)
        np.testing.assert_allclose(array, value, err_msg=f"param_after {key}", **tolerance)
    if not case.get("backward"):
        return
    heads = part("top_diff")
    bound.executor.backward(
        [
            heads[blob].reshape(output.shape) if blob in heads else np.zeros_like(output)
            for blob, output in outputs.items()
        ]
    )
    for blob, value in part("bottom_diff").items():
        array = bound.gradients[bound.net.inputs[blob].node.name].reshape(value.shape)
        np.testing.assert_allclose(array, value, err_msg=f"bottom_diff {blob}", **tolerance)
    for key, value in part("param_diff").items():
        if bound.is_learnt(key):
            array = bound.gradients[bound.params[key]].reshape(value.shape)
            np.testing.assert_allclose(array, value, err_msg=f"param_diff {key}", **tolerance)


def check_dropout(recorded, outputs, bound):
    """Each output is 0 or the input times one factor, which is the recorded one."""
    ((_, value),) = [(key[3:], value) for key, value in recorded.items() if key.startswith("in/")]
    ((top, theirs),) = [(key[4:], value) for key, value in recorded.items() if key.startswith("out/")][-1:]
    kept = theirs != 0
    scale = float(np.median(theirs[kept] / value[kept])) if kept.any() else 0.0
    ours = outputs[top]
    zero = np.isclose(ours, 0, atol=1e-6)

    assert (zero | np.isclose(ours, value * scale, rtol=1e-4, atol=1e-5)).all()
    if 0 < kept.mean() < 1:
        assert abs(zero.mean() - (~kept).mean()) < 0.5

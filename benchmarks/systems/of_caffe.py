"""Caffe 1.0 through pycaffe: a net in prototxt, a solver of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("GLOG_minloglevel", "2")  # it tells of every layer otherwise

import caffe
import numpy as np

SOLVER = """net: "{net}"
base_lr: {rate}
momentum: {momentum}
lr_policy: "fixed"
display: 0
snapshot_after_train: false
solver_mode: CPU
"""


def version() -> str:
    return f"Caffe {caffe.__version__}"


def open_net(job: dict[str, Any], variant: str) -> Net:
    """The net of a job with its weights and data."""
    return Net(job)


def prototxt(job: dict[str, Any], shapes: dict[str, Any]) -> str:
    """The net of a job as Caffe reads it."""
    inputs = [
        message("layer", name=name, type="Input", top=name, input_param={"shape": {"dim": list(shape)}})
        for name, shape in shapes.items()
    ]
    return "".join([*inputs, *(text for layer in job["layers"] for text in layers(layer, job["task"]))])


def layers(layer: dict[str, Any], task: str) -> list[str]:
    """A layer as text; the two that Caffe has for normalization and for the scale after it."""
    own = {"name": layer["name"], "type": layer["type"], "bottom": layer["bottom"], "top": layer["top"]}
    if layer["type"] != "BatchNorm":
        return [message("layer", **own, **parameters(layer))]
    if task == "train":
        raise NotImplementedError("statistics of a batch: some builds of Caffe compute them wrongly")
    scale = {"name": f"{layer['name']}_scale", "type": "Scale", "bottom": own["top"], "top": own["top"]}
    return [
        message("layer", **own, batch_norm_param={"use_global_stats": True, "eps": layer["eps"]}),
        message("layer", **scale, scale_param={"bias_term": True}),
    ]


def parameters(layer: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a layer by the name of its message."""
    kind = layer["type"]
    if kind == "Convolution":
        windows = {
            f"{name}_{axis}": size
            for name in ("kernel", "stride", "pad")
            for axis, size in zip("hw", layer[name])
        }
        counts = {"num_output": layer["filters"], "group": layer["group"], "bias_term": layer["bias"]}
        return {"convolution_param": {**counts, **windows}}
    if kind == "Pooling":
        if layer["global"]:
            return {"pooling_param": {"pool": Word(layer["kind"]), "global_pooling": True}}
        sizes = {"kernel_size": layer["kernel"][0], "stride": layer["stride"][0], "pad": layer["pad"][0]}
        return {"pooling_param": {"pool": Word(layer["kind"]), **sizes}}
    if kind == "LRN":
        names = {"local_size": "size", "alpha": "alpha", "beta": "beta", "k": "k"}
        return {"lrn_param": {name: layer[key] for name, key in names.items()}}
    return {"inner_product_param": {"num_output": layer["outputs"]}} if kind == "InnerProduct" else {}


class Word(str):
    """A text that prototxt has without quotes."""


def message(kind: str, /, **fields: Any) -> str:
    """A message as text; a list stands for a field that is repeated."""
    lines = []
    for key, value in fields.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict):
                lines.append(message(key, **each))
            elif isinstance(each, bool):
                lines.append(f"{key}: {str(each).lower()}\n")
            elif isinstance(each, str) and not isinstance(each, Word):
                lines.append(f'{key}: "{each}"\n')
            else:
                lines.append(f"{key}: {each}\n")
    return f"{kind} {{\n{''.join(lines)}}}\n"


class Net:
    """A net with its data."""

    def __init__(self, job: dict[str, Any]) -> None:
        folder = Path(job["folder"])
        weights, data = np.load(folder / "weights.npz"), np.load(folder / "data.npz")
        caffe.set_mode_cpu()
        net = folder / "net.prototxt"
        net.write_text(prototxt(job, {name: data[name].shape for name in data.files}))
        self.training = job["task"] == "train"
        if self.training:
            solver = folder / "solver.prototxt"
            solver.write_text(SOLVER.format(net=net, **job["solver"]))
            self.solver = caffe.SGDSolver(str(solver))
            self.net = self.solver.net
        else:
            self.net = caffe.Net(str(net), caffe.TEST)
        self.last = job["layers"][-1]["top"]
        self.parameters = sum(self.fill(layer, weights) for layer in job["layers"])
        for name in data.files:
            self.net.blobs[name].data[...] = data[name]

    def fill(self, layer: dict[str, Any], weights: Any) -> int:
        """Copy the weights of a layer; returns how many of them are learnt."""
        blobs = [*self.net.params.get(layer["name"], []), *self.net.params.get(f"{layer['name']}_scale", [])]
        for blob, key in zip(blobs, layer["blobs"]):
            blob.data[...] = weights[key].reshape(blob.data.shape)
        learnt = layer["blobs"][3:] if layer["type"] == "BatchNorm" else layer["blobs"]
        return sum(weights[key].size for key in learnt)

    def check(self) -> list[float]:
        """The losses of the first steps, or the output."""
        found = []
        for _ in range(3 if self.training else 1):
            self.run(1)
            found += self.net.blobs[self.last].data.ravel().tolist()
        return found

    def run(self, count: int) -> None:
        if self.training:
            self.solver.step(count)
            return
        for _ in range(count):
            self.net.forward()

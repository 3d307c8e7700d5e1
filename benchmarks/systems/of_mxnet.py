"""MXNet 1.x: a symbol, bound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np

Layer = dict[str, Any]
#: weights that one call updates, at most MXNet's limit of 45
TOGETHER = 40
#: names of a layer's variables in the order of its blobs
VARIABLES = {"BatchNorm": ("moving_mean", "moving_var", None, "gamma", "beta")}


def version() -> str:
    return f"MXNet {mx.__version__}"


def open_net(job: dict[str, Any], variant: str) -> Net:
    """The net of a job with its weights and data."""
    return Net(job)


def make(layer: Layer, bottoms: list[Any]) -> Any:
    """A layer as a symbol."""
    name, kind, first = layer["name"], layer["type"], bottoms[0]
    if kind == "Convolution":
        return mx.sym.Convolution(
            first,
            name=name,
            num_filter=layer["filters"],
            kernel=layer["kernel"],
            stride=layer["stride"],
            pad=layer["pad"],
            num_group=layer["group"],
            no_bias=not layer["bias"],
        )
    if kind == "Pooling":
        kinds = {"MAX": "max", "AVE": "avg"}
        if layer["global"]:
            return mx.sym.Pooling(
                first, name=name, kernel=(1, 1), global_pool=True, pool_type=kinds[layer["kind"]]
            )
        return mx.sym.Pooling(
            first,
            name=name,
            kernel=layer["kernel"],
            stride=layer["stride"],
            pad=layer["pad"],
            pool_type=kinds[layer["kind"]],
            pooling_convention="full",
        )
    if kind == "LRN":
        numbers = {
            "nsize": layer["size"],
            "alpha": layer["alpha"],
            "beta": layer["beta"],
            "knorm": layer["k"],
        }
        return mx.sym.LRN(first, name=name, **numbers)
    if kind == "BatchNorm":
        return mx.sym.BatchNorm(first, name=name, eps=layer["eps"], momentum=0.999, fix_gamma=False)
    simple = {
        "InnerProduct": lambda: mx.sym.FullyConnected(first, name=name, num_hidden=layer["outputs"]),
        "ReLU": lambda: mx.sym.Activation(first, name=name, act_type="relu"),
        "Concat": lambda: mx.sym.Concat(*bottoms, name=name, dim=1),
        "Eltwise": lambda: mx.sym.elemwise_add(*bottoms, name=name),
        "Softmax": lambda: mx.sym.softmax(first, name=name, axis=1),
        "SoftmaxWithLoss": lambda: mx.sym.SoftmaxOutput(*bottoms, name=name, normalization="batch"),
    }
    return simple[kind]()


def variables(layer: Layer) -> list[tuple[str, str]]:
    """Each variable of a layer with the key of its blob."""
    roles = VARIABLES.get(layer["type"], ("weight", "bias"))
    return [(f"{layer['name']}_{role}", key) for role, key in zip(roles, layer["blobs"]) if role]


class Net:
    """A net with its data."""

    def __init__(self, job: dict[str, Any]) -> None:
        weights = np.load(Path(job["folder"], "weights.npz"))
        data = dict(np.load(Path(job["folder"], "data.npz")))
        self.training = job["task"] == "train"
        blobs: dict[str, Any] = {name: mx.sym.Variable(name) for name in data}
        for layer in job["layers"]:
            blobs[layer["top"]] = make(layer, [blobs[blob] for blob in layer["bottom"]])
        symbol = blobs[job["layers"][-1]["top"]]
        requests = {
            name: "write" if self.training and name not in data else "null"
            for name in symbol.list_arguments()
        }
        shapes = {name: array.shape for name, array in data.items()}
        self.executor = symbol.simple_bind(mx.cpu(), grad_req=requests, **shapes)
        arrays = {**self.executor.arg_dict, **self.executor.aux_dict}
        for name, key in (pair for layer in job["layers"] for pair in variables(layer)):
            arrays[name][:] = weights[key]
        self.data = {name: mx.nd.array(array) for name, array in data.items()}
        self.labels = data.get("label")
        learnt = [name for name in self.executor.arg_dict if name not in data]
        self.parameters = sum(self.executor.arg_dict[name].size for name in learnt)
        if self.training:
            self.prepare_updates(learnt, job["solver"])

    def prepare_updates(self, names: list[str], solver: dict[str, float]) -> None:
        """The arguments of the calls that update all weights."""
        self.updates = []
        for start in range(0, len(names), TOGETHER):
            part = names[start : start + TOGETHER]
            values = [self.executor.arg_dict[name] for name in part]
            states = [mx.nd.zeros(value.shape) for value in values]
            gradients = [self.executor.grad_dict[name] for name in part]
            flat = [array for triple in zip(values, gradients, states) for array in triple]
            settings = {
                "lrs": [solver["rate"]] * len(part),
                "wds": [0.0] * len(part),
                "momentum": solver["momentum"],
                "num_weights": len(part),
                "out": values,
            }
            self.updates.append((flat, settings))

    def check(self) -> list[float]:
        """The losses of the first steps, or the output."""
        if not self.training:
            self.run(1)
            return self.executor.outputs[0].asnumpy().ravel().tolist()
        losses = []
        for _ in range(3):
            self.run(1)
            probabilities = self.executor.outputs[0].asnumpy()
            chosen = probabilities[np.arange(len(probabilities)), self.labels.astype(int)]
            losses.append(float(-np.log(chosen).mean()))
        return losses

    def run(self, count: int) -> None:
        for _ in range(count):
            self.executor.forward(is_train=self.training, **self.data)
            if self.training:
                self.executor.backward()
                for arrays, settings in self.updates:
                    mx.nd.multi_sgd_mom_update(*arrays, **settings)
        mx.nd.waitall()

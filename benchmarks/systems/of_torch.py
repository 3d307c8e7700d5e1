"""PyTorch: eager, with images in its channels_last layout, or compiled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

Layer = dict[str, Any]


def version() -> str:
    return f"PyTorch {torch.__version__}"


def open_net(job: dict[str, Any], variant: str) -> Net:
    """The net of a job with its weights and data; `variant` is eager, channels_last or compile."""
    return Net(job, variant)


class Graph(nn.Module):
    """The layers of a job; a layer whose top is its bottom works in place, as in torchvision's nets."""

    def __init__(self, job: dict[str, Any], weights: Any) -> None:
        super().__init__()
        modules: list[nn.Module] = []
        self.steps: list[tuple[Callable[..., Any], list[str], str, list[str]]] = []
        layers = job["layers"]
        for number, layer in enumerate(layers):
            function = make(layer, weights)
            if isinstance(function, nn.Module):
                modules.append(function)
            later = {blob for other in layers[number + 1 :] for blob in other["bottom"]}
            unread = [blob for blob in set(layer["bottom"]) if blob not in later and blob != layer["top"]]
            self.steps.append((function, layer["bottom"], layer["top"], unread))
        self.learnt = nn.ModuleList(modules)

    def forward(self, **values: torch.Tensor) -> torch.Tensor:
        top = ""
        for function, bottoms, top, unread in self.steps:
            values[top] = function(*[values[blob] for blob in bottoms])
            for blob in unread:
                del values[blob]
        return values[top]


def make(layer: Layer, weights: Any) -> Callable[..., Any]:
    """A layer as a module or a function."""
    kind = layer["type"]
    if kind in LEARNT:
        blobs = [torch.from_numpy(weights[key]) for key in layer["blobs"]]
        return LEARNT[kind](layer, blobs)
    if kind == "Pooling":
        return pooling(layer)
    if kind == "ReLU":
        return nn.ReLU(inplace=layer["top"] in layer["bottom"])
    if kind == "LRN":
        return nn.LocalResponseNorm(layer["size"], layer["alpha"], layer["beta"], layer["k"])
    return FUNCTIONS[kind]


def convolution(layer: Layer, blobs: list[torch.Tensor]) -> nn.Module:
    channels = blobs[0].shape[1] * layer["group"]
    shape = (layer["kernel"], layer["stride"], layer["pad"])
    module = nn.Conv2d(channels, layer["filters"], *shape, groups=layer["group"], bias=layer["bias"])
    return filled(module, blobs)


def inner_product(layer: Layer, blobs: list[torch.Tensor]) -> nn.Module:
    return nn.Sequential(nn.Flatten(), filled(nn.Linear(blobs[0].shape[1], layer["outputs"]), blobs))


def batch_norm(layer: Layer, blobs: list[torch.Tensor]) -> nn.Module:
    mean, variance, _, gamma, beta = blobs
    module = nn.BatchNorm2d(len(mean), eps=layer["eps"], momentum=0.001)
    module.running_mean.copy_(mean)
    module.running_var.copy_(variance)
    return filled(module, [gamma, beta])


def filled(module: Any, blobs: list[torch.Tensor]) -> nn.Module:
    """The module with its weight and, where it has one, bias."""
    with torch.no_grad():
        for parameter, blob in zip((module.weight, module.bias), blobs):
            parameter.copy_(blob)
    return module


def pooling(layer: Layer) -> nn.Module:
    if layer["global"]:
        return nn.AdaptiveAvgPool2d(1)
    module = nn.MaxPool2d if layer["kind"] == "MAX" else nn.AvgPool2d
    return module(layer["kernel"], layer["stride"], layer["pad"], ceil_mode=True)


LEARNT = {"Convolution": convolution, "InnerProduct": inner_product, "BatchNorm": batch_norm}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Softmax": lambda x: functional.softmax(x, dim=1),
    "SoftmaxWithLoss": functional.cross_entropy,
    "Concat": lambda *parts: torch.cat(parts, dim=1),
    "Eltwise": lambda a, b: a + b,
}


class Net:
    """A net with its data."""

    def __init__(self, job: dict[str, Any], variant: str) -> None:
        arrays = np.load(Path(job["folder"], "data.npz"))
        self.data = {name: torch.from_numpy(arrays[name]) for name in arrays}
        if "label" in self.data:
            self.data["label"] = self.data["label"].long()
        images = self.data["data"].dim() == 4
        if variant == "channels_last" and not images:
            raise NotImplementedError("no images")
        graph = Graph(job, np.load(Path(job["folder"], "weights.npz")))
        self.parameters = sum(parameter.numel() for parameter in graph.parameters())
        self.training = job["task"] == "train"
        graph.train(self.training)
        if variant != "eager" and images:
            graph = graph.to(memory_format=torch.channels_last)
            self.data["data"] = self.data["data"].to(memory_format=torch.channels_last)
        if self.training:
            solver = job["solver"]
            self.optimizer = torch.optim.SGD(
                graph.parameters(), lr=solver["rate"], momentum=solver["momentum"]
            )
        self.graph = torch.compile(graph) if variant == "compile" else graph

    def step(self) -> torch.Tensor:
        """One training step; returns the loss before it."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.graph(**self.data)
        loss.backward()
        self.optimizer.step()
        return loss

    def check(self) -> list[float]:
        """The losses of the first steps, or the output."""
        if self.training:
            return [float(self.step()) for _ in range(3)]
        with torch.inference_mode():
            return self.graph(**self.data).ravel().tolist()

    def run(self, count: int) -> None:
        if self.training:
            for _ in range(count):
                self.step()
            return
        with torch.inference_mode():
            for _ in range(count):
                self.graph(**self.data)

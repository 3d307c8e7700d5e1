"""ONNX Runtime, inference only: the layers as an ONNX model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

Layer = dict[str, Any]
#: versions of the operators and of the file format that any recent runtime reads
OPSET, IR_VERSION = 13, 8


def version() -> str:
    return f"ONNX Runtime {onnxruntime.__version__}"


def open_net(job: dict[str, Any], variant: str) -> Net:
    """The net of a job with its weights and data."""
    if job["task"] != "infer":
        raise NotImplementedError("no training")
    return Net(job)


def window(layer: Layer) -> dict[str, Any]:
    """The attributes of a convolution's or a pooling's windows."""
    return {"kernel_shape": layer["kernel"], "strides": layer["stride"], "pads": layer["pad"] * 2}


def make(layer: Layer, bottoms: list[str], top: str) -> list[Any]:
    """The nodes of a layer."""
    kind, inputs = layer["type"], [*bottoms, *layer["blobs"]]
    if kind == "InnerProduct":
        flat = f"{top}_flat"
        flatten = helper.make_node("Flatten", bottoms, [flat])
        return [flatten, helper.make_node("Gemm", [flat, *layer["blobs"]], [top], transB=1)]
    if kind == "BatchNorm":
        mean, variance, _, gamma, beta = layer["blobs"]
        inputs = [bottoms[0], gamma, beta, mean, variance]
        return [helper.make_node("BatchNormalization", inputs, [top], epsilon=layer["eps"])]
    if kind == "Pooling":
        if layer["global"]:
            return [helper.make_node("GlobalAveragePool", inputs, [top])]
        name = "MaxPool" if layer["kind"] == "MAX" else "AveragePool"
        return [helper.make_node(name, inputs, [top], ceil_mode=1, **window(layer))]
    if kind == "LRN":
        numbers = {"alpha": layer["alpha"], "beta": layer["beta"], "bias": layer["k"], "size": layer["size"]}
        return [helper.make_node("LRN", inputs, [top], **numbers)]
    name, attributes = {
        "Convolution": ("Conv", {**window(layer), "group": layer["group"]} if kind == "Convolution" else {}),
        "ReLU": ("Relu", {}),
        "Softmax": ("Softmax", {"axis": 1}),
        "Concat": ("Concat", {"axis": 1}),
        "Eltwise": ("Add", {}),
    }[kind]
    return [helper.make_node(name, inputs, [top], **attributes)]


class Net:
    """A session with its data."""

    def __init__(self, job: dict[str, Any]) -> None:
        weights = np.load(Path(job["folder"], "weights.npz"))
        self.data = dict(np.load(Path(job["folder"], "data.npz")))
        # A blob that is written in place has a new name each time here.
        names, nodes = {name: name for name in self.data}, []
        for number, layer in enumerate(job["layers"]):
            top = f"{layer['top']}_{number}"
            nodes += make(layer, [names[blob] for blob in layer["bottom"]], top)
            names[layer["top"]] = top
        used = {name for node in nodes for name in node.input} & set(weights)
        inputs = [helper.make_tensor_value_info(k, TensorProto.FLOAT, v.shape) for k, v in self.data.items()]
        outputs = [helper.make_tensor_value_info(top, TensorProto.FLOAT, None)]
        values = [numpy_helper.from_array(weights[name], name) for name in sorted(used)]
        graph = helper.make_graph(nodes, job["net"], inputs, outputs, values)
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)
        statistics = {
            key for layer in job["layers"] if layer["type"] == "BatchNorm" for key in layer["blobs"][:3]
        }
        self.parameters = sum(weights[name].size for name in used - statistics)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = job["threads"] or 0
        self.session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def check(self) -> list[float]:
        """The output."""
        return self.session.run(None, self.data)[0].ravel().tolist()

    def run(self, count: int) -> None:
        for _ in range(count):
            self.session.run(None, self.data)

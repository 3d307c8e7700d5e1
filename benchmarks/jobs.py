"""What is measured, as files that every system reads: layers, weights and data of a net.

A net is written once, in benchmarks/nets/NAME.yaml.  netdef reads that file; for the others a job lists the
same layers with every default filled in, and all start from the same weights.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from netdef.diag import Findings
from netdef.passes.net import costs, count_params
from netdef.passes.pipeline import Loaded, load_net
from netdef.spec.net import NetState
from netdef.train.blobs import Blobs
from netdef.train.random_inputs import fill_inputs
from netdef.train.runner import Runner, input_shapes

NETS = Path(__file__).parent / "nets"
TRAIN, INFER = "train", "infer"
PHASES = {TRAIN: "TRAIN", INFER: "TEST"}
#: the images that BatchNorm's statistics are taken from before inference is measured
STATISTICS_BATCH = 4


class Case(NamedTuple):
    """One row of the table."""

    task: str
    net: str
    batch: int

    @property
    def name(self) -> str:
        return f"{self.task} {self.net} {self.batch}"


def load(case: Case, batch: int | None = None, phase: str | None = None) -> Loaded:
    """The net of a case with netdef's eyes; raises `netdef.diag.Error` for a net that is none."""
    findings = Findings()
    state = NetState(phase=phase or PHASES[case.task])
    loaded = load_net(str(spec_of(case.net)), state, findings, (f"variables.batch={batch or case.batch}",))
    findings.raise_errors()
    assert loaded is not None, "a file that cannot be read has findings"
    return loaded


def spec_of(net: str) -> Path:
    """The file of a net of this folder, or of the path that is given."""
    return Path(net) if net.endswith(".yaml") else NETS / f"{net}.yaml"


def write_job(case: Case, folder: Path, threads: int | None = None) -> Path:
    """Write job.json, weights.npz and data.npz for a case into a folder; returns the path of job.json.

    `threads` is how many threads a system may use; None leaves it to the system.
    """
    loaded = load(case)
    blobs = Blobs(seed=1)
    blobs.add(loaded.net, loaded.shapes)
    random = np.random.default_rng(1)
    for blob in blobs.by_variable.values():
        if blob.param.lr_mult is not None and np.ptp(blob.value) == 0:
            # Biases of 0 and factors of 1 would hide that a system mixes them up.
            blob.value[...] += random.normal(0, 0.1, blob.value.shape)
    if case.task == INFER:
        _take_statistics(case, blobs)
    runner = Runner(loaded.net, input_shapes(loaded.net, loaded.shapes), blobs)
    fill_inputs(runner, loaded, np.random.default_rng(2))
    np.savez(folder / "weights.npz", **_plain(blobs))
    np.savez(folder / "data.npz", **runner.inputs)
    layers = describe(loaded)
    rows = costs(loaded.net, loaded.shapes)
    job = {
        **case._asdict(),
        "spec": str(spec_of(case.net)),
        "folder": str(folder),
        "threads": threads,
        "layers": layers,
        "parameters": count_params(rows),
        "macs": sum(row.macs for row in rows),
        "solver": {"rate": 0.01, "momentum": 0.9},
    }
    path = folder / "job.json"
    path.write_text(json.dumps(job))
    return path


def _take_statistics(case: Case, blobs: Blobs) -> None:
    """Let one training pass fill BatchNorm's stored statistics, so that activations keep their size."""
    loaded = load(case, STATISTICS_BATCH, "TRAIN")
    if not any(built.layer.type == "BatchNorm" for built in loaded.net.layers):
        return
    runner = Runner(loaded.net, input_shapes(loaded.net, loaded.shapes), blobs)
    fill_inputs(runner, loaded, np.random.default_rng(3))
    runner.forward(train=True)


def _plain(blobs: Blobs) -> dict[str, np.ndarray]:
    """The blobs by key, BatchNorm's sums divided by their number, which then is 1.

    Fresh statistics, of nothing yet, become mean 0 and variance 1, where other systems start.
    """
    arrays = {key: value.copy() for key, value in blobs.by_key().items()}
    for blob in blobs.by_variable.values():
        layer, _, number = blob.key.rpartition("/")
        if blob.param.role != "factor":
            continue
        assert number == "2", "mean, variance, factor"
        factor = float(blob.value[0])
        if factor:
            arrays[f"{layer}/0"] /= factor
            arrays[f"{layer}/1"] /= factor
        else:
            arrays[f"{layer}/1"][...] = 1
        arrays[f"{layer}/2"][...] = 1
    return arrays


def describe(loaded: Loaded) -> list[dict[str, Any]]:
    """The layers in order, with every default filled in.

    `blobs` are keys of weights.npz.  A BatchNorm and the Scale after it are one layer, as in other systems;
    what does nothing in the phase is left out.
    """
    made: list[dict[str, Any]] = []
    for built in loaded.net.layers:
        layer = built.layer
        if layer.type == "Input" or (layer.type == "Dropout" and loaded.net.phase == "TEST"):
            continue
        keys = [f"{layer.name}/{number}" for number in range(len(built.params))]
        described = {
            "name": layer.name,
            "type": layer.type,
            "bottom": list(layer.bottom),
            "top": layer.top[0],
            "blobs": keys,
            **_ATTRIBUTES.get(layer.type, _nothing)(layer, built.nodes[0].op),
        }
        if layer.type == "Scale":
            before = made[-1]
            if before["type"] != "BatchNorm" or before["top"] != layer.bottom[0] or len(keys) != 2:
                raise ValueError(f"{layer.name}: the peers know a Scale only after a BatchNorm, with a bias")
            before["blobs"] += keys
            before["top"] = layer.top[0]
        elif layer.type not in _ATTRIBUTES:
            raise ValueError(f"{layer.name}: the peers know no {layer.type}")
        else:
            made.append(described)
    return made


def _nothing(layer: Any, op: Any) -> dict[str, Any]:
    return {}


def _pair(sizes: Sequence[int], default: int) -> list[int]:
    """Height and width of what an operator has for both, for each, or not at all."""
    return [*sizes, *sizes][:2] or [default, default]


def _convolution(layer: Any, op: Any) -> dict[str, Any]:
    param = layer.convolution_param
    return {
        "filters": param.num_output,
        "kernel": _pair(op.kernel, 1),
        "stride": _pair(op.stride, 1),
        "pad": _pair(op.pad, 0),
        "group": param.group,
        "bias": param.bias_term,
    }


def _pooling(layer: Any, op: Any) -> dict[str, Any]:
    param = layer.pooling_param
    return {
        "kind": param.pool,
        "global": param.global_pooling,
        "kernel": [param.kernel_size] * 2,
        "stride": [param.stride] * 2,
        "pad": [param.pad] * 2,
    }


def _inner_product(layer: Any, op: Any) -> dict[str, Any]:
    return {"outputs": layer.inner_product_param.num_output}


def _lrn(layer: Any, op: Any) -> dict[str, Any]:
    param = layer.lrn_param
    return {"size": param.local_size, "alpha": param.alpha, "beta": param.beta, "k": param.k}


def _batch_norm(layer: Any, op: Any) -> dict[str, Any]:
    return {"eps": layer.batch_norm_param.eps}


#: what describes a layer of each type that the peers know
_ATTRIBUTES = {
    "Convolution": _convolution,
    "Pooling": _pooling,
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "BatchNorm": _batch_norm,
    **dict.fromkeys(("ReLU", "Softmax", "SoftmaxWithLoss", "Concat", "Eltwise", "Dropout"), _nothing),
}

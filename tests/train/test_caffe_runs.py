"""Training runs against those recorded from Caffe 1.0: every loss and the final weights."""

import json
from pathlib import Path

import numpy as np
import prototxt
import pytest

from netdef.data.arrays import read_idx, read_npz
from netdef.diag import Findings
from netdef.passes.pipeline import build_net, open_spec
from netdef.spec.layers import LAYERS
from netdef.spec.net import NetState
from netdef.train.blobs import Blobs
from netdef.train.trainer import Trainer

SHARED = Path(__file__).parents[3] / "shared"
RUNS = SHARED / "conformance" / "caffe-training"
SOLVERS = SHARED / "conformance" / "caffe" / "dev" / "solvers"
MNIST = SHARED / "data" / "mnist"


def make_trainer(tmp_path, net, solver):
    """A trainer for recorded prototxt texts, through files as a user would have them."""
    (tmp_path / "net.json").write_text(json.dumps(net))
    (tmp_path / "solver.json").write_text(json.dumps({**solver, "net": "net.json"}))
    findings = Findings()
    opened = open_spec(str(tmp_path / "solver.json"), findings)
    findings.raise_errors()
    loaded = build_net(opened.net, NetState(phase="TRAIN"), findings)
    findings.raise_errors()
    return Trainer(opened.solver, loaded, Blobs(seed=1))


def relevant(solver):
    """The recorded solver's fields without those that say where files go."""
    return {
        key: value for key, value in solver.items() if key not in ("net", "snapshot_prefix", "solver_mode")
    }


@pytest.mark.parametrize(
    "run", sorted(p.stem.removeprefix("solver_") for p in RUNS.glob("solver_*.prototxt")) or ["none"]
)
def test_a_recorded_run_is_followed(run, tmp_path):
    """20 iterations on MNIST in file order: each loss within 1e-4 relative, the weights within 1e-4."""
    if not RUNS.exists() or not MNIST.exists():
        pytest.skip("the recorded runs or MNIST are not beside the project (../shared)")
    images = read_idx(MNIST / "train-images-idx3-ubyte.gz")[: 20 * 64, None] / np.float32(256)
    labels = read_idx(MNIST / "train-labels-idx1-ubyte.gz")[: 20 * 64].astype(np.float32)
    net = prototxt.net((RUNS / "tiny_lenet.prototxt").read_text())
    solver = prototxt.parse((RUNS / f"solver_{run}.prototxt").read_text())
    trainer = make_trainer(tmp_path, net, relevant(solver))
    mismatch = trainer.blobs.load(read_npz(RUNS / "init_weights.npz"))
    assert not any(mismatch)
    recorded = read_npz(RUNS / f"{run}.npz")

    def fill(arrays):
        part = slice(64 * trainer.iteration, 64 * (trainer.iteration + 1))
        arrays["data"][...], arrays["label"][...] = images[part], labels[part]

    losses = [trainer.step(fill) for _ in range(20)]

    np.testing.assert_allclose(losses, recorded.pop("loss" if "loss" in recorded else "losses"), rtol=1e-4)
    for key, value in trainer.blobs.by_key().items():
        np.testing.assert_allclose(value, recorded[key], rtol=0, atol=1e-4, err_msg=key)


def solver_cases():
    path = SOLVERS / "index.json"
    cases = json.loads(path.read_text())["cases"] if path.exists() else {}
    known = {
        name: case
        for name, case in cases.items()
        if {layer["type"] for layer in prototxt.net(case["net"])["layer"]} <= LAYERS.keys()
    }
    return known or {"none": {}}


@pytest.mark.parametrize("name", sorted(solver_cases()))
def test_a_recorded_solver_is_followed(name, tmp_path):
    """Losses of every pass, weights, history and learning rates of the recorded solvers."""
    if not SOLVERS.exists():
        pytest.skip("the recorded solvers are not beside the project (../shared/conformance)")
    case = solver_cases()[name]
    with np.load(SOLVERS / case["file"]) as data:
        recorded = {key: data[f"{name}/{key}"] for key in case["arrays"]}
    trainer = make_trainer(tmp_path, prototxt.net(case["net"]), relevant(prototxt.parse(case["solver"])))
    start = {key[5:]: value for key, value in recorded.items() if key.startswith("init/")}
    trainer.blobs.load(
        {key: start[key].reshape(value.shape) for key, value in trainer.blobs.by_key().items()}
    )
    inputs = {key[5:]: value for key, value in recorded.items() if key.startswith("data/")}
    passes = iter(range(len(recorded["loss"])))

    def fill(arrays):
        number = next(passes)
        for blob, values in inputs.items():
            arrays[blob][...] = values[number].reshape(arrays[blob].shape)

    rates, losses = [], []
    for _ in range(case["iterations"]):
        rates.append(trainer.rate)
        losses.append(trainer.step(fill))

    tolerance = {"rtol": case["rtol"], "atol": case["atol"]}
    per = case["iter_size"]
    np.testing.assert_allclose(
        losses, recorded["loss"].reshape(-1, per).mean(axis=1), rtol=max(case["rtol"], 2e-4)
    )
    if "lr" in recorded:
        np.testing.assert_allclose(rates, recorded["lr"], rtol=1e-6)
    for key, value in trainer.blobs.by_key().items():
        np.testing.assert_allclose(
            value, recorded[f"final/{key}"].reshape(value.shape), err_msg=key, **tolerance
        )

"""A net, its solver and its data in a folder, and what `netdef train` makes of them."""

import numpy as np
import pytest

from netdef.diag import Findings
from netdef.train.resume import restore
from netdef.train.run import Run
from netdef.train.setup import make_evaluator, make_trainer, prepare_job

NET = """\
name: small
layer:
  - name: data
    type: ArrayData
    top: [data, label]
    array_data_param: {source: data.npz, batch_size: 8, shuffle: true}
  - name: ip1
    type: InnerProduct
    bottom: data
    inner_product_param: {num_output: 6, weight_filler: {type: xavier}}
  - {name: bn, type: BatchNorm}
  - {name: relu, type: ReLU}
  - {name: drop, type: Dropout}
  - name: score
    type: InnerProduct
    inner_product_param: {num_output: 3, weight_filler: {type: xavier}}
  - {name: accuracy, type: Accuracy, bottom: [score, label], include: {phase: TEST}}
  - {name: loss, type: SoftmaxWithLoss, bottom: [score, label]}
"""
SOLVER = """\
net: net.yaml
base_lr: 0.1
momentum: 0.9
lr_policy: step
gamma: 0.5
stepsize: 7
max_iter: 20
random_seed: 3
"""


@pytest.fixture
def folder(tmp_path):
    """A net, a solver and 37 samples of three classes in one folder."""
    random = np.random.default_rng(0)
    label = random.integers(0, 3, 37)
    data = random.normal(0, 1, (37, 5)).astype(np.float32) + 2 * np.eye(3, 5, dtype=np.float32)[label]
    np.savez(tmp_path / "data.npz", data=data, label=label)
    (tmp_path / "net.yaml").write_text(NET)
    (tmp_path / "solver.yaml").write_text(SOLVER)
    return tmp_path


@pytest.fixture
def job_of(folder):
    """The checked job of the folder's solver with some overrides."""

    def make(*overrides):
        findings = Findings()
        job = prepare_job(str(folder / "solver.yaml"), overrides, findings)
        findings.raise_errors()
        return job

    return make


@pytest.fixture
def run_of(folder, job_of):
    """Train in a folder of the given name, from a snapshot where one is given; returns the finished run."""

    def train(name, *overrides, resume=None, seed=None, listeners=()):
        job = job_of(*overrides)
        trainer = make_trainer(job, seed)
        evaluators = [make_evaluator(test.prepared, trainer.blobs, test.test_iter) for test in job.tests]
        feed = restore(resume, job, trainer, evaluators) if resume else job.feed(trainer.blobs.seed)
        (folder / name).mkdir()
        run = Run(trainer, feed, evaluators, folder / name, listeners)
        run.train()
        return run

    return train

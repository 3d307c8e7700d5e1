"""The bytes that nets need, against sums by hand and what a trainer makes."""

import pytest

from netdef.diag import Findings
from netdef.passes.pipeline import load_net
from netdef.runtime import pieces, shards
from netdef.runtime.footprint import INTERPRETER
from netdef.runtime.report import plan_net
from netdef.spec.net import NetState
from netdef.train.blobs import Blobs
from netdef.train.memory import _count_updates, needed
from netdef.train.trainer import Trainer

SPEC = """
solver: {base_lr: 0.01, momentum: 0.9, lr_policy: fixed, max_iter: 1}
layer:
  - {name: data, type: Input, top: data, input_param: {shape: {dim: [5, 700]}}}
  - {name: label, type: Input, top: label, input_param: {shape: {dim: [5]}}}
  - {name: wide, type: InnerProduct, bottom: data, inner_product_param: {num_output: 200}, PARAM}
  - {name: thin, type: InnerProduct, bottom: wide, inner_product_param: {num_output: 3}}
  - {name: loss, type: SoftmaxWithLoss, bottom: [thin, label]}
"""
ALIKE, APART, FIXED = (
    f"param: [{{lr_mult: {weight}}}, {{lr_mult: {bias}}}]" for weight, bias in ((1, 1), (1, 2), (0, 0))
)


def load(tmp_path, param=ALIKE):
    path = tmp_path / "net.yaml"
    path.write_text(SPEC.replace("PARAM", param))
    findings = Findings()
    loaded = load_net(str(path), NetState(phase="TRAIN"), findings, ())
    findings.raise_errors()
    return loaded


def test_bytes_of_blobs_and_batches(tmp_path):
    """Values, gradients and momentum, then inputs and the memory of the plan."""
    loaded = load(tmp_path)
    needs = needed([loaded], loaded.spec.solver, workers=1, forks=False)

    assert needs.blobs == 3 * 4 * (700 * 200 + 200 + 200 * 3 + 3)
    assert needs.batches == 4 * (5 * 700 + 5) + plan_net(loaded.net, loaded.shapes).arena_bytes
    assert 0 < needs.processes < INTERPRETER
    assert needed([loaded], None, workers=1, forks=False).blobs == needs.blobs / 3


def test_processes_that_only_update_are_counted(tmp_path, monkeypatch):
    """Steps that take less than a second are not cut; the update is, where there is one."""
    monkeypatch.setattr(pieces, "SEVERAL", 1)
    monkeypatch.setattr(shards, "SHORTEST", 1)
    loaded = load(tmp_path)
    one, trained = (needed([loaded], loaded.spec.solver, workers, True) for workers in (1, 2))

    assert trained.processes == one.processes + INTERPRETER
    assert needed([loaded], None, 2, True).processes == one.processes


@pytest.mark.parametrize(("param", "count"), [(ALIKE, 3), (APART, 4), (FIXED, 1)])
def test_pieces_of_the_update_are_those_that_a_trainer_makes(tmp_path, param, count):
    """Of 65,536 numbers each, those with other multipliers by themselves."""
    loaded = load(tmp_path, param)

    assert _count_updates(loaded) == count
    assert len(Trainer(loaded.spec.solver, loaded, Blobs(seed=0)).updater._pieces) == count

"""Updates over the memory that all blobs share: the same bits as one blob after the other."""

import numpy as np
import pytest

from netdef.diag import Findings
from netdef.passes.pipeline import build_net
from netdef.spec.check import check_net
from netdef.spec.net import NetState
from netdef.spec.overrides import substitute
from netdef.spec.read import read_string
from netdef.train import updater
from netdef.train.blobs import Blobs
from netdef.train.rules import RULES, Piece, apply_update
from netdef.train.trainer import Trainer

NET = """\
name: several
layer:
  - {name: data, type: Input, top: data, input_param: {shape: {dim: [4, 7]}}}
  - {name: label, type: Input, top: label, input_param: {shape: {dim: [4]}}}
  - {name: a, type: InnerProduct, bottom: data, param: [{lr_mult: 1}, {lr_mult: 2, decay_mult: 0}],
     inner_product_param: {num_output: 5, weight_filler: {type: xavier}}}
  - {name: bn, type: BatchNorm}
  - {name: frozen, type: InnerProduct, param: [{lr_mult: 0}, {lr_mult: 1}],
     inner_product_param: {num_output: 9, weight_filler: {type: xavier}}}
  - {name: b, type: InnerProduct, param: [{lr_mult: 1}, {lr_mult: 2, decay_mult: 0}],
     inner_product_param: {num_output: 3, weight_filler: {type: xavier}}}
  - {name: loss, type: SoftmaxWithLoss, bottom: [b, label]}
"""


def trainer_of(solver):
    """A trainer of the net with these solver fields, whose gradients hold random numbers."""
    findings = Findings()
    text = f"solver: {{base_lr: 0.1, lr_policy: fixed, max_iter: 9, {solver}}}\n{NET}"
    spec = check_net(substitute(read_string(text, "net.yaml", findings), (), findings), findings)
    loaded = build_net(spec, NetState(phase="TRAIN"), findings)
    findings.raise_errors()
    return Trainer(spec.solver, loaded, Blobs(seed=5))


def give_gradients(trainer, seed):
    """Write the same random gradients for the same seed."""
    random = np.random.default_rng(seed)
    for blob in trainer.updater.learnables:
        blob.gradient[...] = random.normal(0, 1, blob.gradient.shape)


@pytest.mark.parametrize("kind", list(RULES))
@pytest.mark.parametrize("piece", [16, 48, 10**6])
@pytest.mark.parametrize("more", ["", "clip_gradients: 0.5, iter_size: 2, weight_decay: 0.1, delta: 0"])
def test_an_update_is_the_same_bits_as_blob_by_blob(monkeypatch, kind, piece, more):
    """Whatever the pieces are, multipliers, clipping and history go with their blobs."""
    monkeypatch.setattr(updater, "PIECE", piece)
    solver = f"type: {kind}" + ("" if kind in ("AdaGrad", "RMSProp") else ", momentum: 0.9")
    solver += f", {more}" if more else ""
    fused, single = trainer_of(solver), trainer_of(solver)
    params = {single.blobs.by_variable[name].key: param for name, param in single.net.params().items()}
    blobs = single.updater.learnables
    one_by_one = [
        Piece(
            *(blob.value, blob.gradient, blob.history, np.empty_like(blob.value)),
            *(params[blob.key].lr_mult, params[blob.key].decay_mult),
        )
        for blob in blobs
    ]
    with np.errstate(all="ignore"):
        for iteration in range(3):
            for trainer in (fused, single):
                give_gradients(trainer, iteration)
            fused.updater.update(0.1, iteration)
            apply_update(single.solver, [blob.gradient for blob in blobs], one_by_one, 0.1, iteration)

    assert [blob.key for blob in fused.updater.learnables] == ["a/0", "a/1", "frozen/1", "b/0", "b/1"]
    for mine, theirs in zip(fused.updater.learnables, blobs):
        np.testing.assert_array_equal(mine.value, theirs.value, err_msg=mine.key)
        assert np.isfinite(mine.value).all()
        for slot, other in zip(mine.history, theirs.history):
            np.testing.assert_array_equal(slot, other, err_msg=mine.key)


def test_what_is_not_learnt_is_left_alone():
    """Frozen blobs and states lie in the same memory as the others, and an update passes them over."""
    trainer = trainer_of("weight_decay: 0.1")
    before = {name: value.copy() for name, value in trainer.blobs.values().items()}
    give_gradients(trainer, 1)
    trainer.updater.update(0.1, 0)

    changed = {name for name, value in trainer.blobs.values().items() if (value != before[name]).any()}
    assert changed == {"a_weight", "a_bias", "frozen_bias", "b_weight", "b_bias"}


def test_blobs_with_equal_multipliers_are_updated_at_once():
    """The weights in one call, the biases in another, the odd bias in a third."""
    made = trainer_of("momentum: 0.9").updater._pieces

    assert sorted((piece.lr_mult, piece.decay_mult) for piece in made) == [(1.0, 1.0), (2.0, 0.0)]
    assert all(piece.value.flags.c_contiguous for piece in made)


def test_gradients_are_cleared_together():
    """Those of every blob, and nothing but zeros in between."""
    trainer = trainer_of("iter_size: 2")
    give_gradients(trainer, 0)
    trainer.updater.clear()

    assert not any(blob.gradient.any() for blob in trainer.updater.learnables)

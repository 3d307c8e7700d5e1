"""Evaluation against the values of single samples: what is a score, how batches weigh, where they begin."""

import numpy as np
import pytest

from netdef.data.dataset import Library
from netdef.diag import Error, Findings
from netdef.passes.pipeline import open_spec
from netdef.spec.net import NetState
from netdef.train.blobs import Blobs
from netdef.train.run import Run
from netdef.train.setup import make_evaluator, make_trainer, prepare_job, prepare_net

DATA = (
    "{name: data, type: ArrayData, top: [data, label], array_data_param: {source: data.npz, batch_size: 8}}"
)


def prepare(folder, *layers, phase="TEST"):
    """A net of these layers with its data."""
    (folder / "net.yaml").write_text("layer:\n" + "".join(f"  - {layer}\n" for layer in layers))
    findings = Findings()
    opened = open_spec(str(folder / "net.yaml"), findings)
    prepared = prepare_net(opened.net, NetState(phase=phase), Library(), findings)
    findings.raise_errors()
    return prepared


def evaluator_of(prepared, test_iter=None):
    """An evaluator over blobs with their fillers."""
    return make_evaluator(prepared, Blobs(seed=1), test_iter)


def weighted(bottom="data", weight=1):
    """A layer whose top is its bottom and part of the objective."""
    return f"{{name: out, type: Flatten, bottom: {bottom}, top: out, loss_weight: {weight}}}"


@pytest.fixture
def numbered(tmp_path):
    """Twenty samples; sample i holds i, and its label is i modulo 4."""
    np.savez(tmp_path / "data.npz", data=np.arange(20.0).reshape(20, 1), label=np.arange(20) % 4)
    np.savez(tmp_path / "other.npz", more=np.arange(10.0).reshape(10, 1))
    return tmp_path


@pytest.mark.parametrize("batch", [7, 8, 16])
def test_scores_for_each_class_are_kept_whatever_the_batch_is(numbered, batch):
    """The last batch has as many samples (6, 4, 4) as there are classes, or not; it is told by the graph."""
    scored = "{name: ip, type: InnerProduct, bottom: data, inner_product_param: {num_output: 4}}"
    accuracy = "{name: accuracy, type: Accuracy, bottom: [ip, label], top: [accuracy, each]}"
    data = DATA.replace("batch_size: 8", f"batch_size: {batch}")
    scores = evaluator_of(prepare(numbered, data, scored, accuracy)).run()

    assert {blob: value.shape for blob, value in scores.items()} == {"accuracy": (), "each": (4,)}


def test_outputs_of_single_samples_are_no_scores(numbered):
    """Predictions grow with the batch and are left out."""
    scored = "{name: ip, type: InnerProduct, bottom: data, inner_product_param: {num_output: 4}}"
    loss = "{name: loss, type: SoftmaxWithLoss, bottom: [ip, label], top: [loss, prob]}"

    assert set(evaluator_of(prepare(numbered, DATA, scored, loss)).run()) == {"loss"}


def test_a_weighted_top_is_summed(numbered):
    """Its sum over a batch of 8, the mean over all samples: 8 * mean(0 ... 19), whatever its weight."""
    scores = evaluator_of(prepare(numbered, DATA, weighted(weight=0.1))).run()

    assert scores["out"].shape == ()
    assert float(scores["out"]) == pytest.approx(8 * 9.5)


def test_test_iter_goes_on_from_test_to_test(numbered):
    """Two batches of 8 in each test, of 20 samples: 0 to 15, then 16 to 11 and so on, as Caffe's reader."""
    evaluator = evaluator_of(prepare(numbered, DATA, weighted()), test_iter=2)
    expected = [np.arange(16), np.arange(16, 32) % 20, np.arange(32, 48) % 20]

    assert evaluator.samples == 16
    assert [float(evaluator.run()["out"]) for _ in range(3)] == pytest.approx(
        [numbers.sum() / 2 for numbers in expected]
    )
    assert evaluator.positions == [48 % 20]


def test_the_whole_set_is_read_from_its_start_each_time(numbered):
    """Without test_iter every test is the same."""
    evaluator = evaluator_of(prepare(numbered, DATA, weighted()))

    assert evaluator.run() == evaluator.run()
    assert evaluator.samples == 20


def test_each_data_layer_has_its_own_batch_size(numbered):
    """20 samples in batches of 8 beside 10 in batches of 4: both once, and each weighs alike in its own."""
    other = "{name: other, type: ArrayData, top: more, array_data_param: {source: other.npz, batch_size: 4}}"
    second = "{name: second, type: Flatten, bottom: more, top: second, loss_weight: 1}"
    evaluator = evaluator_of(prepare(numbered, DATA, other, weighted(), second))
    scores = evaluator.run()

    assert evaluator.samples == 20
    assert float(scores["out"]) == pytest.approx(8 * np.arange(20).mean())
    assert float(scores["second"]) == pytest.approx(4 * np.arange(10).mean())


LABEL_WAYS = {
    "propagate_down": (
        "{name: loss, type: SoftmaxWithLoss, bottom: [ip, label], propagate_down: [true, false]}",
    ),
    "flatten": (
        "{name: flat, type: Flatten, bottom: label, flatten_param: {axis: 0}}",
        "{name: loss, type: SoftmaxWithLoss, bottom: [ip, flat]}",
    ),
    "dropout": (
        "{name: drop, type: Dropout, bottom: label, top: label, include: {phase: TEST}}",
        "{name: loss, type: SoftmaxWithLoss, bottom: [ip, label]}",
    ),
}


@pytest.mark.parametrize("way", LABEL_WAYS)
def test_labels_are_checked_through_what_does_not_change_them(numbered, way):
    """Label 3 of three classes is found before the first batch, with its sample."""
    scored = "{name: ip, type: InnerProduct, bottom: data, inner_product_param: {num_output: 3}}"

    with pytest.raises(Error, match="ND501 data: label of sample 3 is 3, but loss has 3 classes"):
        prepare(numbered, DATA, scored, *LABEL_WAYS[way])


COMPUTED = (
    DATA,
    "{name: ip, type: InnerProduct, bottom: data, inner_product_param: {num_output: 3}}",
    "{name: relu, type: ReLU, bottom: label, top: label}",
    "{name: loss, type: SoftmaxWithLoss, bottom: [ip, label]}",
)


def test_a_computed_label_is_refused_where_it_is_read(numbered):
    """What no file holds is found in the pass; the message names the layer and its place."""
    evaluator = evaluator_of(prepare(numbered, *COMPUTED))

    with pytest.raises(Error, match=r"net\.yaml:5:12: error ND501 loss: label 3\.0 of sample 3 is no class"):
        evaluator.run()


def test_a_computed_label_stops_training(numbered):
    """The same in a run."""
    prepare(numbered, *COMPUTED)
    solver = "solver: {base_lr: 0.1, lr_policy: fixed, max_iter: 3, random_seed: 1}\n"
    with (numbered / "net.yaml").open("a") as file:
        file.write(solver)
    findings = Findings()
    job = prepare_job(str(numbered / "net.yaml"), (), findings)
    findings.raise_errors()
    trainer = make_trainer(job)

    with pytest.raises(Error, match=r"ND501 loss: label 3\.0 of sample 3"):
        Run(trainer, job.feed(1), [], numbered, []).train()


def test_other_errors_of_a_pass_stay_what_they_are(numbered):
    """Only a reader of labels is blamed for labels."""
    evaluator = evaluator_of(prepare(numbered, *COMPUTED[:2]))
    runner = evaluator._runner((8,))

    def broken(train):
        raise ValueError("something else")

    runner.forward = broken
    with pytest.raises(ValueError, match="something else"):
        evaluator.run()

"""Resumed runs and weight files: what is taken over, and what is refused."""

import json

import numpy as np
import pytest

from netdef.data.feed import Feed
from netdef.diag import Error, Findings
from netdef.passes.pipeline import load_net
from netdef.spec.net import NetState
from netdef.train import events, snapshot
from netdef.train.blobs import Blobs
from netdef.train.resume import load_weights, restore
from netdef.train.setup import make_trainer

AUXILIARY = """\
name: auxiliary
layer:
  - {name: data, type: ArrayData, top: [data, label], array_data_param: {source: data.npz, batch_size: 8}}
  - {name: ip, type: InnerProduct, bottom: data, inner_product_param: {num_output: 3}}
  - {name: loss, type: SoftmaxWithLoss, bottom: [ip, label]}
  - {name: aux, type: InnerProduct, bottom: data, include: {phase: TRAIN},
     inner_product_param: {num_output: 3}}
  - {name: auxloss, type: SoftmaxWithLoss, bottom: [aux, label], include: {phase: TRAIN}}
"""
SHARED = """\
name: shared
layer:
  - {name: data, type: ArrayData, top: [data, label], array_data_param: {source: data.npz, batch_size: 8}}
  - {name: tr, type: InnerProduct, bottom: data, top: ip, include: {phase: TRAIN},
     param: [{name: w}, {name: b}], inner_product_param: {num_output: 3, weight_filler: {type: xavier}}}
  - {name: te, type: InnerProduct, bottom: data, top: ip, include: {phase: TEST},
     param: [{name: w}, {name: b}], inner_product_param: {num_output: 3, weight_filler: {type: xavier}}}
  - {name: loss, type: SoftmaxWithLoss, bottom: [ip, label]}
"""


class Results(events.Listener):
    """Keeps the results of the tests of a run."""

    def __init__(self):
        self.kept = {}

    def hear(self, event):
        if isinstance(event, events.Tested):
            self.kept[event.iteration] = event.outputs


def assert_same(one, other):
    """Two snapshots agree in every array and in the whole state."""
    one, other = snapshot.load(one), snapshot.load(other)
    for mine, theirs in zip(one[:2], other[:2]):
        assert mine.keys() == theirs.keys()
        for key in mine:
            np.testing.assert_array_equal(mine[key], theirs[key], err_msg=key)
    assert one.state == other.state


@pytest.mark.parametrize("seed", [None, 11])
def test_a_resumed_run_takes_over_the_seed(folder, run_of, seed):
    """Whether it was drawn or given for the first run only: order, masks and weights go on as they would."""
    common = ("random_seed=-1", "snapshot=9")
    run_of("whole", *common, seed=seed)
    run_of("resumed", *common, resume=folder / "whole" / "iter_9.npz")

    assert_same(folder / "whole" / "last.npz", folder / "resumed" / "last.npz")


def test_a_resumed_run_tests_what_the_whole_run_tests(folder, run_of):
    """With test_iter the position in the TEST set is part of the snapshot."""
    common = ("test_iter=[2]", "test_interval=3", "snapshot=8")
    whole, resumed = Results(), Results()
    run_of("whole", *common, listeners=[whole])
    run_of("resumed", *common, resume=folder / "whole" / "iter_8.npz", listeners=[resumed])

    assert list(resumed.kept) == [9, 12, 15, 18, 20]
    assert resumed.kept == {iteration: whole.kept[iteration] for iteration in resumed.kept}


def test_the_feed_refuses_the_position_of_another_net(folder, job_of):
    """One position for each data layer."""
    feed = Feed(job_of().train.datasets, train=True, seed=0)

    with pytest.raises(ValueError, match="2 data layers, not for 1"):
        feed.drawn = [8, 8]


def rewritten(path, change):
    """Change the arrays of a snapshot in its file."""
    with np.load(path) as old:
        arrays = dict(old)
    change(arrays)
    np.savez(path, **arrays)


def with_state(change):
    """A change of the state of a snapshot."""

    def apply(arrays):
        state = change(json.loads(arrays["state"].tobytes()))
        arrays["state"] = np.frombuffer(json.dumps(state).encode(), np.uint8)

    return apply


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (with_state(lambda _: {}), "damaged: solver is missing"),
        (with_state(lambda _: []), "damaged: it is no mapping"),
        (with_state(lambda _: None), "damaged: it is no mapping"),
        (lambda arrays: arrays.update(state=np.frombuffer(b"{", np.uint8)), "damaged: it is no JSON text"),
        (lambda arrays: arrays.update(state=np.frombuffer(b"[" * 99999, np.uint8)), "damaged"),
        (with_state(lambda state: {**state, "iteration": -1}), "damaged: iteration"),
        (with_state(lambda state: {**state, "iteration": 1.5}), "damaged: iteration"),
        (with_state(lambda state: {**state, "seed": "3"}), "damaged: seed"),
        (with_state(lambda state: {**state, "losses": 3}), "damaged: losses"),
        (with_state(lambda state: {**state, "drawn": [-8]}), "damaged: drawn"),
        (with_state(lambda state: {**state, "tested": [3]}), "damaged: tested"),
        (with_state(lambda state: {**state, "random": {}}), "damaged: random"),
        (with_state(lambda state: {**state, "random": {"bit_generator": "MT19937"}}), "damaged: random"),
        (with_state(lambda state: {**state, "drawn": [8, 8]}), "ND513.*2 data layers, not for 1"),
        (with_state(lambda state: {**state, "tested": []}), "ND513.*TEST nets"),
        (lambda arrays: arrays.pop("ip1/0/history0"), "ND513.*the history 0/ip1/0 is missing"),
        (
            lambda arrays: arrays.update({"ip1/0/history0": np.zeros((1, 5))}),
            r"ND513.*the history 0/ip1/0 is \(1, 5\), not \(6, 5\)",
        ),
        (
            lambda arrays: arrays.update({"ip1/0": np.zeros((1, 5))}),
            r"ND513.*ip1/0 is \(1, 5\), not \(6, 5\)",
        ),
        (lambda arrays: arrays.pop("score/1"), "ND513.*score/1 is missing"),
    ],
)
def test_a_damaged_snapshot_is_refused(folder, job_of, run_of, change, words):
    """One message that says what is wrong, and nothing of it is taken over."""
    path = folder / "run" / "last.npz"
    evaluators = run_of("run").evaluators
    rewritten(path, change)
    job = job_of()
    trainer = make_trainer(job)
    before = {key: value.copy() for key, value in trainer.blobs.by_key().items()}

    with pytest.raises(Error, match=words) as refused:
        restore(path, job, trainer, evaluators)

    assert str(path) in str(refused.value)
    assert trainer.iteration == 0
    for key, value in trainer.blobs.by_key().items():
        np.testing.assert_array_equal(value, before[key])


@pytest.mark.parametrize("name", ["history", "history/0/ip1", "state", "ip1/0/history0"])
def test_a_layer_may_have_any_name(folder, run_of, name):
    """Its weights are told from history and state whatever it is called."""
    text = (folder / "net.yaml").read_text()
    (folder / "net.yaml").write_text(
        text.replace("name: score", f"name: {name}").replace("[score", f"[{name}")
    )
    trained = run_of("run", "snapshot=9").trainer.blobs.by_key()
    run_of("resumed", resume=folder / "run" / "iter_9.npz")

    weights = snapshot.load_weights(folder / "run" / "last.npz")
    assert weights.keys() == trained.keys()
    np.testing.assert_array_equal(weights[f"{name}/0"], trained[f"{name}/0"])
    assert_same(folder / "run" / "last.npz", folder / "resumed" / "last.npz")


def trained_and_tested(folder, text, run_of):
    """Train a net and load the weights into the TEST net of its file, as `netdef test` does."""
    (folder / "net.yaml").write_text(text)
    run = run_of("run")
    findings = Findings()
    loaded = load_net(str(folder / "net.yaml"), NetState(phase="TEST"), findings)
    findings.raise_errors()
    blobs = Blobs(seed=99)
    blobs.add(loaded.net, loaded.shapes)
    load_weights(folder / "run" / "last.npz", blobs, [loaded], partial=False)
    return run.trainer.blobs, blobs


def test_layers_of_another_phase_are_not_missed(folder, run_of):
    """A head that only trains is in the weight file, and the TEST net passes it over."""
    trained, tested = trained_and_tested(folder, AUXILIARY, run_of)

    assert set(trained.by_key()) == {"ip/0", "ip/1", "aux/0", "aux/1"}
    assert set(tested.by_key()) == {"ip/0", "ip/1"}
    np.testing.assert_array_equal(tested.by_key()["ip/0"], trained.by_key()["ip/0"])


def test_a_shared_blob_stands_under_the_key_of_every_user(folder, run_of):
    """A layer of the TRAIN net and one of the TEST net own one blob, and the file serves both."""
    trained, tested = trained_and_tested(folder, SHARED, run_of)
    weights = snapshot.load_weights(folder / "run" / "last.npz")

    assert set(weights) == {"tr/0", "tr/1", "te/0", "te/1"}
    np.testing.assert_array_equal(weights["tr/0"], weights["te/0"])
    np.testing.assert_array_equal(tested.by_key()["te/0"], trained.by_key()["tr/0"])
    history = snapshot.load(folder / "run" / "last.npz").history
    assert set(history) == {"0/tr/0", "0/tr/1"}


def test_unknown_layers_and_surplus_blobs_are_still_told(folder, job_of, run_of):
    """Only layers of other phases are passed over: not a layer that nobody has, nor a blob too many."""
    run_of("run")
    path = folder / "run" / "last.npz"
    rewritten(path, lambda arrays: arrays.update({"typo/0": np.zeros(1), "ip1/7": np.zeros(1)}))
    job = job_of()

    with pytest.raises(Error, match=r"ND512 typo/0 is not in the net; ip1/7 is not in the net"):
        load_weights(path, make_trainer(job).blobs, job.nets, partial=False)

"""Runs: snapshots and resuming, evaluation, what is refused before the first step, the folder of a run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from netdef.data import feed as feeds
from netdef.data.feed import Feed
from netdef.diag import EnvironmentFault, Error, Findings, NumericFault, UsageError
from netdef.train import events, snapshot
from netdef.train.blobs import Blobs
from netdef.train.resume import load_weights, restore
from netdef.train.run import Run
from netdef.train.setup import make_evaluator, make_trainer, prepare_job
from netdef.train.signals import Signals

ROOT = Path(__file__).parents[2]


def weights_of(path):
    """The arrays of a snapshot."""
    return snapshot.load_weights(path)


@pytest.mark.parametrize("kind", ["SGD", "AdaDelta", "Adam"])
def test_a_resumed_run_gives_the_same_bits(folder, run_of, kind):
    """Cut at iteration 9, in the middle of an epoch.

    Weights, statistics and history go on as if it had not been.
    """
    common = (f"type={kind}", "momentum=0.8", "average_loss=4")
    run_of("whole", *common, "snapshot=9")
    run_of("resumed", *common, resume=folder / "whole" / "iter_9.npz")

    whole, resumed = (snapshot.load(folder / name / "last.npz") for name in ("whole", "resumed"))
    for one, other in zip(whole[:2], resumed[:2]):
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], other[key], err_msg=key)
    assert whole[2] == resumed[2]


def test_seeds_decide_everything(folder, run_of):
    """The same seed gives the same weights, another seed others."""
    for name, seed in (("one", 5), ("same", 5), ("other", 6)):
        run_of(name, f"random_seed={seed}")
    one, same, other = (weights_of(folder / name / "last.npz") for name in ("one", "same", "other"))

    assert all(np.array_equal(one[key], same[key]) for key in one)
    assert not np.array_equal(one["ip1/0"], other["ip1/0"])


def test_evaluation_covers_the_set_exactly_once(job_of):
    """37 samples in batches of 8 weigh 1/37 each: the accuracy is what one big batch gives."""
    job = job_of()
    trainer = make_trainer(job)
    small = make_evaluator(job.tests[0].prepared, trainer.blobs).run()
    whole = job_of("layer.data.array_data_param.batch_size=37")
    big = make_evaluator(whole.tests[0].prepared, trainer.blobs).run()

    assert small["accuracy"] == pytest.approx(float(big["accuracy"]))
    assert small["loss"] == pytest.approx(float(big["loss"]), rel=1e-5)
    assert round(float(small["accuracy"]) * 37, 4) == pytest.approx(round(float(small["accuracy"]) * 37))


def test_test_iter_averages_full_batches_as_caffe_does(job_of):
    """With test_iter the set starts over where it ends."""
    job = job_of("test_iter=[6]", "test_interval=10")
    (test,) = job.tests
    blobs = make_trainer(job).blobs
    six = make_evaluator(test.prepared, blobs, test.test_iter).run()
    whole = make_evaluator(test.prepared, blobs).run()

    assert test.test_iter == 6
    # 48 samples of 37: the first 11 count twice.
    counted = float(six["accuracy"]) * 48 - float(whole["accuracy"]) * 37
    assert counted == pytest.approx(round(counted), abs=1e-3)
    assert 0 <= round(counted) <= 11


def test_a_loss_that_is_not_finite_stops_before_the_update(job_of):
    """The fault names the iteration and the first layer; the weights are those of before."""
    job = job_of("base_lr=3e38")
    trainer = make_trainer(job)
    feed = job.feed(0)
    learnt = {key: value for key, value in trainer.blobs.by_key().items() if not key.startswith("bn")}
    before = {}

    def train():
        while True:
            before.update((key, value.copy()) for key, value in learnt.items())
            trainer.step(feed.fill)

    with pytest.raises(
        NumericFault, match=r"ND510 the loss is (nan|inf).*first layer with such a value is \w+"
    ):
        train()

    for key, value in before.items():
        np.testing.assert_array_equal(learnt[key], value)


@pytest.mark.parametrize(
    ("gamma", "words"),
    [("1e200", "iteration 2 is inf"), ("1e30", "iteration 2 is 1e\\+59")],
    ids=["float64", "float32"],
)
def test_a_rate_that_is_not_finite_stops_before_the_update(folder, job_of, gamma, words):
    """Also one that is too large for the weights' type; they are those of before, and finite."""
    (folder / "solver.yaml").write_text("net: net.yaml\nbase_lr: 0.1\nmax_iter: 9\nlr_policy: exp\n")
    job = job_of(f"gamma={gamma}")
    trainer = make_trainer(job)
    trainer.iteration = 2
    before = {key: value.copy() for key, value in trainer.blobs.by_key().items()}

    with pytest.raises(NumericFault, match=rf"solver.yaml:4:\d+: error ND510 the learning rate of {words}"):
        Run(trainer, job.feed(1), [], folder, []).train()
    for key, value in trainer.blobs.by_key().items():
        if not key.startswith("bn"):
            np.testing.assert_array_equal(value, before[key])


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (
            {"label": np.array([0, 1, 7] + [0] * 34)},
            "ND501",
            "label of sample 2 is 7, but loss has 3 classes",
        ),
        ({"label": np.array([0, -1] + [0] * 35)}, "ND501", "sample 1 is -1"),
        ({"label": np.array([0.5] + [0.0] * 36)}, "ND501", "sample 0 is 0.5"),
        ({"data": np.full((37, 5), np.nan)}, "ND502", "nan in sample 0"),
        ({"label": np.zeros(36)}, "ND041", "data 37, label 36"),
        ({"label": np.zeros(0), "data": np.zeros((0, 5))}, "ND041", "holds no samples"),
    ],
)
def test_data_that_do_not_fit_are_refused_before_training(folder, data, code, words):
    """One finding at the source field, whatever is wrong with the values."""
    with np.load(folder / "data.npz") as old:
        np.savez(folder / "data.npz", **{**old, **data})
    findings = Findings()
    assert prepare_job(str(folder / "solver.yaml"), (), findings) is None

    errors = findings.errors
    assert {d.code.id for d in errors} == {code}
    assert all(words in d.message for d in errors)
    assert (errors[0].span.line, errors[0].span.column) == (6, 32)


def test_weights_must_fit_unless_partial(folder, job_of, run_of):
    """Missing, unknown and reshaped blobs are named; --partial takes the rest."""
    run_of("run")
    path = folder / "run" / "last.npz"
    job = job_of("layer.score.inner_product_param.num_output=4")
    blobs = Blobs(seed=1)
    make_evaluator(job.tests[0].prepared, blobs)
    with pytest.raises(
        Error, match=r"ND512 score/0 has shape \(3, 6\) in the file and \(4, 6\) in the net.*--partial"
    ):
        load_weights(path, blobs, job.nets, partial=False)

    mismatch = load_weights(path, blobs, job.nets, partial=True)
    assert set(mismatch.reshaped) == {"score/0", "score/1"}
    np.testing.assert_array_equal(blobs.by_key()["ip1/0"], weights_of(path)["ip1/0"])


def test_a_weight_file_is_no_snapshot_and_says_so(folder, job_of, run_of):
    """Resuming from plain weights names the option that takes them."""
    job = job_of()
    trainer = make_trainer(job)
    np.savez(folder / "plain.npz", **trainer.blobs.by_key())

    with pytest.raises(UsageError, match="--weights"):
        restore(folder / "plain.npz", job, trainer, [])
    with pytest.raises(EnvironmentFault, match="no such file"):
        restore(folder / "absent.npz", job, trainer, [])
    (folder / "broken.npz").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(UsageError, match="no weight file"):
        restore(folder / "broken.npz", job, trainer, [])
    adam = make_trainer(job_of("type=Adam"))
    run_of("run")
    with pytest.raises(Error, match="made by solver SGD, not Adam"):
        restore(folder / "run" / "last.npz", job, adam, [])


@pytest.mark.parametrize("name", ["a/b", "/abs", "..", "../../etc", "C:x", "conv:1", " ", "ä/\\", "state"])
def test_a_snapshot_keeps_layers_of_any_name(tmp_path, name):
    """A name is only a key in the file: weights, history and state come back."""
    path = tmp_path / "s.npz"
    snapshot.save(path, {f"{name}/0": np.ones(3)}, {f"0/{name}/0": np.zeros(3)}, {"iteration": 1})

    assert list(snapshot.load(path).weights) == list(snapshot.load_weights(path)) == [f"{name}/0"]
    assert list(snapshot.load(path).history) == [f"0/{name}/0"]
    assert [file.name for file in tmp_path.iterdir()] == ["s.npz"]


def test_a_failed_write_leaves_the_old_snapshot(folder, monkeypatch):
    """When the disk is full the old file is whole and no temporary one stays."""
    path = folder / "s.npz"
    snapshot.save(path, {"a/0": np.ones(3)}, {}, {"iteration": 1})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EnvironmentFault, match="No space left"):
        snapshot.save(path, {"a/0": np.zeros(3)}, {}, {"iteration": 2})

    assert snapshot.load(path)[2] == {"iteration": 1}
    assert [p.name for p in folder.glob(".s.npz*")] == []


def start(folder, *options):
    """`netdef train` in a process of its own, long enough to be interrupted."""
    command = [
        sys.executable,
        "-m",
        "netdef",
        "train",
        "solver.yaml",
        "--run",
        "run",
        "--set",
        "display=1",
        *options,
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for_iterations(process):
    """Return when the process has told its first iterations."""
    for _ in range(5):
        assert process.stdout.readline(), process.stderr.read()


def test_an_interrupt_stops_after_a_snapshot(folder):
    """SIGINT ends the run with last.npz, from which it goes on; SIGHUP only takes a snapshot."""
    process = start(folder, "--max-iter", "100000000")
    wait_for_iterations(process)
    process.send_signal(signal.SIGHUP)
    while not list((folder / "run").glob("iter_*.npz")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)

    assert process.returncode == 130, errors
    assert "stopped by SIGINT" in output
    assert snapshot.load(folder / "run" / "last.npz")[2]["iteration"] > 0


def test_a_test_that_is_interrupted_was_never_begun(folder):
    """SIGTERM during a test without end: last.npz is of the iteration before, its test data still unread."""
    without_end = ("test_interval=4", "test_initialization=false", "test_iter=[1000000000]")
    process = start(folder, *(part for field in without_end for part in ("--set", field)))
    wait_for_iterations(process)
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    state = snapshot.load(folder / "run" / "last.npz").state

    assert process.returncode == 143, errors
    assert "stopped by SIGTERM at iteration 4" in output
    assert state["iteration"] == 4
    assert state["tested"] == [[0]]


def test_the_second_signal_quits_at_once():
    """With the status of a process that the signal ends."""
    with Signals() as signals:
        signal.raise_signal(signal.SIGTERM)
        assert signals.stop == "SIGTERM"
        with pytest.raises(SystemExit) as ended:
            signal.raise_signal(signal.SIGTERM)
    assert ended.value.code == 143


def test_a_signal_in_the_last_iteration_changes_nothing(run_of):
    """There is nothing left to stop: the run is finished, and is tested."""

    class Last(events.Listener):
        heard = ()

        def hear(self, event):
            if isinstance(event, events.Stepped) and event.iteration == event.max_iter - 1:
                signal.raise_signal(signal.SIGINT)
            self.heard = (*self.heard, type(event))

    last = Last()
    run_of("run", listeners=[last])

    assert events.Stopped not in last.heard
    assert last.heard[-1] is events.Tested


def test_a_killed_run_leaves_only_whole_snapshots(folder):
    """SIGKILL at any moment: every .npz in the folder can be resumed from."""
    process = start(folder, "--max-iter", "100000000", "--set", "snapshot=1")
    wait_for_iterations(process)
    time.sleep(0.2)
    process.kill()
    process.communicate(timeout=60)

    snapshots = list((folder / "run").glob("iter_*.npz"))
    assert snapshots
    for path in snapshots:
        assert snapshot.load(path)[2]["iteration"] == int(path.stem.removeprefix("iter_"))


def test_the_folder_tells_what_was_run(folder):
    """environment.json, spec.json, metrics.jsonl and .csv, log.txt, last.npz."""
    process = start(folder)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    run = folder / "run"

    assert {path.name for path in run.iterdir()} == {
        *("environment.json", "spec.json", "metrics.jsonl", "metrics.csv", "log.txt", "last.npz"),
    }
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in rows if row["phase"] == "train"] == list(range(20))
    assert rows[-1]["phase"] == "test"
    assert {"accuracy", "loss"} <= rows[-1].keys()
    assert json.loads((run / "environment.json").read_text())["seed"] == 3
    assert json.loads((run / "spec.json").read_text())["resolved"]["solver"]["base_lr"] == 0.1
    assert "weights: run" in output


def test_the_feed_writes_without_allocating(job_of):
    """Batch after batch goes into the same arrays."""
    job = job_of()
    trainer = make_trainer(job)
    feed = Feed(job.train.datasets, train=True, seed=1)
    arrays = dict(trainer.runner.inputs)
    feed.fill(arrays)
    first = arrays["data"].copy()
    feed.fill(arrays)

    assert arrays["data"] is trainer.runner.inputs["data"]
    assert not np.array_equal(first, arrays["data"])


def test_batches_made_ahead_change_nothing(monkeypatch, folder, run_of):
    """A run whose batches are made in the background ends with the same snapshot, and resumes from one."""
    run_of("plain", "snapshot=9")
    monkeypatch.setattr(feeds, "SLOW", 0)
    run_of("ahead", "snapshot=9")
    run_of("resumed", resume=folder / "plain" / "iter_9.npz")

    plain = snapshot.load(folder / "plain" / "last.npz")
    for name in ("ahead", "resumed"):
        other = snapshot.load(folder / name / "last.npz")
        assert other.state == plain.state
        for mine, theirs in zip(plain[:2], other[:2]):
            assert mine.keys() == theirs.keys()
            for key in mine:
                np.testing.assert_array_equal(mine[key], theirs[key], err_msg=key)


def test_an_error_of_a_batch_made_ahead_is_that_of_the_run(monkeypatch, folder, run_of):
    """It arrives at the step that needs the batch, after those before it."""
    monkeypatch.setattr(feeds, "SLOW", 0)
    write = feeds.LayerFeed.write

    def failing(self, numbers, arrays, random=None):
        if self.order.drawn > 48:
            raise MemoryError("the seventh batch")
        write(self, numbers, arrays, random)

    monkeypatch.setattr(feeds.LayerFeed, "write", failing)
    with pytest.raises(MemoryError, match="the seventh batch"):
        run_of("run", "snapshot=6")

    assert snapshot.load(folder / "run" / "iter_6.npz").state["drawn"] == [48]


def test_a_signal_while_a_batch_is_waited_for_stops_after_the_step(monkeypatch, folder, run_of):
    """The run ends with the position of the batch that it used, and goes on from there."""
    monkeypatch.setattr(feeds, "SLOW", 0)
    write = feeds.LayerFeed.write

    def signalling(self, numbers, arrays, random=None):
        if self.order.drawn == 56:
            os.kill(os.getpid(), signal.SIGINT)
        write(self, numbers, arrays, random)

    run_of("whole")
    monkeypatch.setattr(feeds.LayerFeed, "write", signalling)
    run_of("cut")
    monkeypatch.setattr(feeds.LayerFeed, "write", write)
    cut = snapshot.load(folder / "cut" / "last.npz").state
    assert cut["iteration"] < 20
    assert cut["drawn"] == [8 * cut["iteration"]]
    run_of("resumed", resume=folder / "cut" / "last.npz")

    whole, resumed = weights_of(folder / "whole" / "last.npz"), weights_of(folder / "resumed" / "last.npz")
    for key in whole:
        np.testing.assert_array_equal(resumed[key], whole[key], err_msg=key)

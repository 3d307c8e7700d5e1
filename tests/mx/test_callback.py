"""Callbacks and the monitor: when they act, and the lines they log."""

import logging

import numpy as np
import pytest

import netdef as mx
from netdef.mx import callback, checkpoint
from netdef.mx.callback import BatchEndParam


@pytest.fixture
def log(caplog):
    """The lines logged by a test."""
    caplog.set_level(logging.INFO)
    return caplog


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by a quarter of a second for each batch; its list holds the time."""
    now = [0.0]
    monkeypatch.setattr(callback.time, "time", lambda: now[0])
    return now


def batches(call, count, metric=None, clock=None, epoch=2):
    """Call a callback after each of some batches; the metric goes up by one each time."""
    for number in range(count):
        if clock:
            clock[0] += 0.25
        if metric:
            metric.update([mx.nd.array([1.0])], [mx.nd.array([number])])
        call(BatchEndParam(epoch=epoch, nbatch=number, eval_metric=metric, locals={}))


def number_metric():
    """The mean of predictions."""
    return mx.metric.np(lambda label, pred: float(pred[0]), name="number")


def test_speedometer_logs_speed_and_metric(log, clock):
    """Of the batches since the last line, whose metric starts anew."""
    batches(mx.callback.Speedometer(10, frequent=2), 5, number_metric(), clock)

    assert log.messages == [
        "Epoch[2] Batch [0-2]\tSpeed: 40.00 samples/sec\tnumber=1.000000",
        "Epoch[2] Batch [2-4]\tSpeed: 40.00 samples/sec\tnumber=3.500000",
    ]


def test_speedometer_without_reset_or_metric(log, clock):
    """The metric goes on; without one the line is another."""
    batches(mx.callback.Speedometer(10, 2, auto_reset=False), 5, number_metric(), clock)
    batches(mx.callback.Speedometer(10, 4), 5, None, clock)

    assert log.messages == [
        "Epoch[2] Batch [0-2]\tSpeed: 40.00 samples/sec\tnumber=1.000000",
        "Epoch[2] Batch [0-4]\tSpeed: 40.00 samples/sec\tnumber=2.000000",
        "Iter[2] Batch [4]\tSpeed: 40.00 samples/sec",
    ]


def test_speedometer_starts_anew_with_each_epoch(log, clock):
    """The time between epochs does not count, and no time at all is infinitely fast."""
    speed = mx.callback.Speedometer(1, 2)
    batches(speed, 3, None, clock)
    clock[0] += 100
    batches(speed, 3, None, None, epoch=3)

    assert log.messages == [
        "Iter[2] Batch [2]\tSpeed: 4.00 samples/sec",
        "Iter[3] Batch [2]\tSpeed: inf samples/sec",
    ]


def test_train_metric_is_logged_every_period(log):
    """Beginning with the first batch."""
    batches(mx.callback.log_train_metric(2), 3, number_metric())
    batches(mx.callback.log_train_metric(2, auto_reset=True), 3, number_metric())
    batches(mx.callback.log_train_metric(1), 1, None)

    assert log.messages == [
        "Iter[2] Batch[0] Train-number=0.000000",
        "Iter[2] Batch[2] Train-number=1.000000",
        "Iter[2] Batch[0] Train-number=0.000000",
        "Iter[2] Batch[2] Train-number=1.500000",
    ]


def test_the_bar_fills_up(log):
    """Rounded, with the percentage rounded up."""
    batches(mx.callback.ProgressBar(total=3, length=6), 4)

    assert log.messages == ["[------] 0%\r", "[==----] 34%\r", "[====--] 67%\r", "[======] 100%\r"]


def test_validation_metrics_are_logged(log):
    """Each of several on a line of its own."""
    metric = mx.metric.create([number_metric(), number_metric()])
    batches(mx.callback.LogValidationMetricsCallback(), 1, metric)
    batches(mx.callback.LogValidationMetricsCallback(), 1)

    assert log.messages == ["Epoch[2] Validation-number=0.000000"] * 2


@pytest.mark.parametrize(
    "make",
    [
        lambda c: c.Speedometer(1, frequent=0),
        lambda c: c.log_train_metric(0),
        lambda c: c.ProgressBar(0),
        lambda c: mx.mon.Monitor(0),
    ],
)
def test_periods_are_positive(make):
    """Nothing can be divided by zero later."""
    with pytest.raises(ValueError, match="must be positive"):
        make(mx.callback)


# --- checkpoints ---


class Files(dict):
    """Takes the place of the files of NDArrays."""

    def save(self, path, arrays):
        self[path] = dict(arrays)

    def load(self, path):
        return self[path]


class Net:
    """A symbol that can be saved."""

    def __init__(self, files):
        self.files = files

    def save(self, path):
        self.files[path] = self


@pytest.fixture
def files(monkeypatch):
    """Files that exist in memory only."""
    files = Files()
    monkeypatch.setattr(checkpoint.ndarray, "save", files.save, raising=False)
    monkeypatch.setattr(checkpoint.ndarray, "load", files.load, raising=False)
    monkeypatch.setattr(checkpoint.symbol, "load", files.load, raising=False)
    return files


def test_do_checkpoint_saves_every_period(files, log):
    """After epoch 1, 3, ... under the number of epochs; what was saved can be loaded."""
    save = mx.callback.do_checkpoint("run/net", period=2)
    net, weight, mean = Net(files), mx.nd.array([1.0]), mx.nd.array([2.0])
    for epoch in range(4):
        save(epoch, net, {"fc_weight": weight}, {"bn_mean": mean})

    assert sorted(files) == ["run/net-0002.params", "run/net-0004.params", "run/net-symbol.json"]
    assert log.messages[-1] == 'Saved checkpoint to "run/net-0004.params"'
    assert files["run/net-0004.params"] == {"arg:fc_weight": weight, "aux:bn_mean": mean}
    assert checkpoint.load_checkpoint("run/net", 4) == (net, {"fc_weight": weight}, {"bn_mean": mean})


def test_a_checkpoint_without_a_symbol_or_arrays(files, log):
    """Parameters alone; an empty file is warned about."""
    checkpoint.save_checkpoint("net", 1, None, {}, {})

    assert list(files) == ["net-0001.params"]
    assert checkpoint.load_params("net", 1) == ({}, {})
    assert log.messages[-1] == "Params file 'net-0001.params' is empty"


@pytest.mark.parametrize("content", [{"fc_weight": 1}, {"par:fc_weight": 1}, [1]])
def test_what_is_no_checkpoint_is_told(files, content):
    """Names must say whether they are arguments or auxiliary states."""
    files["net-0001.params"] = content
    with pytest.raises(mx.MXNetError, match=r"net-0001\.params is no checkpoint"):
        checkpoint.load_params("net", 1)


def test_module_checkpoint_asks_the_module():
    """With the number of epochs, and whether states are wanted."""
    saved = []

    class Module:
        def save_checkpoint(self, *arguments):
            saved.append(arguments)

    save = mx.callback.module_checkpoint(Module(), "net", period=2, save_optimizer_states=True)
    for epoch in range(4):
        save(epoch)

    assert saved == [("net", 2, True), ("net", 4, True)]


# --- monitor ---


class Bound:
    """What a monitor needs of an executor."""

    def __init__(self):
        self.arg_dict = {"fc_weight": mx.nd.array([[3.0, 4.0]]), "fc_bias": mx.nd.array([2.0])}
        self.aux_dict = {"bn_mean": mx.nd.array([1.0, 1.0])}

    def set_monitor_callback(self, call, monitor_all=False):
        self.call, self.monitor_all = call, monitor_all

    def forward(self):
        self.call(b"fc_output", mx.nd.array([6.0]))


def watched(steps=1, **arguments):
    """What a monitor collects in some batches."""
    monitor, bound = mx.mon.Monitor(**arguments), Bound()
    monitor.install(bound)
    collected = []
    for _ in range(steps):
        monitor.tic()
        bound.forward()
        collected.append(monitor.toc())
    return collected


def test_a_monitor_collects_outputs_parameters_and_states():
    """In the order they come in; names may be bytes; the statistic is norm / sqrt(size)."""
    ((first, *others),) = watched(interval=1)

    assert first == (1, "fc_output", "6.0\t")
    assert [name for _, name, _ in others] == ["fc_weight", "fc_bias", "bn_mean"]
    assert [float(text) for *_, text in others] == pytest.approx([5 / np.sqrt(2), 2, 1])


def test_a_monitor_waits_for_its_turn_and_chooses_by_pattern():
    """Every other batch, and names that begin like the pattern."""
    collected = watched(4, interval=2, pattern="fc_(o|b)", sort=True)

    assert [[name for _, name, _ in each] for each in collected] == [["fc_bias", "fc_output"], []] * 2
    assert [step for each in collected for step, _, _ in each] == [1, 1, 3, 3]


def test_statistics_may_be_lists_and_arrays():
    """Numbers and arrays with a tab after each; anything else is refused."""
    ((_, _, text),) = watched(interval=1, pattern="fc_bias", stat_func=lambda x: [x, mx.nd.array([[1, 2]])])[
        0
    ]

    assert text == "2.0\t[[1. 2.]]\t"
    with pytest.raises(mx.MXNetError, match="stat_func gave 1 for fc_output"):
        watched(interval=1, stat_func=lambda x: 1)


def test_toc_print_logs(log):
    """One line for each statistic; inputs of operators are asked for."""
    monitor, bound = mx.Monitor(1, pattern="fc_bias", monitor_all=True), Bound()
    monitor.install(bound)
    monitor.tic()
    monitor.toc_print()
    monitor.toc_print()

    assert bound.monitor_all
    assert log.messages == [f"Batch: {1:7d} {'fc_bias':30s} 2.0\t"]

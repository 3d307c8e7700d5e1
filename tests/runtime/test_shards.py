"""Shards of the batch: what is divided, how it is stored, and that nobody can tell from the results."""

import sys

import numpy as np
import pytest

import netdef as mx
from netdef.graph.node import Entry, Node
from netdef.graph.symbol import Symbol
from netdef.ops.loss import SoftmaxWithLoss
from netdef.ops.orders import Order
from netdef.runtime import memory, planner, shards
from netdef.runtime.executor import Executor
from netdef.runtime.kernels import run_together
from netdef.runtime.memory import zeros
from netdef.runtime.shards import Sharding
from netdef.runtime.threads import set_threads


@pytest.fixture
def small(monkeypatch):
    """Batches of two samples and more are divided, however short they take."""
    monkeypatch.setattr(shards, "SHORTEST", 1e-15)
    monkeypatch.setattr(shards, "FEWEST", ((1, 0.0),))
    monkeypatch.setattr(shards, "RUN", 0.0)
    set_threads(2)
    yield
    set_threads(1)


def block(net, name, filters=4):
    net = mx.sym.Convolution(net, num_filter=filters, kernel=(3, 3), pad=(1, 1), name=f"{name}_conv")
    net = mx.sym.BatchNorm(net, fix_gamma=False, name=f"{name}_bn")
    return mx.sym.Activation(net, act_type="relu", name=f"{name}_relu")


def residual():
    """Two blocks with a shortcut, pooled, flattened, and a loss: all that shards have to wait for."""
    data = mx.sym.Variable("data")
    first = block(data, "one")
    net = mx.sym.elemwise_add(block(first, "two"), first, name="sum")
    net = mx.sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max", name="pool")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net, name="flat"), num_hidden=5, name="fc")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def made(net, batch=7, shape=(3, 6, 6), empty=np.empty):
    """An executor of its own on random arrays."""
    arguments, _, states = net.infer_shape(data=(batch, *shape))
    random = np.random.default_rng(5)
    arrays = {name: empty(shape) for name, shape in zip(net.list_arguments(), arguments)}
    for array in arrays.values():
        array[...] = random.standard_normal(array.shape)
    if "softmax_label" in arrays:
        arrays["softmax_label"][...] = np.arange(batch) % 5
    auxiliary = {name: empty(shape) for name, shape in zip(net.list_auxiliary_states(), states)}
    for array in auxiliary.values():
        array[...] = 1
    gradients = {name: empty(array.shape) for name, array in arrays.items()}
    requests = dict.fromkeys(arrays, "write")
    return Executor(net, mx.cpu(), arrays, gradients, requests, auxiliary)


def results(executor):
    """Outputs, gradients and states of two training passes."""
    found = {}
    for number in range(2):
        outputs = executor.forward(train=True)
        found |= {f"{number} output {place}": array.copy() for place, array in enumerate(outputs)}
        executor.backward([np.ones_like(output) for output in outputs])
        found |= {f"{number} d{name}": array.copy() for name, array in executor.gradients.items()}
        found |= {f"{number} {name}": array.copy() for name, array in executor.states.items()}
    return found


@pytest.mark.parametrize("batch", [2, 7, 16])
def test_nobody_can_tell(small, monkeypatch, batch):
    """Outputs, gradients and states are those of the undivided batch."""
    divided = made(residual(), batch)
    found = results(divided)
    assert len(divided.plan(True).steps[0].pieces) == min(8, 1 << batch.bit_length() - 1)
    monkeypatch.setattr(planner, "shard", lambda *_: Sharding())
    whole = made(residual(), batch)
    assert not any(step.run for step in whole.plan(True).steps)
    for name, expected in results(whole).items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-10, atol=1e-10, err_msg=name)


@pytest.mark.skipif(sys.platform != "linux", reason="processes compute where they can be forked")
def test_processes_give_the_bits_of_threads(small, monkeypatch):
    """Training passes of the same arrays, in memory that processes share."""
    monkeypatch.setattr(memory, "_shared", True)
    found = []
    for count, forks in ((1, False), (3, False), (3, True)):
        set_threads(count, forks)
        executor = made(residual(), empty=lambda shape: zeros(np, shape, "float64"))
        found.append({name: array.tobytes() for name, array in results(executor).items()})
        kernels = {call[0] for call in executor.bound(True).forward}
        assert (run_together in kernels) == forks
    assert found[0] == found[1] == found[2]


def test_watching_shows_whole_tensors(small, monkeypatch):
    """Somebody who watches sees each node once, with tensors of the whole batch, forwards and backwards."""
    seen = []
    for divided in (True, False):
        if not divided:
            monkeypatch.setattr(planner, "shard", lambda *_: Sharding())
        executor = made(residual())
        copies = [
            (node.name, {name: array.copy() for name, array in arrays.items()})
            for node, arrays in executor.watch(train=True)
        ]
        copies += [
            (node.name, {name: array.copy() for name, array in arrays.items()})
            for node, arrays in executor.watch_backward([np.ones_like(o) for o in executor.outputs])
        ]
        seen.append(copies)
    assert [name for name, _ in seen[0]] == [name for name, _ in seen[1]]
    assert len({name for name, _ in seen[0]}) == len(seen[0])
    for (name, found), (_, expected) in zip(*seen):
        assert found.keys() == expected.keys()
        for tensor in found:
            np.testing.assert_allclose(found[tensor], expected[tensor], rtol=1e-10, atol=1e-10, err_msg=name)


def test_the_batch_is_last_between_layers_that_gain(small):
    """Images between convolutions and pooling have it last; what a caller sees is stored as it knows it."""
    plan = made(residual()).plan(True)
    blocks = {
        step.node.name: step.tensors["output"].blocks
        for step in plan.steps[: plan.boundary]
        if "output" in step.tensors
    }
    assert blocks["one_conv"].order is blocks["pool"].order is Order.BATCH_LAST
    assert blocks["one_conv"].ends == (0, 1, 3, 5, 7)
    assert blocks["softmax"] is None
    assert all(step.tensors["data"].blocks is None for step in plan.steps if step.node.name == "one_conv")


def test_batch_norm_waits_once_in_a_pass(small):
    """The statistics of a batch end a run; nothing else between two of them does."""
    plan = made(residual()).plan(True)
    runs = [step.run for step in plan.steps[: plan.boundary]]
    assert [step.node.name for step in plan.steps if step.kernel == "settle"] == ["one_bn", "two_bn"]
    assert len({run for run in runs if run}) == 3


def test_weights_much_larger_than_the_data_are_read_once(small):
    """A layer whose weights outweigh its data by far is computed whole, by outputs."""
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=300, name="wide")
    net = mx.sym.Activation(net, act_type="relu")
    executor = made(net, batch=2, shape=(400,))
    assert executor.plan(False).steps[0].run == 0


def test_what_has_no_batch_in_front_is_not_divided(small):
    """Softmax over the batch axis needs all samples at once."""
    net = mx.sym.softmax(mx.sym.Variable("data") * 2, axis=0)
    assert not any(
        step.run for step in made(net, batch=4, shape=(3,)).plan(False).steps if step.node.name == "softmax0"
    )


@pytest.mark.parametrize("sample", [0, 4, 6])
def test_a_wrong_label_is_told_with_its_place_in_the_batch(small, sample):
    """A shard counts samples from the beginning of the batch."""
    net = mx.sym.Variable("data")
    executor = loss_of(net)
    executor.arguments["label"][sample] = 9
    with pytest.raises(ValueError, match=f"label 9.0 of sample {sample} is no class: there are 5, 0 to 4"):
        executor.forward(train=True)


def loss_of(net):
    """Caffe's loss on seven samples of five classes."""

    label = Node(None, "label")
    loss = Node(SoftmaxWithLoss(), "loss", (net.heads[0], Entry(label, 0)))
    arrays = {"data": np.random.default_rng(3).standard_normal((7, 5)), "label": np.arange(7) % 5.0}
    return Executor(Symbol([Entry(loss, 0)]), mx.cpu(), arrays)


def test_number_of_shards(monkeypatch):
    """A power of two; none shorter than a millisecond; few images only where they take long."""
    monkeypatch.setattr(shards, "SHORTEST", 1e-3)
    monkeypatch.setattr(shards, "FEWEST", ((8, 10e-3), (16, 400e-6), (32, 0.0)))
    count = shards._count
    assert [count(64, seconds) for seconds in (0.5e-3, 2.5e-3, 10e-3, 1.0)] == [1, 2, 2, 8]
    assert [count(batch, batch * 0.02) for batch in (2, 3, 8, 16, 64)] == [2, 2, 2, 2, 8]
    assert count(100, 0.1) == 4

"""The order of axes in memory: where the channels are last, and that nobody can tell from the results."""

import numpy as np
import pytest

import netdef as mx
from netdef.ops import convolution as convolutions
from netdef.ops.orders import Order
from netdef.runtime import pieces, shards
from netdef.runtime.executor import Executor
from netdef.runtime.threads import set_threads


def convolution(net, name, filters, **more):
    attributes = {"kernel": (3, 3), "pad": (1, 1), **more}
    return mx.sym.Convolution(net, num_filter=filters, name=name, **attributes)


def network(grouped=1):
    """A first layer, a pool, a block with a shortcut, maps side by side, a part of them, and a classifier."""
    net = convolution(mx.sym.Variable("data"), "first", 32, kernel=(5, 5), stride=(2, 2), pad=(2, 2))
    net = mx.sym.Pooling(net, kernel=(3, 3), stride=(2, 2), pooling_convention="full", name="pool")
    one = mx.sym.Activation(convolution(net, "one", 64), act_type="relu", name="relu")
    two = convolution(one, "two", 64, num_group=grouped)
    total = mx.sym.elemwise_add(one, two, name="sum")
    both = mx.sym.Concat(total, convolution(one, "point", 48, kernel=(1, 1), pad=()), name="both")
    net = mx.sym.slice(both, begin=(None, None, 0, 0), end=(None,) * 4, step=(1, 1, 2, 2), name="part")
    net = convolution(net, "wide", 64, kernel=(1, 3), pad=(0, 1), stride=(1, 2))
    net = mx.sym.Pooling(net, global_pool=True, kernel=(1, 1), pool_type="avg", name="mean")
    return mx.sym.FullyConnected(mx.sym.Flatten(net), num_hidden=7, name="classes")


def made(net, batch, conv_algo="", dtype="float64", gradients=False, constant=True):
    """An executor on arrays that depend on shapes alone."""
    arguments, _, _ = net.infer_shape(data=(batch, 3, 61, 53))
    random = np.random.default_rng(7)
    arrays = {
        name: (random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]) or 1)).astype(dtype)
        for name, shape in zip(net.list_arguments(), arguments)
    }
    wanted = {name: np.zeros_like(array) for name, array in arrays.items()} if gradients else {}
    return Executor(
        net,
        mx.cpu(),
        arrays,
        wanted,
        dict.fromkeys(wanted, "write"),
        conv_algo=conv_algo,
        constants=[name for name in arrays if constant and name != "data"],
    )


def orders(executor, train=False):
    """The order of what every step writes; None: as callers know it."""
    written = ((step.node.name, step.tensors.get("output")) for step in executor.plan(train).steps)
    return {name: tensor.blocks and tensor.blocks.order for name, tensor in written if tensor is not None}


@pytest.fixture(params=[1, 2])
def threads(request):
    set_threads(request.param)
    yield request.param
    set_threads(1)


@pytest.mark.parametrize("batch", [1, 2, 9])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("constant", [False, True])
def test_nobody_can_tell(batch, dtype, tolerance, constant, threads, monkeypatch):
    """Outputs are those of the other order, with any number of images and of threads."""
    net = network()
    monkeypatch.setattr(convolutions, "cost_of_output", lambda _, last, *rest: 1.0 - last)
    found = made(net, batch, dtype=dtype, constant=constant)
    assert Order.CHANNELS_LAST in orders(found).values()
    monkeypatch.undo()
    plain = made(net, batch, "direct", dtype)
    assert Order.CHANNELS_LAST not in orders(plain).values()
    (expected,) = (output.copy() for output in plain.forward(train=False))
    for _ in range(2):  # what is noted in the first pass is made again in the second
        (output,) = found.forward(train=False)
        np.testing.assert_allclose(output, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("threads", [1, 2], indirect=True)
def test_small_shards_and_layers_left_out(threads, monkeypatch):
    """Layers that many small shards would take longer for are cut by themselves, in memory for all shards."""

    def cost(sizes, last, *_):
        lost = 1.0 if sizes.filters == 64 and sizes.batch < 4 else 0.0
        return sizes.batch * (2.0 - last) + lost

    monkeypatch.setattr(shards, "SHORTEST", 1e-15)
    monkeypatch.setattr(pieces, "SHORTEST", 1e-15)
    monkeypatch.setattr(pieces, "SEVERAL", 1.0)  # two pieces of what is left out
    monkeypatch.setattr(shards, "FEWEST", ((4, 0.0),))
    monkeypatch.setattr(convolutions, "cost_of_output", cost)
    net = convolution(mx.sym.Variable("data"), "one", 32)
    net = convolution(mx.sym.Activation(net, act_type="relu", name="relu"), "two", 48)
    net = convolution(net, "three", 64)
    net = convolution(mx.sym.Activation(net, act_type="sigmoid", name="last"), "four", 32)
    net = mx.sym.Pooling(net, global_pool=True, kernel=(1, 1), pool_type="avg", name="mean")
    found = made(net, 8)
    steps = {step.node.name: step for step in found.plan(False).steps}
    assert {name: len(step.pieces) for name, step in steps.items() if step.run} == {
        **dict.fromkeys(("one", "relu", "two", "last", "four", "mean"), 8)
    }
    assert len(steps["three"].pieces) == 2
    ends = {name: len(step.tensors["output"].blocks.ends) for name, step in steps.items() if name != "mean"}
    assert ends == {"one": 9, "relu": 9, "two": 2, "three": 2, "last": 9, "four": 9}
    monkeypatch.undo()
    (expected,) = (output.copy() for output in made(net, 8, "direct").forward(train=False))
    for _ in range(2):
        (output,) = found.forward(train=False)
        np.testing.assert_allclose(output, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_where_the_channels_are_last():
    """From the first layer to the last pool, but not what a classifier flattens."""
    found = orders(made(network(), 2))
    last = {name for name, order in found.items() if order is Order.CHANNELS_LAST}
    assert last == {"first", "pool", "one", "relu", "two", "sum", "point", "both", "part", "wide"}
    assert found["mean"] is not Order.CHANNELS_LAST


def test_groups_without_an_algorithm_for_it():
    """A layer that nothing serves keeps what it touches as it was; others do not mind."""
    assert orders(made(network(grouped=4), 2))["two"] is Order.CHANNELS_LAST  # Winograd's has groups
    dilated = convolution(
        convolution(mx.sym.Variable("data"), "one", 64), "two", 64, dilate=(2, 2), pad=(2, 2)
    )
    found = orders(made(convolution(dilated, "three", 64), 2))
    assert found["one"] is found["two"] is Order.BATCH_LAST


def test_gradients_keep_the_batch_last():
    """What a backward pass reads or writes has the order that its kernels are made for."""
    executor = made(network(), 4, gradients=True)
    assert Order.CHANNELS_LAST not in orders(executor, train=True).values()


@pytest.mark.parametrize("algorithm", ["im2row", "winograd_nhwc", "winograd_nhwc64"])
def test_a_wanted_algorithm(algorithm):
    """An algorithm that is made for it brings the channels last where it serves; another one does not."""
    net = convolution(convolution(mx.sym.Variable("data"), "one", 8), "two", 8)
    assert orders(made(net, 2, algorithm))["one"] is Order.CHANNELS_LAST
    assert orders(made(net, 2, "im2col"))["one"] is Order.BATCH_LAST


def test_depthwise_layers():
    """Separable convolutions, of one image by rows."""
    net = convolution(mx.sym.Variable("data"), "one", 32)
    for number in range(3):
        net = convolution(
            net, f"depth{number}", 32 << number, num_group=32 << number, stride=(1 + number % 2,) * 2
        )
        net = convolution(net, f"point{number}", 64 << number, kernel=(1, 1), pad=())
    for batch in (1, 8):
        found, plain = made(net, batch), made(net, batch, "direct")
        assert orders(found)["depth1"] is Order.CHANNELS_LAST
        (expected,), (output,) = plain.forward(train=False), found.forward(train=False)
        np.testing.assert_allclose(output, expected, rtol=0, atol=1e-12 * np.abs(expected).max())

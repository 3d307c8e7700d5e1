"""What convolutions take over in inference: sums and rectifiers that nobody else reads."""

import numpy as np
import pytest

import netdef as mx
from netdef.graph.node import Entry, topological
from netdef.graph.symbol import Symbol
from netdef.ops.fused import FusedConvolution
from netdef.passes.absorb import absorb
from netdef.passes.infer import infer_shapes
from netdef.runtime.executor import Executor

data = mx.sym.Variable("data")


def conv(net, name, filters=4):
    return mx.sym.Convolution(net, num_filter=filters, kernel=(3, 3), pad=(1, 1), name=name)


def relu(net, name):
    return mx.sym.Activation(net, act_type="relu", name=name)


def absorbed(net):
    """The symbol after the pass."""
    shapes, _ = infer_shapes(net.heads, {"data": (2, 4, 6, 5)})
    return Symbol(absorb(net.heads, shapes))


def names_of(net):
    """The nodes that compute something, in their order."""
    return [node.name for node in topological(net.heads) if not node.is_variable]


def results(net, constants=()):
    """The outputs for random arguments."""
    shapes, _ = infer_shapes(net.heads, {"data": (2, 4, 6, 5)})
    random = np.random.default_rng(3)
    arguments = {
        node.name: random.standard_normal(shapes[Entry(node, 0)])
        for node in sorted(net.variables()[0], key=lambda node: node.name)
    }
    return Executor(net, mx.cpu(), arguments, constants=constants).forward()


def residual(name="sum", sums=mx.sym.elemwise_add):
    first = relu(conv(data, "one"), "relu1")
    return relu(sums(conv(first, "two"), first, name=name), "relu2")


two_sums = mx.sym.elemwise_add(conv(data, "one"), conv(data, "two"), name="sum")
shared = conv(data, "one")
CASES = {
    "rectifier": (relu(conv(data, "one"), "relu1"), ["one+relu1"]),
    "its own operator": (mx.sym.relu(conv(data, "one"), name="relu1"), ["one+relu1"]),
    "residual": (residual(), ["one+relu1", "two+sum+relu2"]),
    "a list": (
        residual(sums=lambda *two, name: mx.sym.add_n(*two, name=name)),
        ["one+relu1", "two+sum+relu2"],
    ),
    "both are convolutions": (two_sums, ["one", "two+sum"]),
    "three": (
        mx.sym.elemwise_add(two_sums, conv(data, "three"), name="more"),
        ["one", "two+sum", "three+more"],
    ),
    "one that sums already": (
        mx.sym.elemwise_add(two_sums, data, name="more"),
        ["one", "two+sum", "more"],
    ),
    "rectified before it is added": (
        mx.sym.elemwise_add(relu(conv(data, "one"), "relu1"), data, name="sum"),
        ["one+relu1", "sum"],
    ),
    "twice": (mx.sym.elemwise_add(shared, shared, name="sum"), ["one", "sum"]),
    "read by others": (
        mx.sym.Group([relu(shared, "relu1"), mx.sym.tanh(shared, name="t")]),
        ["one", "relu1", "t"],
    ),
    "a head": (mx.sym.Group([shared, relu(shared, "relu1")]), ["one", "relu1"]),
    "another function": (mx.sym.Activation(conv(data, "one"), act_type="tanh", name="t"), ["one", "t"]),
    "broadcast": (
        mx.sym.broadcast_add(conv(data, "one"), mx.sym.max(data, axis=0, keepdims=True), name="sum"),
        ["one", "max0", "sum"],
    ),
    "no convolution": (relu(mx.sym.FullyConnected(data, num_hidden=3, name="fc"), "relu1"), ["fc", "relu1"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_absorbed_and_what_is_not(case):
    net, names = CASES[case]
    assert names_of(absorbed(net)) == names


@pytest.mark.parametrize("case", CASES)
def test_the_outputs_are_the_same(case):
    net, _ = CASES[case]
    weights = [name for name in net.list_arguments() if name != "data"]
    for constants in ((), weights):
        for one, other in zip(results(net), results(absorbed(net), constants)):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_the_sum_takes_the_place_of_the_addend():
    """Where nobody reads that afterwards, the output is written over it."""
    first = relu(conv(data, "one"), "relu1")
    second = conv(mx.sym.tanh(conv(first, "two"), name="between"), "three")
    net = absorbed(mx.sym.tanh(mx.sym.elemwise_add(second, first), name="end"))
    shapes, _ = infer_shapes(net.heads, {"data": (2, 4, 6, 5)})
    arguments = {node.name: np.zeros(shapes[Entry(node, 0)]) for node in net.variables()[0]}
    steps = Executor(net, mx.cpu(), arguments).plan(False).steps
    found = [step.inplace for step in steps if isinstance(step.op, FusedConvolution)]
    assert found == [(), (("addend", "output"),)]


def test_the_net_itself_is_left_alone():
    net = residual()
    before = net.tojson()
    absorbed(net)
    assert net.tojson() == before


def test_constants_are_taken_over_when_they_are_renewed():
    """Transformed filters are those of the weights that were there when somebody said so."""
    net = conv(mx.sym.Variable("data"), "one", filters=64)
    random = np.random.default_rng(1)
    shapes = {"data": (1, 64, 12, 12), "one_weight": (64, 64, 3, 3), "one_bias": (64,)}
    arguments = {name: random.standard_normal(shape) for name, shape in shapes.items()}
    executor = Executor(net, mx.cpu(), arguments, conv_algo="winograd", constants=["one_weight", "one_bias"])
    assert executor.plan(False).steps[0].prepared == ("prepared",)
    before = executor.forward()[0].copy()
    arguments["one_weight"] *= 2
    np.testing.assert_array_equal(executor.forward()[0], before)
    executor.renew()
    doubled = (before - arguments["one_bias"].reshape(1, -1, 1, 1)) * 2
    np.testing.assert_allclose(
        executor.forward()[0] - arguments["one_bias"].reshape(1, -1, 1, 1), doubled, rtol=1e-9, atol=1e-9
    )

"""Inputs of a Concat that are written where its output lies: nothing is copied, and nobody can tell."""

import numpy as np
import pytest

import netdef as mx
from netdef.ops import convolution
from netdef.runtime import shards
from netdef.runtime.executor import Executor
from netdef.runtime.threads import set_threads

DATA = mx.sym.Variable("data")


def conv(net, name, filters, **more):
    attributes = {"kernel": (3, 3), "pad": (1, 1), **more}
    return mx.sym.Convolution(net, num_filter=filters, name=name, **attributes)


def relu(net, name):
    return mx.sym.Activation(net, act_type="relu", name=name)


def made(net, batch=1, conv_algo="", gradients=False, seed=5):
    """An executor on arrays that depend on shapes alone."""
    arguments, _, _ = net.infer_shape(data=(batch, 3, 12, 10))
    random = np.random.default_rng(seed)
    arrays = {
        name: random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        for name, shape in zip(net.list_arguments(), arguments)
    }
    wanted = {name: np.zeros_like(array) for name, array in arrays.items()} if gradients else {}
    return Executor(net, mx.cpu(), arrays, wanted, dict.fromkeys(wanted, "write"), conv_algo=conv_algo)


def steps(executor, train=False):
    """The steps of the forward pass by name."""
    plan = executor.plan(train)
    return {step.node.name: step for step in plan.steps[: plan.boundary]}


def parts(executor):
    """Where each tensor that lies in another one does."""
    found = ((name, step.tensors["output"].part) for name, step in steps(executor).items())
    return {name: (part.start, part.shape[part.axis]) for name, part in found if part is not None}


def fire(net, name):
    """A module of SqueezeNet's."""
    squeezed = relu(conv(net, f"{name}_squeeze", 4, kernel=(1, 1), pad=()), f"{name}_relu")
    one, three = conv(squeezed, f"{name}_1", 5, kernel=(1, 1), pad=()), conv(squeezed, f"{name}_3", 6)
    return mx.sym.Concat(one, three, name=name)


def dense(net):
    """Two layers of DenseNet's: each reads all that was made before it."""
    first = conv(net, "first", 4)
    second = mx.sym.Concat(first, conv(first, "one", 3), name="second")
    return mx.sym.Concat(second, relu(conv(second, "two", 2), "last"), name="third")


def twice():
    first, second = conv(DATA, "first", 4), conv(DATA, "second", 4)
    both = mx.sym.Concat(first, second, name="both")
    return mx.sym.Concat(first, mx.sym.tanh(both, name="t"), name="more")


def seen_otherwise():
    first, second = conv(DATA, "first", 4), conv(DATA, "second", 4)
    flat = mx.sym.FullyConnected(mx.sym.Flatten(first, name="flat"), num_hidden=3, name="dense")
    return mx.sym.Group([conv(mx.sym.Concat(first, second, name="both"), "last", 2), flat])


first = conv(DATA, "first", 4)
#: a net, and which tensors lie where in how many channels
CASES = {
    "side by side": (
        fire(fire(DATA, "a"), "b"),
        {"a_1": (0, 11), "a_3": (5, 11), "b_1": (0, 11), "b_3": (5, 11)},
    ),
    "one in another": (conv(dense(DATA), "end", 2), {"first": (0, 9), "one": (4, 9), "last": (7, 9)}),
    "an input of the net": (mx.sym.Concat(DATA, first), {}),
    "the same one twice": (mx.sym.Concat(first, first), {}),
    "a head": (mx.sym.Group([first, mx.sym.Concat(first, conv(DATA, "other", 4))]), {}),
    "seen in another shape": (seen_otherwise(), {}),
    "in two others": (twice(), {"first": (0, 12), "t": (4, 12)}),
    "short rows": (mx.sym.Concat(conv(DATA, "a", 4), conv(DATA, "b", 4), dim=3), {}),
    "overwritten by nobody": (
        mx.sym.Concat(relu(first, "relu"), mx.sym.tanh(relu(conv(DATA, "b", 4), "under"), name="t")),
        {"relu": (0, 8), "t": (4, 8)},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_which_tensors_lie_in_others(case):
    net, expected = CASES[case]
    assert parts(made(net)) == expected


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("threads", [1, 2])
def test_nobody_can_tell(case, batch, threads, monkeypatch):
    """Outputs are those of a pass with gradients, in which all is copied."""
    net, _ = CASES[case]
    monkeypatch.setattr(shards, "SHORTEST", 1e-15)
    monkeypatch.setattr(shards, "FEWEST", ((1, 0.0),))
    monkeypatch.setattr(shards, "RUN", 0.0)
    set_threads(threads)
    try:
        executor = made(net, batch)
        expected = [
            output.copy() for output in made(net, batch, "direct", gradients=True).forward(train=True)
        ]
        for _ in range(2):
            for output, right in zip(executor.forward(), expected):
                np.testing.assert_allclose(output, right, rtol=1e-11, atol=1e-11)
    finally:
        set_threads(1)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("small", [False, True])
def test_rows_between_others(batch, small, monkeypatch):
    """With the channels last a convolution writes long rows between others; what else there is copies.

    Also where each shard has a block of its own.
    """
    if small:
        monkeypatch.setattr(shards, "SHORTEST", 1e-15)
        monkeypatch.setattr(shards, "FEWEST", ((1, 0.0),))
    net = conv(DATA, "first", 16)
    net = mx.sym.Concat(conv(net, "a", 16, kernel=(1, 1), pad=()), conv(net, "b", 24), name="long")
    net = mx.sym.Concat(conv(net, "c", 16), relu(conv(net, "d", 24), "relu"), name="rectified")
    net = mx.sym.Concat(conv(net, "e", 16), conv(net, "f", 15), name="short")
    net = conv(net, "end", 16)
    monkeypatch.setattr(convolution, "cost_of_output", lambda _, last, *rest: 1.0 - last)
    executor = made(net, batch)
    assert parts(executor) == {"a": (0, 40), "b": (16, 40)}
    assert steps(executor).keys() >= {"rectified", "short"}
    several = steps(executor)["a"].tensors["output"].blocks.ends
    assert len(several) == (3 if small and batch > 1 else 2)
    (output,) = executor.forward()
    monkeypatch.undo()
    (right,) = made(net, batch, "direct", gradients=True).forward(train=True)
    np.testing.assert_allclose(output, right, rtol=1e-11, atol=1e-11)


def test_nothing_runs():
    """A Concat whose inputs lie in its output is no step, is seen nevertheless, and takes no memory."""
    net = conv(fire(DATA, "a"), "end", 2)
    executor = made(net)
    assert "a" not in steps(executor)
    seen = {node.name: arrays["output"].copy() for node, arrays in executor.watch()}
    np.testing.assert_array_equal(seen["a"], np.concatenate([seen["a_1"], seen["a_3"]], axis=1))
    assert "a" in steps(made(net, gradients=True), train=True), "its gradient wants the sizes"
    tensors = [step.tensors["output"] for step in executor.plan(False).steps[-3:-1]]
    assert len({tensor.offset for tensor in tensors}) == 1

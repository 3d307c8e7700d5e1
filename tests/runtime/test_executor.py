"""Plans and executors: memory is shared safely, nothing is allocated, wrong calls are told."""

import tracemalloc

import numpy as np
import pytest
from interpreter import Interpreter, shapes_of

import netdef as mx
from netdef.ops import convolving
from netdef.ops.conv_choice import PLAIN
from netdef.runtime import pieces, planner
from netdef.runtime.executor import Executor
from netdef.runtime.shards import Sharding
from netdef.runtime.threads import set_threads


def lenet():
    """Caffe's LeNet as a symbol."""
    net = mx.sym.Variable("data")
    for number, filters in ((1, 20), (2, 50)):
        net = mx.sym.Convolution(net, num_filter=filters, kernel=(5, 5), name=f"conv{number}")
        net = mx.sym.Pooling(net, pool_type="max", kernel=(2, 2), stride=(2, 2), name=f"pool{number}")
    net = mx.sym.FullyConnected(net, num_hidden=500, name="ip1")
    net = mx.sym.Activation(net, act_type="relu", name="relu1")
    net = mx.sym.FullyConnected(net, num_hidden=10, name="ip2")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def bound(net, **shapes):
    """An executor with small random weights and labels 0, 1, 2, ..."""
    executor = net.simple_bind(**shapes)
    random = np.random.default_rng(3)
    for name, array in executor.arg_dict.items():
        array[:] = random.normal(0, 0.05, array.shape)
        if name.endswith("label"):
            array[:] = np.arange(array.size).reshape(array.shape) % 10
    return executor


def test_sharing_memory_changes_no_value(monkeypatch):
    """A training step of LeNet gives the bits of a run in which every tensor has its own memory.

    Uncut, batch first and with plain columns, because anything else adds up in another order than the
    interpreter, which tunes no operator.
    """
    monkeypatch.setattr(convolving, "choose", lambda *_: PLAIN)
    monkeypatch.setattr(pieces, "MOST", 1)
    monkeypatch.setattr(planner, "shard", lambda *_: Sharding())
    net = lenet()
    executor = bound(net, data=(8, 1, 28, 28))
    arrays = {name: array.asnumpy() for name, array in executor.arg_dict.items()}
    interpreter = Interpreter(net, shapes_of(net, {"data": (8, 1, 28, 28)}), arrays)
    (expected,) = interpreter.forward(train=True)
    gradients = interpreter.backward([np.ones_like(expected)], arrays.keys())

    plan = executor.engine.plan(True)
    assert plan.arena_bytes < plan.unshared_bytes
    executor.forward(is_train=True)
    executor.backward()
    np.testing.assert_array_equal(executor.outputs[0].asnumpy(), expected)
    found = {name: gradient.asnumpy() for name, gradient in executor.grad_dict.items()}
    assert not found.pop("softmax_label").any()
    assert found.keys() == arrays.keys() - {"softmax_label"}
    for name, gradient in found.items():
        assert gradient.any()
        np.testing.assert_array_equal(gradient, gradients[name], name)


def test_a_training_step_allocates_no_array_data():
    """After the first step numpy's allocations of array data stand still."""
    executor = bound(lenet(), data=(8, 1, 28, 28))
    engine = executor.engine

    def step():
        engine.forward(True)
        engine.backward()

    step()
    tracemalloc.start()
    try:
        domain = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
        before = tracemalloc.take_snapshot().filter_traces([domain])
        tracemalloc.reset_peak()
        step()
        after = tracemalloc.take_snapshot().filter_traces([domain])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert sum(s.size_diff for s in after.compare_to(before, "filename")) == 0
    assert peak < 1_000_000, "temporaries of array size show in the peak"


def test_plans_are_the_same_every_time():
    """A plan depends on the graph and the shapes alone."""
    net = lenet()
    one, two = (bound(net, data=(4, 1, 28, 28)).engine.plan(True) for _ in range(2))

    assert [(s.node.name, dict(s.tensors)) for s in one.steps] == [
        (s.node.name, dict(s.tensors)) for s in two.steps
    ]


def test_an_input_given_twice_is_not_overwritten():
    """(x + 1) + (x + 1) + (x + 1): the sum may take the memory of none of its inputs, since all are one."""
    e = mx.sym.Variable("x") + 1
    executor = mx.sym.ElementWiseSum(e, e, e).bind(mx.cpu(), {"x": mx.nd.ones(4)})

    assert executor.forward()[0].asnumpy().tolist() == [6, 6, 6, 6]


def test_a_value_that_is_read_later_is_not_overwritten():
    """2x + 1 may not take the memory of 2x, which the product still reads."""
    double = mx.sym.Variable("x") * 2
    executor = ((double + 1) * double).bind(mx.cpu(), {"x": mx.nd.full(4, 3)})

    assert executor.forward()[0].asnumpy().tolist() == [42] * 4


def test_memory_is_in_use_as_long_as_a_view_of_it():
    """The memory of 2x, which nobody but a view reads, may not be given to 3y while the view is needed."""
    x, y = mx.sym.Variable("x"), mx.sym.Variable("y")
    net = mx.sym.Concat(mx.sym.Flatten(x * 2), mx.sym.Flatten(y * 3))
    arrays = {"x": mx.nd.full((2, 3, 4), 1), "y": mx.nd.full((2, 3, 4), 10)}
    executor = net.bind(mx.cpu(), arrays)

    assert executor.forward()[0].asnumpy().tolist() == [[2] * 12 + [30] * 12] * 2


@pytest.mark.parametrize("train", [False, True])
def test_every_output_has_memory_of_its_own(train):
    """A caller may change one output without changing another one, an argument or a state."""
    x = mx.sym.Variable("x")
    double = x * 2
    views = [mx.sym.Flatten(x), mx.sym.BlockGrad(double), mx.sym.Flatten(double), double]
    executor = mx.sym.Group(views).bind(mx.cpu(), {"x": mx.nd.ones((2, 3))})
    arrays = [output.array for output in executor.forward(is_train=train)]

    arrays.append(executor.arg_dict["x"].array)
    for number, array in enumerate(arrays):
        assert not any(np.shares_memory(array, other) for other in arrays[:number])
    assert [array.ravel().tolist() for array in arrays] == [[size] * 6 for size in (1, 2, 2, 2, 1)]


def test_any_number_of_threads_gives_the_same_bits():
    """Pieces do not depend on the number of threads, nor does the order in which their shares are added."""
    found = []
    for count in (1, 2, 3):
        executor = lenet().simple_bind(data=(32, 1, 28, 28))
        random = np.random.default_rng(0)
        for name, array in executor.arg_dict.items():
            array[:] = 1 if name.endswith("label") else random.standard_normal(array.shape) / 10
        set_threads(count)
        try:
            executor.forward(is_train=True)
            executor.backward([mx.nd.ones(output.shape) for output in executor.outputs])
        finally:
            set_threads(1)
        found.append([array.asnumpy().tobytes() for array in executor.grad_dict.values()])
    assert any(step.pieces for step in executor.engine.plan(True).steps)
    assert found[0] == found[1] == found[2]


def test_flatten_is_a_view():
    """No kernel runs where the output is the input's memory under another shape."""
    net = mx.sym.Flatten(mx.sym.Variable("data") * 2, name="flat")
    net = mx.sym.FullyConnected(net, num_hidden=3, name="fc")
    executor = net.simple_bind(data=(2, 3, 4))

    assert [type(step.op).__name__ for step in executor.engine.plan(False).steps] == [
        "MulScalar",
        "FullyConnected",
    ]


def test_inference_keeps_batch_norm_statistics():
    """Only a training pass moves the averages, once its gradients are computed (MXNet's moment)."""
    net = mx.sym.BatchNorm(mx.sym.Variable("data"), name="bn")
    executor = net.simple_bind(data=(4, 3))
    executor.arg_dict["data"][:] = np.arange(12).reshape(4, 3)
    executor.forward()
    assert executor.aux_dict["bn_moving_mean"].asnumpy().tolist() == [0, 0, 0]

    executor.forward(is_train=True)
    assert executor.aux_dict["bn_moving_mean"].asnumpy().tolist() == [0, 0, 0]

    executor.backward(mx.nd.ones((4, 3)))
    np.testing.assert_allclose(
        executor.aux_dict["bn_moving_mean"].asnumpy(), np.array([4.5, 5.5, 6.5]) * 0.1, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("use", "kind", "message"),
    [
        (lambda e: e.backward(), mx.MXNetError, "needs forward"),
        (lambda e: (e.forward(), e.backward(e.outputs)), mx.MXNetError, "needs forward"),
        (
            lambda e: (e.forward(is_train=True), e.forward(), e.backward(e.outputs)),
            mx.MXNetError,
            "needs forward",
        ),
        (lambda e: e.forward(dta=np.zeros((2, 3))), TypeError, "no argument dta"),
        (lambda e: e.forward(data=np.zeros((2, 4))), ValueError, "2x3, not 2x4"),
        (
            lambda e: e.symbol.bind(mx.cpu(), {"data": mx.nd.zeros((2, 3))}),
            ValueError,
            "`fc_weight` is missing in `args`",
        ),
        (lambda e: e.symbol.bind(mx.cpu(), [mx.nd.zeros((2, 3))]), ValueError, "1 arrays, but 3"),
        (
            lambda e: e.symbol.bind(mx.cpu(), [mx.nd.zeros((2, 3)), mx.nd.zeros((2, 9)), mx.nd.zeros(2)]),
            mx.MXNetError,
            "weight is 2x9",
        ),
        (lambda e: e.symbol.simple_bind(), mx.MXNetError, "data"),
        (lambda e: e.symbol.simple_bind(grad_req="wirte", data=(2, 3)), ValueError, "write, add, null"),
        (lambda e: e.symbol.simple_bind(mx.gpu(0), data=(2, 3)), mx.EnvironmentFault, "netdef\\[gpu\\]"),
    ],
)
def test_wrong_calls_say_what_to_change(use, kind, message):
    """Each misuse raises what MXNet's users expect, with a message that names the array."""
    executor = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc").simple_bind(
        data=(2, 3)
    )

    with pytest.raises(kind, match=message):
        use(executor)


def test_a_second_backward_gives_the_same_gradients():
    """MXNet allows it, so backward may not use up the values that forward left."""
    x = mx.sym.Variable("x")
    net = mx.sym.Activation(mx.sym.Activation(x * 2, act_type="sigmoid"), act_type="tanh")
    executor = net.bind(mx.cpu(), {"x": mx.nd.ones(4)}, {"x": mx.nd.zeros(4)})
    executor.forward(is_train=True)
    executor.backward(mx.nd.ones(4))
    gradient = executor.grad_dict["x"].asnumpy()
    executor.grad_dict["x"][:] = 0

    executor.backward(mx.nd.ones(4))
    np.testing.assert_array_equal(executor.grad_dict["x"].asnumpy(), gradient)
    executor.backward(mx.nd.ones(4) * 2)
    np.testing.assert_allclose(executor.grad_dict["x"].asnumpy(), gradient * 2, rtol=1e-6)


def test_a_plan_for_one_backward_pass_refuses_a_second():
    """The training loop's plans reuse what backward has read, so there another forward pass is needed."""
    x = mx.sym.Variable("x")
    net = mx.sym.Activation(mx.sym.Activation(x * 2, act_type="sigmoid"), act_type="tanh")
    executor = Executor(net, mx.cpu(), {"x": np.ones(4)}, {"x": np.zeros(4)}, {"x": "write"})
    executor.forward(train=True)
    executor.backward([np.ones(4)])

    with pytest.raises(mx.MXNetError, match=r"needs forward.* anew"):
        executor.backward([np.ones(4)])


def test_watching_shows_every_part_of_a_split():
    """An operator whose attributes say how many outputs it has is watched with all of them."""
    executor = mx.sym.SliceChannel(mx.sym.Variable("data"), num_outputs=2).simple_bind(data=(3, 2))
    executor.arg_dict["data"][:] = np.arange(6).reshape(3, 2)

    ((_, outputs),) = executor.engine.watch()

    assert {name: array.ravel().tolist() for name, array in outputs.items()} == {
        "output0": [0, 2, 4],
        "output1": [1, 3, 5],
    }

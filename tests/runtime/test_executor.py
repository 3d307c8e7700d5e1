"""Plans and executors: memory is shared safely, nothing is allocated, wrong calls are told."""

import tracemalloc

import numpy as np
import pytest

import netdef as mx


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


def test_sharing_memory_changes_no_value():
    """The planned step gives the bits of a run in which every tensor has its own memory."""
    executor = bound(lenet(), data=(8, 1, 28, 28))
    executor.forward(is_train=True)
    executor.backward()
    shared = [gradient.asnumpy() for gradient in executor.grad_arrays]
    plan = executor.engine.plan(True)
    assert plan.arena_bytes < plan.unshared_bytes

    nodes = {}
    for kernel_step in plan.steps:
        arrays = {}
        for name, tensor in kernel_step.tensors.items():
            if tensor.offset >= 0:
                arrays[name] = nodes.setdefault(
                    (tensor.name, tensor.shape), np.empty(tensor.shape, tensor.dtype)
                )
            elif tensor.name.startswith("grad:"):
                key = (tensor.name, tensor.shape)
                arrays[name] = nodes.setdefault(key, np.empty(tensor.shape, tensor.dtype))
            else:
                arrays[name] = executor.arg_dict[tensor.name].array.reshape(tensor.shape)
        kernel = kernel_step.op.backward if kernel_step.backward else kernel_step.op.forward
        code = kernel.__code__
        names = code.co_varnames[1 : code.co_argcount]
        kernel(*({"xp": np, "train": True}.get(name, arrays.get(name)) for name in names))
    for name, gradient in zip(executor.symbol.list_arguments(), shared):
        np.testing.assert_array_equal(nodes[f"grad:{name}", gradient.shape], gradient) if not name.endswith(
            "label"
        ) else None


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
    """Only a training pass moves the averages."""
    net = mx.sym.BatchNorm(mx.sym.Variable("data"), name="bn")
    executor = net.simple_bind(data=(4, 3))
    executor.arg_dict["data"][:] = np.arange(12).reshape(4, 3)
    executor.forward()
    assert executor.aux_dict["bn_moving_mean"].asnumpy().tolist() == [0, 0, 0]

    executor.forward(is_train=True)
    np.testing.assert_allclose(
        executor.aux_dict["bn_moving_mean"].asnumpy(), np.array([4.5, 5.5, 6.5]) * 0.1, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("use", "kind", "message"),
    [
        (lambda e: e.backward(), mx.MXNetError, "before"),
        (lambda e: e.forward(dta=np.zeros((2, 3))), TypeError, "no argument dta"),
        (lambda e: e.forward(data=np.zeros((2, 4))), ValueError, "2x3, not 2x4"),
        (
            lambda e: e.symbol.bind(mx.cpu(), {"data": mx.nd.zeros((2, 3))}),
            mx.MXNetError,
            "fc_weight, fc_bias",
        ),
        (lambda e: e.symbol.bind(mx.cpu(), [mx.nd.zeros((2, 3))]), mx.MXNetError, "1 arrays, but 3"),
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

"""MXNet's Executor: its arrays, other shapes in the same memory, monitors, what it refuses."""

import tracemalloc

import numpy as np
import pytest

import netdef as mx

RANDOM = np.random.default_rng(0)


def mlp():
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=4, name="fc1")
    net = mx.sym.Activation(net, act_type="tanh", name="act")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=3, name="fc2"), name="softmax")


def filled(executor):
    for name, array in executor.arg_dict.items():
        array[:] = 1 if name.endswith("label") else RANDOM.standard_normal(array.shape)
    return executor


def bound(**options):
    return filled(mlp().simple_bind(data=(4, 5), **options))


def test_arrays_come_by_name_and_in_order():
    """Gradients that nobody wants are None; outputs are the same arrays from pass to pass."""
    executor = bound(grad_req={"fc1_weight": "write"})

    names = ["data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias", "softmax_label"]
    assert list(executor.arg_dict) == list(executor.grad_dict) == names
    assert [array is not None for array in executor.grad_arrays] == [name == "fc1_weight" for name in names]
    outputs = executor.forward()
    assert executor.outputs is outputs
    assert executor.output_dict["softmax_output"] is outputs[0]
    assert executor.forward() is outputs


def test_a_smaller_batch_uses_the_same_memory():
    """Parameters are shared, inputs begin where the old ones do, gradients too."""
    executor = bound()
    small = executor.reshape(partial_shaping=True, data=(2, 5))

    small.arg_dict["fc1_weight"][:] = 7
    assert (executor.arg_dict["fc1_weight"].asnumpy() == 7).all()
    small.arg_dict["data"][:] = 9
    assert (executor.arg_dict["data"].asnumpy()[:2] == 9).all()
    assert (executor.arg_dict["data"].asnumpy()[2:] != 9).all()
    assert small.arg_dict["softmax_label"].shape == (2,)
    values = small.forward(is_train=True)[0].asnumpy()
    small.backward()
    np.testing.assert_allclose(values, executor.forward()[0].asnumpy()[:2], rtol=1e-6)
    assert np.shares_memory(small.grad_dict["fc1_weight"].array, executor.grad_dict["fc1_weight"].array)


def test_what_reshape_refuses():
    """Arguments that change unasked, that grow, that do not exist."""
    executor = bound()
    for shapes, words in (
        ({"data": (2, 5)}, "softmax_label becomes 2 from 4, though it is not named"),
        ({"data": (8, 5), "softmax_label": (8,)}, "data grows from 4x5 to 8x5: give allow_up_sizing"),
        ({"dat": (2, 5)}, "no argument dat; did you mean data"),
        ({"data": (2, 5), "fc1_weight": (4, 6)}, "fc1"),
    ):
        with pytest.raises(mx.MXNetError, match=words):
            executor.reshape(**shapes)
    larger = executor.reshape(allow_up_sizing=True, data=(8, 5), softmax_label=(8,))
    assert larger.forward()[0].shape == (8, 3)


def test_executors_share_memory_for_values_in_between():
    """With shared_exec a second executor allocates nothing for them; arguments and states may be shared."""
    net = mx.sym.BatchNorm(
        mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=1000, name="fc"), name="bn"
    )
    net = mx.sym.Activation(net, act_type="tanh", name="act")
    first = net.simple_bind(data=(500, 100))
    first.forward(is_train=True)

    tracemalloc.start()
    second = net.simple_bind(
        data=(500, 100), grad_req="null", shared_exec=first, shared_arg_names=["fc_weight", "fc_bias"]
    )
    second.forward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert second.arg_dict["fc_weight"] is first.arg_dict["fc_weight"]
    assert second.aux_dict["bn_moving_mean"] is first.aux_dict["bn_moving_mean"]
    assert second.arg_dict["data"] is not first.arg_dict["data"]
    assert peak < 500 * 100 * 4 + 1_000_000, "the values in between take 4 MB"
    with pytest.raises(mx.MXNetError, match="fc_weight is 1000x100 of float32 in shared_exec, but 1000x7"):
        net.simple_bind(data=(500, 7), shared_exec=first, shared_arg_names=["fc_weight"])
    with pytest.raises(mx.MXNetError, match="needs a shared_exec"):
        net.simple_bind(data=(500, 7), shared_arg_names=["fc_weight"])


def test_arguments_come_from_a_buffer():
    """As BucketingModule binds its buckets: the largest first."""
    buffer = {}
    large = mlp().simple_bind(data=(8, 5), shared_buffer=buffer)
    small = mlp().simple_bind(data=(2, 5), shared_buffer=buffer)

    assert np.shares_memory(large.arg_dict["data"].array, small.arg_dict["data"].array)
    assert buffer["data"].shape == (8, 5)


def test_parameters_are_copied_in():
    """By name; others only if allowed; shapes have to fit."""
    executor = bound()
    executor.copy_params_from({"fc1_bias": mx.nd.ones(4)})
    assert executor.arg_dict["fc1_bias"].asnumpy().tolist() == [1] * 4
    executor.copy_params_from({"more": mx.nd.ones(4)}, allow_extra_params=True)
    for given, words in (
        ({"fc1_bais": mx.nd.ones(4)}, 'name "fc1_bais" that is not in the arguments; did you mean fc1_bias'),
        ({"fc1_bias": mx.nd.ones(3)}, "fc1_bias has the shape 4, not 3"),
    ):
        with pytest.raises(ValueError, match=words):
            executor.copy_params_from(given)


def test_a_monitor_is_told_every_result():
    """Outputs in order, also those that are views, then the gradients that backward writes."""
    net = mx.sym.Flatten(mx.sym.Variable("x") * 2, name="flat")
    net = mx.sym.SliceChannel(mx.sym.BatchNorm(net, name="bn"), num_outputs=2, name="parts")
    executor = mx.sym.Group([net[1] + net[0]]).simple_bind(x=(3, 2, 2))
    executor.arg_dict["x"][:] = RANDOM.standard_normal((3, 2, 2))
    executor.arg_dict["bn_gamma"][:] = 1
    seen = {}
    executor.set_monitor_callback(lambda name, array: seen.setdefault(name, array.asnumpy()))

    executor.forward(is_train=True)
    assert (
        list(seen)
        == [
            "_mulscalar0_output",
            "flat_output",
            "bn_output",
            "parts_output0",
            "parts_output1",
            "_plus0_output",
        ]
        or len(seen) == 6
    )
    np.testing.assert_allclose(seen["flat_output"], executor.arg_dict["x"].asnumpy().reshape(3, 4) * 2)
    np.testing.assert_array_equal(seen["parts_output1"], seen["bn_output"][:, 2:])
    seen.clear()
    executor.backward(mx.nd.ones((3, 2)))
    assert "parts_backward_output" in seen
    assert "bn_backward_output0" in seen
    np.testing.assert_array_equal(seen["bn_backward_output2"], executor.grad_dict["bn_beta"].asnumpy())

    executor.set_monitor_callback(None)
    seen.clear()
    executor.forward()
    assert not seen


def test_a_monitor_may_see_inputs():
    """Variables by their names, every input by the operator's name for it."""
    executor = bound()
    names = []
    executor.set_monitor_callback(lambda name, array: names.append(name), monitor_all=True)
    executor.forward()
    assert {"data", "fc1_data", "act_input0", "fc2_data", "softmax_data", "softmax_label"} <= set(names)


def test_monitored_passes_compute_the_same():
    """Watching changes neither results nor gradients."""
    plain, watched = bound(), mlp().simple_bind(data=(4, 5))
    watched.copy_params_from(plain.arg_dict)
    watched.set_monitor_callback(lambda name, array: None)
    for executor in (plain, watched):
        executor.forward(is_train=True)
        executor.backward()
    np.testing.assert_array_equal(plain.outputs[0].asnumpy(), watched.outputs[0].asnumpy())
    for name, gradient in plain.grad_dict.items():
        np.testing.assert_array_equal(gradient.asnumpy(), watched.grad_dict[name].asnumpy())


def test_a_pass_may_run_in_steps():
    """partial_forward says how many are left; then backward may follow."""
    executor = bound()
    expected = executor.forward(is_train=True)[0].asnumpy()
    steps, left = 0, 1
    while left:
        left = executor.partial_forward(True, steps)
        steps += 1
    np.testing.assert_array_equal(executor.outputs[0].asnumpy(), expected)
    executor.backward()
    with pytest.raises(mx.MXNetError, match="no step 9; the forward pass has 4"):
        executor.partial_forward(True, 9)


def test_gradients_of_heads_by_name_and_by_place():
    """As a list, a dict, or a single array; each has to fit."""
    x = mx.sym.Variable("x")
    executor = mx.sym.Group([x * 2, x * x]).bind(
        args={"x": mx.nd.array([3])}, args_grad={"x": mx.nd.zeros(1)}
    )
    for given, expected in (
        ([mx.nd.ones(1), mx.nd.zeros(1)], 2),
        ({"_mul0_output": mx.nd.ones(1), "_mulscalar0_output": mx.nd.ones(1)}, 8),
    ):
        executor.forward(is_train=True)
        names = executor.symbol.list_outputs()
        if isinstance(given, dict):
            given = dict(zip(names, given.values()))
        executor.backward(given)
        assert executor.grad_dict["x"].asscalar() == expected
    for given, kind, words in (
        (None, mx.MXNetError, "is no loss: give backward a gradient of the shape 1"),
        ([mx.nd.ones(1)], mx.MXNetError, "1 head gradients for 2 outputs"),
        ([mx.nd.ones(1), mx.nd.ones(2)], ValueError, "1, not 2"),
        ({"y": mx.nd.ones(1)}, mx.MXNetError, "no output y"),
        ([1, 2], TypeError, "must be an NDArray"),
    ):
        with pytest.raises(kind, match=words):
            executor.backward(given)


def test_binding_says_which_array_is_wrong():
    """ValueError for what is missing, TypeError for what is no array, MXNetError for what does not fit."""
    net = mx.sym.FullyConnected(mx.sym.Variable("a"), num_hidden=2, name="f")
    a, w, b = mx.nd.ones((2, 3)), mx.nd.ones((2, 3)), mx.nd.ones(2)
    for args, more, kind, words in (
        ({"a": a, "f_bias": b}, {}, ValueError, "key `f_weight` is missing in `args`"),
        ({"a": a, "f_weight": w, "f_bias": np.ones(2)}, {}, TypeError, "f_bias must be an NDArray"),
        (3, {}, TypeError, "args must be a list of NDArrays or a dict"),
        ([a, w], {}, ValueError, "2 arrays, but 3"),
        ([a, w, mx.nd.ones(2, dtype="float64")], {}, mx.MXNetError, "float64"),
        ([a, w, b], {"args_grad": [b]}, ValueError, "args_grad holds 1 arrays"),
        ([a, w, b], {"args_grad": {"f_bias": mx.nd.ones(3)}}, mx.MXNetError, "gradient array of f_bias"),
        ([a, w, b], {"grad_req": "writ"}, ValueError, "grad_req of a is 'writ'; legal: write, add, null"),
    ):
        with pytest.raises(kind, match=words):
            net.bind(args=args, **more)
    assert net.bind(args={"a": a, "f_weight": w, "f_bias": b, "more": a}).outputs[0].shape == (2, 2)


def test_equal_names_are_one_array_for_arrays_by_name():
    """As in MXNet; without names it cannot be told which is meant."""
    net = mx.sym.Variable("a") * mx.sym.Variable("a")
    assert net.bind(args={"a": mx.nd.array([3])}).forward()[0].asscalar() == 9
    with pytest.raises(mx.MXNetError, match="two arguments are called a"):
        net.simple_bind(a=(1,))


def test_debug_str_has_the_plan():
    """The graph, then where results live."""
    text = bound().debug_str()
    assert "Op:FullyConnected, Name=fc1" in text
    assert "peak" in text


def test_a_matrix_that_cannot_be_factored_is_told():
    """numpy's LinAlgError arrives as MXNetError."""
    executor = mx.sym.linalg.potrf(mx.sym.Variable("a")).bind(args={"a": mx.nd.array([[-1.0]])})
    with pytest.raises(mx.MXNetError, match="positive definite"):
        executor.forward()
    with pytest.raises(mx.MXNetError, match="positive definite"):
        mx.nd.linalg.potrf(mx.nd.array([[-1.0]]))


def test_no_gradients_are_wanted_where_grad_req_is_none():
    """None is how MXNet's simple_bind may be told so."""
    ex = mx.sym.exp(mx.sym.Variable("x")).simple_bind(mx.cpu(), grad_req=None, x=(2,))

    assert ex.grad_arrays == [None]

"""`mx.test_utils`: what it accepts and what it refuses, with MXNet 1.9.1's tolerances."""

import sys

import numpy as np
import pytest

import netdef as mx
from netdef.mx import test_utils as utils

A = np.array
X = A([[1.0, 2.0], [3.0, -4.0]])
Y = A([[0.5, 1.0], [2.0, 3.0]])
V = mx.sym.Variable


@pytest.fixture(autouse=True)
def seeded():
    """The same random numbers for every test."""
    np.random.seed(0)


# -- comparing --


@pytest.mark.parametrize(
    ("dtype", "inside", "outside"),
    [("float16", 0.10, 0.125), ("float32", 1.0e-3, 1.2e-3), ("float64", 0.9e-5, 1.2e-5), ("int32", 0, 1)],
)
def test_tolerances_follow_from_the_type(dtype, inside, outside):
    """atol + rtol * |b| for b = 1."""
    one = np.ones(3, dtype)
    utils.assert_almost_equal(one + A(inside, dtype), one)
    with pytest.raises(AssertionError):
        utils.assert_almost_equal(one + A(outside, dtype), one)


def test_large_whole_numbers_are_compared_exactly():
    """Though float64 cannot tell them apart."""
    utils.assert_almost_equal(A([2**53 + 1]), A([2**53 + 1]))
    with pytest.raises(AssertionError):
        utils.assert_almost_equal(A([2**53 + 1]), A([2**53]))


def test_the_coarser_type_decides():
    """A float32 beside a float64 is compared as float32; so is an NDArray."""
    utils.assert_almost_equal(A([1.0], "float32"), A([1.0009]))
    utils.assert_almost_equal(mx.nd.array([1.0]), A([1.0009]))
    with pytest.raises(AssertionError):
        utils.assert_almost_equal(A([1.0]), A([1.0009]))
    assert utils.get_tols(A([1.0], "float32"), A([1.0]), None, 0.5) == (1e-4, 0.5)


def test_tolerances_may_be_given():
    """For all types, or by type; relative ones are relative to the second array."""
    utils.assert_almost_equal(A([1.0]), A([1.1]), rtol=0.1)
    with pytest.raises(AssertionError):
        utils.assert_almost_equal(A([1.1]), A([1.0]), rtol=0.09)
    utils.assert_almost_equal(A([1.0]), A([1.1]), rtol=0, atol=0.2)
    utils.assert_almost_equal(A([1.0]), A([1.1]), atol={np.float64: 0.2})


def test_the_message_has_the_worst_places():
    """The largest violations first, with what the arrays are called."""
    left, right = np.zeros((2, 3)), A([[0, 0, 3.0], [1.0, 0, 2.0]])
    with pytest.raises(AssertionError) as caught:
        utils.assert_almost_equal(left, right, rtol=0, atol=0.5, names=("GOT", "WANTED"), mismatches=(2, 2))

    assert str(caught.value).splitlines() == [
        "GOT and WANTED differ in 3 of 6 elements by more than rtol=0, atol=0.5; the worst:",
        "  6 times the tolerance at (0, 2): GOT=0, WANTED=3",
        "  4 times the tolerance at (1, 2): GOT=0, WANTED=2",
    ]


def test_values_that_are_no_numbers():
    """NaN equals NaN only when it is said so, infinity equals itself."""
    nan, inf = A([np.nan]), A([np.inf])
    with pytest.raises(AssertionError, match="a=nan, b=nan"):
        utils.assert_almost_equal(nan, nan)
    utils.assert_almost_equal(nan, nan, equal_nan=True)
    utils.assert_almost_equal(inf, inf)
    for other in (-inf, A([1.0]), nan):
        with pytest.raises(AssertionError):
            utils.assert_almost_equal(inf, other)
    assert not utils.almost_equal(nan, nan)
    assert utils.almost_equal(nan, nan, equal_nan=True)
    assert not utils.same(nan, nan)


def test_shapes_must_fit():
    """Equal, or such that they can be broadcast."""
    utils.assert_almost_equal(A([1, 1]), A([1]))
    assert utils.almost_equal(A([1.0, 1.0]), 1.0)
    for call in (utils.assert_almost_equal, utils.almost_equal):
        with pytest.raises(AssertionError, match="shapes"):
            call(A([1, 1]), A([1]), use_broadcast=False)
        with pytest.raises(AssertionError, match=r"\(2, 3\) and \(3, 2\) do not fit"):
            call(np.zeros((2, 3)), np.zeros((3, 2)))
    assert utils.same(A([1, 2]), mx.nd.array([1, 2]))
    assert not utils.same(A([1, 1]), A([1]))
    with pytest.raises(TypeError, match="<U1 cannot be compared"):
        utils.assert_almost_equal(A(["a"]), A(["a"]))


def test_almost_equal_has_the_tolerances_of_float64():
    """Whatever the arrays are."""
    assert utils.almost_equal(A([1.0]), A([1 + 9e-6]))
    assert not utils.almost_equal(A([1.0], "f"), A([1.0001], "f"))
    assert (utils.get_rtol(), utils.get_atol()) == (1e-5, 1e-20)
    assert (utils.get_rtol(0.5), utils.get_atol(dtype=np.float16)) == (0.5, 0.1)


# -- defaults and random things --


def test_defaults():
    """Where and in what the functions compute."""
    assert (utils.default_context(), utils.default_dtype()) == (mx.cpu(), np.float32)
    utils.set_default_context(mx.cpu(1))
    try:
        assert utils.default_context() == mx.cpu(1)
        assert utils.rand_ndarray((2,)).context == mx.cpu(1)
    finally:
        utils.set_default_context(mx.cpu())
    with pytest.raises(TypeError, match="ctx must be a Context"):
        utils.set_default_context("cpu")


def test_no_gpus_without_cupy(monkeypatch):
    """Which computes on them."""
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert utils.list_gpus() == []


def test_random_shapes_and_arrays():
    """Sizes from 1, or 0 if that is allowed; floats of 32 bits."""
    sizes = {size for _ in range(60) for size in utils.rand_shape_2d(3, 3)}
    assert sizes == {1, 2, 3}
    assert {size for _ in range(60) for size in utils.rand_shape_3d(1, 1, 1, allow_zero_size=True)} == {0, 1}
    assert utils.rand_shape_nd(4, 1) == (1, 1, 1, 1)
    single, pair = utils.random_arrays((2, 3)), utils.random_arrays((2,), ())
    assert (single.shape, single.dtype) == ((2, 3), np.float32)
    assert [array.shape for array in pair] == [(2,), ()]
    drawn = utils.rand_ndarray((500,), dtype="float64")
    assert (drawn.shape, drawn.dtype) == ((500,), np.float64)
    assert abs(drawn.asnumpy().mean()) < 0.2
    assert 0.8 < drawn.asnumpy().std() < 1.2
    with pytest.raises(mx.MXNetError, match="'csr' is not known"):
        utils.rand_ndarray((2, 2), "csr")


# -- forward and backward --


def test_simple_forward():
    """An array for one output, a list for several."""
    data = V("data")
    assert np.array_equal(utils.simple_forward(data * 2, data=X), 2 * X)
    both = utils.simple_forward(mx.sym.Group([data * 2, data + V("w")]), data=X, w=Y)
    assert [output.tolist() for output in both] == [(2 * X).tolist(), (X + Y).tolist()]
    with pytest.raises(ValueError, match="data"):
        utils.simple_forward(data * 2)


def scaled():
    """A normalization whose results in prediction are simple: data / sqrt(1 + eps)."""
    return mx.sym.BatchNorm(V("data"), fix_gamma=False, eps=1e-3, name="bn")


def test_outputs_are_compared():
    """Lists in order, dicts by name; what comes back are the outputs."""
    data = V("data")
    net = mx.sym.Group([data * 2, mx.sym.elemwise_add(data, V("w"), name="sum")])
    outputs = utils.check_symbolic_forward(net, [X, Y], [2 * X, X + Y])
    assert [output.shape for output in outputs] == [(2, 2), (2, 2)]
    utils.check_symbolic_forward(net, {"data": X, "w": mx.nd.array(Y)}, {"sum_output": X + Y})
    for expected in ([2 * X, X], {"sum_output": X}):
        with pytest.raises(
            AssertionError, match="EXPECTED_sum_output and FORWARD_sum_output differ in 4 of 4"
        ):
            utils.check_symbolic_forward(net, [X, Y], expected)
    utils.check_symbolic_forward(net, [X, Y], [2 * X + 0.1], atol=0.2)


def test_states_are_given_and_the_pass_is_one_of_prediction():
    """By list or by name."""
    names = ["bn_moving_mean", "bn_moving_var"]
    for states in ([np.zeros(2), np.ones(2)], dict(zip(names, [np.zeros(2), np.ones(2)]))):
        location, expected = [X, np.ones(2), np.zeros(2)], [X / np.sqrt(1.001)]
        utils.check_symbolic_forward(scaled(), location, expected, aux_states=states)


def test_types_of_the_computation():
    """float32 by default; with "asnumpy" each array keeps its own."""
    tiny = A([1e-12])
    net = (V("data") + 1) - 1
    utils.check_symbolic_forward(net, [tiny], [tiny], rtol=1e-3, atol=0, dtype="asnumpy")
    with pytest.raises(AssertionError):
        utils.check_symbolic_forward(net, [tiny], [tiny], rtol=1e-3, atol=0)


def test_gradients_are_compared():
    """For the arguments that are named; with "add" beside what was there, with "null" untouched."""
    net = V("data") * V("w")
    gradients = utils.check_symbolic_backward(net, [X, Y], [Y], [Y * Y, X * Y])
    assert np.array_equal(gradients["w"].asnumpy(), X * Y)
    assert list(utils.check_symbolic_backward(net, [X, Y], [Y], {"w": X * Y})) == ["w"]
    with pytest.raises(AssertionError, match="EXPECTED_w and BACKWARD_w differ"):
        utils.check_symbolic_backward(net, [X, Y], [Y], {"w": Y})
    added = utils.check_symbolic_backward(net, [X, Y], [Y], [Y * Y, X * Y], grad_req="add")
    assert not np.allclose(added["data"].asnumpy(), Y * Y, atol=1e-3)
    utils.check_symbolic_backward(net, [X, Y], [Y], [Y * Y, Y], grad_req=["write", "null"])
    utils.check_symbolic_backward(net, [X, Y], [Y], [Y * Y, X * Y], grad_req={"data": "add", "w": "write"})


def test_a_loss_needs_no_gradient_of_its_output():
    """Its own gradient is compared."""
    loss = mx.sym.SoftmaxOutput(V("data"), name="softmax")
    chances = np.exp(X) / np.exp(X).sum(axis=1, keepdims=True)
    utils.check_symbolic_backward(loss, [X, A([0.0, 1.0])], None, {"data": chances - np.eye(2)})


@pytest.mark.parametrize(
    ("location", "expected", "options", "error", "message"),
    [
        ([X, X], [X], {}, ValueError, "location has 2 arrays for 1 names: data"),
        ([], [X], {}, ValueError, "location lacks data"),
        ({"dat": X}, [X], {}, ValueError, "location: there is no dat; did you mean data?"),
        (X, [X], {}, TypeError, "location must be a list or a dict of arrays, not ndarray"),
        ([X], [], {}, ValueError, "expected is empty"),
        ([X], X, {}, TypeError, "expected must be a list"),
        ([X], [X, X], {}, ValueError, "expected has 2 arrays for 1 names"),
        ([X], {"q": X}, {}, ValueError, "expected: there is no q"),
        ([X], [X], {"dtype": "int32"}, ValueError, "dtype must be one of float16, float32, float64"),
        ([X], [X], {"aux_states": [X]}, ValueError, "aux_states has 1 arrays for 0 names"),
    ],
)
def test_arguments_must_fit_the_symbol(location, expected, options, error, message):
    """So that nothing is compared by mistake, or not at all."""
    net = mx.sym.exp(V("data"), name="exp")
    with pytest.raises(error, match=message):
        utils.check_symbolic_forward(net, location, expected, **options)
    with pytest.raises(error, match=message):
        utils.check_symbolic_backward(net, location, [X], expected, **options)


def test_states_must_be_complete():
    """Also when none are given."""
    for states in (None, [np.zeros(2)], {"bn_moving_mean": np.zeros(2)}):
        with pytest.raises(ValueError, match=r"aux_states lacks .*bn_moving_var"):
            utils.check_symbolic_forward(scaled(), [X, np.ones(2), np.zeros(2)], [X], aux_states=states)


# -- finite differences --


def test_right_gradients_pass():
    """Of several arguments, of several outputs, of training passes that change states, in float64."""
    net = mx.sym.FullyConnected(mx.sym.tanh(V("data")), num_hidden=3, name="fc")
    weights, bias = np.random.uniform(-1, 1, (3, 2)), np.zeros(3)
    utils.check_numeric_gradient(net, [X, weights, bias])
    factor = V("w")
    utils.check_numeric_gradient(mx.sym.Group([V("data") * factor, factor]), [X, Y])
    utils.check_numeric_gradient(
        mx.sym.exp(V("data")), [X], numeric_eps=1e-4, rtol=1e-7, atol=1e-8, dtype=np.float64
    )
    location = [np.random.uniform(1, 2, (5, 2)), A([1.5, 0.5]), A([0.2, 0.1])]
    states = [A([1.0, 2.0]), A([1.0, 1.0])]
    utils.check_numeric_gradient(scaled(), location, states, dtype=np.float64, rtol=1e-4, atol=1e-6)


def test_wrong_gradients_fail():
    """A blocked gradient, a loss's own, and one of training beside differences of prediction."""
    with pytest.raises(AssertionError, match="NUMERICAL_data and BACKWARD_data differ in 4 of 4"):
        utils.check_numeric_gradient(mx.sym.BlockGrad(V("data")), [X])
    loss = mx.sym.SoftmaxOutput(V("data"), name="softmax")
    with pytest.raises(AssertionError, match="NUMERICAL_data"):
        utils.check_numeric_gradient(loss, [X, A([0.0, 1.0])], grad_nodes=["data"])
    location = [np.random.uniform(1, 2, (5, 2)), np.ones(2), np.zeros(2)]
    with pytest.raises(AssertionError, match="NUMERICAL_data"):
        utils.check_numeric_gradient(scaled(), location, [np.zeros(2), np.ones(2)], use_forward_train=False)


def test_gradients_to_check_may_be_chosen():
    """By name, with what is to happen to them."""
    half_wrong = mx.sym.BlockGrad(V("data")) * V("w")
    utils.check_numeric_gradient(half_wrong, [X, Y], grad_nodes=["w"])
    utils.check_numeric_gradient(half_wrong, [X, Y], grad_nodes={"w": "add", "data": "null"})
    with pytest.raises(AssertionError, match="NUMERICAL_data"):
        utils.check_numeric_gradient(half_wrong, [X, Y], grad_nodes={"data": "add"})
    with pytest.raises(ValueError, match="grad_nodes: there is no q"):
        utils.check_numeric_gradient(half_wrong, [X, Y], grad_nodes=["q"])
    with pytest.raises(ValueError, match="grad_nodes must be a list or a dict"):
        utils.check_numeric_gradient(half_wrong, [X, Y], grad_nodes=3)
    with pytest.raises(mx.MXNetError, match="stype 'row_sparse'"):
        utils.check_numeric_gradient(half_wrong, [X, Y], grad_stype_dict={"w": "row_sparse"})


def test_numeric_gradients_of_an_executor():
    """Of the sum of its first output; the arguments are what they were afterwards."""
    net = mx.sym.square(V("data")) * V("w")
    executor = net.bind(mx.cpu(), {"data": mx.nd.zeros((2, 2)), "w": mx.nd.zeros((2, 2))})
    found = utils.numeric_grad(executor, {"data": X, "w": Y}, eps=1e-2)

    assert np.allclose(found["data"], 2 * X * Y, atol=1e-2)
    assert np.allclose(found["w"], X * X, atol=1e-2)
    assert np.array_equal(executor.arg_dict["data"].asnumpy(), X)
    with pytest.raises(ValueError, match="is nothing to the element"):
        utils.numeric_grad(executor, {"data": X, "w": Y}, eps=1e-12)

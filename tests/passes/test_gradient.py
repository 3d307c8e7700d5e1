"""The gradient graph: sums over several uses, pruning, losses."""

import numpy as np
import pytest

import netdef as mx
from netdef.passes.gradient import differentiate
from netdef.runtime.executor import Executor


def run(net, arrays, heads=None, wanted=None):
    """Gradients of every argument (or those wanted) by name."""
    arguments = {name: mx.nd.array(value, dtype=np.float64) for name, value in arrays.items()}
    gradients = {name: mx.nd.zeros(arguments[name].shape, dtype=np.float64) for name in wanted or arguments}
    executor = net.bind(mx.cpu(), arguments, gradients)
    executor.forward(is_train=True)
    executor.backward(None if heads is None else [mx.nd.array(h, dtype=np.float64) for h in heads])
    return {name: gradient.asnumpy() for name, gradient in gradients.items()}


def test_several_uses_of_a_value_add_up():
    """d(x*x + x*y + x)/dx = 2x + y + 1."""
    x, y = mx.sym.Variable("x"), mx.sym.Variable("y")
    gradients = run(x * x + x * y + x, {"x": [2.0, 3.0], "y": [5.0, 7.0]}, [[1.0, 10.0]])

    np.testing.assert_allclose(gradients["x"], [10, 140])
    np.testing.assert_allclose(gradients["y"], [2, 30])


def test_several_heads_add_up():
    """Each head brings its own gradient."""
    x = mx.sym.Variable("x")
    gradients = run(mx.sym.Group([x * 3, x * x]), {"x": [4.0]}, [[1.0], [100.0]])

    np.testing.assert_allclose(gradients["x"], [803])


def test_a_head_that_is_the_variable_itself():
    """The gradient of a variable that is a head is what arrives there."""
    x = mx.sym.Variable("x")
    gradients = run(mx.sym.Group([x, x * 2]), {"x": [1.0]}, [[5.0], [7.0]])

    np.testing.assert_allclose(gradients["x"], [19])


def test_one_head_given_twice():
    """Each of its gradients arrives: d(3x)/dx * (1 + 10) = 33."""
    tripled = mx.sym.Variable("x") * 3
    gradients = run(mx.sym.Group([tripled, tripled]), {"x": [1.0, 1.0]}, [[1.0, 1.0], [10.0, 10.0]])

    np.testing.assert_allclose(gradients["x"], [33, 33])


def test_one_variable_given_twice_as_a_head():
    """The gradients of a variable that is two heads add up, too."""
    x = mx.sym.Variable("x")
    gradients = run(mx.sym.Group([x, x * 3, x]), {"x": [1.0]}, [[1.0], [10.0], [100.0]])

    np.testing.assert_allclose(gradients["x"], [131])


@pytest.mark.parametrize(("heads", "expected"), [((1.0, 0.0), 1 - np.tanh(1) ** 2), ((0.0, 1.0), 2.0)])
def test_two_heads_of_one_name(heads, expected):
    """Each head has its own gradient, whatever it is called."""
    x = mx.sym.Variable("x")
    first = mx.sym.Activation(x, act_type="tanh", name="h")
    second = mx.sym.Activation(x * 2, act_type="relu", name="h")
    gradients = run(mx.sym.Group([first, second]), {"x": [1.0]}, [[gradient] for gradient in heads])

    np.testing.assert_allclose(gradients["x"], [expected])


def test_a_variable_may_be_called_as_a_head_gradient():
    """A variable `h_output_grad` is one thing, the gradient that arrives at the head `h_output` another."""
    x, factor = mx.sym.Variable("x"), mx.sym.Variable("h_output_grad")
    net = mx.sym.Activation(x * factor, act_type="relu", name="h")
    arguments = {"x": mx.nd.full(2, 3), "h_output_grad": mx.nd.full(2, 5)}
    gradients = {name: mx.nd.zeros(2) for name in arguments}
    executor = net.bind(mx.cpu(), arguments, gradients)

    assert executor.forward(is_train=True)[0].asnumpy().tolist() == [15, 15]
    executor.backward(mx.nd.full(2, 7))
    assert gradients["x"].asnumpy().tolist() == [35, 35]
    assert gradients["h_output_grad"].asnumpy().tolist() == [21, 21]
    assert arguments["h_output_grad"].asnumpy().tolist() == [5, 5]


@pytest.mark.parametrize(("grad_req", "expected"), [("write", 0), ("add", 7), ("null", 7)])
def test_the_gradient_of_what_no_gradient_reaches_is_zero(grad_req, expected):
    """`write` sets it to 0, as MXNet does, and does not leave what the array held."""
    net = mx.sym.BlockGrad(mx.sym.Variable("w")) * mx.sym.Variable("x")
    arguments = {name: mx.nd.full(4, 3) for name in ("x", "w")}
    gradients = {name: mx.nd.full(4, 7) for name in arguments}
    executor = net.bind(mx.cpu(), arguments, gradients, {"w": grad_req, "x": "write"})
    for _ in range(2):
        executor.forward(is_train=True)
        executor.backward(mx.nd.ones(4))

    assert gradients["w"].asnumpy().tolist() == [expected] * 4
    assert gradients["x"].asnumpy().tolist() == [3] * 4


def test_no_gradient_passes_a_block():
    """BlockGrad is the identity whose gradient is zero."""
    x = mx.sym.Variable("x")
    gradients = run(mx.sym.BlockGrad(x) * x, {"x": [3.0]}, [[1.0]])

    np.testing.assert_allclose(gradients["x"], [3])


def test_only_what_is_wanted_is_computed():
    """Without a gradient for the data, no step computes one."""
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    executor = net.simple_bind(mx.cpu(), {"fc_weight": "write"}, data=(3, 4))
    step = executor.engine.plan(True).steps[-1]

    assert step.backward
    assert "dweight" in step.tensors
    assert not {"ddata", "dbias"} & step.tensors.keys()


def test_what_leads_to_no_wanted_gradient_is_not_computed():
    """Above a BlockGrad the gradient of tanh reaches nobody, so that it is not computed."""
    blocked = mx.sym.Activation(mx.sym.BlockGrad(mx.sym.Variable("w")), act_type="tanh")
    plan = (blocked * mx.sym.Variable("x")).simple_bind(mx.cpu(), w=(3,)).engine.plan(True)

    assert [type(step.op).__name__ for step in plan.steps[plan.boundary :]] == ["Mul"]


def test_softmax_output_needs_no_head_gradient():
    """A loss operator makes its own gradient: probabilities minus one-hot labels (MXNet's rule)."""
    net = mx.sym.SoftmaxOutput(mx.sym.Variable("data"), name="softmax")
    gradients = run(net, {"data": np.zeros((2, 4)), "softmax_label": [1.0, 3.0]}, wanted=["data"])

    expected = np.full((2, 4), 0.25)
    expected[0, 1] -= 1
    expected[1, 3] -= 1
    np.testing.assert_allclose(gradients["data"], expected)


def test_a_loss_outside_the_objective_makes_no_gradient():
    """Only the heads of the objective are differentiated, also where another head is a loss."""
    data = mx.sym.Variable("data")
    net = mx.sym.Group([mx.sym.SoftmaxOutput(data, name="softmax"), data * 3])
    arguments = {"data": np.ones((2, 4)), "softmax_label": np.array([1.0, 3.0])}
    gradients = {"data": np.full((2, 4), np.nan)}
    engine = Executor(net, mx.cpu(), arguments, gradients, {"data": "write"}, objective={1: 0.5})
    engine.forward(True)
    engine.backward()

    np.testing.assert_array_equal(gradients["data"], np.full((2, 4), 1.5))


def test_other_heads_need_a_gradient():
    """The message asks for it and names the output."""
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    executor = net.simple_bind(data=(3, 4))
    executor.forward(is_train=True)

    with pytest.raises(mx.MXNetError, match="fc_output is no loss"):
        executor.backward()


def test_add_requests_accumulate():
    """`grad_req='add'` adds to what the array holds."""
    x = mx.sym.Variable("x")
    gradient = mx.nd.ones(2)
    executor = (x * 3).bind(mx.cpu(), {"x": mx.nd.ones(2)}, {"x": gradient}, grad_req="add")
    for _ in range(2):
        executor.forward(is_train=True)
        executor.backward(mx.nd.ones(2))

    assert gradient.asnumpy().tolist() == [7, 7]


@pytest.mark.parametrize("add", [mx.sym.elemwise_add, mx.sym.add_n])
def test_a_sum_hands_its_gradient_down(add):
    """What is added up needs no gradient of its own, however often it is read; a variable has one."""
    x, y = mx.sym.Variable("x"), mx.sym.Variable("y")
    inner, other = mx.sym.square(x, name="inner"), mx.sym.sin(y, name="other")
    net = add(add(inner, other), inner, name="outer") * inner
    values = {"x": [2.0, 3.0], "y": [0.5, 1.0]}
    gradients = run(net, values, [[1.0, 10.0]])

    a, b = np.square(values["x"]), np.sin(values["y"])
    np.testing.assert_allclose(gradients["x"], (4 * a + b) * 2 * np.array(values["x"]) * [1, 10])
    np.testing.assert_allclose(gradients["y"], a * np.cos(values["y"]) * [1, 10])
    backward = differentiate(net.heads, net.variables()[0]).backward
    assert not [node.name for node in backward if node.forward and "outer" in node.name]

    both = run(add(x, y), values, [[1.0, 10.0]])
    assert {name: list(gradient) for name, gradient in both.items()} == {"x": [1, 10], "y": [1, 10]}

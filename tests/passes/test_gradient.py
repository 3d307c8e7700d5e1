"""The gradient graph: sums over several uses, pruning, losses."""

import numpy as np
import pytest

import netdef as mx


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


def test_softmax_output_needs_no_head_gradient():
    """A loss operator makes its own gradient: probabilities minus one-hot labels (MXNet's rule)."""
    net = mx.sym.SoftmaxOutput(mx.sym.Variable("data"), name="softmax")
    gradients = run(net, {"data": np.zeros((2, 4)), "softmax_label": [1.0, 3.0]}, wanted=["data"])

    expected = np.full((2, 4), 0.25)
    expected[0, 1] -= 1
    expected[1, 3] -= 1
    np.testing.assert_allclose(gradients["data"], expected)


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

"""Shape and dtype inference in both directions."""

import pytest

import netdef as mx


def test_shapes_flow_backwards_through_elementwise_operators():
    """(0, 10) and (12, 0) together are (12, 10) (MXNet's rule, systems table 7.4)."""
    net = mx.sym.Variable("a") + mx.sym.Variable("b")

    assert net.infer_shape(a=(0, 10), b=(12, 0)) == ([(12, 10), (12, 10)], [(12, 10)], [])


def test_a_batch_size_reaches_the_label():
    """The label of SoftmaxOutput takes the batch from the data."""
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=10, name="fc")
    net = mx.sym.SoftmaxOutput(net, name="softmax")
    shapes, _, _ = net.infer_shape(data=(32, 7))

    assert dict(zip(net.list_arguments(), shapes))["softmax_label"] == (32,)


def test_too_little_information_is_no_error():
    """`infer_shape` says nothing, `infer_shape_partial` what is known."""
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=10, name="fc")

    assert net.infer_shape() == (None, None, None)
    assert net.infer_shape_partial() == ([(), (10, 0), (10,)], [()], [])
    assert net.infer_shape_partial(data=(0, 5)) == ([(0, 5), (10, 5), (10,)], [(0, 10)], [])


def test_a_contradiction_names_the_node_its_tensors_and_the_rule():
    """The message has all that is needed to find the fault."""
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=10, name="fc7")

    with pytest.raises(mx.MXNetError, match=r"fc7 \(FullyConnected\).*weight is 10x6.*data 2x5"):
        net.infer_shape(data=(2, 5), fc7_weight=(10, 6))


def test_a_declared_shape_holds():
    """What a variable declares is merged with what is given."""
    net = mx.sym.FullyConnected(mx.sym.Variable("data", shape=(0, 5)), num_hidden=10, name="fc")

    assert net.infer_shape(data=(3, 0))[1] == [(3, 10)]
    with pytest.raises(mx.MXNetError, match="data"):
        net.infer_shape(data=(3, 6))


def test_types_follow_from_the_data():
    """float64 data makes a float64 net."""
    import numpy as np

    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=10, name="fc")

    assert net.infer_type(data=np.float64) == ([np.float64] * 3, [np.float64], [])
    assert net.infer_type() == (None, None, None)


def test_a_later_operand_corrects_an_earlier_one():
    """Knowledge that arrives late is carried back to where it was missing."""
    a, b = mx.sym.Variable("a"), mx.sym.Variable("b")
    first = a + b
    net = mx.sym.Group([first, mx.sym.FullyConnected(first, num_hidden=2, name="fc"), b * b])

    shapes, _, _ = net.infer_shape(b=(4, 5))
    assert dict(zip(net.list_arguments(), shapes))["a"] == (4, 5)

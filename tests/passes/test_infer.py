"""Shape and dtype inference in both directions."""

import numpy as np
import pytest
from builds import load
from rules import inference_must_end

import netdef as mx
from netdef.graph.node import Entry
from netdef.passes.infer import infer_shapes, infer_types, ordered


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
    assert net.infer_shape_partial() == ([(), (), ()], [()], [])
    assert net.infer_shape_partial(data=(0, 5)) == ([(0, 5), (10, 5), (10,)], [(0, 10)], [])


def test_one_order_serves_several_inferences():
    """Heads, and what is made of them beforehand, say the same."""
    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3), name="softmax")
    order = ordered(net.heads)
    for size in (2, 5):
        assert infer_shapes(order, {"data": (size, 4)}) == infer_shapes(net.heads, {"data": (size, 4)})
    assert infer_types(order, {"data": "float16"}) == infer_types(net.heads, {"data": "float16"})


def test_a_contradiction_names_the_node_its_tensors_and_the_rule():
    """The message has all that is needed to find the fault."""
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=10, name="fc7")

    with pytest.raises(mx.MXNetError, match=r"fc7 \(FullyConnected\).*weight is 10x6.*data 2x5"):
        net.infer_shape(data=(2, 5), fc7_weight=(10, 6))


def test_a_declared_shape_holds():
    """What a variable declares is merged with what is given, unless this says everything."""
    net = mx.sym.FullyConnected(mx.sym.Variable("data", shape=(0, 5)), num_hidden=10, name="fc")

    assert net.infer_shape(data=(3, 0))[1] == [(3, 10)]
    assert net.infer_shape(data=(3, 6))[0] == [(3, 6), (10, 6), (10,)]
    with pytest.raises(mx.MXNetError, match="data"):
        net.infer_shape(data=(0, 6))


def test_types_follow_from_the_data():
    """float64 data makes a float64 net."""
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


def test_an_input_read_twice_learns_from_the_output():
    """x of x + x follows from the result, and inference ends."""
    x, y = mx.sym.Variable("x"), mx.sym.Variable("y")

    with inference_must_end():
        assert ((x + x) * y).infer_shape(y=(2, 3)) == ([(2, 3), (2, 3)], [(2, 3)], [])


def test_a_bottom_read_twice_learns_from_another_one():
    """Eltwise of [data, data, other] gives data the shape of other."""
    layers = [
        {"name": "data", "type": "Input", "top": "data"},
        {"name": "other", "type": "Input", "top": "other", "input_param": {"shape": {"dim": [4, 3]}}},
        {"name": "sum", "type": "Eltwise", "bottom": ["data", "data", "other"], "top": "sum"},
    ]
    with inference_must_end():
        loaded, findings = load({"name": "t", "layer": layers})

    assert [str(finding) for finding in findings if finding.severity == "error"] == []
    (data,) = (node for node in loaded.net.symbol.variables()[0] if node.name == "data")
    assert loaded.shapes[Entry(data, 0)] == (4, 3)


def test_one_tensor_cannot_be_two_things():
    """A tensor that an operator reads as data 2x3 and as weight 3x3 is refused, and inference ends."""
    x = mx.sym.Variable("x")
    net = mx.sym.FullyConnected(x, weight=x, num_hidden=3, no_bias=True, name="fc")

    with inference_must_end():
        assert net.infer_shape(x=(3, 3))[1] == [(3, 3)]
        with pytest.raises(mx.MXNetError, match="fc"):
            net.infer_shape(x=(2, 3))


def test_parts_read_twice_stay_open():
    """Two equal parts of 6 columns could be told to be 3 each; Concat's rule does not, and inference ends."""
    x, y = mx.sym.Variable("x"), mx.sym.Variable("y")

    with inference_must_end():
        shapes = (mx.sym.Concat(x, x, dim=1) * y).infer_shape_partial(y=(2, 6))
    assert shapes == ([(2, 0), (2, 6)], [(2, 6)], [])


def test_what_is_learnt_after_a_nodes_turn_is_checked_against_its_rule():
    """Later operands tell Flatten both its data and its output, which do not fit together."""
    names = ("data", "same_as_data", "same_as_output")
    data, same_as_data, same_as_output = map(mx.sym.Variable, names)
    net = mx.sym.Group([mx.sym.Flatten(data, name="flat") + same_as_output, data + same_as_data])

    shapes, _, _ = net.infer_shape(same_as_data=(2, 3, 4), same_as_output=(2, 12))
    assert dict(zip(net.list_arguments(), shapes))["data"] == (2, 3, 4)
    with pytest.raises(mx.MXNetError, match="flat"):
        net.infer_shape(same_as_data=(2, 3, 4), same_as_output=(2, 13))

"""Composition, names and listing of symbols."""

import pytest

import netdef as mx
from netdef.graph.naming import NameManager, Prefix


@pytest.fixture(autouse=True)
def fresh_names():
    """Automatic names restart in every test."""
    with NameManager():
        yield


def test_arguments_are_listed_in_depth_first_order():
    """The order is that of MXNet: inputs before the node, left to right."""
    left = mx.sym.FullyConnected(mx.sym.Variable("a"), num_hidden=3, name="left")
    right = mx.sym.FullyConnected(mx.sym.Variable("b"), num_hidden=3, name="right")
    net = left + right

    assert net.list_arguments() == ["a", "left_weight", "left_bias", "b", "right_weight", "right_bias"]


def test_automatic_names_count_for_each_operator():
    """An unnamed node takes the stem and the next number; an explicit name does not advance the counter."""
    data = mx.sym.Variable("data")
    first = mx.sym.FullyConnected(data, num_hidden=3)
    mx.sym.FullyConnected(data, num_hidden=3, name="mine")
    second = mx.sym.FullyConnected(data, num_hidden=3)

    assert [first.name, second.name] == ["fullyconnected0", "fullyconnected1"]
    assert (first + second).name == "_plus0"
    assert (first * 2).name == "_mulscalar0"


def test_prefix_renames_operators_and_their_parameters_but_no_variables():
    """MXNet's Prefix applies to generated and explicit operator names."""
    with Prefix("net_"):
        net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc")

    assert net.list_arguments() == ["data", "net_fc_weight", "net_fc_bias"]


def test_a_state_is_no_argument():
    """BatchNorm's moving averages are auxiliary states."""
    net = mx.sym.BatchNorm(mx.sym.Variable("data"), name="bn")

    assert net.list_arguments() == ["data", "bn_gamma", "bn_beta"]
    assert net.list_auxiliary_states() == ["bn_moving_mean", "bn_moving_var"]


def test_composition_shares_what_is_not_renamed():
    """Without a name the composed net keeps its parameters, so both uses share them."""
    body = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc")
    one = body(data=mx.sym.Variable("x"))
    two = body(data=mx.sym.Variable("y"))

    assert mx.sym.Group([one, two]).list_arguments() == ["x", "fc_weight", "fc_bias", "y"]


def test_composition_with_a_name_applies_a_net_twice():
    """With a name the second use has parameters of its own."""
    body = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc")
    net = body(data=body(data=mx.sym.Variable("x"), name="one"), name="two")

    assert net.list_arguments() == ["x", "one_fc_weight", "one_fc_bias", "two_fc_weight", "two_fc_bias"]


def test_internals_are_found_by_name():
    """`get_internals` offers every output under MXNet's name."""
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc")
    net = mx.sym.Activation(net, act_type="relu", name="relu")

    assert net.get_internals()["fc_output"].list_outputs() == ["fc_output"]
    assert net.list_outputs() == ["relu_output"]


def test_a_graph_of_ten_thousand_nodes_needs_no_recursion():
    """Depth is bounded by memory, not by Python's stack."""
    net = mx.sym.Variable("x")
    for _ in range(10_000):
        net = net + 1

    assert net.list_arguments() == ["x"]
    assert net.infer_shape(x=(2,))[1] == [(2,)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: mx.sym.FullyConnected(x, num_hiden=3), "num_hiden"),
        (lambda x: mx.sym.FullyConnected(x), "num_hidden"),
        (lambda x: mx.sym.FullyConnected(x, num_hidden=0), "too small"),
        (lambda x: mx.sym.FullyConnected(x, num_hidden=3, weigth=x), "did you mean weight"),
        (lambda x: mx.sym.FullyConnected(x, x, x, x, num_hidden=3), "takes 3 inputs"),
        (lambda x: mx.sym.FullyConnected(x, data=x, num_hidden=3), "given twice"),
        (lambda x: mx.sym.Activation(x, act_type="rleu"), "relu"),
        (lambda x: mx.sym.FullyConnected(x, num_hidden=3, name="fc")(x), "by keyword"),
        (lambda x: mx.sym.FullyConnected(x, num_hidden=3, name="fc")(dta=x), "no argument dta"),
        (lambda x: x(data=x), "is a variable"),
        (lambda x: mx.sym.FullyConnected(mx.sym.Group([x, x]), num_hidden=3), "one output"),
    ],
)
def test_wrong_calls_say_what_is_wrong(make, message):
    """Each raises `MXNetError` with the name at fault and what would be legal."""
    with pytest.raises(mx.MXNetError, match=message):
        make(mx.sym.Variable("data"))


def test_unknown_operators_are_attribute_errors_with_a_hint():
    """`mx.sym.FulyConnected` fails as Python expects, naming the nearest operator."""
    with pytest.raises(AttributeError, match="FullyConnected"):
        _ = mx.sym.FulyConnected

"""Nets for prediction: what is left of a net when only its data are given."""

import pytest
from builds import build

from netdef.diag import Findings
from netdef.graph.node import topological
from netdef.passes.deploy import deploy, infer_deployed

HEAD = """\
name: net
layer:
  - {name: data, type: Input, top: [data, label], input_param: {shape: [{dim: [4, 6]}, {dim: [4]}]}}
  - {name: ip, type: InnerProduct, bottom: data, inner_product_param: {num_output: 3}}
"""
LOSS = "  - {name: loss, type: SoftmaxWithLoss, bottom: [ip, label]}\n"


def operators(net):
    """The operators that compute the outputs, in order."""
    return [type(node.op).__name__ for node in topological(net.symbol.heads) if not node.is_variable]


def shapes_of(net, shape=(5, 6)):
    """The shapes of the outputs for an input of this shape."""
    findings = Findings()
    known = infer_deployed(net, "data", shape, findings)
    findings.raise_errors()
    return {blob: known[head] for blob, head in zip(net.outputs, net.symbol.heads)}


def test_a_loss_becomes_its_softmax():
    """With the loss's axis, as `prob`; scores and labels are gone."""
    accuracy = "  - {name: accuracy, type: Accuracy, bottom: [ip, label]}\n"
    net = deploy(build(HEAD + accuracy + LOSS, "TEST").net, "data")

    assert net.outputs == ("prob",)
    assert list(net.inputs) == ["data"]
    assert operators(net) == ["FullyConnected", "Softmax"]
    assert net.symbol.heads[0].node.op.axis == 1
    assert [built.layer.name for built in net.layers] == ["data", "ip", "loss"]
    assert net.losses == ()
    assert shapes_of(net) == {"prob": (5, 3)}


def test_a_softmax_that_is_there_is_not_computed_twice():
    """Whatever it is called."""
    softmax = "  - {name: chances, type: Softmax, bottom: ip}\n"
    net = deploy(build(HEAD + softmax + LOSS, "TEST").net, "data")

    assert net.outputs == ("chances",)


def test_a_blob_called_prob_keeps_its_name():
    """The softmax is then called as the loss."""
    net = deploy(build(HEAD + "  - {name: prob, type: ReLU, bottom: ip}\n" + LOSS, "TEST").net, "data")

    assert net.outputs == ("prob", "loss")
    assert operators(net) == ["FullyConnected", "Activation", "Softmax"]


def test_mxnets_outputs_stay_without_their_labels_values():
    """They do not read them; the labels' shapes follow from the data's."""
    net = deploy(
        build(HEAD + "  - {name: out, type: SoftmaxOutput, bottom: [ip, label]}\n", "TEST").net, "data"
    )

    assert net.outputs == ("out",)
    assert list(net.inputs) == ["data", "label"]
    assert shapes_of(net) == {"out": (5, 3)}


def test_what_labels_go_into_is_left_out():
    """Also by way of other layers."""
    mixed = (
        "  - {name: l2, type: Flatten, bottom: label, flatten_param: {axis: 0}}\n"
        "  - {name: sum, type: Scale, bottom: [ip, l2], scale_param: {axis: 0}}\n"
        "  - {name: after, type: InnerProduct, bottom: sum, inner_product_param: {num_output: 2}}\n"
    )
    net = deploy(build(HEAD + mixed, "TEST").net, "data")

    assert net.outputs == ("ip",)
    assert set(net.params()) == {"ip_weight", "ip_bias"}


def test_blobs_that_are_wanted_come_in_their_order():
    """Whoever reads them; nothing beyond them is computed."""
    relu = "  - {name: relu, type: ReLU, bottom: ip}\n"
    net = deploy(build(HEAD + relu + LOSS, "TEST").net, "data", ["relu", "ip"])

    assert net.outputs == ("relu", "ip")
    assert operators(net) == ["FullyConnected", "Activation"]


def test_a_shared_blob_belongs_to_a_layer_that_is_left():
    """Its first user hangs on the labels."""
    shared = (
        "  - {name: first, type: InnerProduct, bottom: label, param: {name: w},"
        " inner_product_param: {num_output: 4, bias_term: false, axis: 0}}\n"
        "  - {name: column, type: Flatten, bottom: data, flatten_param: {axis: 1}}\n"
        "  - {name: turned, type: transpose, bottom: column}\n"
        "  - {name: second, type: InnerProduct, bottom: turned, param: {name: w},"
        " inner_product_param: {num_output: 4, bias_term: false}}\n"
    )
    net = deploy(build(HEAD + shared, "TEST").net, "data")

    assert net.outputs == ("ip", "second")
    assert set(net.params()) == {"ip_weight", "ip_bias", "w"}


def test_shapes_that_do_not_fit_are_told():
    """As for any net, with the place of the field."""
    text = HEAD + "  - {name: two, type: reshape, bottom: ip, reshape_param: {shape: [4, 3]}}\n"
    net = deploy(build(text, "TEST").net, "data")
    findings = Findings()
    infer_deployed(net, "data", (5, 6), findings)

    assert ["two" in str(finding) for finding in findings] == [True]


@pytest.mark.parametrize("blob", ["data", "label"])
def test_the_net_itself_is_left_alone(blob):
    """Its nodes, layers and outputs are what they were."""
    whole = build(HEAD + LOSS, "TEST").net
    before = [(node, node.inputs) for node in topological(whole.symbol.heads)], whole.outputs, whole.layers
    deploy(whole, blob)

    assert ([(node, node.inputs) for node in topological(whole.symbol.heads)], *before[1:]) == before
    assert (whole.outputs, whole.layers) == before[1:]

"""Layers into a net: order, in place, sharing, losses, and what is refused."""

import textwrap

import pytest

from netdef.diag import Findings
from netdef.passes.pipeline import build_net
from netdef.spec.check import check_net
from netdef.spec.net import NetState
from netdef.spec.overrides import substitute
from netdef.spec.read import read_string

DATA = "  - {name: data, type: Input, top: data, input_param: {shape: {dim: [2, 3]}}}\n"
IP = "type: InnerProduct, inner_product_param: {num_output: 3, weight_filler: {type: xavier}}"


def load(layers: str, phase: str = "TRAIN"):
    """The net of some layers, and its findings."""
    findings = Findings()
    document = read_string("name: n\nlayer:\n" + layers, "net.yaml", findings)
    spec = check_net(substitute(document, (), findings), findings)
    return build_net(spec, NetState(phase=phase), findings), list(findings)


def net_of(layers: str, phase: str = "TRAIN"):
    """A net that has no findings."""
    loaded, findings = load(layers, phase)
    assert findings == []
    return loaded.net


def test_layers_may_stand_in_any_order():
    """A layer may read a blob that is produced further down."""
    net = net_of(
        f"  - {{name: b, bottom: a, top: b, {IP}}}\n  - {{name: a, bottom: data, top: a, {IP}}}\n" + DATA
    )

    assert net.outputs == ("b",)
    assert net.symbol.list_arguments() == ["data", "a_weight", "a_bias", "b_weight", "b_bias"]


def test_a_bottom_and_a_top_may_be_left_out():
    """The bottom is the previous layer's first top, the top the layer's name."""
    net = net_of(DATA + f"  - {{name: a, {IP}}}\n  - {{name: b, {IP}}}\n")

    assert net.outputs == ("b",)
    assert [built.layer.bottom for built in net.layers] == [(), ("data",), ("a",)]


def test_in_place_tops_become_new_entries():
    """Readers before the in-place layer see the blob as it was, those after it the new values."""
    net = net_of(
        DATA
        + f"  - {{name: ip, bottom: data, top: ip, {IP}}}\n"
        + "  - {name: relu, type: ReLU, bottom: ip, top: ip}\n"
        + "  - {name: tanh, type: TanH, bottom: ip, top: tanh}\n"
    )

    assert net.blobs["ip"].node.name == "relu"
    assert net.outputs == ("tanh",)


def test_a_shared_parameter_is_one_variable():
    """Layers whose params have one name share it; the first owns it."""
    shared = "param: [{name: w}, {name: b}]"
    net = net_of(
        DATA
        + f"  - {{name: a, bottom: data, top: a, {shared}, {IP}}}\n"
        + f"  - {{name: b, bottom: a, top: b, {shared}, {IP}}}\n"
    )

    assert net.symbol.list_arguments() == ["data", "w", "b"]
    assert list(net.params()) == ["w", "b"]
    assert [param.owner for built in net.layers for param in built.params] == [True, True, False, False]


def test_losses_have_weight_one_unless_said_otherwise():
    """A loss layer's first top is part of the objective; any top may be with `loss_weight`."""
    label = "  - {name: label, type: Input, top: label, input_param: {shape: {dim: [2]}}}\n"
    loss = "  - {name: loss, type: SoftmaxWithLoss, bottom: [data, label], top: loss}\n"
    extra = "  - {name: extra, type: ReLU, bottom: data, top: extra, loss_weight: 0.5}\n"
    net = net_of(DATA + label + loss + extra)

    assert [(part.blob, part.weight) for part in net.losses] == [("loss", 1.0), ("extra", 0.5)]
    assert net.outputs == ("loss", "extra")


def test_multipliers_are_per_blob():
    """`param` lists the blobs in Caffe's order."""
    net = net_of(DATA + f"  - {{name: a, param: [{{lr_mult: 1}}, {{lr_mult: 2, decay_mult: 0}}], {IP}}}\n")

    assert [(p.lr_mult, p.decay_mult) for p in net.params().values()] == [(1.0, 1.0), (2.0, 0.0)]


@pytest.mark.parametrize(
    ("layers", "code", "place", "words"),
    [
        (DATA + f"  - {{name: a, bottom: dta, top: a, {IP}}}\n", "ND102", "4:23", "did you mean data"),
        (
            DATA
            + f"  - {{name: a, bottom: data, top: x, {IP}}}\n  - {{name: b, bottom: data, top: x, {IP}}}\n",
            "ND105",
            "5:34",
            "a produces already",
        ),
        (
            f"  - {{name: a, bottom: y, top: x, {IP}}}\n  - {{name: b, bottom: x, top: y, {IP}}}\n",
            "ND106",
            "3:12",
            "a -> b -> a",
        ),
        (
            DATA + "  - {name: flat, type: Flatten, bottom: data, top: data}\n",
            "ND112",
            "4:52",
            "cannot write over",
        ),
        (
            DATA
            + "  - {name: t, type: TanH, bottom: data, top: t}\n"
            + "  - {name: r, type: ReLU, bottom: data, top: data}\n",
            "ND108",
            "5:46",
            "t reads as well",
        ),
        (
            DATA + f"  - {{name: a, bottom: data, top: a, {IP}}}\n  - {{name: a, bottom: a, top: b, {IP}}}\n",
            "ND101",
            "5:12",
            "second layer",
        ),
        (
            DATA.replace("top: data,", "top: data, include: {phase: TEST},")
            + f"  - {{name: a, bottom: data, top: a, {IP}}}\n",
            "ND109",
            "4:23",
            "another phase",
        ),
        (
            DATA
            + f"  - {{name: a, bottom: data, top: a, param: {{name: w, lr_mult: 1}}, {IP}}}\n"
            + f"  - {{name: b, bottom: a, top: b, param: {{name: w, lr_mult: 3}}, {IP}}}\n",
            "ND110",
            "5:60",
            "shared parameter w",
        ),
    ],
)
def test_what_is_refused_has_one_finding_at_its_place(layers, code, place, words):
    """One finding with code, place and words, and no follow-up of it."""
    _, findings = load(layers)

    assert [d.code.id for d in findings] == [code], [str(d) for d in findings]
    assert f"{findings[0].span.line}:{findings[0].span.column}" == place
    related = " ".join(r.message for r in findings[0].related)
    assert words in f"{findings[0].message} {findings[0].hint} {related}"


def test_a_shape_error_points_at_the_field_and_tells_the_trail():
    """The finding stands at the kernel, and the trail shows where the size went."""
    text = textwrap.indent(
        textwrap.dedent(
            """\
            - {name: data, type: Input, top: data, input_param: {shape: {dim: [1, 1, 28, 28]}}}
            - name: conv1
              type: Convolution
              convolution_param: {num_output: 20, kernel_size: 5, weight_filler: {type: xavier}}
            - name: pool1
              type: Pooling
              pooling_param:
                kernel_size: 2
                stride: 8
            - name: conv2
              type: Convolution
              convolution_param:
                num_output: 50
                kernel_size: 5
                weight_filler: {type: xavier}
            """
        ),
        "  ",
    )
    _, findings = load(text)

    assert [d.code.id for d in findings] == ["ND201"]
    assert (findings[0].span.line, findings[0].span.column) == (16, 20)
    assert findings[0].trail == "data 1x28x28 -> conv1 20x24x24 -> pool1 20x4x4 (line 11: stride 8) -> conv2"


OUT = "type: SoftmaxOutput, bottom: [data, label]"
LABEL = "  - {name: label, type: Input, top: label, input_param: {shape: {dim: [2]}}}\n"


def test_an_operator_is_a_layer_like_any_other():
    """In place, with shared blobs, and with a bottom that is left out."""
    net = net_of(
        DATA
        + "  - {name: norm, type: LayerNorm, top: data, param: [{name: g}, {name: b}]}\n"
        + "  - {name: again, type: LayerNorm, bottom: data, param: [{name: g}, {name: b}]}\n"
    )

    assert net.symbol.list_arguments() == ["data", "g", "b"]
    assert net.blobs["data"].node.name == "norm"
    assert [param.owner for built in net.layers for param in built.params] == [True, True, False, False]


def test_a_loss_operator_is_part_of_the_objective_without_a_value():
    """With weight 1, whatever loss_weight says; other losses keep their values."""
    extra = "  - {name: extra, type: ReLU, bottom: data, top: extra, loss_weight: 0.5}\n"
    net = net_of(f"{DATA}{LABEL}  - {{name: out, {OUT}}}\n{extra}")

    assert [(loss.blob, loss.weight, loss.has_value) for loss in net.losses] == [
        ("out", 1.0, False),
        ("extra", 0.5, True),
    ]
    weighted, findings = load(f"{DATA}{LABEL}  - {{name: out, loss_weight: 0, {OUT}}}\n")
    assert [(loss.blob, loss.weight) for loss in weighted.net.losses] == [("out", 1.0)]
    assert [finding.code.id for finding in findings] == ["ND036"]


def test_the_output_of_a_loss_operator_may_be_read():
    """It stays an output of the net, because it is part of the objective."""
    net = net_of(
        f"{DATA}{LABEL}  - {{name: out, {OUT}}}\n"
        "  - {name: accuracy, type: Accuracy, bottom: [out, label]}\n"
    )

    assert net.outputs == ("out", "accuracy")


def test_no_gradient_passes_where_propagate_down_is_false():
    """For operators as for Caffe's layers."""
    net = net_of(
        DATA + f"  - {{name: ip, bottom: data, top: ip, {IP}}}\n"
        "  - {name: sum, type: broadcast_add, bottom: [data, ip], propagate_down: [true, false]}\n"
    )

    assert [type(entry.node.op).__name__ for entry in net.layers[-1].bottoms] == ["NoneType", "BlockGrad"]

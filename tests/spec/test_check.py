"""Documents into nets: what is found, where, and what is not said twice."""

import json

import builds
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netdef.diag import Code, Findings
from netdef.lint.check import check_file
from netdef.spec import codes
from netdef.spec.check import check_net, check_solver, kind_of
from netdef.spec.document import Document
from netdef.spec.layers import LAYERS
from netdef.spec.layers.base import Layer
from netdef.spec.read import read_string

DATA = "  - {name: data, type: Input, top: data, input_param: {shape: {dim: [2, 3, 8, 8]}}}\n"
LABEL = "  - {name: label, type: Input, top: label, input_param: {shape: {dim: 2}}}\n"
MINE = [code for code in vars(codes).values() if isinstance(code, Code)]


def findings_of(layers, head="name: n\n"):
    """The findings of a net of some layers, from its text to its shapes, each as `code line:column text`."""
    _, found = builds.load(f"{head}layer:\n{layers}")
    return [f"{d.code.id} {d.span.line}:{d.span.column} {d.message} ({d.hint})" for d in found]


@pytest.mark.parametrize("code", MINE, ids=lambda code: code.id)
def test_the_samples_of_every_code_show_it(code, tmp_path):
    """The bad one has this code and no other, the good one no finding at all."""
    path = tmp_path / "net.yaml"
    path.write_text(code.good)
    assert check_file(str(path)).findings == []
    if code.bad:
        path.write_text(code.bad)
        assert {d.code.id for d in check_file(str(path)).findings} == {code.id}
    else:
        assert code.shown_by


@pytest.mark.parametrize(
    ("layer", "code", "words"),
    [
        (
            "{name: x, type: ^Relu, bottom: data}",
            "ND005",
            "x: there is no layer type 'Relu' (did you mean ReLU?)",
        ),
        ("{name: x, type: ^INNER_PRODUCT, bottom: data}", "ND005", "did you mean InnerProduct?"),
        ("{name: x, type: ^Deconvolution, bottom: data}", "ND005", "Caffe has it"),
        ("{name: x, type: ^Python, bottom: data}", "ND005", "cannot name code"),
        ("{name: x, type: ^HDF5Data}", "ND005", "ArrayData and IdxData"),
        ("{name: x, type: ^Zzzzzz, bottom: data}", "ND005", "`netdef layers` lists the layer types"),
        ("{name: x, type: ^3, bottom: data}", "ND008", "3 is no layer type"),
        ("^{name: x, bottom: data}", "ND009", "x needs type"),
        ("{type: ReLU, ^botom: data}", "ND002", "layer[1] has no field botom (did you mean bottom?)"),
        ("^7", "ND008", "layer[1] needs a mapping of fields, not 7"),
        ("{name: x, type: ReLU, bottom: data, ^top: }", "ND008", "x.top has no value"),
        (
            "{name: x, type: ReLU, bottom: [data, ^3]}",
            "ND008",
            "x: bottom: 3 is not a text (put it in quotes)",
        ),
        ("{name: x, type: ReLU, bottom: data, relu_param: ^1}", "ND008", "x.relu_param needs a mapping"),
        (
            "{name: x, type: ReLU, bottom: data, ^pooling_param: {}}",
            "ND006",
            "pooling_param is for Pooling, not",
        ),
        (
            "{name: x, type: ReLU, bottom: data, ^loss_param: {}}",
            "ND006",
            "is for SoftmaxWithLoss, not for ReLU",
        ),
        ("^{name: x, type: Convolution, bottom: data}", "ND009", "x needs convolution_param.num_output"),
        ("^{name: x, type: InnerProduct, bottom: data}", "ND009", "x needs inner_product_param.num_output"),
        (
            "{name: x, type: InnerProduct, bottom: data, inner_product_param: ^{}}",
            "ND009",
            "x.inner_product_param needs num_output",
        ),
        (
            "{name: x, type: ReLU, bottom: data, include: {phase: ^TRIAN}}",
            "ND008",
            "x.include: phase: 'TRIAN' is not TRAIN or TEST",
        ),
        (
            "{name: x, type: ReLU, bottom: data, include: {phase: TRAIN}, exclude: ^{phase: TEST}}",
            "ND031",
            "x: include and exclude are both given",
        ),
        ("{name: x, type: ReLU, bottom: data, loss_weight: ^[1, 2]}", "ND032", "2 entries for 1 top"),
        (
            "{name: x, type: ReLU, bottom: data, propagate_down: ^[true, true]}",
            "ND032",
            "2 entries for 1 bottom",
        ),
        (
            "{name: x, type: ReLU, bottom: data, param: ^{lr_mult: 1}}",
            "ND032",
            "no learnable blob (remove param)",
        ),
        ("{name: x, type: ReLU, bottom: ^[data, data]}", "ND030", "ReLU takes 1 bottom, not 2"),
        ("{name: x, type: ReLU, bottom: data, top: ^[x, y]}", "ND030", "ReLU takes 1 top, not 2"),
        ("{name: x, type: Input, bottom: ^data}", "ND030", "Input takes no bottom, not 1"),
        ("{name: x, type: Softmax, bottom: ^[]}", "ND030", "Softmax takes 1 bottom, not 0"),
        ("^{name: x, type: Accuracy}", "ND030", "Accuracy takes 2 bottoms, not 1"),
    ],
)
def test_a_fault_of_a_layer_has_one_finding(layer, code, words):
    """One finding with code, words and the place marked by ^; no reader of the layer's blobs is blamed."""
    line = f"  - {layer}"
    reader = "  - {name: reader, type: TanH, bottom: x, top: reader}\n" if "name: x" in layer else ""

    found = findings_of(f"{DATA}{line.replace('^', '')}\n{reader}")

    assert len(found) == 1, found
    assert found[0].startswith(f"{code} 4:{line.index('^') + 1} ")
    assert words in found[0]


def test_every_fault_is_found_at_once():
    """Several faults in several layers: one finding for each, and none for the layers that read from them."""
    found = findings_of(
        DATA
        + "  - name: conv\n    type: Convolution\n"
        + "    convolution_param: {num_outputs: 3, kernel_size: 0, weight_filler: {std: x}}\n"
        + "  - {name: pool, type: Pool, pooling_param: {kernel_size: 2}}\n"
        + "  - {name: relu, type: ReLU, relu_param: {slope: 1}}\n"
        + "  - {name: ip, type: InnerProduct, inner_product_param: {num_output: 2}}\n"
        + "  - {name: last, type: ReLU, bottom: nowhere}\n"
    )

    assert [text.split()[0] for text in found] == [
        "ND002",
        "ND008",
        "ND008",
        "ND005",
        "ND002",
        "ND102",
    ]


def test_a_misspelt_top_still_says_which_blob_was_meant():
    """The reader of the blob is not reported as well."""
    found = findings_of(DATA + "  - {name: a, type: ReLU, tops: b}\n  - {name: c, type: TanH, bottom: b}\n")

    assert [text.split()[0] for text in found] == ["ND002"]


def test_a_warning_does_not_keep_a_layer_from_being_built():
    """The layer with a field without effect is part of the net."""
    both = "loss_param: {normalize: true, normalization: FULL}"
    loss = f"  - {{name: loss, type: SoftmaxWithLoss, bottom: [ip, label], {both}}}\n"
    ip = "  - {name: ip, type: InnerProduct, bottom: data, inner_product_param: {num_output: 2}}\n"
    loaded, found = builds.load(f"layer:\n{DATA}{LABEL}{ip}{loss}")

    assert [d.code.id for d in found] == ["ND036"]
    assert [part.blob for part in loaded.net.losses] == ["loss"]


def test_the_first_layer_needs_a_bottom():
    """There is no layer before it to take it from."""
    found = findings_of("  - {name: a, type: ReLU}\n  - {name: b, type: TanH}\n")

    assert len(found) == 1
    assert found[0].startswith("ND030 3:12 a has no bottom")


def test_what_could_not_be_read_is_not_reported_again():
    """A value with a variable that does not exist has one finding; its layer is left out."""
    for wrong in (
        "{name: a, type: InnerProduct, inner_product_param: {num_output: ${x}}}",
        "{name: a, type: InnerProduct, inner_product_param: ${x}}",
        "{name: a, type: '${x}'}",
        "{name: a, type: Eltwise, bottom: [data, '${x}']}",
        "{name: a, type: InnerProduct, inner_product_param: {num_output: 3, weight_filler: {std: ${x}}}}",
    ):
        found = findings_of(f"{DATA}  - {wrong}\n  - {{name: b, type: ReLU, bottom: a}}\n")
        assert len(found) == 1, found
        assert found[0].startswith("ND0")


def test_unnamed_layers_get_names():
    """The lower-case type and a number that is not taken, the same in every phase."""
    text = (
        f"layer:\n{DATA}  - {{name: relu0, type: ReLU}}\n  - {{type: ReLU, include: {{phase: TEST}}}}\n"
        "  - {type: ReLU}\n  - {type: TanH}\n"
    )
    loaded, found = builds.load(text, "TRAIN")

    assert found == []
    assert [built.layer.name for built in loaded.net.layers] == ["data", "relu0", "relu2", "tanh0"]
    assert loaded.net.outputs == ("tanh0",)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("name: n\nlayers: []\n", "ND007", "InnerProduct, not INNER_PRODUCT"),
        ("input_dim: 3\nlayer: []\n", "ND007", "type: Input"),
        ("name: n\nbase_lr: 0.1\nlayer: []\n", "ND002", "`solver` block"),
        ("name: n\nlayr: []\n", "ND002", "did you mean layer?"),
        ("name: [n]\nlayer: []\n", "ND008", "name: a list is not a text"),
        ("name: n\nlayer: 3\n", "ND008", "layer needs a mapping of fields, not 3"),
        ("name: n\nstate: {levle: 3}\nlayer: []\n", "ND002", "did you mean level?"),
        ("name: n\nsolver: {base_lr: 1, lr_policy: fixed}\nlayer: []\n", "ND009", "solver needs max_iter"),
    ],
)
def test_a_fault_of_the_file_has_one_finding(text, code, words):
    """Faults of the top-level mapping."""
    findings = Findings()
    check_net(read_string(text, "net.yaml", findings), findings)

    (found,) = findings
    assert found.code.id == code
    assert words in f"{found.message} ({found.hint})"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("layer: []", "net"),
        ("layers: []", "net"),
        ("net: a.yaml\nbase_lr: 1", "solver"),
        ("train_net: a", "solver"),
        ("layer: []\nsolver: {}", "net"),
        ("name: CI\njobs: {}", None),
        ("name: x", None),
    ],
)
def test_the_kind_of_a_file_follows_from_its_keys(text, kind):
    """Other tools' files are neither nets nor solvers."""
    assert kind_of(read_string(text, "a.yaml", Findings())) == kind


def test_data_made_by_hand_can_be_checked():
    """A document without any places still gives findings."""
    findings = Findings()
    spec = check_net(Document("here", "", {"layer": {"type": "ReLU", "tpo": "x"}}, {}, {}), findings)

    assert [(d.code.id, str(d.span)) for d in findings] == [("ND002", "here")]
    assert spec is not None
    assert spec.layer[0].lower(None) == []


def test_places_are_kept_in_typed_messages():
    """A message knows the line of every field; one that was not given is pointed at by what holds it."""
    findings = Findings()
    text = f"layer:\n{DATA}  - name: c\n    type: Convolution\n    convolution_param:\n      num_output: 4\n"
    text += "      kernel_size: 3\n"
    layer = check_net(read_string(text, "net.yaml", findings), findings).layer[1]

    assert list(findings) == []
    assert layer.convolution_param.span("num_output").line == 6
    assert layer.convolution_param.span("stride").line == 5
    assert layer.convolution_param.weight_filler.span("type").line == 5
    assert layer.convolution_param.has("num_output")
    assert not layer.convolution_param.has("group")
    assert layer.convolution_param.weight_filler.type == "constant"


KEYS = sorted({key for layer in LAYERS.values() for key in layer.fields} - {"type"})
INNER = sorted(
    {
        inner
        for layer in LAYERS.values()
        for field in layer.fields.values()
        if hasattr(field, "message")
        for inner in field.message.fields
    }
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 5),
    st.floats(allow_nan=False),
    st.sampled_from([*LAYERS, "a", "MAX", ""]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(INNER), inner, max_size=3),
    max_leaves=6,
)
ENTRIES = st.fixed_dictionaries(
    {"type": st.sampled_from([*LAYERS, "Nonsense"])},
    optional=dict.fromkeys([*KEYS, "bottm", "tops"], VALUES),
)


@settings(max_examples=150, deadline=None)
@given(
    layers=st.lists(ENTRIES | VALUES, max_size=4),
    rest=st.dictionaries(st.sampled_from(["name", "state", "x"]), VALUES),
)
def test_anything_ends_in_findings(layers, rest):
    """Whatever stands in the fields: no exception, and every finding has a place in the file."""
    text = json.dumps({**rest, "layer": layers}, indent=1)
    _, found = builds.load(text)

    for finding in found:
        assert finding.span.file == "net.yaml"
        assert 1 <= finding.span.line <= text.count("\n") + 1
        assert finding.message


@settings(max_examples=60, deadline=None)
@given(
    data=st.dictionaries(
        st.sampled_from(["net", "base_lr", "lr_policy", "gamma", "test_state", "typ"]), VALUES
    )
)
def test_any_solver_ends_in_findings(data):
    """The same for solvers."""
    findings = Findings()
    check_solver(read_string(json.dumps(data), "solver.yaml", findings), findings)

    assert all(finding.span.file == "solver.yaml" for finding in findings)


def test_layers_inherit_the_common_rules():
    """A layer type adds rules and loses none."""
    for name, layer in LAYERS.items():
        assert set(Layer.rules) <= set(layer.rules), name

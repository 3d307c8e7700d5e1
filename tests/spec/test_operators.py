"""Operators as layer types: which there are, what a spec says of them, what is refused and where."""

import json
import subprocess
import sys
from pathlib import Path

import builds
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from netdef.diag import Findings
from netdef.ops import OPERATORS, every_operator
from netdef.ops.fields import Bool, Enum
from netdef.spec import schema
from netdef.spec.check import check_net
from netdef.spec.layers import CAFFE_ONLY, LAYERS
from netdef.spec.layers.base import Layer
from netdef.spec.layers.operators import block_of, operator_layer, operator_names
from netdef.spec.read import read_string

ROOT = Path(__file__).parents[2]
NAMES = list(operator_names())
DATA = "  - {name: data, type: Input, top: data, input_param: {shape: {dim: [2, 6, 8]}}}\n"
LABEL = "  - {name: label, type: Input, top: label, input_param: {shape: {dim: [2, 6]}}}\n"


def last_layer(layers, phase="TRAIN"):
    """The last layer of a net without errors, as it was built."""
    return builds.build("layer:\n" + DATA + LABEL + layers, phase).net.layers[-1]


# -- names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("LayerNorm", "layer_norm_param"),
        ("batch_dot", "batch_dot_param"),
        ("LeakyReLU", "leaky_relu_param"),
        ("MultiHeadAttention", "multi_head_attention_param"),
        ("softmax", "softmax_param"),
        ("SoftmaxOutput", "softmax_output_param"),
        ("L2Normalization", "l2_normalization_param"),
        ("ROIAlign", "roi_align_param"),
        ("CTCLoss", "ctc_loss_param"),
        ("SVMOutput", "svm_output_param"),
        ("MultiBoxPrior", "multi_box_prior_param"),
        ("AdaptiveAvgPooling2D", "adaptive_avg_pooling2d_param"),
        ("BatchNorm_v1", "batch_norm_v1_param"),
        ("CuDNNBatchNorm", "cudnn_batch_norm_param"),
    ],
)
def test_a_block_is_named_after_its_operator(name, block):
    """In snake case, with `_param` behind it."""
    assert name in NAMES
    assert block_of(name) == block


def test_a_name_of_caffes_means_caffes_layer():
    """Also of a layer that netdef does not have yet; MXNet's operator is reached by another of its names."""
    assert not {*LAYERS, *CAFFE_ONLY} & set(NAMES)
    assert {"Reshape", "Crop", "RNN", "Deconvolution", "Softmax", "BatchNorm"} <= OPERATORS.keys()
    assert {"reshape", "concat", "flatten", "softmax"} <= set(NAMES)


def test_what_is_no_layer():
    """Names that only MXNet's own code writes, updates of weights, helpers of Caffe's layers."""
    assert not [name for name in NAMES if name.startswith("_")]
    assert not {"sgd_update", "adam_update", "Reinterpret", "Custom"} & set(NAMES)
    assert {"ROIAlign", "box_nms"} <= set(NAMES), "contrib's are written without their prefix"


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_follows_from_its_operator(name):
    """Its block has the operator's attributes, but for advice to backends and what the bottoms say."""
    layer = operator_layer(name)
    fields = layer.fields[layer.block].message.fields if layer.block else {}
    left_out = layer.operator.fields.keys() - fields.keys()

    assert layer.__doc__ == layer.operator.__doc__
    assert all(
        key == "num_args" or type(layer.operator.fields[key]).__name__ in ("Hint", "Device")
        for key in left_out
    )
    for key in fields.keys() & layer.operator.fields.keys():
        assert fields[key].default == layer.operator.fields[key].default
        assert fields[key] is not layer.operator.fields[key]
    assert fields.keys() - layer.operator.fields.keys() == {f"{role}_filler" for role in layer.learnt()}
    assert set(layer.blame) == set(fields)
    assert all(field.help for field in fields.values())


# -- what is built ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "operator", "attributes"),
    [
        ("type: LayerNorm, bottom: data, layer_norm_param: {axis: 1}", "LayerNorm", {"axis": 1}),
        ("type: batch_dot, bottom: [data, data], batch_dot_param: {transpose_b: true}", "BatchDot", None),
        ("type: softmax, bottom: data, softmax_param: {axis: 1}", "Softmax", {"axis": 1}),
        ("type: softmax, bottom: data", "Softmax", {}),
        ("type: reshape, bottom: data, reshape_param: {shape: [0, -1]}", "Reshape", {"shape": (0, -1)}),
        ("type: concat, bottom: [data, data, data], concat_param: {dim: 2}", "Concat", None),
        ("type: topk, bottom: data, topk_param: {axis: null, k: 3}", "TopK", {"axis": None, "k": 3}),
        (
            "type: slice, bottom: data, slice_param: {begin: [0, null], end: [1, 3]}",
            "Slice",
            {"begin": (0, None), "end": (1, 3)},
        ),
    ],
)
def test_a_layer_becomes_its_operator(layer, operator, attributes):
    """One node of the layer's name with the attributes that the file gives."""
    (node,) = last_layer(f"  - {{name: x, {layer}}}\n").nodes

    assert node.name == "x"
    assert type(node.op).__name__ == operator
    if attributes is not None:
        assert {key: node.op.values()[key] for key in node.op.given} == attributes


def test_the_number_of_bottoms_is_num_args():
    """An operator of any number of inputs needs no count of them."""
    (node,) = last_layer("  - {name: x, type: stack, bottom: [data, data, data]}\n").nodes

    assert node.op.num_args == 3


def test_parameters_are_blobs_in_the_operators_order():
    """With `param` entries in that order, and MXNet's initial values unless a filler is given."""
    built = last_layer(
        "  - {name: x, type: LayerNorm, bottom: data, param: [{lr_mult: 2}, {name: shared, decay_mult: 0}],"
        " layer_norm_param: {beta_filler: {type: uniform, max: 0.5}}}\n"
    )

    assert [param.node.name for param in built.params] == ["x_gamma", "shared"]
    assert [(param.lr_mult, param.decay_mult) for param in built.params] == [(2, 1), (1, 0)]
    assert [(p.filler.type, p.filler.value, p.filler.max) for p in built.params] == [
        ("constant", 1, 1),
        ("uniform", 0, 0.5),
    ]


@pytest.mark.parametrize(
    ("layer", "fillers"),
    [
        (
            "type: FullyConnected, bottom: data, fully_connected_param: {num_hidden: 2}",
            {"x_weight": ("xavier", 0), "x_bias": ("constant", 0)},
        ),
        (
            "type: FullyConnected, bottom: data, fully_connected_param: {num_hidden: 2, no_bias: true}",
            {"x_weight": ("xavier", 0)},
        ),
        ("type: LeakyReLU, bottom: data", {}),
        (
            "type: LeakyReLU, bottom: data, leaky_relu_param: {act_type: prelu}",
            {"x_gamma": ("constant", 0.25)},
        ),
        (
            "type: BatchNorm_v1, bottom: data",
            {
                "x_gamma": ("constant", 1),
                "x_beta": ("constant", 0),
                "x_moving_mean": ("constant", 0),
                "x_moving_var": ("constant", 1),
            },
        ),
        (
            "type: UpSampling, bottom: image, up_sampling_param: {scale: 2, sample_type: bilinear}",
            {"x_weight": ("bilinear", 0)},
        ),
        ("type: UpSampling, bottom: image, up_sampling_param: {scale: 2, sample_type: nearest}", {}),
    ],
)
def test_blobs_hang_on_the_attributes(layer, fillers):
    """What MXNet creates by itself for these attributes, with its initial values; weights get xavier."""
    image = "  - {name: image, type: Input, input_param: {shape: {dim: [1, 2, 4, 4]}}}\n"
    built = last_layer(f"{image}  - {{name: x, {layer}}}\n")

    assert {p.node.name: (p.filler.type, p.filler.value) for p in built.params} == fillers
    states = [p.node.name for p in built.params if p.lr_mult is None]
    assert states == [name for name in fillers if "moving" in name]


def test_a_bottom_may_stand_for_a_parameter():
    """Then it is no blob of the layer; those after it still are."""
    scale = "  - {name: scale, type: Input, input_param: {shape: {dim: 8}}}\n"
    built = last_layer(scale + "  - {name: x, type: LayerNorm, bottom: [data, scale], param: {lr_mult: 3}}\n")

    assert [(param.node.name, param.lr_mult) for param in built.params] == [("x_beta", 3)]
    assert [entry.name for entry in built.nodes[0].inputs] == ["data", "scale", "x_beta"]


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        ("{type: split, bottom: data, top: [a, b], split_param: {num_outputs: 2, axis: 1}}", [(2, 3, 8)] * 2),
        ("{type: moments, bottom: data, top: [a, b], moments_param: {axes: [0, 1]}}", [(8,)] * 2),
        (
            "{type: LayerNorm, bottom: data, top: [a, m, s], layer_norm_param: {output_mean_var: true}}",
            [(2, 6, 8), (2, 6, 1), (2, 6, 1)],
        ),
        ("{type: MultiHeadAttention, bottom: [data, data, data], top: a,"
         " multi_head_attention_param: {num_heads: 2}}", [(2, 6, 8)]),
    ],
)  # fmt: skip
def test_tops_are_the_visible_outputs(layer, shapes):
    """As many as the attributes show; hidden ones stay hidden."""
    loaded = builds.build(f"layer:\n{DATA}  - {layer}\n")

    assert [loaded.shapes[entry] for entry in loaded.net.layers[-1].tops] == shapes


# -- what is refused ----------------------------------------------------------------------------------------

FAULTS = [
    ("{name: x, type: ^layer_norm, bottom: data}", "ND005", "did you mean LayerNorm?"),
    ("{name: x, type: ^BatchDot, bottom: data}", "ND005", "did you mean batch_dot?"),
    ("{name: x, type: ^_contrib_ROIAlign, bottom: data}", "ND005", "did you mean ROIAlign?"),
    ("{name: x, type: ^_mul_scalar, bottom: data}", "ND005", "with --operators"),
    ("{name: x, type: ^Custom, bottom: data}", "ND005", "a net is data"),
    ("{name: x, type: ^Reshape, bottom: data}", "ND005", "MXNet's operator Reshape is written reshape"),
    ("{name: x, type: LayerNorm, bottom: data, ^layernorm_param: {}}", "ND002", "mean layer_norm_param?"),
    ("{name: x, type: LayerNorm, bottom: data, layer_norm_param: {^axes: 1}}", "ND002", "did you mean axis?"),
    (
        "{name: x, type: LayerNorm, bottom: data, layer_norm_param: {axis: ^last}}",
        "ND008",
        "x.layer_norm_param: axis: 'last' is not a whole number",
    ),
    (
        "{name: x, type: LayerNorm, bottom: data, ^pooling_param: {kernel_size: 2}}",
        "ND006",
        "pooling_param is for Pooling, not for LayerNorm",
    ),
    (
        "{name: x, type: ReLU, bottom: data, ^layer_norm_param: {axis: 2}}",
        "ND006",
        "layer_norm_param is for LayerNorm, not for ReLU",
    ),
    (
        "{name: x, type: ReLU, bottom: data, ^flatten_param: {axis: 2}}",
        "ND006",
        "flatten_param is for Flatten and flatten, not for ReLU",
    ),
    (
        "{name: x, type: broadcast_add, bottom: [data, data], ^broadcast_add_param: {axis: 1}}",
        "ND002",
        "remove it: broadcast_add has no attributes",
    ),
    (
        "{name: x, type: concat, bottom: [data, data], concat_param: {^num_args: 2}}",
        "ND002",
        "the number of bottoms says it",
    ),
    (
        "{name: x, type: Embedding, bottom: label,"
        " embedding_param: {input_dim: 9, output_dim: 2, ^sparse_grad: true}}",
        "ND002",
        "has no effect here",
    ),
    (
        "{name: x, type: FullyConnected, bottom: data, fully_connected_param: {num_hidden: 2, ^weight: w}}",
        "ND002",
        "give weight as a bottom, or weight_filler for how it is filled",
    ),
    (
        "{name: x, type: FullyConnected, bottom: data, fully_connected_param: {num_hidden: 2,"
        " weight_filler: {type: ^bilinear}}}",
        "ND033",
        "x.fully_connected_param: a bilinear filler",
    ),
    ("^{name: x, type: FullyConnected, bottom: data}", "ND009", "x needs fully_connected_param.num_hidden"),
    ("{name: x, type: batch_dot, bottom: ^data}", "ND030", "takes 2 bottoms (lhs, rhs), not 1 (give 2"),
    (
        "{name: x, type: LayerNorm, bottom: ^[data, label, label, label]}",
        "ND030",
        "LayerNorm takes 1 to 3 bottoms (data, gamma, beta), not 4",
    ),
    ("{name: x, type: softmax, bottom: ^[data, label]}", "ND030", "softmax takes 1 bottom (data), not 2"),
    ("{name: x, type: normal, bottom: ^data, normal_param: {shape: 2}}", "ND030", "takes no bottom, not 1"),
    ("{name: x, type: add_n, bottom: ^[]}", "ND030", "add_n takes 1 or more bottoms, not 0"),
    (
        "{name: x, type: split, bottom: data, top: ^[a, b], split_param: {num_outputs: 3}}",
        "ND030",
        "split has 3 tops (output0, output1, output2), not 2",
    ),
    (
        "{name: x, type: split, bottom: data, top: ^[a, b], split_param: {num_outputs: 4000}}",
        "ND030",
        "split has 4000 tops, not 2",
    ),
    ("^{name: x, type: moments, bottom: data, moments_param: {axes: 1}}", "ND030", "not 1 (give 2 tops)"),
    (
        "{name: x, type: FullyConnected, bottom: data, param: ^[{}, {}],"
        " fully_connected_param: {num_hidden: 2, no_bias: true}}",
        "ND032",
        "param has 2 entries, but the layer has 1 learnable blob",
    ),
    ("{name: x, type: BatchNorm_v1, bottom: data, param: ^[{}, {}, {}]}", "ND032", "has 2 learnable blobs"),
    (
        "{name: x, type: SoftmaxOutput, bottom: [data, label], loss_weight: ^2,"
        " softmax_output_param: {preserve_shape: true}}",
        "ND036",
        "which makes its own gradient (set grad_scale)",
    ),
    (
        "{name: x, type: SoftmaxOutput, bottom: [data, label],"
        " softmax_output_param: {preserve_shape: true, ^normalization: null}}",
        "ND008",
        'x.softmax_output_param.normalization has no value (write the word in quotes: "null")',
    ),
    ("{name: x, type: BatchNorm_v1, bottom: data, phase: ^TEST}", "ND036", "goes by the phase of the net"),
    (
        "{name: x, type: LayerNorm, bottom: data, layer_norm_param: {axis: ^5}}",
        "ND200",
        "x: axis 5 is out of range for data 2x6x8 with 3 axes (from -3 to 2)",
    ),
    (
        "{name: x, type: take, bottom: [data, label], take_param: {axis: ^7}}",
        "ND200",
        "x: axis 7 is out of range for data 2x6x8",
    ),
    (
        "{name: x, type: transpose, bottom: data, transpose_param: {axes: ^[0, 2]}}",
        "ND200",
        "axes (0, 2) are not the 3 axes of data 2x6x8",
    ),
    (
        "{name: ^x, type: batch_take, bottom: [label, data]}",
        "ND200",
        "x: data is 2x6x8, but label is 2x6 and has one element taken of each row",
    ),
    (
        "{name: ^x, type: broadcast_add, bottom: [data, label]}",
        "ND206",
        "x: data is 2x6x8 and label is 2x6",
    ),
    (
        "{name: ^x, type: softmax, bottom: [data, label], softmax_param: {use_length: true}}",
        "ND212",
        "x: label is float32, but whole numbers are needed (it reads data float32 and label float32)",
    ),
    ("{name: ^x, type: normal}", "ND213", "x: the shape of x does not follow"),
]


@pytest.mark.parametrize(("layer", "code", "words"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_a_fault_has_one_finding(layer, code, words):
    """One finding with code, words and the place marked by ^; no reader of the layer's blobs is blamed."""
    line = f"  - {layer}"
    reader = "" if "top:" in layer else "  - {name: reader, type: tanh, bottom: x}\n"
    _, found = builds.load(f"layer:\n{DATA}{LABEL}{line.replace('^', '')}\n{reader}")

    told = [f"{d.code.id} {d.span.line}:{d.span.column} {d.message} ({d.hint})" for d in found]
    assert len(told) == 1, told
    assert told[0].startswith(f"{code} 4:{line.index('^') + 1} ")
    assert words in told[0]


# -- the schema, and every example of every operator ---------------------------------------------------------


SCHEMA = schema.net_schema()
NET = Draft202012Validator(SCHEMA)
#: what the schema says of each operator: trying all of them for every layer would take a minute
DEFINITIONS = {
    kind: branch["then"]["$ref"]
    for branch in SCHEMA["$defs"]["Operator"]["allOf"]
    for kind in branch["if"]["properties"]["type"].get("enum", [])
    or [branch["if"]["properties"]["type"]["const"]]
}


def errors_of(entry):
    """What the schema has against an entry of `layer` whose type is an operator."""
    validator = Draft202012Validator({"$ref": DEFINITIONS[entry["type"]], "$defs": SCHEMA["$defs"]})
    return [error.message for error in validator.iter_errors(entry)]


def as_plain(value):
    """A value as YAML has it."""
    return [as_plain(item) for item in value] if isinstance(value, tuple) else value


def examples():
    """Every example of every operator that is a layer, as an entry of `layer`."""
    names = {}
    for name in NAMES:
        names.setdefault(operator_layer(name).operator, name)
    for operator in every_operator():
        for number, (attributes, shapes) in enumerate(operator.examples):
            if operator in names:
                yield pytest.param(names[operator], attributes, shapes, id=f"{names[operator]}-{number}")


@pytest.mark.parametrize(("name", "attributes", "shapes"), list(examples()))
def test_every_example_is_a_layer(name, attributes, shapes):
    """What the operator takes is legal in a spec, for the checks and for the schema."""
    layer = operator_layer(name)
    op = layer.operator(**attributes)
    own = layer.fields[layer.block].message.fields if layer.block else {}
    block = {
        key: as_plain(value)
        for key, value in attributes.items()
        if key in own and (value is not None or own[key].nullable)
    }
    inputs = [role for role in op.input_names() if role in shapes or role not in layer.learnt()]
    outputs = op.output_names()[: op.visible_outputs()]
    entry = {"name": "x", "type": name, "bottom": inputs, "top": [f"top_{i}" for i, _ in enumerate(outputs)]}
    if block:
        entry[layer.block] = block
    feeding = [{"name": f"{role}_data", "type": "Input", "top": role} for role in inputs]
    data = {"layer": [*feeding, entry]}

    findings = Findings()
    check_net(read_string(yaml.safe_dump(data), "net.yaml", findings), findings)

    assert [str(finding) for finding in findings] == []
    assert errors_of(entry) == []


@pytest.mark.parametrize("name", NAMES)
def test_unknown_keys_are_refused_by_the_schema_too(name):
    """Of the layer and of its block, as the checks do."""
    layer = operator_layer(name)
    entries = [{"type": name, "unheard_of": 1}, {"type": name, "pooling_param": {"kernel_size": 1}}]
    if layer.block:
        entries.append({"type": name, layer.block: {"unheard_of": 1}})
    else:
        entries.append({"type": name, block_of(name): {}})
    for entry in entries:
        findings = Findings()
        check_net(read_string(json.dumps({"layer": [entry]}), "net.yaml", findings), findings)

        assert {"ND002", "ND006"} & {finding.code.id for finding in findings}
        assert errors_of(entry)


def test_the_schema_knows_every_common_field():
    """An operator layer may have what all layers have, and expressions for numbers."""
    entry = {"name": "x", "type": "LayerNorm", "bottom": "data", "layer_norm_param": {"axis": "${a}"}}

    assert NET.is_valid({"layer": {**entry, "include": {"phase": "TRAIN"}, "param": [{"lr_mult": 1}]}})
    assert not NET.is_valid({"layer": {**entry, "phase": "NIGHT"}})
    assert not NET.is_valid({"layer": {**entry, "layer_norm_param": {"axes": 1}}})
    assert not NET.is_valid({"layer": {"type": "FullyConnected"}})
    assert not NET.is_valid({"layer": {"type": "batch_dot", "layer_norm_param": {}}})
    assert set(SCHEMA["$defs"]["LayerField"]["enum"]) == set(Layer.fields)
    assert list(DEFINITIONS) != []
    assert (
        set(DEFINITIONS)
        == set(NAMES)
        < set(SCHEMA["$defs"]["Layer"]["properties"]["type"]["anyOf"][0]["enum"])
    )


def some(field):
    """Values for an attribute: mostly legal ones, some that are not, some that are far too large."""
    number = st.integers(-3, 5) | st.sampled_from([0.5, 2**31, 2**62, -(2**40)])
    if isinstance(field, Enum):
        return st.sampled_from(field.choices)
    if isinstance(field, Bool):
        return st.booleans()
    return number | st.lists(number | st.none(), max_size=5)


@st.composite
def operator_layers(draw):
    """An entry of `layer` whose type is an operator, with bottoms of up to five axes."""
    layer = operator_layer(draw(st.sampled_from(NAMES)))
    entry = {"name": "x", "type": layer.__name__}
    entry["bottom"] = draw(st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=4))
    fields = layer.fields[layer.block].message.fields if layer.block else {}
    chosen = {
        name: draw(some(field))
        for name, field in fields.items()
        if name in layer.operator.fields and (field.required or draw(st.booleans()))
    }
    if chosen:
        entry[layer.block] = chosen
    return entry


@settings(max_examples=600, deadline=None)
@given(layer=operator_layers())
def test_any_attributes_end_in_findings(layer):
    """Whatever they are: no exception, no hang, and a place in the file for every finding."""
    shapes = {"a": [2, 3], "b": [2, 3, 4], "c": [2, 3, 4, 4], "d": [2, 3]}
    feeding = [
        {"name": name, "type": "Input", "input_param": {"shape": {"dim": dim}}}
        for name, dim in shapes.items()
    ]
    _, found = builds.load({"layer": [*feeding, layer]})

    for finding in found:
        assert finding.span.file == "net.yaml"
        assert finding.span.line


# -- what is loaded -----------------------------------------------------------------------------------------


def loaded_by_lint(path):
    """The modules that are loaded when `netdef lint` ends."""
    script = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(*sys.modules, sep='\\n', file=sys.stderr))\n"
        f"sys.argv = ['netdef', 'lint', {str(path)!r}]\n"
        "from netdef.cli import main\n"
        "main()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return set(result.stderr.split())


def test_lint_loads_only_the_operators_of_the_net():
    """A transformer is checked without numpy and without the families that it does not use."""
    loaded = loaded_by_lint("configs/transformer/reverse.yaml")

    assert {"netdef.ops.layernorm", "netdef.ops.matrix"} <= loaded
    assert not loaded & {"numpy", "netdef.ops.rnn", "netdef.ops.roi_align", "netdef.ops.update"}


def test_lint_of_caffes_layers_loads_no_other_operators():
    """The names of operators are known without loading one."""
    assert not loaded_by_lint("configs/digits/lenet.yaml") & {"netdef.ops.layernorm", "netdef.ops.matrix"}

"""Layer types: their declarations against Caffe's, what they become, and the layers that read files."""

import gzip
import re
import struct
from pathlib import Path

import builds
import numpy as np
import pytest

from netdef.diag import Findings
from netdef.ops.fields import REQUIRED, Bool, Enum, Float, Int, Str
from netdef.spec.check import check_net
from netdef.spec.expand import expand
from netdef.spec.layers import LAYERS
from netdef.spec.layers.base import FillerParameter, Layer, NetState, NetStateRule, ParamSpec
from netdef.spec.message import Sub
from netdef.spec.read import read

SYSTEMS = Path(__file__).parents[3] / "shared" / "reference" / "systems.md"
#: fields of Caffe's messages that netdef leaves out on purpose
LEFT_OUT = {"TransformationParameter": {"mean_file", "force_color", "force_gray"}}
#: messages that Caffe does not have
OWN = {"ArrayDataParameter", "IdxDataParameter"}
KINDS = {"int32": Int, "uint32": Int, "int64": Int, "float": Float, "bool": Bool, "string": Str}

IMAGE = "  - {name: data, type: Input, top: data, input_param: {shape: {dim: [2, 4, 8, 8]}}}\n"
OTHER = "  - {name: other, type: Input, top: other, input_param: {shape: {dim: [2, 4, 8, 8]}}}\n"
LABEL = "  - {name: label, type: Input, top: label, input_param: {shape: {dim: 2}}}\n"


def systems_text():
    """The reference tables; skips where they are not there."""
    if not SYSTEMS.exists():
        pytest.skip("the reference tables are not beside the project (../shared/reference)")
    return SYSTEMS.read_text(encoding="utf-8")


def messages_of(declarations):
    """Every message class that the declarations hold, by name."""
    found = {}
    waiting = list(declarations)
    while waiting:
        message = waiting.pop()
        if message.__name__ not in found:
            found[message.__name__] = message
            waiting += [field.message for field in message.fields.values() if isinstance(field, Sub)]
    return found


DECLARED = {
    name: message
    for name, message in messages_of(
        [*LAYERS.values(), FillerParameter, ParamSpec, NetState, NetStateRule]
    ).items()
    if not issubclass(message, Layer) and name not in OWN
}


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_a_message_has_caffes_fields(name):
    """Names, protobuf numbers, kinds, repetition and defaults are those of caffe.proto."""
    (row,) = re.findall(rf"^\| {name} \| (\w+\*?:.*) \|$", systems_text(), re.MULTILINE)
    fields = dict(DECLARED[name].fields)
    expected = re.findall(r"(\w+)(\*?):(\w+)(?:=(\S+))? #(\d+)", row)
    assert expected
    for field, star, kind, default, number in expected:
        if field in LEFT_OUT.get(name, ()):
            assert field not in fields
            continue
        ours = fields.pop(field)
        assert ours.number == int(number), field
        assert ours.repeated == bool(star), field
        if kind in KINDS:
            assert isinstance(ours, KINDS[kind]), field
        else:
            assert isinstance(ours, (Enum, Sub)), field
        if default:
            assert ours.parse(as_data(default.rstrip(";"), kind)) == ours.default, field
        else:
            assert ours.default in (None, (), "", REQUIRED) or kind not in KINDS or not ours.default, field
    assert not fields


def as_data(text, kind):
    """A default of caffe.proto as YAML would have it."""
    if kind == "bool":
        return text == "true"
    if kind in KINDS and kind != "string":
        return float(text) if kind == "float" else int(text)
    return text.strip("'\"")


def test_the_wrapper_and_the_blocks_have_caffes_numbers():
    """LayerParameter's own fields and the number of every parameter block."""
    (row,) = re.findall(r"^\| LayerParameter \| (.*) \|$", systems_text(), re.MULTILINE)
    wrapper, blocks = row.split("then per-type messages:")
    own = {name: int(number) for name, number in re.findall(r"(\w+)\*? #(\d+)", wrapper)}
    numbers = {f"{name}_param": int(number) for name, number in re.findall(r"(\w+) (\d+)", blocks)}
    del own["blobs"]

    for name, layer in LAYERS.items():
        for field, declared in layer.fields.items():
            if declared.number or name not in ("ArrayData", "IdxData"):
                assert declared.number == {**own, **numbers}[field], f"{name}.{field}"
    assert own.keys() - {"transform_param", "loss_param"} == Layer.fields.keys()


def test_every_blamed_field_exists():
    """A shape error can be shown at the fields that `blame` names."""
    for name, layer in LAYERS.items():
        for attribute, paths in layer.blame.items():
            for path in paths:
                block, field = path.split(".")
                assert field in layer.fields[block].message.fields, f"{name}: {attribute}"


def ops_of(layers, phase="TRAIN"):
    """The operators of the last layer of a net: name of the node, operator, attributes that were given."""
    net = builds.build("layer:\n" + layers, phase).net
    nodes = net.layers[-1].nodes
    return [
        (node.name, type(node.op).__name__, {key: getattr(node.op, key) for key in node.op.given})
        for node in nodes
    ]


@pytest.mark.parametrize(
    ("layer", "operator", "attributes"),
    [
        ("type: ReLU", "Activation", {"act_type": "relu"}),
        ("type: ReLU, relu_param: {negative_slope: 0.5}", "LeakyReLU", {"act_type": "leaky", "slope": 0.5}),
        ("type: Sigmoid", "Activation", {"act_type": "sigmoid"}),
        ("type: TanH", "Activation", {"act_type": "tanh"}),
        ("type: Dropout", "Dropout", {"p": 0.5, "mode": "training"}),
        ("type: Dropout, phase: TEST", "Dropout", {"p": 0.0}),
        (
            "type: Dropout, phase: TRAIN, dropout_param: {dropout_ratio: 0.1}",
            "Dropout",
            {"p": 0.1, "mode": "always"},
        ),
        ("type: Softmax, softmax_param: {axis: -1}", "Softmax", {"axis": -1}),
        ("type: Flatten, flatten_param: {axis: 2}", "Flatten", {"axis": 2, "end_axis": -1}),
        (
            "type: LRN",
            "LRN",
            {"nsize": 5, "alpha": 1.0, "beta": 0.75, "knorm": 1.0, "norm_region": "ACROSS_CHANNELS"},
        ),
        (
            "type: InnerProduct, inner_product_param:"
            " {num_output: 3, bias_term: false, transpose: true, axis: 2}",
            "FullyConnected",
            {"num_hidden": 3, "no_bias": True, "transpose": True, "axis": 2},
        ),
        (
            "type: Convolution, convolution_param:"
            " {num_output: 6, kernel_size: 3, pad: 1, stride: 2, group: 2}",
            "Convolution",
            {
                "num_filter": 6,
                "kernel": (3,),
                "pad": (1,),
                "stride": (2,),
                "dilate": (),
                "num_group": 2,
                "no_bias": False,
            },
        ),
        (
            "type: Convolution, convolution_param: {num_output: 2, kernel_h: 3, kernel_w: 2, pad_w: 1,"
            " stride_h: 2, stride_w: 3, dilation: [1, 2], bias_term: false}",
            "Convolution",
            {"kernel": (3, 2), "pad": (0, 1), "stride": (2, 3), "dilate": (1, 2), "no_bias": True, "axis": 1},
        ),
        (
            "type: Pooling, pooling_param: {kernel_size: 3}",
            "Pooling",
            {
                "pool_type": "max",
                "kernel": (3, 3),
                "stride": (1, 1),
                "pad": (0, 0),
                "pooling_convention": "clip",
            },
        ),
        (
            "type: Pooling, pooling_param: {pool: AVE, kernel_h: 3, kernel_w: 2, stride_h: 2, stride_w: 1,"
            " pad_h: 1, pad_w: 0, round_mode: FLOOR}",
            "Pooling",
            {
                "pool_type": "avg",
                "kernel": (3, 2),
                "stride": (2, 1),
                "pad": (1, 0),
                "pooling_convention": "valid",
            },
        ),
        ("type: Pooling, pooling_param: {global_pooling: true, pool: AVE}", "Pooling", {"global_pool": True}),
        ("type: Concat, concat_param: {axis: -2}", "Concat", {"dim": -2}),
        ("type: Concat, concat_param: {concat_dim: 3}", "Concat", {"dim": 3}),
        (
            "type: Scale, scale_param: {axis: 2, num_axes: -1, bias_term: true}",
            "Scale",
            {"axis": 2, "num_axes": -1, "bias_term": True},
        ),
        (
            "type: BatchNorm",
            "BatchNorm",
            {"affine": False, "statistics": "sum", "momentum": 0.999, "eps": 1e-5},
        ),
        (
            "type: BatchNorm, batch_norm_param: {use_global_stats: true}",
            "BatchNorm",
            {"use_global_stats": True},
        ),
    ],
)
def test_a_layer_becomes_one_operator(layer, operator, attributes):
    """With the attributes that Caffe's fields and defaults mean."""
    ((name, built, given),) = ops_of(f"{IMAGE}  - {{name: x, bottom: data, {layer}}}\n")

    assert (name, built) == ("x", operator)
    assert attributes.items() <= given.items()


@pytest.mark.parametrize(("phase", "stored"), [("TRAIN", False), ("TEST", True)])
def test_batch_norm_uses_the_batch_in_training(phase, stored):
    """Caffe's default of use_global_stats; three states, none of them learnt."""
    net = builds.build(f"layer:\n{IMAGE}  - {{name: bn, type: BatchNorm}}\n", phase).net

    assert net.layers[1].nodes[0].op.use_global_stats is stored
    assert [param.node.name for param in net.layers[1].params] == ["bn_mean", "bn_variance", "bn_factor"]
    assert net.params() == {}


def test_blobs_come_in_caffes_order_with_their_fillers():
    """Weight, then bias; Scale's factors are filled with 1 unless a filler is given."""
    filled = "convolution_param: {num_output: 2, kernel_size: 1, weight_filler: {type: msra}}"
    net = builds.build(
        f"layer:\n{IMAGE}  - {{name: conv, type: Convolution, {filled}}}\n"
        "  - {name: one, type: Scale, scale_param: {bias_term: true}}\n"
        "  - {name: two, type: Scale, scale_param: {filler: {value: 3}}}\n"
    ).net
    told = {name: (param.role, param.filler.type, param.filler.value) for name, param in net.params().items()}

    assert told == {
        "conv_weight": ("weight", "msra", 0.0),
        "conv_bias": ("bias", "constant", 0.0),
        "one_scale": ("scale", "constant", 1.0),
        "one_bias": ("bias", "constant", 0.0),
        "two_scale": ("scale", "constant", 3.0),
    }


def test_a_scale_with_two_bottoms_has_no_factors_of_its_own():
    """The second bottom takes their place; only the bias is a blob."""
    net = builds.build(
        f"layer:\n{IMAGE}  - {{name: f, type: Input, top: f, input_param: {{shape: {{dim: 4}}}}}}\n"
        "  - {name: s, type: Scale, bottom: [data, f], scale_param: {bias_term: true}}\n"
    ).net

    assert list(net.params()) == ["s_bias"]


def test_a_convolution_of_several_bottoms_shares_its_weights():
    """One node for each bottom, one weight and one bias."""
    conv = "convolution_param: {num_output: 2, kernel_size: 3}"
    net = builds.build(
        f"layer:\n{IMAGE}{OTHER}"
        f"  - {{name: c, type: Convolution, bottom: [data, other], top: [a, b], {conv}}}\n"
    ).net

    assert [node.name for node in net.layers[-1].nodes] == ["c", "c_1"]
    assert list(net.params()) == ["c_weight", "c_bias"]
    assert net.outputs == ("a", "b")


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("operation: PROD", [("x_0", "Mul", "data", "other"), ("x", "Mul", "x_0", "data")]),
        ("operation: MAX", [("x_0", "Maximum", "other", "data"), ("x", "Maximum", "x_0", "data")]),
    ],
)
def test_eltwise_of_three_bottoms_is_a_chain(operation, expected):
    """The last node has the layer's name.  MAX asks the second bottom first, which wins a tie in Caffe."""
    eltwise = f"type: Eltwise, bottom: [data, other, data], eltwise_param: {{{operation}}}"
    net = builds.build(f"layer:\n{IMAGE}{OTHER}  - {{name: x, {eltwise}}}\n").net
    nodes = net.layers[-1].nodes

    assert [
        (n.name, type(n.op).__name__, *(entry.node.name for entry in n.inputs)) for n in nodes
    ] == expected


def test_eltwise_sums_with_coefficients():
    """One operator for any number of bottoms."""
    eltwise = "type: Eltwise, bottom: [data, other, data], eltwise_param: {coeff: [1, -1, 0.5]}"
    ((_, operator, given),) = ops_of(f"{IMAGE}{OTHER}  - {{name: x, {eltwise}}}\n")

    assert operator == "ElementWiseSum"
    assert given["coeff"] == (1.0, -1.0, 0.5)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("", "VALID"),
        ("loss_param: {normalization: FULL}", "FULL"),
        ("loss_param: {normalize: false}", "BATCH_SIZE"),
        ("loss_param: {normalize: true}", "VALID"),
    ],
)
def test_the_loss_is_divided_as_caffe_divides_it(fields, expected):
    """normalization, its default, and its older form."""
    flat = "  - {name: flat, type: Flatten, bottom: data}\n"
    loss = f"  - {{name: loss, type: SoftmaxWithLoss, bottom: [flat, label], {fields}}}\n"
    ((_, _, given),) = ops_of(IMAGE + LABEL + flat + loss)

    assert given["normalization"] == expected
    assert "ignore_label" not in given


def test_a_loss_and_an_accuracy_may_have_a_second_top():
    """The probabilities, and the accuracy of each class; neither is part of the objective."""
    loaded = builds.build(
        f"layer:\n{IMAGE}{LABEL}  - {{name: flat, type: Flatten, bottom: data}}\n"
        "  - {name: loss, type: SoftmaxWithLoss, bottom: [flat, label], top: [loss, prob]}\n"
        "  - {name: accuracy, type: Accuracy, bottom: [flat, label], top: [accuracy, each]}\n"
    )
    shapes = {blob: loaded.shapes[entry] for blob, entry in loaded.net.blobs.items()}

    assert shapes["prob"] == (2, 256)
    assert shapes["each"] == (256,)
    assert shapes["loss"] == shapes["accuracy"] == ()
    assert [part.blob for part in loaded.net.losses] == ["loss"]


@pytest.mark.parametrize(
    ("layer", "code", "words"),
    [
        (
            "type: Convolution, convolution_param:"
            " {num_output: 2, kernel_size: 3, kernel_h: ^3, kernel_w: 3}",
            "ND031",
            "kernel_h",
        ),
        ("type: Convolution, convolution_param: {num_output: 2, kernel_h: ^3}", "ND009", "without kernel_w"),
        (
            "type: Convolution, convolution_param: {num_output: 2, kernel_size: 3, pad: 1, pad_h: ^1}",
            "ND031",
            "pad and",
        ),
        (
            "type: Convolution, convolution_param: {num_output: 2, kernel_size: 3, stride_w: ^1}",
            "ND009",
            "stride_h",
        ),
        (
            "type: Convolution, convolution_param: {num_output: 4, kernel_size: 3, group: ^3}",
            "ND008",
            "does not divide",
        ),
        ("type: Convolution, convolution_param: {num_output: 4}", "ND200", "kernel is missing"),
        (
            "type: Convolution, convolution_param: {num_output: 4, kernel_h: 1, kernel_w: 2, weight_filler:"
            " {type: ^bilinear}}",
            "ND033",
            "square kernel, not 1x2",
        ),
        ("type: Pooling, pooling_param: ^{}", "ND009", "kernel_size is missing"),
        ("type: Pooling, pooling_param: {global_pooling: true, kernel_size: ^2}", "ND031", "the whole image"),
        ("type: Pooling, pooling_param: {global_pooling: true, stride: ^2}", "ND031", "only one window"),
        ("type: Pooling, pooling_param: {kernel_size: 2, pool: ^STOCHASTIC}", "ND035", "pool: AVE"),
        (
            "type: Pooling, top: ^[x, mask], pooling_param: {kernel_size: 2}",
            "ND035",
            "positions of the maxima",
        ),
        ("type: Pooling, pooling_param: {kernel_size: 2, pool: ^MAXX}", "ND008", "MAX, AVE or STOCHASTIC"),
        ("type: LRN, lrn_param: {local_size: ^4}", "ND008", "even"),
        ("type: Dropout, dropout_param: {dropout_ratio: ^1.5}", "ND008", "at most 1"),
        ("type: Eltwise", "ND030", "2 or more bottoms"),
        (
            "type: Eltwise, bottom: [data, data], eltwise_param: {coeff: ^[1, 2, 3]}",
            "ND032",
            "3 entries for 2 bottoms",
        ),
        (
            "type: Eltwise, bottom: [data, data], eltwise_param: {operation: MAX, coeff: ^[1, 2]}",
            "ND031",
            "SUM",
        ),
        ("type: Concat, concat_param: {axis: 1, concat_dim: ^1}", "ND031", "older name"),
        ("type: BatchNorm, param: [{lr_mult: 0}, ^{decay_mult: 0}]", "ND034", "lr_mult: 0"),
        ("type: Scale, bottom: [data, data], param: ^{lr_mult: 1}", "ND032", "no learnable blob"),
        (
            "type: InnerProduct, inner_product_param: {num_output: 1, bias_term: false}, param: ^[{}, {}]",
            "ND032",
            "1 learn",
        ),
        (
            "type: InnerProduct, inner_product_param: {num_output: 1, weight_filler: {type: ^xaver}}",
            "ND033",
            "xavier?",
        ),
        (
            "type: InnerProduct, inner_product_param: {num_output: 1, weight_filler: {type: ^bilinear}}",
            "ND033",
            "wind",
        ),
        (
            "type: InnerProduct, inner_product_param: {num_output: 1, bias_filler: {type: uniform, min: ^2}}",
            "ND033",
            "above max",
        ),
        (
            "type: Input, bottom: [], top: [x, y, z], input_param: {shape: ^[{dim: 1}, {dim: 2}]}",
            "ND032",
            "3 tops",
        ),
    ],
)
def test_fields_are_checked_against_each_other(layer, code, words):
    """One finding; ^ marks its place where the layer has several."""
    line = f"  - {{name: x, {layer if 'bottom:' in layer else 'bottom: data, ' + layer}}}"
    _, found = builds.load(f"layer:\n{IMAGE}{line.replace('^', '')}\n")

    assert [d.code.id for d in found] == [code], [str(d) for d in found]
    assert words in f"{found[0].message} ({found[0].hint})"
    assert found[0].span.line == 3
    if "^" in line:
        assert found[0].span.column == line.index("^") + 1


def test_three_params_of_a_batch_norm_are_an_older_form():
    """Caffe's upgrade clears them, whatever they say."""
    found = builds.load(
        f"layer:\n{IMAGE}  - {{name: bn, type: BatchNorm, param: [{{}}, {{lr_mult: 1}}, {{}}]}}\n"
    )[1]

    assert found == []


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("", [None, None]),
        ("input_param: {shape: {dim: [2, 0]}}", [(2, 0), (2, 0)]),
        ("input_param: {shape: [{dim: 3}, {}]}", [(3,), ()]),
    ],
)
def test_input_takes_one_shape_for_all_tops_or_one_for_each(shape, expected):
    """A size of 0 and a shape without axes are legal; no shape is not known."""
    findings = Findings()
    document = builds.read_string(
        f"layer: [{{name: i, type: Input, top: [a, b], {shape}}}]", "net.yaml", findings
    )
    spec = check_net(document, findings)

    assert spec.layer[0].input_shapes(findings) == expected
    assert list(findings) == []


def feeding(folder, layer):
    """The feeding layer of a file in `folder`, its shapes and the findings."""
    path = folder / "net.yaml"
    path.write_text(f"layer:\n  - {{name: d, {layer}}}\n")
    findings = Findings()
    spec = check_net(read(str(path), findings), findings)
    (expanded,) = expand(spec, NetState(phase="TRAIN"))
    shapes = expanded.input_shapes(findings)
    return expanded, shapes, [f"{d.code.id} {d.span.column} {d.message} ({d.hint})" for d in findings]


@pytest.fixture
def folder(tmp_path):
    """A folder with arrays: 5 images, 5 labels, 4 labels, one number, no samples."""
    images, labels = np.zeros((5, 3, 8, 6), np.uint8), np.arange(5)
    np.savez(
        tmp_path / "all.npz", data=images, label=labels, few=labels[:4], one=np.float32(1), none=labels[:0]
    )
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "labels.npy", labels)
    with gzip.open(tmp_path / "images.gz", "wb") as file:
        file.write(struct.pack(">4B3I", 0, 0, 8, 3, 5, 8, 6) + bytes(5 * 8 * 6))
    (tmp_path / "labels.idx").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, 5) + bytes(5))
    (tmp_path / "few.idx").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, 4) + bytes(4))
    return tmp_path


ARRAYS = "type: ArrayData, top: [data, label], array_data_param: {batch_size: 2, "
IDX = "type: IdxData, top: [data, label], idx_data_param: {batch_size: 2, "


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (ARRAYS + "source: all.npz}", [(2, 3, 8, 6), (2,)]),
        (ARRAYS + "source: all.npz, key: [data, few]}", None),
        (ARRAYS + "source: [images.npy, labels.npy]}", [(2, 3, 8, 6), (2,)]),
        (ARRAYS + "source: [all.npz, labels.npy]}", [(2, 3, 8, 6), (2,)]),
        (ARRAYS + "source: all.npz}, transform_param: {crop_size: 4}", [(2, 3, 4, 4), (2,)]),
        (
            ARRAYS + "source: all.npz}, transform_param: {mean_value: [1, 2, 3], mirror: true}",
            [(2, 3, 8, 6), (2,)],
        ),
        (ARRAYS + "source: all.npz, shape: [{dim: [3, 8, 6]}, {}]}", [(2, 3, 8, 6), (2,)]),
        (ARRAYS + "source: gone.npz, shape: [{dim: [3, 8]}, {}]}", [(2, 3, 8), (2,)]),
        ("type: ArrayData, top: label, array_data_param: {batch_size: 2, source: all.npz}", [(2,)]),
        ("type: ArrayData, top: x, array_data_param: {batch_size: 9, source: images.npy}", [(9, 3, 8, 6)]),
        (IDX + "source: images.gz, label_source: labels.idx}", [(2, 1, 8, 6), (2,)]),
        (IDX + "source: images.gz, label_source: labels.idx, shape: {dim: [1, 8, 6]}}", [(2, 1, 8, 6), (2,)]),
        (IDX + "source: gone, label_source: gone, shape: {dim: [1, 9, 9]}}", [(2, 1, 9, 9), (2,)]),
        ("type: IdxData, top: data, idx_data_param: {batch_size: 2, source: images.gz}", [(2, 1, 8, 6)]),
    ],
)
def test_the_shapes_of_data_come_from_the_spec_or_from_headers(folder, layer, shapes):
    """Batch size and sample, cropped; a file that is not there is no fault where the shape is declared."""
    expanded, found, texts = feeding(folder, layer)

    if shapes is None:
        assert len(texts) == 1
        assert "data 5, label 4" in texts[0]
        return
    assert texts == []
    assert found == shapes
    assert len(expanded.files()) == len(shapes)
    assert all(path.is_absolute() and path.parent == folder for path, _ in expanded.files())


@pytest.mark.parametrize(
    ("layer", "code", "words"),
    [
        (ARRAYS + "source: ^gone.npz}", "ND040", "there is no file"),
        (ARRAYS + "source: ^all.npz, key: [data, labl]}", "ND041", "no array 'labl' (did you mean label?)"),
        (ARRAYS + "source: ^all.npz, key: [data, one]}", "ND041", "one is one number"),
        (ARRAYS + "source: ^all.npz, key: [data, none]}", "ND041", "none holds no samples"),
        (ARRAYS + "source: [images.npy, ^net.npy]}", "ND041", "net.npy"),
        (
            ARRAYS + "source: all.npz, shape: [^{dim: [3, 8, 8]}, {}]}",
            "ND042",
            "3x8x8 here, but 3x8x6 in its file",
        ),
        (
            ARRAYS + "source: all.npz}, transform_param: {crop_size: ^7}",
            "ND043",
            "larger than the images, 3x8x6",
        ),
        (
            ARRAYS + "source: all.npz}, transform_param: {mean_value: ^[1, 2]}",
            "ND043",
            "one for each of 3 channels",
        ),
        (
            "type: ArrayData, top: label, array_data_param: {batch_size: 2, source: all.npz},"
            " transform_param: {mirror: ^true}",
            "ND043",
            "mirror is for images",
        ),
        (ARRAYS + "source: all.npz}, transform_param: {^mean_file: x}", "ND002", "no field mean_file"),
        (ARRAYS + "source: ^a.h5}", "ND008", "numpy.savez"),
        (ARRAYS + "source: ^images.npy}", "ND032", "1 file for 2 tops"),
        (ARRAYS + "source: [images.npy, labels.npy], key: ^[a, b]}", "ND031", "holds one array only"),
        (ARRAYS + "source: all.npz, key: ^data}", "ND032", "key has 1 entries for 2 tops"),
        (ARRAYS + "source: all.npz, shape: ^{dim: 3}}", "ND032", "shape has 1 entries for 2 tops"),
        ("type: ArrayData, array_data_param: ^{batch_size: 2}", "ND009", "needs source"),
        ("type: ArrayData, array_data_param: ^{source: all.npz}", "ND009", "needs batch_size"),
        (IDX + "source: ^images.gz, label_source: few.idx}", "ND041", "data 5, label 4"),
        (IDX + "source: ^all.npz, label_source: labels.idx}", "ND041", "no idx file"),
        (IDX + "source: images.gz, label_source: labels.idx, shape: ^{dim: [8, 6]}}", "ND042", "8x6 here"),
        (
            "type: IdxData, top: [a, b], idx_data_param: ^{batch_size: 2, source: images.gz}",
            "ND009",
            "label_source",
        ),
        (
            "type: IdxData, top: a, idx_data_param:"
            " {batch_size: 2, source: images.gz, label_source: ^labels.idx}",
            "ND030",
            "no top",
        ),
    ],
)
def test_data_that_do_not_fit_have_one_finding(folder, layer, code, words):
    """With code, words, and its place at the field to blame."""
    (folder / "net.npy").write_bytes(b"no array")
    path = folder / "net.yaml"
    line = f"  - {{name: d, {layer}}}"
    path.write_text(f"layer:\n{line.replace('^', '')}\n")
    findings = Findings()
    spec = check_net(read(str(path), findings), findings)
    for expanded in expand(spec, NetState(phase="TRAIN")):
        expanded.input_shapes(findings)

    (found,) = findings
    assert found.code.id == code, str(found)
    assert words in f"{found.message} ({found.hint})"
    assert (found.span.line, found.span.column) == (2, line.index("^") + 1)

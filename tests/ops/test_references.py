"""Operators against slow references, written from their definitions, and against MXNet's recordings."""

import json
import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from references import ELSEWHERE, MORE, REFERENCES

from netdef.ops import OPERATORS, every_operator, find
from netdef.ops.shapes import ShapeError, Shapes

VECTORS = Path(__file__).parents[3] / "shared" / "conformance" / "mxnet" / "dev" / "ops"

# -- the comparison ------------------------------------------------

CASES = [
    pytest.param(operator, attributes, shapes, id=f"{operator.__name__}-{number}")
    for operator in every_operator()
    if operator.__name__ not in ELSEWHERE
    for number, (attributes, shapes) in enumerate((*operator.examples, *MORE.get(operator.__name__, ())))
]


@pytest.mark.parametrize(("operator", "attributes", "shapes"), CASES)
def test_an_operator_is_what_its_definition_says(operator, attributes, shapes, kernels):
    """Outputs, states after a training pass and all gradients, in float64."""
    run = kernels(operator(**attributes), shapes)
    before = {name: array.copy() for name, array in run.arrays.items()}
    heads = run.head_gradients()

    expected = REFERENCES[operator.__name__](run.op, before, {"doutput": None, **heads})

    run.forward()
    found = {**run.arrays, **run.backward(heads)}
    assert set(expected) >= {*run.visible, *run.op.state_names(), *run.step.writes}
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-10, atol=1e-12, err_msg=name)


# -- what no reference says ------------------------------------------------


@pytest.mark.parametrize("p", [0, 0.3, 0.5, 1])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dropout_drops_a_share_and_scales_the_rest(p, dtype, kernels):
    """Every element is 0 or x/(1-p), the share of zeros is near p, the gradient has the same mask."""
    run = kernels(find("Dropout")(p=p), {"data": (100, 200)}, dtype)
    output = run.forward()["output"]
    heads = run.head_gradients()
    gradient = run.backward(heads)["ddata"]

    kept = output != 0
    assert abs(np.mean(~kept) - p) <= 5 * math.sqrt(p * (1 - p) / output.size)
    if p < 1:
        np.testing.assert_allclose(output[kept], (run.arrays["data"] / (1 - p))[kept], rtol=1e-6)
        np.testing.assert_allclose(gradient[kept], (heads["doutput"] / (1 - p))[kept], rtol=1e-6)
    assert not gradient[~kept].any()
    assert run.op.view(train=False) == ("data", "output")
    assert run.op.view(train=True) is None


def test_dropout_always_acts_outside_training(kernels):
    """With mode always an inference pass drops, too, and the output is no view."""
    run = kernels(find("Dropout")(mode="always"), {"data": (50, 20)})

    assert run.op.view(train=False) is None
    assert 300 < np.count_nonzero(run.forward(train=False)["output"] == 0) < 700


@pytest.mark.parametrize("act_type", ["relu", "sigmoid", "tanh", "softrelu", "softsign"])
def test_activations_stay_finite(act_type, kernels):
    """Values far out give limits, not overflow (warnings are errors), and NaN stays NaN."""
    run = kernels(find("Activation")(act_type=act_type), {"data": (5,)}, "float32")
    run.set("data", [-1e30, -100, 0, 1e30, math.nan])

    output = run.forward()["output"]
    gradient = run.backward()["ddata"]

    assert np.isfinite(output[:4]).all()
    assert np.isnan(output[4])
    assert np.isfinite(gradient[:4]).all()


def test_softmax_of_large_numbers(kernels):
    """Only differences count."""
    run = kernels(find("softmax")(), {"data": (2, 2)}, "float32")
    run.set("data", [[1e30, 1e30], [-1e30, 1e30]])

    np.testing.assert_array_equal(run.forward()["output"], [[0.5, 0.5], [0, 1]])


def test_the_loss_is_clamped_as_in_caffe(kernels):
    """A probability of zero costs -log(FLT_MIN) = 87.34, and the gradient is still p - 1."""
    run = kernels(find("SoftmaxWithLoss")(), {"data": (1, 2), "label": (1,)}, "float32")
    run.set("data", [[0, 1000]])
    run.set("label", 0)

    assert run.forward()["loss"] == pytest.approx(87.3365, abs=1e-3)
    np.testing.assert_allclose(run.backward({"dloss": np.ones((), "float32")})["ddata"], [[-1, 1]])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8"])
def test_labels_of_any_type_are_truncated(dtype, kernels):
    """Caffe's and MXNet's labels are floats, other people's integers; 1.9 means 1."""
    run = kernels(find("SoftmaxWithLoss")(), {"data": (3, 4), "label": (3,)}, "float32")
    whole = run.forward()["loss"].copy()
    run.arrays["label"] = (run.arrays["label"] + 0.9).astype(dtype)

    assert run.forward()["loss"] == whole


@pytest.mark.parametrize("name", ["SoftmaxWithLoss", "SoftmaxOutput", "Accuracy"])
@pytest.mark.parametrize(("label", "shown"), [(3, "3"), (-1, "-1"), (1e30, "1e+30"), (math.nan, "nan")])
def test_a_label_that_is_no_class_is_refused(name, label, shown, kernels):
    """It neither reads foreign memory nor counts from the end: the message has value, sample and range."""
    run = kernels(find(name)(), {"data": (4, 3), "label": (4,)})
    run.arrays["label"][2] = label

    def whole_pass():
        run.forward()
        run.backward()

    with pytest.raises(ValueError, match="of sample 2 is no class: there are 3, 0 to 2") as refused:
        whole_pass()

    assert shown in str(refused.value)


def test_accuracy_counts_ties_and_nan_against_the_label(kernels):
    """Equal predictions score 0, as in Caffe, and so does a net that has diverged; infinity is a number."""
    run = kernels(find("Accuracy")(), {"data": (4, 2), "label": (4,)})
    run.set("data", [[1, 1], [math.nan, math.nan], [math.inf, 0], [0, -math.inf]])
    run.set("label", [0, 0, 0, 0])

    assert run.forward()["accuracy"] == 0.5


def test_accuracy_of_nothing_is_zero(kernels):
    """Where every label is ignored there is no division by zero."""
    run = kernels(find("Accuracy")(ignore_label=1, per_class=True), {"data": (4, 2), "label": (4,)})
    run.set("label", 1)

    outputs = run.forward()

    assert outputs["accuracy"] == 0
    assert not outputs["each"].any()


def test_a_batch_without_a_label_that_counts(kernels):
    """Nothing is divided by zero: loss and gradients are zero."""
    shapes = {"data": (4, 3), "label": (4,)}
    valid = {"use_ignore": True, "ignore_label": 1, "normalization": "valid"}
    for run in (
        kernels(find("SoftmaxOutput")(**valid), shapes),
        kernels(find("SoftmaxWithLoss")(ignore_label=1), shapes),
    ):
        run.set("label", 1)
        assert run.forward().get("loss", 0) == 0
        assert not run.backward()["ddata"].any()


def test_concat_infers_a_part_from_the_whole():
    """The one size that is not known is what the others leave; a part that they leave nothing is a fault."""

    def parts(total):
        return Shapes(
            {"arg0": (2, 3), "arg1": (None, None), "arg2": (2, 2), "output": (2, total), "sizes": None}
        )

    facts = parts(9)
    find("Concat")(num_args=3).shape(facts)

    assert facts["arg1"] == (2, 4)
    with pytest.raises(ShapeError, match="output has 5 along axis 1, but some of the inputs have 5 already"):
        find("Concat")(num_args=3).shape(parts(5))


def test_labels_have_as_many_classes_as_the_predictions(kernels):
    """What the check of labels before training asks for; probabilities are not class numbers."""
    loss = kernels(find("SoftmaxWithLoss")(axis=-1), {"data": (2, 3, 7), "label": (2, 3)})
    soft = kernels(find("SoftmaxOutput")(), {"data": (2, 3), "label": (2, 3)})

    assert loss.op.labels(loss.shapes) == {"label": 7}
    assert soft.op.labels(soft.shapes) == {}


def test_ties_of_maximum_go_left(kernels):
    """MXNet: the left input gets the gradient of equal values."""
    for name in ("_maximum", "_minimum"):
        run = kernels(find(name)(), {"lhs": (3,), "rhs": (3,)})
        run.set("rhs", run.arrays["lhs"])
        heads = run.head_gradients()
        run.forward()
        gradients = run.backward(heads)

        np.testing.assert_array_equal(gradients["dlhs"], heads["doutput"])
        assert not gradients["drhs"].any()


def test_sums_of_caffe_batch_norm_with_weight_zero(kernels):
    """Mean and variance then count as zero: the output is x / sqrt(eps)."""
    run = kernels(find("BatchNorm")(affine=False, statistics="sum", eps=1e-5), {"data": (4, 3)})
    run.set("moving_factor", 0)

    output = run.forward(train=False)["output"]

    np.testing.assert_allclose(output, run.arrays["data"] / math.sqrt(1e-5))


def test_batch_norm_of_data_far_from_zero(kernels):
    """The variance is taken from centred values: 1e4 +- 1 in float32 has variance 1, not rounding noise."""
    run = kernels(find("BatchNorm")(affine=False, eps=0), {"data": (1000, 1)}, "float32")
    run.set("data", 1e4 + np.tile([[1.0], [-1.0]], (500, 1)))

    assert abs(run.forward()["output"]) == pytest.approx(np.ones((1000, 1)), abs=1e-4)


#: operator, attributes, shapes, words of the message, what is to blame
REFUSED = [
    ("elemwise_add", {}, {"lhs": (2, 3), "rhs": (2, 4)}, "2x4", "input-shapes-differ"),
    ("add_n", {"num_args": 2}, {"arg0": (2, 3), "arg1": (3,)}, "3", "input-shapes-differ"),
    (
        "add_n",
        {"num_args": 2, "coeff": (1,)},
        {"arg0": (2,)},
        "1 coefficients for 2 inputs",
        "shape-mismatch",
    ),
    ("Concat", {"num_args": 2}, {"arg0": (2, 3), "arg1": (3, 3)}, "3x3", "input-shapes-differ"),
    ("Concat", {"num_args": 1, "dim": 2}, {"arg0": (2, 3)}, "dim 2 is out of range", "shape-mismatch"),
    (
        "Flatten",
        {"axis": 2, "end_axis": 1},
        {"data": (2, 3, 4)},
        "end_axis 1 lies before axis 2",
        "shape-mismatch",
    ),
    ("softmax", {"axis": 2}, {"data": (2, 3)}, "axis 2 is out of range", "shape-mismatch"),
    ("SoftmaxOutput", {}, {"data": (4,)}, "a batch of class scores is needed", "shape-mismatch"),
    ("SoftmaxOutput", {}, {"data": (4, 3), "label": (5,)}, "label is 5", "shape-mismatch"),
    (
        "SoftmaxOutput",
        {"multi_output": True},
        {"data": (4, 3, 2), "label": (4, 3)},
        "4x2 or 4x1x2",
        "shape-mismatch",
    ),
    (
        "SoftmaxWithLoss",
        {},
        {"data": (4, 3, 2), "label": (4,)},
        "4 class numbers, but data 4x3x2",
        "shape-mismatch",
    ),
    ("Accuracy", {"top_k": 4}, {"data": (2, 3), "label": (2,)}, "top_k is 4", "shape-mismatch"),
    ("BatchNorm", {}, {"data": (2, 3), "gamma": (2,)}, "3 channels along axis 1", "shape-mismatch"),
    ("Scale", {"num_axes": 3}, {"data": (2, 3, 4)}, "no 3 axes from axis 1", "shape-mismatch"),
    ("Scale", {}, {"data": (2, 3, 4), "scale": (3, 5)}, "scale is 3x5", "shape-mismatch"),
]


@pytest.mark.parametrize(("name", "attributes", "shapes", "words", "kind"), REFUSED)
def test_shapes_that_do_not_fit_are_refused(name, attributes, shapes, words, kind, kernels):
    """One message with the numbers, under the right code."""
    with pytest.raises(ShapeError) as refused:
        kernels(find(name)(**attributes), shapes)

    assert words in refused.value.message
    assert refused.value.kind == kind


# -- MXNet's recordings ------------------------------------------------


@cache
def recorded():
    path = VECTORS / "index.json"
    return json.loads(path.read_text())["cases"] if path.exists() else []


@cache
def recording(file):
    with np.load(VECTORS / file) as data:
        return {key: data[key] for key in data.files}


def head_node(case):
    """The operator node of a case that consists of one, or None."""
    nodes = [node for node in json.loads(case["symbol"])["nodes"] if node["op"] != "null"]
    return nodes[0] if len(nodes) == 1 else None


def runs_here(case):
    if case["op_type"] not in OPERATORS or find(case["op_type"]).__name__ in ELSEWHERE.keys() - {"Dropout"}:
        return False
    return head_node(case) is not None


MXNET = [pytest.param(case, id=case["id"]) for case in recorded() if runs_here(case)]


def test_mxnet_recordings_are_there():
    """Without them the test below would pass by being empty."""
    if not recorded():
        pytest.skip("the recorded vectors are not beside the project (../shared/conformance)")
    assert len(MXNET) > 70


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # infinite values and NaN that MXNet gives, too
@pytest.mark.parametrize("case", MXNET)
def test_an_operator_does_what_mxnet_recorded(case, kernels):
    """Outputs, gradients and states of single operators, with FORMAT.md's tolerances."""
    stored = recording(case["npz"])
    value = {name: stored[f"{case['id']}/{name}"] for name in case["arrays"]}
    op = find(case["op_type"])(**case["attrs"])
    nodes = json.loads(case["symbol"])["nodes"]
    theirs = [nodes[i]["name"] for i, *_ in head_node(case)["inputs"]]
    ours = (*op.input_names(), *op.state_names())
    named = dict(zip(ours, theirs))
    shapes = {
        name: tuple(case["in_shapes"][there]) for name, there in named.items() if there in case["in_shapes"]
    }
    run = kernels(op, shapes, "float32")
    for name, there in named.items():
        run.set(name, value[f"in/{there}"] if f"in/{there}" in value else value[f"aux/{there}"])

    tops = [run.visible[index] for _, index, *_ in json.loads(case["symbol"])["heads"]]
    heads = {f"d{name}": value[f"head/{i}"] for i, name in enumerate(tops) if f"head/{i}" in value}
    gradients = {}
    for number in range(case["passes"]):
        run.forward(case["is_train"], keep_states=number > 0)
        if case["backward"]:
            gradients = run.backward(heads)
    for number, name in enumerate(tops):
        assert list(run.shapes.full(name)) == case["out_shapes"][number]
        np.testing.assert_allclose(run.arrays[name], value[f"out/{number}"], rtol=1e-4, atol=1e-5)
    for name in op.state_names():
        np.testing.assert_allclose(run.arrays[name], value[f"aux_after/{named[name]}"], rtol=1e-4, atol=1e-5)
    if not case["backward"]:
        return
    found = {there: np.zeros(run.shapes.full(name)) for name, there in named.items()}
    for name, gradient in gradients.items():
        found[named[name[1:]]] += gradient
    for there in found:
        if f"grad/{there}" not in value:
            continue
        expected = value.get(f"grad_write/{there}", value[f"grad/{there}"])
        if f"grad_init/{there}" in value and f"grad_write/{there}" not in value:
            expected = expected - value[f"grad_init/{there}"]
        np.testing.assert_allclose(found[there], expected, rtol=1e-3, atol=1e-4, err_msg=there)

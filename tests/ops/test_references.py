"""Operators against slow references, written from their definitions, and against MXNet's recordings."""

import json
import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from netdef.ops import LISTED, OPERATORS, find
from netdef.ops.shapes import ShapeError, Shapes

VECTORS = Path(__file__).parents[3] / "shared" / "conformance" / "mxnet" / "dev" / "ops"

#: name of an operator's class -> function(op, arrays, head gradients) -> outputs, states, gradients by name
REFERENCES = {}
#: cases beside the operators' own examples
MORE = {
    "Accuracy": [
        ({"top_k": 3}, {"data": (5, 3), "label": (5,)}),
        ({"axis": 0, "per_class": True}, {"data": (3, 4), "label": (4,)}),
        ({"ignore_label": 2, "per_class": True, "top_k": 2}, {"data": (9, 3), "label": (9,)}),
    ],
    "BatchNorm": [
        ({"statistics": "sum", "fix_gamma": False}, {"data": (1, 3)}),
        ({"momentum": 1.0}, {"data": (4, 3)}),
        ({"axis": 0}, {"data": (3, 5)}),
    ],
    "Concat": [({"num_args": 2, "dim": -1}, {"arg0": (2, 3, 1), "arg1": (2, 3, 4)})],
    "FullyConnected": [({"num_hidden": 2, "axis": -1}, {"data": (2, 3, 4)})],
    "SoftmaxOutput": [
        ({"normalization": "batch"}, {"data": (4, 3), "label": (4,)}),
        ({"normalization": "valid", "ignore_label": 1, "use_ignore": True}, {"data": (6, 3), "label": (6,)}),
        ({"normalization": "valid", "ignore_label": 1}, {"data": (6, 3), "label": (6,)}),
        ({"multi_output": True, "out_grad": True}, {"data": (2, 3, 4), "label": (2, 4)}),
        ({"multi_output": True, "normalization": "batch"}, {"data": (2, 3, 4), "label": (2, 1, 4)}),
        ({"smooth_alpha": 0.2}, {"data": (4, 1), "label": (4,)}),
        ({}, {"data": (2, 3, 4), "label": (2, 3)}),
    ],
    "SoftmaxWithLoss": [
        ({"ignore_label": 1}, {"data": (7, 3), "label": (7,)}),
        ({"ignore_label": 0, "normalization": "BATCH_SIZE"}, {"data": (4, 2, 3), "label": (4, 3)}),
        ({"ignore_label": 0, "normalization": "FULL"}, {"data": (4, 2, 3), "label": (12,)}),
        ({"ignore_label": 0}, {"data": (4, 1), "label": (4, 1)}),
    ],
}


def reference(*operators):
    """Declare the reference of one or several operators."""

    def declare(function):
        REFERENCES.update(dict.fromkeys(operators, function))
        return function

    return declare


def each(function, *arrays):
    """Apply a function of numbers to the elements of arrays of one shape."""
    result = np.empty(arrays[0].shape)
    for place in np.ndindex(result.shape):
        result[place] = function(*(float(array[place]) for array in arrays))
    return result


# -- one number to one number ------------------------------------------------

ACTIVATIONS = {
    "relu": (lambda x: max(x, 0), lambda x: float(x > 0)),
    "sigmoid": (lambda x: 1 / (1 + math.exp(-x)), lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2),
    "tanh": (math.tanh, lambda x: 1 / math.cosh(x) ** 2),
    "softrelu": (lambda x: math.log(1 + math.exp(x)), lambda x: 1 / (1 + math.exp(-x))),
    "softsign": (lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2),
}

SCALAR = {
    "PlusScalar": (lambda x, s: x + s, lambda x, s: 1),
    "MinusScalar": (lambda x, s: x - s, lambda x, s: 1),
    "RMinusScalar": (lambda x, s: s - x, lambda x, s: -1),
    "MulScalar": (lambda x, s: x * s, lambda x, s: s),
    "DivScalar": (lambda x, s: x / s, lambda x, s: 1 / s),
    "RDivScalar": (lambda x, s: s / x, lambda x, s: -s / x**2),
}

BINARY = {
    "Plus": (lambda a, b: a + b, lambda a, b: 1, lambda a, b: 1),
    "Minus": (lambda a, b: a - b, lambda a, b: 1, lambda a, b: -1),
    "Mul": (lambda a, b: a * b, lambda a, b: b, lambda a, b: a),
    "Div": (lambda a, b: a / b, lambda a, b: 1 / b, lambda a, b: -a / b**2),
    "Maximum": (max, lambda a, b: float(a >= b), lambda a, b: float(b > a)),
    "Minimum": (min, lambda a, b: float(a <= b), lambda a, b: float(b < a)),
}


def mapped(value, slope, x, heads):
    return {"output": each(value, x["data"]), "ddata": each(slope, x["data"]) * heads["doutput"]}


@reference("Activation")
def activation(op, x, heads):
    return mapped(*ACTIVATIONS[op.act_type], x, heads)


@reference("LeakyReLU")
def leaky_relu(op, x, heads):
    if op.act_type == "leaky":
        return mapped(lambda v: v if v > 0 else op.slope * v, lambda v: 1 if v > 0 else op.slope, x, heads)
    return mapped(
        lambda v: v if v > 0 else op.slope * (math.exp(v) - 1),
        lambda v: 1 if v > 0 else op.slope * math.exp(v),
        x,
        heads,
    )


@reference(*SCALAR)
def scalar(op, x, heads):
    value, slope = SCALAR[type(op).__name__]
    return mapped(lambda v: value(v, op.scalar), lambda v: slope(v, op.scalar), x, heads)


@reference(*BINARY)
def binary(op, x, heads):
    value, left, right = BINARY[type(op).__name__]
    pair = x["lhs"], x["rhs"]
    return {
        "output": each(value, *pair),
        "dlhs": each(left, *pair) * heads["doutput"],
        "drhs": each(right, *pair) * heads["doutput"],
    }


@reference("ElementWiseSum")
def elementwise_sum(op, x, heads):
    weights = op.coeff or [1] * op.num_args
    names = [f"arg{i}" for i in range(op.num_args)]
    parts = [each(lambda v, w=w: w * v, x[name]) for name, w in zip(names, weights)]
    return {
        "output": each(lambda *values: math.fsum(values), *parts),
        **{f"d{name}": w * heads["doutput"] for name, w in zip(names, weights)},
    }


@reference("Copy")
def copy(op, x, heads):
    return {"output": x["data"], "ddata": heads["doutput"]}


@reference("BlockGrad")
def block_grad(op, x, heads):
    return {"output": x["data"]}


# -- structure ------------------------------------------------


@reference("Flatten")
def flatten(op, x, heads):
    shape = list(x["data"].shape)
    first = op.axis + (len(shape) if op.axis < 0 else 0)
    last = op.end_axis + (len(shape) if op.end_axis < 0 else 0)
    shape[first : last + 1] = [math.prod(shape[first : last + 1])]
    return {
        "output": np.array(list(x["data"].flat)).reshape(shape),
        "ddata": np.array(list(heads["doutput"].flat)).reshape(x["data"].shape),
    }


@reference("Reinterpret")
def reinterpret(op, x, heads):
    return {
        "output": np.array(list(x["data"].flat)).reshape(heads["doutput"].shape),
        "ddata": np.array(list(heads["doutput"].flat)).reshape(x["data"].shape),
    }


@reference("Concat")
def concat(op, x, heads):
    parts = [x[f"arg{i}"] for i in range(op.num_args)]
    axis = op.dim % parts[0].ndim
    output = np.empty(heads["doutput"].shape)
    gradients = [np.empty(part.shape) for part in parts]
    start = 0
    for part, gradient in zip(parts, gradients):
        for place in np.ndindex(part.shape):
            there = (*place[:axis], place[axis] + start, *place[axis + 1 :])
            output[there] = part[place]
            gradient[place] = heads["doutput"][there]
        start += part.shape[axis]
    return {"output": output, **{f"darg{i}": gradient for i, gradient in enumerate(gradients)}}


@reference("FullyConnected")
def fully_connected(op, x, heads):
    data, head = x["data"], heads["doutput"]
    first = (op.axis if op.flatten else -1) % data.ndim
    rows = data.reshape(math.prod(data.shape[:first]), -1)
    upper = head.reshape(len(rows), op.num_hidden)
    weight = x["weight"].T if op.transpose else x["weight"]
    output, d_rows, d_weight = np.zeros(upper.shape), np.zeros(rows.shape), np.zeros(weight.shape)
    d_bias = np.zeros(op.num_hidden)
    for n, o in np.ndindex(upper.shape):
        for k in range(rows.shape[1]):
            output[n, o] += rows[n, k] * weight[o, k]
            d_rows[n, k] += upper[n, o] * weight[o, k]
            d_weight[o, k] += upper[n, o] * rows[n, k]
        output[n, o] += 0 if op.no_bias else x["bias"][o]
        d_bias[o] += upper[n, o]
    return {
        "output": output.reshape(head.shape),
        "ddata": d_rows.reshape(data.shape),
        "dweight": d_weight.T if op.transpose else d_weight,
        **({} if op.no_bias else {"dbias": d_bias}),
    }


# -- softmax and its losses ------------------------------------------------


def distribution(line):
    total = math.fsum(math.exp(v) for v in line)
    return np.array([math.exp(v) / total for v in line])


def lines(array, axis):
    """An array as (before, along, after)."""
    axis %= array.ndim
    return array.reshape(math.prod(array.shape[:axis]), array.shape[axis], -1)


@reference("Softmax")
def softmax(op, x, heads):
    data, head = lines(x["data"], op.axis), lines(heads["doutput"], op.axis)
    output, gradient = np.empty(data.shape), np.zeros(data.shape)
    temperature = op.temperature or 1
    for n, i in np.ndindex(data.shape[0], data.shape[2]):
        p = output[n, :, i] = distribution(data[n, :, i] / temperature)
        for j, k in np.ndindex(len(p), len(p)):
            gradient[n, j, i] += head[n, k, i] * p[k] * ((j == k) - p[j]) / temperature
    return {"output": output.reshape(x["data"].shape), "ddata": gradient.reshape(x["data"].shape)}


@reference("SoftmaxWithLoss")
def softmax_with_loss(op, x, heads):
    data = lines(x["data"], op.axis)
    label = x["label"].reshape(data.shape[0], data.shape[2])
    prob, gradient = np.empty(data.shape), np.zeros(data.shape)
    losses, counted = [], 0
    for n, i in np.ndindex(label.shape):
        p = prob[n, :, i] = distribution(data[n, :, i])
        target = int(label[n, i])
        if target == op.ignore_label:
            continue
        counted += 1
        losses.append(-math.log(max(p[target], 1.17549435e-38)))
        for k in range(len(p)):
            gradient[n, k, i] = p[k] - (k == target)
    divisors = {"FULL": label.size, "VALID": counted, "BATCH_SIZE": len(label), "NONE": 1}
    divisor = max(1, divisors[op.normalization])
    return {
        "loss": math.fsum(losses) / divisor,
        "ddata": gradient.reshape(x["data"].shape) * float(heads["dloss"]) / divisor,
        **({"prob": prob.reshape(x["data"].shape)} if op.output_prob else {}),
    }


@reference("SoftmaxOutput")
def softmax_output(op, x, heads):
    shape = x["data"].shape
    flat = x["data"].reshape(shape[0], -1) if not op.preserve_shape else x["data"]
    data = lines(x["data"], 1) if op.multi_output else lines(flat, -1)
    alpha = 0 if op.multi_output else op.smooth_alpha
    output, gradient = np.empty(data.shape), np.empty(data.shape)
    labels = list(x["label"].flat)
    places = list(np.ndindex(data.shape[0], data.shape[2]))
    for number, (n, i) in enumerate(places):
        p = output[n, :, i] = distribution(data[n, :, i])
        for k in range(len(p)):
            if x["label"].shape == shape:
                gradient[n, k, i] = p[k] - labels[number * len(p) + k]
            elif op.use_ignore and int(labels[number]) == int(op.ignore_label):
                gradient[n, k, i] = 0
            elif k == int(labels[number]):
                gradient[n, k, i] = p[k] - 1 + alpha
            else:
                gradient[n, k, i] = p[k] - alpha / (len(p) - 1)
    divisor = 1
    if x["label"].shape != shape:
        if op.multi_output and op.normalization != "valid":
            divisor *= data.shape[2]
        if op.normalization == "batch":
            divisor *= shape[0] if op.multi_output else len(labels)
        if op.normalization == "valid":
            divisor = max(1, sum(int(label) != int(op.ignore_label) for label in labels))
    gradient = gradient.reshape(shape) * op.grad_scale / divisor
    if op.out_grad:
        gradient = gradient * heads["doutput"]
    return {"output": output.reshape(shape), "ddata": gradient}


@reference("Accuracy")
def accuracy(op, x, heads):
    data = lines(x["data"], op.axis)
    label = x["label"].reshape(data.shape[0], data.shape[2])
    right, total = np.zeros(data.shape[1]), np.zeros(data.shape[1])
    for n, i in np.ndindex(label.shape):
        target = int(label[n, i])
        if target == op.ignore_label:
            continue
        rivals = sum(data[n, k, i] >= data[n, target, i] for k in range(data.shape[1]) if k != target)
        total[target] += 1
        right[target] += rivals < op.top_k
    return {
        "accuracy": sum(right) / sum(total) if sum(total) else 0.0,
        **({"each": np.array([r / t if t else 0 for r, t in zip(right, total)])} if op.per_class else {}),
    }


# -- normalisation ------------------------------------------------


@reference("BatchNorm")
def batch_norm(op, x, heads):
    data, head = lines(x["data"], op.axis), lines(heads["doutput"], op.axis)
    channels, sums = data.shape[1], op.statistics == "sum"
    result = {name: np.zeros(channels) for name in ("mean", "var", "dgamma", "dbeta")}
    result |= {name: x[name].copy() for name in op.state_names()}
    output, gradient = np.empty(data.shape), np.zeros(data.shape)
    for c in range(channels):
        values, heads_c = list(data[:, c].flat), list(head[:, c].flat)
        n = len(values)
        own = not op.use_global_stats
        if own:
            mean = math.fsum(values) / n
            variance = math.fsum((v - mean) ** 2 for v in values) / n
            if sums:
                result["moving_mean"][c] = x["moving_mean"][c] * op.momentum + mean
                unbiased = variance * n / (n - 1) if n > 1 else variance
                result["moving_var"][c] = x["moving_var"][c] * op.momentum + unbiased
            else:
                result["moving_mean"][c] = x["moving_mean"][c] * op.momentum + mean * (1 - op.momentum)
                result["moving_var"][c] = x["moving_var"][c] * op.momentum + variance * (1 - op.momentum)
        else:
            weight = x["moving_factor"][0] if sums else 1
            mean, variance = x["moving_mean"][c] / weight, x["moving_var"][c] / weight
        gamma = x["gamma"][c] if op.affine and not op.fix_gamma else 1
        beta = x["beta"][c] if op.affine else 0
        s = math.sqrt(variance + op.eps)
        output[:, c] = (data[:, c] - mean) / s * gamma + beta
        result["mean"][c], result["var"][c] = mean, 1 / s
        result["dbeta"][c] = math.fsum(heads_c)
        if not op.fix_gamma:
            result["dgamma"][c] = math.fsum(h * (v - mean) / s for h, v in zip(heads_c, values))
        jacobian = np.empty((n, n))
        for i, j in np.ndindex(n, n):
            through = (1 / n + (values[i] - mean) * (values[j] - mean) / (n * s**2)) if own else 0
            jacobian[i, j] = gamma / s * ((i == j) - through)
        gradient[:, c] = (np.array(heads_c) @ jacobian).reshape(gradient[:, c].shape)
    if sums and not op.use_global_stats:
        result["moving_factor"] = x["moving_factor"] * op.momentum + 1
    if not op.affine:
        del result["dgamma"], result["dbeta"]
    return {**result, "output": output.reshape(x["data"].shape), "ddata": gradient.reshape(x["data"].shape)}


@reference("Scale")
def scale(op, x, heads):
    data, factor, head = x["data"], x["scale"], heads["doutput"]
    first = op.axis % data.ndim if factor.ndim else 0
    output, d_data = np.empty(data.shape), np.empty(data.shape)
    d_scale, d_bias = np.zeros(factor.shape), np.zeros(factor.shape)
    for place in np.ndindex(data.shape):
        where = place[first : first + factor.ndim]
        output[place] = data[place] * factor[where] + (x["bias"][where] if op.bias_term else 0)
        d_data[place] = head[place] * factor[where]
        d_scale[where] += head[place] * data[place]
        d_bias[where] += head[place]
    bias = {"dbias": d_bias} if op.bias_term else {}
    return {"output": output, "ddata": d_data, "dscale": d_scale, **bias}


# -- the comparison ------------------------------------------------

#: random, and the operators whose tests are files of their own
ELSEWHERE = {"Convolution", "Dropout", "LRN", "Pooling"}

CASES = [
    pytest.param(operator, attributes, shapes, id=f"{operator.__name__}-{number}")
    for operator in LISTED
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


@pytest.mark.parametrize("act_type", ACTIVATIONS)
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


#: attributes and values that come with a later version
LATER = {
    ("softmax", "use_length"),
    ("Dropout", "axes"),
    *(("LeakyReLU", kind) for kind in ("gelu", "prelu", "selu")),
}
#: MXNet 1.9.1 multiplies by the output where its documentation, and ours, says the gradient that arrives
WRONG_THERE = {("SoftmaxOutput", "out_grad")}


def runs_here(case):
    if case["op_type"] not in OPERATORS or find(case["op_type"]).__name__ in ELSEWHERE - {"Dropout"}:
        return False
    words = {*case["attrs"], *case["attrs"].values()}
    return head_node(case) is not None and not any(
        (case["op_type"], word) in LATER | WRONG_THERE for word in words
    )


MXNET = [pytest.param(case, id=case["id"]) for case in recorded() if runs_here(case)]


def test_mxnet_recordings_are_there():
    """Without them the test below would pass by being empty."""
    if not recorded():
        pytest.skip("the recorded vectors are not beside the project (../shared/conformance)")
    assert len(MXNET) > 70


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

    for number in range(case["passes"]):
        run.forward(case["is_train"], keep_states=number > 0)
    for number, name in enumerate(run.visible):
        assert list(run.shapes.full(name)) == case["out_shapes"][number]
        np.testing.assert_allclose(run.arrays[name], value[f"out/{number}"], rtol=1e-4, atol=1e-5)
    for name in op.state_names():
        np.testing.assert_allclose(run.arrays[name], value[f"aux_after/{named[name]}"], rtol=1e-4, atol=1e-5)
    if not case["backward"]:
        return
    heads = {f"d{name}": value[f"head/{i}"] for i, name in enumerate(run.visible) if f"head/{i}" in value}
    found = {there: np.zeros(run.shapes.full(name)) for name, there in named.items()}
    for name, gradient in run.backward(heads).items():
        found[named[name[1:]]] += gradient
    for there in found:
        if f"grad/{there}" not in value:
            continue
        expected = value.get(f"grad_write/{there}", value[f"grad/{there}"])
        if f"grad_init/{there}" in value and f"grad_write/{there}" not in value:
            expected = expected - value[f"grad_init/{there}"]
        np.testing.assert_allclose(found[there], expected, rtol=1e-3, atol=1e-4, err_msg=there)

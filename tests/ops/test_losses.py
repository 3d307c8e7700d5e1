"""Outputs that make a gradient of their own: what their references do not say."""

import itertools
import math

import numpy as np
import pytest

from netdef.ops import find
from netdef.ops.backward import Backward
from netdef.ops.fields import BadValue
from netdef.ops.shapes import ShapeError, Shapes, Types

LOSSES = [
    "SoftmaxOutput",
    "LinearRegressionOutput",
    "MAERegressionOutput",
    "LogisticRegressionOutput",
    "SVMOutput",
    "MakeLoss",
]


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_waits_for_no_gradient(name):
    """backward() without head gradients reaches it, with out_grad, too."""
    settings = [{}, {"out_grad": True}] if name == "SoftmaxOutput" else [{}]

    assert not any(Backward(find(name)(**attributes)).wants_head for attributes in settings)


def test_a_made_loss_is_its_input():
    """No kernel runs in the forward pass."""
    op = find("MakeLoss")()

    assert op.view(train=True) == op.view(train=False) == ("data", "output")


@pytest.mark.parametrize("name", ["SoftmaxOutput", "softmax_cross_entropy"])
def test_many_classes_in_half_precision(name, kernels):
    """Class numbers that float16 cannot hold are compared in float32."""
    run = kernels(find(name)(), {"data": (2, 3000), "label": (2,)}, "float16")
    run.arrays["label"] = np.array([2999, 2051])
    run.set("data", 0)

    run.forward()
    gradient = run.backward()["ddata"]

    assert list(gradient.argmin(axis=1)) == [2999, 2051]


def test_softmax_output_of_half_precision_sums_in_single(kernels):
    """70000 classes of one probability each: their sum is beyond float16."""
    run = kernels(find("SoftmaxOutput")(), {"data": (1, 70000), "label": (1,)}, "float16")
    run.set("data", 0)

    np.testing.assert_allclose(run.forward()["output"], 1 / 70000, rtol=1e-2)


def test_a_cross_entropy_has_a_largest_value(kernels):
    """A probability below 1e-8 costs 18.42, as in MXNet; the gradient is exact all the same."""
    run = kernels(find("softmax_cross_entropy")(), {"data": (1, 2), "label": (1,)}, "float32")
    run.set("data", [[0, 1000]])
    run.set("label", 0)

    assert run.forward()["output"] == pytest.approx(-math.log(1e-8))
    np.testing.assert_allclose(run.backward({"doutput": np.ones(1, "float32")})["ddata"], [[-1, 1]])


# -- regression ------------------------------------------------


def test_equal_numbers_have_an_absolute_error_that_falls(kernels):
    """MXNet's gradient of |0| is -1."""
    run = kernels(find("MAERegressionOutput")(), {"data": (3,), "label": (3,)})
    run.set("data", [1, 2, 3])
    run.set("label", [2, 2, 2])
    run.forward()

    assert list(run.backward()["ddata"]) == [-1, -1, 1]


def test_the_logistic_output_stays_finite(kernels):
    """Numbers far out give 0 and 1 without overflow (warnings are errors)."""
    run = kernels(find("LogisticRegressionOutput")(), {"data": (1, 2), "label": (1, 2)}, "float32")
    run.set("data", [[-1e30, 1e30]])

    assert list(run.forward()["output"][0]) == [0, 1]


def test_labels_may_be_whole_numbers(kernels):
    """Labels of another type give the same gradient."""
    for name in ("LinearRegressionOutput", "MAERegressionOutput", "SVMOutput"):
        label = (4,) if name == "SVMOutput" else (4, 3)
        run = kernels(find(name)(), {"data": (4, 3), "label": label}, "float32")
        run.set("label", np.arange(math.prod(label)).reshape(label) % 3)
        run.forward()
        expected = run.backward()["ddata"]
        run.arrays["label"] = run.arrays["label"].astype("int64")

        np.testing.assert_array_equal(run.backward()["ddata"], expected)


@pytest.mark.parametrize(
    ("data", "label", "inferred"),
    [
        ((4, 3), None, (4, 3)),
        ((4, 1), None, (4,)),
        ((4, None), None, None),
        ((None, 3), (4, None), (4, 3)),
        ((None, 2, 3), (4, 6), (4, 6)),
    ],
)
def test_the_label_of_a_regression_is_inferred(data, label, inferred):
    """As the data; without the second axis where that has size 1; not at all where it may be either."""
    facts = Shapes({"data": data, "label": label, "output": None})

    find("LinearRegressionOutput")().shape(facts)

    assert facts["label"] == inferred
    assert data[0] or facts["output"][0] == 4


# -- IdentityAttachKLSparseReg ------------------------------------------------


def test_the_mean_activity_moves_in_the_backward_pass(kernels):
    """A forward pass alone leaves it, as in MXNet."""
    run = kernels(find("IdentityAttachKLSparseReg")(momentum=0.5), {"data": (4, 2)})
    run.set("moving_avg", [0.2, 0.4])
    run.set("data", 0.6)

    run.forward()
    assert list(run.arrays["moving_avg"]) == [0.2, 0.4]
    run.backward()

    np.testing.assert_allclose(run.arrays["moving_avg"], [0.4, 0.5])


# -- CTCLoss ------------------------------------------------


def spelt(kernels, data, labels, dtype="float64", **attributes):
    """A run of CTCLoss for one sequence (steps, classes) and several labels."""
    data = np.asarray(data)
    shapes = {"data": (len(data), len(labels), data.shape[1]), "label": (len(labels), len(labels[0]))}
    run = kernels(find("CTCLoss")(**attributes), shapes, dtype)
    run.set("data", data[:, None])
    run.set("label", labels)
    return run


def test_all_labels_together_are_certain(kernels):
    """The probabilities of all that three steps can spell add up to one."""
    labels = [
        (*label, *(0,) * (3 - len(label)))
        for size in range(4)
        for label in itertools.product((1, 2), repeat=size)
    ]
    run = spelt(kernels, np.random.default_rng(0).standard_normal((3, 3)), labels)

    loss = run.forward()["output0"]

    # three equal neighbours, or two and another, need more than three steps: those cost 0
    assert math.fsum(math.exp(-value) for value in loss if value) == pytest.approx(1)


def test_a_label_that_does_not_fit_costs_nothing(kernels):
    """Two equal classes need a blank between them: no loss and no gradient, as in MXNet."""
    run = spelt(kernels, np.random.default_rng(0).standard_normal((2, 3)), [[1, 1], [1, 2]])

    loss = run.forward()["output0"]
    gradient = run.backward()["ddata"]

    assert loss[0] == 0 < loss[1]
    assert not gradient[:, 0].any()
    assert gradient[:, 1].any()


def test_a_sequence_of_no_steps_costs_nothing(kernels):
    """No loss, no gradient, whatever its label; the others are what they are alone."""
    shapes = {"data": (4, 2, 3), "label": (2, 2), "data_lengths": (2,)}
    run = kernels(find("CTCLoss")(use_data_lengths=True), shapes)
    run.set("label", [[1, 2], [1, 2]])
    run.set("data_lengths", [0, 4])

    loss = run.forward()["output0"]
    gradient = run.backward()["ddata"]

    assert loss[0] == 0 < loss[1]
    assert not gradient[:, 0].any()


def test_what_lies_behind_the_end_of_a_label_is_not_read(kernels):
    """Behind the padding, or beyond label_lengths, anything may stand."""
    data = np.random.default_rng(0).standard_normal((5, 4))
    plain = spelt(kernels, data, [[1, 0, 0], [2, 3, 0]]).forward()["output0"]
    last = np.roll(data, -1, axis=1)

    padded = spelt(kernels, data, [[1, 0, 99], [2, 3, 0]])
    np.testing.assert_allclose(padded.forward()["output0"], plain)
    blank_last = spelt(kernels, last, [[0, -1, 99], [1, 2, -1]], blank_label="last")
    np.testing.assert_allclose(blank_last.forward()["output0"], plain)
    shapes = {"data": (5, 2, 4), "label": (2, 3), "label_lengths": (2,)}
    told = kernels(find("CTCLoss")(use_label_lengths=True), shapes)
    told.set("data", data[:, None])
    told.set("label", [[1, -7, 99], [2, 3, 99]])
    told.set("label_lengths", [1, 2])
    np.testing.assert_allclose(told.forward()["output0"], plain)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_long_sequences_do_not_underflow(dtype, kernels):
    """500 steps of even odds: their product is far below any float, the loss is what counting gives."""
    steps = 500
    run = spelt(kernels, np.zeros((steps, 2)), [[1]], dtype)

    loss = run.forward()["output0"]
    gradient = run.backward()["ddata"]

    # the class fills any run of neighbouring steps
    expected = steps * math.log(2) - math.log(steps * (steps + 1) / 2)
    assert loss[0] == pytest.approx(expected, rel=1e-3 if dtype == "float16" else 1e-5)
    np.testing.assert_allclose(gradient.sum(axis=2), 0, atol=1e-3)


def test_numbers_far_out_stay_finite(kernels):
    """Probabilities of 0 and 1 give finite losses and gradients (warnings are errors)."""
    run = spelt(kernels, 1000 * np.eye(3)[[1, 0, 2, 2]], [[1, 2], [2, 1]], "float32")

    loss = run.forward()["output0"]
    gradient = run.backward()["ddata"]

    assert loss[0] == 0
    assert np.isfinite(loss).all()
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("label", 4, "label 4.0 of sample 1 is no class: there are 4, 0 to 3"),
        ("label", -1, "label -1.0 of sample 1 is no class: there are 4, 0 to 3"),
        ("data_lengths", 6, "data_lengths is 6.0 for sample 1, but only 0 to 5 fit"),
        ("label_lengths", -1, "label_lengths is -1.0 for sample 1, but only 0 to 3 fit"),
    ],
)
def test_what_is_no_class_or_length_is_refused(name, value, words, kernels):
    """No foreign memory is read: the message has value, sample and range."""
    attributes = {} if name == "label" else {f"use_{name}": True}
    lengths = {} if name == "label" else {name: (2,)}
    run = kernels(find("CTCLoss")(**attributes), {"data": (5, 2, 4), "label": (2, 3), **lengths})
    run.set("label", 1)
    run.arrays[name][1] = value

    with pytest.raises(ValueError, match=words):
        run.forward()


#: operator, attributes, shapes, words of the message
REFUSED = [
    ("LinearRegressionOutput", {}, {"data": (4, 3), "label": (3, 4)}, "label is 3x4, but data is 4x3"),
    ("LinearRegressionOutput", {}, {"data": (4, 3), "label": (4,)}, "label is 4, but data is 4x3"),
    ("SVMOutput", {}, {"data": (4, 3), "label": (3,)}, "label is 3, but data is 4x3"),
    ("softmax_cross_entropy", {}, {"data": (4, 3), "label": (3,)}, "label is 3, but data is 4x3"),
    ("softmax_cross_entropy", {}, {"data": (4, 3, 2)}, "(samples, classes) is needed"),
    ("IdentityAttachKLSparseReg", {}, {"data": (4,)}, "(batch, units) is needed"),
    ("CTCLoss", {}, {"data": (2, 3, 4), "label": (3, 5)}, "more than the 2 steps of data 2x3x4"),
    ("CTCLoss", {}, {"data": (2, 3, 4), "label": (2, 2)}, "data 2x3x4 holds 3 samples"),
    ("CTCLoss", {}, {"data": (2, 3)}, "(steps, batch, classes) is needed"),
]


@pytest.mark.parametrize(("name", "attributes", "shapes", "words"), REFUSED)
def test_shapes_that_do_not_fit_are_refused(name, attributes, shapes, words, kernels):
    """One message with the numbers."""
    with pytest.raises(ShapeError) as refused:
        kernels(find(name)(**attributes), shapes)

    assert words in refused.value.message


def test_a_share_beyond_one_is_refused():
    """Bounds of attributes are MXNet's."""
    for attributes in ({"momentum": 1.5}, {"sparseness_target": -0.1}):
        with pytest.raises(BadValue):
            find("IdentityAttachKLSparseReg")(**attributes)


@pytest.mark.parametrize("name", [*LOSSES[:-1], "softmax_cross_entropy", "Dropout"])
def test_whole_numbers_have_no_loss(name):
    """Predictions of integers are refused, as in MXNet; labels may be integers."""
    op = find(name)()
    labels = dict.fromkeys(op.input_names()[1:], "int32")

    with pytest.raises(ShapeError, match="data is int32, but floating-point numbers are needed"):
        op.types(Types({"data": "int32", **labels, **dict.fromkeys(op.output_names())}))

    types = Types({"data": "float64", **labels, **dict.fromkeys(op.output_names())})
    op.types(types)
    assert types["output"] == "float64"


@pytest.mark.parametrize(
    ("normalization", "thresh", "expected"),
    [("null", 0, 3), ("batch", 0, 1.5), ("valid", 0, 1), ("valid", 2.5, 3), ("valid", 9, 3)],
)
def test_what_a_made_loss_is_divided_by(normalization, thresh, expected, kernels):
    """The batch, or the numbers above the threshold, of which none counts as one."""
    made = find("MakeLoss")(grad_scale=3, normalization=normalization, valid_thresh=thresh)
    run = kernels(made, {"data": (2, 3)})
    run.set("data", [[1, 2, 3], [-1, -2, 0]])
    run.forward()

    np.testing.assert_allclose(run.backward()["ddata"], expected)


def test_a_margin_that_is_kept_has_no_gradient(kernels):
    """Beyond the margin there is no loss; on it the squared one has none, the linear one neither."""
    for linear in (False, True):
        run = kernels(find("SVMOutput")(use_linear=linear), {"data": (2, 2), "label": (2,)})
        run.set("data", [[2, -1.5], [1, -1]])
        run.set("label", [0, 0])
        run.forward()

        assert not run.backward()["ddata"].any(), linear

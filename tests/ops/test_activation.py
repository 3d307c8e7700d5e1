"""Activations: what their references do not say."""

import math

import numpy as np
import pytest

from netdef.ops import find
from netdef.ops.fields import BadValue
from netdef.ops.shapes import ShapeError, Shapes, Types

KINDS = ["leaky", "elu", "prelu", "rrelu", "selu", "gelu"]


@pytest.mark.parametrize("act_type", ["leaky", "elu", "selu", "gelu"])
def test_values_far_out_give_limits(act_type, kernels):
    """Neither infinity nor large numbers make NaN of an output or a gradient (warnings are errors)."""
    run = kernels(find("LeakyReLU")(act_type=act_type), {"data": (5,)}, "float32")
    run.set("data", [-1e30, -100, 0, 100, 1e30])

    output = run.forward()["output"]
    gradient = run.backward({"doutput": np.ones(5, "float32")})["ddata"]

    least = {"leaky": [-2.5e29, -25], "elu": [-0.25] * 2, "selu": [-1.7580993] * 2, "gelu": [0, 0]}
    np.testing.assert_allclose(output[:2], least[act_type], rtol=1e-6)
    top = 1.050701 if act_type == "selu" else 1
    np.testing.assert_allclose(output[2:], np.float32([0, 100, 1e30]) * np.float32(top), rtol=1e-6)
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient[3:], [top, top], rtol=1e-6)


@pytest.mark.parametrize("act_type", ["leaky", "elu", "selu"])
def test_zero_counts_as_negative(act_type, kernels):
    """At 0 the gradient is that from below, as in MXNet."""
    run = kernels(find("LeakyReLU")(act_type=act_type), {"data": (1,)})
    run.set("data", 0)
    run.forward()

    slope = run.backward({"doutput": np.ones(1)})["ddata"]

    np.testing.assert_allclose(slope, {"leaky": 0.25, "elu": 0.25, "selu": 1.7580993408473766}[act_type])


def test_random_slopes_lie_between_the_bounds(kernels):
    """rrelu draws each slope anew while training, evenly; the gradient has the slope that was drawn."""
    run = kernels(find("LeakyReLU")(act_type="rrelu", lower_bound=0.2, upper_bound=0.6), {"data": (100, 100)})

    outputs = run.forward()
    mask, data = outputs["mask"], run.arrays["data"]
    gradient = run.backward({"doutput": np.ones((100, 100))})["ddata"]

    assert mask.min() >= 0.2
    assert mask.max() <= 0.6
    assert mask.mean() == pytest.approx(0.4, abs=0.01)
    assert mask.std() == pytest.approx(0.4 / math.sqrt(12), abs=0.01)
    np.testing.assert_allclose(outputs["output"], np.where(data > 0, data, mask * data))
    np.testing.assert_allclose(gradient, np.where(data > 0, 1, mask))


def test_random_slopes_are_their_middle_outside_training(kernels):
    """A prediction draws nothing."""
    run = kernels(find("LeakyReLU")(act_type="rrelu", lower_bound=0.2, upper_bound=0.6), {"data": (4, 3)})

    outputs = run.forward(train=False)

    np.testing.assert_allclose(outputs["mask"], 0.4)
    data = run.arrays["data"]
    np.testing.assert_allclose(outputs["output"], np.where(data > 0, data, 0.4 * data))


@pytest.mark.parametrize("act_type", KINDS)
def test_tensors_by_the_kind(act_type):
    """gamma belongs to prelu, the mask of slopes to rrelu; both are then inputs and outputs that one sees."""
    op = find("LeakyReLU")(act_type=act_type)

    assert op.input_names() == (("data", "gamma") if act_type == "prelu" else ("data",))
    assert op.output_names() == (("output", "mask") if act_type == "rrelu" else ("output",))
    assert op.visible_outputs() == len(op.output_names())


@pytest.mark.parametrize(
    ("data", "gamma"),
    [((2, 3), (3,)), ((2, 3, 4, 5), (3,)), ((2, 1, 4), (1,)), ((2, None), (None,)), ((3,), None)],
)
def test_a_slope_for_each_channel_is_inferred(data, gamma):
    """Axis 1 holds the channels; of a vector MXNet infers nothing."""
    facts = Shapes({"data": data, "gamma": None, "output": None})

    find("LeakyReLU")(act_type="prelu").shape(facts)

    assert facts["gamma"] == gamma


@pytest.mark.parametrize("gamma", [(2,), (1, 3), ()])
def test_slopes_that_do_not_fit_are_refused(gamma, kernels):
    """The message says how many there should be."""
    with pytest.raises(ShapeError, match="needs one slope for each of its 3 channels, or a single one"):
        kernels(find("LeakyReLU")(act_type="prelu"), {"data": (2, 3), "gamma": gamma})


@pytest.mark.parametrize("name", ["Activation", "LeakyReLU", "hard_sigmoid"])
@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
def test_whole_numbers_are_refused(name, dtype):
    """As in MXNet, which has these functions for floats only."""
    op = find(name)(**({"act_type": "relu"} if name == "Activation" else {}))

    with pytest.raises(ShapeError, match=f"data is {dtype}, but floating-point numbers are needed"):
        op.types(Types({"data": dtype, "output": None}))


@pytest.mark.parametrize(
    ("name", "attributes", "words"),
    [
        ("Activation", {"act_type": "gelu"}, "act_type"),
        ("Activation", {}, "needs act_type"),
        ("LeakyReLU", {"act_type": "swish"}, "act_type"),
        ("LeakyReLU", {"slope": "steep"}, "slope"),
    ],
)
def test_functions_that_are_none_are_refused(name, attributes, words):
    """The message names the attribute."""
    with pytest.raises(BadValue, match=words):
        find(name)(**attributes)


def test_half_precision_is_computed_in_half(kernels):
    """All kinds in float16 are what float64 gives, up to the rounding of float16."""
    for name, kinds in (
        ("LeakyReLU", KINDS),
        ("Activation", ["relu", "sigmoid", "tanh", "softrelu", "softsign"]),
    ):
        for act_type in kinds:
            op = find(name)(act_type=act_type)
            half, double = (kernels(op, {"data": (4, 3, 2)}, dtype) for dtype in ("float16", "float64"))
            for tensor, array in half.arrays.items():
                double.set(tensor, array)

            np.testing.assert_allclose(
                half.forward()["output"], double.forward()["output"], rtol=5e-3, atol=2e-3, err_msg=act_type
            )


@pytest.mark.parametrize("name", ["sigmoid", "Activation", "LogisticRegressionOutput"])
def test_small_probabilities_are_exact(name, kernels):
    """The sigmoid of -30 in float32 is e^-30, not 0: its logarithm is -30."""
    op = find(name)(**({"act_type": "sigmoid"} if name == "Activation" else {}))
    run = kernels(op, {"data": (2, 1)}, "float32")
    run.set("data", [[-30], [-1000]])

    np.testing.assert_allclose(run.forward()["output"], [[math.exp(-30)], [0]], rtol=1e-5)

"""What random operators draw: loose statistics from a fixed seed, ends of their ranges, refusals."""

import math

import numpy as np
import pytest
from inference import inferred

from netdef.ops import find
from netdef.ops.fields import BadValue
from netdef.ops.shapes import ShapeError, Types

COUNT = 40_000

#: law, attributes, mean, variance, and whether only whole numbers come
LAWS = [
    ("uniform", {"low": -1, "high": 3}, 1, 16 / 12, False),
    ("uniform", {}, 0.5, 1 / 12, False),
    ("normal", {"loc": 2, "scale": 0.5}, 2, 0.25, False),
    ("normal", {}, 0, 1, False),
    ("gamma", {"alpha": 2, "beta": 3}, 6, 18, False),
    ("gamma", {"alpha": 0.5, "beta": 1}, 0.5, 0.5, False),
    ("exponential", {"lam": 4}, 1 / 4, 1 / 16, False),
    ("poisson", {"lam": 3.5}, 3.5, 3.5, True),
    ("poisson", {"lam": 0}, 0, 0, True),
    ("negative_binomial", {"k": 3, "p": 0.4}, 4.5, 11.25, True),
    ("negative_binomial", {"k": 3, "p": 1}, 0, 0, True),
    ("generalized_negative_binomial", {"mu": 2, "alpha": 0.3}, 2, 3.2, True),
    ("generalized_negative_binomial", {"mu": 2, "alpha": 0}, 2, 2, True),
]
#: the parameters of a law as inputs of its `_sample_` operator, where they have other names
INPUTS = {"loc": "mu", "scale": "sigma"}


def follows(numbers, mean, variance, whole):
    """Whether numbers have about this mean and variance: within six standard errors, roughly."""
    error = 6 * math.sqrt(variance / numbers.size)
    assert abs(numbers.mean() - mean) <= error
    assert numbers.var() == pytest.approx(variance, rel=0.1)
    assert not whole or (numbers == np.rint(numbers)).all()


@pytest.mark.parametrize(("law", "attributes", "mean", "variance", "whole"), LAWS)
def test_numbers_by_attributes(law, attributes, mean, variance, whole, kernels):
    """With a shape of their own, and like a tensor, in its dtype."""
    alone = kernels(find(f"_random_{law}")(shape=COUNT, **attributes), {}).forward()["output"]
    like = kernels(find(f"_random_{law}_like")(**attributes), {"data": (COUNT // 4, 4)}).forward()["output"]

    assert (alone.dtype, like.dtype) == ("float32", "float64")
    follows(alone, mean, variance, whole)
    follows(like, mean, variance, whole)


@pytest.mark.parametrize(
    ("law", "attributes", "mean", "variance", "whole"), [case for case in LAWS if case[1]]
)
def test_numbers_by_tensors(law, attributes, mean, variance, whole, kernels):
    """Two places with the same parameters: each follows the law, and they differ."""
    named = {INPUTS.get(name, name): value for name, value in attributes.items()}
    run = kernels(find(f"_sample_{law}")(shape=COUNT), dict.fromkeys(named, (2,)))
    for name, value in named.items():
        run.set(name, value)

    output = run.forward()["output"]

    assert output.shape == (2, COUNT)
    for numbers in output:
        follows(numbers, mean, variance, whole)
    assert variance == 0 or not np.array_equal(*output)


def test_each_place_has_its_own_parameters(kernels):
    """The axes of shape stand behind those of the parameters."""
    run = kernels(find("_sample_normal")(shape=(50, 40)), {"mu": (2, 2), "sigma": (2, 2)})
    run.set("mu", [[0, 10], [20, 30]])
    run.set("sigma", [[1, 2], [0, 1]])

    output = run.forward()["output"]

    np.testing.assert_allclose(output.mean(axis=(2, 3)), [[0, 10], [20, 30]], atol=0.3)
    np.testing.assert_allclose(output.std(axis=(2, 3)), [[1, 2], [0, 1]], rtol=0.1)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("layout", ["C", "last", "gaps"])
def test_numbers_do_not_depend_on_memory(dtype, layout, kernels):
    """The same seed gives the same numbers in every dtype, rounded, and in every layout of the output."""
    exact = kernels(find("_random_normal")(shape=(4, 3), dtype="float64"), {}).forward()["output"]

    run = kernels(find("_random_normal")(shape=(4, 3), dtype=dtype), {}, layout=layout)

    np.testing.assert_array_equal(run.forward()["output"], exact.astype(dtype))


def test_whole_numbers_of_a_range(kernels):
    """All come, about equally often, the upper end does not; int64 holds what 32 bits do not."""
    output = kernels(find("_random_randint")(low=-2, high=3, shape=COUNT), {}).forward()["output"]
    wide = kernels(find("_random_randint")(low=2**40, high=2**41, shape=9, dtype="int64"), {}).forward()

    numbers, counts = np.unique(output, return_counts=True)
    assert output.dtype == "int32"
    assert numbers.tolist() == [-2, -1, 0, 1, 2]
    assert (abs(counts - COUNT / 5) < 6 * math.sqrt(COUNT * 0.16)).all()
    assert (wide["output"] >= 2**40).all()


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16", "float32", "float64"])
def test_classes_come_as_often_as_their_probabilities_say(dtype, kernels):
    """In proportion to the sum of a row; a class of probability 0 never comes."""
    run = kernels(find("_sample_multinomial")(shape=COUNT, dtype=dtype), {"data": (2, 4)})
    run.set("data", [[0.1, 0.2, 0, 0.7], [0, 0, 5, 0]])

    output = run.forward()["output"]

    assert output.dtype == dtype
    shares = [np.bincount(row.astype(int), minlength=4) / COUNT for row in output]
    np.testing.assert_allclose(shares, [[0.1, 0.2, 0, 0.7], [0, 0, 1, 0]], atol=0.02)


def test_logarithms_of_drawn_classes(kernels):
    """The second output is log p, and its gradient 1/p goes to what was drawn, added up."""
    run = kernels(find("_sample_multinomial")(shape=(5, 2), get_prob=True), {"data": (3,)})
    run.set("data", [0.2, 0.3, 0.5])
    outputs = run.forward()
    drawn, heads = outputs["output0"], run.head_gradients()

    gradient = run.backward(heads)["ddata"]

    np.testing.assert_allclose(outputs["output1"], np.log(run.arrays["data"])[drawn])
    expected = [heads["doutput1"][drawn == number].sum() for number in range(3)] / run.arrays["data"]
    np.testing.assert_allclose(gradient, expected)


@pytest.mark.parametrize(
    ("data", "shape", "output"),
    [((3,), (), (1,)), ((2, 3), (), (2,)), ((2, 3), 0, (2, 0)), ((4, 2, 3), (5, 6), (4, 2, 5, 6))],
)
def test_shapes_of_drawn_classes(data, shape, output):
    """Those of the rows, then that of the attribute; one row alone gives a vector of one."""
    assert inferred("_sample_multinomial", {"shape": shape}, data=data)["output"] == output


@pytest.mark.parametrize("row", [[0, 0, 0], [0.5, -0.1, 0.6], [math.nan, 0.5, 0.5], [math.inf, 1, 1]])
def test_rows_that_hold_no_probabilities(row, kernels):
    """The message says which row."""
    run = kernels(find("_sample_multinomial")(), {"data": (2, 3)})
    run.set("data", [[0.2, 0.3, 0.5], row])

    with pytest.raises(ValueError, match="row 1 of data does not hold probabilities"):
        run.forward()


def test_an_order_by_chance(kernels):
    """Rows stay whole and none is lost; the gradient goes back to where each came from."""
    run = kernels(find("_shuffle")(), {"data": (50, 2)})
    heads = run.head_gradients()

    outputs = run.forward()
    gradient = run.backward(heads)["ddata"]

    order = outputs["order"]
    assert sorted(order) == list(range(50)) != order.tolist()
    np.testing.assert_array_equal(outputs["output"], run.arrays["data"][order])
    np.testing.assert_array_equal(gradient[order], heads["doutput"])


@pytest.mark.parametrize("law", ["uniform", "normal", "gamma", "exponential", "poisson"])
def test_shapes_that_the_reader_says(law):
    """Left out, or 0 for a size."""
    assert inferred(f"_random_{law}", {}, output=(4, 3))["output"] == (4, 3)
    assert inferred(f"_random_{law}", {"shape": (0, 3)}, output=(4, None))["output"] == (4, 3)
    with pytest.raises(ShapeError, match="the attribute says"):
        inferred(f"_random_{law}", {"shape": (2, 3)}, output=(4, 3))


def test_parameters_follow_from_the_output():
    """Its first axes are theirs."""
    facts = inferred("_sample_gamma", {"shape": (2,)}, output=(4, 3, None))

    assert (facts["alpha"], facts["beta"], facts["output"]) == ((4, 3), (4, 3), (4, 3, 2))
    with pytest.raises(ShapeError, match="beta is 3, but alpha is 4"):
        inferred("_sample_gamma", {}, alpha=(4,), beta=(3,))


@pytest.mark.parametrize(
    ("name", "attributes", "words"),
    [
        ("_random_normal", {"scale": 0}, "scale: 0.0 is too small"),
        ("_random_gamma", {"alpha": 0}, "alpha: 0.0 is too small"),
        ("_random_exponential", {"lam": 0}, "lam: 0.0 is too small"),
        ("_random_poisson", {"lam": -1}, "lam: -1.0 is too small"),
        ("_random_negative_binomial", {"p": 1.5}, "p: 1.5 is too large"),
        ("_random_generalized_negative_binomial", {"alpha": -1}, "alpha: -1.0 is too small"),
        ("_random_uniform", {"dtype": "int32"}, "dtype: 'int32' is not"),
        ("_random_randint", {"high": 3}, "needs low"),
    ],
)
def test_parameters_of_no_law_are_refused(name, attributes, words):
    """The message names the attribute."""
    with pytest.raises(BadValue, match=words):
        find(name)(**attributes)


@pytest.mark.parametrize(
    ("name", "low", "high", "words"),
    [
        ("_random_uniform", 2, 1, "high 1.0 is less than low 2.0"),
        ("_random_randint", 3, 3, "no whole number from 3 to below 3"),
    ],
)
def test_ranges_without_a_number_are_refused(name, low, high, words):
    """Ends in the wrong order; MXNet refuses them, too."""
    with pytest.raises(ShapeError, match=words):
        inferred(name, {"low": low, "high": high, "shape": 2})


def test_numbers_like_whole_ones_are_refused():
    """As in MXNet: a law over real numbers needs a tensor of such."""
    with pytest.raises(ShapeError, match="data is int32, but floating-point numbers are needed"):
        find("_random_normal_like")().types(Types({"data": "int32", "output": None}))

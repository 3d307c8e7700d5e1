"""What the references of reductions and of repeated axes do not say: ties, NaN, dtypes, refusals."""

import numpy as np
import pytest

from netdef.ops import find
from netdef.ops.fields import BadValue
from netdef.ops.shapes import ShapeError, Shapes


def run_on(kernels, name, data, dtype="float64", /, **attributes):
    """Kernels of an operator on given numbers."""
    data = np.asarray(data)
    op = find(name)(**attributes)
    run = kernels(op, {op.inputs[0]: data.shape}, dtype)
    run.set(op.inputs[0], data)
    return run


@pytest.mark.parametrize(
    ("name", "gradient"), [("max", [[0, 1, 1], [1, 1, 1]]), ("min", [[1, 0, 0], [1, 1, 1]])]
)
def test_each_of_equal_extremes_gets_the_whole_gradient(name, gradient, kernels):
    """MXNet's rule for ties."""
    run = run_on(kernels, name, [[0, 3, 3], [2, 2, 2]], axis=1)
    run.forward()

    np.testing.assert_array_equal(run.backward({"doutput": np.ones(2)})["ddata"], gradient)


@pytest.mark.parametrize(
    ("name", "output", "gradient"),
    [
        ("nansum", [2, 0], [[0, 1], [0, 0]]),
        ("nanprod", [2, 1], [[0, 1], [0, 0]]),
        ("sum", [np.nan, np.nan], [[1, 1], [1, 1]]),
        ("max", [np.nan, np.nan], [[0, 0], [0, 0]]),
    ],
)
def test_nan_is_skipped_where_the_name_says_so(name, output, gradient, kernels):
    """nansum and nanprod leave NaN out, forwards and backwards; the others pass it on."""
    run = run_on(kernels, name, [[np.nan, 2], [np.nan, np.nan]], axis=1)

    np.testing.assert_array_equal(run.forward()["output"], output)
    np.testing.assert_array_equal(run.backward({"doutput": np.ones(2)})["ddata"], gradient)


@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
def test_gradients_that_are_nan_in_mxnet(kernels):
    """A product with a zero and a norm of zero get NaN: MXNet divides by zero, and so do we."""
    for name, data in (("prod", [[0, 2]]), ("norm", [[0, 0]])):
        run = run_on(kernels, name, data, axis=1)
        run.forward()

        assert np.isnan(run.backward({"doutput": np.ones(1)})["ddata"][0, 0])


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "max", "min", "norm"])
@pytest.mark.parametrize("axis", [None, (), (0, 1)])
def test_a_full_reduction_is_a_vector_of_one(name, axis, kernels):
    """(1,), never ()."""
    run = kernels(find(name)(axis=axis), {"data": (2, 3)})

    assert run.shapes["output"] == (1,)


def test_whole_numbers_are_truncated(kernels):
    """The mean, the variance and the norm of integers are integers, rounded towards zero."""
    data = [[1, 2, 5], [3, 3, 4]]

    np.testing.assert_array_equal(run_on(kernels, "mean", data, "int32", axis=1).forward()["output"], [2, 3])
    np.testing.assert_array_equal(run_on(kernels, "norm", data, "int32", axis=1).forward()["output"], [5, 5])
    moments = run_on(kernels, "moments", data, "int32", axes=1).forward()
    np.testing.assert_array_equal(moments["output1"], [3, 0])


def test_the_norm_of_large_halves_is_finite(kernels):
    """The squares of float16 overflow long before the norm does."""
    run = run_on(kernels, "norm", [[300, 400]], "float16", axis=1)

    assert run.forward()["output"] == [500]
    np.testing.assert_allclose(run.backward({"doutput": np.ones(1, "float16")})["ddata"], [[0.6, 0.8]], 1e-3)


@pytest.mark.parametrize("axis", [0, 1])
def test_many_halves_add_up(axis, kernels):
    """5000 ones in float16 are 5000, along any axis, although 2048 + 1 is 2048 there."""
    shape = (5000, 2) if axis == 0 else (2, 5000)
    for name, expected in (("sum", 5000), ("mean", 1), ("nansum", 5000)):
        output = run_on(kernels, name, np.ones(shape), "float16", axis=axis).forward()["output"]
        np.testing.assert_array_equal(output, [expected] * 2)
    run = kernels(find("broadcast_to")(shape=shape), {"data": (1, 2) if axis == 0 else (2, 1)}, "float16")
    run.forward()

    gradient = run.backward({"doutput": np.ones(shape, "float16")})["ddata"]

    np.testing.assert_array_equal(gradient.ravel(), [5000] * 2)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("dtype", ["float16", "float64", "int32"])
def test_the_norm_may_have_another_dtype(order, dtype, kernels):
    """out_dtype decides it; the gradient has that of the data."""
    run = run_on(kernels, "norm", [[3.0, 4.0]], "float32", ord=order, axis=1, out_dtype=dtype)

    assert run.types["output"] == dtype
    assert run.forward()["output"] == [7 if order == 1 else 5]
    gradient = run.backward({"doutput": np.ones(1, dtype)})["ddata"]
    np.testing.assert_allclose(gradient, [[1, 1]] if order == 1 else [[0.6, 0.8]], rtol=1e-3)


@pytest.mark.parametrize("missing", ["doutput0", "doutput1"])
def test_moments_of_which_one_is_read(missing, kernels):
    """A gradient that does not arrive counts as zero."""
    run = kernels(find("moments")(axes=(0, 2)), {"data": (2, 3, 4)})
    heads = run.head_gradients()
    run.forward()
    zero = {**heads, missing: np.zeros_like(heads[missing])}
    alone = {name: head for name, head in heads.items() if name != missing}

    np.testing.assert_allclose(
        run.backward({**alone, missing: None})["ddata"], run.backward(zero)["ddata"], 1e-12
    )


def test_running_sums_in_another_dtype(kernels):
    """dtype is that of the sums: numbers are cast before they are added."""
    run = run_on(kernels, "cumsum", [[1.5, 1.5, 1.5]], "float32", axis=1, dtype="int32")

    output = run.forward()["output"]

    assert output.dtype == "int32"
    np.testing.assert_array_equal(output, [[1, 2, 3]])


def test_sizes_that_are_not_known_stay_so():
    """What is reduced need not be known; what is kept passes through."""
    facts = Shapes({"data": (None, 3, None), "output": None})

    find("sum")(axis=2).shape(facts)

    assert facts["output"] == (None, 3)


def test_the_like_of_a_broadcast_may_have_any_dtype(kernels):
    """Only its shape is read."""
    run = kernels(find("broadcast_like")(), {"lhs": (1, 2), "rhs": (3, 2)}, "float32")

    assert run.types["output"] == "float32"
    assert run.types["rhs"] is None


#: operator, attributes, shapes, words of the message
REFUSED = [
    ("sum", {"axis": 3}, {"data": (2, 3)}, "axis 3 is out of range for data 2x3 with 2 axes"),
    ("max", {"axis": (1, -1)}, {"data": (2, 3)}, "names an axis of data 2x3 twice"),
    ("moments", {}, {"data": (2, 3)}, "axes is empty"),
    ("moments", {"axes": (0, -2)}, {"data": (2, 3)}, "axes (0, -2) names an axis"),
    ("argmax", {"axis": -3}, {"data": (2, 3)}, "axis -3 is out of range"),
    ("argmax_channel", {}, {"data": (2,)}, "axis 1 is out of range"),
    ("cumsum", {"axis": 2}, {"a": (2, 3)}, "axis 2 is out of range for a"),
    ("broadcast_axis", {"axis": 0, "size": 2}, {"data": (2, 1)}, "only axes of size 1 can be repeated"),
    ("broadcast_axis", {"axis": (0, 1), "size": 2}, {"data": (1, 1)}, "1 sizes for 2 axes"),
    ("broadcast_axis", {"axis": 2, "size": 2}, {"data": (1, 1)}, "axis 2 is out of range"),
    ("broadcast_to", {"shape": (3, 2, 3)}, {"data": (2, 1)}, "data is 2x1, but shape has 3 sizes"),
    ("broadcast_to", {"shape": (3, 3)}, {"data": (2, 1)}, "axis 0 shall be 3"),
    ("broadcast_like", {}, {"lhs": (2, 1), "rhs": (3, 3)}, "axis 0 shall be 3"),
    ("broadcast_like", {}, {"lhs": (1,), "rhs": (3, 3)}, "lhs is 1, but rhs is 3x3"),
    ("broadcast_like", {"lhs_axes": (0,), "rhs_axes": ()}, {"lhs": (1,), "rhs": (3,)}, "1 axes of lhs for 0"),
    ("broadcast_like", {"lhs_axes": 0, "rhs_axes": 0}, {"lhs": (3,), "rhs": (3,)}, "only axes of size 1"),
]


@pytest.mark.parametrize(("name", "attributes", "shapes", "words"), REFUSED)
def test_shapes_that_do_not_fit_are_refused(name, attributes, shapes, words, kernels):
    """The message has the tensor, its shape and the rule."""
    with pytest.raises(ShapeError) as refused:
        kernels(find(name)(**attributes), shapes)

    assert words in refused.value.message


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("norm", {"ord": 3}),
        ("norm", {"out_dtype": "uint16"}),
        ("broadcast_axis", {"axis": -1, "size": 2}),
        ("broadcast_to", {"shape": (2, -1)}),
        ("sum", {"keepdims": 2}),
    ],
)
def test_values_that_mxnet_refuses(name, attributes):
    """Bounds of attributes are MXNet's."""
    with pytest.raises(BadValue):
        find(name)(**attributes)

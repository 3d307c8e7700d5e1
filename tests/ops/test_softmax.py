"""Distributions: lengths, dtypes and refusals, which no reference says."""

import math

import numpy as np
import pytest

from netdef.ops import find
from netdef.ops.shapes import ShapeError, Shapes, Types

NAMES = ["softmax", "softmin", "log_softmax"]


@pytest.mark.parametrize("name", NAMES)
def test_what_lies_beyond_a_length_is_left_out(name, kernels):
    """The rest is 0 with a gradient of 0, whatever stands there; a length of 0 leaves out all."""
    run = kernels(find(name)(use_length=True), {"data": (3, 4)})
    run.set("length", [0, 2, 9])
    data = run.arrays["data"]
    data[1, 2:] = [math.inf, math.nan]

    output, gradient = run.forward()["output"], run.backward()["ddata"]
    alone = kernels(find(name)(), {"data": (1, 2)})
    alone.set("data", data[1:2, :2])

    assert not output[0].any()
    assert not gradient[0].any()
    assert not output[1, 2:].any()
    assert not gradient[1, 2:].any()
    np.testing.assert_allclose(output[1:2, :2], alone.forward()["output"])
    whole = np.exp(output[2]) if name == "log_softmax" else output[2]
    assert whole.sum() == pytest.approx(1)


def test_the_length_of_a_vector_is_a_vector_of_one(kernels):
    """MXNet has no scalars."""
    run = kernels(find("softmax")(use_length=True), {"data": (3,)})
    assert run.shapes["length"] == (1,)
    run.set("data", 0)
    run.set("length", 2)

    assert run.forward()["output"].tolist() == [0.5, 0.5, 0]


def test_a_length_says_what_the_data_are():
    """Without the axis, both have the same sizes."""
    facts = Shapes({"data": (None, 3, None), "length": (2, 5), "output": None})

    find("softmax")(axis=1, use_length=True).shape(facts)

    assert facts["data"] == facts["output"] == (2, 3, 5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("data", "dtype"), [("float16", "float32"), ("float32", "float64"), ("float64", "float16")]
)
def test_the_output_may_have_another_dtype(name, data, dtype, kernels):
    """The distribution is computed in double precision then; the gradient has the dtype of the data."""
    run = kernels(find(name)(dtype=dtype), {"data": (2, 3)}, data)
    plain = kernels(find(name)(), {"data": (2, 3)})
    plain.set("data", run.arrays["data"])
    output = run.forward()["output"]

    assert output.dtype == dtype
    assert run.backward()["ddata"].dtype == data
    tolerance = 2e-3 if "float16" in (data, dtype) else 1e-6
    np.testing.assert_allclose(output, plain.forward()["output"], rtol=tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_types_that_do_not_fit_are_refused(name):
    """Data are floating-point numbers, lengths whole ones."""
    with pytest.raises(ShapeError, match="data is int32, but floating-point numbers are needed"):
        find(name)().types(Types({"data": "int32", "output": None}))
    with pytest.raises(ShapeError, match="length is float32, but whole numbers are needed"):
        find(name)(use_length=True).types(Types({"data": "float32", "length": "float32", "output": None}))


@pytest.mark.parametrize(
    ("name", "attributes", "data", "words"),
    [
        ("softmax", {"axis": 3}, (2, 3, 4), "axis 3 is out of range"),
        ("log_softmax", {"axis": -4}, (2, 3, 4), "axis -4 is out of range"),
        ("SoftmaxActivation", {}, (3,), "a batch with at least 2 axes is needed"),
        ("SoftmaxActivation", {"mode": "channel"}, (2, 3), "a batch with at least 3 axes is needed"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(name, attributes, data, words, kernels):
    """The message says what would fit."""
    with pytest.raises(ShapeError, match=words):
        kernels(find(name)(**attributes), {"data": data})


def test_log_softmax_of_what_has_no_probability(kernels):
    """The logarithm is right where the softmax itself is 0 in float32."""
    run = kernels(find("log_softmax")(), {"data": (1, 2)}, "float32")
    run.set("data", [[0, 1000]])

    assert run.forward()["output"].tolist() == [[-1000, 0]]
    np.testing.assert_array_equal(run.backward({"doutput": np.ones((1, 2), "float32")})["ddata"], [[1, -1]])

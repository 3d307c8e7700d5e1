"""Tensors from attributes: dtypes, ends of ranges, shapes that the reader says, and what is refused."""

import numpy as np
import pytest
from inference import inferred

from netdef.ops import find
from netdef.ops.fields import BadValue
from netdef.ops.shapes import ShapeError, Types

DTYPES = ["float16", "float32", "float64", "int8", "uint8", "int32", "int64"]


@pytest.mark.parametrize("name", ["_zeros", "_ones", "_full", "_zeros_without_dtype"])
def test_a_size_that_is_left_open(name):
    """0, as a size or for the whole shape, is what the reader needs; MXNet's layers rely on it."""
    value = {"value": 1} if name == "_full" else {}

    assert inferred(name, {"shape": (0, 3), **value}, output=(4, None))["output"] == (4, 3)
    assert inferred(name, {"shape": (0, 3), **value})["output"] == (None, 3)
    assert inferred(name, value, output=(4, 3))["output"] == (4, 3)
    assert inferred(name, {"shape": 2, **value})["output"] == (2,)
    with pytest.raises(ShapeError, match="output is 4x2, but the attribute says"):
        inferred(name, {"shape": (0, 3), **value}, output=(4, 2))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["_zeros", "_ones", "_arange", "_eye", "_linspace"])
def test_dtypes_of_what_is_made(name, dtype, kernels):
    """The attribute says it; all types hold small whole numbers exactly."""
    attributes = {
        "_arange": {"start": 3},
        "_eye": {"N": 3},
        "_linspace": {"start": 0, "stop": 2, "num": 3},
    }.get(name, {"shape": 3})
    expected = {"_zeros": [0, 0, 0], "_ones": [1, 1, 1], "_eye": np.eye(3)}.get(name, [0, 1, 2])

    output = kernels(find(name)(dtype=dtype, **attributes), {}).forward()["output"]

    assert output.dtype == dtype
    np.testing.assert_array_equal(output, expected)


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [
        ("float32", np.inf, np.inf),
        ("float32", np.nan, np.nan),
        ("int32", -2.9, -2),
        ("uint8", 300, 44),
        ("int64", 1e20, -(2**63)),
        ("bool", 0.5, True),
        ("bool", 0, False),
    ],
)
def test_one_number_everywhere(dtype, value, expected, kernels):
    """Not finite, fractional, or more than the type has room for."""
    output = kernels(find("_full")(shape=2, value=value, dtype=dtype), {}).forward()["output"]

    np.testing.assert_array_equal(output, np.full(2, expected, dtype))


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"start": 4}, [0, 1, 2, 3]),
        ({"start": 4, "step": 3}, [0, 3]),
        ({"start": 2, "stop": 3}, [2]),
        ({"start": 5, "stop": 2, "step": -2}, [5, 3]),
        ({"start": -1, "stop": 1.5}, [-1, 0, 1]),
        ({"start": 0, "stop": 0.3, "step": 0.1}, [0, 0.1, 0.2]),
        ({"start": 1.5, "stop": 4, "repeat": 2}, [1.5, 1.5, 2.5, 2.5, 3.5, 3.5]),
        ({"start": -2.7, "stop": 2, "dtype": "int32"}, [-2, -1, 0, 1, 2]),
        ({"start": 0, "stop": 2, "step": 0.5, "dtype": "int32"}, [0, 0, 0, 0]),
    ],
)
def test_ranges(attributes, expected, kernels):
    """Without stop the start is the end; whole numbers lose the fractions of start and step first."""
    output = kernels(find("_arange")(**attributes), {}).forward()["output"]

    np.testing.assert_allclose(output, np.array(expected, output.dtype), rtol=1e-6)


@pytest.mark.parametrize("shape", [(5,), (2, 3)])
def test_a_range_as_long_as_its_reader_needs(shape, kernels):
    """It fills the reader's shape in row-major order, the last number perhaps not as often as the others."""
    op = find("_arange")(start=1.5, step=2, repeat=2, infer_range=True)

    output = kernels(op, {"output": shape}).forward()["output"]

    np.testing.assert_array_equal(output.ravel(), [1.5, 1.5, 3.5, 3.5, 5.5, 5.5][: output.size])


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"start": 2, "stop": 3, "num": 1}, [2]),
        ({"start": 2, "stop": 3, "num": 0}, []),
        ({"start": 2, "stop": -2, "num": 3}, [2, 0, -2]),
        ({"start": 0, "stop": 2, "num": 4, "endpoint": False}, [0, 0.5, 1, 1.5]),
        ({"start": 0, "stop": 1, "num": 1, "endpoint": False}, [0]),
        ({"start": 0, "stop": 5, "num": 4, "dtype": "int32"}, [0, 1, 3, 5]),
    ],
)
def test_numbers_at_equal_distances(attributes, expected, kernels):
    """With the end or without it; whole numbers are cut off one by one."""
    np.testing.assert_allclose(kernels(find("_linspace")(**attributes), {}).forward()["output"], expected)


@pytest.mark.parametrize(("k", "rows", "columns"), [(0, 3, 5), (4, 3, 5), (5, 3, 5), (-2, 3, 5), (-3, 3, 5)])
def test_diagonals(k, rows, columns, kernels):
    """As numpy's eye, also where the diagonal lies beyond the matrix."""
    output = kernels(find("_eye")(N=rows, M=columns, k=k), {}).forward()["output"]

    np.testing.assert_array_equal(output, np.eye(rows, columns, k))


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"start": 0}, "no number from 0 to before 0"),
        ({"start": 5, "stop": 2}, "no number from 5 to before 2 in steps of 1"),
        ({"start": 0, "stop": 5, "step": 0}, "step is 0"),
    ],
)
def test_ranges_without_a_number_are_refused(attributes, words):
    """MXNet refuses them, too."""
    with pytest.raises(ShapeError, match=words):
        inferred("_arange", attributes)


@pytest.mark.parametrize(
    ("name", "attributes", "words"),
    [
        ("_zeros", {"shape": (-1, 2)}, "shape: -1 is too small"),
        ("_zeros", {"dtype": "float"}, "dtype: 'float' is not"),
        ("_full", {"shape": 2}, "needs value"),
        ("_arange", {"stop": 3}, "needs start"),
        ("_arange", {"start": 0, "repeat": 0}, "repeat: 0 is too small"),
        ("_linspace", {"start": 0, "stop": 1, "num": -1}, "num: -1 is too small"),
        ("_eye", {"M": 3}, "needs N"),
    ],
)
def test_values_that_no_tensor_has_are_refused(name, attributes, words):
    """The message names the attribute."""
    with pytest.raises(BadValue, match=words):
        find(name)(**attributes)


def test_zeros_take_the_readers_dtype():
    """Without a number of its own; MXNet counts dtypes in an order of its own."""
    for attributes, known, expected in (({}, "float64", "float64"), ({"dtype": 4}, None, "int32")):
        types = Types({"output": known})
        find("_zeros_without_dtype")(shape=2, **attributes).types(types)

        assert types["output"] == expected


def test_sizes_as_tensors(kernels):
    """They are int64, whatever the data are, and the number of elements is a vector of one."""
    shape = kernels(find("shape_array")(), {"data": (4, 3, 2)}, "float16").forward()["output"]
    size = kernels(find("size_array")(), {"data": (4, 3, 2)}, "float16").forward()["output"]

    assert shape.dtype == size.dtype == "int64"
    assert (shape.tolist(), size.tolist()) == ([4, 3, 2], [24])

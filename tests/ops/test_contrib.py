"""Smaller operators of mx.contrib."""

import numpy as np
import pytest

from netdef.ops import find
from netdef.ops.shapes import ShapeError


@pytest.mark.parametrize(
    ("a", "b", "equal_nan", "expected"),
    [
        ([1, 2], [1, 2.00001], True, 1),
        ([1, 2], [1, 2.1], True, 0),
        ([1, np.nan], [1, np.nan], True, 1),
        ([1, np.nan], [1, np.nan], False, 0),
        ([1, np.nan], [1, 2], True, 0),
        ([1, 2], [1, np.nan], True, 0),
        ([1, np.inf], [1, np.inf], True, 1),
        ([1, np.inf], [1, 2], True, 0),
    ],
)
def test_what_is_nearly_equal(a, b, equal_nan, expected, kernels):
    """Equal infinities are, NaN if it may; the output is one small integer."""
    run = kernels(find("_contrib_allclose")(equal_nan=equal_nan), {"a": (2,)}, "float32")
    run.set("a", a)
    run.set("b", b)

    output = run.forward()["output"]

    assert output.dtype == "uint8"
    assert output == expected


def test_numbers_like_integers(kernels):
    """In whole numbers start and step lose their fractions first, as in MXNet, also a step of 0.5."""
    for start, step, expected in ((1.5, 0.5, [1, 1, 1, 1]), (-2.5, 1.75, [-2, -1, 0, 1])):
        run = kernels(find("_contrib_arange_like")(start=start, step=step), {"data": (4,)}, "int32")

        np.testing.assert_array_equal(run.forward()["output"], expected)


def test_a_transform_and_back(kernels):
    """ifft(fft(x)) is d x."""
    there = kernels(find("_contrib_fft")(), {"data": (2, 6)})
    back = kernels(find("_contrib_ifft")(), {"data": (2, 12)})
    back.set("data", there.forward()["output"])

    np.testing.assert_allclose(back.forward()["output"], 6 * there.arrays["data"])


def test_the_example_of_count_sketch(kernels):
    """That of MXNet's documentation, whose second place is out of order there."""
    run = kernels(find("_contrib_count_sketch")(out_dim=5), {"data": (2, 3)})
    run.set("data", [[1.2, 2.5, 3.4], [3.2, 5.7, 6.6]])
    run.set("h", [[0, 3, 4]])
    run.set("s", [[1, -1, 1]])

    np.testing.assert_array_equal(run.forward()["output"], [[1.2, 0, 0, -2.5, 3.4], [3.2, 0, 0, -5.7, 6.6]])


@pytest.mark.parametrize(
    ("out_type", "low", "expected", "ends"),
    [
        ("uint8", -2, [0, 0, 0, 64, 128, 255, 255], (-2, 1)),
        ("uint8", 0, [0, 0, 0, 128, 255, 255, 255], (0, 1)),
        ("int8", -2, [-128, -64, 0, 32, 64, 127, 127], (-2, 2)),
        ("int8", 0, [-128, -127, 0, 64, 127, 127, 127], (-1, 1)),
    ],
)
def test_small_integers_as_mxnet_has_them(out_type, low, expected, ends, kernels):
    """What MXNet 1.9.1 gives on a CPU for a range from `low` to 1."""
    run = kernels(find("_contrib_quantize")(out_type=out_type), {"data": (7,)}, "float32")
    for name, value in (("data", [-3, -1, 0, 0.5, 1, 2.6, 9]), ("min_range", low), ("max_range", 1)):
        run.set(name, value)

    outputs = run.forward()

    assert outputs["output0"].dtype == out_type
    np.testing.assert_array_equal(outputs["output0"], expected)
    assert (outputs["output1"], outputs["output2"]) == ends


@pytest.mark.parametrize(
    ("attributes", "dtype", "expected", "ends"),
    [
        ({}, "int8", [-62, 8, 127], (-3.1, 3.1)),
        ({"out_type": "uint8"}, "uint8", [0, 16, 255], (-1.5, 3.1)),
        ({"out_type": "auto"}, "int8", [-62, 8, 127], (-3.1, 3.1)),
        ({"min_calib_range": -2, "max_calib_range": 1}, "int8", [-96, 13, 127], (-2, 2)),
        ({"out_type": "auto", "min_calib_range": 0, "max_calib_range": 2}, "uint8", [0, 26, 255], (0, 2)),
    ],
)
def test_small_integers_of_a_range_that_is_found(attributes, dtype, expected, ends, kernels):
    """What MXNet 1.9.1 gives on a CPU: the range of calibration, or that of the data."""
    run = kernels(find("_contrib_quantize_v2")(**attributes), {"data": (3,)}, "float32")
    run.set("data", [-1.5, 0.2, 3.1])

    outputs = run.forward()

    assert outputs["output0"].dtype == dtype
    assert outputs["output0"].tolist() == expected
    np.testing.assert_allclose((outputs["output1"][0], outputs["output2"][0]), ends, rtol=1e-6)


@pytest.mark.parametrize("name", ["quantize", "quantize_v2"])
def test_nothing_but_zeros(name, kernels):
    """A range of nothing divides nothing."""
    run = kernels(find(f"_contrib_{name}")(out_type="int8"), {"data": (3,)}, "float32")
    for tensor in run.arrays:
        run.set(tensor, 0)

    assert run.forward()["output0"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("attributes", "expected", "ends"),
    [
        ({}, [0, 1, 127], (-2.654269, 2.654269)),
        ({"min_calib_range": -1, "max_calib_range": 2}, [0, 2, 127], (-2, 2)),
        ({"out_type": "uint8"}, [0, 3, 255], (0, 2.654269)),
        ({"out_type": "auto", "min_calib_range": 0, "max_calib_range": 2}, [0, 4, 255], (0, 2)),
    ],
)
def test_large_integers_as_small_ones(attributes, expected, ends, kernels):
    """What MXNet 1.9.1 gives on a CPU for sums that stand for numbers from -3 to 3."""
    run = kernels(find("_contrib_requantize")(**attributes), {"data": (3,)}, "float32")
    run.arrays["data"] = np.array([-1_000_000, 20_000_000, 1_900_000_000], "int32")
    run.set("min_range", -3)
    run.set("max_range", 3)

    outputs = run.forward()

    assert outputs["output0"].tolist() == expected
    np.testing.assert_allclose((outputs["output1"][0], outputs["output2"][0]), ends, rtol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("uint8", [0, 0.00782778859, 0.99412918, 1.99608612]),
        ("int8", [0, 0.01568627543, 1.992156982, -0.01568627543]),
    ],
)
def test_small_integers_back_to_numbers(dtype, expected, kernels):
    """What MXNet 1.9.1 gives on a CPU for a range from -2 to 1."""
    run = kernels(find("_contrib_dequantize")(), {"data": (4,)}, "float32")
    run.arrays["data"] = np.array([0, 1, 127, 255]).astype(dtype)
    run.set("min_range", -2)
    run.set("max_range", 1)

    np.testing.assert_allclose(run.forward()["output"], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ({"height": 3, "width": 2}, (3, 2)),
        ({"height": 3}, (3, 1)),
        ({"scale_height": 2, "scale_width": 0.7}, (10, 7)),
        ({"mode": "odd_scale", "scale_height": 2, "scale_width": 0.7}, (9, 7)),
        ({"mode": "to_even_down"}, (4, 10)),
        ({"mode": "to_even_up"}, (6, 10)),
        ({"mode": "to_odd_down"}, (5, 9)),
        ({"mode": "to_odd_up"}, (5, 11)),
    ],
)
def test_where_the_new_size_comes_from(attributes, size, kernels):
    """The new size of maps of 5x10, by MXNet's rules in single precision: 0.7 of 10 is 7."""
    run = kernels(find("_contrib_BilinearResize2D")(**attributes), {"data": (1, 1, 5, 10)})

    assert run.shapes["output"] == (1, 1, *size)


def test_the_same_size_changes_nothing(kernels):
    """Neither interpolation nor averages."""
    for name, attributes in (
        ("_contrib_BilinearResize2D", {"height": 3, "width": 4}),
        ("_contrib_BilinearResize2D", {"height": 3, "width": 4, "align_corners": False}),
        ("_contrib_AdaptiveAvgPooling2D", {"output_size": (3, 4)}),
    ):
        run = kernels(find(name)(**attributes), {"data": (2, 2, 3, 4)})

        np.testing.assert_allclose(run.forward()["output"], run.arrays["data"], rtol=1e-15)


#: operator, attributes, shapes, words of the message
REFUSED = [
    ("AdaptiveAvgPooling2D", {"output_size": (1, 2, 3)}, {"data": (1, 1, 4, 4)}, "output_size has 3 numbers"),
    ("AdaptiveAvgPooling2D", {}, {"data": (1, 4, 4)}, "images (N, C, H, W) are needed"),
    ("BilinearResize2D", {"scale_height": 2}, {"data": (1, 1, 4, 4)}, "both scale_height and scale_width"),
    ("BilinearResize2D", {"mode": "odd_scale"}, {"data": (1, 1, 4, 4)}, "both scale_height and scale_width"),
    ("ifft", {}, {"data": (4, 5)}, "its last axis holds pairs"),
    ("count_sketch", {"out_dim": 2}, {"data": (4, 5), "h": (1, 4)}, "h is 1x4, but data is 4x5"),
    ("count_sketch", {"out_dim": 2}, {"data": (4,)}, "a batch of vectors"),
    ("arange_like", {"axis": 2}, {"data": (4, 5)}, "axis 2 is out of range"),
    ("index_array", {"axes": (0, -3)}, {"data": (4, 5)}, "axes -3 is out of range"),
    ("quantize", {}, {"data": (4, 5), "min_range": (2,)}, "min_range is 2, but it is one number"),
]


@pytest.mark.parametrize(("name", "attributes", "shapes", "words"), REFUSED)
def test_shapes_that_do_not_fit_are_refused(name, attributes, shapes, words, kernels):
    """The message names the tensors and their shapes."""
    with pytest.raises(ShapeError) as refused:
        kernels(find(f"_contrib_{name}")(**attributes), shapes)

    assert words in refused.value.message

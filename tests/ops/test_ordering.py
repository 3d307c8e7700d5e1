"""What the references of sorting, searching and counting do not say: ties, dtypes, refusals."""

import numpy as np
import pytest

from netdef.ops import find
from netdef.ops.backward import Backward
from netdef.ops.fields import BadValue
from netdef.ops.shapes import ShapeError

TIES = [[3, 1, 2, 1], [2, 5, 5, 0]]


def run_on(kernels, name, data, dtype="float64", /, **attributes):
    """Kernels of an operator on given numbers."""
    run = kernels(find(name)(**attributes), {"data": np.shape(data)}, dtype)
    run.set("data", data)
    return run


@pytest.mark.parametrize(
    ("ascend", "places"), [(True, [[1, 3, 2, 0], [3, 0, 1, 2]]), (False, [[0, 2, 1, 3], [1, 2, 0, 3]])]
)
@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8"])
def test_equal_numbers_keep_their_order(ascend, places, dtype, kernels):
    """Of equal numbers the lowest place comes first, whichever way the numbers are sorted."""
    run = run_on(kernels, "argsort", TIES, dtype, is_ascend=ascend)
    np.testing.assert_array_equal(run.forward()["output"], places)

    run = run_on(kernels, "topk", TIES, dtype, k=3, is_ascend=ascend)
    np.testing.assert_array_equal(run.forward()["output"], np.array(places)[:, :3])

    run = run_on(kernels, "sort", TIES, dtype, is_ascend=ascend)
    np.testing.assert_array_equal(run.forward()["output1"], places)


@pytest.mark.parametrize(("name", "places"), [("argmax", [0, 1]), ("argmin", [1, 3])])
def test_the_first_of_equal_extremes_counts(name, places, kernels):
    """The lowest place of several."""
    np.testing.assert_array_equal(run_on(kernels, name, TIES, axis=1).forward()["output"], places)


def test_each_gradient_goes_where_its_number_came_from(kernels):
    """Numbers that were not taken get none."""
    run = run_on(kernels, "topk", TIES, k=2, ret_typ="both")
    outputs = run.forward()
    heads = {"doutput0": np.array([[1.0, 2], [3, 4]])}

    np.testing.assert_array_equal(outputs["output0"], [[3, 2], [5, 5]])
    np.testing.assert_array_equal(outputs["output1"], [[0, 2], [1, 2]])
    np.testing.assert_array_equal(run.backward(heads)["ddata"], [[1, 0, 2, 0], [0, 3, 4, 0]])


@pytest.mark.parametrize("ret_typ", ["indices", "mask"])
def test_places_pass_no_gradient(ret_typ):
    """The graph then has no backward node, rather than one of zeros."""
    assert Backward(find("topk")(ret_typ=ret_typ)).writes == ()
    assert Backward(find("topk")(ret_typ="value")).writes == ("ddata",)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "int64", "uint8"])
def test_places_have_the_dtype_that_is_asked_for(dtype, kernels):
    """float32 by default; values and masks have that of the data."""
    both = run_on(kernels, "topk", TIES, "float64", ret_typ="both", dtype=dtype)
    mask = run_on(kernels, "topk", TIES, "float16", ret_typ="mask", dtype=dtype)

    assert (both.types["output0"], both.types["output1"]) == ("float64", dtype)
    assert both.forward()["output1"].dtype == dtype
    assert mask.types["output"] == "float16"
    assert find("argsort")().dtype == find("topk")().dtype == "float32"


def test_the_axis_may_be_none_although_that_is_not_the_default():
    """None is a value of its own: -1 is meant where nothing is given."""
    assert find("topk")().axis == -1
    assert find("topk")(axis=None).axis is None
    assert find("topk")(axis="None") == find("topk")(axis=None) != find("topk")()


@pytest.mark.parametrize("k", [0, -1])
def test_all_are_returned_for_k_below_one(k, kernels):
    """MXNet's rule."""
    run = run_on(kernels, "topk", TIES, k=k, ret_typ="value", axis=None)

    np.testing.assert_array_equal(run.forward()["output0"], sorted(np.ravel(TIES), reverse=True))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_bounds_of_bins(dtype, kernels):
    """A lower bound belongs to its bin, the last upper one, too; what lies outside is left out."""
    run = run_on(kernels, "_histogram", [[0, 1, 2, 2], [5, 5, 6, -1]], dtype, bin_cnt=5, range=(0, 5))

    outputs = run.forward()

    np.testing.assert_array_equal(outputs["output0"], [1, 1, 2, 0, 2])
    np.testing.assert_array_equal(outputs["output1"], [0, 1, 2, 3, 4, 5])
    assert (run.types["output0"], run.types["output1"]) == ("int64", dtype)


def test_numbers_on_rounded_bounds(kernels):
    """Each number lies between the bounds of its bin although these are rounded."""
    run = run_on(kernels, "_histogram", np.arange(31) / 10, "float32", bin_cnt=30, range=(0, 3))

    np.testing.assert_array_equal(run.forward()["output0"], [1] * 29 + [2])


@pytest.mark.parametrize(
    ("name", "attributes", "shapes", "words"),
    [
        ("sort", {"axis": 2}, {"data": (2, 3)}, "axis 2 is out of range"),
        ("argsort", {"axis": -3}, {"data": (2, 3)}, "axis -3 is out of range"),
        ("topk", {"k": 4}, {"data": (2, 3)}, "k is 4, but data 2x3 has 3 elements along axis -1"),
        ("topk", {"k": 7, "axis": None}, {"data": (2, 3)}, "has 6 elements"),
        ("_histogram", {}, {"data": (2, 3), "bins": (1,)}, "bins is 1"),
        ("_histogram", {}, {"data": (2, 3), "bins": (2, 2)}, "bins is 2x2"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(name, attributes, shapes, words, kernels):
    """The message has the tensor, its shape and the rule."""
    with pytest.raises(ShapeError) as refused:
        kernels(find(name)(**attributes), shapes)

    assert words in refused.value.message


@pytest.mark.parametrize(
    "attributes",
    [{"bin_cnt": 5}, {"range": (0, 1)}, {"bin_cnt": 5, "range": (1, 0)}, {"bin_cnt": 5, "range": (1,)}],
)
def test_bins_are_given_in_one_way(attributes):
    """By bounds, or by their number and a range."""
    with pytest.raises(BadValue):
        find("_histogram")(**attributes)

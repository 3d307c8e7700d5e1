"""Parts of tensors: as Python's slices, what follows backwards, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inference import inferred

from netdef.ops import find
from netdef.ops.fields import BadValue
from netdef.ops.shapes import ShapeError

place = st.none() | st.integers(-7, 7)
step = st.none() | st.integers(-3, 3).filter(bool)


@given(st.lists(st.tuples(place, place, step), max_size=3))
def test_slices_are_those_of_python(cuts):
    """Negative places count from the end, what lies outside is cut off, and any step but 0 will do."""
    columns = [tuple(column) for column in zip(*cuts)] or [(), (), ()]
    data = np.arange(60).reshape(5, 4, 3)
    expected = data[tuple(slice(*cut) for cut in cuts)]

    attributes = dict(zip(("begin", "end", "step"), columns))

    assert inferred("slice", attributes, data=data.shape)["output"] == expected.shape
    output = np.full(expected.shape, -1)
    find("slice")(**attributes).forward(np, data, output)
    np.testing.assert_array_equal(output, expected)


#: operator, attributes, shapes, words of the message
REFUSED = [
    ("slice", {"begin": (0, 0), "end": (1,)}, {"data": (4, 3)}, "have 2, 1 and 0 numbers"),
    ("slice", {"begin": (0,), "end": (1,), "step": (1, 1)}, {"data": (4,)}, "have 1, 1 and 2 numbers"),
    ("slice", {"begin": (0, 0), "end": (1, 1)}, {"data": (4,)}, "for 2 axes, but data is 4"),
    ("slice", {"begin": (0,), "end": (1,), "step": (0,)}, {"data": (4,)}, "step is 0"),
    ("slice_axis", {"axis": 0, "begin": 2, "end": 2}, {"data": (4,)}, "nothing from 2 to before 2"),
    ("slice_axis", {"axis": 0, "begin": 0, "end": 5}, {"data": (4,)}, "nothing from 0 to before 5"),
    ("slice_axis", {"axis": 0, "begin": -5, "end": 2}, {"data": (4,)}, "nothing from -5 to before 2"),
    ("slice_axis", {"axis": 1, "begin": 0, "end": 2}, {"data": (4,)}, "axis 1 is out of range"),
    ("slice_like", {}, {"data": (4, 3), "shape_like": (4,)}, "both need as many axes"),
    ("slice_like", {}, {"data": (4, 3), "shape_like": (5, 3)}, "more along axis 0"),
    ("slice_like", {"axes": (-1,)}, {"data": (4, 3), "shape_like": (4,)}, "axes 1 is out of range"),
    ("slice_like", {"axes": (2,)}, {"data": (4, 3), "shape_like": (4, 3, 2)}, "axes 2 is out of range"),
    ("Crop", {"num_args": 1}, {"arg0": (1, 1, 4, 4)}, "or a second input are needed"),
    ("Crop", {"num_args": 1, "h_w": (5, 4)}, {"arg0": (1, 1, 4, 4)}, "does not hold 5x4"),
    ("Crop", {"num_args": 1, "h_w": (2, 2), "offset": (3, 0)}, {"arg0": (1, 1, 4, 4)}, "from 3x0 on"),
    ("Crop", {"num_args": 1, "h_w": (2, 2), "offset": (0,)}, {"arg0": (1, 1, 4, 4)}, "two numbers"),
    ("Crop", {"num_args": 2}, {"arg0": (1, 1, 4, 4), "arg1": (2, 2)}, "(N, C, H, W) is needed"),
    ("_slice_assign", {"begin": (0,), "end": (2,)}, {"lhs": (4,), "rhs": (3,)}, "rhs is 3, but begin"),
    ("_slice_assign_scalar", {"begin": (0, 0), "end": (1, 1)}, {"data": (4,)}, "for 2 axes"),
    ("SliceChannel", {"num_outputs": 4}, {"data": (2, 6)}, "6 elements along axis 1 of data are not 4"),
    ("SliceChannel", {"num_outputs": 2, "squeeze_axis": True}, {"data": (2, 6)}, "would have 3 elements"),
    ("SliceChannel", {"num_outputs": 2, "axis": 2}, {"data": (2, 6)}, "axis 2 is out of range"),
    ("SliceChannel", {"num_outputs": 2, "axis": 2}, {"output1": (2, 3)}, "as output1 needs"),
    ("SliceChannel", {"num_outputs": 2}, {"output0": (2, 3), "output1": (3, 3)}, "output1 is 3x3"),
    ("_split_v2", {"indices": (0, 3, 1)}, {"data": (2, 6)}, "do not rise from 0 to at most 6"),
    ("_split_v2", {"indices": (0, 7)}, {"data": (2, 6)}, "do not rise from 0 to at most 6"),
    ("_split_v2", {"indices": (1, 2)}, {"data": (2, 6)}, "do not rise from 0"),
]


@pytest.mark.parametrize(("name", "attributes", "shapes", "words"), REFUSED)
def test_parts_that_are_not_there_are_refused(name, attributes, shapes, words):
    """The message names the tensors, their shapes and the attribute."""
    with pytest.raises(ShapeError) as refused:
        inferred(name, attributes, **shapes)

    assert words in refused.value.message


@pytest.mark.parametrize(
    ("name", "attributes", "known", "tensor", "expected"),
    [
        ("slice", {"begin": (1,), "end": (3,)}, {"data": (4, None), "output": (None, 5)}, "data", (4, 5)),
        ("slice_axis", {"axis": 1, "begin": 0, "end": 2}, {"output": (4, 2)}, "data", (4, None)),
        ("slice_axis", {"axis": 1, "begin": 0}, {"data": (None, 5), "output": (4, 5)}, "data", (4, 5)),
        ("slice_like", {"axes": (-1,)}, {"data": (4, 3), "shape_like": (9, 2, 7)}, "output", (4, 2)),
        (
            "slice_like",
            {"axes": (0,)},
            {"data": (4, None), "shape_like": (None, 9), "output": (2, 3)},
            "shape_like",
            (2, 9),
        ),
        ("SliceChannel", {"num_outputs": 3}, {"output1": (4, 2)}, "data", (4, 6)),
        ("SliceChannel", {"num_outputs": 3, "axis": -1}, {"output2": (4, 2)}, "output0", (4, 2)),
        ("SliceChannel", {"num_outputs": 3, "squeeze_axis": True}, {"output0": (4, 2)}, "data", (4, 3, 2)),
        (
            "SliceChannel",
            {"num_outputs": 2, "axis": 0, "squeeze_axis": True},
            {"output0": (3,)},
            "data",
            (2, 3),
        ),
        ("_split_v2", {"indices": (0, 1)}, {"output1": (4, 2)}, "data", (4, 3)),
        ("_split_v2", {"indices": (0, 2)}, {"output0": (4, None)}, "output0", (4, None)),
        (
            "_split_v2",
            {"indices": (), "sections": 2},
            {"output0": (4, 3), "output1": (4, 2)},
            "data",
            (4, 5),
        ),
        ("_slice_assign", {"begin": (1,), "end": (3,)}, {"output": (4, 5)}, "rhs", (2, 5)),
    ],
)
def test_what_follows_from_a_part(name, attributes, known, tensor, expected):
    """Sizes that are not cut are shared, equal parts make a whole."""
    assert inferred(name, attributes, **known)[tensor] == expected


def test_the_middle_of_an_image(kernels):
    """The larger half of what is left over goes behind, and offset does not count."""
    run = kernels(
        find("Crop")(num_args=1, h_w=(2, 1), center_crop=True, offset=(9, 9)), {"arg0": (1, 1, 5, 4)}
    )

    np.testing.assert_array_equal(run.forward()["output"], run.arrays["arg0"][:, :, 1:3, 1:2])


@pytest.mark.parametrize(
    ("dtype", "scalar", "expected"),
    [
        ("float32", -np.inf, -np.inf),
        ("int32", 1.7, 1),
        ("int32", -1.7, -1),
        ("uint8", -2.5, 254),
        ("uint8", 300, 44),
        ("int8", 130, -126),
        ("int32", 1e20, -(2**31)),
        ("int64", np.nan, -(2**63)),
        ("int8", np.inf, 0),
    ],
)
def test_numbers_that_a_type_lacks_room_for(dtype, scalar, expected, kernels):
    """Whole numbers are stored as C does on MXNet's processors: without fraction, wrapped around."""
    run = kernels(find("_slice_assign_scalar")(begin=(1,), end=(2,), scalar=scalar), {"data": (3,)}, dtype)
    run.set("data", [1, 2, 3])

    np.testing.assert_array_equal(run.forward()["output"], np.array([1, expected, 3], dtype))


def test_what_is_overwritten_gets_no_gradient(kernels):
    """It goes to what was put there; memory may be shared."""
    run = kernels(find("_slice_assign")(begin=(1,), end=(None,), step=(2,)), {"lhs": (4,)})
    heads = run.head_gradients()
    head = heads["doutput"].copy()

    gradients = run.backward(heads, alias=("doutput", "dlhs"))

    np.testing.assert_array_equal(gradients["dlhs"], head * [1, 0, 1, 0])
    np.testing.assert_array_equal(gradients["drhs"], head[1::2])


def test_a_part_that_nobody_reads_has_no_gradient(kernels):
    """Where it lay in the data the gradient is 0."""
    run = kernels(find("SliceChannel")(num_outputs=2), {"data": (2, 4)})
    heads = {**run.head_gradients(), "doutput0": None}

    gradient = run.backward(heads)["ddata"]

    np.testing.assert_array_equal(gradient[:, 2:], heads["doutput1"])
    assert not gradient[:, :2].any()


def test_names_of_parts():
    """One part of _split_v2 is called output, as in MXNet; one of SliceChannel is output0 there, too."""
    assert find("_split_v2")(indices=(0,)).output_names() == ("output",)
    assert find("_split_v2")(indices=(), sections=2).output_names() == ("output0", "output1")
    assert find("SliceChannel")(num_outputs=1).output_names() == ("output0",)


def test_whole_numbers_of_python_2():
    """Older files of MXNet write some sizes as 3L."""
    assert find("Reshape")(shape="(2L, -1L)").shape_ == (2, -1)
    assert find("slice")(begin="(0L, None)", end="(2L,3L)").end == (2, 3)
    with pytest.raises(BadValue, match="is not a whole number"):
        find("Reshape")(shape="(2LL,)")

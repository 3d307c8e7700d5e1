"""Reshape's codes, what follows backwards, and what is refused."""

import numpy as np
import pytest
from inference import inferred

from netdef.ops import find
from netdef.ops.shapes import ShapeError, Shapes

#: data, shape, reverse, output; as MXNet 1.9 says
CODES = [
    ((2, 3, 4), (4, 0, 2), False, (4, 3, 2)),
    ((2, 3, 4), (0, -1), False, (2, 12)),
    ((2, 3, 4), (6, 1, -1), False, (6, 1, 4)),
    ((2, 3, 4), (3, -1, 8), False, (3, 1, 8)),
    ((2, 3, 4), (-2,), False, (2, 3, 4)),
    ((2, 3, 4), (2, -2), False, (2, 3, 4)),
    ((2, 3, 4), (-2, 1, 1), False, (2, 3, 4, 1, 1)),
    ((2, 3, 4), (-3, 4), False, (6, 4)),
    ((2, 3, 4, 5), (-3, -3), False, (6, 20)),
    ((2, 3, 4), (0, -3), False, (2, 12)),
    ((2, 3, 4), (-3, -2), False, (6, 4)),
    ((2, 3, 4), (-4, 1, 2, -2), False, (1, 2, 3, 4)),
    ((2, 3, 4), (2, -4, -1, 3, -2), False, (2, 1, 3, 4)),
    ((10, 5, 4), (-1, 0), False, (40, 5)),
    ((10, 5, 4), (-1, 0), True, (50, 4)),
    ((2, 3, 4), (-1, 3, 0), True, (2, 3, 4)),
    ((2, 3, 4), (0, -3), True, (2, 12)),
    ((2, 3, 4), (-3, 0), True, (6, 4)),
    ((1,), (1, 1), False, (1, 1)),
    ((2, 3, 4), (), False, None),
]


@pytest.mark.parametrize(("data", "shape", "reverse", "output"), CODES)
def test_the_codes_of_reshape(data, shape, reverse, output):
    """From left to right or from right to left; without a shape nothing is known of the output."""
    assert inferred("Reshape", {"shape": shape, "reverse": reverse}, data=data)["output"] == output


@pytest.mark.parametrize(
    ("target", "keep", "output"),
    [
        ((2, 0), False, (2, 12)),
        ((0, 4), False, (6, 4)),
        ((6, 4), False, (6, 4)),
        ((9, 0), True, (2, 12)),
        ((0, 4, 3), True, (2, 4, 3)),
        ((9, 0, 3), True, (2, 4, 3)),
    ],
)
def test_the_older_form_of_reshape(target, keep, output):
    """0 is what remains; with keep_highest the first size is that of the data, whatever stands there."""
    attributes = {"target_shape": target, "keep_highest": keep}

    assert inferred("Reshape", attributes, data=(2, 3, 4))["output"] == output
    assert inferred("Reshape", {**attributes, "shape": (-1,)}, data=(2, 3, 4))["output"] == (24,)


@pytest.mark.parametrize(
    ("shape", "data", "output", "expected"),
    [
        ((0, -1), (None, 3, 4), (2, None), ((2, 3, 4), (2, 12))),
        ((0, -1), (2, None, 4), (None, 12), ((2, 3, 4), (2, 12))),
        ((-1, 12), (None, 3, 4), (2, None), ((2, 3, 4), (2, 12))),
        ((-3, 0), (2, None, None), (6, 5), ((2, 3, 5), (6, 5))),
        ((-4, 2, -1, -2), (None, 5), (None, 3, None), ((6, 5), (2, 3, 5))),
        ((-4, 2, -1, -2), (None, 5), None, ((None, 5), (2, None, 5))),
        ((-2,), (None, 3), (2, None), ((2, 3), (2, 3))),
        ((4, -1), (None, None), None, ((None, None), (4, None))),
        ((-1,), (0, 3), None, ((0, 3), (0,))),
    ],
)
def test_sizes_follow_in_both_directions(shape, data, output, expected):
    """From each part of the codes whose elements are known on one side."""
    facts = inferred("Reshape", {"shape": shape}, data=data, output=output)

    assert (facts["data"], facts["output"]) == expected


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"shape": (-1, -1)}, "only one size can be what remains"),
        ({"shape": (0, 0, 0, 0)}, "too few axes are left for 0"),
        ({"shape": (0, 0, -3)}, "too few axes are left for -3"),
        ({"shape": (-4, 2)}, "-4 needs two sizes behind it"),
        ({"shape": (-4, -1, -1, -2)}, "of which one may be -1"),
        ({"shape": (-4, 5, 2, -2)}, "data has 2 where the output has 5x2"),
        ({"target_shape": (0, 0)}, "target_shape is (0, 0), but only one size"),
    ],
)
def test_codes_that_mean_nothing_are_refused(attributes, words):
    """The message repeats the attribute and says which code is wrong."""
    with pytest.raises(ShapeError) as refused:
        inferred("Reshape", attributes, data=(2, 3, 4))

    assert words in refused.value.message


@pytest.mark.parametrize("shape", [(7,), (0, 5), (5, -1), (2, 3, 4, 2)])
def test_another_number_of_elements_is_refused_when_it_is_bound(shape):
    """Not while shapes are inferred, as in MXNet."""
    op, facts = find("Reshape")(shape=shape), Shapes({"data": (2, 3, 4), "output": None})
    op.shape(facts)

    with pytest.raises(ShapeError, match="data is 2x3x4, 24 elements, which do not fill"):
        op.check(facts)


@pytest.mark.parametrize(
    ("attributes", "left", "right", "output"),
    [
        ({}, (4, 6), (4, 3, 2), (4, 3, 2)),
        ({"lhs_begin": 1, "lhs_end": 3, "rhs_begin": 0, "rhs_end": 1}, (2, 3, 4), (12, 5), (2, 12)),
        ({"lhs_begin": -1, "rhs_begin": -2}, (2, 12), (7, 3, 4), (2, 3, 4)),
        ({"lhs_end": -1, "rhs_end": 1}, (2, 3, 4), (6, 9), (6, 4)),
    ],
)
def test_axes_in_the_shape_of_others(attributes, left, right, output):
    """Negative axes count from the end, and the end is not part of them."""
    assert inferred("reshape_like", attributes, lhs=left, rhs=right)["output"] == output


@pytest.mark.parametrize(
    ("attributes", "right", "words"),
    [
        ({}, (4, 3, 3), "24 elements, which do not fill 4x3x3"),
        ({"lhs_begin": 2, "lhs_end": 3}, (4, 3), "lhs is 4x6 and has no axes from 2 to before 3"),
        ({"rhs_begin": 1, "rhs_end": 1}, (4, 3), "rhs is 4x3 and has no axes from 1 to before 1"),
        ({"lhs_end": -5}, (4, 3), "lhs is 4x6 and has no axes from 0 to before -5"),
    ],
)
def test_axes_that_are_not_there_are_refused(attributes, right, words):
    """Ranges must hold an axis, and the elements must be as many."""
    with pytest.raises(ShapeError) as refused:
        inferred("reshape_like", attributes, lhs=(4, 6), rhs=right)

    assert words in refused.value.message


def test_a_new_axis_and_back():
    """From the output to the data, too; an axis that is no 1 there is a fault."""
    assert inferred("expand_dims", {"axis": -2}, output=(2, 1, 3))["data"] == (2, 3)
    assert inferred("expand_dims", {"axis": 1}, data=(2, None), output=(None, None, 3))["data"] == (2, 3)
    with pytest.raises(ShapeError, match="axis 1 is the new one"):
        inferred("expand_dims", {"axis": 1}, output=(2, 2, 3))
    with pytest.raises(ShapeError, match="axis -4 is out of range"):
        inferred("expand_dims", {"axis": -4}, data=(2, 3))


def test_axes_of_one_element():
    """Named ones must have it; all of them leave one axis; those kept follow from the output."""
    assert inferred("squeeze", data=(1, 1))["output"] == (1,)
    assert inferred("squeeze", {"axis": (0, -1)}, data=(1, 3, 1))["output"] == (3,)
    assert inferred("squeeze", {"axis": 1}, data=(None, None, 3), output=(2, 3))["data"] == (2, 1, 3)
    assert inferred("squeeze", data=(None, 1))["output"] is None
    for axis, words in ((0, "must be of size 1"), ((1, 1), "named twice"), (3, "out of range")):
        with pytest.raises(ShapeError, match=words):
            inferred("squeeze", {"axis": axis}, data=(4, 1, 3))


@pytest.mark.parametrize("name", ["Reshape", "reshape_like", "expand_dims", "squeeze", "Flatten"])
def test_the_output_is_the_memory_of_the_data(name, kernels):
    """No kernel runs in a plan; one that has to copy keeps the order of the elements for any strides."""
    attributes = {"Reshape": {"shape": (-1,)}, "expand_dims": {"axis": 1}}.get(name, {})
    first = "lhs" if name == "reshape_like" else "data"
    shapes = {first: (4, 1, 3), **({"rhs": (6, 2)} if first == "lhs" else {})}
    run = kernels(find(name)(**attributes), shapes, layout="last")

    assert run.op.view(train=True) == (first, "output")
    np.testing.assert_array_equal(run.forward()["output"].ravel(), run.arrays[first].ravel())

"""Joining, permuting, repeating and padding: ends of the rules, and what is refused."""

import numpy as np
import pytest
from inference import inferred

from netdef.ops import find
from netdef.ops.shapes import ShapeError

#: operator, attributes, shapes, words of the message
REFUSED = [
    ("Concat", {"num_args": 2, "dim": -3}, {"arg0": (4, 3)}, "dim -3 is out of range"),
    ("Concat", {"num_args": 2}, {"arg0": (4, 3), "arg1": (4,)}, "arg1 is 4"),
    ("stack", {"num_args": 2}, {"arg0": (4, 3), "arg1": (4, 2)}, "arg1 is 4x2, but arg0 is 4x3"),
    ("stack", {"num_args": 2, "axis": 3}, {"arg0": (4, 3)}, "axis 3 is out of range for arg0 4x3 with one"),
    ("stack", {"num_args": 2, "axis": 1}, {"output": (4, 3, 2)}, "output is 4x3x2"),
    ("transpose", {"axes": (0, 1)}, {"data": (4, 3, 2)}, "are not the 3 axes of data 4x3x2"),
    ("transpose", {"axes": (0, 1, 1)}, {"data": (4, 3, 2)}, "each once"),
    ("SwapAxis", {"dim1": 2}, {"data": (4, 3)}, "dim1 2 is out of range"),
    ("SwapAxis", {"dim2": -3}, {"data": (4, 3)}, "dim2 -3 is out of range"),
    ("reverse", {"axis": (2,)}, {"data": (4, 3)}, "axis 2 is out of range"),
    ("depth_to_space", {"block_size": 2}, {"data": (1, 6, 2, 2)}, "its axis 1 is no multiple of 4"),
    ("depth_to_space", {"block_size": 2}, {"data": (4, 2, 2)}, "(N, C, H, W) is needed"),
    ("depth_to_space", {"block_size": 2}, {"output": (1, 1, 2, 3)}, "its axis 3 is no multiple of 2"),
    ("space_to_depth", {"block_size": 2}, {"data": (1, 1, 3, 2)}, "its axis 2 is no multiple of 2"),
    ("diag", {"axis1": 1}, {"data": (4, 3, 2)}, "axis1 1 and axis2 1 are one axis"),
    ("diag", {"axis2": 2}, {"data": (4, 3)}, "axis2 2 is out of range"),
    ("diag", {"k": 5}, {"data": (4, 3)}, "have no diagonal 5"),
    ("tile", {"reps": (2,)}, {"data": (4, 3), "output": (4, 5)}, "output is 4x5, but data is 4x3"),
    ("repeat", {"repeats": 2, "axis": 2}, {"data": (4, 3)}, "axis 2 is out of range"),
    ("Pad", {"mode": "edge", "pad_width": (0, 0, 0, 0, 1, 1)}, {"data": (1, 1, 2)}, "8 or 10 numbers"),
    ("Pad", {"mode": "edge", "pad_width": (0, 0, 1, 0, 0, 0, 0, 0)}, {}, "the first four are 0"),
    ("Pad", {"mode": "edge", "pad_width": (0,) * 8}, {"data": (1, 1, 2)}, "for each of 4 axes"),
    (
        "Pad",
        {"mode": "reflect", "pad_width": (0, 0, 0, 0, 0, 2, 0, 0)},
        {"data": (1, 1, 2, 2)},
        "too small for a border",
    ),
    ("im2col", {"kernel": (2, 2)}, {"data": (1, 1)}, "(batch, channels, spatial axes...) is needed"),
    ("col2im", {"kernel": (2, 2), "output_size": (3, 3)}, {"data": (1, 5, 4)}, "5 is no multiple of the 4"),
    ("col2im", {"kernel": (2, 2), "output_size": (3, 3)}, {"data": (1, 4, 5)}, "data is 1x4x5"),
    ("col2im", {"kernel": (2, 2), "output_size": (3, 3)}, {"data": (4, 4)}, "is needed"),
]


@pytest.mark.parametrize(("name", "attributes", "shapes", "words"), REFUSED)
def test_what_does_not_fit_is_refused(name, attributes, shapes, words):
    """The message names the tensors, their shapes and the attribute."""
    with pytest.raises(ShapeError) as refused:
        inferred(name, attributes, **shapes)

    assert words in refused.value.message


@pytest.mark.parametrize(
    ("name", "attributes", "known", "tensor", "expected"),
    [
        ("Concat", {"num_args": 2}, {"arg0": (4, 3), "output": (None, 5)}, "arg1", (4, 2)),
        ("Concat", {"num_args": 2, "dim": 0}, {"arg0": (4, 3)}, "arg1", (None, 3)),
        ("Concat", {"num_args": 2, "dim": 0}, {"arg1": (None, 3)}, "output", (None, 3)),
        ("_rnn_param_concat", {"num_args": 2, "dim": 0}, {"arg0": (4,), "output": (9,)}, "arg1", (5,)),
        ("stack", {"num_args": 2, "axis": 1}, {"output": (4, None, 3)}, "arg1", (4, 3)),
        ("stack", {"num_args": 3, "axis": -1}, {"arg1": (4, 3)}, "output", (4, 3, 3)),
        ("transpose", {}, {"output": (2, None, 4)}, "data", (4, None, 2)),
        ("transpose", {"axes": (1, 2, 0)}, {"output": (2, 3, 4)}, "data", (4, 2, 3)),
        ("SwapAxis", {"dim1": 0, "dim2": -1}, {"data": (None, 3), "output": (None, 4)}, "data", (4, 3)),
        ("depth_to_space", {"block_size": 2}, {"output": (1, 3, 4, None)}, "data", (1, 12, 2, None)),
        ("space_to_depth", {"block_size": 2}, {"output": (1, None, 4, 1)}, "data", (1, None, 8, 2)),
        ("diag", {"k": -1}, {"output": (4, None)}, "data", None),
        ("diag", {"k": -1}, {"data": (None,), "output": (4, None)}, "data", (3,)),
        ("diag", {}, {"data": (4, 3, None), "output": (5, None)}, "output", (5, 3)),
        ("tile", {"reps": (2, 3)}, {"data": (None, None), "output": (4, 9)}, "data", (2, 3)),
        ("tile", {"reps": (2,)}, {"data": (4, 0)}, "output", (4, 0)),
        ("repeat", {"repeats": 3, "axis": 1}, {"data": (2, None), "output": (2, 9)}, "data", (2, 3)),
        ("repeat", {"repeats": 3}, {"data": (2, None)}, "output", (None,)),
        (
            "Pad",
            {"mode": "edge", "pad_width": (0, 0, 0, 0, 1, 2, 0, 1)},
            {"output": (1, 1, 5, 3)},
            "data",
            (1, 1, 2, 2),
        ),
        (
            "im2col",
            {"kernel": (2, 2)},
            {"data": (1, None, 3, 3), "output": (None, 8, 4)},
            "data",
            (1, 2, 3, 3),
        ),
        ("col2im", {"kernel": (2, 2), "output_size": (3, 3)}, {"output": (1, 2, 3, 3)}, "data", (1, 8, 4)),
    ],
)
def test_what_follows_backwards(name, attributes, known, tensor, expected):
    """Sizes of the data follow from those of the output where the rule allows."""
    assert inferred(name, attributes, **known)[tensor] == expected


@pytest.mark.parametrize(("axis", "turned"), [((0,), [0]), ((0, 0), []), ((0, 1, 0), [1]), ((), [])])
def test_an_axis_that_is_reversed_twice(axis, turned, kernels):
    """It is as it was, in both directions."""
    run = kernels(find("reverse")(axis=axis), {"data": (3, 2)})
    heads = run.head_gradients()

    np.testing.assert_array_equal(run.forward()["output"], np.flip(run.arrays["data"], turned))
    np.testing.assert_array_equal(run.backward(heads)["ddata"], np.flip(heads["doutput"], turned))


def test_the_example_of_depth_to_space(kernels):
    """That of MXNet's documentation."""
    run = kernels(find("depth_to_space")(block_size=2), {"data": (1, 4, 2, 3)})
    run.set("data", np.arange(24).reshape(1, 4, 2, 3))

    expected = [[0, 6, 1, 7, 2, 8], [12, 18, 13, 19, 14, 20], [3, 9, 4, 10, 5, 11], [15, 21, 16, 22, 17, 23]]
    np.testing.assert_array_equal(run.forward()["output"][0, 0], expected)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_blocks_and_back(size, kernels):
    """space_to_depth undoes depth_to_space."""
    there = kernels(find("depth_to_space")(block_size=size), {"data": (2, 2 * size**2, 3, 1)})
    back = kernels(find("space_to_depth")(block_size=size), {"data": (2, 2, 3 * size, size)})
    back.set("data", there.forward()["output"])

    np.testing.assert_array_equal(back.forward()["output"], there.arrays["data"])


@pytest.mark.parametrize(
    ("mode", "row", "slope"),
    [
        ("constant", [9, 1, 2, 3, 9, 9], [1, 1, 1]),
        ("edge", [1, 1, 2, 3, 3, 3], [2, 1, 3]),
        ("reflect", [2, 1, 2, 3, 2, 1], [2, 3, 1]),
    ],
)
def test_borders(mode, row, slope, kernels):
    """What the border holds, and where its gradients go."""
    width = (0, 0, 0, 0, 0, 0, 1, 2)
    run = kernels(find("Pad")(mode=mode, pad_width=width, constant_value=9), {"data": (1, 1, 1, 3)})
    run.set("data", [1, 2, 3])

    np.testing.assert_array_equal(run.forward()["output"].ravel(), row)
    np.testing.assert_array_equal(run.backward({"doutput": np.ones((1, 1, 1, 6))})["ddata"].ravel(), slope)


@pytest.mark.parametrize(("name", "attributes"), [("tile", {"reps": (2, 0)}), ("repeat", {"repeats": 0})])
def test_nothing_is_repeated(name, attributes, kernels):
    """The output is empty and the gradient 0."""
    run = kernels(find(name)(**attributes), {"data": (3, 2)})

    assert run.forward()["output"].size == 0
    assert not run.backward()["ddata"].any()


def test_columns_and_back(kernels):
    """col2im counts how many windows hold each element."""
    options = {"kernel": (2, 2), "stride": (1, 1)}
    there = kernels(find("im2col")(**options), {"data": (1, 1, 3, 3)})
    back = kernels(find("col2im")(output_size=(3, 3), **options), {"data": (1, 4, 4)})
    there.set("data", 1)
    back.set("data", there.forward()["output"])

    np.testing.assert_array_equal(back.forward()["output"][0, 0], [[1, 2, 1], [2, 4, 2], [1, 2, 1]])


def test_parts_that_are_not_wanted(kernels):
    """Concat and stack write the gradients that somebody wants, and no others."""
    for name, attributes in (("Concat", {"dim": 0}), ("stack", {})):
        run = kernels(find(name)(num_args=2, **attributes), {"arg0": (2, 3), "arg1": (2, 3)})
        heads = run.head_gradients()
        run.forward()

        gradients = run.backward(heads, wanted=("darg1",))

        assert list(gradients) == ["darg1"]
        np.testing.assert_array_equal(gradients["darg1"], heads["doutput"].reshape(2, 2, 3)[1])

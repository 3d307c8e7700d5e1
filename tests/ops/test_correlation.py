"""Correlation beside its reference: known values and what is refused."""

import numpy as np
import pytest

from netdef.ops.correlation import Correlation
from netdef.ops.shapes import ShapeError, Shapes


def inferred(shape, **attributes):
    """The shape of the output."""
    shapes = Shapes({"data1": shape, "data2": None, "output": None})
    Correlation(**attributes).shape(shapes)
    return shapes["output"]


def test_it_finds_how_an_image_was_moved(kernels):
    """The displacement by which the second image was shifted has the smallest difference, rows first."""
    run = kernels(
        Correlation(max_displacement=2, is_multiply=False, kernel_size=3),
        {"data1": (1, 2, 9, 9), "data2": (1, 2, 9, 9)},
    )
    run.set("data2", np.roll(run.arrays["data1"], (1, -2), axis=(2, 3)))

    output = run.forward()["output"]

    assert output.shape == (1, 25, 3, 3)
    assert output[:, 3 * 5 + 0].max() == pytest.approx(0)
    assert np.delete(output, 3 * 5, axis=1).min() > 0.01


def test_equal_elements_count_as_a_larger_one(kernels):
    """Their difference has the slope 1 in the first image and -1 in the second, as in MXNet."""
    run = kernels(
        Correlation(max_displacement=0, is_multiply=False), {"data1": (1, 1, 2, 2), "data2": (1, 1, 2, 2)}
    )
    run.set("data2", run.arrays["data1"])
    run.forward()
    gradients = run.backward({"doutput": np.ones((1, 1, 2, 2))})

    assert (gradients["ddata1"] == 1).all()
    assert (gradients["ddata2"] == -1).all()


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, (1, 9, 4, 5)),
        ({"kernel_size": 3}, (1, 9, 2, 3)),
        ({"max_displacement": 3, "pad_size": 3, "stride2": 2}, (1, 9, 6, 7)),
        ({"max_displacement": 2, "pad_size": 2, "stride2": 3}, (1, 1, 6, 7)),
        ({"stride1": 3, "pad_size": 2}, (1, 9, 3, 3)),
    ],
)
def test_sizes(attributes, expected):
    """As MXNet 1.9.1 says for images of 6x7; a last, partial step counts."""
    assert inferred((1, 2, 6, 7), **attributes) == expected


@pytest.mark.parametrize(
    ("shape", "attributes", "attribute", "message"),
    [
        ((1, 2, 6, 6), {"kernel_size": 2}, "kernel_size", "kernel_size is 2, but a patch needs a middle"),
        ((1, 2, 6, 6), {"max_displacement": 3}, "max_displacement", "no patch of 1 fits images of 6x6"),
        ((1, 2, 6), {}, "", "data1 is 1x2x6, but images are needed"),
    ],
)
def test_what_is_refused(shape, attributes, attribute, message):
    """With the numbers, and the attribute to blame."""
    with pytest.raises(ShapeError, match=message) as caught:
        inferred(shape, **attributes)

    assert caught.value.attribute == attribute


def test_images_of_two_sizes_are_refused():
    """Patches are compared place by place."""
    with pytest.raises(ShapeError, match="both must be equal"):
        Correlation().shape(Shapes({"data1": (1, 2, 6, 6), "data2": (1, 2, 6, 7), "output": None}))

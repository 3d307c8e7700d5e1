"""Deconvolution beside its reference: its sizes, what is refused, and convolution as its opposite."""

import numpy as np
import pytest

from netdef.ops.convolution import Convolution
from netdef.ops.deconvolution import Deconvolution
from netdef.ops.shapes import ShapeError, Shapes


def inferred(op, **known):
    """What the shape rule learns from some shapes."""
    shapes = Shapes({name: known.get(name) for name in (*op.input_names(), "output")})
    op.shape(shapes)
    return shapes.known


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ({"kernel": 3}, 7),
        ({"kernel": 3, "stride": 2}, 11),
        ({"kernel": 3, "stride": 2, "pad": 1}, 9),
        ({"kernel": 3, "stride": 2, "pad": 1, "adj": 1}, 10),
        ({"kernel": 3, "dilate": 2}, 9),
        ({"kernel": 1, "stride": 3}, 13),
        ({"kernel": 3, "stride": 2, "target_shape": 10}, 10),
        ({"kernel": 3, "stride": 2, "target_shape": 1, "pad": 9, "adj": 9}, 1),
        ({"kernel": 3, "stride": 2, "target_shape": 0, "pad": 1}, 9),
    ],
)
def test_sizes(attributes, size):
    """stride * (n - 1) + dilate * (kernel - 1) + 1 - 2 * pad + adj, unless target_shape says it."""
    known = inferred(Deconvolution(num_filter=2, **attributes), data=(1, 1, 5))

    assert known["output"] == (1, 2, size)


def test_shapes_backwards():
    """Batch, channels and sizes of the data follow from output and weight; not where target_shape decides."""
    op = Deconvolution(kernel=(3, 3), num_filter=4, num_group=2, stride=(2, 3), adj=(1, 0))

    known = inferred(op, data=(None,) * 4, output=(2, 4, 10, 9), weight=(6, None, None, None))
    assert known["data"] == (2, 6, 4, 3)
    assert known["weight"] == (6, 2, 3, 3)
    fixed = Deconvolution(kernel=(3, 3), num_filter=4, stride=2, target_shape=(6, 6))
    assert inferred(fixed, data=(None,) * 4, output=(2, 4, 6, 6))["data"] == (2, None, None, None)


def test_channels_last():
    """The weight has its channels last, too."""
    known = inferred(
        Deconvolution(kernel=(3, 2), num_filter=4, layout="NHWC", no_bias=False), data=(1, 5, 6, 8)
    )

    assert known["weight"] == (8, 3, 2, 4)
    assert known["output"] == (1, 7, 7, 4)
    assert known["bias"] == (4,)


@pytest.mark.parametrize("target", [None, (7, 6)])
def test_it_is_the_transpose_of_a_convolution(target, kernels):
    """<conv(x), y> = <x, deconv(y)> for one weight, and for sizes that a target cuts evenly."""
    shared = {"kernel": (3, 4), "stride": (2, 2), "num_group": 2}
    up = kernels(
        Deconvolution(num_filter=4, pad=(1, 1), target_shape=target or (), **shared), {"data": (2, 6, 4, 3)}
    )
    spread = up.forward()["output"]
    down = kernels(Convolution(num_filter=6, pad=(1, 1), no_bias=True, **shared), {"data": spread.shape})
    down.set("weight", up.arrays["weight"])

    left = np.sum(down.forward()["output"] * up.arrays["data"])
    assert left == pytest.approx(np.sum(down.arrays["data"] * spread))


@pytest.mark.parametrize(
    ("attributes", "data", "attribute", "message"),
    [
        ({"kernel": 3, "adj": 1}, (1, 2, 4, 4), "adj", "adj 1 asks for 1 more .* less than the stride 1"),
        ({"kernel": 3, "stride": 2, "adj": 2}, (1, 2, 4, 4), "adj", "less than the stride 2"),
        (
            {"kernel": 3, "stride": 2, "target_shape": (10, 9)},
            (1, 2, 4, 4),
            "target_shape",
            "target_shape 10x9 is too large for data of 4x4",
        ),
        (
            {"kernel": 3, "target_shape": (5, 5)},
            (1, 2, 4, 4),
            "target_shape",
            "target_shape 5x5 asks for 1 more",
        ),
        ({"kernel": 3, "pad": 3}, (1, 2, 4, 4), "pad", "pad 3x3 leaves nothing"),
        ({"kernel": 3, "num_group": 3}, (1, 2, 4, 4), "num_group", "3 groups do not divide 4 filters"),
        ({"kernel": 3, "num_group": 2}, (1, 3, 4, 4), "num_group", "2 groups do not divide 3 channels"),
        (
            {"kernel": 3, "target_shape": (5, 5, 5)},
            (1, 2, 4, 4),
            "target_shape",
            "target_shape has 3 numbers",
        ),
        ({"kernel": 3, "layout": "NCW"}, (1, 2, 4, 4), "layout", "layout NCW has 3"),
        ({"kernel": ()}, (2,), "", "data is 2, but"),
    ],
)
def test_what_is_refused(attributes, data, attribute, message):
    """Each wrong attribute is named with the numbers that make it wrong."""
    with pytest.raises(ShapeError, match=message) as caught:
        inferred(Deconvolution(num_filter=4, **attributes), data=data)

    assert caught.value.attribute == attribute


@pytest.mark.parametrize("target", [5, 6])
def test_a_hint_for_the_target_fits(target):
    """Where an odd number would have to be cut off at stride 1, the neighbouring sizes are named."""
    op = Deconvolution(kernel=3, num_filter=1, target_shape=target)
    if target == 6:
        assert inferred(op, data=(1, 1, 6))["output"] == (1, 1, 6)
        return
    with pytest.raises(ShapeError) as caught:
        inferred(op, data=(1, 1, 6))
    for size in caught.value.hint.split(" or "):
        assert inferred(Deconvolution(kernel=3, num_filter=1, target_shape=int(size)), data=(1, 1, 6))[
            "output"
        ]


def test_an_empty_batch(kernels):
    """No images give no output, and a gradient of the weight that is zero."""
    run = kernels(Deconvolution(kernel=(3, 3), num_filter=2), {"data": (0, 3, 4, 4)})

    assert run.forward()["output"].shape == (0, 2, 6, 6)
    assert not run.backward()["dweight"].any()

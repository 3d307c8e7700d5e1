"""Up-sampling beside its reference: sizes, inputs, what is refused."""

import numpy as np
import pytest

from netdef.ops.shapes import ShapeError, Shapes
from netdef.ops.upsampling import UpSampling


def inferred(op, **known):
    """What the shape rule learns from some shapes."""
    shapes = Shapes({name: known.get(name) for name in (*op.input_names(), "output")})
    op.shape(shapes)
    return shapes.known


def test_inputs_by_their_kind():
    """nearest takes as many as there are, bilinear data and a weight that says how it starts."""
    assert UpSampling(scale=2, sample_type="nearest", num_args=2).input_names() == ("arg0", "arg1")
    for count in (1, 2):
        op = UpSampling(scale=2, sample_type="bilinear", num_args=count)
        assert op.input_names() == ("data", "weight")
    assert UpSampling.initial["weight"] == '["bilinear", {}]'


@pytest.mark.parametrize(("scale", "kernel"), [(1, 1), (2, 4), (3, 5), (4, 8), (5, 9)])
def test_the_weight_of_bilinear(scale, kernel):
    """One filter of 2 * scale - scale % 2 for each channel; the output is exactly `scale` times as large."""
    known = inferred(UpSampling(scale=scale, sample_type="bilinear"), data=(2, 3, 4, 5))

    assert known["weight"] == (3, 1, kernel, kernel)
    assert known["output"] == (2, 3, 4 * scale, 5 * scale)


def test_bilinear_interpolates(kernels):
    """With the weight that MXNet's initializer makes, a ramp stays one away from the borders."""
    run = kernels(UpSampling(scale=2, sample_type="bilinear", num_filter=1), {"data": (1, 1, 4, 4)})
    line = np.array([0.25, 0.75, 0.75, 0.25])
    run.set("weight", np.outer(line, line))
    run.set("data", np.arange(4.0))

    output = run.forward()["output"][0, 0]

    np.testing.assert_allclose(output[1:-1, 1:-1], np.tile(np.arange(0.25, 3, 0.5), (6, 1)))


def test_shapes_backwards():
    """Sizes and batch follow from the output, the channels of one part from the rest."""
    op = UpSampling(scale=2, sample_type="nearest", num_args=2)
    known = inferred(op, arg0=(None,) * 4, arg1=(None, 3, 8, 12), output=(2, 5, 8, 12))
    assert known["arg0"] == (2, 2, 4, 6)
    assert known["arg1"] == (2, 3, 8, 12)
    summed = UpSampling(scale=2, sample_type="nearest", num_args=2, multi_input_mode="sum")
    assert inferred(summed, arg0=(2, 4, 3, 3), arg1=(None,) * 4)["arg1"] == (2, 4, None, None)


@pytest.mark.parametrize(
    ("attributes", "shapes", "message"),
    [
        (
            {"num_args": 2},
            {"arg0": (1, 2, 2, 3), "arg1": (1, 2, 3, 3)},
            "no whole factor makes as large as 4x6",
        ),
        ({"num_args": 2}, {"arg0": (1, 2, 4, 6), "arg1": (1, 2, 8, 6)}, "no whole factor"),
        (
            {"num_args": 2},
            {"arg0": (1, 2, 4, 6), "arg1": (2, 2, 4, 6)},
            "arg1 is 2x2x4x6, but the output has",
        ),
        (
            {"num_args": 2, "multi_input_mode": "sum"},
            {"arg0": (1, 2, 4, 6), "arg1": (1, 3, 4, 6)},
            "all channels are added",
        ),
        ({}, {"arg0": (1, 2, 4)}, "arg0 is 1x2x4, but"),
        ({}, {"arg0": (1, 2, 4, 4, 4)}, "images have 4 axes"),
    ],
)
def test_what_nearest_refuses(attributes, shapes, message):
    """The message has the shapes that do not go together."""
    with pytest.raises(ShapeError, match=message):
        inferred(UpSampling(scale=2, sample_type="nearest", **attributes), **shapes)


def test_what_bilinear_refuses():
    """Another number of filters than channels, and another weight."""
    op = UpSampling(scale=2, sample_type="bilinear", num_filter=2)
    with pytest.raises(ShapeError, match="data is 1x3x4x4, but num_filter is 2"):
        inferred(op, data=(1, 3, 4, 4))
    with pytest.raises(ShapeError, match="weight is 2x1x3x3, but data is"):
        inferred(op, data=(1, 2, 4, 4), weight=(2, 1, 3, 3))

"""Local response normalisation against loops written from the definition."""

import itertools

import numpy as np
import pytest

from netdef.ops import lrn
from netdef.ops.lrn import LRN
from netdef.ops.shapes import ShapeError, Shapes


def scale_at(data, place, op):
    """The sum over one element's neighbourhood, added up element by element."""
    half = op.nsize // 2
    across = op.norm_region == "ACROSS_CHANNELS"
    axes = [1] if across else range(2, data.ndim)
    total = 0.0
    for offsets in itertools.product(range(-half, half + 1), repeat=len(axes)):
        there = list(place)
        for axis, offset in zip(axes, offsets):
            there[axis] += offset
        if all(0 <= x < n for x, n in zip(there, data.shape)):
            total += data[tuple(there)] ** 2
    return (op.knorm if across else 1.0) + op.alpha / op.nsize ** len(axes) * total


def normalised(data, op):
    """The output, element by element."""
    output = np.empty(data.shape)
    for place in np.ndindex(*data.shape):
        output[place] = data[place] / scale_at(data, place, op) ** op.beta
    return output


def derivative(data, op, upper):
    """The gradient by central differences of `normalised`, one element of the data at a time."""
    gradient = np.empty(data.shape)
    for place in np.ndindex(*data.shape):
        step = np.zeros(data.shape)
        step[place] = 1e-5
        difference = normalised(data + step, op) - normalised(data - step, op)
        gradient[place] = (difference * upper).sum() / 2e-5
    return gradient


CASES = [
    ({"nsize": 3, "alpha": 0.7}, (2, 5, 2, 2)),
    ({"nsize": 5, "alpha": 2.0, "beta": 0.5, "knorm": 1.0}, (1, 4, 3)),
    ({"nsize": 7, "alpha": 1.5, "beta": 1.0}, (2, 3)),
    ({"nsize": 1, "alpha": 0.5}, (1, 3, 2, 1)),
    ({"nsize": 3, "alpha": 1.5, "norm_region": "WITHIN_CHANNEL", "knorm": 7.0}, (1, 2, 3, 4)),
    ({"nsize": 5, "alpha": 3.0, "norm_region": "WITHIN_CHANNEL"}, (1, 1, 3, 2)),
    ({"nsize": 3, "alpha": 3.0, "norm_region": "WITHIN_CHANNEL"}, (1, 2, 4)),
    ({"nsize": 3, "alpha": 3.0, "norm_region": "WITHIN_CHANNEL"}, (1, 1, 2, 2, 3)),
]


@pytest.mark.parametrize("layout", ["C", "last", "channels", "gaps"])
@pytest.mark.parametrize(("attributes", "shape"), CASES, ids=str)
def test_element_by_element(attributes, shape, layout, kernels):
    """Output and gradient, in any memory layout."""
    op = LRN(**attributes)
    run = kernels(op, {"data": shape}, layout=layout)
    heads = run.head_gradients()

    np.testing.assert_allclose(run.forward()["output"], normalised(run.arrays["data"], op), rtol=1e-12)
    expected = derivative(run.arrays["data"], op, heads["doutput"])
    np.testing.assert_allclose(run.backward(heads)["ddata"], expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("block", [1, 20, 64])
@pytest.mark.parametrize("layout", ["C", "last", "channels", "gaps"])
@pytest.mark.parametrize("region", ["ACROSS_CHANNELS", "WITHIN_CHANNEL"])
def test_blocks_of_any_size(region, layout, block, kernels, monkeypatch):
    """Of one element's neighbours up to all; the last one may be smaller."""
    op, shape = LRN(nsize=3, alpha=0.7, norm_region=region), (3, 4, 5, 2)
    whole = kernels(op, {"data": shape}, layout=layout)
    expected = {**whole.forward(), **whole.backward()}
    monkeypatch.setattr(lrn, "BLOCK", block)
    run = kernels(op, {"data": shape}, layout=layout)
    made = {**run.forward(), **run.backward()}

    for name, value in expected.items():
        np.testing.assert_allclose(made[name], value, rtol=1e-12, err_msg=name)
    np.testing.assert_allclose(run.forward(without=("scale",))["output"], expected["output"], rtol=1e-12)


def test_one_number_by_hand(kernels):
    """Krizhevsky's formula with MXNet's defaults: 2 / (2 + 1e-4 / 3 * (1 + 4 + 9)) ** 0.75."""
    run = kernels(LRN(nsize=3), {"data": (1, 3)})
    run.arrays["data"][...] = [[1, 2, 3]]

    assert run.forward()["output"][0, 1] == pytest.approx(2 / (2 + 1e-4 / 3 * 14) ** 0.75, rel=1e-14)


def test_shapes():
    """Input and output are alike in both directions."""
    shapes = Shapes({"data": None, "output": (2, 3, 4, 4), "scale": None})
    LRN(nsize=5).shape(shapes)

    assert shapes.known["data"] == (2, 3, 4, 4)
    LRN(nsize=5).shape(shapes)
    assert shapes.known["scale"] == (2, 3, 4, 4)


@pytest.mark.parametrize(
    ("attributes", "shape", "attribute", "message"),
    [
        ({"nsize": 4}, (1, 3, 2, 2), "nsize", "a window of 4 has no centre"),
        ({"nsize": 3}, (5,), "", r"data is 5, but \(batch, channels, ...\) is needed"),
        ({"nsize": 3, "norm_region": "WITHIN_CHANNEL"}, (5, 2), "", "data is 5x2, but"),
    ],
)
def test_what_is_refused(attributes, shape, attribute, message):
    """An even window, and data without the axes that are normalised over."""
    with pytest.raises(ShapeError, match=message) as caught:
        LRN(**attributes).shape(Shapes({"data": shape, "output": None, "scale": None}))

    assert caught.value.attribute == attribute


def test_what_onnx_can_say():
    """ONNX's bias is 1 where it is not given; it knows no normalisation within a channel."""
    (table,) = LRN.onnx
    assert table.read({"size": 5})[0] == {"nsize": 5, "knorm": 1.0, "norm_region": "ACROSS_CHANNELS"}
    assert table.write(LRN(nsize=3, norm_region="WITHIN_CHANNEL").values())[1] == ["norm_region"]

"""Grids and sampling beside their references: known maps, borders, what is refused."""

import numpy as np
import pytest

from netdef.ops import find
from netdef.ops.shapes import ShapeError, Shapes

AFFINE = {"transform_type": "affine", "sampler_type": "bilinear"}
IDENTITY = [1, 0, 0, 0, 1, 0]


def inferred(op, **known):
    """What the shape rule learns from some shapes."""
    shapes = Shapes({name: known.get(name) for name in (*op.input_names(), *op.output_names())})
    op.shape(shapes)
    return shapes.known


def sampled(kernels, image, places, dtype="float64"):
    """A run of BilinearSampler on one map at places (x, y)."""
    image, places = np.asarray(image, dtype), np.asarray(places, dtype)
    run = kernels(
        find("BilinearSampler")(), {"data": (1, 1, *image.shape), "grid": (1, 2, 1, len(places))}, dtype
    )
    run.set("data", image)
    run.set("grid", places.T[:, None])
    return run


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [(4, 5), (7, 9), (1, 3), (2, 2)])
def test_the_identity_changes_nothing(size, dtype, kernels):
    """Corner to corner, at the size of the image."""
    run = kernels(
        find("SpatialTransformer")(target_shape=size, **AFFINE), {"data": (2, 3, *size), "loc": (2, 6)}, dtype
    )
    run.set("loc", IDENTITY)

    output = run.forward()["output"]

    np.testing.assert_allclose(output, run.arrays["data"], atol=1e-5)


def test_a_flow_of_nothing_changes_nothing(kernels):
    """warp with zeros gives the grid of the identity; whole numbers move by elements."""
    flow = kernels(find("GridGenerator")(transform_type="warp"), {"data": (1, 2, 3, 4)})
    flow.set("data", np.zeros((1, 2, 3, 4)))
    plain = flow.forward()["output"].copy()
    affine = kernels(find("GridGenerator")(transform_type="affine", target_shape=(3, 4)), {"data": (1, 6)})
    affine.set("data", IDENTITY)

    np.testing.assert_allclose(plain, affine.forward()["output"], atol=1e-12)
    flow.set("data", np.array([1.0, 0.0]).reshape(1, 2, 1, 1))
    moved = flow.forward()["output"]
    np.testing.assert_allclose(moved[:, 0] - plain[:, 0], 2 / 3)
    np.testing.assert_allclose(moved[:, 1], plain[:, 1])


def test_outside_counts_as_zero(kernels):
    """Half an element beyond the border half is left, far beyond nothing; nothing is read there."""
    run = sampled(kernels, [[1, 2], [3, 4]], [(1, 1), (2, 1), (3, 1), (1e30, 0), (-1e30, 0), (0, 1e30)])

    assert run.forward()["output"].ravel().tolist() == [4, 2, 0, 0, 0, 0]
    gradients = run.backward({"doutput": np.ones((1, 1, 1, 6))})
    assert gradients["ddata"][0, 0].tolist() == [[0, 0], [0, 1.5]]


def test_what_lies_outside_does_not_spread(kernels):
    """A NaN in the image shows only where it is sampled, one in the grid only in its own place."""
    run = sampled(kernels, [[np.nan, 2], [3, 4]], [(1, 1), (9, 9), (-1, -1), (np.nan, 0)])

    output = run.forward()["output"].ravel()

    assert output[:2].tolist() == [4, 0]
    assert np.isnan(output[2:]).all()
    ddata = run.backward({"doutput": np.array([1.0, 1, 1, 0]).reshape(1, 1, 1, 4)})["ddata"]
    assert ddata[0, 0, 1, 1] == 1


def test_many_places_on_one_element(kernels):
    """Their gradients add up, in every dtype."""
    for dtype in ("float16", "float32", "float64"):
        run = sampled(kernels, np.ones((3, 3)), [(0, 0)] * 1000, dtype)
        run.forward()
        ddata = run.backward({"doutput": np.ones((1, 1, 1, 1000), dtype)})["ddata"]
        assert ddata[0, 0, 1, 1] == 1000
        assert ddata.sum() == 1000


def test_an_empty_batch(kernels):
    """No images, no grid: nothing happens."""
    run = kernels(find("BilinearSampler")(), {"data": (0, 2, 3, 3), "grid": (0, 2, 4, 5)})

    assert run.forward()["output"].shape == (0, 2, 4, 5)
    assert run.backward()["ddata"].shape == (0, 2, 3, 3)


def test_shapes_in_every_direction():
    """The batch follows from whatever knows it, channels and sizes across."""
    known = inferred(find("BilinearSampler")(), data=(None, 3, 4, 5), output=(2, None, 6, 7))
    assert known == {"data": (2, 3, 4, 5), "grid": (2, 2, 6, 7), "output": (2, 3, 6, 7)}
    op = find("SpatialTransformer")(target_shape=(2, 3), **AFFINE)
    known = inferred(op, data=(None, 3, 4, 5), loc=(7, None))
    assert known == {
        "data": (7, 3, 4, 5),
        "loc": (7, 6),
        "output": (7, 3, 2, 3),
        "grid": (7, 2, 2, 3),
    }
    op = find("GridGenerator")(transform_type="affine", target_shape=(2, 3))
    assert inferred(op, output=(4, None, None, None))["data"] == (4, 6)


@pytest.mark.parametrize(
    ("name", "attributes", "shapes", "message"),
    [
        ("GridGenerator", {"transform_type": "affine"}, {"data": (1, 6)}, r"target_shape is \(0, 0\)"),
        ("GridGenerator", {"transform_type": "affine", "target_shape": 3}, {}, r"target_shape is \(3,\)"),
        (
            "GridGenerator",
            {"transform_type": "affine", "target_shape": (2, 2)},
            {"data": (1, 5)},
            "data is 1x5, but affine takes 6 numbers",
        ),
        (
            "GridGenerator",
            {"transform_type": "warp"},
            {"data": (1, 3, 2, 2)},
            "data is 1x3x2x2, but warp takes",
        ),
        ("BilinearSampler", {}, {"data": (1, 3, 4)}, "data is 1x3x4, but images are needed"),
        ("BilinearSampler", {}, {"grid": (1, 3, 4, 4)}, "grid is 1x3x4x4, but x and y"),
        (
            "BilinearSampler",
            {},
            {"data": (1, 3, 4, 4), "grid": (2, 2, 4, 4)},
            "grid is 2x2x4x4, but the others have a batch of 1",
        ),
        ("SpatialTransformer", AFFINE, {}, "a height and a width of at least 1 are needed"),
        (
            "SpatialTransformer",
            {"target_shape": (2, 2), **AFFINE},
            {"loc": (2, 5)},
            "loc is 2x5, but an affine map has 6 numbers",
        ),
    ],
)
def test_what_is_refused(name, attributes, shapes, message):
    """The message has the shapes and what is needed."""
    with pytest.raises(ShapeError, match=message):
        inferred(find(name)(**attributes), **shapes)

"""Pooling of regions beside its references: rounding, borders, regions that are none, what is refused."""

import numpy as np
import pytest

from netdef.ops import find
from netdef.ops.fields import BadValue
from netdef.ops.shapes import ShapeError, Shapes

BOTH = ("ROIPooling", "_contrib_ROIAlign")


def pooled(kernels, name, regions, size, image=None, **attributes):
    """Output (R, h, w) and gradient of a head gradient of ones, for one map of 0, 1, 2, ..."""
    image = np.arange(20.0).reshape(4, 5) if image is None else np.asarray(image, float)
    op = find(name)(pooled_size=size, **{"spatial_scale": 1.0, **attributes})
    run = kernels(op, {"data": (1, 1, *image.shape), "rois": (len(regions), 5)})
    run.set("data", image)
    run.set("rois", regions)
    output = run.forward()["output"]
    return output[:, 0], run.backward({"doutput": np.ones_like(output)})["ddata"][0, 0]


def test_bins_are_rounded_outwards(kernels):
    """Three rows and columns in two bins each: the middle one belongs to both."""
    output, gradient = pooled(kernels, "ROIPooling", [(0, 0, 0, 2, 2)], (2, 2))

    assert output[0].tolist() == [[6, 7], [11, 12]]
    assert gradient[1:3, 1:3].tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize(("corner", "expected"), [(0.49, 0), (0.5, 1), (1.5, 2), (2.5, 3), (-0.5, 0)])
def test_halves_are_rounded_away_from_zero(corner, expected, kernels):
    """As C's round, not to even: a region of one element of the first row; -1 lies outside."""
    output, _ = pooled(kernels, "ROIPooling", [(0, corner, 0, corner, 0)], (1, 1))

    assert output.ravel().tolist() == [expected]


def test_the_first_of_tied_maxima_gets_the_gradient(kernels):
    """In row-major order."""
    _, gradient = pooled(kernels, "ROIPooling", [(0, 1, 1, 3, 2)], (1, 1), image=np.ones((4, 5)))

    assert np.argwhere(gradient).tolist() == [[1, 1]]


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(
    "region",
    [(-1, 0, 0, 3, 3), (1, 0, 0, 3, 3), (np.nan, 0, 0, 3, 3), (0, 50, 50, 60, 60), (0, -60, -60, -50, -50)],
)
def test_regions_without_elements_are_zero(name, region, kernels):
    """Of no image, or beyond it: no memory is read, nothing gets a gradient, even where data are negative."""
    output, gradient = pooled(kernels, name, [region], (2, 2), image=-np.ones((4, 5)))

    assert not output.any()
    assert not gradient.any()


def test_parts_of_a_region_beyond_the_image_are_zero(kernels):
    """Negative data do not lose against what is not there."""
    output, _ = pooled(kernels, "ROIPooling", [(0, 3, 0, 6, 3)], (1, 2), image=-np.ones((4, 5)))

    assert output[0].tolist() == [[-1, 0]]


def test_no_regions(kernels):
    """The output is empty, the gradient zero."""
    for name in BOTH:
        output, gradient = pooled(kernels, name, np.empty((0, 5)), (2, 2))
        assert output.shape == (0, 2, 2)
        assert not gradient.any()


def test_align_of_a_plane_is_exact(kernels):
    """The mean of samples between elements of a linear image is its value in the bin's middle."""
    output, gradient = pooled(
        kernels, "_contrib_ROIAlign", [(0, 0.3, 0.2, 3.3, 2.2)], (1, 2), sample_ratio=2, aligned=False
    )

    assert output[0, 0].tolist() == pytest.approx([5 * 1.2 + 1.05, 5 * 1.2 + 2.55])
    assert gradient.sum() == pytest.approx(2)


def test_align_moves_by_half_an_element(kernels):
    """Aligned, the region of an element from edge to edge has its middle."""
    output, _ = pooled(kernels, "_contrib_ROIAlign", [(0, 2, 1, 3, 2)], (1, 1), aligned=True)

    assert output.ravel().tolist() == [7]


@pytest.mark.parametrize("region", [(0, 3, 3, 1, 1), (0, 2, 2, 2, 2)])
def test_align_of_a_region_without_size(region, kernels):
    """Aligned, there is nothing to sample; otherwise it is one element large."""
    for aligned in (True, False):
        output, _ = pooled(kernels, "_contrib_ROIAlign", [region], (1, 1), aligned=aligned)
        assert np.isfinite(output).all()
        assert output.any() == (not aligned)


def test_each_bin_has_its_own_channels(kernels):
    """Position sensitive: bin (i, j) of output channel c reads channel (c * h + i) * w + j."""
    op = find("_contrib_ROIAlign")(pooled_size=(2, 3), spatial_scale=1.0, position_sensitive=True)
    run = kernels(op, {"data": (1, 12, 4, 4), "rois": (1, 5)})
    run.set("data", np.arange(12.0).reshape(12, 1, 1))
    run.set("rois", [0, 0, 0, 3, 3])

    assert run.forward()["output"].ravel().tolist() == pytest.approx(list(range(12)))


@pytest.mark.parametrize("name", BOTH)
def test_what_is_refused(name):
    """Sizes, scales and shapes that make no sense, with what does."""
    for scale in (-0.1, 1.5):
        with pytest.raises(BadValue, match="spatial_scale"):
            find(name)(pooled_size=(2, 2), spatial_scale=scale)

    def inferred(size=(2, 2), data=(1, 2, 6, 6), rois=(3, 5), **attributes):
        op = find(name)(pooled_size=size, spatial_scale=1, **attributes)
        shapes = Shapes({"data": data, "rois": rois, "output": None})
        op.shape(shapes)
        return shapes["output"]

    assert inferred() == (3, 2, 2, 2)
    for wrong, message in (
        ({"size": (2,)}, "pooled_size has 1 numbers, but a height and a width"),
        ({"rois": (3, 4)}, "rois is 3x4, but image, left, top, right and bottom"),
        ({"data": (2, 6, 6)}, "data is 2x6x6, but images are needed"),
    ):
        with pytest.raises(ShapeError, match=message):
            inferred(**wrong)


def test_channels_that_cannot_be_shared_out():
    """Position sensitive pooling needs as many channels as bins, or a multiple."""
    op = find("_contrib_ROIAlign")(pooled_size=(2, 2), spatial_scale=1, position_sensitive=True)

    with pytest.raises(ShapeError, match="data has 6 channels, which cannot be shared out to 4 bins"):
        op.shape(Shapes({"data": (1, 6, 4, 4), "rois": (1, 5), "output": None}))

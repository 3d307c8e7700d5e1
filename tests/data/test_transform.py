"""Caffe's transformation of images against loops written from its definition."""

import numpy as np
import pytest

from netdef.data.transform import Transformer
from netdef.spec.layers.data import TransformationParameter

RAW = np.random.default_rng(1).integers(0, 256, (6, 3, 5, 7), dtype=np.uint8)


def transformed(shape, train=False, random=None, **fields):
    """What the transformer writes for RAW."""
    target = np.full((6, 3, *shape), np.nan, np.float32)
    Transformer(TransformationParameter(**fields), train).write(RAW, target, random)
    return target


def test_scale_and_mean():
    """(x - mean of the channel) * scale."""
    expected = (RAW - np.array([1.0, 2.0, 3.0])[:, None, None]) * 0.5

    np.testing.assert_allclose(transformed((5, 7), scale=0.5, mean_value=[1, 2, 3]), expected, rtol=1e-6)
    np.testing.assert_allclose(transformed((5, 7), mean_value=[10]), RAW - 10.0)


def test_the_centre_is_cut_in_the_test_phase():
    """With 5x7 images and crop_size 3 the cut starts at (1, 2); nothing is mirrored."""
    np.testing.assert_array_equal(transformed((3, 3), crop_size=3, mirror=True), RAW[:, :, 1:4, 2:5])


def test_random_cuts_and_mirrors_in_training():
    """Every sample is some cut of the image, mirrored or not, and both happen."""
    result = transformed((4, 4), True, np.random.default_rng(3), crop_size=4, mirror=True)
    seen = set()
    for image, raw in zip(result, RAW):
        cuts = {
            (top, left, flip): raw[:, top : top + 4, left : left + 4][..., :: -1 if flip else 1]
            for top in range(2)
            for left in range(4)
            for flip in (False, True)
        }
        found = [key for key, cut in cuts.items() if np.array_equal(cut, image)]
        assert found
        seen.add(found[0][2])

    assert seen == {False, True}


@pytest.mark.parametrize(
    ("fields", "draws"), [({}, False), ({"mirror": True}, True), ({"crop_size": 3}, True)]
)
def test_random_numbers_are_drawn_only_where_needed(fields, draws):
    """A plain transformation needs no generator, and the TEST phase never does."""
    parameter = TransformationParameter(**fields)

    assert Transformer(parameter, train=True).draws is draws
    assert Transformer(parameter, train=False).draws is False


class Counting:
    """A generator that counts its calls."""

    def __init__(self):
        self.calls, self.random = 0, np.random.default_rng(5)

    def integers(self, *arguments, **options):
        self.calls += 1
        return self.random.integers(*arguments, **options)


def test_a_batch_is_drawn_in_three_calls():
    """Rows, columns and flips of all samples, however many there are."""
    random = Counting()
    transformed((4, 4), True, random, crop_size=4, mirror=True)

    assert random.calls == 3


def test_cuts_spread_over_the_whole_image():
    """Every place where a 4x4 cut fits into 5x7 is as likely as another, flipped or not."""
    raw = np.arange(35, dtype=np.float32).reshape(1, 1, 5, 7).repeat(4000, axis=0)
    target = np.empty((4000, 1, 4, 4), np.float32)
    parameter = TransformationParameter(crop_size=4, mirror=True)
    Transformer(parameter, train=True).write(raw, target, np.random.default_rng(2))
    corners, counts = np.unique(target[:, 0, 0, [0, 3]], axis=0, return_counts=True)

    assert len(corners) == 2 * 4 * 2
    assert counts.min() > 180  # 250 are expected, with a standard deviation of 15


def test_the_mean_follows_the_type_of_the_batch():
    """One transformer writes float32 and float64 batches, images and vectors of features."""
    mean = [0.1, 0.2, 0.3]
    transformer = Transformer(TransformationParameter(mean_value=mean), train=False)
    for dtype in (np.float32, np.float64, np.float32):
        target = np.empty((6, 3, 5, 7), dtype)
        transformer.write(RAW, target, None)
        np.testing.assert_array_equal(target, RAW.astype(dtype) - np.array(mean, dtype)[:, None, None])
    vectors = np.empty((6, 3), np.float32)
    transformer.write(RAW[:, :, 0, 0], vectors, None)
    np.testing.assert_array_equal(vectors, RAW[:, :, 0, 0] - np.array(mean, np.float32))

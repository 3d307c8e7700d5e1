"""The matrices of minimal filtering, against sums written out."""

import numpy as np
import pytest

from netdef.ops.toomcook import FINITE, matrices, transforms


@pytest.mark.parametrize("points", range(3, len(FINITE) + 2))
def test_an_axis(points):
    """A tile of the output is the correlation of a tile of the data with the filter."""
    random = np.random.default_rng(points)
    tile = random.standard_normal(points)
    for kernel in range(1, points + 1):
        data, weight, output = map(np.array, matrices(kernel, points))
        taps = random.standard_normal(kernel)
        found = output @ ((weight @ taps) * (data @ tile))
        right = [tile[start : start + kernel] @ taps for start in range(points + 1 - kernel)]
        np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-12)


def test_two_axes_and_their_adjoints():
    """Several axes at once on flattened tiles; the gradients follow from the same matrices."""
    random = np.random.default_rng(5)
    change = transforms(np, (3, 5), 7, "float64")
    tile, taps = random.standard_normal((7, 7)), random.standard_normal((3, 5))
    head = random.standard_normal((5, 3))
    seen = np.lib.stride_tricks.sliding_window_view(tile, (3, 5))
    at_points = change.data @ tile.ravel()
    found = change.output @ ((change.weight @ taps.ravel()) * at_points)
    np.testing.assert_allclose(found, np.einsum("xyuv,uv->xy", seen, taps).ravel(), rtol=1e-10, atol=1e-10)
    dweight = change.weight.T @ ((change.heads @ head.ravel()) * at_points)
    np.testing.assert_allclose(dweight, np.einsum("xyuv,xy->uv", seen, head).ravel(), rtol=1e-10, atol=1e-10)
    turned = change.turned @ taps[::-1, ::-1].ravel()
    np.testing.assert_allclose(turned, change.weight @ taps.ravel())

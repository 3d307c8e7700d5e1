"""Products with few rows are the products of numpy, whatever parts they are made in."""

import numpy as np
import pytest

from netdef.ops import few_rows

#: rows, inner, columns, which factor is turned, and the rows of a part
CASES = [
    (64, 784, 128, "right", 8),
    (60, 784, 128, "right", 4),
    (36, 2048, 100, "right", 4),
    (64, 256, 192, "right", 4),
    (64, 256, 320, "right", 0),
    (16, 784, 128, "right", 0),
    (512, 784, 128, "right", 0),
    (63, 784, 128, "right", 0),
    (64, 100, 128, "right", 0),
    (64, 784, 60, "right", 0),
    (64, 784, 500, "right", 0),
    (64, 256, 320, "none", 8),
    (60, 256, 320, "none", 0),
    (64, 256, 100, "none", 0),
    (64, 784, 128, "left", 0),
    (1, 784, 128, "right", 0),
]


@pytest.mark.parametrize(("rows", "inner", "columns", "which", "expected"), CASES)
@pytest.mark.parametrize("whole", [False, True])
def test_parts_are_the_product(rows, inner, columns, which, expected, whole):
    """Also where the factors and the product are parts of larger arrays."""
    random = np.random.default_rng(3)
    more = 0 if whole else 3
    left = random.standard_normal((rows + more, inner + more))[:rows, :inner]
    right = random.standard_normal((inner + more, columns + more))[:inner, :columns]
    left = np.asfortranarray(left) if which == "left" else left
    right = np.asfortranarray(right) if which == "right" else right
    out = np.full((rows, columns + more), np.nan)
    few_rows.multiply(np, left, right, out[:, :columns])
    np.testing.assert_allclose(out[:, :columns], np.einsum("mk,kn->mn", left, right), rtol=0, atol=1e-11)
    assert np.isnan(out[:, columns:]).all()
    assert few_rows._rows(left, right) == expected

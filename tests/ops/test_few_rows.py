"""Products with few rows are the products of numpy, whatever parts they are made in."""

import numpy as np
import pytest

from netdef.ops import few_rows

#: rows, inner, columns, whether the first factor is turned, and the rows of a part
CASES = [
    (64, 784, 128, False, 8),
    (60, 784, 128, False, 6),
    (12, 2048, 100, False, 4),
    (8, 784, 128, False, 0),
    (62, 784, 128, False, 0),
    (64, 100, 80, False, 0),
    (64, 784, 500, False, 0),
    (64, 784, 128, True, 8),
    (60, 784, 128, True, 0),
    (64, 100, 128, True, 0),
    (1, 784, 128, False, 0),
]


@pytest.mark.parametrize(("rows", "inner", "columns", "turned", "expected"), CASES)
@pytest.mark.parametrize("whole", [False, True])
def test_parts_are_the_product(rows, inner, columns, turned, expected, whole):
    """Also where the factors and the product are parts of larger arrays."""
    random = np.random.default_rng(3)
    more = 0 if whole else 3
    shape = (inner, rows + more) if turned else (rows, inner + more)
    left = random.standard_normal(shape)
    left = left[:, :rows].T if turned else left[:, :inner]
    right = random.standard_normal((columns, inner)).T
    out = np.full((rows, columns + more), np.nan)
    few_rows.multiply(np, left, right, out[:, :columns])
    np.testing.assert_allclose(out[:, :columns], np.einsum("mk,kn->mn", left, right), rtol=0, atol=1e-11)
    assert np.isnan(out[:, columns:]).all()
    assert few_rows._rows(left, right) == expected

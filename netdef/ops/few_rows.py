"""Products of matrices with few rows.

OpenBLAS copies the second factor of a product in the order in which it multiplies, which takes longer than to
multiply where each number of it is used by few rows.  It leaves that out where a product is small.
"""

from __future__ import annotations

from typing import Any

from netdef.ops import conv_cost
from netdef.ops.arrays import largest_part

#: rows of a part at least and at most: with fewer each number of the second factor is used too seldom
LEAST, MOST = 4, 8
#: numbers of the second factor at least: to copy fewer takes less time than more calls do
FACTOR = 8 * 1024
#: the same where the first factor is turned
TURNED = 32 * 1024


def multiply(xp: Any, left: Any, right: Any, out: Any) -> None:
    """out = left . right, for matrices (M, K), (K, N) and (M, N): some rows at a time where that is quicker.

    With 32 to 256 rows of 784 numbers and 128 columns it takes 0.52 to 0.87 of the time.
    """
    few = _rows(left, right) if xp.__name__ == "numpy" else 0
    if few:
        left, out = (matrix.reshape(-1, few, matrix.shape[1]) for matrix in (left, out))
    xp.matmul(left, right, out=out)


def _rows(left: Any, right: Any) -> int:
    """Rows of a part whose product OpenBLAS makes without copying; 0: all are multiplied at once."""
    count, most = len(left), min(MOST, int(conv_cost.SMALL) // max(1, right.size))
    turned = left.strides[1] != left.itemsize
    if right.size < (TURNED if turned else FACTOR) or count <= most:
        return 0
    few = largest_part(count, most)
    return few if few >= (MOST if turned else LEAST) else 0

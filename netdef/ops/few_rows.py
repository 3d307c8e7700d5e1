"""Products of matrices with few rows.

OpenBLAS copies the second factor of a product in the order in which it multiplies, which takes longer than to
multiply where each number of it is used by few rows.  It leaves that out where a product is small.
"""

from __future__ import annotations

from typing import Any

from netdef.ops import conv_cost

#: rows at least and at most: more of them make up for the copy
LEAST, MOST = 32, 256
#: rows of a part, the second where the second factor is turned: with fewer each number of that is used too
#: seldom, and odd ones take longer
PARTS = (8, 4)
#: numbers that are added up for each of the product at least: fewer are copied in hardly any time
INNER = 128
#: columns at least, and those of a second factor that is turned
COLUMNS, TURNED = 128, 64
#: numbers in the largest product of a part by a turned factor: OpenBLAS copies that for more of them
PRODUCT = 1024


def multiply(xp: Any, left: Any, right: Any, out: Any) -> None:
    """out = left . right, for matrices (M, K), (K, N) and (M, N): some rows at a time where that is quicker.

    64 rows take about 0.75 of the time then where the second factor is turned, and 0.9 where it is not.
    """
    few = _rows(left, right) if xp.__name__ == "numpy" else 0
    if few:
        left, out = in_parts(left, few), in_parts(out, few)
    xp.matmul(left, right, out=out)


def in_parts(matrix: Any, rows: int) -> Any:
    """A matrix as several of so many rows each, which takes no copy."""
    return matrix.reshape(-1, rows, matrix.shape[1])


def _rows(left: Any, right: Any) -> int:
    """Rows of a part whose product OpenBLAS makes without copying; 0: all are multiplied at once."""
    count, (inner, columns) = len(left), right.shape
    turned = right.strides[1] != right.itemsize
    if not LEAST <= count <= MOST or inner < INNER or columns < (TURNED if turned else COLUMNS):
        return 0
    if left.strides[1] != left.itemsize:
        return 0
    for rows in PARTS if turned else PARTS[:1]:
        small = rows * right.size <= conv_cost.SMALL and not (turned and rows * columns > PRODUCT)
        if small and count % rows == 0:
            return rows
    return 0

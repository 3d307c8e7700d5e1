"""What the steps of a convolution cost, in nanoseconds: the figures that algorithms are compared by.

Measured with numpy 2.4 and OpenBLAS 0.3.31 on one core with AVX-512.  Only their ratios matter, and no
machine measures them anew: the same net gets the same algorithms everywhere.
"""

from __future__ import annotations

#: arithmetic operations per nanosecond in a large product of matrices
RATE = 95.0
#: for each call of numpy in a loop
CALL = 2000.0
#: for each element: a copy with long rows; one that turns the batch from the first axis to the last or back
COPY, TURN, TURN_BACK = 0.13, 0.7, 0.55
#: likewise: a copy that is read again at once; reading and writing what is in no cache
REUSE, FETCH = 0.17, 0.25
#: likewise: adding to an array, with rows of a hundred elements and with whole arrays
SCATTER, ADD = 0.45, 0.15
#: how much longer than their size tells products take whose factors have a few dozen rows
FEW_ROWS = 1.2
#: likewise: of matrices whose rows lie apart and overlap those of the next
OVERLAP = 1.06


def product(count: float, rows: float, columns: float, inner: float) -> float:
    """`count` products of matrices (rows, inner) and (inner, columns); thin ones are slow."""
    thin = 1 + 6 / rows + 6 / columns + 10 / inner
    return count * (200 + 2 * rows * columns * inner * thin / RATE)


def turn(batch: int) -> float:
    """For each element: a copy that puts the batch last; of one image it is a plain copy."""
    return TURN if batch > 1 else COPY


def turn_back(batch: int) -> float:
    """For each element: the copy the other way."""
    return TURN_BACK if batch > 1 else COPY

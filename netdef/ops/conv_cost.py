"""What the steps of a convolution cost, in nanoseconds: the figures that algorithms are compared by.

Measured with numpy 2.4 and OpenBLAS 0.3.31 on one core with AVX-512 and 2 MB of second-level cache, for
arrays with the batch last.  Only their ratios matter, and no machine measures them anew: the same net gets
the same algorithms everywhere.
"""

from __future__ import annotations

import math

from netdef.ops.conv_blocks import Bands
from netdef.ops.conv_sizes import Sizes

#: arithmetic operations per nanosecond in a large product of matrices
RATE = 154.0
#: multiplications of the largest product that OpenBLAS makes without packing its factors
SMALL = 1e6
#: numbers that one instruction multiplies: products of fewer columns take as long
WIDTH = 16
#: for each small product with another weight than the one before, as groups have
OTHER_WEIGHT = 300.0
#: for each call of numpy; views are made in the first pass alone (`runtime.replay`)
CALL = 700.0
#: for each element of a copy in cache and of one beyond, and for each row that lies in one piece
COPY, FETCH, ROW = 0.10, 0.25, 5.0
#: for each element beyond the cache that is multiplied as it comes, where that takes longer than to multiply
STREAM = 0.42
#: for each element of columns that a product reads once more than it would otherwise
AGAIN = 0.05
#: for each element that is added to an array, and for each row that lies in one piece
ADD, ADD_ROW = 0.15, 12.0
#: for each element that is multiplied by a number or added, with rows of a hundred elements
TAP = 0.45
#: elements that lie apart are copied one by one, those of a weight that is turned as well
APART, TURN = 0.7, 1.2


def product(count: float, rows: float, columns: float, inner: float) -> float:
    """`count` products of matrices (rows, inner) and (inner, columns); thin ones are slow."""
    thin = 1 + 19 / rows + 19 / columns + 16 / inner
    return count * (200 + 2 * rows * columns * inner * thin / RATE)


def small(count: float, rows: float, columns: float, inner: float) -> float:
    """Products of matrices that lie in one piece each; OpenBLAS does not pack them where they are small.

    It takes two registers of columns at a time: what is left over at the end is slower, and few columns are
    nothing else.
    """
    work = rows * columns * inner
    if work > SMALL:
        return product(count, rows, columns, inner)
    loss = 1.3 * -(-columns // WIDTH) * WIDTH / columns
    if columns % (2 * WIDTH):
        loss = max(loss, 1.5 if columns > 2 * WIDTH else 1.8)
    return count * (100 + 2 * work * loss * (1 + 2 / rows + 6 / inner) / RATE)


def products(sizes: Sizes, count: int, order: str) -> float:
    """The products of all groups in `count` blocks.

    `order` says what their rows, columns and inner elements are, in the letters `w` for the windows of a
    block, `f` for filters and `i` for inner.
    """
    numbers = {
        "w": sizes.batch * math.prod(sizes.counts) / count,
        "f": sizes.filters / sizes.groups,
        "i": sizes.inner,
    }
    return count * CALL * 6 + product(count * sizes.groups, *(numbers[key] for key in order))


def run(sizes: Sizes) -> int:
    """Neighbouring elements of a row of the output that are neighbours in an image, too."""
    last = sizes.axes[-1]
    return sizes.batch * (last.windows if last.stride == 1 else 1)


def copied(elements: float, row: float) -> float:
    """A copy of rows that are as long."""
    return elements * (APART if row == 1 else COPY + ROW / row)


def added(elements: float, row: float) -> float:
    """Rows that are as long are added to others."""
    return elements * (APART if row == 1 else ADD + ADD_ROW / row)


def columns(sizes: Sizes) -> float:
    """The copy of all columns, where the data are not the columns."""
    if sizes.pointwise:
        return 0
    elements = sizes.batch * math.prod(sizes.counts) * sizes.channels * sizes.taps
    return copied(elements, run(sizes)) + elements * AGAIN


def band(sizes: Sizes, bands: Bands) -> float:
    """The copies of bands: none without padding."""
    whole = sizes.batch * math.prod(sizes.padded)
    padded = any(axis.extent > axis.size for axis in sizes.axes)
    return padded * bands.copied * whole * FETCH

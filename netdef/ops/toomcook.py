"""Minimal filtering along an axis: a tile of outputs of a filter from as few products as it has inputs.

The data and the filter are seen as polynomials, which are multiplied at points (Toom 1963, Cook 1966; fewer
products cannot do: Winograd 1980): a tile of m outputs of a filter of r elements takes m + r - 1 of them,
F(m, r).  The points are the first of `FINITE`, and infinity.  Over several axes the transform of a tile is
one product with the Kronecker product of the transforms along each (Lavin and Gray 2015).
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from netdef.ops.shapes import Full

#: where polynomials are multiplied, beside infinity; numbers near 1 lose the fewest digits
FINITE = (0, 1, -1, 2, -2, 0.5, -0.5)


class Transforms(NamedTuple):
    """The matrices of one kernel shape, for flattened tiles: `P` points, `k` taps, `m` outputs."""

    #: (P, P): a tile of the data to points
    data: Any
    #: (P, k): a filter to points
    weight: Any
    #: (P, k): a filter the other way round to points
    turned: Any
    #: (m, P): points to a tile of the output
    output: Any
    #: (P, m): a tile of the output's gradient to points
    heads: Any


def _polynomial(roots: Sequence[float]) -> list[float]:
    """The coefficients of the product of all (x - root), the constant one first."""
    factors = [1.0]
    for root in roots:
        factors = [high - root * low for high, low in zip([0.0, *factors], [*factors, 0.0])]
    return factors


def matrices(kernel: int, points: int) -> tuple[list[list[float]], list[list[float]], list[list[float]]]:
    """The transforms along one axis: data (P, P), filter (P, kernel) and back (P + 1 - kernel, P).

    >>> matrices(3, 6)[0][0]
    [4.0, 0.0, -5.0, 0.0, 1.0, 0.0]
    >>> matrices(5, 6)[2]
    [[1.0, 1.0, 1.0, 1.0, 1.0, 0.0], [0.0, 1.0, -1.0, 2.0, -2.0, 1.0]]
    """
    data: list[list[float]] = []
    weight: list[list[float]] = []
    finite = FINITE[: points - 1]
    for point in finite:
        others = [other for other in finite if other != point]
        data.append([*_polynomial(others), 0.0])
        scale = math.prod(point - other for other in others)
        weight.append([point**power / scale for power in range(kernel)])
    data.append(_polynomial(finite))
    weight.append([0.0] * (kernel - 1) + [1.0])
    count = points + 1 - kernel
    output = [
        [float(point**power) for point in finite] + [float(power == count - 1)] for power in range(count)
    ]
    return data, weight, output


def transforms(xp: Any, kernel: Full, points: int, dtype: str) -> Transforms:
    """The transforms over all axes, each with so many points, as arrays that every caller shares."""
    return _transforms(xp.__name__, kernel, points, dtype)


@functools.cache
def _transforms(module: str, kernel: Full, points: int, dtype: str) -> Transforms:
    xp: Any = importlib.import_module(module)
    whole = [xp.ones((1, 1), "float64")] * 3
    for size in kernel:
        whole = [xp.kron(left, xp.asarray(right)) for left, right in zip(whole, matrices(size, points))]
    data, weight, output = (xp.ascontiguousarray(array, dtype) for array in whole)
    turned, heads = xp.ascontiguousarray(weight[:, ::-1]), xp.ascontiguousarray(output.T)
    made = Transforms(data, weight, turned, output, heads)
    if module == "numpy":  # CuPy's arrays are always writeable
        for array in made:
            array.setflags(write=False)
    return made

"""What kernels need for triangular matrices and diagonals, for batches of matrices and without allocating."""

from __future__ import annotations

from typing import Any

from netdef.ops.arrays import count_up
from netdef.ops.base import Workspace
from netdef.ops.matrix import swapped


def mask_spaces(size: int) -> dict[str, Workspace]:
    """The workspaces `numbers` and `mask` of `clear_outside`."""
    return {"numbers": Workspace((size,), "int64"), "mask": Workspace((size, size), "bool")}


def clear_outside(xp: Any, matrix: Any, lower: bool, numbers: Any, mask: Any) -> None:
    """Write zeros outside the lower or upper triangle; the diagonal is part of it."""
    count_up(xp, numbers)
    outside = xp.less if lower else xp.greater
    outside(numbers[:, None], numbers, out=mask)
    xp.copyto(matrix, 0, where=mask)


def diagonal(xp: Any, matrix: Any, offset: int = 0) -> Any:
    """A writable view (..., n) of the diagonal `offset` places above the main one."""
    return xp.einsum("...ii->...i", beside(matrix, offset))


def beside(matrix: Any, offset: int) -> Any:
    """A view of the square whose main diagonal is the one `offset` places above that of a square matrix."""
    size = matrix.shape[-1] - abs(offset)
    row, column = max(0, -offset), max(0, offset)
    return matrix[..., row : row + size, column : column + size]


def mirror(xp: Any, matrix: Any, output: Any, numbers: Any, mask: Any) -> None:
    """Write the symmetric matrix that has the lower triangle of `matrix`, whose upper one is lost."""
    clear_outside(xp, matrix, True, numbers, mask)
    xp.add(matrix, swapped(matrix), out=output)
    middle = diagonal(xp, output)
    xp.multiply(middle, 0.5, out=middle)


def solve(xp: Any, triangle: Any, right: Any, lower: bool, work: Any) -> None:
    """Replace `right` (..., n, m) by the solution X of triangle . X = right; `work` is as large.

    The other triangle is not read.  Halves are solved one after the other, so that nearly all work is done
    by matrix products.
    """
    size = triangle.shape[-1]
    if size == 1:
        xp.divide(right, triangle, out=right)
        return
    first, second = slice(size // 2), slice(size // 2, size)
    if not lower:
        first, second = second, first
    solve(xp, triangle[..., first, first], right[..., first, :], lower, work[..., first, :])
    rest, product = right[..., second, :], work[..., second, :]
    xp.matmul(triangle[..., second, first], right[..., first, :], out=product)
    xp.subtract(rest, product, out=rest)
    solve(xp, triangle[..., second, second], rest, lower, product)

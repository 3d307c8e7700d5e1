"""Diagonals and triangles of square matrices, as vectors and back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from netdef.ops.axes import batch, known_rank, unify
from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Bool, Int
from netdef.ops.shapes import ShapeError, Shapes, prod, show
from netdef.ops.triangular import beside, diagonal

SIZE = "the rows and columns of A"


def square(s: Shapes, *names: str) -> tuple[str, ...] | None:
    """Learn that these tensors are square matrices of one shape; gives the meanings of their batch axes."""
    rank = known_rank(s, *names)
    if rank is None:
        return None
    s.rank(next(name for name in names if s[name] is not None), 2, "a matrix")
    some = batch(rank - 2)
    unify(s, **dict.fromkeys(names, (*some, SIZE, SIZE)))
    return some


class LinalgSumLogDiag(Op):
    """The sum of the logarithms of the diagonal: A (B..., N, N) -> output (B...), or (1,) without a batch.

    MXNet's linalg_sumlogdiag; of a Cholesky factor it is half the logarithm of the determinant.
    """

    names = ("_linalg_sumlogdiag", "linalg_sumlogdiag")
    inputs = ("A",)
    scratch = ("logs",)
    examples = (({}, {"A": (4, 3, 3)}), ({}, {"A": (4, 2, 1, 1)}))

    def shape(self, s: Shapes) -> None:
        if square(s, "A") is not None:
            s.merge("output", (s["A"] or ())[:-2] or (1,))

    def flops(self, s: Shapes) -> int:
        return prod(s.full("A")[:-1]) or 0

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {} if backward else {"logs": Workspace(s.full("A")[:-1])}

    def forward(self, xp: Any, A: Any, output: Any, logs: Any) -> None:
        xp.log(diagonal(xp, A), out=logs)
        xp.sum(logs, axis=-1, out=output.reshape(A.shape[:-2]))

    def backward(self, xp: Any, doutput: Any, A: Any, dA: Any) -> None:
        dA.fill(0)
        head = doutput.reshape((*A.shape[:-2], 1))
        xp.divide(head, diagonal(xp, A), out=diagonal(xp, dA))


class _Packed(Op, abstract=True):
    """A part of a square matrix as a vector, or the other way round."""

    offset = Int(0, "which diagonal: 0 is the main one, positive ones lie above, negative ones below")

    inputs = ("A",)
    work = 0

    def length(self, size: int) -> int:
        """How long the vector is, for the square that starts beside the diagonal."""
        raise NotImplementedError

    def size(self, length: int) -> int | None:
        """How large that square is; None where a vector of this length belongs to none."""
        raise NotImplementedError

    def pack(self, xp: Any, matrix: Any, vector: Any) -> None:
        """Copy the part of the matrix into the vector."""
        raise NotImplementedError

    def unpack(self, xp: Any, vector: Any, matrix: Any) -> None:
        """Write the matrix that has the vector as its part and zeros elsewhere."""
        raise NotImplementedError


class _Extract(_Packed, abstract=True):
    """From matrix to vector."""

    def shape(self, s: Shapes) -> None:
        some = square(s, "A")
        if some is None:
            return
        shape = s["A"] or ()
        size = shape[-1]
        if size is not None and size <= abs(self.offset):
            raise ShapeError(
                f"A is {show(shape)}, which has no diagonal {self.offset}",
                tensor="A",
                attribute="offset",
                hint=f"from {1 - size} to {size - 1}",
            )
        s.merge("output", (*shape[:-2], None if size is None else self.length(size - abs(self.offset))))

    def forward(self, xp: Any, A: Any, output: Any) -> None:
        self.pack(xp, A, output)

    def backward(self, xp: Any, doutput: Any, dA: Any) -> None:
        self.unpack(xp, doutput, dA)


class _Make(_Packed, abstract=True):
    """From vector to matrix."""

    def shape(self, s: Shapes) -> None:
        vector = s.rank("A", 1, "a vector")
        if vector is None:
            return
        size = None if vector[-1] is None else self.size(vector[-1])
        if size is None and vector[-1] is not None:
            raise ShapeError(
                f"A is {show(vector)}, but {vector[-1]} numbers fill no triangle",
                tensor="A",
                hint="1, 3, 6, 10, ... numbers do",
            )
        whole = None if size is None else size + abs(self.offset)
        s.merge("output", (*vector[:-1], whole, whole))

    def forward(self, xp: Any, A: Any, output: Any) -> None:
        self.unpack(xp, A, output)

    def backward(self, xp: Any, doutput: Any, dA: Any) -> None:
        self.pack(xp, doutput, dA)


class _Diagonal(_Packed, abstract=True):
    """A diagonal."""

    def length(self, size: int) -> int:
        return size

    def size(self, length: int) -> int | None:
        return length

    def pack(self, xp: Any, matrix: Any, vector: Any) -> None:
        xp.copyto(vector, diagonal(xp, matrix, self.offset))

    def unpack(self, xp: Any, vector: Any, matrix: Any) -> None:
        matrix.fill(0)
        xp.copyto(diagonal(xp, matrix, self.offset), vector)


class _Triangle(_Packed, abstract=True):
    """A triangle up to a diagonal, row by row if it is a lower one, column by column if an upper one."""

    lower = Bool(True, "of offset 0: the lower triangle, not the upper one")

    def length(self, size: int) -> int:
        return size * (size + 1) // 2

    def size(self, length: int) -> int | None:
        size = (math.isqrt(8 * length + 1) - 1) // 2
        return size if self.length(size) == length else None

    def _lines(self, matrix: Any, vector: Any) -> Iterator[tuple[Any, Any]]:
        """Each line of the triangle with its part of the vector."""
        lower = self.lower if self.offset == 0 else self.offset < 0
        part = beside(matrix, self.offset)
        start = 0
        for line in range(part.shape[-1]):
            stop = start + line + 1
            within = part[..., line, : line + 1] if lower else part[..., : line + 1, line]
            yield within, vector[..., start:stop]
            start = stop

    def pack(self, xp: Any, matrix: Any, vector: Any) -> None:
        for within, piece in self._lines(matrix, vector):
            xp.copyto(piece, within)

    def unpack(self, xp: Any, vector: Any, matrix: Any) -> None:
        matrix.fill(0)
        for within, piece in self._lines(matrix, vector):
            xp.copyto(within, piece)


class LinalgExtractDiag(_Diagonal, _Extract):
    """A diagonal as a vector: A (B..., N, N) -> output (B..., N - |offset|).  MXNet's linalg_extractdiag."""

    names = ("_linalg_extractdiag", "linalg_extractdiag")
    examples = (
        ({}, {"A": (4, 3, 3)}),
        ({"offset": 1}, {"A": (4, 2, 3, 3)}),
        ({"offset": -2}, {"A": (4, 3, 3)}),
    )


class LinalgMakeDiag(_Diagonal, _Make):
    """A matrix with a diagonal and zeros: A (B..., N) -> output (B..., S, S) with S = N + |offset|.

    MXNet's linalg_makediag.
    """

    names = ("_linalg_makediag", "linalg_makediag")
    examples = (
        ({}, {"A": (4, 3)}),
        ({"offset": 1}, {"A": (4, 2, 3)}),
        ({"offset": -2}, {"A": (4, 2)}),
    )


class LinalgExtractTrian(_Triangle, _Extract):
    """A triangle as a vector: A (B..., N, N) -> output (B..., S (S + 1) / 2) with S = N - |offset|.

    The triangle ends at the diagonal `offset`, away from the main one.  A lower one is read row by row, an
    upper one column by column.  MXNet's linalg_extracttrian.
    """

    names = ("_linalg_extracttrian", "linalg_extracttrian")
    examples = (
        ({}, {"A": (4, 3, 3)}),
        ({"lower": False}, {"A": (4, 2, 3, 3)}),
        ({"offset": 1}, {"A": (4, 5, 5)}),
        ({"offset": -2, "lower": False}, {"A": (4, 5, 5)}),
    )


class LinalgMakeTrian(_Triangle, _Make):
    """A matrix with a triangle and zeros: A (B..., S (S + 1) / 2) -> output (B..., N, N), N = S + |offset|.

    The triangle ends at the diagonal `offset`, away from the main one.  A lower one is written row by row, an
    upper one column by column.  MXNet's linalg_maketrian.
    """

    names = ("_linalg_maketrian", "linalg_maketrian")
    examples = (
        ({}, {"A": (4, 6)}),
        ({"lower": False}, {"A": (4, 2, 6)}),
        ({"offset": 1}, {"A": (4, 10)}),
        ({"offset": -2, "lower": False}, {"A": (4, 1)}),
    )

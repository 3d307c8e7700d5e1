"""Products and solutions of MXNet's linalg family: gemm, gemm2, syrk, trmm, trsm, for batches of matrices."""

from __future__ import annotations

from typing import Any, ClassVar

from netdef.ops.axes import batch, known_rank, unify
from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Bool, Float, Int
from netdef.ops.matrix import COLUMNS, INNER, ROWS, product_gradients, swapped
from netdef.ops.shapes import ShapeError, Shapes, prod, show
from netdef.ops.triangular import clear_outside, mask_spaces, solve

ALPHA_HELP = "factor of the product"


class _Gemm(Op, abstract=True):
    """A product of A and B, with the rows of the matrices along any axis but the last."""

    transpose_a = Bool(False, "transpose A first")
    transpose_b = Bool(False, "transpose B first")
    alpha = Float(1.0, ALPHA_HELP)

    #: the axis of the rows; a field, which the derived classes declare behind their own
    axis: Any
    matrices: ClassVar[tuple[str, ...]] = ()

    def shape(self, s: Shapes) -> None:
        rank = known_rank(s, *self.matrices)
        if rank is None:
            return
        axis = self.axis + rank if self.axis < 0 else self.axis
        if not 0 <= axis < rank - 1:
            some = next(name for name in self.matrices if s[name] is not None)
            raise ShapeError(
                f"axis {self.axis} cannot be that of the rows of {some} {show(s[some])}: "
                "the columns lie along the last axis",
                tensor=some,
                attribute="axis",
                hint=f"from 0 to {rank - 2}" if rank > 1 else "give matrices",
            )
        some_batch = batch(rank - 2)

        def laid_out(rows: str, columns: str, transposed: bool = False) -> tuple[str, ...]:
            if transposed:
                rows, columns = columns, rows
            return (*some_batch[:axis], rows, *some_batch[axis:], columns)

        product = laid_out(ROWS, COLUMNS)
        given = {
            "A": laid_out(ROWS, INNER, self.transpose_a),
            "B": laid_out(INNER, COLUMNS, self.transpose_b),
            **dict.fromkeys(self.matrices[2:], product),
        }
        unify(s, **given)

    def macs(self, s: Shapes) -> int:
        inner = s.full("A")[self.axis if self.transpose_a else -1]
        return (prod(s.full("output")) or 0) * inner

    def _matrices(self, *arrays: Any) -> list[Any]:
        """Views with the rows along the last axis but one; None stays None."""
        return [None if array is None else array.swapaxes(self.axis, -2) for array in arrays]

    def _product(self, xp: Any, A: Any, B: Any, output: Any) -> None:
        left, right, out = self._matrices(A, B, output)
        xp.matmul(swapped(left, self.transpose_a), swapped(right, self.transpose_b), out=out)
        if self.alpha != 1:
            xp.multiply(output, self.alpha, out=output)

    def _gradients(self, xp: Any, doutput: Any, A: Any, B: Any, dA: Any, dB: Any) -> None:
        left, right, head, dleft, dright = self._matrices(A, B, doutput, dA, dB)
        product_gradients(xp, left, right, (self.transpose_a, self.transpose_b), head, dleft, dright)
        for gradient in (dA, dB):
            if gradient is not None and self.alpha != 1:
                xp.multiply(gradient, self.alpha, out=gradient)


class LinalgGemm(_Gemm):
    """alpha * op(A) . op(B) + beta * C: A (B..., M, K), B (B..., K, N), C (B..., M, N) -> output as C.

    op transposes where the attributes say so.  MXNet's linalg_gemm.
    """

    beta = Float(1.0, "factor of C")
    axis = Int(-2, "the axis of the rows; the last axis is that of the columns")

    names = ("_linalg_gemm", "linalg_gemm")
    inputs = ("A", "B", "C")
    matrices = ("A", "B", "C", "output")
    scratch = ("work",)
    examples = (
        ({}, {"A": (4, 2, 3), "B": (4, 3, 5), "C": (4, 2, 5)}),
        (
            {"transpose_a": True, "transpose_b": True, "alpha": 2.0, "beta": -0.5},
            {"A": (4, 3, 2), "B": (4, 5, 3), "C": (4, 2, 5)},
        ),
        ({"axis": 1}, {"A": (4, 2, 1, 3), "B": (4, 3, 1, 5), "C": (4, 2, 1, 5)}),
    )

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {} if backward or self.beta == 1 else {"work": Workspace(s.full("output"))}

    def forward(self, xp: Any, A: Any, B: Any, C: Any, output: Any, work: Any) -> None:
        self._product(xp, A, B, output)
        if self.beta != 1:
            C = xp.multiply(C, self.beta, out=work)
        xp.add(output, C, out=output)

    def backward(self, xp: Any, doutput: Any, A: Any, B: Any, dA: Any, dB: Any, dC: Any) -> None:
        self._gradients(xp, doutput, A, B, dA, dB)
        if dC is not None:
            xp.multiply(doutput, self.beta, out=dC)


class LinalgGemm2(_Gemm):
    """alpha * op(A) . op(B): A (B..., M, K), B (B..., K, N) -> output (B..., M, N).

    op transposes where the attributes say so.  MXNet's linalg_gemm2.
    """

    axis = Int(-2, "the axis of the rows; the last axis is that of the columns")

    names = ("_linalg_gemm2", "linalg_gemm2")
    inputs = ("A", "B")
    matrices = ("A", "B", "output")
    examples = (
        ({}, {"A": (4, 2, 3), "B": (4, 3, 5)}),
        ({"transpose_a": True, "alpha": 0.5}, {"A": (4, 3, 2), "B": (4, 3, 5)}),
        ({"transpose_b": True, "axis": -3}, {"A": (2, 4, 3), "B": (5, 4, 3)}),
    )

    def forward(self, xp: Any, A: Any, B: Any, output: Any) -> None:
        self._product(xp, A, B, output)

    def backward(self, xp: Any, doutput: Any, A: Any, B: Any, dA: Any, dB: Any) -> None:
        self._gradients(xp, doutput, A, B, dA, dB)


class LinalgSyrk(Op):
    """alpha * A . A' or, with `transpose`, alpha * A' . A: A (B..., M, N) -> output (B..., M, M).

    MXNet's linalg_syrk.
    """

    transpose = Bool(False, "multiply A' . A instead")
    alpha = Float(1.0, ALPHA_HELP)

    names = ("_linalg_syrk", "linalg_syrk")
    inputs = ("A",)
    scratch = ("work",)
    examples = (
        ({}, {"A": (4, 2, 3)}),
        ({"transpose": True, "alpha": -2.0}, {"A": (4, 2, 3)}),
    )

    def shape(self, s: Shapes) -> None:
        rank = known_rank(s, "A", "output")
        if rank is None:
            return
        s.rank("A", 2, "a matrix")
        some = batch(rank - 2)
        kept = (ROWS, INNER) if not self.transpose else (INNER, ROWS)
        unify(s, A=(*some, *kept), output=(*some, ROWS, ROWS))

    def macs(self, s: Shapes) -> int:
        return (prod(s.full("output")) or 0) * s.full("A")[-2 if self.transpose else -1]

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"work": Workspace(s.full("output"))} if backward else {}

    def forward(self, xp: Any, A: Any, output: Any) -> None:
        left = swapped(A, self.transpose)
        xp.matmul(left, swapped(left), out=output)
        if self.alpha != 1:
            xp.multiply(output, self.alpha, out=output)

    def backward(self, xp: Any, doutput: Any, A: Any, dA: Any, work: Any) -> None:
        xp.add(doutput, swapped(doutput), out=work)
        xp.matmul(work, swapped(A, self.transpose), out=swapped(dA, self.transpose))
        if self.alpha != 1:
            xp.multiply(dA, self.alpha, out=dA)


class _Triangular(Op, abstract=True):
    """A triangular matrix A and another one, from the left or from the right.

    Only one triangle of A is read, and only that one has a gradient.
    """

    transpose = Bool(False, "transpose A first")
    rightside = Bool(False, "A stands to the right of B")
    lower = Bool(True, "A is a lower triangle, not an upper one")
    alpha = Float(1.0, "factor of the result")

    inputs = ("A", "B")
    examples = (
        ({}, {"A": (4, 3, 3), "B": (4, 3, 2)}),
        ({"rightside": True, "alpha": 2.0}, {"A": (4, 3, 3), "B": (4, 2, 3)}),
        ({"lower": False}, {"A": (4, 3, 3), "B": (4, 3, 1)}),
        ({"transpose": True}, {"A": (4, 2, 3, 3), "B": (4, 2, 3, 2)}),
        ({"transpose": True, "rightside": True, "lower": False}, {"A": (4, 5, 5), "B": (4, 2, 5)}),
        ({"transpose": True, "lower": False, "alpha": -1.0}, {"A": (4, 1, 1), "B": (4, 1, 2)}),
    )

    def shape(self, s: Shapes) -> None:
        s.same("B", "output")
        rank = known_rank(s, "A", "B")
        if rank is None:
            return
        for name in ("A", "B"):
            s.rank(name, 2, "a matrix")
        some = batch(rank - 2)
        size = "the rows and columns of A"
        kept = (ROWS, size) if self.rightside else (size, COLUMNS)
        unify(s, A=(*some, size, size), B=(*some, *kept), output=(*some, *kept))

    def macs(self, s: Shapes) -> int:
        return (prod(s.full("B")) or 0) * (s.full("A")[-1] + 1) // 2

    def _side(self, *arrays: Any) -> tuple[bool, list[Any]]:
        """Whether A is transposed, and views of the others, once A stands to the left."""
        turned = [None if array is None else swapped(array, self.rightside) for array in arrays]
        return self.transpose != self.rightside, turned


class LinalgTrmm(_Triangular):
    """alpha * op(A) . B or, with `rightside`, alpha * B . op(A): A (B..., N, N), B -> output, shaped as B.

    A is a triangle and B (B..., N, M), to the left of A (B..., M, N).  MXNet's linalg_trmm.
    """

    names = ("_linalg_trmm", "linalg_trmm")
    scratch = ("triangle", "numbers", "mask")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"triangle": Workspace(s.full("A")), **mask_spaces(s.full("A")[-1])}

    def forward(self, xp: Any, A: Any, B: Any, output: Any, triangle: Any, numbers: Any, mask: Any) -> None:
        transposed, (right, out) = self._side(B, output)
        xp.copyto(triangle, A)
        clear_outside(xp, triangle, self.lower, numbers, mask)
        xp.matmul(swapped(triangle, transposed), right, out=out)
        if self.alpha != 1:
            xp.multiply(output, self.alpha, out=output)

    def backward(
        self,
        xp: Any,
        doutput: Any,
        A: Any,
        B: Any,
        dA: Any,
        dB: Any,
        triangle: Any,
        numbers: Any,
        mask: Any,
    ) -> None:
        transposed, (head, right, dright) = self._side(doutput, B, dB)
        xp.copyto(triangle, A)
        clear_outside(xp, triangle, self.lower, numbers, mask)
        product_gradients(xp, triangle, right, (transposed, False), head, dA, dright)
        if dA is not None:
            clear_outside(xp, dA, self.lower, numbers, mask)
        for gradient in (dA, dB):
            if gradient is not None and self.alpha != 1:
                xp.multiply(gradient, self.alpha, out=gradient)


class LinalgTrsm(_Triangular):
    """X in op(A) . X = alpha * B or, with `rightside`, X . op(A) = alpha * B: A, B -> output, shaped as B.

    A (B..., N, N) is a triangle and B (B..., N, M), to the left of A (B..., M, N).  A zero on the diagonal
    gives infinite values and NaN.  MXNet's linalg_trsm.
    """

    names = ("_linalg_trsm", "linalg_trsm")
    scratch = ("solution", "work", "numbers", "mask")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        work = {"work": Workspace(s.full("B"))}
        if not backward:
            return work
        return {**work, "solution": Workspace(s.full("B")), **mask_spaces(s.full("A")[-1])}

    def forward(self, xp: Any, A: Any, B: Any, output: Any, work: Any) -> None:
        transposed, (out, turned) = self._side(output, work)
        xp.multiply(B, self.alpha, out=output)
        solve(xp, swapped(A, transposed), out, self.lower != transposed, turned)

    def backward(
        self,
        xp: Any,
        doutput: Any,
        A: Any,
        output: Any,
        dA: Any,
        dB: Any,
        solution: Any,
        work: Any,
        numbers: Any,
        mask: Any,
    ) -> None:
        # S solves op(A)' . S = doutput; then dB = alpha * S and d op(A) = -S . X'
        transposed, (solved, turned, result) = self._side(solution, work, output)
        xp.copyto(solution, doutput)
        solve(xp, swapped(A, not transposed), solved, self.lower == transposed, turned)
        if dB is not None:
            xp.multiply(solution, self.alpha, out=dB)
        if dA is not None:
            xp.matmul(solved, swapped(result), out=swapped(dA, transposed))
            xp.negative(dA, out=dA)
            clear_outside(xp, dA, self.lower, numbers, mask)

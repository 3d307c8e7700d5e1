"""Factors, inverses and determinants of square matrices, for batches of them."""

from __future__ import annotations

from typing import Any, ClassVar

from netdef.ops.axes import batch, unify
from netdef.ops.base import Op, Workspace
from netdef.ops.diagonals import SIZE, square
from netdef.ops.matrix import COLUMNS, ROWS, swapped
from netdef.ops.shapes import ShapeError, Shapes, prod, show
from netdef.ops.triangular import clear_outside, diagonal, mask_spaces, mirror, solve


class _Lapack(Op, abstract=True):
    """An operator that numpy's linear algebra computes, in float32 or float64."""

    inputs = ("A",)
    allocates = "numpy's linear algebra has no out"

    def types(self, t: Shapes) -> None:
        super().types(t)
        dtype: Any = t["A"]
        if dtype not in ("float32", "float64", None):
            told = f"A is {dtype}, but only float32 and float64 have factors and inverses"
            raise ShapeError(told, tensor="A", kind="dtype-mismatch")

    def flops(self, s: Shapes) -> int:
        return self.work * (prod(s.full("A")) or 0) * s.full("A")[-1]


class _Square(_Lapack, abstract=True):
    """A batch of square matrices to one of the same shape."""

    examples = (({}, {"A": (4, 3, 3)}), ({}, {"A": (4, 2, 1, 1)}))

    def shape(self, s: Shapes) -> None:
        square(s, "A", "output")


class LinalgPotrf(_Square):
    """The Cholesky factor L, lower and with a positive diagonal, of A = L . L': A (B..., N, N) -> output.

    Only the lower triangle of A is read.  The gradient is symmetric: half of that of an element below the
    diagonal is that of its mirror image, as in MXNet's linalg_potrf (Murray 2016).  A matrix that is not
    positive definite is refused when the pass runs.
    """

    names = ("_linalg_potrf", "linalg_potrf")
    scratch = ("factor", "numbers", "mask")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"factor": Workspace(s.full("A")), **mask_spaces(s.full("A")[-1])} if backward else {}

    def forward(self, xp: Any, A: Any, output: Any) -> None:
        output[...] = xp.linalg.cholesky(A)

    def backward(
        self, xp: Any, doutput: Any, output: Any, dA: Any, factor: Any, numbers: Any, mask: Any
    ) -> None:
        upper = swapped(output)
        xp.matmul(upper, doutput, out=factor)
        mirror(xp, factor, dA, numbers, mask)
        solve(xp, upper, dA, False, factor)  # L'^-1 . dA
        solve(xp, upper, swapped(dA), False, factor)  # dA . L^-1
        xp.multiply(dA, 0.5, out=dA)


class LinalgPotri(Op):
    """The inverse of L . L' from the factor L: A (B..., N, N) -> output, shaped as A.

    Only the lower triangle of A is read, and only that one has a gradient.  MXNet's linalg_potri.
    """

    names = ("_linalg_potri", "linalg_potri")
    inputs = ("A",)
    scratch = ("inverse", "work", "numbers", "mask")
    examples = (({}, {"A": (4, 3, 3)}), ({}, {"A": (4, 2, 1, 1)}))

    def shape(self, s: Shapes) -> None:
        square(s, "A", "output")

    def macs(self, s: Shapes) -> int:
        return (prod(s.full("A")) or 0) * s.full("A")[-1]

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        shape = s.full("A")
        if backward:
            return {"work": Workspace(shape), **mask_spaces(shape[-1])}
        return {"inverse": Workspace(shape), "work": Workspace(shape)}

    def forward(self, xp: Any, A: Any, output: Any, inverse: Any, work: Any) -> None:
        if not diagonal(xp, A).all():
            raise ValueError("A of linalg_potri has a zero on its diagonal, so it is no Cholesky factor")
        inverse.fill(0)
        diagonal(xp, inverse).fill(1)
        solve(xp, A, inverse, True, work)
        xp.matmul(swapped(inverse), inverse, out=output)

    def backward(
        self, xp: Any, doutput: Any, A: Any, output: Any, dA: Any, work: Any, numbers: Any, mask: Any
    ) -> None:
        # the lower triangle of -output . (doutput + doutput') . A'^-1
        xp.add(doutput, swapped(doutput), out=work)
        xp.matmul(output, work, out=dA)
        solve(xp, A, swapped(dA), True, work)
        xp.negative(dA, out=dA)
        clear_outside(xp, dA, True, numbers, mask)


class LinalgInverse(_Square):
    """The inverse: A (B..., N, N) -> output, shaped as A.

    MXNet's linalg_inverse; a matrix that has none is refused when the pass runs.
    """

    names = ("_linalg_inverse", "linalg_inverse")
    scratch = ("product",)
    work = 2

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"product": Workspace(s.full("A"))} if backward else {}

    def forward(self, xp: Any, A: Any, output: Any) -> None:
        output[...] = xp.linalg.inv(A)

    def backward(self, xp: Any, doutput: Any, output: Any, dA: Any, product: Any) -> None:
        xp.matmul(swapped(output), doutput, out=product)
        xp.matmul(product, swapped(output), out=dA)
        xp.negative(dA, out=dA)


class _Determinant(_Lapack, abstract=True):
    """Numbers for each matrix of a batch, or (1,) for one matrix.

    A matrix whose determinant is zero gets no gradient (MXNet's rule).
    """

    scratch: ClassVar[tuple[str, ...]] = ("regular", "singular")
    examples = (({}, {"A": (4, 3, 3)}), ({}, {"A": (4, 2, 1, 1)}))

    def shape(self, s: Shapes) -> None:
        s.same(*self.outputs)
        if square(s, "A") is not None:
            for name in self.outputs:
                s.merge(name, (s["A"] or ())[:-2] or (1,))

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        if not backward:
            return {}
        return {"regular": Workspace(s.full("A")), "singular": Workspace(s.full("A")[:-2], "bool")}

    def through(self, xp: Any, A: Any, factor: Any, sign: Any, dA: Any, regular: Any, singular: Any) -> None:
        """dA = factor * A'^-1, and zero where the sign of the determinant is zero."""
        each = (*A.shape[:-2], 1, 1)
        xp.equal(sign.reshape(A.shape[:-2]), 0, out=singular)
        xp.copyto(regular, A)
        xp.copyto(regular, 0, where=singular.reshape(each))
        middle = diagonal(xp, regular)
        xp.copyto(middle, 1, where=singular[..., None])  # the identity has an inverse
        xp.multiply(swapped(xp.linalg.inv(regular)), factor.reshape(each), out=dA)
        xp.copyto(dA, 0, where=singular.reshape(each))


class LinalgDet(_Determinant):
    """The determinant: A (B..., N, N) -> output0 (B...), or (1,) without a batch.  MXNet's linalg_det."""

    names = ("_linalg_det", "linalg_det")
    outputs = ("output0",)
    counted = 3
    scratch = (*_Determinant.scratch, "factor")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        factor = {"factor": Workspace(s.full("output0"))} if backward else {}
        return {**super().workspaces(s, backward), **factor}

    def forward(self, xp: Any, A: Any, output0: Any) -> None:
        output0[...] = xp.linalg.det(A)

    def backward(
        self,
        xp: Any,
        doutput0: Any,
        A: Any,
        output0: Any,
        dA: Any,
        regular: Any,
        singular: Any,
        factor: Any,
    ) -> None:
        xp.multiply(doutput0, output0, out=factor)
        self.through(xp, A, factor, output0, dA, regular, singular)


class LinalgSlogDet(_Determinant):
    """Sign and logarithm of the magnitude of the determinant: A (B..., N, N) -> output0, output1 (B...).

    Without a batch both are (1,).  No gradient passes through the sign.  MXNet's linalg_slogdet.
    """

    names = ("_linalg_slogdet", "linalg_slogdet")
    outputs = ("output0", "output1")
    counted = 4
    visible = 2

    def forward(self, xp: Any, A: Any, output0: Any, output1: Any) -> None:
        sign, logarithm = xp.linalg.slogdet(A)
        output0[...] = sign
        output1[...] = logarithm

    def backward(
        self, xp: Any, doutput1: Any, A: Any, output0: Any, dA: Any, regular: Any, singular: Any
    ) -> None:
        if doutput1 is None:
            dA.fill(0)
        else:
            self.through(xp, A, doutput1, output0, dA, regular, singular)


class LinalgGelqf(_Lapack):
    """Q with orthonormal rows and lower L, A = L . Q: A (B..., M, N) -> output0 Q (B..., M, N), output1 L.

    L is (B..., M, M), and M is at most N.  MXNet's linalg_gelqf; the signs are LAPACK's.
    """

    names = ("_linalg_gelqf", "linalg_gelqf")
    outputs = ("output0", "output1")
    visible = 2
    scratch = ("moment", "product", "whole", "numbers", "mask")
    work = 2
    examples = (({}, {"A": (4, 2, 3)}), ({}, {"A": (4, 3, 3)}), ({}, {"A": (4, 2, 1, 2)}))

    def shape(self, s: Shapes) -> None:
        s.same("A", "output0")
        shape = s.rank("A", 2, "a matrix")
        if shape is None:
            return
        rows, columns = shape[-2:]
        if rows is not None and columns is not None and rows > columns:
            raise ShapeError(f"A is {show(shape)}, but it needs as many columns as rows, or more", tensor="A")
        some = batch(len(shape) - 2)
        unify(s, A=(*some, ROWS, COLUMNS), output0=(*some, ROWS, COLUMNS), output1=(*some, ROWS, ROWS))

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        if not backward:
            return {}
        square, whole = Workspace(s.full("output1")), Workspace(s.full("A"))
        return {"moment": square, "product": square, "whole": whole, **mask_spaces(s.full("A")[-2])}

    def forward(self, xp: Any, A: Any, output0: Any, output1: Any) -> None:
        columns, upper = xp.linalg.qr(swapped(A))
        output0[...] = swapped(columns)
        output1[...] = swapped(upper)

    def backward(
        self,
        xp: Any,
        doutput0: Any,
        doutput1: Any,
        output0: Any,
        output1: Any,
        dA: Any,
        moment: Any,
        product: Any,
        whole: Any,
        numbers: Any,
        mask: Any,
    ) -> None:
        # L'^-1 . (dQ + mirror(L' . dL - dQ . Q') . Q)
        moment.fill(0)
        if doutput1 is not None:
            xp.matmul(swapped(output1), doutput1, out=moment)
        if doutput0 is not None:
            xp.matmul(doutput0, swapped(output0), out=product)
            xp.subtract(moment, product, out=moment)
        mirror(xp, moment, product, numbers, mask)
        xp.matmul(product, output0, out=dA)
        if doutput0 is not None:
            xp.add(dA, doutput0, out=dA)
        solve(xp, swapped(output1), dA, False, whole)


class LinalgSyevd(_Lapack):
    """Eigenvectors, as rows, and ascending eigenvalues of a symmetric matrix, A = U' . diag(L) . U.

    A (B..., N, N) -> output0 U (B..., N, N), output1 L (B..., N).  Only the lower triangle of A is read.  The
    largest component of each eigenvector is positive.  MXNet's linalg_syevd; equal eigenvalues, between which
    there is no gradient, count as 1e-30 apart (1e-100 in float64).
    """

    names = ("_linalg_syevd",)
    outputs = ("output0", "output1")
    visible = 2
    scratch = ("inner", "gaps", "numbers", "mask")
    work = 9
    examples = (({}, {"A": (4, 3, 3)}), ({}, {"A": (4, 2, 1, 1)}))

    def shape(self, s: Shapes) -> None:
        some = square(s, "A", "output0")
        if some is not None:
            unify(s, output0=(*some, SIZE, SIZE), output1=(*some, SIZE))

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        if not backward:
            return {}
        shape = s.full("A")
        return {"inner": Workspace(shape), "gaps": Workspace(shape), **mask_spaces(shape[-1])}

    def forward(self, xp: Any, A: Any, output0: Any, output1: Any) -> None:
        values, columns = xp.linalg.eigh(A)
        output1[...] = values
        output0[...] = swapped(columns)
        largest = xp.absolute(output0).argmax(axis=-1)[..., None]
        signs = xp.sign(xp.take_along_axis(output0, largest, axis=-1))
        xp.multiply(output0, signs, out=output0)

    def backward(
        self,
        xp: Any,
        doutput0: Any,
        doutput1: Any,
        output0: Any,
        output1: Any,
        dA: Any,
        inner: Any,
        gaps: Any,
        numbers: Any,
        mask: Any,
    ) -> None:
        # U' . E . U, where E has dL on its diagonal and (X - X') / (2 (l_i - l_j)), X = dU . U', beside it
        if doutput0 is None:
            gaps.fill(0)
        else:
            xp.matmul(doutput0, swapped(output0), out=gaps)
            xp.subtract(gaps, swapped(gaps), out=inner)
            xp.subtract(output1[..., :, None], output1[..., None, :], out=gaps)
            xp.absolute(gaps, out=gaps)
            xp.maximum(gaps, 1e-30 if gaps.dtype.itemsize == 4 else 1e-100, out=gaps)
            xp.divide(inner, gaps, out=inner)
            xp.multiply(inner, 0.5, out=inner)
            mirror(xp, inner, gaps, numbers, mask)
        if doutput1 is not None:
            xp.copyto(diagonal(xp, gaps), doutput1)
        xp.matmul(swapped(output0), gaps, out=inner)
        xp.matmul(inner, output0, out=dA)

"""Products of matrices: dot, batch_dot, khatri_rao."""

from __future__ import annotations

from typing import Any

from netdef.ops.arrays import write_back
from netdef.ops.axes import batch, known_rank, unify
from netdef.ops.base import Op, Variadic, Workspace
from netdef.ops.fields import Bool, Hint
from netdef.ops.shapes import ShapeError, Shapes, prod, show

#: what the axes of a product mean, for `unify`
ROWS, INNER, COLUMNS = (
    "the rows of the product",
    "the sizes that are summed over",
    "the columns of the product",
)


def swapped(array: Any, swap: bool = True) -> Any:
    """A view of a batch of matrices, transposed if `swap`."""
    return array.swapaxes(-1, -2) if swap else array


def product_gradients(
    xp: Any, left: Any, right: Any, transposed: tuple[bool, bool], head: Any, dleft: Any, dright: Any
) -> None:
    """The gradients of op(left) . op(right), where op transposes as `transposed` says; None: not wanted."""
    if dleft is not None:
        xp.matmul(head, swapped(swapped(right, transposed[1])), out=swapped(dleft, transposed[0]))
    if dright is not None:
        xp.matmul(swapped(swapped(left, transposed[0])), head, out=swapped(dright, transposed[1]))


class _Product(Op, abstract=True):
    """A product of lhs and rhs, either of which may be transposed first."""

    transpose_a = Bool(False, "transpose lhs first")
    transpose_b = Bool(False, "transpose rhs first")
    forward_stype = Hint("MXNet's storage type of the output; here all arrays are dense")

    inputs = ("lhs", "rhs")


class Dot(_Product):
    """The sum of products over the last axis of lhs and the first of rhs: lhs, rhs -> output.

    lhs (M..., K), rhs (K, N...) -> output (M..., N...); of two vectors (1,).  With `transpose_a` lhs is
    (K, M...), with `transpose_b` rhs is (N..., K).  MXNet's dot.
    """

    names = ("dot", "_sparse_dot")
    examples = (
        ({}, {"lhs": (4, 3), "rhs": (3, 2)}),
        ({"transpose_a": True}, {"lhs": (4, 2, 3), "rhs": (4, 5)}),
        ({"transpose_b": True}, {"lhs": (4, 3), "rhs": (2, 5, 3)}),
        ({}, {"lhs": (4,), "rhs": (4,)}),
        ({"transpose_b": True}, {"lhs": (4, 3), "rhs": (3,)}),
        ({}, {"lhs": (3,), "rhs": (3, 2)}),
    )

    def shape(self, s: Shapes) -> None:
        lhs, rhs = s.rank("lhs", 1, "a vector or a matrix"), s.rank("rhs", 1, "a vector or a matrix")
        if lhs is None or rhs is None:
            return
        outer_l = tuple(f"axis {axis} of the output" for axis in range(len(lhs) - 1))
        outer_r = tuple(f"axis {len(outer_l) + axis} of the output" for axis in range(len(rhs) - 1))
        if not outer_l and not outer_r:
            if self.transpose_a or self.transpose_b:
                told = f"lhs {show(lhs)} and rhs {show(rhs)} are vectors, which cannot be transposed"
                raise ShapeError(told, tensor="lhs", attribute="transpose_a")
            unify(s, lhs=(INNER,), rhs=(INNER,))
            s.merge("output", (1,), "the product of two vectors is one number")
            return
        unify(
            s,
            lhs=(INNER, *outer_l) if self.transpose_a else (*outer_l, INNER),
            rhs=(*outer_r, INNER) if self.transpose_b else (INNER, *outer_r),
            output=(*outer_l, *outer_r),
        )

    def macs(self, s: Shapes) -> int:
        inner = s.full("lhs")[0 if self.transpose_a else -1]
        return (prod(s.full("output")) or 0) * inner

    def _flat(self, lhs: Any, rhs: Any) -> tuple[Any, Any]:
        """Both inputs, or their gradients, as matrices that are still to be transposed."""
        left = lhs.reshape(lhs.shape[0], -1) if self.transpose_a else lhs.reshape(-1, lhs.shape[-1])
        right = rhs.reshape(-1, rhs.shape[-1]) if self.transpose_b else rhs.reshape(rhs.shape[0], -1)
        return left, right

    def forward(self, xp: Any, lhs: Any, rhs: Any, output: Any) -> None:
        left, right = self._flat(lhs, rhs)
        left, right = swapped(left, self.transpose_a), swapped(right, self.transpose_b)
        flat = output.reshape(left.shape[0], right.shape[1])
        xp.matmul(left, right, out=flat)
        write_back(xp, flat, output)

    def backward(self, xp: Any, doutput: Any, lhs: Any, rhs: Any, dlhs: Any, drhs: Any) -> None:
        left, right = self._flat(lhs, rhs)
        head = doutput.reshape(left.shape[1 if self.transpose_a else 0], -1)
        dleft = None if dlhs is None else dlhs.reshape(left.shape)
        dright = None if drhs is None else drhs.reshape(right.shape)
        product_gradients(xp, left, right, (self.transpose_a, self.transpose_b), head, dleft, dright)
        if dlhs is not None:
            write_back(xp, dleft, dlhs)
        if drhs is not None:
            write_back(xp, dright, drhs)


class BatchDot(_Product):
    """The product of each pair of matrices: lhs (B..., M, K), rhs (B..., K, N) -> output (B..., M, N).

    MXNet's batch_dot: at least one batch axis, and nothing is broadcast.
    """

    names = ("batch_dot",)
    examples = (
        ({}, {"lhs": (4, 2, 3), "rhs": (4, 3, 5)}),
        ({"transpose_a": True}, {"lhs": (4, 3, 2), "rhs": (4, 3, 5)}),
        ({"transpose_b": True}, {"lhs": (4, 2, 2, 3), "rhs": (4, 2, 5, 3)}),
        ({"transpose_a": True, "transpose_b": True}, {"lhs": (4, 3, 1), "rhs": (4, 5, 3)}),
    )

    def shape(self, s: Shapes) -> None:
        rank = known_rank(s, "lhs", "rhs", "output")
        if rank is None:
            return
        for name in ("lhs", "rhs"):
            s.rank(name, 3, "a batch of matrices")
        some = batch(rank - 2)
        unify(
            s,
            lhs=(*some, INNER, ROWS) if self.transpose_a else (*some, ROWS, INNER),
            rhs=(*some, COLUMNS, INNER) if self.transpose_b else (*some, INNER, COLUMNS),
            output=(*some, ROWS, COLUMNS),
        )

    def macs(self, s: Shapes) -> int:
        return (prod(s.full("output")) or 0) * s.full("lhs")[-2 if self.transpose_a else -1]

    def forward(self, xp: Any, lhs: Any, rhs: Any, output: Any) -> None:
        xp.matmul(swapped(lhs, self.transpose_a), swapped(rhs, self.transpose_b), out=output)

    def backward(self, xp: Any, doutput: Any, lhs: Any, rhs: Any, dlhs: Any, drhs: Any) -> None:
        product_gradients(xp, lhs, rhs, (self.transpose_a, self.transpose_b), doutput, dlhs, drhs)


class KhatriRao(Variadic):
    """The Kronecker product of each column: arg0 (M0, N), arg1 (M1, N), ... -> output (M0*M1*..., N).

    MXNet's khatri_rao, which has no gradient there (Khatri and Rao 1968).
    """

    names = ("khatri_rao",)
    scratch = ("work",)
    examples = (
        ({"num_args": 2}, {"arg0": (4, 3), "arg1": (2, 3)}),
        ({"num_args": 3}, {"arg0": (4, 2), "arg1": (1, 2), "arg2": (3, 2)}),
        ({"num_args": 1}, {"arg0": (4, 3)}),
    )

    def shape(self, s: Shapes) -> None:
        names = self.input_names()
        unify(s, **{name: (f"the rows of {name}", COLUMNS) for name in names}, output=(ROWS, COLUMNS))
        rows = prod(None if s[name] is None else (s[name] or ())[0] for name in names)
        s.merge("output", (rows, None), "its rows are those of the inputs, multiplied")

    def flops(self, s: Shapes) -> int:
        return max(1, self.num_args - 1) * (prod(s.full("output")) or 0)

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"work": Workspace(s.full("output"))} if backward else {}

    @staticmethod
    def _apart(args: Any, output: Any) -> tuple[Any, list[Any]]:
        """The output with an axis for each input, and the inputs to broadcast against it."""
        count, columns = len(args), output.shape[-1]
        spread = [
            array.reshape((1,) * number + (array.shape[0],) + (1,) * (count - 1 - number) + (columns,))
            for number, array in enumerate(args)
        ]
        return output.reshape(*(array.shape[0] for array in args), columns), spread

    def forward(self, xp: Any, args: Any, output: Any) -> None:
        apart, spread = self._apart(args, output)
        xp.copyto(apart, spread[0])
        for array in spread[1:]:
            xp.multiply(apart, array, out=apart)
        write_back(xp, apart, output)

    def backward(self, xp: Any, doutput: Any, args: Any, dargs: Any, work: Any) -> None:
        head, spread = self._apart(args, doutput)
        work = work.reshape(head.shape)
        for number, gradient in enumerate(dargs):
            if gradient is None:
                continue
            xp.copyto(work, head)
            for other, array in enumerate(spread):
                if other != number:
                    xp.multiply(work, array, out=work)
            rest = tuple(axis for axis in range(len(args)) if axis != number)
            work.sum(axis=rest, out=gradient)

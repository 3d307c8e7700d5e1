"""Operators of two tensors of one shape (nothing is broadcast), and the base of all operators of two tensors.

Comparisons and logical operators give 1 or 0 in the dtype of their inputs and pass no gradient.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from netdef.ops import functions
from netdef.ops.arrays import ordered
from netdef.ops.base import Op, Workspace
from netdef.ops.elementwise import Pairs, add_up, only_numbers, same_shape
from netdef.ops.foreign import As
from netdef.ops.functions import Function, Needs
from netdef.ops.shapes import Full, Shapes, Types


def spaces_for(needs: Needs, shape: Full) -> dict[str, Workspace]:
    """The workspace `spaces` of a function of two numbers whose result has this shape."""
    return {"spaces": Workspace((needs.arrays, *shape), needs.dtype)} if needs.arrays else {}


def laid_out(spaces: Any, like: Any) -> list[Any]:
    """The arrays of the workspace `spaces`, their axes ordered in memory as those of `like`."""
    return [ordered(spaces[number, ...], like) for number in range(len(spaces))]


class Pair(Op, abstract=True):
    """A function of two tensors: lhs, rhs -> output.

    The kernels hold for tensors that are broadcast, too.  `backward` is chosen by what the derivatives read,
    so that nothing is kept for it in vain; it writes `drhs` last, which may be the memory of `doutput`.
    """

    inputs = ("lhs", "rhs")
    scratch = ("spaces", "part")
    batched = ("lhs", "rhs", "output")
    batch_last = None
    any_order = True
    function: ClassVar[Function]

    def __init_subclass__(cls, abstract: bool = False, **options: Any) -> None:
        if not abstract and cls.function.differentiable:
            reads = cls.function.left_reads + cls.function.right_reads
            cls.backward = cls._backward if reads else cls._linear_backward
            cls.inplace = (*cls.inplace, ("doutput", "drhs"), *(() if reads else (("doutput", "dlhs"),)))
        super().__init_subclass__(abstract=abstract, **options)

    inplace: ClassVar[Pairs] = (("lhs", "output"), ("rhs", "output"))

    def types(self, t: Types) -> None:  # type: ignore[override]
        super().types(t)
        only_numbers(t, "lhs")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        output = s.full("output")
        if not backward:
            return spaces_for(self.function.value_needs, output)
        reads = self.function.left_reads + self.function.right_reads
        whole = output == s.full("lhs") == s.full("rhs")
        part = {} if whole or not reads else {"part": Workspace(output)}
        return {**spaces_for(self.function.slope_needs, output), **part}

    def forward(self, xp: Any, lhs: Any, rhs: Any, output: Any, spaces: Any) -> None:
        if spaces is not None:
            spaces = laid_out(spaces, output)
        self.function.value(xp, lhs, rhs, output, spaces)

    def _wanted(self, dlhs: Any, drhs: Any) -> Iterator[tuple[Any, Any]]:
        """The gradients that somebody wants, each with the derivative."""
        if dlhs is not None:
            yield dlhs, self.function.left
        if drhs is not None:
            yield drhs, self.function.right

    def _linear_backward(self, xp: Any, doutput: Any, dlhs: Any, drhs: Any) -> None:
        for gradient, derivative in self._wanted(dlhs, drhs):
            head = doutput
            if gradient.shape != doutput.shape:  # the sum first: then the rest is small
                add_up(xp, doutput, gradient)
                head = gradient
            derivative(xp, head, None, None, gradient, None)

    def _backward(
        self,
        xp: Any,
        doutput: Any,
        lhs: Any,
        rhs: Any,
        dlhs: Any,
        drhs: Any,
        spaces: Any,
        part: Any,
    ) -> None:
        arrays = None if spaces is None else laid_out(spaces, doutput)
        for gradient, derivative in self._wanted(dlhs, drhs):
            if gradient.shape == doutput.shape:
                derivative(xp, doutput, lhs, rhs, gradient, arrays)
            else:
                whole = ordered(part, doutput)
                derivative(xp, doutput, lhs, rhs, whole, arrays)
                add_up(xp, whole, gradient)


class Binary(Pair, abstract=True):
    """A function of two tensors of one shape: lhs, rhs -> output."""

    examples = (({}, {"lhs": (4, 3, 2), "rhs": (4, 3, 2)}),)

    def shape(self, s: Shapes) -> None:
        same_shape(s, "lhs", "rhs", "output")


class Plus(Binary):
    """lhs + rhs."""

    function = functions.ADD
    names = ("elemwise_add", "_plus", "_Plus", "_add", "_sparse_elemwise_add")
    onnx = (As("Add"),)

    def hands_down(self) -> tuple[str, ...]:
        return self.input_names()


class GradAdd(Binary):
    """lhs + rhs, as MXNet writes it where it adds two gradients."""

    function = functions.ADD
    names = ("_grad_add",)


class Minus(Binary):
    """lhs - rhs."""

    function = functions.SUBTRACT
    names = ("elemwise_sub", "_minus", "_Minus", "_sub", "_sparse_elemwise_sub")
    onnx = (As("Sub"),)


class Mul(Binary):
    """lhs * rhs."""

    function = functions.MULTIPLY
    names = ("elemwise_mul", "_mul", "_Mul", "_sparse_elemwise_mul")
    onnx = (As("Mul"),)


class Div(Binary):
    """lhs / rhs; of integers the whole part."""

    function = functions.DIVIDE
    names = ("elemwise_div", "_div", "_Div", "_sparse_elemwise_div")
    onnx = (As("Div"),)


class ScatterDiv(Binary):
    """lhs / rhs, as MXNet writes it where only what a sparse tensor stores is to change."""

    function = functions.DIVIDE
    names = ("_scatter_elemwise_div",)


class Mod(Binary):
    """The remainder of lhs / rhs, with the sign of rhs; 0 where rhs is 0, yet with a gradient for lhs."""

    function = functions.MOD
    names = ("_mod", "_Mod")


class Power(Binary):
    """lhs to the power of rhs; NaN for a fractional power of a negative number."""

    function = functions.POWER
    names = ("_power", "_Power")
    onnx = (As("Pow"),)


class Hypot(Binary):
    """sqrt(lhs^2 + rhs^2), without overflow on the way."""

    function = functions.HYPOT
    names = ("_hypot", "_Hypot")


class Maximum(Binary):
    """The larger of lhs and rhs; the gradient goes to the one that was taken, of equal ones to lhs."""

    function = functions.MAXIMUM
    names = ("_maximum", "_Maximum")
    onnx = (As("Max"),)


class Minimum(Binary):
    """The smaller of lhs and rhs; the gradient goes to the one that was taken, of equal ones to lhs."""

    function = functions.MINIMUM
    names = ("_minimum", "_Minimum")
    onnx = (As("Min"),)


class Equal(Binary):
    """Whether lhs and rhs are equal."""

    function = functions.EQUAL
    names = ("_equal", "_Equal")


class NotEqual(Binary):
    """Whether lhs and rhs differ."""

    function = functions.NOT_EQUAL
    names = ("_not_equal", "_Not_Equal")


class Greater(Binary):
    """Whether lhs is greater than rhs."""

    function = functions.GREATER
    names = ("_greater", "_Greater")


class GreaterEqual(Binary):
    """Whether lhs is greater than rhs or equal."""

    function = functions.GREATER_EQUAL
    names = ("_greater_equal", "_Greater_Equal")


class Lesser(Binary):
    """Whether lhs is less than rhs."""

    function = functions.LESSER
    names = ("_lesser", "_Lesser")


class LesserEqual(Binary):
    """Whether lhs is less than rhs or equal."""

    function = functions.LESSER_EQUAL
    names = ("_lesser_equal", "_Lesser_Equal")


class LogicalAnd(Binary):
    """Whether neither of lhs and rhs is 0."""

    function = functions.LOGICAL_AND
    names = ("_logical_and", "_Logical_And")


class LogicalOr(Binary):
    """Whether not both of lhs and rhs are 0."""

    function = functions.LOGICAL_OR
    names = ("_logical_or", "_Logical_Or")


class LogicalXor(Binary):
    """Whether exactly one of lhs and rhs is 0."""

    function = functions.LOGICAL_XOR
    names = ("_logical_xor", "_Logical_Xor")

"""Functions of two numbers, each declared once: its value and its partial derivatives.

`netdef.ops.binary`, `broadcast` and `scalar` derive their operators from the instances at the end.  a and b
are arrays that broadcast against each other, or one of them is a number.  `left` and `right` write the
gradient that arrives, `head`, times the derivative by a or by b; what they write may be the memory of `head`,
and a value that of a or b.  `spaces` holds the arrays that the function needs, or is None.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple


class Needs(NamedTuple):
    """How many arrays shaped as the result a function works with; their dtype is its, too, if left empty."""

    arrays: int = 0
    dtype: str = ""


class Function:
    """A function that the array module knows by `name`; without `differentiable` no gradient passes."""

    differentiable: ClassVar[bool] = False
    #: which of a and b the derivatives by a and by b depend on
    left_reads: ClassVar[str] = "ab"
    right_reads: ClassVar[str] = "ab"
    #: the workspaces of the value, and of either derivative
    value_needs: ClassVar[Needs] = Needs()
    slope_needs: ClassVar[Needs] = Needs()

    def __init__(self, name: str) -> None:
        self.name = name

    def value(self, xp: Any, a: Any, b: Any, out: Any, spaces: Any) -> None:
        getattr(xp, self.name)(a, b, out=out)

    def left(self, xp: Any, head: Any, a: Any, b: Any, out: Any, spaces: Any) -> None:
        raise NotImplementedError

    def right(self, xp: Any, head: Any, a: Any, b: Any, out: Any, spaces: Any) -> None:
        raise NotImplementedError


class _Real(Function):
    """A function that leaves the whole numbers: of integers, the real result is cut towards 0, as in C."""

    differentiable = True
    slope_needs = Needs(1)

    def value(self, xp: Any, a: Any, b: Any, out: Any, spaces: Any) -> None:
        if out.dtype.kind == "f":
            getattr(xp, self.name)(a, b, out=out)
        else:
            getattr(xp, self.name)(a, b, out=out, dtype="float64", casting="unsafe")


class _Sum(Function):
    differentiable = True
    left_reads = right_reads = ""

    def left(self, xp: Any, head: Any, a: Any, b: Any, out: Any, spaces: Any) -> None:
        xp.copyto(out, head)

    right = left


class _Difference(_Sum):
    def right(self, xp: Any, head: Any, a: Any, b: Any, out: Any, spaces: Any) -> None:
        xp.negative(head, out=out)


class _Product(Function):
    differentiable = True
    left_reads, right_reads = "b", "a"

    def left(self, xp: Any, head: Any, a: Any, b: Any, out: Any, spaces: Any) -> None:
        xp.multiply(head, b, out=out)

    def right(self, xp: Any, head: Any, a: Any, b: Any, out: Any, spaces: Any) -> None:
        xp.multiply(head, a, out=out)


class _Quotient(_Real):
    left_reads = "b"

    def left(self, xp: Any, head: Any, a: Any, b: Any, out: Any, spaces: Any) -> None:
        xp.divide(head, b, out=out)

    def right(self, xp: Any, head: Any, a: Any, b: Any, out: Any, spaces: Any) -> None:
        (slope,) = spaces  # -a / b^2
        xp.divide(a, b, out=slope)
        xp.divide(slope, b, out=slope)
        xp.negative(slope, out=slope)
        xp.multiply(head, slope, out=out)


class _Power(_Real):
    slope_needs = Needs(2)

    def left(self, xp: Any, head: Any, a: Any, b: Any, out: Any, spaces: Any) -> None:
        slope = spaces[0]  # b a^(b - 1)
        xp.subtract(b, 1, out=slope)
        xp.power(a, slope, out=slope)
        xp.multiply(slope, b, out=slope)
        xp.multiply(head, slope, out=out)

    def right(self, xp: Any, head: Any, a: Any, b: Any, out: Any, spaces: Any) -> None:
        slope, logarithm = spaces  # a^b log a
        xp.power(a, b, out=slope)
        xp.log(a, out=logarithm)
        xp.multiply(slope, logarithm, out=slope)
        xp.multiply(head, slope, out=out)


class _Hypot(_Real):
    def left(self, xp: Any, head: Any, a: Any, b: Any, out: Any, spaces: Any) -> None:
        (slope,) = spaces  # a / hypot
        xp.hypot(a, b, out=slope)
        xp.divide(a, slope, out=slope)
        xp.multiply(head, slope, out=out)

    def right(self, xp: Any, head: Any, a: Any, b: Any, out: Any, spaces: Any) -> None:
        self.left(xp, head, b, a, out, spaces)


class _Remainder(Function):
    """Python's remainder, with the sign of b; MXNet's is 0 where b is 0, with a derivative of 1 by a."""

    differentiable = True
    left_reads = ""
    value_needs, slope_needs = Needs(1, "bool"), Needs(1)

    def value(self, xp: Any, a: Any, b: Any, out: Any, spaces: Any) -> None:
        (zero,) = spaces
        xp.equal(b, 0, out=zero)
        xp.mod(a, b, out=out)
        xp.copyto(out, 0, where=zero)

    def left(self, xp: Any, head: Any, a: Any, b: Any, out: Any, spaces: Any) -> None:
        xp.copyto(out, head)

    def right(self, xp: Any, head: Any, a: Any, b: Any, out: Any, spaces: Any) -> None:
        (slope,) = spaces  # -floor(a / b)
        xp.divide(a, b, out=slope)
        xp.floor(slope, out=slope)
        xp.negative(slope, out=slope)
        xp.multiply(head, slope, out=out)


class _Choice(Function):
    """One of a and b: a where the comparison `keeps` holds, ties included; NaN wins and has no gradient."""

    differentiable = True
    slope_needs = Needs(1, "bool")

    def __init__(self, name: str, keeps: str, leaves: str) -> None:
        super().__init__(name)
        self.keeps, self.leaves = keeps, leaves

    def left(self, xp: Any, head: Any, a: Any, b: Any, out: Any, spaces: Any) -> None:
        getattr(xp, self.keeps)(a, b, out=spaces[0])
        xp.multiply(head, spaces[0], out=out)

    def right(self, xp: Any, head: Any, a: Any, b: Any, out: Any, spaces: Any) -> None:
        getattr(xp, self.leaves)(a, b, out=spaces[0])
        xp.multiply(head, spaces[0], out=out)


ADD = _Sum("add")
SUBTRACT = _Difference("subtract")
MULTIPLY = _Product("multiply")
DIVIDE = _Quotient("divide")
POWER = _Power("power")
MOD = _Remainder("mod")
HYPOT = _Hypot("hypot")
MAXIMUM = _Choice("maximum", "greater_equal", "less")
MINIMUM = _Choice("minimum", "less_equal", "greater")

EQUAL = Function("equal")
NOT_EQUAL = Function("not_equal")
GREATER = Function("greater")
GREATER_EQUAL = Function("greater_equal")
LESSER = Function("less")
LESSER_EQUAL = Function("less_equal")
LOGICAL_AND = Function("logical_and")
LOGICAL_OR = Function("logical_or")
LOGICAL_XOR = Function("logical_xor")

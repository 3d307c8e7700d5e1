"""Operators of two tensors that are broadcast against each other."""

from __future__ import annotations

from netdef.ops import functions
from netdef.ops.binary import Pair
from netdef.ops.shapes import ShapeError, Shapes, show


class Broadcast(Pair, abstract=True):
    """A function of two tensors: lhs, rhs -> output.

    From the last axis on, sizes are equal or one of them is 1, which counts as often as the other; the tensor
    with fewer axes has 1 for those that it lacks.  The gradients are sums over the axes that were repeated.
    """

    examples = (
        ({}, {"lhs": (4, 3, 2), "rhs": (4, 3, 2)}),
        ({}, {"lhs": (4, 1, 2), "rhs": (3, 1)}),
    )

    def shape(self, s: Shapes) -> None:
        lhs, rhs = s["lhs"], s["rhs"]
        if lhs is None or rhs is None:
            return
        rank = max(len(lhs), len(rhs))
        pairs = list(zip(_aligned(lhs, rank), _aligned(rhs, rank)))
        for axis, (left, right) in enumerate(pairs):
            if None not in (left, right) and left != right and 1 not in (left, right):
                raise ShapeError(
                    f"lhs is {show(lhs)} and rhs is {show(rhs)}: along axis {axis} of {rank} the sizes are "
                    f"{left} and {right}, but they have to be equal, or one of them 1",
                    tensor="rhs",
                    kind="input-shapes-differ",
                )
        rule = f"lhs is {show(lhs)} and rhs is {show(rhs)}"
        s.merge("output", tuple(_broadcast_size(*pair) for pair in pairs), rule)


def _aligned(shape: tuple[int | None, ...], rank: int) -> tuple[int | None, ...]:
    return (1,) * (rank - len(shape)) + shape


def _broadcast_size(left: int | None, right: int | None) -> int | None:
    """The size of the result; a size other than 1 settles it."""
    if left in (None, 1):
        return right if left == 1 or right != 1 else None
    return left


class BroadcastAdd(Broadcast):
    """lhs + rhs, broadcast."""

    function = functions.ADD
    names = ("broadcast_add", "broadcast_plus", "_sparse_broadcast_add", "_sparse_broadcast_plus")


class BroadcastSub(Broadcast):
    """lhs - rhs, broadcast."""

    function = functions.SUBTRACT
    names = ("broadcast_sub", "broadcast_minus", "_sparse_broadcast_minus", "_sparse_broadcast_sub")


class BroadcastMul(Broadcast):
    """lhs * rhs, broadcast."""

    function = functions.MULTIPLY
    names = ("broadcast_mul", "_sparse_broadcast_mul")


class BroadcastDiv(Broadcast):
    """lhs / rhs, broadcast; of integers the whole part."""

    function = functions.DIVIDE
    names = ("broadcast_div", "_sparse_broadcast_div")


class BroadcastMod(Broadcast):
    """The remainder of lhs / rhs with the sign of rhs, broadcast; 0 where rhs is 0."""

    function = functions.MOD
    names = ("broadcast_mod",)


class BroadcastPower(Broadcast):
    """lhs to the power of rhs, broadcast."""

    function = functions.POWER
    names = ("broadcast_power",)


class BroadcastHypot(Broadcast):
    """sqrt(lhs^2 + rhs^2), broadcast."""

    function = functions.HYPOT
    names = ("broadcast_hypot",)


class BroadcastMaximum(Broadcast):
    """The larger of lhs and rhs, broadcast; of equal ones lhs gets the gradient."""

    function = functions.MAXIMUM
    names = ("broadcast_maximum",)


class BroadcastMinimum(Broadcast):
    """The smaller of lhs and rhs, broadcast; of equal ones lhs gets the gradient."""

    function = functions.MINIMUM
    names = ("broadcast_minimum",)


class BroadcastEqual(Broadcast):
    """Whether lhs and rhs are equal, broadcast."""

    function = functions.EQUAL
    names = ("broadcast_equal",)


class BroadcastNotEqual(Broadcast):
    """Whether lhs and rhs differ, broadcast."""

    function = functions.NOT_EQUAL
    names = ("broadcast_not_equal",)


class BroadcastGreater(Broadcast):
    """Whether lhs is greater than rhs, broadcast."""

    function = functions.GREATER
    names = ("broadcast_greater",)


class BroadcastGreaterEqual(Broadcast):
    """Whether lhs is greater than rhs or equal, broadcast."""

    function = functions.GREATER_EQUAL
    names = ("broadcast_greater_equal",)


class BroadcastLesser(Broadcast):
    """Whether lhs is less than rhs, broadcast."""

    function = functions.LESSER
    names = ("broadcast_lesser",)


class BroadcastLesserEqual(Broadcast):
    """Whether lhs is less than rhs or equal, broadcast."""

    function = functions.LESSER_EQUAL
    names = ("broadcast_lesser_equal",)


class BroadcastLogicalAnd(Broadcast):
    """Whether neither of lhs and rhs is 0, broadcast."""

    function = functions.LOGICAL_AND
    names = ("broadcast_logical_and",)


class BroadcastLogicalOr(Broadcast):
    """Whether not both of lhs and rhs are 0, broadcast."""

    function = functions.LOGICAL_OR
    names = ("broadcast_logical_or",)


class BroadcastLogicalXor(Broadcast):
    """Whether exactly one of lhs and rhs is 0, broadcast."""

    function = functions.LOGICAL_XOR
    names = ("broadcast_logical_xor",)

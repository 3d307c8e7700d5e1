"""Operators of a tensor and a number, on either side.

Comparisons and logical operators give 1 or 0 in the dtype of the output and pass no gradient.
"""

from __future__ import annotations

from typing import Any, ClassVar

from netdef.ops import functions
from netdef.ops.base import Op, Workspace
from netdef.ops.binary import laid_out, spaces_for
from netdef.ops.elementwise import Pairs
from netdef.ops.fields import Bool, Float
from netdef.ops.functions import Function
from netdef.ops.shapes import Shapes, Types


class Scalar(Op, abstract=True):
    """A function of a tensor and a number: data, scalar -> output of the same shape.

    The output has the dtype of data, and the number is cut to it where that is one of integers.  Without
    `is_int` integers give float64; truth values count as int64.
    """

    scalar = Float(1.0, "the number", infinite=True)
    is_int = Bool(True, "whether integers stay integers")

    function: ClassVar[Function]
    #: whether the number is the function's first argument
    swapped: ClassVar[bool] = False
    #: a dtype, and the number in it
    _kept: tuple[Any, Any] = (None, None)

    scratch = ("spaces",)
    batched = ("data", "output")
    batch_last = None
    inplace: ClassVar[Pairs] = (("data", "output"),)
    examples = (({"scalar": 1.5}, {"data": (4, 3, 2)}),)

    def __init_subclass__(cls, abstract: bool = False, **options: Any) -> None:
        if not abstract and cls.function.differentiable:
            cls.backward = cls._backward if cls._reads_data() else cls._constant_backward
            cls.inplace = (*cls.inplace, ("doutput", "ddata"))
        super().__init_subclass__(abstract=abstract, **options)

    @classmethod
    def _reads_data(cls) -> bool:
        """Whether the derivative depends on the data."""
        return "b" in cls.function.right_reads if cls.swapped else "a" in cls.function.left_reads

    def types(self, t: Types) -> None:  # type: ignore[override]
        data: Any = t["data"]
        if data is None or data.startswith("float"):
            t.same("data", "output")
        elif not self.is_int:
            t.merge("output", "float64", "of integers without is_int the result is float64")
        else:
            t.merge("output", "int64" if data == "bool" else data, f"data is {data}")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        needs = self.function.slope_needs if backward else self.function.value_needs
        return spaces_for(needs, s.full("data"))

    def _keep(self, xp: Any, dtype: Any) -> Any:
        """The number as an array without axes, which numpy takes in half the time of a Python number.

        It is kept with its dtype: a node meets one, and to make it takes longer than to add it to a small
        tensor.
        """
        number = xp.asarray(self.scalar).astype(dtype)
        object.__setattr__(self, "_kept", (dtype, number))
        return number

    def forward(self, xp: Any, data: Any, output: Any, spaces: Any) -> None:
        # a small net calls this most of all: nothing but what is needed, 0.2 us beside numpy's own time
        dtype, number = self._kept
        if dtype is not output.dtype:
            number = self._keep(xp, output.dtype)
        if spaces is not None:
            spaces = laid_out(spaces, output)
        if self.swapped:
            self.function.value(xp, number, data, output, spaces)
        else:
            self.function.value(xp, data, number, output, spaces)

    def _backward(self, xp: Any, doutput: Any, data: Any, ddata: Any, spaces: Any) -> None:
        dtype, number = self._kept
        if dtype is not doutput.dtype:
            number = self._keep(xp, doutput.dtype)
        if spaces is not None:
            spaces = laid_out(spaces, doutput)
        if self.swapped:
            self.function.right(xp, doutput, number, data, ddata, spaces)
        else:
            self.function.left(xp, doutput, data, number, ddata, spaces)

    def _constant_backward(self, xp: Any, doutput: Any, ddata: Any, spaces: Any) -> None:
        self._backward(xp, doutput, None, ddata, spaces)


class PlusScalar(Scalar):
    """data + scalar."""

    function = functions.ADD
    names = ("_plus_scalar", "_PlusScalar")


class MinusScalar(Scalar):
    """data - scalar."""

    function = functions.SUBTRACT
    names = ("_minus_scalar", "_MinusScalar")


class ScatterPlusScalar(Scalar):
    """data + scalar, as MXNet writes it where only what a sparse tensor stores is to change."""

    function = functions.ADD
    names = ("_scatter_plus_scalar",)


class ScatterMinusScalar(Scalar):
    """data - scalar, as MXNet writes it where only what a sparse tensor stores is to change."""

    function = functions.SUBTRACT
    names = ("_scatter_minus_scalar",)


class RMinusScalar(Scalar):
    """scalar - data."""

    function = functions.SUBTRACT
    swapped = True
    names = ("_rminus_scalar", "_RMinusScalar")


class MulScalar(Scalar):
    """data * scalar."""

    function = functions.MULTIPLY
    names = ("_mul_scalar", "_MulScalar")


class DivScalar(Scalar):
    """data / scalar; of integers the whole part."""

    function = functions.DIVIDE
    names = ("_div_scalar", "_DivScalar")


class RDivScalar(Scalar):
    """scalar / data; of integers the whole part."""

    function = functions.DIVIDE
    swapped = True
    names = ("_rdiv_scalar", "_RDivScalar")


class ModScalar(Scalar):
    """The remainder of data / scalar, with the sign of scalar; 0 if scalar is 0."""

    function = functions.MOD
    names = ("_mod_scalar", "_ModScalar")


class RModScalar(Scalar):
    """The remainder of scalar / data, with the sign of data; 0 where data is 0."""

    function = functions.MOD
    swapped = True
    names = ("_rmod_scalar", "_RModScalar")


class PowerScalar(Scalar):
    """data to the power of scalar."""

    function = functions.POWER
    names = ("_power_scalar", "_PowerScalar")


class RPowerScalar(Scalar):
    """scalar to the power of data."""

    function = functions.POWER
    swapped = True
    names = ("_rpower_scalar", "_RPowerScalar")


class HypotScalar(Scalar):
    """sqrt(data^2 + scalar^2), without overflow on the way."""

    function = functions.HYPOT
    names = ("_hypot_scalar", "_HypotScalar")


class MaximumScalar(Scalar):
    """The larger of data and scalar; equal ones pass the gradient."""

    function = functions.MAXIMUM
    names = ("_maximum_scalar", "_MaximumScalar")


class MinimumScalar(Scalar):
    """The smaller of data and scalar; equal ones pass the gradient."""

    function = functions.MINIMUM
    names = ("_minimum_scalar", "_MinimumScalar")


class EqualScalar(Scalar):
    """Whether data is equal to scalar."""

    function = functions.EQUAL
    names = ("_equal_scalar", "_EqualScalar")


class NotEqualScalar(Scalar):
    """Whether data differs from scalar."""

    function = functions.NOT_EQUAL
    names = ("_not_equal_scalar", "_NotEqualScalar")


class GreaterScalar(Scalar):
    """Whether data is greater than scalar."""

    function = functions.GREATER
    names = ("_greater_scalar", "_GreaterScalar")


class GreaterEqualScalar(Scalar):
    """Whether data is greater than scalar or equal."""

    function = functions.GREATER_EQUAL
    names = ("_greater_equal_scalar", "_GreaterEqualScalar")


class LesserScalar(Scalar):
    """Whether data is less than scalar."""

    function = functions.LESSER
    names = ("_lesser_scalar", "_LesserScalar")


class LesserEqualScalar(Scalar):
    """Whether data is less than scalar or equal."""

    function = functions.LESSER_EQUAL
    names = ("_lesser_equal_scalar", "_LesserEqualScalar")


class LogicalAndScalar(Scalar):
    """Whether neither of data and scalar is 0."""

    function = functions.LOGICAL_AND
    names = ("_logical_and_scalar", "_LogicalAndScalar")


class LogicalOrScalar(Scalar):
    """Whether not both of data and scalar are 0."""

    function = functions.LOGICAL_OR
    names = ("_logical_or_scalar", "_LogicalOrScalar")


class LogicalXorScalar(Scalar):
    """Whether exactly one of data and scalar is 0."""

    function = functions.LOGICAL_XOR
    names = ("_logical_xor_scalar", "_LogicalXorScalar")

"""Functions of every element: the base of them all; powers, exponentials, logarithms."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from netdef.ops.arrays import ordered
from netdef.ops.base import Op, Workspace
from netdef.ops.elementwise import Pairs, only_numbers
from netdef.ops.fields import Float
from netdef.ops.foreign import As
from netdef.ops.shapes import Full, Shapes, Types

#: what `Op.examples` holds
Examples = tuple[tuple[dict[str, Any], dict[str, Full]], ...]


class Unary(Op, abstract=True):
    """A function of every element: data -> output of the same shape; no gradient passes.

    `function` is what the array module calls it, or `value` computes it.  Of integers, unless the function is
    `exact` on them, the real result is cut towards 0, as in C; for that an array is made on the spot, which
    is not worth a place in every plan.
    """

    function: ClassVar[str] = ""
    exact: ClassVar[bool] = False
    #: whether `value` needs a workspace like the data, and the dtype of that of `slope`, if not the data's
    value_works: ClassVar[bool] = False
    slope_dtype: ClassVar[str] = ""

    scratch = ("work",)
    batched = ("data", "output")
    batch_last = None
    any_order = True
    inplace: ClassVar[Pairs] = (("data", "output"),)
    examples: ClassVar[Examples] = (({}, {"data": (4, 3, 2)}),)

    def types(self, t: Types) -> None:  # type: ignore[override]
        super().types(t)
        only_numbers(t, "data")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        if backward:
            return {"work": Workspace(s.full("data"), self.slope_dtype)}
        return {"work": Workspace(s.full("data"))} if self.value_works else {}

    def value(self, xp: Any, data: Any, output: Any, work: Any) -> None:
        """Write the function into `output`, which may be the memory of `data`."""
        getattr(xp, self.function)(data, out=output)

    def forward(self, xp: Any, data: Any, output: Any, work: Any) -> None:
        if self.exact or output.dtype.kind == "f":
            self.value(xp, data, output, work if work is None else ordered(work, data))
        else:
            real = data.astype("float64")
            self.value(xp, real, real, xp.empty_like(real))
            xp.copyto(output, real, casting="unsafe")


class FromData(Unary, abstract=True):
    """A function whose derivative is computed from the data."""

    inplace: ClassVar[Pairs] = (("data", "output"), ("doutput", "ddata"), ("data", "ddata"))

    def slope(self, xp: Any, data: Any, work: Any) -> Any:
        """The derivative, a number or an array, such as `work` once it is written."""
        raise NotImplementedError

    def backward(self, xp: Any, doutput: Any, data: Any, ddata: Any, work: Any) -> None:
        xp.multiply(doutput, self.slope(xp, data, ordered(work, data)), out=ddata)


class FromOutput(Unary, abstract=True):
    """A function whose derivative is computed from the output, so that a chain of them may work in place."""

    inplace: ClassVar[Pairs] = (("data", "output"), ("doutput", "ddata"), ("output", "ddata"))

    def slope(self, xp: Any, output: Any, work: Any) -> Any:
        """The derivative, a number or an array, such as `work` once it is written."""
        raise NotImplementedError

    def backward(self, xp: Any, doutput: Any, output: Any, ddata: Any, work: Any) -> None:
        xp.multiply(doutput, self.slope(xp, output, ordered(work, output)), out=ddata)


class Multiple(Unary, abstract=True):
    """The data times a constant."""

    factor: ClassVar[float]
    inplace: ClassVar[Pairs] = (("data", "output"), ("doutput", "ddata"))

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {}

    def value(self, xp: Any, data: Any, output: Any, work: Any) -> None:
        xp.multiply(data, self.factor, out=output)

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        xp.multiply(doutput, self.factor, out=ddata)


class Negative(Multiple):
    """-data."""

    names = ("negative", "_sparse_negative")
    onnx = (As("Neg"),)
    exact = True
    factor = -1

    def value(self, xp: Any, data: Any, output: Any, work: Any) -> None:
        xp.negative(data, out=output)


class Abs(FromData):
    """The absolute value; its derivative at 0 is 0, and for NaN, too."""

    names = ("abs", "_sparse_abs")
    onnx = (As("Abs"),)
    function = "absolute"
    exact = True

    def slope(self, xp: Any, data: Any, work: Any) -> Any:
        # not xp.sign, which is NaN for NaN
        xp.absolute(data, out=work)
        xp.greater(work, 0, out=work)
        xp.copysign(work, data, out=work, casting="unsafe")
        return work


class Reciprocal(FromData):
    """1 / data."""

    names = ("reciprocal",)
    onnx = (As("Reciprocal"),)

    def value(self, xp: Any, data: Any, output: Any, work: Any) -> None:
        xp.divide(1, data, out=output)

    def slope(self, xp: Any, data: Any, work: Any) -> Any:
        xp.multiply(data, data, out=work)
        xp.divide(-1, work, out=work)
        return work


class Square(FromData):
    """data squared."""

    names = ("square", "_sparse_square")
    function = "square"
    exact = True

    def slope(self, xp: Any, data: Any, work: Any) -> Any:
        xp.multiply(data, 2, out=work)
        return work


class Sqrt(FromOutput):
    """The square root; NaN for negative numbers."""

    names = ("sqrt", "_sparse_sqrt")
    onnx = (As("Sqrt"),)
    function = "sqrt"

    def slope(self, xp: Any, output: Any, work: Any) -> Any:
        xp.divide(0.5, output, out=work)
        return work


class Rsqrt(FromData):
    """1 / the square root."""

    names = ("rsqrt", "_sparse_rsqrt")

    def value(self, xp: Any, data: Any, output: Any, work: Any) -> None:
        xp.sqrt(data, out=output)
        xp.divide(1, output, out=output)

    def slope(self, xp: Any, data: Any, work: Any) -> Any:
        xp.sqrt(data, out=work)
        xp.multiply(work, data, out=work)
        xp.divide(-0.5, work, out=work)
        return work


class Cbrt(FromOutput):
    """The cube root, of negative numbers, too."""

    names = ("cbrt", "_sparse_cbrt")
    function = "cbrt"

    def slope(self, xp: Any, output: Any, work: Any) -> Any:
        xp.multiply(output, output, out=work)
        xp.divide(1 / 3, work, out=work)
        return work


class Rcbrt(FromData):
    """1 / the cube root."""

    names = ("rcbrt",)

    def value(self, xp: Any, data: Any, output: Any, work: Any) -> None:
        xp.cbrt(data, out=output)
        xp.divide(1, output, out=output)

    def slope(self, xp: Any, data: Any, work: Any) -> Any:
        xp.cbrt(data, out=work)
        xp.multiply(work, data, out=work)
        xp.divide(-1 / 3, work, out=work)
        return work


class Exp(FromOutput):
    """e to the power of data."""

    names = ("exp", "_sparse_exp")
    onnx = (As("Exp"),)
    function = "exp"

    def slope(self, xp: Any, output: Any, work: Any) -> Any:
        return output


class Expm1(FromOutput):
    """e to the power of data, less 1; exact near 0."""

    names = ("expm1", "_sparse_expm1")
    function = "expm1"

    def slope(self, xp: Any, output: Any, work: Any) -> Any:
        xp.add(output, 1, out=work)
        return work


class Logarithm(FromData, abstract=True):
    """A logarithm; -infinity at 0 and NaN below, where the derivative is still that of the formula."""

    base: ClassVar[float] = math.e

    def slope(self, xp: Any, data: Any, work: Any) -> Any:
        xp.divide(1 / math.log(self.base), data, out=work)
        return work


class Log(Logarithm):
    """The natural logarithm."""

    names = ("log", "_sparse_log")
    onnx = (As("Log"),)
    function = "log"


class Log10(Logarithm):
    """The logarithm to base 10."""

    names = ("log10", "_sparse_log10")
    function = "log10"
    base = 10


class Log2(Logarithm):
    """The logarithm to base 2."""

    names = ("log2", "_sparse_log2")
    function = "log2"
    base = 2


class Log1p(FromData):
    """log(1 + data); exact near 0."""

    names = ("log1p", "_sparse_log1p")
    function = "log1p"

    def slope(self, xp: Any, data: Any, work: Any) -> Any:
        xp.add(data, 1, out=work)
        xp.divide(1, work, out=work)
        return work


class SmoothL1(FromData):
    """A loss of each element that is square near 0 and linear beyond.

    (sigma x)^2 / 2 where |x| < 1/sigma^2, |x| - 1 / (2 sigma^2) elsewhere; sigma is `scalar`.  Girshick 2015.
    """

    scalar = Float(1.0, "sigma: the loss turns linear at 1/sigma^2")

    names = ("smooth_l1",)
    value_works = True
    examples = (({}, {"data": (4, 3, 2)}), ({"scalar": 2}, {"data": (4, 3)}))

    def value(self, xp: Any, data: Any, output: Any, work: Any) -> None:
        square = self.scalar * self.scalar
        xp.absolute(data, out=work)
        xp.minimum(work, 1 / square if square else math.inf, out=output)
        xp.subtract(work, output, out=work)
        xp.multiply(output, output, out=output)
        xp.multiply(output, 0.5 * square, out=output)
        xp.add(output, work, out=output)

    def slope(self, xp: Any, data: Any, work: Any) -> Any:
        xp.multiply(data, self.scalar * self.scalar, out=work)
        work.clip(-1, 1, out=work)
        return work

"""Elementwise operators of tensors that have one shape (MXNet's rule: nothing is broadcast)."""

from __future__ import annotations

from typing import Any, ClassVar

from netdef.ops.arrays import ordered
from netdef.ops.base import Op, Variadic, Workspace
from netdef.ops.fields import Float, Floats
from netdef.ops.foreign import As, Fixed, Lost
from netdef.ops.shapes import ShapeError, Shapes

#: pairs (read, written) that may be one array
Pairs = tuple[tuple[str, str], ...]


def same_shape(s: Shapes, *names: str) -> None:
    """Learn that all these tensors have one shape; inputs that differ are a finding of their own."""
    try:
        s.same(*names)
    except ShapeError as error:
        error.kind = "input-shapes-differ"
        raise


class Binary(Op, abstract=True):
    """An operator of two tensors of one shape: lhs, rhs -> output.

    A derived class names the array function.  Its `backward` writes `drhs` last, because that may be the
    memory of `doutput`.
    """

    inputs = ("lhs", "rhs")
    inplace: ClassVar[Pairs] = (("lhs", "output"), ("rhs", "output"), ("doutput", "drhs"))
    examples = (({}, {"lhs": (4, 3, 2), "rhs": (4, 3, 2)}),)
    function = ""

    def shape(self, s: Shapes) -> None:
        same_shape(s, "lhs", "rhs", "output")

    def forward(self, xp: Any, lhs: Any, rhs: Any, output: Any) -> None:
        getattr(xp, self.function)(lhs, rhs, out=output)


class Plus(Binary):
    """lhs + rhs."""

    names = ("elemwise_add", "_plus", "_Plus", "_add")
    function = "add"
    inplace = (*Binary.inplace, ("doutput", "dlhs"))
    onnx = (As("Add"),)

    def backward(self, xp: Any, doutput: Any, dlhs: Any, drhs: Any) -> None:
        if dlhs is not None:
            xp.copyto(dlhs, doutput)
        if drhs is not None:
            xp.copyto(drhs, doutput)


class Minus(Binary):
    """lhs - rhs."""

    names = ("elemwise_sub", "_minus", "_Minus", "_sub")
    function = "subtract"
    inplace = (*Binary.inplace, ("doutput", "dlhs"))
    onnx = (As("Sub"),)

    def backward(self, xp: Any, doutput: Any, dlhs: Any, drhs: Any) -> None:
        if dlhs is not None:
            xp.copyto(dlhs, doutput)
        if drhs is not None:
            xp.negative(doutput, out=drhs)


class Mul(Binary):
    """lhs * rhs."""

    names = ("elemwise_mul", "_mul", "_Mul")
    function = "multiply"
    onnx = (As("Mul"),)

    def backward(self, xp: Any, doutput: Any, lhs: Any, rhs: Any, dlhs: Any, drhs: Any) -> None:
        if dlhs is not None:
            xp.multiply(doutput, rhs, out=dlhs)
        if drhs is not None:
            xp.multiply(doutput, lhs, out=drhs)


class Div(Binary):
    """lhs / rhs."""

    names = ("elemwise_div", "_div", "_Div")
    function = "divide"
    onnx = (As("Div"),)

    def backward(self, xp: Any, doutput: Any, lhs: Any, rhs: Any, dlhs: Any, drhs: Any) -> None:
        if dlhs is not None:
            xp.divide(doutput, rhs, out=dlhs)
        if drhs is not None:  # -doutput * lhs / rhs^2
            xp.divide(doutput, rhs, out=drhs)
            xp.multiply(drhs, lhs, out=drhs)
            xp.divide(drhs, rhs, out=drhs)
            xp.negative(drhs, out=drhs)


class _Choice(Binary, abstract=True):
    """One of the two values: the left one where the comparison `keeps_left` holds."""

    keeps_left = ""
    scratch = ("mask",)

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"mask": Workspace(s.full("lhs"), "bool")} if backward else {}

    def backward(self, xp: Any, doutput: Any, lhs: Any, rhs: Any, dlhs: Any, drhs: Any, mask: Any) -> None:
        mask = ordered(mask, lhs)
        getattr(xp, self.keeps_left)(lhs, rhs, out=mask)
        if dlhs is not None:
            xp.multiply(doutput, mask, out=dlhs)
        if drhs is not None:
            xp.logical_not(mask, out=mask)
            xp.multiply(doutput, mask, out=drhs)


class Maximum(_Choice):
    """The larger of lhs and rhs; the gradient goes to the one that was taken, of equal ones to lhs."""

    names = ("_maximum", "_Maximum")
    function, keeps_left = "maximum", "greater_equal"
    onnx = (As("Max"),)


class Minimum(_Choice):
    """The smaller of lhs and rhs; the gradient goes to the one that was taken, of equal ones to lhs."""

    names = ("_minimum", "_Minimum")
    function, keeps_left = "minimum", "less_equal"
    onnx = (As("Min"),)


class Scalar(Op, abstract=True):
    """An operator of a tensor and a number: data, scalar -> output of the same shape."""

    scalar = Float(help="the number")

    inplace: ClassVar[Pairs] = (("data", "output"), ("doutput", "ddata"))
    examples = (({"scalar": 1.5}, {"data": (4, 3, 2)}),)


class PlusScalar(Scalar):
    """data + scalar."""

    names = ("_plus_scalar", "_PlusScalar")

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        xp.add(data, self.scalar, out=output)

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        xp.copyto(ddata, doutput)


class MinusScalar(PlusScalar):
    """data - scalar."""

    names = ("_minus_scalar", "_MinusScalar")

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        xp.subtract(data, self.scalar, out=output)


class RMinusScalar(Scalar):
    """scalar - data."""

    names = ("_rminus_scalar", "_RMinusScalar")

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        xp.subtract(self.scalar, data, out=output)

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        xp.negative(doutput, out=ddata)


class MulScalar(Scalar):
    """data * scalar."""

    names = ("_mul_scalar", "_MulScalar")

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        xp.multiply(data, self.scalar, out=output)

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        xp.multiply(doutput, self.scalar, out=ddata)


class DivScalar(Scalar):
    """data / scalar."""

    names = ("_div_scalar", "_DivScalar")

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        xp.divide(data, self.scalar, out=output)

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        xp.divide(doutput, self.scalar, out=ddata)


class RDivScalar(Scalar):
    """scalar / data."""

    names = ("_rdiv_scalar", "_RDivScalar")
    inplace = (("data", "output"),)

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        xp.divide(self.scalar, data, out=output)

    def backward(self, xp: Any, doutput: Any, data: Any, ddata: Any) -> None:
        # -doutput * scalar / data^2
        xp.divide(-self.scalar, data, out=ddata)
        xp.divide(ddata, data, out=ddata)
        xp.multiply(ddata, doutput, out=ddata)


class ElementWiseSum(Variadic):
    """The sum of any number of tensors of one shape: arg0, arg1, ... -> output.

    MXNet's ElementWiseSum (add_n); with `coeff` the weighted sum of Caffe's Eltwise SUM.
    """

    coeff = Floats((), "weight of each input; left out: 1 for all")

    names = ("ElementWiseSum", "add_n")
    scratch = ("work",)
    inplace = (("arg0", "output"), ("doutput", "darg0"))
    onnx = (As("Sum", num_args=Lost("the number of inputs says it"), coeff=Fixed(())),)
    examples = (
        ({"num_args": 3}, {"arg0": (4, 3), "arg1": (4, 3), "arg2": (4, 3)}),
        ({"num_args": 1}, {"arg0": (4, 3)}),
        ({"num_args": 1, "coeff": (-2.0,)}, {"arg0": (4, 3)}),
        ({"num_args": 3, "coeff": (2, -1, 0.5)}, {"arg0": (4, 3), "arg1": (4, 3), "arg2": (4, 3)}),
    )

    def shape(self, s: Shapes) -> None:
        if self.coeff and len(self.coeff) != self.num_args:
            raise ShapeError(
                f"{len(self.coeff)} coefficients for {self.num_args} inputs",
                attribute="coeff",
                hint="give one for each input, or none",
            )
        same_shape(s, *self.input_names(), "output")

    def _weights(self) -> tuple[float, ...]:
        return self.coeff or (1.0,) * self.num_args

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        plain = all(abs(weight) == 1 for weight in self._weights()[1:])
        return {} if backward or plain else {"work": Workspace(s.full("output"))}

    def forward(self, xp: Any, args: Any, output: Any, work: Any) -> None:
        weights = self._weights()
        if self.num_args > 1 and weights[:2] == (1, 1):
            xp.add(args[0], args[1], out=output)
            rest = 2
        else:
            xp.multiply(args[0], weights[0], out=output)
            rest = 1
        for array, weight in zip(args[rest:], weights[rest:]):
            if weight == 1:
                xp.add(output, array, out=output)
            elif weight == -1:
                xp.subtract(output, array, out=output)
            else:
                work = ordered(work, array)
                xp.multiply(array, weight, out=work)
                xp.add(output, work, out=output)

    def backward(self, xp: Any, doutput: Any, dargs: Any) -> None:
        # the first input last: its gradient may be the memory of doutput
        for gradient, weight in zip(reversed(dargs), reversed(self._weights())):
            if gradient is not None:
                xp.multiply(doutput, weight, out=gradient)


class Identity(Op, abstract=True):
    """The input itself: data -> output, the same memory where the plan allows."""

    work = 0
    inplace: ClassVar[Pairs] = (("data", "output"),)
    onnx = (As("Identity"),)
    examples = (({}, {"data": (4, 3, 2)}),)

    def view(self, train: bool) -> tuple[str, str] | None:
        return "data", "output"

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        xp.copyto(output, data)


class Copy(Identity):
    """The input itself: data -> output of the same shape."""

    names = ("_copy", "identity")
    inplace = (*Identity.inplace, ("doutput", "ddata"))

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        xp.copyto(ddata, doutput)


class BlockGrad(Identity):
    """The input itself, and no gradient for what lies below: data -> output of the same shape."""

    names = ("BlockGrad", "stop_gradient")

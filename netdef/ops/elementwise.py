"""What maps elements to elements: the base of its operators, sums of many tensors, identities, constants."""

from __future__ import annotations

from typing import Any, ClassVar

from netdef.ops.arrays import ordered
from netdef.ops.base import Cut, Op, Variadic, Workspace
from netdef.ops.fields import DType, Float, Floats
from netdef.ops.foreign import As, Fixed, Lost
from netdef.ops.shapes import ShapeError, Shapes, Types

#: pairs (read, written) that may be one array
Pairs = tuple[tuple[str, str], ...]


def same_shape(s: Shapes, *names: str) -> None:
    """Learn that all these tensors have one shape; inputs that differ are a finding of their own."""
    try:
        s.same(*names)
    except ShapeError as error:
        error.kind = "input-shapes-differ"
        raise


def refuse_types(t: Types, name: str, kinds: tuple[str, ...], needed: str) -> None:
    """Refuse a tensor whose dtype begins with one of `kinds`; `needed` says what would do."""
    dtype: Any = t[name]
    if dtype is not None and dtype.startswith(kinds):
        raise ShapeError(f"{name} is {dtype}, but {needed} are needed", tensor=name, kind="dtype-mismatch")


def only_numbers(t: Types, name: str) -> None:
    """MXNet's arithmetic takes integers of any size, but no truth values."""
    refuse_types(t, name, ("bool",), "numbers")


def cut_anywhere(s: Shapes, *names: str) -> tuple[Cut, ...]:
    """How tensors of one shape are cut that are computed element by element: along the batch if it is one."""
    first = next((axis for axis, size in enumerate(s.full(names[0])) if size > 1), 0)
    return (Cut(dict.fromkeys(names, first)),)


def add_up(xp: Any, full: Any, target: Any) -> None:
    """Sum over the axes along which `target` was broadcast."""
    shaped = target.reshape((1,) * (full.ndim - target.ndim) + target.shape)
    axes = tuple(axis for axis in range(full.ndim) if shaped.shape[axis] != full.shape[axis])
    full.sum(axis=axes, keepdims=True, out=shaped)


class ElementWiseSum(Variadic):
    """The sum of any number of tensors of one shape: arg0, arg1, ... -> output.

    MXNet's ElementWiseSum (add_n); with `coeff` the weighted sum of Caffe's Eltwise SUM.
    """

    coeff = Floats((), "weight of each input; left out: 1 for all")

    batch_last = None
    any_order = True
    names = ("add_n", "ElementWiseSum", "_sparse_ElementWiseSum", "_sparse_add_n")
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

    def samples(self, s: Shapes) -> tuple[str, ...]:
        return (*self.input_names(), "output")

    def cuts(self, s: Shapes, backward: bool) -> tuple[Cut, ...]:
        return cut_anywhere(s, *self.input_names(), "output")

    def hands_down(self) -> tuple[str, ...]:
        return self.input_names() if {*self._weights()} == {1.0} else ()

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
            _weigh(xp, args[0], weights[0], output)
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
                _weigh(xp, doutput, weight, gradient)


def _weigh(xp: Any, array: Any, weight: float, out: Any) -> None:
    """A multiple of an array; integers stay integers where the weight is 1."""
    if weight == 1:
        xp.copyto(out, array)
    else:
        xp.multiply(array, weight, out=out)


class Identity(Op, abstract=True):
    """The input itself: data -> output, the same memory where the plan allows."""

    work = 0
    inplace: ClassVar[Pairs] = (("data", "output"),)

    def view(self, train: bool) -> tuple[str, str] | None:
        return "data", "output"

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        xp.copyto(output, data)


class Copy(Identity):
    """The input itself: data -> output of the same shape."""

    names = ("_copy", "identity")
    batched = ("data", "output")
    batch_last = None
    inplace = (*Identity.inplace, ("doutput", "ddata"))
    onnx = (As("Identity"),)
    examples = (({}, {"data": (4, 3, 2)}),)

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        xp.copyto(ddata, doutput)


class BlockGrad(Identity):
    """The input itself, and no gradient for what lies below: data -> output of the same shape."""

    onnx = (As("Identity"),)
    examples = (({}, {"data": (4, 3, 2)}),)
    names = ("BlockGrad", "stop_gradient", "_sparse_stop_gradient")
    batched = ("data", "output")
    batch_last = None


class MakeLossOfEach(Op):
    """Let every element be a loss: data -> loss, the same numbers, with a gradient of 1 for each.

    The gradient that arrives is not looked at.  MXNet's make_loss; MakeLoss is the operator with a scale.
    """

    names = ("make_loss", "_sparse_make_loss")
    outputs = ("loss",)
    work = 0
    inplace = (("data", "loss"),)
    examples = (({}, {"data": (4, 3, 2)}),)

    def view(self, train: bool) -> tuple[str, str] | None:
        return "data", "loss"

    def forward(self, xp: Any, data: Any, loss: Any) -> None:
        xp.copyto(loss, data)

    def backward(self, xp: Any, ddata: Any) -> None:
        ddata.fill(1)


class IdentityWithAttrLikeRhs(Op):
    """The left tensor, which has the shape and the dtype of the right one: lhs, rhs -> output.

    The values of rhs are not read; its gradient is 0.  MXNet's _identity_with_attr_like_rhs.
    """

    names = ("_identity_with_attr_like_rhs",)
    inputs = ("lhs", "rhs")
    work = 0
    inplace = (("lhs", "output"), ("doutput", "dlhs"))
    examples = (({}, {"lhs": (4, 3), "rhs": (4, 3)}),)

    def shape(self, s: Shapes) -> None:
        same_shape(s, "lhs", "rhs", "output")

    def view(self, train: bool) -> tuple[str, str] | None:
        return "lhs", "output"

    def forward(self, xp: Any, lhs: Any, output: Any) -> None:
        xp.copyto(output, lhs)

    def backward(self, xp: Any, doutput: Any, dlhs: Any) -> None:
        xp.copyto(dlhs, doutput)


class _Constant(Op, abstract=True):
    """One number everywhere: data -> output of the shape and dtype of data, whose values are not read."""

    value = 0

    work = 0
    examples = (({}, {"data": (4, 3, 2)}),)

    def forward(self, xp: Any, output: Any) -> None:
        output.fill(self.value)


class ZerosLike(_Constant):
    """Zeros: data -> output of the shape and dtype of data."""

    names = ("zeros_like", "_sparse_zeros_like")


class OnesLike(_Constant):
    """Ones: data -> output of the shape and dtype of data."""

    names = ("ones_like",)
    value = 1


class Cast(Op):
    """The same numbers in another dtype: data -> output of the same shape.

    What does not fit is cut as a processor does: fractions to whole numbers towards 0, large numbers to the
    last bits; anything but 0 is true.  The gradient is cast back.
    """

    dtype = DType(
        *("float16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool"),
        help="the dtype of the output",
    )

    names = ("Cast", "cast")
    work = 0
    examples = (
        ({"dtype": "float64"}, {"data": (4, 3, 2)}),
        ({"dtype": "int32"}, {"data": (4, 3)}),
    )

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.merge("output", self.dtype, f"it is cast to {self.dtype}")

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        xp.copyto(output, data, casting="unsafe")

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        xp.copyto(ddata, doutput, casting="unsafe")


class Clip(Op):
    """Keep every element between two numbers: data -> output of the same shape.

    A gradient passes where nothing was changed, on the bounds themselves, too.  NaN stays NaN.
    """

    a_min = Float(help="the least number", infinite=True)
    a_max = Float(help="the largest number", infinite=True)

    names = ("clip", "_sparse_clip")
    scratch = ("inside", "below")
    inplace = (("data", "output"), ("doutput", "ddata"), ("data", "ddata"))
    examples = (
        ({"a_min": -0.5, "a_max": 0.7}, {"data": (4, 3, 2)}),
        ({"a_min": -0.5, "a_max": float("inf")}, {"data": (4, 3)}),
    )

    def types(self, t: Types) -> None:  # type: ignore[override]
        super().types(t)
        only_numbers(t, "data")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        mask = Workspace(s.full("data"), "bool")
        return {"inside": mask, "below": mask} if backward else {}

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        if output.dtype.kind == "f":
            data.clip(self.a_min, self.a_max, out=output)
        else:  # MXNet compares as real numbers and then cuts the bounds
            xp.clip(data, self.a_min, self.a_max, out=output, dtype="float64", casting="unsafe")

    def backward(self, xp: Any, doutput: Any, data: Any, ddata: Any, inside: Any, below: Any) -> None:
        inside, below = ordered(inside, data), ordered(below, data)
        xp.less(data, self.a_min, out=below)
        xp.greater(data, self.a_max, out=inside)
        xp.logical_or(inside, below, out=inside)
        xp.logical_not(inside, out=inside)
        xp.multiply(doutput, inside, out=ddata)

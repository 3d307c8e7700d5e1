"""What Symbol and NDArray have in common: arithmetic, and operators as methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from netdef.mx.base import is_number

T = TypeVar("T", bound="Fluent")

#: operators that are methods of the first input: MXNet's fluent methods
METHODS = """
    abs arccos arccosh arcsin arcsinh arctan arctanh argmax argmax_channel argmin argsort broadcast_axes
    broadcast_like broadcast_to cbrt ceil clip cos cosh degrees depth_to_space diag exp expand_dims
    expm1 fix flatten flip floor log log10 log1p log2 log_softmax max mean min nanprod nansum norm
    one_hot ones_like pad pick prod radians rcbrt reciprocal relu repeat reshape_like rint round rsqrt
    shape_array sigmoid sign sin sinh size_array slice slice_axis slice_like softmax softmin sort
    space_to_depth split sqrt square squeeze sum swapaxes take tan tanh tile topk transpose trunc
    zeros_like
"""


class Fluent:
    """Arithmetic with a tensor or a number on either side, and a method for each of `METHODS`.

    A subclass says what applying an operator makes.  Operators are written `_Plus` for two tensors and
    `_PlusScalar` for one and a number, as MXNet's Symbol calls them, since its automatic names follow.
    """

    __slots__ = ()
    #: numpy leaves `number * tensor` to the tensor
    __array_ufunc__ = None
    #: equality is an operator, as in MXNet
    __hash__: Any = None

    def _apply(self: T, operator: str, *inputs: Any, **values: Any) -> T:
        """The operator, by any of its names, applied to inputs."""
        raise NotImplementedError

    def _pair(self: T, other: Any, tensors: str, number: str, **values: Any) -> T:
        """An operator of this tensor and of another, or of this tensor and a number."""
        if isinstance(other, type(self)):
            return self._apply(tensors, self, other, **values)
        if is_number(other):
            scalar = int(other) if isinstance(other, bool) else other
            return self._apply(number, self, scalar=scalar, **values)
        kind = type(self).__name__
        raise TypeError(f"type {type(other)} is not supported beside a {kind}; give a {kind} or a number")

    def __add__(self: T, other: Any) -> T:
        return self._pair(other, "_Plus", "_PlusScalar")

    def __sub__(self: T, other: Any) -> T:
        return self._pair(other, "_Minus", "_MinusScalar")

    def __mul__(self: T, other: Any) -> T:
        return self._pair(other, "_Mul", "_MulScalar")

    def __truediv__(self: T, other: Any) -> T:
        return self._pair(other, "_Div", "_DivScalar")

    def __mod__(self: T, other: Any) -> T:
        return self._pair(other, "_Mod", "_ModScalar")

    def __pow__(self: T, other: Any) -> T:
        return self._pair(other, "_Power", "_PowerScalar")

    def __rsub__(self: T, other: Any) -> T:
        return self._pair(other, "_Minus", "_RMinusScalar")

    def __rtruediv__(self: T, other: Any) -> T:
        return self._pair(other, "_Div", "_RDivScalar")

    def __rmod__(self: T, other: Any) -> T:
        return self._pair(other, "_Mod", "_RModScalar")

    def __rpow__(self: T, other: Any) -> T:
        return self._pair(other, "_Power", "_rpower_scalar")

    def __eq__(self: T, other: Any) -> T:  # type: ignore[override]
        return self._pair(other, "_equal", "_equal_scalar")

    def __ne__(self: T, other: Any) -> T:  # type: ignore[override]
        return self._pair(other, "_not_equal", "_not_equal_scalar")

    def __gt__(self: T, other: Any) -> T:
        return self._pair(other, "_greater", "_greater_scalar")

    def __ge__(self: T, other: Any) -> T:
        return self._pair(other, "_greater_equal", "_greater_equal_scalar")

    def __lt__(self: T, other: Any) -> T:
        return self._pair(other, "_lesser", "_lesser_scalar")

    def __le__(self: T, other: Any) -> T:
        return self._pair(other, "_lesser_equal", "_lesser_equal_scalar")

    def __neg__(self: T) -> T:
        return self._apply("_MulScalar", self, scalar=-1.0)

    def __abs__(self: T) -> T:
        return self._apply("abs", self)

    __radd__ = __add__
    __rmul__ = __mul__

    def reshape(self: T, *shape: Any, **values: Any) -> T:
        """The elements in another shape, given as one tuple or as numbers; the codes are those of Reshape."""
        if len(shape) > 1:
            values["shape"] = shape
        elif shape:
            values["shape"] = (shape[0],) if is_number(shape[0]) else tuple(shape[0])
        return self._apply("reshape", self, **values)

    def astype(self: T, dtype: Any, **values: Any) -> T:
        """The elements as another numpy type."""
        return self._apply("cast", self, dtype=dtype, **values)

    def split_v2(
        self: T,
        indices_or_sections: int | Sequence[int],
        axis: int = 0,
        squeeze_axis: bool = False,
        **values: Any,
    ) -> T:
        """Parts along an axis: so many equal ones, or those that begin at 0 and at the indices."""
        if isinstance(indices_or_sections, int):
            where: dict[str, Any] = {"indices": [], "sections": indices_or_sections}
        else:
            where = {"indices": [0, *indices_or_sections], "sections": 0}
        return self._apply("_split_v2", self, axis=axis, squeeze_axis=squeeze_axis, **where, **values)


def _method(operator: str) -> Callable[..., Any]:
    def method(self: Fluent, *args: Any, **values: Any) -> Any:
        return self._apply(operator, self, *args, **values)

    method.__name__ = operator
    method.__doc__ = f"The operator `{operator}` with this as its first input."
    return method


for _operator in METHODS.split():
    setattr(Fluent, _operator, _method(_operator))


def either(
    left: Any, right: Any, tensors: str, numbers: tuple[str, str], plain: Callable[[Any, Any], Any]
) -> Any:
    """A function of two, each a tensor or a number; `numbers` name the operators with one right and left."""
    if isinstance(left, Fluent):
        return left._pair(right, tensors, numbers[0])
    if isinstance(right, Fluent):
        return right._pair(left, tensors, numbers[1])
    if is_number(left) and is_number(right):
        return plain(left, right)
    raise TypeError(f"types {type(left)} and {type(right)} are not supported; give tensors or numbers")

"""NDArrays: numpy arrays with a context, under MXNet's names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netdef.diag import MXNetError
from netdef.graph.create import counted_texts, in_roles, make_operator, sort_arguments
from netdef.mx.fluent import Fluent
from netdef.mx.generator import generator
from netdef.mx.ndarray.indexing import numpy_key, read
from netdef.ops import find
from netdef.runtime.context import Context, cpu, current_context
from netdef.runtime.invoke import invoke

#: arithmetic of arrays broadcasts, that of symbols does not
_BROADCAST = {
    "_Plus": "broadcast_add",
    "_Minus": "broadcast_sub",
    "_Mul": "broadcast_mul",
    "_Div": "broadcast_div",
    "_Mod": "broadcast_mod",
    "_Power": "broadcast_power",
    "_Maximum": "broadcast_maximum",
    "_Minimum": "broadcast_minimum",
    "_Hypot": "broadcast_hypot",
    **{
        f"_{name}": f"broadcast_{name}"
        for name in (
            *("equal", "not_equal", "greater", "greater_equal", "lesser", "lesser_equal"),
            *("logical_and", "logical_or", "logical_xor"),
        )
    },
}


class NDArray(Fluent):
    """An array on a device.  `array` is the array of the context's array module that holds the values.

    It is contiguous.  What indexing and `reshape` give shares its memory where it can.
    """

    __slots__ = ("array", "context")

    def __init__(self, array: Any, context: Context | None = None) -> None:
        self.array, self.context = array, context or cpu()

    __hash__ = object.__hash__

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    @property
    def size(self) -> int:
        return int(self.array.size)

    @property
    def ndim(self) -> int:
        return int(self.array.ndim)

    @property
    def dtype(self) -> type:
        """The numpy scalar type, such as `numpy.float32`."""
        return self.array.dtype.type

    @property
    def ctx(self) -> Context:
        return self.context

    @property
    def stype(self) -> str:
        """The storage type; arrays are dense here."""
        return "default"

    @property
    def T(self) -> NDArray:
        """A copy with the axes in reverse order; the array itself where it has one."""
        return self if self.ndim < 2 else self._apply("transpose", self)

    # -- values --

    def asnumpy(self) -> np.ndarray:
        """A copy as a numpy array."""
        return np.array(self.array.get() if hasattr(self.array, "get") else self.array)

    def asscalar(self) -> Any:
        """The only element; raises `ValueError` where there are others."""
        if self.size != 1:
            raise ValueError(f"the array has the shape {self.shape}, so it is no scalar")
        return self.asnumpy().reshape(())[()]

    def wait_to_read(self) -> None:
        """Does nothing: every operation is done when it returns."""

    def copy(self) -> NDArray:
        return NDArray(self.array.copy(), self.context)

    def copyto(self, other: NDArray | Context) -> NDArray:
        """Copy the values into an array of the same shape, or into a new one on a device; returns it."""
        if isinstance(other, Context):
            return NDArray(_moved(self.array, other), other)
        if not isinstance(other, NDArray):
            raise TypeError(f"copyto copies to an NDArray or a Context, not to {type(other)}")
        if other.shape != self.shape:
            raise MXNetError(f"cannot copy the shape {self.shape} into the shape {other.shape}")
        other.array[...] = self.array
        return other

    def as_in_context(self, context: Context) -> NDArray:
        """The array itself on its own device, a copy on another one."""
        return self if context == self.context else self.copyto(context)

    as_in_ctx = as_in_context

    def astype(self, dtype: Any, copy: bool = True) -> NDArray:  # type: ignore[override]
        """The elements as another numpy type; without `copy` the array itself where it has that type."""
        if not copy and self.array.dtype == np.dtype(dtype):
            return self
        return NDArray(self.array.astype(np.dtype(dtype)), self.context)

    def detach(self) -> NDArray:
        """The same memory."""
        return NDArray(self.array, self.context)

    def as_nd_ndarray(self) -> NDArray:
        """This array."""
        return self

    def tostype(self, stype: str) -> NDArray:
        """The array itself; raises `MXNetError` for another storage type than "default"."""
        if stype != "default":
            raise MXNetError(f"stype is {stype!r}; arrays are dense here, so only 'default' is legal")
        return self

    def reshape(self, *shape: Any, **values: Any) -> NDArray:
        """The same memory in another shape, with the codes of Reshape; changes show in both."""
        return NDArray(self.array.reshape(super().reshape(*shape, **values).shape), self.context)

    def slice_assign(self, rhs: NDArray, begin: Any, end: Any, step: Any = ()) -> NDArray:
        """Write `rhs` to the part between `begin` and `end`, in place."""
        return self._apply("_slice_assign", self, rhs, begin=begin, end=end, step=step, out=self)

    def slice_assign_scalar(self, value: float, begin: Any, end: Any, step: Any = ()) -> NDArray:
        """Write a number to the part between `begin` and `end`, in place."""
        where = {"begin": begin, "end": end, "step": step}
        return self._apply("_slice_assign_scalar", self, scalar=value, out=self, **where)

    # -- parts --

    def __getitem__(self, key: Any) -> NDArray:
        """A part: the same memory where it is contiguous, else a copy."""
        return NDArray(read(self.array, key), self.context)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.array[numpy_key(key)] = value.array if isinstance(value, NDArray) else value

    def __len__(self) -> int:
        return len(self.array)

    def __bool__(self) -> bool:
        if self.size > 1:
            raise ValueError("an NDArray of several elements has no truth value")
        return self.size == 1 and bool(self.asscalar())

    def __repr__(self) -> str:
        return f"\n{self.asnumpy()}\n<NDArray {'x'.join(map(str, self.shape))} @{self.context}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.asnumpy(), *self.context)

    # -- operators --

    def _apply(self, operator: str, *inputs: Any, **values: Any) -> Any:
        return apply(_BROADCAST.get(operator, operator), *inputs, **values)

    def __iadd__(self, other: Any) -> NDArray:
        return self._pair(other, "_Plus", "_PlusScalar", out=self)

    def __isub__(self, other: Any) -> NDArray:
        return self._pair(other, "_Minus", "_MinusScalar", out=self)

    def __imul__(self, other: Any) -> NDArray:
        return self._pair(other, "_Mul", "_MulScalar", out=self)

    def __itruediv__(self, other: Any) -> NDArray:
        return self._pair(other, "_Div", "_DivScalar", out=self)

    def __imod__(self, other: Any) -> NDArray:
        return self._pair(other, "_Mod", "_ModScalar", out=self)


def apply(
    operator: str, *inputs: Any, out: Any = None, name: str | None = None, ctx: Any = None, **values: Any
) -> Any:
    """An operator applied to arrays at once: an NDArray, or a list where there are several outputs.

    `out` holds arrays for the outputs; `ctx` the device where there are no inputs; `name` is there for the
    sake of code that serves symbols, too.
    """
    tensors, attributes = sort_arguments(operator, inputs, values, NDArray)
    for role, tensor in tensors.items():
        if not isinstance(tensor, NDArray):
            raise MXNetError(f"{operator}: {role} must be an NDArray, not {type(tensor)}")
    operation = make_operator(operator, counted_texts(find(operator), attributes, len(tensors)))
    roles = [operation.called(role) for role in (*operation.input_names(), *operation.state_names())]
    context = next((t.context for t in tensors.values()), None) or _device(ctx)
    targets: Sequence[NDArray] | None = [out] if isinstance(out, NDArray) else out
    results = invoke(
        operation,
        operator,
        context,
        {role: tensor.array for role, tensor in in_roles(operator, roles, tensors).items()},
        None if targets is None else [target.array for target in targets],
        generator(),
    )
    wrapped = list(targets) if targets is not None else [NDArray(result, context) for result in results]
    return wrapped[0] if len(wrapped) == 1 else wrapped


def _device(ctx: Any) -> Context:
    """A device given as such, as MXNet's text `cpu(0)`, or not at all."""
    if isinstance(ctx, str):
        kind, _, number = ctx.partition("(")
        return Context(kind, int(number.rstrip(")") or 0))
    return ctx or current_context()


def _moved(array: Any, context: Context) -> Any:
    """A copy of an array on a device."""
    return context.xp.array(array.get() if hasattr(array, "get") and context.device_type != "gpu" else array)


def _restored(array: np.ndarray, device_type: str, device_id: int) -> NDArray:
    """An array from a pickle, on the CPU if its device is not there."""
    return NDArray(array, Context(device_type, device_id) if device_type != "gpu" else cpu())

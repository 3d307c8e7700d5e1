"""NDArrays: numpy arrays with a context, under MXNet's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from netdef.data.replace import replace_file
from netdef.diag import MXNetError
from netdef.interop.mxnet_params import read_arrays, write_arrays
from netdef.runtime.context import Context, cpu


class NDArray:
    """An array on a device.  `array` is the array of the context's array module that holds the values."""

    __slots__ = ("array", "context")

    def __init__(self, array: Any, context: Context | None = None) -> None:
        self.array, self.context = array, context or cpu()

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

    def asnumpy(self) -> np.ndarray:
        """A copy as a numpy array."""
        return np.array(self.array.get() if hasattr(self.array, "get") else self.array)

    def asscalar(self) -> Any:
        """The only element; raises `ValueError` where there are others."""
        if self.size != 1:
            raise ValueError(f"the array has shape {self.shape}, so it is no scalar")
        return self.asnumpy().reshape(())[()]

    def copy(self) -> NDArray:
        return NDArray(self.array.copy(), self.context)

    def copyto(self, other: NDArray) -> NDArray:
        """Copy the values into `other`, of the same shape; returns it."""
        if other.shape != self.shape:
            raise ValueError(f"cannot copy shape {self.shape} into shape {other.shape}")
        other.array[...] = self.array
        return other

    def __getitem__(self, key: Any) -> NDArray:
        """A view of a part."""
        return NDArray(self.array[_raw(key)], self.context)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.array[_raw(key)] = _raw(value)

    def __len__(self) -> int:
        return len(self.array)

    def __repr__(self) -> str:
        return f"{self.asnumpy()}\n<NDArray {'x'.join(map(str, self.shape))} @{self.context}>"

    def _with(self, other: Any, operation: Any, swapped: bool = False) -> NDArray:
        value = _raw(other)
        left, right = (value, self.array) if swapped else (self.array, value)
        return NDArray(operation(left, right).astype(self.array.dtype, copy=False), self.context)

    def __add__(self, other: Any) -> NDArray:
        return self._with(other, np.add)

    def __sub__(self, other: Any) -> NDArray:
        return self._with(other, np.subtract)

    def __mul__(self, other: Any) -> NDArray:
        return self._with(other, np.multiply)

    def __truediv__(self, other: Any) -> NDArray:
        return self._with(other, np.divide)

    def __pow__(self, other: Any) -> NDArray:
        return self._with(other, np.power)

    def __rsub__(self, other: Any) -> NDArray:
        return self._with(other, np.subtract, swapped=True)

    def __rtruediv__(self, other: Any) -> NDArray:
        return self._with(other, np.divide, swapped=True)

    def __neg__(self) -> NDArray:
        return NDArray(-self.array, self.context)

    __radd__ = __add__
    __rmul__ = __mul__

    def __iadd__(self, other: Any) -> NDArray:
        self.array += _raw(other)
        return self

    def __isub__(self, other: Any) -> NDArray:
        self.array -= _raw(other)
        return self

    def __imul__(self, other: Any) -> NDArray:
        self.array *= _raw(other)
        return self

    def __itruediv__(self, other: Any) -> NDArray:
        self.array /= _raw(other)
        return self


def _raw(value: Any) -> Any:
    return value.array if isinstance(value, NDArray) else value


def _shape(shape: Any) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)


def array(source: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """A copy of `source` (nested lists, numpy array or NDArray); float32 unless `dtype` says otherwise."""
    context = ctx or cpu()
    return NDArray(context.xp.array(_raw(source), dtype=dtype or np.float32), context)


def empty(shape: Any, ctx: Context | None = None, dtype: Any = np.float32) -> NDArray:
    """An array whose values are not set."""
    context = ctx or cpu()
    return NDArray(context.xp.empty(_shape(shape), dtype), context)


def zeros(shape: Any, ctx: Context | None = None, dtype: Any = np.float32) -> NDArray:
    context = ctx or cpu()
    return NDArray(context.xp.zeros(_shape(shape), dtype), context)


def ones(shape: Any, ctx: Context | None = None, dtype: Any = np.float32) -> NDArray:
    context = ctx or cpu()
    return NDArray(context.xp.ones(_shape(shape), dtype), context)


def full(shape: Any, val: float, ctx: Context | None = None, dtype: Any = np.float32) -> NDArray:
    context = ctx or cpu()
    return NDArray(context.xp.full(_shape(shape), val, dtype), context)


def save(fname: str, data: NDArray | Sequence[NDArray] | Mapping[str, NDArray]) -> None:
    """Write arrays, a list or a dict of them, in MXNet's binary format; raises `MXNetError`."""
    if isinstance(data, NDArray):
        data = [data]
    arrays: Any
    if isinstance(data, Mapping):
        arrays = {name: value.asnumpy() for name, value in data.items()}
    else:
        arrays = [value.asnumpy() for value in data]
    content = write_arrays(arrays)
    try:
        replace_file(Path(fname), lambda file: file.write(content))
    except OSError as error:
        raise MXNetError(f"{fname} cannot be written: {error.strerror or error}") from None


def load(fname: str) -> list[NDArray] | dict[str, NDArray]:
    """The arrays of a file in MXNet's binary format: a dict where they have names, else a list.

    Raises `MXNetError` for a file that cannot be read, is cut off or says absurd sizes.
    """
    try:
        content = Path(fname).read_bytes()
    except OSError as error:
        raise MXNetError(f"{fname} cannot be read: {error.strerror or error}") from None
    arrays, names = read_arrays(content, str(fname))
    wrapped = [NDArray(value) for value in arrays]
    return dict(zip(names, wrapped)) if names else wrapped

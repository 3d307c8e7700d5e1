"""Where the arrays of `simple_bind` come from: new, another executor's, or a buffer of arrays by name."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from netdef.diag import MXNetError
from netdef.mx.ndarray.ndarray import NDArray
from netdef.ops.shapes import prod, show
from netdef.runtime.context import Context

if TYPE_CHECKING:
    from netdef.mx.executor import Executor

Dims = tuple[int, ...]


class Allocation:
    """Makes arrays of zeros, or finds them.

    Arguments of `shared_names` and auxiliary states are those of the executor `shared`, the former with their
    gradients.  Other arguments begin where the array of their name in `buffer` does, if that is large enough,
    and are put there if not.
    """

    def __init__(
        self,
        context: Context,
        shared: Executor | None = None,
        shared_names: Collection[str] = (),
        buffer: dict[str, NDArray] | None = None,
    ) -> None:
        if shared_names and shared is None:
            raise MXNetError("shared_arg_names needs a shared_exec, whose arguments they are")
        self.context, self.shared, self._buffer = context, shared, buffer
        self._shared_names = set(shared_names)

    def argument(self, name: str, shape: Dims, dtype: str) -> NDArray:
        if self.shared is not None and name in self._shared_names:
            return _fitting(name, self.shared.arg_dict.get(name), shape, dtype)
        if self._buffer is None:
            return self._zeros(shape, dtype)
        held = self._buffer.get(name)
        if held is None or held.array.dtype != dtype or held.size < (prod(shape) or 0):
            held = self._buffer[name] = self._zeros(shape, dtype)
        return NDArray(held.array.reshape(-1)[: prod(shape)].reshape(shape), self.context)

    def gradient(self, name: str, shape: Dims, dtype: str) -> NDArray:
        if self.shared is not None and name in self._shared_names:
            held = self.shared.grad_dict.get(name)
            if held is not None:
                return _fitting(name, held, shape, dtype)
        return self._zeros(shape, dtype)

    def state(self, name: str, shape: Dims, dtype: str) -> NDArray:
        held = self.shared.aux_dict.get(name) if self.shared is not None else None
        return self._zeros(shape, dtype) if held is None else _fitting(name, held, shape, dtype)

    def _zeros(self, shape: Dims, dtype: str) -> NDArray:
        return NDArray(self.context.xp.zeros(shape, dtype), self.context)


def _fitting(name: str, held: NDArray | None, shape: Dims, dtype: str) -> NDArray:
    """A shared array; raises `MXNetError` where it is not there or differs in shape or type."""
    if held is None:
        raise MXNetError(f"shared_exec has no argument {name} to share")
    if held.shape != tuple(shape) or held.array.dtype != dtype:
        raise MXNetError(
            f"{name} is {show(held.shape)} of {held.array.dtype} in shared_exec, but {show(tuple(shape))} of "
            f"{dtype} here"
        )
    return held

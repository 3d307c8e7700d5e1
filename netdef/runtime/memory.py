"""Memory for arrays: it starts at cache lines, and processes that compute side by side see it alike."""

from __future__ import annotations

import math
import mmap
from typing import Any

#: bytes that the vector loads of arrays should not straddle
LINE = 64

_shared = False


def share_memory() -> None:
    """From now on let processes that this one forks see what either writes to arrays."""
    global _shared
    _shared = True


def aligned_empty(xp: Any, size: int, alignment: int = LINE) -> Any:
    """Bytes of any value from a multiple of `alignment` on.

    Raises `MemoryError` where there are not so many.
    """
    if _shared and size and hasattr(xp, "frombuffer") and hasattr(mmap, "MAP_SHARED"):
        try:
            return xp.frombuffer(mmap.mmap(-1, size), "uint8")  # a page is aligned to anything
        except OSError as error:
            raise MemoryError(f"{size} bytes: {error}") from None
    block = xp.empty(size + alignment, "uint8")
    start = -block.__array_interface__["data"][0] % alignment if hasattr(block, "__array_interface__") else 0
    return block[start : start + size]


def zeros(xp: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """An array of zeros that starts at a cache line."""
    block = aligned_empty(xp, math.prod(shape) * xp.dtype(dtype).itemsize)
    array = block.view(dtype).reshape(shape)
    if not is_shared(array):  # a new mapping is zero, and takes no memory until somebody writes to it
        array[...] = 0
    return array


def is_shared(array: Any) -> bool:
    """Whether forked processes see the same array, and not copies of it."""
    owner = array
    while getattr(owner, "base", None) is not None:
        owner = owner.base
    return isinstance(owner.obj if isinstance(owner, memoryview) else owner, mmap.mmap)

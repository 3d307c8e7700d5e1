"""What `array[key]` means for NDArrays, in numpy's terms."""

from __future__ import annotations

from typing import Any

import numpy as np


def numpy_key(key: Any) -> Any:
    """A key for numpy: tensors of indices become whole numbers, lists become arrays.

    A truth value is a number, too: MXNet has no masks.
    """
    if isinstance(key, tuple):
        return tuple(_part(part) for part in key)
    return _part(key)


def _part(part: Any) -> Any:
    if hasattr(part, "asnumpy"):
        part = part.asnumpy()
    if isinstance(part, (list, np.ndarray)):
        indices = np.asarray(part)
        if indices.dtype.kind not in "iufb":
            raise IndexError(f"an index must hold numbers, not {indices.dtype}")
        return indices.astype(np.int64)
    if part is None or part is Ellipsis or isinstance(part, (int, np.integer, slice)):
        return part
    raise ValueError(f"{part!r} is no index; legal: numbers, slices, None, ... and arrays of numbers")


def read(array: Any, key: Any) -> Any:
    """The part of an array; its own memory where this is contiguous, a copy elsewhere.

    A single element has the shape (1,), as in MXNet.
    """
    key = numpy_key(key)
    parts = key if isinstance(key, tuple) else (key,)
    if not any(part is Ellipsis for part in parts):
        parts = (*parts, Ellipsis)  # keeps numpy from giving a number instead of a view
    part = array[parts]
    if not part.flags.c_contiguous:
        part = part.copy(order="C")
    return part.reshape(1) if part.ndim == 0 else part

"""Random shapes and arrays for tests, drawn from numpy's global generator (`numpy.random.seed`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from netdef.diag import MXNetError
from netdef.mx.ndarray import NDArray, array
from netdef.mx.test_utils.defaults import default_context
from netdef.runtime.context import Context


def rand_shape_2d(dim0: int = 10, dim1: int = 10, allow_zero_size: bool = False) -> tuple[int, ...]:
    """Two sizes from 1, or 0 with `allow_zero_size`, to `dim0` and `dim1`."""
    return _sizes((dim0, dim1), allow_zero_size)


def rand_shape_3d(
    dim0: int = 10, dim1: int = 10, dim2: int = 10, allow_zero_size: bool = False
) -> tuple[int, ...]:
    """Three sizes from 1, or 0 with `allow_zero_size`, to `dim0`, `dim1` and `dim2`."""
    return _sizes((dim0, dim1, dim2), allow_zero_size)


def rand_shape_nd(num_dim: int, dim: int = 10, allow_zero_size: bool = False) -> tuple[int, ...]:
    """`num_dim` sizes from 1, or 0 with `allow_zero_size`, to `dim`."""
    return _sizes((dim,) * num_dim, allow_zero_size)


def _sizes(largest: tuple[int, ...], allow_zero_size: bool) -> tuple[int, ...]:
    return tuple(int(np.random.randint(0 if allow_zero_size else 1, size + 1)) for size in largest)


def random_arrays(*shapes: tuple[int, ...]) -> Any:
    """numpy arrays of float32 of these shapes, normally distributed: one array for one shape, else a list."""
    arrays = [np.asarray(np.random.standard_normal(shape), np.float32) for shape in shapes]
    return arrays[0] if len(arrays) == 1 else arrays


def rand_ndarray(
    shape: tuple[int, ...], stype: str = "default", dtype: Any = None, ctx: Context | None = None
) -> NDArray:
    """A normally distributed NDArray, of float32 unless `dtype` says otherwise.

    Raises `MXNetError` for another `stype` than "default": netdef's arrays are dense.
    """
    if stype != "default":
        raise MXNetError(f"stype {stype!r} is not known; netdef's arrays are dense, stype 'default'")
    return array(np.random.standard_normal(shape), ctx=ctx or default_context(), dtype=dtype or np.float32)

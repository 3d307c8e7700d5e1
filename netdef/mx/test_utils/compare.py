"""Comparing arrays within tolerances that follow from their types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from netdef.mx.ndarray import NDArray


class _Tolerance(NamedTuple):
    """`eps` is the step of finite differences, where there is one."""

    rtol: float
    atol: float
    eps: float = 0


_FLOATS = {
    "float16": _Tolerance(1e-2, 1e-1, 2**-6),
    "float32": _Tolerance(1e-4, 1e-3, 2**-9),
    "float64": _Tolerance(1e-5, 1e-20, 2**-14),
}
_EXACT = dict.fromkeys(
    ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"), _Tolerance(0, 0)
)
#: MXNet 1.9's, by numpy name
_TOLERANCES = {np.dtype(name): tolerance for name, tolerance in (_FLOATS | _EXACT).items()}

Tolerance = float | Mapping[Any, float] | None


def default_rtols() -> dict[np.dtype[Any], float]:
    """The relative tolerances by dtype."""
    return {kind: tolerance.rtol for kind, tolerance in _TOLERANCES.items()}


def default_atols() -> dict[np.dtype[Any], float]:
    """The absolute tolerances by dtype."""
    return {kind: tolerance.atol for kind, tolerance in _TOLERANCES.items()}


def default_numeric_eps() -> dict[np.dtype[Any], float]:
    """The steps of finite differences by dtype."""
    return {kind: tolerance.eps for kind, tolerance in _TOLERANCES.items() if tolerance.eps}


def get_rtol(rtol: float | None = None, dtype: Any = np.float64) -> float:
    """`rtol`, or where it is None the relative tolerance of a dtype."""
    return default_rtols()[np.dtype(dtype)] if rtol is None else rtol


def get_atol(atol: float | None = None, dtype: Any = np.float64) -> float:
    """`atol`, or where it is None the absolute tolerance of a dtype."""
    return default_atols()[np.dtype(dtype)] if atol is None else atol


def get_tols(x: Any, y: Any, rtol: Tolerance, atol: Tolerance) -> tuple[float, float]:
    """The tolerances for two arrays: those given, or the larger of those that belong to their dtypes.

    A dict gives them for some dtypes.  Raises `TypeError` for arrays of other things than numbers.
    """
    kinds = [_host(x).dtype, _host(y).dtype]
    return _tolerance(rtol, default_rtols(), kinds), _tolerance(atol, default_atols(), kinds)


def _tolerance(given: Tolerance, defaults: dict[np.dtype[Any], float], kinds: list[np.dtype[Any]]) -> float:
    if given is not None and not isinstance(given, Mapping):
        return given
    table = defaults | {np.dtype(kind): tolerance for kind, tolerance in (given or {}).items()}
    if odd := [kind for kind in kinds if kind not in table]:
        raise TypeError(f"arrays of {odd[0]} cannot be compared")
    return max(table[kind] for kind in kinds)


def same(a: Any, b: Any) -> bool:
    """Whether two arrays have the same shape and equal elements; NaN equals nothing."""
    return np.array_equal(_host(a), _host(b))


def almost_equal(
    a: Any,
    b: Any,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    use_broadcast: bool = True,
) -> bool:
    """Whether |a - b| <= atol + rtol * |b| everywhere; by default with the tolerances of float64.

    Raises `AssertionError` where the shapes do not fit: they must be equal, or only fit each other with
    `use_broadcast`.
    """
    left, right = _fitting(a, b, use_broadcast)
    return np.allclose(left, right, get_rtol(rtol), get_atol(atol), equal_nan)


def assert_almost_equal(
    a: Any,
    b: Any,
    rtol: Tolerance = None,
    atol: Tolerance = None,
    names: tuple[str, str] = ("a", "b"),
    equal_nan: bool = False,
    use_broadcast: bool = True,
    mismatches: tuple[int, int] = (10, 10),
) -> None:
    """Raise `AssertionError` unless |a - b| <= atol + rtol * |b| everywhere.

    `a` and `b` are numpy arrays, NDArrays or numbers.  Tolerances follow from their dtypes (see `get_tols`)
    unless they are given.  The message has the worst differences, at most `mismatches[0]` of them, in terms
    of the tolerance, with their places; `mismatches[1]` is there for MXNet's sake: all are counted.
    `names` are what `a` and `b` are called in it.
    """
    relative, absolute = get_tols(a, b, rtol, atol)
    left, right = _fitting(a, b, use_broadcast)
    if not relative and not absolute and {left.dtype.kind, right.dtype.kind} <= set("biu"):
        wrong = left != right  # isclose would compare large whole numbers as float64
    else:
        wrong = ~np.isclose(left, right, relative, absolute, equal_nan)
    if not wrong.any():
        return
    places = np.argwhere(wrong)
    with np.errstate(all="ignore"):  # differences of infinite values, and tolerances of 0
        x, y = left[wrong].astype(np.float64), right[wrong].astype(np.float64)
        errors = np.abs(x - y) / (absolute + relative * np.abs(y))
    # NaN, which no tolerance allows, comes first
    order = np.lexsort((-errors, ~np.isnan(errors)))[: max(mismatches[0], 1)]
    lines = [
        f"  {errors[i]:g} times the tolerance at {tuple(int(n) for n in places[i])}: "
        f"{names[0]}={x[i]:.8g}, {names[1]}={y[i]:.8g}"
        for i in order
    ]
    raise AssertionError(
        f"{names[0]} and {names[1]} differ in {len(places)} of {wrong.size} elements by more than "
        f"rtol={relative:g}, atol={absolute:g}; the worst:\n" + "\n".join(lines)
    )


def _host(values: Any) -> np.ndarray:
    return values.asnumpy() if isinstance(values, NDArray) else np.asarray(values)


def _fitting(a: Any, b: Any, use_broadcast: bool) -> tuple[np.ndarray, np.ndarray]:
    """Both as numpy arrays of one shape; raises `AssertionError` where there is none."""
    left, right = _host(a), _host(b)
    if left.shape == right.shape:
        return left, right
    try:
        if use_broadcast:
            left, right = np.broadcast_arrays(left, right)
            return left, right
    except ValueError:
        pass
    raise AssertionError(f"the shapes {left.shape} and {right.shape} do not fit")

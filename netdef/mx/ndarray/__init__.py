"""MXNet's `ndarray` module: new arrays, files, functions of arrays and every operator.

An operator that has no function below is found by its name when it is asked for.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from netdef.data.replace import replace_file
from netdef.diag import MXNetError, UsageError
from netdef.interop.mxnet_params import read_arrays, write_arrays
from netdef.mx.draws import Draws
from netdef.mx.fluent import either
from netdef.mx.ndarray.ndarray import NDArray as NDArray
from netdef.mx.ndarray.ndarray import apply
from netdef.mx.operators import function_of, namespaces
from netdef.ops import OPERATORS
from netdef.ops.fields import describe
from netdef.runtime.context import Context, current_context

# -- new arrays --


def _shape(shape: Any) -> tuple[int, ...]:
    return (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(shape)


def array(source_array: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """A copy of nested lists, of a numpy array or of an NDArray.

    float32 unless `dtype` says otherwise or the source is an NDArray, whose type it keeps.
    Raises `TypeError` for what does not make an array of numbers.
    """
    context = ctx or current_context()
    if isinstance(source_array, NDArray):
        dtype = dtype or source_array.dtype
        source_array = source_array.as_in_context(context).array
    try:
        made = context.xp.array(source_array, dtype=dtype or np.float32, order="C")
    except ValueError as error:
        raise TypeError(f"{describe(source_array)} does not make an array: {error}") from None
    return NDArray(made, context)


def empty(shape: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """An array whose values are not set."""
    context = ctx or current_context()
    return NDArray(context.xp.empty(_shape(shape), dtype or np.float32), context)


def zeros(shape: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    context = ctx or current_context()
    return NDArray(context.xp.zeros(_shape(shape), dtype or np.float32), context)


def ones(shape: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    context = ctx or current_context()
    return NDArray(context.xp.ones(_shape(shape), dtype or np.float32), context)


def full(
    shape: Any, val: float, ctx: Context | None = None, dtype: Any = np.float32, out: NDArray | None = None
) -> NDArray:
    """An array of one number; written to `out` where that is given."""
    context = ctx or current_context()
    made = out if out is not None else empty(shape, context, dtype)
    made[:] = val
    return made


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1.0,
    repeat: int = 1,
    infer_range: bool | None = None,
    ctx: Context | None = None,
    dtype: Any = np.float32,
) -> NDArray:
    """`start`, `start + step`, ... below `stop`, each `repeat` times; from 0 to `start` without `stop`.

    Raises `ValueError` for `infer_range`, which only symbols can do.
    """
    if infer_range:
        raise ValueError("infer_range needs readers whose shapes say the range; it is there for mx.sym only")
    return apply("_arange", start=start, stop=stop, step=step, repeat=repeat, dtype=dtype, ctx=ctx)


def linspace(
    start: float,
    stop: float,
    num: int,
    endpoint: bool = True,
    ctx: Context | None = None,
    dtype: Any = np.float32,
) -> NDArray:
    """`num` numbers at equal distances from `start` to `stop`, which is left out without `endpoint`."""
    return apply("_linspace", start=start, stop=stop, num=num, endpoint=endpoint, dtype=dtype, ctx=ctx)


def eye(N: int, M: int = 0, k: int = 0, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """`N` rows and `M` columns (0: as many) with ones on the diagonal `k`."""
    return apply("_eye", N=N, M=M, k=k, dtype=dtype or np.float32, ctx=ctx)


def from_numpy(ndarray: np.ndarray, zero_copy: bool = True) -> NDArray:
    """A numpy array as an NDArray, in the same memory with `zero_copy`; raises `ValueError` elsewhere."""
    if not zero_copy:
        return NDArray(np.array(ndarray, order="C"))
    if not ndarray.flags.c_contiguous:
        raise ValueError("only a C-contiguous array can be shared; give zero_copy=False")
    return NDArray(ndarray)


# -- functions of arrays and numbers --


def _function_of_two(name: str, tensors: str, right: str, left: str, plain: Any) -> Callable[[Any, Any], Any]:
    def function(lhs: Any, rhs: Any) -> Any:
        return either(lhs, rhs, tensors, (right, left), plain)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"`{name}` of two, each an array or a number; arrays broadcast."
    return function


def _compared(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], float]:
    return lambda left, right: float(compare(left, right))


_TWO = {
    "add": ("_Plus", "_PlusScalar", "_PlusScalar", operator.add),
    "subtract": ("_Minus", "_MinusScalar", "_RMinusScalar", operator.sub),
    "multiply": ("_Mul", "_MulScalar", "_MulScalar", operator.mul),
    "divide": ("_Div", "_DivScalar", "_RDivScalar", operator.truediv),
    "true_divide": ("_Div", "_DivScalar", "_RDivScalar", operator.truediv),
    "modulo": ("_Mod", "_ModScalar", "_RModScalar", operator.mod),
    "power": ("_Power", "_PowerScalar", "_RPowerScalar", operator.pow),
    "maximum": ("_Maximum", "_MaximumScalar", "_MaximumScalar", max),
    "minimum": ("_Minimum", "_MinimumScalar", "_MinimumScalar", min),
    "hypot": ("_Hypot", "_HypotScalar", "_HypotScalar", math.hypot),
    "equal": ("_equal", "_equal_scalar", "_equal_scalar", _compared(operator.eq)),
    "not_equal": ("_not_equal", "_not_equal_scalar", "_not_equal_scalar", _compared(operator.ne)),
    "greater": ("_greater", "_greater_scalar", "_lesser_scalar", _compared(operator.gt)),
    "greater_equal": (
        "_greater_equal",
        "_greater_equal_scalar",
        "_lesser_equal_scalar",
        _compared(operator.ge),
    ),
    "lesser": ("_lesser", "_lesser_scalar", "_greater_scalar", _compared(operator.lt)),
    "lesser_equal": (
        "_lesser_equal",
        "_lesser_equal_scalar",
        "_greater_equal_scalar",
        _compared(operator.le),
    ),
    **{
        f"logical_{name}": (f"_logical_{name}", *2 * (f"_logical_{name}_scalar",), _compared(compare))
        for name, compare in (
            ("and", lambda left, right: bool(left) and bool(right)),
            ("or", lambda left, right: bool(left) or bool(right)),
            ("xor", lambda left, right: bool(left) != bool(right)),
        )
    },
}
globals().update({name: _function_of_two(name, *functions) for name, functions in _TWO.items()})


def concatenate(arrays: Sequence[NDArray], axis: int = 0, always_copy: bool = True) -> NDArray:
    """Arrays one after the other along an axis; without `always_copy` a single one is given back itself."""
    if not arrays:
        raise ValueError("there are no arrays to concatenate")
    if len(arrays) == 1 and not always_copy:
        return arrays[0]
    return apply("Concat", *arrays, dim=axis)


def moveaxis(tensor: NDArray, source: int | Sequence[int], destination: int | Sequence[int]) -> NDArray:
    """A copy with some axes at other places, the rest in their order; raises `ValueError` for a bad axis."""
    xp = tensor.context.xp
    return NDArray(xp.array(xp.moveaxis(tensor.array, source, destination), order="C"), tensor.context)


def onehot_encode(indices: NDArray, out: NDArray) -> NDArray:
    """Write a row with a one at each index into `out` (N, classes)."""
    return apply("one_hot", indices, depth=out.shape[1], dtype=out.array.dtype.name, out=out)


def histogram(a: NDArray, bins: Any = 10, range: tuple[float, float] | None = None) -> list[NDArray]:
    """How many elements fall between the edges `bins`, or into so many equal parts of `range`; the edges.

    `range` goes from the least to the greatest element where it is left out, and the counts are float32 then.
    """
    if isinstance(bins, NDArray):
        given: list[NDArray] = apply("_histogram", a, bins)
        return given
    if range is None:
        counted, edges = np.histogram(a.asnumpy(), bins)
        return [array(counted, a.context), array(edges, a.context)]
    counts: list[NDArray] = apply("_histogram", a, bin_cnt=bins, range=range)
    return counts


def split_v2(
    ary: NDArray, indices_or_sections: Any, axis: int = 0, squeeze_axis: bool = False
) -> list[NDArray]:
    """Parts along an axis: so many equal ones, or those that begin at 0 and at the indices."""
    parts: Any = ary.split_v2(indices_or_sections, axis, squeeze_axis)
    return parts if isinstance(parts, list) else [parts]


def waitall() -> None:
    """Does nothing: every operation is done when it returns."""


# -- files --


def save(fname: str, data: NDArray | Sequence[NDArray] | Mapping[str, NDArray]) -> None:
    """Write arrays, a list or a dict of them by name, in MXNet's binary format.

    Raises `TypeError` for data of another kind, `MXNetError` where the file cannot be written.
    """
    if isinstance(data, NDArray):
        data = [data]
    values = list(data.values()) if isinstance(data, Mapping) else data
    names = list(data) if isinstance(data, Mapping) else []
    if not isinstance(values, (list, tuple)) or not all(isinstance(value, NDArray) for value in values):
        raise TypeError(f"save takes an NDArray, a list or a dict of them, not {describe(data)}")
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"the names of arrays are texts, not {describe(names)}")
    arrays: Any = [value.asnumpy() for value in values]
    if isinstance(data, Mapping):
        arrays = dict(zip(names, arrays))
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


# -- operators --


def _apply(operator: str, hint: str, *inputs: Any, **values: Any) -> Any:
    return apply(operator, *inputs, **values)


globals().update(namespaces("mx.nd", _apply))
random = Draws(_apply, with_probabilities=False)


def __getattr__(operator: str) -> Callable[..., Any]:
    if operator.startswith("__"):
        raise AttributeError(operator)
    try:
        return function_of(operator, operator, _apply)
    except UsageError as error:
        raise AttributeError(str(error)) from None


def __dir__() -> list[str]:
    return sorted([*globals(), *OPERATORS])

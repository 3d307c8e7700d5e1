"""MXNet's `symbol` module: variables, files, functions of symbols and every operator.

An operator that has no function below is found by its name when it is asked for.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from netdef.diag import MXNetError, UsageError
from netdef.graph.attributes import DTYPE_NUMBERS, text_of
from netdef.graph.create import create, variable
from netdef.graph.symbol import group
from netdef.interop.mxnet_json import read_symbol
from netdef.mx.draws import Draws
from netdef.mx.fluent import either
from netdef.mx.operators import function_of, namespaces
from netdef.mx.symbol.symbol import Dims, load_json
from netdef.mx.symbol.symbol import Symbol as Symbol
from netdef.ops import OPERATORS


def Variable(
    name: str,
    attr: Mapping[str, str] | None = None,
    shape: Dims | int | None = None,
    lr_mult: float | None = None,
    wd_mult: float | None = None,
    dtype: Any = None,
    init: Any = None,
    stype: str | None = None,
    **kwargs: str,
) -> Symbol:
    """A free variable.

    `shape` holds what is known of its shape, 0 for an unknown size, and `dtype` its numpy type; the
    multipliers are for its learning rate and weight decay, `init` is its initializer or the JSON text of one.
    `stype` is the storage type, of which netdef has only "default".  Attributes of your own are written
    `__x__="text"`; raises `ValueError` for another name.
    """
    attributes = dict(attr or {})
    for key, value in kwargs.items():
        if not (key.startswith("__") and key.endswith("__")):
            raise ValueError(f"attribute {key} is not known; attributes of your own are written __{key}__")
        attributes[key] = str(value)
    if shape is not None:
        attributes["__shape__"] = text_of(shape)
    for key, number in (("__lr_mult__", lr_mult), ("__wd_mult__", wd_mult)):
        if number is not None:
            attributes[key] = str(number)
    if stype is not None:
        if stype != "default":
            raise ValueError(
                f"stype of {name} is {stype!r}; arrays are dense here, so only 'default' is legal"
            )
        attributes["__storage_type__"] = "0"
    if init is not None:
        attributes["__init__"] = init if isinstance(init, str) else init.dumps()
    kind = None if dtype is None else np.dtype(dtype).name
    if kind is not None:
        if kind not in DTYPE_NUMBERS:
            raise ValueError(f"dtype of {name}: {kind} is not known; legal: {', '.join(DTYPE_NUMBERS)}")
        attributes["__dtype__"] = str(DTYPE_NUMBERS[kind])
    return variable(Symbol, name, attributes)


var = Variable


def Group(symbols: Iterable[Symbol]) -> Symbol:
    """One symbol with the outputs of all."""
    return group(Symbol, symbols)


fromjson = load_json


def load(fname: str) -> Symbol:
    """The symbol in a JSON file of MXNet 0.7 to 1.9; raises `MXNetError`."""
    if not isinstance(fname, str):
        raise TypeError(f"the file's name must be a text, not {fname!r}")
    try:
        text = Path(fname).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MXNetError(f"{fname} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return Symbol(read_symbol(text, fname))


# -- functions of symbols and numbers --


def pow(base: Any, exp: Any) -> Any:
    """`base` to the power `exp`, each a symbol or a number."""
    return either(base, exp, "_Power", ("_PowerScalar", "_RPowerScalar"), builtins.pow)


power = pow


def maximum(left: Any, right: Any) -> Any:
    """The larger of two, each a symbol or a number."""
    return either(left, right, "_Maximum", ("_MaximumScalar", "_MaximumScalar"), max)


def minimum(left: Any, right: Any) -> Any:
    """The smaller of two, each a symbol or a number."""
    return either(left, right, "_Minimum", ("_MinimumScalar", "_MinimumScalar"), min)


def hypot(left: Any, right: Any) -> Any:
    """The length of the vector of two coordinates, each a symbol or a number."""
    return either(left, right, "_Hypot", ("_HypotScalar", "_HypotScalar"), math.hypot)


def zeros(shape: Any, dtype: Any = None, **values: Any) -> Symbol:
    """Zeros; a size of 0 is unknown and follows from what the symbol is combined with."""
    return create(Symbol, "_zeros", shape=shape, dtype=dtype or np.float32, **values)


def ones(shape: Any, dtype: Any = None, **values: Any) -> Symbol:
    """Ones; a size of 0 is unknown, as for `zeros`."""
    return create(Symbol, "_ones", shape=shape, dtype=dtype or np.float32, **values)


def full(shape: Any, val: float, dtype: Any = None, **values: Any) -> Symbol:
    """An array of one number."""
    return create(Symbol, "_full", shape=shape, dtype=dtype or np.float32, value=float(val), **values)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1.0,
    repeat: int = 1,
    infer_range: bool = False,
    name: str | None = None,
    dtype: Any = None,
) -> Symbol:
    """`start`, `start + step`, ... below `stop`, each `repeat` times; from 0 to `start` without `stop`."""
    span: dict[str, Any] = {
        "start": start,
        "stop": stop,
        "step": step,
        "repeat": repeat,
        "infer_range": infer_range,
    }
    return create(Symbol, "_arange", (), name, dtype=dtype or np.float32, **span)


def linspace(
    start: float,
    stop: float,
    num: int,
    endpoint: bool = True,
    name: str | None = None,
    dtype: Any = None,
) -> Symbol:
    """`num` numbers at equal distances from `start` to `stop`, which is left out without `endpoint`."""
    span: dict[str, Any] = {"start": start, "stop": stop, "num": num, "endpoint": endpoint}
    return create(Symbol, "_linspace", (), name, dtype=dtype or np.float32, **span)


def eye(N: int, M: int = 0, k: int = 0, dtype: Any = None, **values: Any) -> Symbol:
    """`N` rows and `M` columns (0: as many) with ones on the diagonal `k`."""
    return create(Symbol, "_eye", N=N, M=M, k=k, dtype=dtype or np.float32, **values)


def histogram(
    a: Symbol, bins: Any = 10, range: tuple[float, float] | None = None, name: str | None = None
) -> Symbol:
    """How many elements fall between the edges `bins`, or into so many equal parts of `range`; the edges."""
    if isinstance(bins, Symbol):
        return create(Symbol, "_histogram", (a, bins), name)
    if range is None:
        raise ValueError("histogram needs a range where bins is a number")
    return create(Symbol, "_histogram", (a,), name, bin_cnt=bins, range=range)


def split_v2(
    ary: Symbol,
    indices_or_sections: int | tuple[int, ...],
    axis: int = 0,
    squeeze_axis: bool = False,
    name: str | None = None,
) -> Symbol:
    """Parts along an axis: so many equal ones, or those that begin at the indices."""
    return ary.split_v2(indices_or_sections, axis, squeeze_axis, name=name)


# -- operators --


def _apply(operator: str, hint: str, *inputs: Any, **values: Any) -> Symbol:
    return create(Symbol, operator, inputs, hint=hint, **values)


globals().update(namespaces("mx.sym", _apply))
random = Draws(_apply, with_probabilities=True)


def __getattr__(operator: str) -> Callable[..., Symbol]:
    if operator.startswith("__"):
        raise AttributeError(operator)
    try:
        return function_of(operator, operator, _apply)
    except UsageError as error:
        raise AttributeError(str(error)) from None


def __dir__() -> list[str]:
    return sorted([*globals(), *OPERATORS])

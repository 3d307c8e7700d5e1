"""What modules ask of their callers: the right order of calls, names, shapes, one device."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from netdef.diag import MXNetError, did_you_mean
from netdef.graph.symbol import Symbol
from netdef.mx.io import DataDesc
from netdef.mx.kvstore import KVStore, check_type
from netdef.runtime.context import Context, cpu

#: how the names of parameters end, which are not what somebody means who looks for an input
_PARAMETERS = ("_weight", "_bias", "_gamma", "_beta")


class ModuleError(MXNetError, AssertionError):
    """A call that a module cannot answer yet, or not as it was bound; MXNet raises `AssertionError`."""


def require(condition: bool, message: str) -> None:
    """Raise `ModuleError` unless the condition holds."""
    if not condition:
        raise ModuleError(message)


def names_of(given: Sequence[str] | None, kind: str) -> list[str]:
    """The names of an argument `<kind>_names`, of which there may be none."""
    if isinstance(given, str):
        raise ValueError(f"{kind}_names is the text {given!r}; give a list of names")
    return list(given or ())


def check_input_names(symbol: Symbol, names: Sequence[str], kind: str, refuse: bool) -> None:
    """Raise `ValueError`, or warn, where a name is no argument of the symbol.

    `kind` says which names they are: data, label, state or fixed_param.
    """
    arguments = symbol.list_arguments()
    for name in names:
        if name in arguments:
            continue
        near = [each for each in arguments if kind == "fixed_param" or not each.endswith(_PARAMETERS)]
        told = (
            f"Module(..., {kind}_names={list(names)}): there is no argument {name!r} in "
            f"symbol.list_arguments(). {did_you_mean(name, near)}"
        )
        if refuse:
            raise ValueError(told)
        warnings.warn(told, stacklevel=4)


def describe(shapes: Any, kind: str) -> list[DataDesc]:
    """Descriptions from `DataDesc`s or tuples of name, shape and, if wanted, dtype and layout.

    Raises `ValueError` for anything else.
    """
    found = []
    for each in shapes or ():
        if isinstance(each, DataDesc):
            found.append(each)
            continue
        fits = isinstance(each, (tuple, list)) and 2 <= len(each) <= 4 and isinstance(each[0], str)
        if not fits or not isinstance(each[1], (tuple, list)):
            raise ValueError(f"{kind}_shapes holds {each!r}; give (name, shape) pairs or DataDescs")
        found.append(DataDesc(each[0], tuple(each[1]), *each[2:]))
    for each in found:
        if not all(isinstance(size, (int, np.integer)) and size > 0 for size in each.shape):
            raise ValueError(f"the shape of {each.name} is {each.shape}; its sizes must be positive ints")
    return found


def match_names(names: Sequence[str], given: Sequence[DataDesc], kind: str, refuse: bool) -> None:
    """Raise `ValueError`, or warn, unless the descriptions are of these names, in any order."""
    actual = [each.name for each in given]
    if sorted(actual) == sorted(names):
        return
    told = f"{kind}_shapes is of {actual}, but {kind}_names are {list(names)}; the names must be the same"
    if refuse:
        raise ValueError(told)
    warnings.warn(told, stacklevel=4)


def check_iterator(data: Any, what: str) -> None:
    """Raise `TypeError` for what is no data iterator."""
    if not hasattr(data, "provide_data") or not hasattr(data, "reset"):
        hint = "mx.io.NDArrayIter makes one of arrays"
        raise TypeError(f"{what} must be a DataIter, not {type(data).__name__}; {hint}")


def batch_size(data: Sequence[DataDesc]) -> int:
    """The number of samples in a batch, of the first input whose layout tells; 1 where none does."""
    for each in data:
        axis = DataDesc.get_batch_axis(each.layout)
        if 0 <= axis < len(each.shape):
            return int(each.shape[axis])
    return 1


def one_device(context: Any, work_load_list: Any = None) -> Context:
    """The device of a module.

    All contexts of the CPU are the same device, on which the whole batch is computed at once.  Raises
    `MXNetError` for several GPUs, and for a `work_load_list` of another length.
    """
    contexts = [cpu()] if context is None else [context] if isinstance(context, Context) else context
    if not isinstance(contexts, (list, tuple)) or not all(isinstance(each, Context) for each in contexts):
        raise TypeError(f"context is {context!r}; it must be mx.cpu(), mx.gpu(i) or a list of such")
    if not contexts:
        raise MXNetError("context is an empty list; give one device, mx.cpu() or mx.gpu(i)")
    if work_load_list is not None and len(work_load_list) != len(contexts):
        raise MXNetError(f"work_load_list has {len(work_load_list)} entries for {len(contexts)} contexts")
    if len(set(contexts)) > 1 and any(each.device_type != "cpu" for each in contexts):
        raise MXNetError(
            f"context lists {', '.join(map(str, contexts))}; a batch is computed on one device, so give one"
        )
    return contexts[0]


def check_kvstore(kvstore: Any) -> None:
    """Accept what one device needs no store for; a store that spans machines raises `MXNetError`."""
    if isinstance(kvstore, str):
        check_type(kvstore)
    elif kvstore is not None and not isinstance(kvstore, KVStore):
        raise TypeError(f"kvstore must be KVStore, str or None, not {kvstore!r}")

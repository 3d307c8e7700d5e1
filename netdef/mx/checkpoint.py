"""MXNet's checkpoints: a net in `<prefix>-symbol.json`, its parameters in `<prefix>-<epoch>.params`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from netdef.diag import MXNetError
from netdef.mx import ndarray, symbol
from netdef.mx.ndarray import NDArray

Params = dict[str, NDArray]


def params_file(prefix: str, epoch: int) -> str:
    """The name of the file with the parameters of an epoch."""
    return f"{prefix}-{epoch:04d}.params"


def save_checkpoint(
    prefix: str,
    epoch: int,
    symbol: Any,
    arg_params: Mapping[str, NDArray],
    aux_params: Mapping[str, NDArray],
    remove_amp_cast: bool = True,
) -> None:
    """Write the symbol, unless it is None, and the parameters of this epoch.

    `remove_amp_cast` is there for MXNet's sake: no operator here is inserted for mixed precision.
    """
    if symbol is not None:
        symbol.save(f"{prefix}-symbol.json")
    path = params_file(prefix, epoch)
    write_params(path, arg_params, aux_params)
    logging.info('Saved checkpoint to "%s"', path)


def write_params(path: str, arg_params: Mapping[str, NDArray], aux_params: Mapping[str, NDArray]) -> None:
    """Write arguments and auxiliary states to one file, whose names begin with `arg:` and `aux:`."""
    named = {f"arg:{name}": array for name, array in arg_params.items()}
    named |= {f"aux:{name}": array for name, array in aux_params.items()}
    ndarray.save(path, named)


def load_params(prefix: str, epoch: int) -> tuple[Params, Params]:
    """The arguments and auxiliary states of this epoch, two dicts of NDArrays by name."""
    return read_params(params_file(prefix, epoch))


def read_params(path: str) -> tuple[Params, Params]:
    """The arguments and auxiliary states of a file, two dicts of NDArrays by name; raises `MXNetError`."""
    loaded = ndarray.load(path)
    if not loaded:
        logging.warning("Params file '%s' is empty", path)
        return {}, {}
    parts: dict[str, Params] = {"arg": {}, "aux": {}}
    if not isinstance(loaded, Mapping):
        raise MXNetError(f"{path} is no checkpoint: it holds a list of arrays without names")
    for name, array in loaded.items():
        kind, colon, rest = name.partition(":")
        if not colon or kind not in parts:
            raise MXNetError(
                f"{path} is no checkpoint: its arrays must be named arg:... and aux:..., not {name!r}"
            )
        parts[kind][rest] = array
    return parts["arg"], parts["aux"]


def load_checkpoint(prefix: str, epoch: int) -> tuple[Any, Params, Params]:
    """The symbol, the arguments and the auxiliary states that `save_checkpoint` wrote."""
    return symbol.load(f"{prefix}-symbol.json"), *load_params(prefix, epoch)

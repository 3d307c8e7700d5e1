"""What all initializers share: the choice by name; and those that choose among others."""

from __future__ import annotations

import json
import logging
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from netdef.diag import MXNetError
from netdef.mx import ndarray
from netdef.mx.generator import generator
from netdef.mx.ndarray import NDArray
from netdef.mx.registry import get_alias_func, get_create_func, get_register_func


class InitDesc(str):
    """The name of a parameter, its attributes, and the initializer that the whole net is given.

    An attribute `__init__` names the initializer of this parameter, as text that `create` takes.
    """

    attrs: dict[str, str]
    global_init: Any

    def __new__(cls, name: str, attrs: Mapping[str, str] | None = None, global_init: Any = None) -> InitDesc:
        desc = super().__new__(cls, name)
        desc.attrs, desc.global_init = dict(attrs or {}), global_init
        return desc


#: how a name ends -> the kind of its parameter, for an InitDesc; the first that fits
_ENDINGS = {
    "weight": "weight",
    "bias": "bias",
    "gamma": "gamma",
    "beta": "beta",
    "min": "zero",
    "max": "one",
    "weight_quantize": "quantized_weight",
    "bias_quantize": "quantized_bias",
}
#: the same for a plain str, the way of MXNet 0.7
_OLD_ENDINGS = {
    "bias": "bias",
    "gamma": "gamma",
    "beta": "beta",
    "weight": "weight",
    "moving_mean": "zero",
    "moving_var": "one",
    "moving_inv_var": "zero",
    "moving_avg": "zero",
    "min": "zero",
    "max": "one",
}


class Initializer:
    """Base of the initializers, called as `initializer(InitDesc(name), array)`.

    Names that end in `weight` get what the initializer is about, `bias`, `beta` and `min` 0, `gamma` and
    `max` 1; other names raise `ValueError`.  A plain str for a name also knows `moving_mean`, `moving_avg`
    and `moving_inv_var` (0), `moving_var` (1), and names that begin with `upsampling` or `stn_loc`.  An
    initializer of your own overrides `_init_weight(desc, array)`, or others of the `_init_...` methods, and
    `register` makes it known to `create`.
    """

    def __init__(self, **kwargs: Any) -> None:
        self._kwargs = kwargs
        self._verbose = False
        self._print_func: Callable[[NDArray], Any] | None = None

    def set_verbosity(
        self, verbose: bool = False, print_func: Callable[[NDArray], Any] | None = None
    ) -> Initializer:
        """Log each parameter that is initialized, with `print_func` of it; without it norm / sqrt(size)."""
        self._verbose = verbose
        self._print_func = print_func or _root_mean_square
        return self

    def dumps(self) -> str:
        """Name and arguments as JSON text, which `create` takes."""
        return json.dumps([type(self).__name__.lower(), self._kwargs])

    def __call__(self, desc: str, arr: NDArray) -> None:
        if not isinstance(desc, str):
            raise TypeError(f"the name of a parameter must be a str or an InitDesc, not {desc!r}")
        if not isinstance(arr, NDArray):
            raise TypeError(f"{desc} must be an NDArray, not {type(arr).__name__}")
        if not isinstance(desc, InitDesc):
            self._legacy_init(desc, arr)
            return
        if desc.global_init is None:
            desc.global_init = self
        own = desc.attrs.get("__init__")
        if own:
            create(own)._init_weight(desc, arr)
            self._report(desc, own, arr)
            return
        ending = next((ending for ending in _ENDINGS if desc.endswith(ending)), None)
        if ending is None:
            self._init_default(desc, arr)
            return
        getattr(self, f"_init_{_ENDINGS[ending]}")(desc, arr)
        self._report(desc, ending, arr)

    def _report(self, desc: str, what: str, arr: NDArray) -> None:
        if self._verbose and self._print_func:
            logging.info("Initialized %s as %s: %s", desc, what, self._print_func(arr))

    def _legacy_init(self, name: str, arr: NDArray) -> None:
        told = "give the name of a parameter as InitDesc(name); a plain str is the way of MXNet 0.7"
        warnings.warn(told, DeprecationWarning, stacklevel=3)
        ending = next((ending for ending in _OLD_ENDINGS if name.endswith(ending)), None)
        if name.startswith("upsampling"):
            self._init_bilinear(name, arr)
        elif name.startswith("stn_loc") and ending == "weight":
            self._init_zero(name, arr)
        elif name.startswith("stn_loc") and ending == "bias":
            self._init_loc_bias(name, arr)
        elif ending:
            getattr(self, f"_init_{_OLD_ENDINGS[ending]}")(name, arr)
        else:
            self._init_default(name, arr)

    def _init_zero(self, desc: str, arr: NDArray) -> None:
        arr[:] = 0

    def _init_one(self, desc: str, arr: NDArray) -> None:
        arr[:] = 1

    _init_bias = _init_beta = _init_quantized_bias = _init_zero
    _init_gamma = _init_one

    def _init_bilinear(self, desc: str, arr: NDArray) -> None:
        arr[:] = _bilinear(desc, arr.shape)

    def _init_loc_bias(self, desc: str, arr: NDArray) -> None:
        """The bias that makes a spatial transformer start with the identity."""
        if arr.shape != (6,):
            raise MXNetError(f"{desc} has shape {arr.shape}; the bias of an affine transform has 6 elements")
        arr[:] = np.array([1, 0, 0, 0, 1, 0], np.float32)

    def _init_quantized_weight(self, desc: str, arr: NDArray) -> None:
        arr[:] = generator().integers(-127, 127, arr.shape).astype(np.float32)

    def _init_weight(self, desc: str, arr: NDArray) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define _init_weight(desc, arr)")

    def _init_default(self, desc: str, arr: NDArray) -> None:
        raise ValueError(
            f"Unknown initialization pattern for {desc}: names of parameters end in weight, bias, gamma or "
            f"beta. Say what this one gets with mx.sym.Variable({str(desc)!r}, init=...)"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Initializer):
            return NotImplemented
        return type(self) is type(other) and self._kwargs == other._kwargs

    # Arguments may be arrays: equal initializers hash alike by their class.
    def __hash__(self) -> int:
        return hash(type(self))


def _root_mean_square(arr: NDArray) -> str:
    values = arr.asnumpy()
    return str(np.linalg.norm(values) / math.sqrt(values.size))


def _bilinear(desc: str, shape: tuple[int, ...]) -> np.ndarray:
    """The weights of a deconvolution that interpolates, the same for each pair of channels."""
    if len(shape) != 4:
        raise ValueError(f"{desc} has shape {shape}; bilinear weights have 4 axes")
    half = math.ceil(shape[3] / 2)
    centre = (2 * half - 1 - half % 2) / (2 * half)
    rows, columns = (1 - np.abs(np.arange(size) / half - centre) for size in shape[2:])
    return np.broadcast_to(np.outer(rows, columns).astype(np.float32), shape)


_register = get_register_func(Initializer, "initializer")
alias = get_alias_func(Initializer, "initializer")
create = get_create_func(Initializer, "initializer")


def register(klass: type) -> type:
    """Make an initializer known to `create` under the name of its class in lower case."""
    return _register(klass)


class Load:
    """Values from a dict or a file of NDArrays by name; `arg:` and `aux:` before names are left away.

    Parameters that are not there go to `default_init`.  Shapes that differ raise `MXNetError`.
    """

    def __init__(
        self, param: str | Mapping[str, NDArray], default_init: Any = None, verbose: bool = False
    ) -> None:
        loaded = ndarray.load(param) if isinstance(param, str) else param
        if not isinstance(loaded, Mapping):
            raise MXNetError(f"parameters are loaded by name, from a dict or a file of one, not {loaded!r}")
        self.param = {re.sub("^(arg|aux):", "", name): array for name, array in loaded.items()}
        self.default_init, self.verbose = default_init, verbose

    def __call__(self, name: str, arr: NDArray) -> None:
        if name in self.param:
            found = self.param[name]
            if found.shape != arr.shape:
                raise MXNetError(f"the parameter {name} has shape {arr.shape}, the loaded one {found.shape}")
            arr[:] = found
        elif self.default_init is None:
            raise MXNetError(f"the parameter {name} was not loaded, and there is no default_init")
        else:
            self.default_init(name, arr)
        if self.verbose:
            logging.info("Initialized %s by %s", name, "loading" if name in self.param else "default")


class Mixed:
    """The initializer whose pattern, a regular expression, is the first to match the start of the name."""

    def __init__(self, patterns: Sequence[str], initializers: Sequence[Any]) -> None:
        if len(patterns) != len(initializers):
            raise MXNetError(f"{len(patterns)} patterns need as many initializers, not {len(initializers)}")
        self.map = [(re.compile(pattern), each) for pattern, each in zip(patterns, initializers)]

    def __call__(self, name: str, arr: NDArray) -> None:
        for pattern, initializer in self.map:
            if pattern.match(name):
                initializer(name, arr)
                return
        raise ValueError(
            f'no pattern matches the parameter {name}; end the patterns with ".*" for all others'
        )

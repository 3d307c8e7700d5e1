"""MXNet's Executor: a symbol bound to NDArrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from netdef.diag import MXNetError, did_you_mean
from netdef.graph.symbol import Symbol
from netdef.mx.ndarray import NDArray, zeros
from netdef.mx.random import generator
from netdef.runtime.context import Context
from netdef.runtime.executor import Executor as Engine

Arrays = Sequence[NDArray] | Mapping[str, NDArray] | None
Requests = str | Sequence[str] | Mapping[str, str]


class Executor:
    """Runs a bound symbol.

    `arg_dict`, `grad_dict`, `aux_dict` hold the bound NDArrays by name, `arg_arrays`, `grad_arrays`,
    `aux_arrays` in the symbol's order; `outputs` the results of the last forward pass.
    """

    def __init__(
        self,
        symbol: Symbol,
        ctx: Context,
        args: Arrays,
        args_grad: Arrays,
        grad_req: Requests,
        aux_states: Arrays,
    ) -> None:
        names, states = symbol.list_arguments(), symbol.list_auxiliary_states()
        for kind, listed in (("argument", names), ("auxiliary state", states)):
            double = sorted({name for name in listed if listed.count(name) > 1})
            if double:
                raise MXNetError(f"two {kind}s are called {', '.join(double)}; rename one of the layers")
        self.arg_dict = _by_name(names, args, "args")
        self.aux_dict = _by_name(states, aux_states, "aux_states")
        self.grad_dict = _by_name(names, args_grad, "args_grad")
        requests = _requests(names, grad_req, self.grad_dict)
        self.ctx, self.symbol = ctx, symbol
        self.engine = Engine(
            symbol,
            ctx,
            {name: array.array for name, array in self.arg_dict.items()},
            {name: array.array for name, array in self.grad_dict.items()},
            requests,
            {name: array.array for name, array in self.aux_dict.items()},
            random=generator(),
        )

    @property
    def arg_arrays(self) -> list[NDArray]:
        return [self.arg_dict[name] for name in self.symbol.list_arguments()]

    @property
    def grad_arrays(self) -> list[NDArray | None]:
        return [self.grad_dict.get(name) for name in self.symbol.list_arguments()]

    @property
    def aux_arrays(self) -> list[NDArray]:
        return [self.aux_dict[name] for name in self.symbol.list_auxiliary_states()]

    @property
    def outputs(self) -> list[NDArray]:
        return [NDArray(array, self.ctx) for array in self.engine.outputs]

    @property
    def output_dict(self) -> dict[str, NDArray]:
        return dict(zip(self.symbol.list_outputs(), self.outputs))

    def forward(self, is_train: bool = False, **kwargs: Any) -> list[NDArray]:
        """Run the forward pass after copying the given arrays into the arguments of these names."""
        self.engine.forward(bool(is_train), **{name: _numpy(value) for name, value in kwargs.items()})
        return self.outputs

    def backward(self, out_grads: NDArray | Sequence[NDArray] | None = None) -> None:
        """Run the backward pass; outputs that are no losses need a gradient each in `out_grads`."""
        if isinstance(out_grads, NDArray):
            out_grads = [out_grads]
        self.engine.backward(None if out_grads is None else [_numpy(grad) for grad in out_grads])


def _numpy(value: Any) -> Any:
    return value.array if isinstance(value, NDArray) else np.asarray(value)


def _by_name(names: Sequence[str], arrays: Arrays, what: str) -> dict[str, NDArray]:
    """Arrays by name, from a dict or from a list in the symbol's order."""
    if arrays is None:
        return {}
    if isinstance(arrays, Mapping):
        for name in arrays:
            if name not in names:
                raise MXNetError(f"{what}: there is no {name}; {did_you_mean(name, names)}")
        return {name: arrays[name] for name in names if arrays.get(name) is not None}
    if len(arrays) != len(names):
        raise MXNetError(
            f"{what} holds {len(arrays)} arrays, but {len(names)} are needed: {', '.join(names)}"
        )
    return {name: array for name, array in zip(names, arrays) if array is not None}


def _requests(names: Sequence[str], grad_req: Requests, gradients: Mapping[str, NDArray]) -> dict[str, str]:
    """What happens to each gradient; without an array for it, nothing."""
    if isinstance(grad_req, str):
        wanted = dict.fromkeys(names, grad_req)
    elif isinstance(grad_req, Mapping):
        wanted = dict(grad_req)
    elif len(grad_req) != len(names):
        raise ValueError(
            f"grad_req has {len(grad_req)} entries for {len(names)} arguments: {', '.join(names)}"
        )
    else:
        wanted = dict(zip(names, grad_req))
    for name in wanted:
        if name not in names:
            raise ValueError(f"grad_req: there is no argument {name}; {did_you_mean(name, names)}")
    for name, request in wanted.items():
        if request not in ("write", "add", "null"):
            raise ValueError(f"grad_req of {name} is {request!r}; legal: write, add, null")
    return {name: wanted.get(name, "null") if name in gradients else "null" for name in names}


def simple_bind(
    symbol: Symbol,
    ctx: Context,
    shapes: tuple[Sequence[tuple[int, ...]], Sequence[tuple[int, ...]]],
    dtypes: tuple[Sequence[str | None], Sequence[str | None]],
    grad_req: Requests,
) -> Executor:
    """An executor with arrays of its own, zero at first.

    `shapes` and `dtypes` hold those of the arguments and of the auxiliary states, in order; an open dtype is
    float32.
    """
    arguments, auxiliary = (
        {name: zeros(shape, ctx, dtype or np.float32) for name, shape, dtype in zip(*listed)}
        for listed in (
            (symbol.list_arguments(), shapes[0], dtypes[0]),
            (symbol.list_auxiliary_states(), shapes[1], dtypes[1]),
        )
    )
    wanted = _requests(symbol.list_arguments(), grad_req, arguments)
    gradients = {
        name: zeros(array.shape, ctx, array.dtype)
        for name, array in arguments.items()
        if wanted[name] != "null"
    }
    return Executor(symbol, ctx, arguments, gradients, grad_req, auxiliary)

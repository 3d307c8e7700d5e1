"""A symbol bound for a module: one executor, and arrays that outlive it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from netdef.diag import MXNetError
from netdef.mx.executor import Executor
from netdef.mx.io import DataDesc
from netdef.mx.ndarray import NDArray
from netdef.mx.symbol import Symbol
from netdef.runtime.context import Context

Shapes = tuple[tuple[int, ...], ...]


def gradient_requests(
    symbol: Symbol, grad_req: Any, learning: Sequence[str], inputs: Sequence[str], fixed: Sequence[str]
) -> dict[str, str]:
    """What happens to the gradient of each argument.

    `grad_req`, one for all or a list or dict for each argument, is asked of parameters that are `learning`
    and of `inputs`; with one for all, or where a dict says nothing, `fixed` and all other arguments get none.
    """
    names = symbol.list_arguments()
    if isinstance(grad_req, (list, tuple)):
        if len(grad_req) != len(names):
            told = f"grad_req has {len(grad_req)} entries for {len(names)} arguments: {', '.join(names)}"
            raise ValueError(told)
        return dict(zip(names, grad_req))
    wanted = (set(learning) - set(fixed)) | set(inputs)
    usual = grad_req if isinstance(grad_req, str) else "write"
    requests = {name: usual if name in wanted else "null" for name in names}
    if isinstance(grad_req, Mapping):
        requests.update(grad_req)
    return requests


class Binding:
    """The executor for batches of certain shapes, which is made anew for batches of others.

    Parameters, their gradients and the auxiliary states are kept when the shapes of the inputs change, and
    are those of `shared`, another module's binding, where that is given; they are always updated in place.
    Outputs hold until the next pass of any of these executors, which share the rest of their memory.
    """

    def __init__(
        self,
        symbol: Symbol,
        context: Context,
        params: Sequence[str],
        targets: Sequence[str],
        requests: Mapping[str, str],
        shared: Binding | None = None,
    ) -> None:
        self.symbol, self.context, self.requests = symbol, context, dict(requests)
        self._arguments, self._names = set(symbol.list_arguments()), params
        #: the labels that the symbol has, and those of them that the last batch did not
        self._targets, self._lacking = targets, list(targets)
        self.params: dict[str, NDArray] = {}
        self.gradients: dict[str, NDArray] = {}
        self.auxiliary: dict[str, NDArray] = {}
        self._executor: Executor | None = None
        #: the executor of `shared`, whose memory for values in between serves this one, too
        self._sharing = None if shared is None else shared._executor
        self.data: list[DataDesc] = []
        #: None where there are no labels now
        self.label: list[DataDesc] | None = None
        #: names, dtypes and layouts of labels, also while batches come without
        self.labels: list[DataDesc] = []
        self._shapes: tuple[Shapes, Shapes] = ((), ())
        self._monitors: list[Any] = []
        if shared is not None:
            self.params, self.gradients, self.auxiliary = shared.params, shared.gradients, shared.auxiliary
            lacking = [name for name in self._names if name not in shared.params]
            lacking += [name for name in symbol.list_auxiliary_states() if name not in shared.auxiliary]
            if lacking:
                raise MXNetError(
                    f"the shared module has no {', '.join(lacking)}; it must have all parameters"
                )

    @property
    def executor(self) -> Executor:
        if self._executor is None:
            raise MXNetError("there is no executor before the first call of bind")
        return self._executor

    def bind(self, data: list[DataDesc], label: list[DataDesc] | None) -> None:
        """Make the executor for inputs of these shapes; raises `MXNetError` where parameters do not fit."""
        used = [each for each in (*data, *(label or ())) if each.name in self._arguments]
        executor = self.symbol.simple_bind(
            self.context,
            self.requests,
            {each.name: np.dtype(each.dtype).name for each in used},
            **{each.name: each.shape for each in used},
        )
        gradients = {name: array for name, array in executor.grad_dict.items() if array is not None}
        if self.params or self.auxiliary:
            args = {**executor.arg_dict, **_kept(self.params, executor.arg_dict)}
            gradients |= _kept(self.gradients, gradients)
            states = {**executor.aux_dict, **_kept(self.auxiliary, executor.aux_dict)}
            executor = self.symbol.bind(
                self.context,
                args,
                gradients,
                self.requests,
                states,
                shared_exec=self._executor or self._sharing,
            )
        self.params = {name: executor.arg_dict[name] for name in self._names}
        self.gradients = {name: gradients[name] for name in self._names if name in gradients}
        self.auxiliary = dict(executor.aux_dict)
        for monitor in self._monitors:
            monitor.exes = [each for each in monitor.exes if each is not self._executor]
            monitor.install(executor)
        self._executor = executor
        self.data, self.label, self.labels = data, label, label or self.labels
        self._shapes = _shapes_of(data), _shapes_of(label or ())

    def forward(self, data: Sequence[NDArray], label: Sequence[NDArray], train: bool) -> None:
        """Compute the outputs of a batch, which need not have the shapes of the last one."""
        if not self.labels:
            label = ()
        try:
            shapes = tuple(array.shape for array in data), tuple(array.shape for array in label)
        except (AttributeError, TypeError):
            raise TypeError(
                f"data and label of a batch are lists of NDArrays, not {data!r}, {label!r}"
            ) from None
        if shapes[0] != self._shapes[0] or (label and shapes[1] != self._shapes[1]):
            self._follow(*shapes)
        inputs = {each.name: array for each, array in zip(self.data, data)}
        inputs |= {
            each.name: array for each, array in zip(self.labels, label) if each.name in self._arguments
        }
        self._lacking = [name for name in self._targets if name not in inputs]
        self.executor.forward(train, **inputs)

    def backward(self, out_grads: Any) -> None:
        """Compute the gradients; raises `MXNetError` where the batch lacked labels that they depend on."""
        if self._lacking:
            told = ", ".join(each.name for each in self.labels) or "none"
            raise MXNetError(
                f"the batch has no label {', '.join(self._lacking)}, on which gradients depend; label_shapes "
                f"and batches must have it (the module was bound with labels: {told})"
            )
        self.executor.backward(out_grads)

    def _follow(self, data: Shapes, label: Shapes) -> None:
        """Bind for a batch whose shapes are not those of the last one."""
        for kind, bound, given in (("data", self.data, data), ("label", self.labels, label)):
            if len(bound) != len(given) and (given or kind == "data"):
                told = f"the batch has {len(given)} {kind} arrays; the module is bound for {len(bound)}"
                raise MXNetError(f"{told}: {', '.join(each.name for each in bound)}")
        self.bind(_like(self.data, data), _like(self.labels, label) if label else None)

    def watch(self, monitor: Any) -> None:
        """Let a monitor watch the executor, also those that are made later."""
        monitor.install(self.executor)
        self._monitors.append(monitor)


def _shapes_of(described: Sequence[DataDesc]) -> Shapes:
    return tuple(tuple(each.shape) for each in described)


def _like(described: Sequence[DataDesc], shapes: Shapes) -> list[DataDesc]:
    """The same descriptions with other shapes."""
    return [DataDesc(each.name, shape, each.dtype, each.layout) for each, shape in zip(described, shapes)]


def _kept(held: Mapping[str, NDArray], needed: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """The arrays at hand of those that are needed, after a look at their shapes and dtypes."""
    found = {name: held[name] for name in needed if name in held}
    for name, array in found.items():
        wanted = needed[name]
        if array.shape != wanted.shape or array.dtype != wanted.dtype:
            raise MXNetError(
                f"{name} is {np.dtype(array.dtype)} of shape {array.shape}, but inputs of these shapes need "
                f"it as {np.dtype(wanted.dtype)} of shape {wanted.shape}"
            )
    return found

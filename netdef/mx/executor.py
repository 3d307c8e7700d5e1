"""MXNet's Executor: a symbol bound to NDArrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from netdef.diag import MXNetError, did_you_mean
from netdef.graph.node import Entry, Node
from netdef.graph.symbol import Symbol
from netdef.mx.allocation import Allocation
from netdef.mx.debug import debug_text
from netdef.mx.generator import generator
from netdef.mx.monitored import Monitor
from netdef.mx.ndarray.ndarray import NDArray
from netdef.ops.shapes import Shape, complete, show
from netdef.passes.infer import infer_shapes
from netdef.passes.trail import explain
from netdef.runtime.bind import Pool
from netdef.runtime.context import Context
from netdef.runtime.executor import Executor as Engine
from netdef.runtime.report import describe_plan

Arrays = Sequence[NDArray | None] | Mapping[str, NDArray] | None
Requests = str | Sequence[str] | Mapping[str, str] | None
Callback = Callable[[str, NDArray], Any]


class Executor:
    """Runs a bound symbol.

    `arg_dict`, `grad_dict`, `aux_dict` hold the bound NDArrays by name (None where there is no gradient),
    `arg_arrays`, `grad_arrays`, `aux_arrays` in the symbol's order; `outputs` the results of the last forward
    pass.  Raises `ValueError` or `TypeError` for arrays that are missing or are none, `MXNetError` for those
    that do not fit.
    """

    def __init__(
        self,
        symbol: Symbol,
        ctx: Context,
        args: Arrays,
        args_grad: Arrays,
        grad_req: Requests,
        aux_states: Arrays,
        shared_exec: Executor | None = None,
    ) -> None:
        names, states = symbol.list_arguments(), symbol.list_auxiliary_states()
        _require_distinct("argument", names, args)
        _require_distinct("auxiliary state", states, aux_states)
        self.arg_dict = _all_of(names, args, "args")
        self.aux_dict = _all_of(states, aux_states, "aux_states")
        gradients = _some_of(names, args_grad, "args_grad")
        self.grad_dict: dict[str, NDArray | None] = {name: gradients.get(name) for name in names}
        self._requests = _requests(names, grad_req)
        self.ctx, self.symbol = ctx, symbol
        _require_device(ctx, {**self.arg_dict, **gradients, **self.aux_dict})
        self._pool: Pool = shared_exec._pool if shared_exec else Pool()
        #: the executor beneath, over the arrays of the context's array module
        self.engine = Engine(
            symbol,
            ctx,
            {name: array.array for name, array in self.arg_dict.items()},
            {name: array.array for name, array in gradients.items()},
            {name: self._requests[name] if name in gradients else "null" for name in names},
            {name: array.array for name, array in self.aux_dict.items()},
            random=generator(),
            repeatable=True,
            pool=self._pool,
        )
        self._monitor: Monitor | None = None
        self._results: list[Any] = []
        self._outputs: list[NDArray] = []

    # -- the arrays --

    @property
    def arg_arrays(self) -> list[NDArray]:
        return [self.arg_dict[name] for name in self.symbol.list_arguments()]

    @property
    def grad_arrays(self) -> list[NDArray | None]:
        return [self.grad_dict[name] for name in self.symbol.list_arguments()]

    @property
    def aux_arrays(self) -> list[NDArray]:
        return [self.aux_dict[name] for name in self.symbol.list_auxiliary_states()]

    @property
    def outputs(self) -> list[NDArray]:
        results = self.engine.outputs
        if results is not self._results:
            self._results, self._outputs = results, [NDArray(array, self.ctx) for array in results]
        return self._outputs

    @property
    def output_dict(self) -> dict[str, NDArray]:
        return dict(zip(self.symbol.list_outputs(), self.outputs))

    # -- running --

    def forward(self, is_train: Any = False, **kwargs: Any) -> list[NDArray]:
        """Run the forward pass after copying the given arrays into the arguments of these names.

        The outputs are the executor's own arrays, overwritten by the next pass.  Raises `TypeError` for a
        name that is no argument and `ValueError` for an array of another shape.
        """
        if isinstance(is_train, NDArray):
            raise TypeError("forward takes arrays by name, such as forward(data=array)")
        arrays = {name: _numpy(value) for name, value in kwargs.items()}
        if self._monitor is None:
            self.engine.forward(bool(is_train), **arrays)
        else:
            self.engine.copy_in(arrays)
            self._monitor.forward(bool(is_train))
        return self.outputs

    def backward(
        self,
        out_grads: NDArray | Sequence[NDArray] | Mapping[str, NDArray] | None = None,
        is_train: bool = True,
    ) -> None:
        """Run the backward pass; outputs that are no losses need a gradient each.

        `out_grads` holds them in the order of the outputs or by the outputs' names.  Raises `MXNetError`
        where one is missing or `forward(is_train=True)` did not run before.
        """
        heads = self._head_gradients(out_grads)
        if self._monitor is None:
            self.engine.backward(heads)
        else:
            self._monitor.backward(heads)

    def partial_forward(self, is_train: bool, step: int) -> int:
        """Run step number `step` of the forward pass; returns how many are left (MXNet's C interface)."""
        return self.engine.step_forward(bool(is_train), step)

    def set_monitor_callback(self, callback: Callback | None, monitor_all: bool = False) -> None:
        """Have `callback(name, array)` called with every output of every operator while it is there.

        With `monitor_all` also with the inputs.  The array holds its values only during the call.  Passes
        run one operator at a time then.
        """
        if callback is None:
            self._monitor = None
            return

        def tell(name: str, array: Any) -> None:
            callback(name, NDArray(array, self.ctx))

        self._monitor = Monitor(tell, self.engine, monitor_all)

    # -- other arrays, other shapes --

    def copy_params_from(
        self,
        arg_params: Mapping[str, NDArray],
        aux_params: Mapping[str, NDArray] | None = None,
        allow_extra_params: bool = False,
    ) -> None:
        """Copy arrays into the arguments and auxiliary states of these names.

        Raises `ValueError` for a name that is none, unless extra ones are allowed, and for another shape.
        """
        for kind, given, own in (
            ("arguments", arg_params, self.arg_dict),
            ("auxiliary states", aux_params or {}, self.aux_dict),
        ):
            for name, value in given.items():
                if name in own:
                    own[name][:] = _fitting(name, value, own[name])
                elif not allow_extra_params:
                    hint = did_you_mean(name, own)
                    raise ValueError(f'Found name "{name}" that is not in the {kind}; {hint}')

    def reshape(
        self, partial_shaping: bool = False, allow_up_sizing: bool = False, **kwargs: tuple[int, ...]
    ) -> Executor:
        """An executor for other shapes of inputs, given by name, in the memory of this one.

        Arrays that keep their shape are shared, smaller ones begin where the old ones do.  Raises
        `MXNetError` where an argument that is not named changes its shape without `partial_shaping`, and
        where one grows without `allow_up_sizing`.
        """
        arguments, states = self._new_shapes(kwargs)
        allowed = {"partial": partial_shaping, "larger": allow_up_sizing}
        args = {}
        gradients: dict[str, NDArray] = {}
        for name, array in self.arg_dict.items():
            args[name] = _in_shape(name, array, arguments[name], name in kwargs, **allowed)
            if (gradient := self.grad_dict[name]) is not None:
                gradients[name] = _in_shape(name, gradient, arguments[name], name in kwargs, **allowed)
        aux = {n: _in_shape(n, array, states[n], False, **allowed) for n, array in self.aux_dict.items()}
        return Executor(self.symbol, self.ctx, args, gradients, self._requests, aux, self)

    def _new_shapes(
        self, given: Mapping[str, tuple[int, ...]]
    ) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
        """The shapes of arguments and states; what does not follow from those given stays as it is."""
        for name in given:
            if name not in self.arg_dict:
                raise MXNetError(f"there is no argument {name}; {did_you_mean(name, self.arg_dict)}")
        known, failures = infer_shapes(
            self.symbol.heads, {name: tuple(shape) for name, shape in given.items()}
        )
        if failures:
            raise MXNetError("\n".join(explain(failure, known) for failure in failures))
        arguments, states = self.symbol.variables()
        return _settled(arguments, known, self.arg_dict), _settled(states, known, self.aux_dict)

    def debug_str(self) -> str:
        """Every node of the graph, then the steps of the pass with their results' places in memory."""
        train = any(request != "null" for request in self.engine.requests.values())
        return f"{debug_text(self.symbol)}{describe_plan(self.engine.plan(train))}\n"

    def _head_gradients(self, given: Any) -> list[Any] | None:
        if given is None or (isinstance(given, Sequence) and not given):
            return None
        if isinstance(given, NDArray):
            given = [given]
        elif isinstance(given, Mapping):
            names = self.symbol.list_outputs()
            for name in given:
                if name not in names:
                    raise MXNetError(f"there is no output {name}; {did_you_mean(name, names)}")
            given = [given.get(name) for name in names]
        for gradient in given:
            if not isinstance(gradient, NDArray) and gradient is not None:
                raise TypeError(f"a gradient of an output must be an NDArray, not {type(gradient)}")
        return [None if gradient is None else gradient.array for gradient in given]


def _settled(
    nodes: Sequence[Node], known: Mapping[Entry, Shape], arrays: Mapping[str, NDArray]
) -> dict[str, tuple[int, ...]]:
    """The shapes of variables by name: as inferred, or those of the arrays where these are open."""
    shapes: dict[str, Any] = {node.name: known[Entry(node, 0)] for node in nodes}
    return {name: shape if complete(shape) else arrays[name].shape for name, shape in shapes.items()}


def _in_shape(
    name: str, array: NDArray, shape: tuple[int, ...], named: bool, partial: bool, larger: bool
) -> NDArray:
    """An array in another shape: the beginning of the old one where that is large enough."""
    if shape == array.shape:
        return NDArray(array.array, array.context)
    if not named and not partial:
        raise MXNetError(
            f"the shape of {name} becomes {show(shape)} from {show(array.shape)}, though it is not named: "
            "name it, or give partial_shaping=True"
        )
    size = math.prod(shape)
    if size <= array.size:
        return NDArray(array.array.reshape(-1)[:size].reshape(shape), array.context)
    if not larger:
        raise MXNetError(
            f"{name} grows from {show(array.shape)} to {show(shape)}: give allow_up_sizing=True, or begin "
            "with the largest shapes, whose memory serves all others"
        )
    return NDArray(array.context.xp.zeros(shape, array.dtype), array.context)


def _fitting(name: str, value: Any, target: NDArray) -> Any:
    """An array to copy into another one; raises `ValueError` for another shape."""
    if tuple(value.shape) != target.shape:
        raise ValueError(f"{name} has the shape {show(target.shape)}, not {show(tuple(value.shape))}")
    return value


def _numpy(value: Any) -> Any:
    return value.array if isinstance(value, NDArray) else np.asarray(value)


def _require_distinct(kind: str, names: Sequence[str], arrays: Arrays) -> None:
    """Names that occur twice go only with arrays by name: both are the same array then, as in MXNet."""
    double = sorted({name for name in names if names.count(name) > 1})
    if double and not isinstance(arrays, Mapping):
        listed = ", ".join(double)
        raise MXNetError(f"two {kind}s are called {listed}; rename one of the layers, or bind arrays by name")


def _all_of(names: Sequence[str], arrays: Arrays, what: str) -> dict[str, NDArray]:
    """An array for every name."""
    found = _some_of(names, arrays, what)
    for name in names:
        if name not in found:
            raise ValueError(f"key `{name}` is missing in `{what}`; there must be {', '.join(names)}")
    return found


def _some_of(names: Sequence[str], arrays: Arrays, what: str) -> dict[str, NDArray]:
    """Arrays by name, from a dict, in which others are passed over, or from a list in the symbol's order."""
    if arrays is None:
        arrays = {}
    if not isinstance(arrays, (Mapping, Sequence)):
        raise TypeError(f"{what} must be a list of NDArrays or a dict of them by name, not {type(arrays)}")
    if not isinstance(arrays, Mapping):
        if len(arrays) != len(names):
            raise ValueError(
                f"{what} holds {len(arrays)} arrays, but {len(names)} are needed: {', '.join(names)}"
            )
        arrays = {name: array for name, array in zip(names, arrays) if array is not None}
    found = {name: arrays[name] for name in names if arrays.get(name) is not None}
    for name, array in found.items():
        if not isinstance(array, NDArray):
            raise TypeError(f"{what}: {name} must be an NDArray, not {type(array)}")
    return found


def _require_device(ctx: Context, arrays: Mapping[str, NDArray]) -> None:
    for name, array in arrays.items():
        if array.context.xp is not ctx.xp:
            raise MXNetError(f"{name} is on {array.context}, but is bound on {ctx}; use as_in_context")


def _requests(names: Sequence[str], grad_req: Requests) -> dict[str, str]:
    """What is wanted of each gradient; None stands for no gradients."""
    if grad_req is None or isinstance(grad_req, str):
        wanted = dict.fromkeys(names, grad_req or "null")
    elif isinstance(grad_req, Mapping):
        wanted = {name: grad_req.get(name, "null") for name in names}
    elif len(grad_req) != len(names):
        raise ValueError(
            f"grad_req has {len(grad_req)} entries for {len(names)} arguments: {', '.join(names)}"
        )
    else:
        wanted = dict(zip(names, grad_req))
    for name, request in wanted.items():
        if request not in ("write", "add", "null"):
            raise ValueError(f"grad_req of {name} is {request!r}; legal: write, add, null")
    return wanted


def simple_bind(
    symbol: Symbol,
    ctx: Context,
    shapes: tuple[Sequence[tuple[int, ...]], Sequence[tuple[int, ...]]],
    dtypes: tuple[Sequence[str | None], Sequence[str | None]],
    grad_req: Requests,
    allocation: Allocation,
) -> Executor:
    """An executor over arrays that `allocation` makes.

    `shapes` and `dtypes` hold those of the arguments and of the auxiliary states, in order; an open dtype is
    float32.
    """
    names, states = symbol.list_arguments(), symbol.list_auxiliary_states()
    _require_distinct("argument", names, None)
    _require_distinct("auxiliary state", states, None)
    requests = _requests(names, grad_req)
    arguments, gradients = {}, {}
    for name, shape, dtype in zip(names, shapes[0], dtypes[0]):
        arguments[name] = allocation.argument(name, shape, dtype or "float32")
        if requests[name] != "null":
            gradients[name] = allocation.gradient(name, shape, dtype or "float32")
    auxiliary = {
        name: allocation.state(name, shape, dtype or "float32")
        for name, shape, dtype in zip(states, shapes[1], dtypes[1])
    }
    return Executor(symbol, ctx, arguments, gradients, requests, auxiliary, allocation.shared)

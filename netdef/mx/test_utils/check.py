"""Comparing what a symbol computes, forward and backward, with what is expected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from netdef.diag import MXNetError, did_you_mean
from netdef.mx.executor import Executor
from netdef.mx.ndarray import NDArray, array
from netdef.mx.symbol import Symbol
from netdef.mx.test_utils.compare import Tolerance, assert_almost_equal, default_numeric_eps
from netdef.mx.test_utils.defaults import default_context
from netdef.runtime.context import Context

#: arrays in the order of their names, or by name
Arrays = Sequence[Any] | Mapping[str, Any]

_OWN = "asnumpy"
_DTYPES = ("float16", "float32", "float64")


def simple_forward(sym: Symbol, ctx: Context | None = None, is_train: bool = False, **inputs: Any) -> Any:
    """What a symbol computes from arrays given by name: a numpy array, or a list of them for several outputs.

    All arguments must be given; raises what `bind` raises.
    """
    context = ctx or default_context()
    arguments = {name: array(values, ctx=context) for name, values in inputs.items()}
    outputs = sym.bind(context, arguments).forward(is_train=is_train)
    arrays = [output.asnumpy() for output in outputs]
    return arrays[0] if len(arrays) == 1 else arrays


def check_symbolic_forward(
    sym: Symbol,
    location: Arrays,
    expected: Arrays,
    rtol: Tolerance = None,
    atol: Tolerance = None,
    aux_states: Arrays | None = None,
    ctx: Context | None = None,
    equal_nan: bool = False,
    dtype: Any = np.float32,
) -> list[NDArray]:
    """Compare a symbol's outputs, in prediction, with those expected; returns them.

    `location` holds all arguments and `aux_states` all auxiliary states, as lists in the symbol's order or as
    dicts by name; `expected` likewise the outputs, of which a list may leave the last ones out.  Arrays are
    converted to `dtype`, or keep their own with "asnumpy".  Tolerances follow from the dtypes unless given.
    Raises `AssertionError` for outputs that differ, `ValueError` for arguments that do not fit the symbol.
    """
    context = ctx or default_context()
    convert = _converter(context, dtype)
    arguments, states = _bound(sym, location, aux_states, convert)
    wanted = _expected(sym.list_outputs(), expected, "expected")
    executor = sym.bind(context, arguments, aux_states=states)
    executor.forward(is_train=False)
    outputs = executor.output_dict
    for name, values in wanted.items():
        names = (f"EXPECTED_{name}", f"FORWARD_{name}")
        assert_almost_equal(_typed(values, dtype), outputs[name], rtol, atol, names, equal_nan)
    return executor.outputs


def check_symbolic_backward(
    sym: Symbol,
    location: Arrays,
    out_grads: Arrays | None,
    expected: Arrays,
    rtol: Tolerance = None,
    atol: Tolerance = None,
    aux_states: Arrays | None = None,
    grad_req: str | Sequence[str] | Mapping[str, str] = "write",
    ctx: Context | None = None,
    grad_stypes: Mapping[str, str] | None = None,
    equal_nan: bool = False,
    dtype: Any = np.float32,
) -> dict[str, NDArray]:
    """Compare the gradients of a symbol's arguments with those expected; returns them by name.

    `out_grads` holds the gradients of the outputs, as a list or as a dict by name, None for losses.
    `expected` names the arguments to compare; a list may leave the last ones out.  Gradients hold random
    numbers at first, to which `grad_req` "add" must have added and which "null" must have left alone.
    Otherwise as `check_symbolic_forward`.
    """
    _require_dense(grad_stypes)
    context = ctx or default_context()
    convert = _converter(context, dtype)
    arguments, states = _bound(sym, location, aux_states, convert)
    wanted = _expected(sym.list_arguments(), expected, "expected")
    heads = None
    if out_grads is not None:
        given = _expected(sym.list_outputs(), out_grads, "out_grads")
        heads = [convert(given[name]) for name in sym.list_outputs() if name in given]
    requests = _requests(sym.list_arguments(), grad_req)
    gradients, initial = _gradients(arguments, wanted)
    executor = sym.bind(context, arguments, gradients, requests, states)
    executor.forward(is_train=True)
    executor.backward(heads)
    for name, values in wanted.items():
        expectation = _typed(values, dtype)
        _compare("EXPECTED", name, expectation, gradients, initial, requests, (rtol, atol), equal_nan)
    return gradients


def check_numeric_gradient(
    sym: Symbol,
    location: Arrays,
    aux_states: Arrays | None = None,
    numeric_eps: float | None = None,
    rtol: Tolerance = None,
    atol: Tolerance = None,
    grad_nodes: Sequence[str] | Mapping[str, str] | None = None,
    use_forward_train: bool = True,
    ctx: Context | None = None,
    grad_stype_dict: Mapping[str, str] | None = None,
    dtype: Any = np.float32,
) -> None:
    """Compare a symbol's gradients with finite differences of a random weighted sum of its outputs.

    `location`, `aux_states` and `dtype` are as in `check_symbolic_forward`; `numeric_eps` is the difference
    between the two values of an argument's element, by default 2**-9 for float32.  `grad_nodes` names the
    arguments to check (all by default), or says by name what happens to their gradients ("write", "add",
    "null").  `use_forward_train` tells whether the differences are those of training passes.

    Raises `AssertionError` for gradients that differ, `ValueError` for arguments that do not fit the symbol.
    A loss such as SoftmaxOutput has a gradient that is not that of its output, and fails.
    """
    _require_dense(grad_stype_dict)
    context = ctx or default_context()
    convert = _converter(context, dtype)
    arguments, states = _bound(sym, location, aux_states, convert)
    requests = _nodes(sym.list_arguments(), grad_nodes)
    checked = [name for name in arguments if name in requests]
    gradients, initial = _gradients(arguments, checked)
    point = {name: values.asnumpy() for name, values in arguments.items()}
    start = {name: values.asnumpy() for name, values in states.items()}
    executor = sym.bind(context, arguments, gradients, requests, states)
    outputs = executor.forward(is_train=True)
    weights: list[np.ndarray] = [
        np.random.uniform(0.1, 1.1, output.shape).astype(output.dtype) for output in outputs
    ]
    executor.backward([array(values, ctx=context, dtype=values.dtype) for values in weights])

    def objective() -> float:
        sums = (
            np.sum(output.asnumpy() * w.astype(np.float64)) for output, w in zip(executor.outputs, weights)
        )
        return float(sum(sums))

    for name in checked:
        eps = numeric_eps or _eps(point[name].dtype)
        expectation = _differences(executor, name, point, start, eps, use_forward_train, objective)
        _compare("NUMERICAL", name, expectation, gradients, initial, requests, (rtol, atol), False)


def numeric_grad(
    executor: Executor,
    location: Mapping[str, Any],
    aux_states: Mapping[str, Any] | None = None,
    eps: float = 1e-4,
    use_forward_train: bool = True,
    dtype: Any = np.float32,
) -> dict[str, np.ndarray]:
    """The gradients of the sum of an executor's first output, by finite differences of `eps`.

    `location` holds arguments by name: the point, and what is differentiated by; `aux_states` the auxiliary
    states that every pass starts from.  Arguments that are not of a floating-point type get a gradient of 0.
    """
    point = {name: _typed(values, dtype) for name, values in location.items()}
    start = {name: _typed(values, dtype) for name, values in (aux_states or {}).items()}
    for name, values in point.items():
        executor.arg_dict[name][:] = values

    def objective() -> float:
        return float(np.sum(executor.outputs[0].asnumpy(), dtype=np.float64))

    return {
        name: _differences(executor, name, point, start, eps, use_forward_train, objective) for name in point
    }


def _differences(
    executor: Executor,
    name: str,
    point: Mapping[str, np.ndarray],
    start: Mapping[str, np.ndarray],
    eps: float,
    train: bool,
    objective: Callable[[], float],
) -> np.ndarray:
    """The gradient of `objective` to one argument at `point`, by central differences."""
    argument = executor.arg_dict[name]
    gradient = np.zeros_like(point[name])
    if gradient.dtype.kind != "f":
        return gradient

    def value_at(moved: np.ndarray) -> float:
        argument[:] = moved
        for state, values in start.items():  # a training pass changes them
            executor.aux_dict[state][:] = values
        executor.forward(is_train=train)
        return objective()

    for place in np.ndindex(*gradient.shape):
        high, low = point[name].copy(), point[name].copy()
        high[place] += eps / 2
        low[place] -= eps / 2
        step = float(high[place]) - float(low[place])  # eps, but for rounding
        if not step:
            raise ValueError(f"eps={eps:g} is nothing to the element {place} of {name}, {low[place]:g}")
        gradient[place] = (value_at(high) - value_at(low)) / step
    argument[:] = point[name]
    return gradient


def _compare(
    what: str,
    name: str,
    expectation: Any,
    gradients: Mapping[str, NDArray],
    initial: Mapping[str, np.ndarray],
    requests: Mapping[str, str],
    tolerances: tuple[Tolerance, Tolerance],
    equal_nan: bool,
) -> None:
    """Compare a gradient with what its request must have made of it."""
    found, request = gradients[name].asnumpy(), requests[name]
    if request == "null":
        expectation = initial[name]
    elif request == "add":
        expectation = expectation + initial[name]
    names = (f"{what}_{name}", f"BACKWARD_{name}")
    assert_almost_equal(expectation, found, *tolerances, names, equal_nan)


def _gradients(
    arguments: Mapping[str, NDArray], names: Sequence[str] | Mapping[str, Any]
) -> tuple[dict[str, NDArray], dict[str, np.ndarray]]:
    """Gradients of random content, and a copy of it."""
    initial: dict[str, np.ndarray] = {}
    for name in names:
        bound = arguments[name]
        initial[name] = np.random.standard_normal(bound.shape).astype(bound.dtype)
    gradients = {
        name: array(values, ctx=arguments[name].context, dtype=values.dtype)
        for name, values in initial.items()
    }
    return gradients, initial


def _converter(context: Context, dtype: Any) -> Callable[[Any], NDArray]:
    """What makes NDArrays of the type that is asked for."""
    if not _keeps(dtype) and np.dtype(dtype).name not in _DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(_DTYPES)} or {_OWN!r}, not {dtype!r}")

    def convert(values: Any) -> NDArray:
        typed = _typed(values, dtype)
        return array(typed, ctx=context, dtype=typed.dtype)

    return convert


def _keeps(dtype: Any) -> bool:
    """Whether arrays keep their own types."""
    return isinstance(dtype, str) and dtype == _OWN


def _typed(values: Any, dtype: Any) -> np.ndarray:
    found = values.asnumpy() if isinstance(values, NDArray) else np.asarray(values)
    return found if _keeps(dtype) else found.astype(dtype)


def _bound(
    sym: Symbol, location: Arrays, aux_states: Arrays | None, convert: Callable[[Any], NDArray]
) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
    """Arguments and auxiliary states by name, every one of them."""
    parts = []
    for names, given, what in (
        (sym.list_arguments(), location, "location"),
        (sym.list_auxiliary_states(), aux_states if aux_states is not None else [], "aux_states"),
    ):
        named = _named(names, given, what)
        if missing := [name for name in names if name not in named]:
            raise ValueError(f"{what} lacks {', '.join(missing)}")
        parts.append({name: convert(values) for name, values in named.items()})
    return parts[0], parts[1]


def _expected(names: list[str], given: Arrays, what: str) -> dict[str, Any]:
    """Arrays by name, of which there must be one at least."""
    named = _named(names, given, what)
    if not named:
        raise ValueError(f"{what} is empty; legal names: {', '.join(names)}")
    return named


def _named(names: list[str], given: Arrays, what: str) -> dict[str, Any]:
    """Arrays by name, from a dict or from a list in the order of `names` that may be shorter."""
    if isinstance(given, Mapping):
        for name in given:
            if name not in names:
                raise ValueError(f"{what}: there is no {name}; {did_you_mean(name, names)}")
        return dict(given)
    if not isinstance(given, (list, tuple)):
        raise TypeError(f"{what} must be a list or a dict of arrays, not {type(given).__name__}")
    if len(given) > len(names):
        raise ValueError(f"{what} has {len(given)} arrays for {len(names)} names: {', '.join(names)}")
    return dict(zip(names, given))


def _requests(names: list[str], grad_req: str | Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """What happens to each gradient, by name."""
    if isinstance(grad_req, str):
        return dict.fromkeys(names, grad_req)
    return _named(names, grad_req, "grad_req")


def _nodes(names: list[str], grad_nodes: Sequence[str] | Mapping[str, str] | None) -> dict[str, str]:
    """What is to happen to the gradients that are checked, by name."""
    if grad_nodes is None:
        return dict.fromkeys(names, "write")
    if isinstance(grad_nodes, (list, tuple)):
        grad_nodes = dict.fromkeys(grad_nodes, "write")
    if not isinstance(grad_nodes, Mapping):
        raise ValueError(f"grad_nodes must be a list or a dict of names, not {grad_nodes!r}")
    return _named(names, grad_nodes, "grad_nodes")


def _eps(kind: np.dtype[Any]) -> float:
    """The default step, that of the coarsest type for numbers that are not differentiated by."""
    steps = default_numeric_eps()
    return steps.get(kind, max(steps.values()))


def _require_dense(stypes: Mapping[str, str] | None) -> None:
    for name, stype in (stypes or {}).items():
        if stype != "default":
            raise MXNetError(f"the gradient of {name} cannot have stype {stype!r}: netdef's arrays are dense")

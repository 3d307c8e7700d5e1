"""The values of a module's parameters, and the optimizer that changes them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from netdef.diag import MXNetError
from netdef.mx import optimizer as opt
from netdef.mx.initializer import InitDesc
from netdef.mx.ndarray import NDArray, array

Given = Mapping[str, NDArray] | None
Attributes = Mapping[str, Mapping[str, str]]


def fill(
    arrays: Mapping[str, NDArray], given: Given, initializer: Any, attributes: Attributes, allow_missing: bool
) -> None:
    """Set arrays to the given values, or to the initializer's where none are given at all.

    With `allow_missing` the initializer sets those that are not among the given, and without an initializer
    they keep their values; else `RuntimeError` names the first of them.
    """
    for name in sorted(arrays):
        if given is not None and name in given:
            _copy(name, given[name], arrays[name])
        elif initializer is not None and (given is None or allow_missing):
            _initialize(initializer, InitDesc(name, attributes.get(name)), arrays[name])
        elif not allow_missing:
            hint = "give it, or an initializer" if given is None else "give it, or set allow_missing"
            raise RuntimeError(f"{name} is not presented: there is no value for this parameter; {hint}")


def _initialize(initializer: Any, name: InitDesc, target: NDArray) -> None:
    try:
        initializer(name, target)
    except ValueError as error:
        if not name.endswith(("data", "label")):
            raise
        kind = "label" if name.endswith("label") else "data"
        told = f"{name} counts as a parameter, since it is no input: is {kind}_names of the module right?"
        raise ValueError(f"{told} {error}") from None


def _copy(name: str, value: Any, target: NDArray) -> None:
    shape = getattr(value, "shape", None)
    if shape != target.shape:
        told = type(value).__name__ if shape is None else f"of shape {shape}"
        raise MXNetError(f"the parameter {name} has shape {target.shape}; the value given is {told}")
    if isinstance(value, NDArray) and value.context != target.context:
        value = array(value.asnumpy(), target.context, target.dtype)
    target[:] = value


def check_extra(arrays: Iterable[str], given: Iterable[str], refuse: bool) -> None:
    """Raise `ValueError`, or warn, where values are given for what is no parameter."""
    extra = sorted(set(given) - set(arrays))
    if not extra:
        return
    told = f"values are given for {', '.join(extra)}, which are no parameters"
    if refuse:
        raise ValueError(f"{told}; leave them out, or set allow_extra")
    warnings.warn(f"{told}; they are ignored", stacklevel=4)


def create_optimizer(
    optimizer: Any, optimizer_params: Any, symbol: Any, names: Sequence[str], samples: int
) -> Any:
    """An optimizer by name for parameters that are numbered in order, or the given one told their names.

    Gradients are divided by the number of samples in a batch unless `optimizer_params` has a rescale_grad.
    """
    numbered = dict(enumerate(names))
    scale = 1.0 / samples
    if isinstance(optimizer, str):
        options = {"rescale_grad": scale, **dict(optimizer_params or ())}
        return opt.create(optimizer, sym=symbol, param_idx2name=numbered, **options)
    if not isinstance(optimizer, opt.Optimizer):
        raise TypeError(f"optimizer must be a name or an Optimizer, not {type(optimizer).__name__}")
    if optimizer.rescale_grad != scale:
        warnings.warn(
            f"the optimizer's rescale_grad is {optimizer.rescale_grad}, not 1 / batch size = {scale}: "
            "gradients are sums over the batch",
            stacklevel=4,
        )
    if not optimizer.idx2name:
        optimizer.idx2name = numbered
    return optimizer

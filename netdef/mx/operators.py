"""Operators as functions: `mx.sym.exp(x)`, `mx.nd.contrib.box_nms(x)`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from netdef.diag import did_you_mean
from netdef.ops import OPERATORS, find


class Namespace:
    """The operators whose names begin with a prefix, as functions without it.

    `apply(operator, hint, *inputs, **values)` applies an operator; automatic names begin with the hint.
    """

    def __init__(self, module: str, prefix: str, apply: Callable[..., Any]) -> None:
        self._module, self._prefix, self._apply = module, prefix, apply

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operator = self._prefix + name
        if name.startswith("__") or operator not in OPERATORS:
            hint = did_you_mean(name, dir(self))
            raise AttributeError(f"there is no {self._module}.{name}{f'; {hint}' if hint else ''}")
        return function_of(operator, name, self._apply)

    def __dir__(self) -> list[str]:
        return sorted(name.removeprefix(self._prefix) for name in OPERATORS if name.startswith(self._prefix))


@functools.cache
def function_of(operator: str, name: str, apply: Callable[..., Any]) -> Callable[..., Any]:
    """An operator as a function called `name`, which automatic names follow."""
    hint = name.lower()

    def function(*inputs: Any, **values: Any) -> Any:
        return apply(operator, hint, *inputs, **values)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = find(operator).__doc__
    return function


def namespaces(module: str, apply: Callable[..., Any]) -> dict[str, Namespace]:
    """MXNet's modules of operators within `mx.sym` or `mx.nd`, by name."""
    prefixes = {"contrib": "_contrib_", "linalg": "_linalg_", "sparse": "_sparse_", "op": "", "_internal": ""}
    return {name: Namespace(f"{module}.{name}", prefix, apply) for name, prefix in prefixes.items()}

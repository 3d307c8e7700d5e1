"""Operators, by every name that MXNet has for them.

`catalogue.FAMILIES` writes out which module has which names, so that a family is loaded when one of its
operators is first asked for: a net of ten kinds of operators does not pay for two hundred.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping

from netdef.diag import MXNetError, did_you_mean
from netdef.ops.base import Op
from netdef.ops.catalogue import FAMILIES


def family(module: str) -> tuple[type[Op], ...]:
    """The operators that a module of this package declares, in the order of the file."""
    declared = importlib.import_module(f"netdef.ops.{module}")
    return tuple(
        value
        for value in vars(declared).values()
        if isinstance(value, type)
        and issubclass(value, Op)
        and value.__module__ == declared.__name__
        and value.is_declared()
    )


class _Operators(Mapping[str, type[Op]]):
    """Every name that an operator goes by -> its class, loaded when it is asked for."""

    def __init__(self) -> None:
        self._modules = {name: module for module, names in FAMILIES.items() for name in names.split()}
        self._loaded: dict[str, type[Op]] = {}

    def __getitem__(self, name: str) -> type[Op]:
        if name not in self._loaded:
            for operator in family(self._modules[name]):
                self._loaded.update(dict.fromkeys(operator.names, operator))
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)


OPERATORS: Mapping[str, type[Op]] = _Operators()


def every_operator() -> tuple[type[Op], ...]:
    """All operators; loads every family."""
    return tuple(operator for module in FAMILIES for operator in family(module))


def find(name: str) -> type[Op]:
    """The operator of a name; raises `MXNetError` with the nearest name."""
    if name not in OPERATORS:
        hint = did_you_mean(name, OPERATORS)
        raise MXNetError(f"there is no operator {name}{f'; {hint}' if hint else ''}")
    return OPERATORS[name]

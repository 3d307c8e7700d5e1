"""Devices: which array module computes."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

from netdef.diag import EnvironmentFault


class Context(NamedTuple):
    """A device, as MXNet's Context: `cpu()` computes with numpy, `gpu(0)` with CuPy."""

    device_type: str
    device_id: int = 0

    @property
    def xp(self) -> Any:
        """The array module; raises `EnvironmentFault` where it is not installed."""
        if self.device_type == "cpu":
            return importlib.import_module("numpy")
        try:
            return importlib.import_module("cupy")
        except ImportError:
            raise EnvironmentFault(f"{self} needs CuPy: pip install 'netdef[gpu]'") from None

    def __repr__(self) -> str:
        return f"{self.device_type}({self.device_id})"

    def __str__(self) -> str:
        return repr(self)


def cpu(device_id: int = 0) -> Context:
    return Context("cpu", device_id)


def gpu(device_id: int = 0) -> Context:
    return Context("gpu", device_id)

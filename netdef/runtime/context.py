"""Devices: which array module computes."""

from __future__ import annotations

import importlib
import threading
from typing import Any, NamedTuple

from netdef.diag import EnvironmentFault

_local = threading.local()
#: MXNet's numbers of the kinds of devices; pinned and shared memory is plain memory of the CPU here
DEVICE_TYPES = {"cpu": 1, "gpu": 2, "cpu_pinned": 3, "cpu_shared": 5}


class _Device(NamedTuple):
    device_type: str
    device_id: int = 0


class Context(_Device):
    """A device, as MXNet's Context: `cpu()` computes with numpy, `gpu(0)` with CuPy.

    In a `with` block it is the device of what is made without one.  Raises `ValueError` for another kind of
    device than those in `DEVICE_TYPES`.
    """

    __slots__ = ()

    def __new__(cls, device_type: str | Context, device_id: int = 0) -> Context:
        if isinstance(device_type, Context):
            return device_type
        if device_type not in DEVICE_TYPES:
            raise ValueError(f"there is no device {device_type!r}; legal: {', '.join(DEVICE_TYPES)}")
        return super().__new__(cls, device_type, device_id)

    @property
    def device_typeid(self) -> int:
        """MXNet's number of the kind of device."""
        return DEVICE_TYPES[self.device_type]

    def __enter__(self) -> Context:
        _local.stack = [*getattr(_local, "stack", ()), self]
        return self

    def __exit__(self, *error: object) -> None:
        _local.stack.pop()

    @property
    def xp(self) -> Any:
        """The array module; raises `EnvironmentFault` where it is not installed."""
        if self.device_type != "gpu":
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


def cpu_pinned(device_id: int = 0) -> Context:
    return Context("cpu_pinned", device_id)


def current_context() -> Context:
    """The device of the innermost `with` block of this thread; `cpu()` outside of any."""
    stack = getattr(_local, "stack", ())
    return stack[-1] if stack else cpu()

"""Where and in which type the functions of `mx.test_utils` compute unless they are told."""

from __future__ import annotations

import importlib

import numpy as np

from netdef.runtime.context import Context, cpu

_CONTEXT = [cpu()]


def default_context() -> Context:
    """The device of `mx.test_utils`: cpu(0) unless `set_default_context` chose another."""
    return _CONTEXT[0]


def set_default_context(ctx: Context) -> None:
    """Choose the device on which the functions of `mx.test_utils` compute; nothing else is changed."""
    if not isinstance(ctx, Context):
        raise TypeError(f"ctx must be a Context such as mx.cpu(), not {ctx!r}")
    _CONTEXT[0] = ctx


def default_dtype() -> type:
    """numpy.float32."""
    return np.float32


def list_gpus() -> list[int]:
    """The numbers of the GPUs that can compute; none where CuPy is not installed."""
    try:
        runtime = importlib.import_module("cupy").cuda.runtime
    except ImportError:
        return []
    try:
        return list(range(runtime.getDeviceCount()))
    except runtime.CUDARuntimeError:  # CuPy is installed, but there is no driver or no device
        return []

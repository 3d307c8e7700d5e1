"""MXNet's `random` module: the seed of everything random, and arrays of random numbers (`mx.nd.random`)."""

from __future__ import annotations

from typing import Any

from netdef.mx.generator import generator, seed
from netdef.mx.ndarray import random as _arrays

__all__ = ["generator", "seed"]


def __getattr__(law: str) -> Any:
    """`mx.random.uniform` and its kin."""
    return getattr(_arrays, law)

"""What several iterators ask of their arguments."""

from __future__ import annotations

import operator
from typing import Any


def batch_size_of(value: Any) -> int:
    """A batch size as an int; raises `TypeError` or `ValueError` for what is no positive whole number."""
    size = whole_number("batch_size", value)
    if size < 1:
        raise ValueError(f"batch_size is {size}; it must be at least 1")
    return size


def whole_number(name: str, value: Any) -> int:
    """An argument as an int; raises `TypeError` for what is none."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, not {value!r}") from None


def flag(name: str, value: Any) -> bool:
    """An argument as a bool; raises `TypeError` for what is neither a bool nor 0 or 1."""
    if value not in (0, 1):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return bool(value)

"""MXNet's `base` module: the errors of its Python interface and the kinds of numbers."""

from __future__ import annotations

from numbers import Number

import numpy as np

from netdef.diag import MXNetError

__all__ = ["MXNetError", "NotImplementedForSymbol", "integer_types", "numeric_types", "string_types"]

string_types = (str,)
numeric_types = (float, int, np.generic)
integer_types = (int, np.integer)


class NotImplementedForSymbol(MXNetError):
    """What only arrays can do was asked of a Symbol."""

    def __init__(self, function: str) -> None:
        super().__init__(
            f"{function} is not there for a Symbol, which stands for a computation and holds no values; "
            "bind it, or use mx.nd"
        )


def is_number(value: object) -> bool:
    """Whether `value` may stand beside a tensor in arithmetic."""
    return isinstance(value, (Number, np.generic))

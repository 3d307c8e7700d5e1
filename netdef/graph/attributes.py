"""Attributes of nodes as texts: MXNet's rules for what a user may attach to a symbol."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from netdef.diag import MXNetError
from netdef.ops.shapes import Shape

#: attributes that may be written without their underscores
PLAIN = ("ctx_group", "lr_mult", "wd_mult", "force_mirroring", "mirror_stage")

#: MXNet's numbers for dtypes, in its files and in `__dtype__`
DTYPE_NUMBERS = {
    "float32": 0,
    "float64": 1,
    "float16": 2,
    "uint8": 3,
    "int32": 4,
    "int8": 5,
    "int64": 6,
    "bool": 7,
}
DTYPE_NAMES = {number: name for name, number in DTYPE_NUMBERS.items()}


def text_of(value: Any) -> str:
    """MXNet's text of an attribute: what Python prints, with numpy's numbers as plain ones."""
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, (tuple, list)):
        items = ", ".join(text_of(item) for item in value)
        if isinstance(value, list):
            return f"[{items}]"
        return f"({items},)" if len(value) == 1 else f"({items})"
    return str(value)


def hidden(attributes: Mapping[str, Any] | None) -> dict[str, str]:
    """Attributes as they are kept, `lr_mult` as `__lr_mult__`; raises `ValueError` for other than texts."""
    kept = {}
    for name, value in (attributes or {}).items():
        if not isinstance(value, str):
            raise ValueError(f"attribute {name} must be a text, not {value!r}")
        kept[f"__{name}__" if name in PLAIN else name] = value
    return kept


def shown(attributes: Mapping[str, str]) -> dict[str, str]:
    """Attributes as they are listed: `__lr_mult__` also as `lr_mult`, which is how it may be asked for."""
    listed = dict(attributes)
    for name in PLAIN:
        if f"__{name}__" in attributes:
            listed[name] = attributes[f"__{name}__"]
    return listed


def declared(attributes: Mapping[str, str], owner: str) -> tuple[Shape, str | None]:
    """What the attributes of a variable say of its shape, None for an unknown size, and of its dtype.

    Raises `MXNetError` for a text that is no shape.
    """
    shape, text = None, attributes.get("__shape__")
    if text is not None:
        try:
            value = ast.literal_eval(text)
            sizes = [int(size) for size in (value if isinstance(value, (tuple, list)) else [value])]
        except (ValueError, SyntaxError, TypeError, OverflowError, RecursionError, MemoryError):
            raise MXNetError(f"{owner}: __shape__ is {text!r}, which is no shape") from None
        shape = tuple(size if size > 0 else None for size in sizes) or None
    numbers = {str(number): name for name, number in DTYPE_NUMBERS.items()}
    return shape, numbers.get(attributes.get("__dtype__", ""))


def is_private(name: str) -> bool:
    """Whether a name is of the form `__x__`, which operators and variables carry without knowing it."""
    return name.startswith("__") and name.endswith("__") and len(name) > 4


def require_private(attributes: Mapping[str, str], owner: str) -> None:
    """Refuse attributes that an operator does not know and that are not of the form `__x__`."""
    for name in attributes:
        if not is_private(name):
            raise MXNetError(
                f"{owner}: Cannot find argument '{name}'; attributes of your own are written __{name}__"
            )

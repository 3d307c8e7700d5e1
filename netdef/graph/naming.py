"""Automatic names (MXNet's NameManager and Prefix) and attributes of a scope (AttrScope)."""

from __future__ import annotations

import threading
from types import TracebackType

_local = threading.local()


class NameManager:
    """Gives a node the name it asks for, or the operator's stem and a counter; used as a `with` scope."""

    def __init__(self) -> None:
        self._counters: dict[str, int] = {}
        self._outer: NameManager | None = None

    def get(self, name: str | None, hint: str) -> str:
        """`name`, or `hint` followed by the next number of that hint in this scope, counted from 0."""
        if name:
            return name
        number = self._counters.get(hint, 0)
        self._counters[hint] = number + 1
        return f"{hint}{number}"

    @staticmethod
    def current() -> NameManager:
        """The innermost scope of this thread."""
        if not hasattr(_local, "names"):
            _local.names = NameManager()
        current: NameManager = _local.names
        return current

    def __enter__(self) -> NameManager:
        self._outer = NameManager.current()
        _local.names = self
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _local.names = self._outer


class Prefix(NameManager):
    """Puts a prefix before generated and explicit names; variables keep theirs."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix

    def get(self, name: str | None, hint: str) -> str:
        return self._prefix + super().get(name, hint)


class AttrScope:
    """Attributes for every symbol made inside a `with` block.

    All are texts; inner scopes win, explicit attributes most.
    """

    def __init__(self, **attributes: str) -> None:
        for name, value in attributes.items():
            if not isinstance(value, str):
                raise ValueError(f"attribute {name} must be a text, not {value!r}")
        self._attributes = attributes
        self._outer: dict[str, str] = {}

    @staticmethod
    def current(explicit: dict[str, str] | None = None) -> dict[str, str]:
        """The attributes of this thread's scopes, overruled by `explicit`."""
        return {**getattr(_local, "attributes", {}), **(explicit or {})}

    def get(self, attr: dict[str, str] | None) -> dict[str, str]:
        """The attributes of this scope alone, overruled by `attr`."""
        return {**self._attributes, **(attr or {})}

    def __enter__(self) -> AttrScope:
        self._outer = AttrScope.current()
        _local.attributes = {**self._outer, **self._attributes}
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _local.attributes = self._outer

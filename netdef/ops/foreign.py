"""Closed tables between an operator's attributes and another system's.

Every attribute of the operator is listed: it has another name (`Is`), another spelling (`To`), one value that
the other side implies (`Fixed`), or no counterpart (`Lost`).  What cannot be said comes back as lost, what is
not understood likewise; both become diagnostics in the importers and exporters.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "absent"})()


class To(NamedTuple):
    """Another name: `values` maps ours to theirs, `absent` is ours when theirs is not given."""

    name: str
    values: Mapping[Any, Any] | None = None
    absent: Any = ABSENT


class Fixed(NamedTuple):
    """The other side implies this value; those in `also` mean the same, and no other can be said."""

    value: Any
    also: tuple[Any, ...] = ()


class Lost(NamedTuple):
    """The attribute has no counterpart and does not change what inference computes; `why` says so."""

    why: str


class As:
    """One way to say an operator elsewhere: the foreign type and a rule for each attribute."""

    def __init__(self, type: str, **rules: To | Fixed | Lost | str) -> None:
        self.type = type
        self.rules = {name: To(rule) if isinstance(rule, str) else rule for name, rule in rules.items()}

    def require_closed(self, owner: str, attributes: Collection[str]) -> None:
        """Refuse, at import, a table that leaves an attribute out or names one that does not exist."""
        if self.rules.keys() != set(attributes):
            off = sorted(self.rules.keys() ^ set(attributes))
            raise TypeError(f"{owner}: the table for {self.type} does not match the attributes: {off}")

    def write(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Foreign attributes, and the names of ours that this table cannot say."""
        foreign: dict[str, Any] = {}
        lost: list[str] = []
        for name, rule in self.rules.items():
            value = values[name]
            if isinstance(rule, To):
                if rule.values is None:
                    foreign[rule.name] = value
                elif value in rule.values:
                    foreign[rule.name] = rule.values[value]
                else:
                    lost.append(name)
            elif isinstance(rule, Fixed) and value not in (rule.value, *rule.also):
                lost.append(name)
        return foreign, lost

    def read(self, foreign: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Our attributes, and the foreign names that this table does not understand."""
        values: dict[str, Any] = {}
        understood: set[str] = set()
        for name, rule in self.rules.items():
            if isinstance(rule, Fixed):
                values[name] = rule.value
            elif isinstance(rule, To) and rule.name in foreign:
                theirs = foreign[rule.name]
                back = {given: ours for ours, given in (rule.values or {}).items()}
                if rule.values is None or theirs in back:
                    values[name] = back.get(theirs, theirs)
                    understood.add(rule.name)
            elif isinstance(rule, To) and rule.absent is not ABSENT:
                values[name] = rule.absent
        return values, sorted(foreign.keys() - understood)

"""Classes that declare their values: operators (MXNet's attributes) and messages (Caffe's fields)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from netdef.ops.fields import BadValue, Field


class Declared:
    """Frozen typed values of declared fields.

    Raises `BadValue` at construction for an unknown name, a missing required one or a value that its field
    refuses. `None` for a field that may be unset leaves it unset. `given` holds the names that were set,
    which proto2 messages need to tell "unset" from "set to the default".
    """

    fields: ClassVar[dict[str, Field]] = {}
    given: frozenset[str]
    #: what an instance holds where nothing is set, by attribute; `None` for what is required
    _defaults: ClassVar[dict[str, Any]] = {"given": frozenset()}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = {value.name: value for value in vars(cls).values() if isinstance(value, Field)}
        bases = [vars(base).get("fields", {}) for base in reversed(cls.__mro__[1:])]
        cls.fields = {name: field for fields in (*bases, own) for name, field in fields.items()}
        defaults = {f.attribute: None if f.required else f.default for f in cls.fields.values()}
        cls._defaults = {**defaults, "given": frozenset()}

    def __init__(self, **values: Any) -> None:
        if not values.keys() <= self.fields.keys():
            name = next(name for name in values if name not in self.fields)
            raise BadValue(f"{type(self).__name__} has no {name}", "legal: " + ", ".join(self.fields))
        given = []
        # Not attribute by attribute: most are left out, and nets have thousands of operators.
        held = vars(self)
        held.update(self._defaults)
        for name, field in self.fields.items():
            if name not in values:
                if field.required:
                    raise BadValue(f"{type(self).__name__} needs {name}", field.help)
                continue
            value = values[name]
            if field.default is None and (value is None or value == "None"):
                continue  # MXNet's text of an attribute that is unset
            held[field.attribute] = field.read(value) if isinstance(value, str) else field.parse(value)
            given.append(name)
        held["given"] = frozenset(given)

    @classmethod
    def trusted(cls, values: Mapping[str, Any]) -> Any:
        """An instance from values that were parsed before.

        What is absent takes its default, `None` if it is required.
        """
        self = cls.__new__(cls)
        held = vars(self)
        held.update(cls._defaults)
        for name, value in values.items():
            held[cls.fields[name].attribute] = value
        held["given"] = frozenset(values)
        return self

    def values(self) -> dict[str, Any]:
        """The typed values by name, in the order of declaration."""
        return {name: getattr(self, field.attribute) for name, field in self.fields.items()}

    def given_values(self) -> dict[str, Any]:
        """Those of `values` that were given, for another one like this."""
        return {name: value for name, value in self.values().items() if name in self.given}

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen; {name} cannot be set")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.values() == other.values()

    def __hash__(self) -> int:
        return hash((type(self), tuple(self.values().items())))

    def __repr__(self) -> str:
        listed = ", ".join(f"{name}={value!r}" for name, value in self.given_values().items())
        return f"{type(self).__name__}({listed})"

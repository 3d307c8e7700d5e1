"""Declared values: the one description of a name from which parsing, schemas and documentation follow.

A class that derives from `netdef.ops.declared.Declared` lists its `Field`s as class attributes.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

REQUIRED: Any = type("Required", (), {"__repr__": lambda self: "required"})()


class BadValue(ValueError):
    """A value that a field refuses.

    `hint` says what would be legal, `path` leads to the part that is wrong.
    """

    def __init__(self, message: str, hint: str = "", path: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.message, self.hint, self.path = message, hint, path


def describe(value: Any) -> str:
    """A value as a user would recognise it, shortened where it is long."""
    names = {dict: "a mapping", list: "a list", bool: str(value).lower(), type(None): "nothing"}
    text = names.get(type(value)) or repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


class Field:
    """One declared value.

    `default` is `REQUIRED` or the value when absent (`None`: unset, as a proto2 optional field).  `number` is
    the protobuf field number, `repeated` whether it holds a list; in a spec a single value stands for a list
    of one.
    """

    kind = "value"
    #: whether `None` is a value of its own, and not what stands for a field that is unset
    nullable = False
    name = ""
    #: where an instance holds the value: the name, with `_` behind it where the class needs the name itself
    attribute = ""

    def __init__(
        self, default: Any = REQUIRED, help: str = "", *, number: int = 0, repeated: bool = False
    ) -> None:
        self.default = () if repeated and default is REQUIRED else default
        self.required = self.default is REQUIRED
        self.help, self.number, self.repeated = help, number, repeated

    def __set_name__(self, owner: type, name: str) -> None:
        self.attribute, self.name = name, name.removesuffix("_")

    if TYPE_CHECKING:

        def __get__(self, instance: object, owner: type | None = None) -> Any:
            """An instance of `Declared` holds the typed value under the field's name."""

    def parse(self, value: Any) -> Any:
        """The typed value; raises `BadValue`."""
        if not self.repeated:
            return self.parse_one(value)
        parsed = []
        for index, item in enumerate(value if isinstance(value, (list, tuple)) else [value]):
            try:
                parsed.append(self.parse_one(item))
            except BadValue as bad:
                path = (index, *bad.path) if isinstance(value, (list, tuple)) else bad.path
                raise BadValue(bad.message, bad.hint, path) from None
        return tuple(parsed)

    def parse_one(self, value: Any) -> Any:
        raise BadValue(f"no value of kind {self.kind} is known")

    def refuse(self, value: Any, expected: str) -> BadValue:
        return BadValue(f"{self.name}: {describe(value)} is not {expected}", f"give {expected}")

    def read(self, text: str) -> Any:
        """The typed value of MXNet's string form of an attribute, such as `"(3, 3)"` or `"True"`."""
        try:
            value = ast.literal_eval(text.strip())
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            value = text
        return self.parse(value)

    def text(self, value: Any) -> str:
        """MXNet's string form of a typed value."""
        return str(value)

    def schema(self) -> dict[str, Any]:
        """The JSON Schema (2020-12) of this field."""
        one = self.schema_one()
        whole: dict[str, Any] = {"anyOf": [one, {"type": "array", "items": one}]} if self.repeated else one
        if self.help:
            whole = {**whole, "description": self.help}
        if self.default not in (REQUIRED, None, ()):
            whole = {
                **whole,
                "default": list(self.default) if isinstance(self.default, tuple) else self.default,
            }
        return whole

    def schema_one(self) -> dict[str, Any]:
        return {}


class Number(Field):
    """A number, optionally bounded: `min` and `max` are legal, `above` and `below` are not."""

    def __init__(
        self,
        default: Any = REQUIRED,
        help: str = "",
        *,
        min: float | None = None,
        max: float | None = None,
        above: float | None = None,
        below: float | None = None,
        number: int = 0,
        repeated: bool = False,
    ) -> None:
        super().__init__(default, help, number=number, repeated=repeated)
        self.bounds = {"minimum": min, "maximum": max, "exclusiveMinimum": above, "exclusiveMaximum": below}

    def check_bounds(self, value: Any) -> Any:
        low, high, above, below = self.bounds.values()
        if low is not None and value < low:
            raise BadValue(f"{self.name}: {value} is too small", f"at least {low}")
        if high is not None and value > high:
            raise BadValue(f"{self.name}: {value} is too large", f"at most {high}")
        if above is not None and value <= above:
            raise BadValue(f"{self.name}: {value} is too small", f"more than {above}")
        if below is not None and value >= below:
            raise BadValue(f"{self.name}: {value} is too large", f"less than {below}")
        return value

    def schema_one(self) -> dict[str, Any]:
        return {"type": self.kind, **{key: bound for key, bound in self.bounds.items() if bound is not None}}


#: how Python and MXNet write what no literal says
_NOT_FINITE = ("inf", "+inf", "-inf", "infinity", "-infinity", "nan")


class Whole(Number):
    """Base of the fields that hold whole numbers, within 64 bits, as in every format that netdef reads."""

    kind = "integer"

    def whole(self, value: Any) -> int:
        """One whole number, whatever its bounds; raises `BadValue`."""
        if type(value) is int:  # as nearly always
            number = value
        elif isinstance(value, float) and value.is_integer():
            number = int(value)
        elif isinstance(value, bool) or not hasattr(value, "__index__"):
            raise self.refuse(value, "a whole number")
        else:
            number = value.__index__()
        if not -(2**63) <= number < 2**63:
            told = f"{self.name}: {describe(number)} does not fit in 64 bits"
            raise BadValue(told, "give a smaller number")
        return number


class Int(Whole):
    """A whole number."""

    def parse_one(self, value: Any) -> int:
        number: int = self.check_bounds(self.whole(value))
        return number


class Float(Number):
    """A real number, finite unless `infinite` allows more."""

    kind = "number"

    def __init__(self, *args: Any, infinite: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.infinite = infinite

    def read(self, text: str) -> Any:
        return self.parse(float(text)) if text.strip().lower() in _NOT_FINITE else super().read(text)

    def parse_one(self, value: Any) -> float:
        if isinstance(value, (bool, str)) or not hasattr(value, "__float__"):
            raise self.refuse(value, "a number")
        try:
            value = float(value)
        except OverflowError:
            raise self.refuse(value, "a number that a float can hold") from None
        if not math.isfinite(value) and not self.infinite:
            raise BadValue(f"{self.name}: {value} is not finite", "give a finite number")
        return self.check_bounds(value)


class Bool(Field):
    """True or false; MXNet code also writes 0 and 1."""

    kind = "boolean"

    def parse_one(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise self.refuse(value, "true or false")
        return value

    def read(self, text: str) -> bool:
        words = {"true": True, "1": True, "false": False, "0": False}
        return self.parse(words.get(text.strip().lower(), text))

    def schema_one(self) -> dict[str, Any]:
        return {"type": "boolean"}


class Str(Field):
    """A text."""

    kind = "string"

    def parse_one(self, value: Any) -> str:
        if not isinstance(value, str):
            hint = "give a name" if isinstance(value, (dict, list, tuple)) else "put it in quotes"
            raise BadValue(f"{self.name}: {describe(value)} is not a text", hint)
        return value

    def read(self, text: str) -> str:
        return self.parse(text)

    def schema_one(self) -> dict[str, Any]:
        return {"type": "string"}


#: what would break lines, tables, terminals and the keys of weight files
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Name(Str):
    """A text without control characters."""

    def parse_one(self, value: Any) -> str:
        name = super().parse_one(value)
        if _CONTROL.search(name):
            told = f"{self.name}: {describe(value)} has a control character in it"
            raise BadValue(told, "give a name of printable characters")
        return name

    def schema_one(self) -> dict[str, Any]:
        return {"type": "string", "not": {"pattern": _CONTROL.pattern}}


class Enum(Field):
    """One of a few words."""

    kind = "enum"

    def __init__(
        self,
        *choices: str,
        default: Any = REQUIRED,
        help: str = "",
        number: int = 0,
        repeated: bool = False,
    ) -> None:
        super().__init__(default, help, number=number, repeated=repeated)
        self.choices = choices

    def parse_one(self, value: Any) -> str:
        if value not in self.choices:
            legal = " or ".join(", ".join(self.choices).rsplit(", ", 1))
            raise BadValue(f"{self.name}: {describe(value)} is not {legal}", f"give {legal}")
        return value

    def read(self, text: str) -> str:
        return self.parse(text)

    def schema_one(self) -> dict[str, Any]:
        return {"enum": list(self.choices)}


#: how Python 2, and so the files of older versions of MXNet, write some whole numbers: 3L
_LONG = re.compile(r"(?<=\d)L\b")


def _is_listing(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, Mapping))


class Dims(Whole):
    """A tuple of whole numbers, one for each axis; an operator may take one number for all axes."""

    def read(self, text: str) -> Any:
        return super().read(_LONG.sub("", text))

    def parse_one(self, value: Any) -> tuple[int, ...]:
        items = value if isinstance(value, (tuple, list)) or _is_listing(value) else [value]
        return tuple([self.check_bounds(self.whole(item)) for item in items])

    def text(self, value: Any) -> str:
        return "(" + ", ".join(map(str, value)) + ("," if len(value) == 1 else "") + ")"

    def schema_one(self) -> dict[str, Any]:
        one = super().schema_one()
        return {"anyOf": [one, {"type": "array", "items": one}]}


class OpenDims(Field):
    """A tuple of whole numbers of which some may be `None`, as the `begin` and `end` of MXNet's slice."""

    kind = "integers"

    def read(self, text: str) -> Any:
        return super().read(_LONG.sub("", text))

    def parse_one(self, value: Any) -> tuple[int | None, ...]:
        items = value if _is_listing(value) else [value]
        whole = Int()
        whole.name = self.name
        return tuple(None if item is None else whole.parse_one(item) for item in items)

    def text(self, value: Any) -> str:
        return "(" + ", ".join(map(str, value)) + ("," if len(value) == 1 else "") + ")"

    def schema_one(self) -> dict[str, Any]:
        one = {"type": ["integer", "null"]}
        return {"anyOf": [{"type": "integer"}, {"type": "array", "items": one}]}


class DType(Enum):
    """A dtype by its numpy name; a numpy type stands for its name."""

    def parse_one(self, value: Any) -> str:
        return super().parse_one(getattr(value, "__name__", value))


class Hint(Str):
    """Advice for MXNet's backends (workspace sizes, cuDNN): kept for files, without effect here."""

    def __init__(self, help: str = "advice for MXNet's own backends, without effect here") -> None:
        super().__init__(None, help)

    def parse_one(self, value: Any) -> str:
        return str(value)

    def read(self, text: str) -> str:
        return text


class Floats(Field):
    """A tuple of finite numbers, as the coefficients of a sum."""

    kind = "numbers"

    def parse_one(self, value: Any) -> tuple[float, ...]:
        one = Float()
        one.name = self.name
        return tuple(one.parse_one(item) for item in (value if isinstance(value, (list, tuple)) else [value]))

    def schema_one(self) -> dict[str, Any]:
        one = {"type": "number"}
        return {"anyOf": [one, {"type": "array", "items": one}]}

"""What an unquoted word means: YAML 1.2's core schema.

So `1e-3` is a number, and `no`, `on`, `12:30:45`, `1_000` and `2020-01-01` are texts, other than in YAML 1.1.
"""

from __future__ import annotations

import re
from typing import Any

from netdef.spec.limits import DIGITS

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_NUMBER_START = frozenset("+-.0123456789")
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_TAG = "tag:yaml.org,2002:"
#: a tag that sets the type -> that type, and how it is called
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    f"{_TAG}int": ((int,), "a whole number"),
    f"{_TAG}float": ((int, float), "a number"),
    f"{_TAG}bool": ((bool,), "true or false"),
    f"{_TAG}null": ((type(None),), "null"),
}
#: tags that leave a text, a list or a mapping what it is; `!` alone says that a word is a text
TEXT_TAGS, LIST_TAGS, MAPPING_TAGS = ({f"{_TAG}{kind}", "!"} for kind in ("str", "seq", "map"))


class BadScalar(ValueError):
    """A word that is not what it is said to be, or a number that is too long."""


def resolve(word: str) -> Any:
    """The value of an unquoted word; raises `BadScalar`."""
    if word in _WORDS:
        return _WORDS[word]
    if word[0] not in _NUMBER_START:
        return word
    if _INT.fullmatch(word):
        # Longer ones take quadratic time, and Python refuses to print them.
        if len(word) > DIGITS:
            raise BadScalar(f"a number of {len(word)} digits is too long; at most {DIGITS} are read")
        return int(word)
    if _BASED.fullmatch(word):
        if len(word) > DIGITS // 2:
            raise BadScalar(f"a number of {len(word) - 2} digits is too long; at most {DIGITS // 2} are read")
        return int(word[2:], 8 if word[1] == "o" else 16)
    return float(word) if _FLOAT.fullmatch(word) else word


def tagged(word: str, tag: str) -> Any:
    """The value of a word with an explicit tag; raises `BadScalar`, and `KeyError` for an unknown tag."""
    if tag in TEXT_TAGS:
        return word
    types, expected = _TYPES[tag]
    value = resolve(word)
    if type(value) not in types:
        raise BadScalar(f"{word[:40]!r} is not {expected}, as its tag !!{tag.removeprefix(_TAG)} says")
    return float(value) if float in types else value

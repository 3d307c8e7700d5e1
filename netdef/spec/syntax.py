"""What a text that is no YAML most likely lacks: PyYAML's complaints in our words, with places."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from netdef.diag import Code, Related, Span
from netdef.spec import limits, text_codes
from netdef.spec.events import HALF

_QUOTES = "texts that contain : # { } [ ] , & * ! | > % @ or ` need quotes"

#: a part of the complaint of libyaml or of PyYAML's own parser -> what is wrong, what to do
_TAB = ("a tab stands where indentation is counted", "indent with spaces")
_ESCAPE = r"write \\ for a backslash"

#: a part of the complaint of libyaml or of PyYAML's own parser -> what is wrong, what to do
_SAID: tuple[tuple[str, str, str], ...] = (
    ("tab character", *_TAB),
    (
        "mapping values are not allowed",
        "this colon cannot start a value here",
        "align this line with the key that it belongs to, or look for an unfinished line above",
    ),
    ("could not find expected ':'", "there is a word without a colon after it", "write key: value"),
    ("entries are not allowed", "a list cannot start on this line", "put the - on the line below the key"),
    ("keys are not allowed", "a key cannot start here", "put it on a line of its own"),
    ("cannot start any token", "a value cannot start with this character", _QUOTES),
    ("node content", "there is no value here", "look for a bracket, comma or colon too many"),
    ("block collection", "this line is no item of the list above", "start it with -, or indent it less"),
    ("block mapping", "this cannot stand here inside a mapping", "write key: value, below the other keys"),
    ("',' or ']'", "a list in [ ] goes on with a comma, or ends with ]", "add the comma or ]"),
    ("',' or '}'", "a mapping in { } goes on with a comma, or ends with }", "add the comma or }"),
    (
        "document start",
        "there is more text after the end of the file's mapping",
        "look for a bracket too many",
    ),
    ("unknown escape character", "there is no such escape in a double-quoted text", _ESCAPE),
    ("Unicode character escape", "this escape is no character", r"a pair such as \ud83d\ude00 is one"),
    ("hexdecimal", "this escape lacks a hexadecimal digit", _ESCAPE),
    ("hexadecimal", "this escape lacks a hexadecimal digit", _ESCAPE),
    ("directive", "a line cannot start with % outside quotes", _QUOTES),
    ("alphabetic or numeric", "& and * need a name of letters and digits", _QUOTES),
    ("tag", "a text cannot start with ! unless it is quoted", _QUOTES),
    ("document indicator", "a quoted text runs into the end of the document", "close the quote"),
    ("block scalar", "after | or > the text starts on the next line", _QUOTES),
    ("YAML document", "this version of YAML is not read", "leave the %YAML line out"),
)
_MISSING_SPACE = re.compile(r"(?:\s|- )*([A-Za-z_]\w*:)(?=[^\s/\\:])")


class Fault(NamedTuple):
    """Where a text stops being YAML, and what would mend it: what `Findings.add` takes."""

    code: Code
    span: Span
    message: str
    hint: str
    related: tuple[Related, ...] = ()


def explain(error: Any, file: str, text: str, bracket: tuple[str, Span] | None) -> Fault:
    """One sentence about a `yaml.MarkedYAMLError`; `bracket` is the innermost open one and its place."""
    lines = text.splitlines() or [""]
    mark, start = error.problem_mark or error.context_mark, error.context_mark
    said = f"{error.problem} {error.context or ''}"
    # The end of the text is the end of its last line.
    line = min(mark.line, len(lines) - 1)
    column = mark.column if mark.line < len(lines) else len(lines[line])
    ended = not text[mark.index :].strip()

    if "unexpected end of stream" in said and start is not None:
        here = _point(file, start.line, start.column)
        return _fault(here, "this quote is never closed", "add a quote where the text ends")
    if "nesting depth" in said:
        # libyaml reads ahead of its events, and gives up before the composer can count.
        here = _point(file, line, column)
        message = f"mappings and lists are nested more than {limits.DEPTH} levels deep"
        return Fault(text_codes.LIMIT, here, message, "a net needs about eight; look for brackets too many")
    if (tab := _tab(lines[line], column)) is not None:
        return _fault(_point(file, line, tab), *_TAB)
    if bracket is not None and ended:
        closing = "]" if bracket[0] == "[" else "}"
        return _fault(bracket[1], f"this {bracket[0]} is never closed", f"add {closing} where it ends")
    if bracket is not None and lines[line][max(column - 1, 0) : column + 1] == "${":
        here = _point(file, line, column - 1)
        return _fault(here, "${...} needs quotes inside { } and [ ]", 'write "${...}"')
    for number in (line, max(line - 1, 0)) if bracket is None else ():
        if space := _MISSING_SPACE.match(lines[number]):
            hint = f"write {space[1]} and a space"
            return _fault(_point(file, number, space.end()), "there is no space after the colon", hint)
    message, hint = next((row[1:] for row in _SAID if row[0] in said), ("this is no YAML", _QUOTES))
    if "mapping values" in said and ": " in lines[line][:column]:
        hint = "a text that contains a colon and a space needs quotes"
    if "could not find expected ':'" in said and start is not None:
        line, column = start.line, start.column
    if "escape" in said or "hex" in said:
        line, column = _escape(lines, line, column)
    related = () if bracket is None else (Related(bracket[1], f"this {bracket[0]} is open"),)
    return _fault(_point(file, line, column), message, hint, related)


def _fault(span: Span, message: str, hint: str, related: tuple[Related, ...] = ()) -> Fault:
    return Fault(text_codes.SYNTAX, span, message, hint, related)


def _point(file: str, line: int, column: int) -> Span:
    """One character; line and column count from 0 here, as PyYAML's do."""
    return Span(file, line + 1, column + 1, line + 1, column + 2)


def _tab(line: str, column: int) -> int | None:
    """The column of a tab in the indentation that ends where the complaint points."""
    before = line[: column + 1]
    return before.index("\t") if not before.strip() and "\t" in before else None


def _escape(lines: list[str], line: int, column: int) -> tuple[int, int]:
    """Where the escape starts that a complaint is about, or half of a pair in the text that starts there."""
    if half := HALF.search(lines[line], max(column - 2, 0)):
        return line, half.start()
    return line, max(lines[line].rfind("\\", 0, column + 1), 0)

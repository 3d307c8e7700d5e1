"""Diagnostics as text: one line for machines and eyes, then the place and what to do."""

from __future__ import annotations

import unicodedata
from typing import Any

import click

from netdef.diag import ERROR, WARNING, Diagnostic, Span
from netdef.source import read_text_lines

_COLOURS = {ERROR: "red", WARNING: "yellow"}
#: a longer source line is shown in part
_WIDEST = 120
#: characters of a message
_LONGEST = 1000


class Renderer:
    """Lays out diagnostics; reads each source file once.  click takes the colour out where nobody sees it."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}

    def remember(self, file: str, text: str) -> None:
        """Take over the text of a file that cannot be read again, such as standard input."""
        self._lines[file] = text.splitlines()

    def line(self, diagnostic: Diagnostic) -> str:
        """`file:line:col: error ND201 message`."""
        kind = click.style(
            f"{diagnostic.severity} {diagnostic.code.id}",
            fg=_COLOURS.get(diagnostic.severity, "cyan"),
            bold=True,
        )
        place = click.style(_printable(str(diagnostic.span)), bold=True)
        return f"{place}: {kind} {_short(diagnostic.message)}"

    def block(self, diagnostic: Diagnostic) -> str:
        """The line, the place in the source, the related places, the trail of shapes and the help."""
        parts = [self.line(diagnostic), *self._snippet(diagnostic.span)]
        for related in diagnostic.related:
            place = _printable(str(related.span))
            parts.append(f"   = {click.style('see', bold=True)}: {place}: {_short(related.message)}")
        if diagnostic.trail:
            parts.append(f"   = {click.style('shapes', bold=True)}: {_short(diagnostic.trail)}")
        if diagnostic.hint:
            parts.append(f"   = {click.style('help', bold=True)}: {_short(diagnostic.hint)}")
        return "\n".join(parts)

    def _snippet(self, span: Span) -> list[str]:
        """The source line with carets under the place."""
        if not span.line:
            return []
        if span.file not in self._lines:
            self._lines[span.file] = read_text_lines(span.file)
        lines = self._lines[span.file]
        if span.line > len(lines):
            return []
        text = lines[span.line - 1]
        start = min(span.column - 1, len(text))
        end = span.end_column - 1 if span.end_line == span.line else len(text)
        if start > _WIDEST - 20:
            cut = start - 40
            text, start, end = "..." + text[cut:], start - cut + 3, end - cut + 3
        text = text[:_WIDEST] + ("..." if len(text) > _WIDEST else "")
        text = _printable(text)
        carets = max(1, min(_width(text[start : min(end, _WIDEST)]), _WIDEST))
        gutter = " " * len(str(span.line))
        mark = " " * _width(text[:start]) + click.style("^" * carets, fg="red", bold=True)
        return [f"{gutter} |", f"{span.line} | {text}", f"{gutter} | {mark}"]


def as_data(diagnostic: Diagnostic) -> dict[str, Any]:
    """A diagnostic as JSON data."""
    span = diagnostic.span
    return {
        "file": span.file,
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
        "code": diagnostic.code.id,
        "name": diagnostic.code.name,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "hint": diagnostic.hint,
        "trail": diagnostic.trail,
        "related": [
            {"file": r.span.file, "line": r.span.line, "column": r.span.column, "message": r.message}
            for r in diagnostic.related
        ],
    }


def _short(text: str) -> str:
    """Printable text; one that a huge name would make unreadable is cut."""
    return _printable(text if len(text) <= _LONGEST else text[:_LONGEST] + "...")


def _printable(text: str) -> str:
    """Text whose control characters cannot harm a terminal; a tab becomes one space, so that columns stay."""
    return "".join(
        " " if char == "\t" else char if char.isprintable() else f"\\u{ord(char):04x}" for char in text
    )


def _width(text: str) -> int:
    """The number of terminal cells that a text takes."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )

"""Diagnostics: what is wrong, where, what would be legal and what to do.

Every finding carries a `Code` that is declared once, beside the stage that reports it.  Text layout and
colour belong to `netdef.cli`; this module only holds the facts.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

ERROR, WARNING = "error", "warning"


class Span(NamedTuple):
    """A stretch of a text file; lines and columns count from 1, the end is exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


def whole_file(path: str) -> Span:
    """The place of a finding about a file as a whole, such as one that is missing."""
    return Span(path, 0, 0, 0, 0)


class Code:
    """A kind of finding, with the page that `netdef explain` prints.

    `bad` and `good` are complete spec files, both run as tests: the bad one must report this code, the good
    one nothing.  A code without a bad example cannot be shown by a spec file alone; `shown_by` then says what
    shows it.  `exit_code` is the status that a command ends with on account of it: 1 a finding, 2 usage,
    3 a file or the machine refuses, 4 a number that is not finite.
    """

    registry: dict[str, Code] = {}
    name: str

    def __init__(
        self,
        id: str,
        name: str,
        *,
        what: str,
        why: str,
        bad: str = "",
        good: str = "",
        shown_by: str = "",
        ignore: str = "Never: the net cannot be built.",
        severity: str = ERROR,
        exit_code: int = 1,
    ) -> None:
        if id in self.registry:
            raise ValueError(f"{id} is declared twice: {self.registry[id].name} and {name}")
        self.id, self.name, self.severity = id, name, severity
        self.what, self.why, self.bad, self.good = what, why, bad, good
        self.shown_by, self.ignore = shown_by, ignore
        self.exit_code = exit_code
        self.registry[id] = self

    def __repr__(self) -> str:
        return f"<{self.id} {self.name}>"


class Related(NamedTuple):
    """Another place that is part of the story, such as the first of two producers."""

    span: Span
    message: str


class Diagnostic(NamedTuple):
    """One finding.  `trail` is the line of shapes that led to it, `hint` what would mend it."""

    code: Code
    span: Span
    message: str
    hint: str = ""
    related: tuple[Related, ...] = ()
    trail: str = ""

    @property
    def severity(self) -> str:
        return self.code.severity

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.span}: {self.severity} {self.code.id} {self.message}{hint}"


class Error(Exception):
    """Something that the caller can mend.  `diagnostics` says what, where and how."""

    exit_code = 1

    def __init__(self, problem: str | Iterable[Diagnostic]) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = () if isinstance(problem, str) else tuple(problem)
        text = problem if isinstance(problem, str) else "\n".join(map(str, self.diagnostics))
        super().__init__(text)


class UsageError(Error):
    """A command or a call that does not fit what it is applied to."""

    exit_code = 2


class MXNetError(UsageError):
    """A call of the Symbol, NDArray or Executor interface that cannot be carried out (MXNet's name)."""


class EnvironmentFault(Error):
    """The machine refuses: a file that is missing or unreadable, a full disk."""

    exit_code = 3


class NumericFault(Error):
    """Training met a value that is not finite."""

    exit_code = 4


class Findings:
    """An ordered collection of diagnostics that stages add to; a stage never raises for a bad spec."""

    def __init__(self) -> None:
        self._items: list[Diagnostic] = []

    def add(
        self,
        code: Code,
        span: Span,
        message: str,
        hint: str = "",
        related: Iterable[Related] = (),
        trail: str = "",
    ) -> None:
        self._items.append(Diagnostic(code, span, message, hint, tuple(related), trail))

    def extend(self, more: Iterable[Diagnostic]) -> None:
        """Add what another collection holds, in its order."""
        self._items.extend(more)

    def __iter__(self) -> Iterator[Diagnostic]:
        """In order of place, each finding once."""
        # Most collections stay empty, and every message of a spec has one.
        found = sorted(dict.fromkeys(self._items), key=_by_place) if self._items else ()
        return iter(found)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def errors(self) -> list[Diagnostic]:
        return [d for d in self if d.severity == ERROR] if self._items else []

    def raise_errors(self) -> None:
        """Raise every error found so far, if there is any, as the `Error` whose exit code is their status."""
        if self.errors:
            raise _RAISED.get(exit_status(self.errors), Error)(self.errors)


def _by_place(diagnostic: Diagnostic) -> tuple[Span, str]:
    return diagnostic.span, diagnostic.code.id


_RAISED: dict[int, type[Error]] = {
    fault.exit_code: fault for fault in (UsageError, EnvironmentFault, NumericFault)
}


def exit_status(diagnostics: Iterable[Diagnostic]) -> int:
    """0 without errors and warnings; else the least exit code of the errors, or of the warnings alone.

    The least, since 3 says that nothing is wrong with the spec itself: trying again later may succeed.
    """
    found = [d for d in diagnostics if d.severity in (ERROR, WARNING)]
    errors = [d for d in found if d.severity == ERROR]
    return min((d.code.exit_code for d in errors or found), default=0)


def nearest(word: str, choices: Iterable[str]) -> str:
    """The legal word that was most likely meant; empty where none is near."""
    return _nearest(word, tuple(choices))


# The same mistake is often made many times, and comparing words is slow.
@lru_cache(maxsize=512)
def _nearest(word: str, choices: tuple[str, ...]) -> str:
    folded = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return folded[near[0]] if near else ""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """A hint that names the nearest legal word, or all of them where none is near and they are few."""
    words = list(choices)
    if near := nearest(word, words):
        return f"did you mean {near}?"
    if 0 < len(words) <= 20:
        return "legal: " + ", ".join(words)
    return ""

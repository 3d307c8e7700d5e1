"""`${...}` in the values of a spec, and the mapping `variables` that they draw from.

A value that is one `${...}` becomes what the expression gives, a list or mapping included; inside a longer
text it is written out.  `$${` stands for `${`.  Keys are left as they are.  Variables may use each other, in
any order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from netdef.diag import Code, Findings, Span, did_you_mean
from netdef.ops.fields import describe
from netdef.spec import limits, text_codes
from netdef.spec.document import Document, Path
from netdef.spec.expressions import NAME, BadExpression, Token, evaluate, names, tokens

VARIABLES = "variables"


class _Expression(NamedTuple):
    """One `${...}` of a text; `start` and `end` are those of what is inside."""

    source: list[Token]
    start: int
    end: int


class _Sized(NamedTuple):
    """A value without `${...}`, its numbers of values and levels, and whether all of it could be made out."""

    value: Any
    size: int = 1
    height: int = 0
    whole: bool = True


class _Unknown(Exception):
    """A value that cannot be had; there is a finding about it or about what it needs."""


def substitute_variables(document: Document, findings: Findings) -> Document:
    """The document without `variables` and with every `${...}` replaced; what is wrong becomes findings.

    The value of a `${...}` has the place of that text; what is inside a list or mapping that it stands for
    has the place where the variable was written.
    """
    declared = document.data.get(VARIABLES)
    if declared is not None and not isinstance(declared, dict):
        message = f"variables must be a mapping of names to values, not {describe(declared)}"
        findings.add(
            text_codes.VARIABLES, document.key((VARIABLES,)), message, "write variables: {name: value}"
        )
    return _Substitution(document, findings).run(declared if isinstance(declared, dict) else {})


def _split(text: str) -> list[str | _Expression]:
    """A text as what stands for itself and what is to be computed; raises `BadExpression`, placed in it."""
    pieces: list[str | _Expression] = []
    done = 0
    while (start := text.find("${", done)) >= 0:
        if start > done and text[start - 1] == "$":
            pieces.append(text[done : start - 1] + "${")
            done = start + 2
            continue
        end = _closing(text, start + 2)
        try:
            source = tokens(text[start + 2 : end])
        except BadExpression as bad:
            raise BadExpression(bad.message, start + 2 + bad.start, start + 2 + bad.end, bad.hint) from None
        if start > done:
            pieces.append(text[done:start])
        pieces.append(_Expression(source, start + 2, end))
        done = end + 1
    if done < len(text) or not pieces:
        pieces.append(text[done:])
    return pieces


def _closing(text: str, start: int) -> int:
    """Where the } of an expression stands: the first one outside quotes."""
    quote = ""
    for index in range(start, min(len(text), start + limits.EXPRESSION + 1)):
        character = text[index]
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character == "}":
            return index
    hint = "add }, or write $${ for a text that contains ${"
    raise BadExpression("this ${ has no } after it", start - 2, start, hint)


class _Substitution:
    """Replaces the `${...}` of one document."""

    def __init__(self, document: Document, findings: Findings) -> None:
        self.document, self.findings = document, findings
        self.declared: dict[str, Any] = {}
        #: what each variable stands for; None where that is unknown
        self.known: dict[str, _Sized | None] = {}
        #: containers that were seen, by identity: what stands behind an alias is done once
        self.done: dict[int, _Sized] = {}
        self.aliases: dict[Path, Path] = {}
        self.broken: set[Path] = set()
        self.hints: dict[str, str] = {}
        self.written = 0

    def run(self, declared: dict[str, Any]) -> Document:
        self.declare(declared)
        data = {name: value for name, value in self.document.data.items() if name != VARIABLES}
        whole = self.container(data, ())
        if whole.size > limits.NODES or whole.height > limits.DEPTH:
            message = f"with its variables the file has more than {limits.NODES} values"
            if whole.height > limits.DEPTH:
                message = f"with its variables the file is nested more than {limits.DEPTH} levels deep"
            span = self.document.key((VARIABLES,))
            self.findings.add(
                text_codes.LIMIT, span, message, "let variables hold smaller lists and mappings"
            )
            whole = _Sized({})
        old = self.document
        aliases = {**old.aliases, **self.aliases}
        broken = old.broken | self.broken
        return Document(old.file, old.text, whole.value, old.keys, old.values, aliases, broken)

    def declare(self, declared: dict[str, Any]) -> None:
        """Find the value of every variable, each after those that it uses."""
        for name, value in declared.items():
            if NAME.fullmatch(name):
                self.declared[name] = value
            else:
                span = self.document.key((VARIABLES, name))
                message = f"{describe(name)} cannot be the name of a variable"
                hint = "use letters, digits and _, and no digit first"
                self.findings.add(text_codes.VARIABLES, span, message, hint)
        uses = {name: self.uses(value) & self.declared.keys() for name, value in self.declared.items()}
        for name in _in_order(uses):
            value = self.value(self.declared[name], (VARIABLES, name))
            self.known[name] = value if value.whole else None
        for cycle in _cycles(uses, self.known):
            span = self.document.key((VARIABLES, cycle[0]))
            trail = " -> ".join((*cycle, cycle[0]))
            hint = "give one of them a value of its own"
            self.findings.add(text_codes.VARIABLE_CYCLE, span, f"variables need each other: {trail}", hint)

    def uses(self, value: Any) -> set[str]:
        """The names in the expressions of a value; what is no expression is reported later."""
        found: set[str] = set()
        left, seen = [value], set()
        while left:
            item = left.pop()
            if isinstance(item, str):
                try:
                    found.update(
                        *(names(piece.source) for piece in _split(item) if isinstance(piece, _Expression))
                    )
                except BadExpression:
                    continue
            elif isinstance(item, (dict, list)) and id(item) not in seen:
                seen.add(id(item))
                left += item.values() if isinstance(item, dict) else item
        return found

    def value(self, value: Any, path: Path) -> _Sized:
        if isinstance(value, str):
            return self.text(value, path) if "${" in value else _Sized(value)
        return self.container(value, path) if isinstance(value, (dict, list)) else _Sized(value)

    def container(self, value: dict[str, Any] | list[Any], path: Path) -> _Sized:
        if (done := self.done.get(id(value))) is not None:
            return done
        values: dict[Any, Any] = {}
        size, height, whole = 1, 0, True
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if "${" not in item if isinstance(item, str) else not isinstance(item, (dict, list)):
                values[key] = item
                size += 1
                continue
            part = self.value(item, (*path, key))
            values[key] = part.value
            size += part.size
            height = max(height, part.height)
            whole = whole and part.whole
        result = _Sized(values if isinstance(value, dict) else list(values.values()), size, height + 1, whole)
        self.done[id(value)] = result
        return result

    def text(self, text: str, path: Path) -> _Sized:
        """A text with its `${...}` replaced; the text itself where that cannot be done."""
        try:
            pieces = _split(text)
            if len(pieces) == 1 and isinstance(pieces[0], _Expression):
                return self.expression(pieces[0], path, text)
            return _Sized("".join(self.piece(piece, path, text) for piece in pieces))
        except BadExpression as bad:
            self.report(text_codes.EXPRESSION, path, text, bad)
        except _Unknown:
            pass
        self.broken.add(path)
        return _Sized(text, whole=False)

    def piece(self, piece: str | _Expression, path: Path, text: str) -> str:
        """What a piece of a text is written as."""
        if isinstance(piece, str):
            return piece
        value = self.expression(piece, path, text).value
        if value is None or isinstance(value, (dict, list)):
            hint = "only a text, a number, true or false can stand inside a text"
            raise BadExpression(f"{describe(value)} cannot stand inside a text", piece.start, piece.end, hint)
        written = str(value).lower() if isinstance(value, bool) else str(value)
        self.written += len(written)
        if self.written > limits.INTERPOLATED:
            message = f"variables write more than {limits.INTERPOLATED} characters into texts"
            raise BadExpression(message, piece.start, piece.end, "use shorter variables")
        return written

    def expression(self, piece: _Expression, path: Path, text: str) -> _Sized:
        if len(piece.source) == 2 and piece.source[0].kind == "name":
            found = self.lookup(piece.source[0], piece, path, text)
            if isinstance(found.value, (dict, list)):
                self.aliases[path] = (VARIABLES, piece.source[0].text)
            return found
        try:
            return _Sized(evaluate(piece.source, lambda name: self.lookup(name, piece, path, text).value))
        except BadExpression as bad:
            raise BadExpression(
                bad.message, piece.start + bad.start, piece.start + bad.end, bad.hint
            ) from None

    def lookup(self, name: Token, piece: _Expression, path: Path, text: str) -> _Sized:
        if name.text not in self.declared:
            hint = self.nearest(name.text)
            bad = BadExpression(
                f"there is no variable {name.text}", piece.start + name.start, piece.start + name.end, hint
            )
            self.report(text_codes.UNKNOWN_VARIABLE, path, text, bad)
            raise _Unknown
        found = self.known.get(name.text)
        if found is None:
            raise _Unknown
        return found

    def nearest(self, name: str) -> str:
        """A hint about an unknown variable; the search is slow, so that only the first hundred get it."""
        if name not in self.hints:
            near = did_you_mean(name, self.declared) if len(self.hints) < 100 else ""
            self.hints[name] = near or "declare it in variables at the top of the file"
        return self.hints[name]

    def report(self, code: Code, path: Path, text: str, bad: BadExpression) -> None:
        span = self.document.value(path)
        self.findings.add(code, _inside(self.document, span, text, bad.start, bad.end), bad.message, bad.hint)


def _inside(document: Document, span: Span, text: str, start: int, end: int) -> Span:
    """The place of a part of a text that was written as it is on one line; otherwise that of the whole."""
    line = document.line(span.line) if span.file == document.file else span.file
    for column in (span.column, span.column + 1):  # without and with a quote before it
        if span.line == span.end_line and line.startswith(text, column - 1):
            return Span(span.file, span.line, column + start, span.line, column + end)
    return span


def _in_order(uses: dict[str, set[str]]) -> Iterator[str]:
    """The names that no circle holds up, each after those that it uses."""
    users: dict[str, list[str]] = {name: [] for name in uses}
    waiting = {name: len(used) for name, used in uses.items()}
    for name, used in uses.items():
        for other in used:
            users[other].append(name)
    ready = [name for name, count in waiting.items() if not count]
    while ready:
        name = ready.pop()
        yield name
        for user in users[name]:
            waiting[user] -= 1
            if not waiting[user]:
                ready.append(user)


def _cycles(uses: dict[str, set[str]], done: dict[str, Any]) -> Iterator[list[str]]:
    """The circles among the names that are not done, no two with a name in common."""
    seen: dict[str, str] = {}
    for start in uses:
        trail: list[str] = []
        name = start
        while name not in done and name not in seen:
            seen[name] = start
            trail.append(name)
            # Every name that is left waits for another one that is left.
            name = min(used for used in uses[name] if used not in done)
        if name not in done and seen[name] == start:
            yield trail[trail.index(name) :]

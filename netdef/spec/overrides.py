"""`--set PATH=VALUE`: values given on the command line, with that option as their place.

A path leads through keys; an item of a list is addressed by its number or, as layers are, by its `name`: all
items of that name, since a net may have one for each phase.  A part with a dot or = in it stands in double
quotes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from netdef.diag import Findings, Span, did_you_mean
from netdef.ops.fields import describe
from netdef.spec import limits, text_codes
from netdef.spec.compose import Nothing
from netdef.spec.document import Document, Path
from netdef.spec.read import read_value
from netdef.spec.variables import VARIABLES, substitute_variables

#: one part of a path: in quotes, or up to the next dot
_PART = re.compile(r'"([^"]*)"|([^."=]+)')
_OPTION = "--set "
_EXAMPLE = "write a path and a value, such as layer.conv1.convolution_param.num_output=32"


class _Part(NamedTuple):
    text: str
    span: Span


class _Override(NamedTuple):
    """One parsed option; its value is a document of its own."""

    parts: list[_Part]
    value: Document


def substitute(document: Document, overrides: Sequence[str], findings: Findings) -> Document:
    """The document after `--set` and with every `${...}` replaced; what is wrong becomes findings.

    `overrides` are texts `path=value`.  The mapping `variables` is taken out of the data.
    """
    if overrides:
        edit = _Edit(document, findings)
        for text in overrides:
            override = _parse(text, findings)
            if override is not None:
                edit.apply(override)
        document = edit.document()
    texts = (document.text, *overrides)
    # A ${ may also be written with escapes, as "\\x24{".
    if VARIABLES not in document.data and not any("${" in text or "\\" in text for text in texts):
        return document
    return substitute_variables(document, findings)


def _parse(text: str, findings: Findings) -> _Override | None:
    """An option's path and value; None, with a finding, where it is none."""
    whole = _OPTION + text
    position = len(_OPTION)
    parts: list[_Part] = []
    while match := _PART.match(whole, position):
        parts.append(_Part(match[1] if match[2] is None else match[2].strip(), _span(whole, *match.span())))
        position = match.end()
        if whole[position : position + 1] != ".":
            break
        position += 1
    if len(parts) > limits.NESTING:
        here = parts[limits.NESTING].span
        findings.add(text_codes.OVERRIDE, here, f"the path has more than {limits.NESTING} parts", _EXAMPLE)
        return None
    complete = parts and all(part.text for part in parts) and whole[position - 1] != "."
    if not complete or whole[position : position + 1] != "=":
        path, _, _ = text.partition("=")
        wrong = "there is no = in" if path == text else "a part of the path is empty in"
        if path != text and not path.strip():
            wrong = "there is no path before the = of"
        here = _span(whole, len(_OPTION), len(whole))
        findings.add(text_codes.OVERRIDE, here, f"{wrong} --set {describe(text)}", _EXAMPLE)
        return None
    # Spaces instead of the path give the value's places the right columns.
    value = read_value(" " * (position + 1) + whole[position + 1 :], whole, findings)
    if value is None:
        return None
    if value.data is Nothing:
        value.data = None
        value.values[()] = _span(whole, position + 1, len(whole))
    return _Override(parts, value)


def _span(whole: str, start: int, end: int) -> Span:
    return Span(whole, 1, start + 1, 1, end + 1)


class _Edit:
    """Sets values in a copy of a document; what does not lie on their paths stays shared."""

    def __init__(self, document: Document, findings: Findings) -> None:
        self.original, self.findings = document, findings
        self.data = document.data
        self.keys, self.values = dict(document.keys), dict(document.values)
        self.aliases, self.broken = dict(document.aliases), set(document.broken)

    def document(self) -> Document:
        """The document with everything that was set."""
        file, text = self.original.file, self.original.text
        return Document(file, text, self.data, self.keys, self.values, self.aliases, frozenset(self.broken))

    def apply(self, override: _Override) -> None:
        """Put the value where the path leads, which may be several places or none."""
        self.data = self.inside(self.data, override.parts, (), override.value)

    def inside(self, data: Any, parts: Sequence[_Part], path: Path, value: Document) -> Any:
        """`data` with the value where `parts` lead; the same object where they lead nowhere."""
        if not parts:
            self.forget(data, path)
            self.place(value, path)
            return value.data
        part, rest = parts[0], parts[1:]
        if data is None:
            data = {}
        if isinstance(data, dict):
            here = (*path, part.text)
            item = self.inside(data.get(part.text), rest, here, value)
            if part.text not in data or not rest:
                self.keys[here] = part.span
            return {**data, part.text: item}
        if isinstance(data, list):
            items = list(data)
            for index in self.meant(data, part, path):
                items[index] = self.inside(data[index], rest, (*path, index), value)
            return items
        name = ".".join(str(step) for step in path)
        message = f"{name} is {describe(data)}, so there is no {describe(part.text)} in it"
        self.findings.add(text_codes.OVERRIDE, part.span, message, f"set {name} itself")
        return data

    def meant(self, data: list[Any], part: _Part, path: Path) -> list[int]:
        """The items of a list that a part of the path means."""
        names = [item.get("name") if isinstance(item, dict) else None for item in data]
        found = [index for index, name in enumerate(names) if name == part.text]
        if not found and part.text.isdecimal() and int(part.text[:20]) < len(data):
            found = [int(part.text)]
        if not found:
            texts = dict.fromkeys(name for name in names if isinstance(name, str))
            hint = did_you_mean(part.text, texts) or f"it has {len(data)} items, the first is number 0"
            name = ".".join(str(step) for step in path)
            self.findings.add(
                text_codes.OVERRIDE, part.span, f"{name} has no item {describe(part.text)}", hint
            )
        return found

    def forget(self, data: Any, path: Path) -> None:
        """Drop the places of what is replaced, so that nothing points there any more."""
        self.keys.pop(path, None)
        self.values.pop(path, None)
        self.broken.discard(path)
        if self.aliases.pop(path, None) is None and isinstance(data, (dict, list)):
            for key, item in data.items() if isinstance(data, dict) else enumerate(data):
                self.forget(item, (*path, key))

    def place(self, value: Document, path: Path) -> None:
        """Take the places of a value that was set."""
        self.keys.update({(*path, *rest): span for rest, span in value.keys.items()})
        self.values.update({(*path, *rest): span for rest, span in value.values.items()})
        self.aliases.update({(*path, *rest): (*path, *target) for rest, target in value.aliases.items()})
        self.broken.update((*path, *rest) for rest in value.broken)

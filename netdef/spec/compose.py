"""Events into a document: plain data with places, within limits, without PyYAML's constructors.

Aliases share what they stand for, so that a text costs time and memory by its own length, whatever it
expands to.  Merge keys work as in YAML 1.1: `<<: *base` or `<<: [*a, *b]` adds the keys that the mapping
itself does not have; of several sources the first wins.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn

import yaml

from netdef.diag import Code, Findings, Related, Span, did_you_mean
from netdef.ops.fields import describe
from netdef.spec import limits, text_codes
from netdef.spec.document import Document, Path
from netdef.spec.scalars import LIST_TAGS, MAPPING_TAGS, BadScalar, resolve, tagged


class Nothing:
    """Stands for a document without any content."""


class Refused(Exception):
    """The text exceeds a limit; the finding has been added."""


class _Anchor(NamedTuple):
    value: Any
    span: Span
    path: Path
    size: int
    height: int


class _Open:
    """A mapping or list whose end has not been read yet."""

    __slots__ = (
        *("anchor", "before", "child", "data", "deepest", "flow"),
        *("is_key", "key", "merged", "path", "start", "used", "wants_key"),
    )

    def __init__(self, data: Any, path: Path, event: Any, before: int, depth: int, is_key: bool) -> None:
        self.data, self.path, self.start, self.anchor = data, path, event.start_mark, event.anchor
        self.flow: bool = event.flow_style
        #: nodes read before it, and the deepest level inside it
        self.before, self.deepest = before, depth
        #: of a mapping: whether a key comes next; else the key whose value comes next, that value's path, and
        #: whether it is used
        self.wants_key = data.__class__ is dict
        self.key: str | int = 0
        self.child: Path = ()
        self.used = False
        #: whether it stands in the place of a key, or inside such a one
        self.is_key = is_key
        #: what the merge key brings: (mapping, where it was written)
        self.merged: list[tuple[dict[str, Any], Path]] = []


class Composer:
    """Builds one document; use `compose`."""

    def __init__(self, file: str, text: str, findings: Findings) -> None:
        self.file, self.text, self.findings = file, text, findings
        self.keys: dict[Path, Span] = {}
        self.values: dict[Path, Span] = {}
        self.aliases: dict[Path, Path] = {}
        self.broken: set[Path] = set()
        self.data: Any = Nothing
        self.stack: list[_Open] = []
        self.anchors: dict[str, _Anchor | None] = {}
        self.nodes = 0
        self.documents = 0
        #: what ended last: a block mapping has no end of its own
        self.last = Span(file, 1, 1, 1, 1)

    def run(self, events: Iterable[Any]) -> None:
        """Read all events; raises `Refused` and what they raise."""
        scalar = yaml.ScalarEvent
        for event in events:
            kind = event.__class__
            if kind is scalar:
                self.scalar(event)
            elif kind is yaml.MappingStartEvent:
                self.open(event, {}, MAPPING_TAGS)
            elif kind is yaml.SequenceStartEvent:
                self.open(event, [], LIST_TAGS)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self.close(event)
            elif kind is yaml.AliasEvent:
                self.alias(event)
            elif kind is yaml.DocumentStartEvent:
                self.documents += 1
                if self.documents > 1:
                    hint = "put each net or solver into a file of its own"
                    self.refuse(text_codes.SEVERAL_DOCUMENTS, event, "a second document starts here", hint)

    def scalar(self, event: Any) -> None:
        top = self.stack[-1] if self.stack else None
        text = event.value
        if len(text) > limits.TEXT:
            message = f"a text of {len(text)} characters is too long; at most {limits.TEXT} are read"
            self.refuse(text_codes.LIMIT, event, message, "arrays belong into files of their own")
        span = self.span(event)
        if text or event.style:
            self.last = span
        if top is not None and top.wants_key:
            self.key(top, event, text, span)
            return
        self.count(event)
        path = self.here(top)
        if not text and not event.style and top is not None and path in self.keys:
            # Nothing was written: point at the colon, since the parsers differ about the place.
            line, column = self.keys[path][3:]
            span = Span(self.file, line, column, line, column + 1)
        value = self.word(event, text, span, path)
        if event.anchor:
            self.anchors[event.anchor] = _Anchor(value, span, path, 1, 0)
        if value is None and not text and top is not None and top.flow and top.used:
            self.missing_space(top)
        self.put(top, value, path, span)

    def word(self, event: Any, text: str, span: Span, path: Path) -> Any:
        """The value of a scalar; the text itself where there is a finding about it."""
        try:
            if event.tag is None:
                return text if event.style else resolve(text)
            return tagged(text, event.tag)
        except BadScalar as bad:
            hint = "write another value, or put it in quotes"
            self.findings.add(text_codes.BAD_SCALAR, span, str(bad), hint)
            self.broken.add(path)
        except KeyError:
            self.unknown_tag(event, span, path)
        return text

    def key(self, top: _Open, event: Any, text: str, span: Span) -> None:
        """Take a scalar as a mapping's next key."""
        name: Any = text
        if event.tag:
            name = self.word(event, text, span, ())
        elif not event.style:
            try:
                name = resolve(text)
            except BadScalar:
                name = 0  # a number that is too long: no name either
        if event.anchor:
            self.anchors[event.anchor] = _Anchor(name, span, (*top.path, text), 1, 0)
        path = (*top.path, name)
        if not isinstance(name, str):
            message, hint = "there is a value without a key", "write key: value"
            if text:
                message, hint = f"a key must be a name, not {describe(name)}", "put it in quotes if it is one"
            self.findings.add(text_codes.KEY, span, message, hint)
            self.skip(top)
        elif (first := self.keys.setdefault(path, span)) is not span:
            related = [Related(first, "it stands here first")]
            message = f"{describe(name)} stands twice in one mapping"
            self.findings.add(text_codes.DUPLICATE_KEY, span, message, "remove one of the two", related)
            self.skip(top)
        else:
            top.key, top.child, top.wants_key = name, path, False
            top.used = text != "<<" or bool(event.style)

    def skip(self, top: _Open) -> None:
        """Read the value of a key that cannot be used, and forget it: no data can have its path."""
        top.key = -1 - len(self.values)
        top.child, top.wants_key, top.used = (*top.path, top.key), False, False

    def missing_space(self, top: _Open) -> None:
        """Refuse `{num_output:32}`, which to YAML is a key `num_output:32` without a value."""
        name, colon, value = str(top.key).partition(":")
        span = self.keys.get((*top.path, top.key))
        if colon and span is not None and span.end_column - span.column == len(str(top.key)):
            hint = f"write {name}: {value}"
            self.findings.add(text_codes.SYNTAX, span, "there is no space after the colon", hint)
            top.used = False

    def open(self, event: Any, data: Any, tags: set[str]) -> None:
        top = self.stack[-1] if self.stack else None
        depth = len(self.stack) + 1
        if depth > limits.DEPTH:
            self.too_deep(event)
        self.count(event)
        if event.tag is not None and event.tag not in tags:
            self.unknown_tag(event, self.span(event), self.here(top))
        if top is not None and top.wants_key:
            if not top.is_key:
                hint = 'a text that starts with { or [ needs quotes, as in "${name}"'
                message = f"a key must be a name, not {describe(data)}"
                self.findings.add(text_codes.KEY, self.span(event), message, hint)
            self.skip(top)
            path = top.child
            top.wants_key = is_key = True
        else:
            path, is_key = self.here(top), top is not None and top.is_key
        self.stack.append(_Open(data, path, event, self.nodes - 1, depth, is_key))
        if event.anchor:
            self.anchors[event.anchor] = None

    def close(self, event: Any) -> None:
        done = self.stack.pop()
        if done.flow:
            self.last = self.span(event)
        start, last = done.start, self.last
        span = Span(self.file, start.line + 1, start.column + 1, last.end_line, last.end_column)
        for source, written in done.merged:
            for name, value in source.items():
                if name not in done.data:
                    done.data[name] = value
                    path = (*done.path, name)
                    self.aliases[path] = (*written, name)
        if done.anchor and self.anchors[done.anchor] is None:
            height = done.deepest - len(self.stack)
            size = self.nodes - done.before
            self.anchors[done.anchor] = _Anchor(done.data, span, done.path, size, height)
        top = self.stack[-1] if self.stack else None
        if top is not None:
            top.deepest = max(top.deepest, done.deepest)
            if top.wants_key:
                # It was a key, which is refused; its value comes next.
                self.skip(top)
                return
        self.put(top, done.data, done.path, span)

    def alias(self, event: Any) -> None:
        span = self.span(event)
        self.last = span
        anchor = self.anchors.get(event.anchor)
        if anchor is None:
            if event.anchor in self.anchors:
                message = f"*{event.anchor} stands inside &{event.anchor} itself"
                hint = "an alias cannot contain itself"
            else:
                message = f"there is no &{event.anchor} before this"
                hint = did_you_mean(event.anchor, self.anchors) or "a text that starts with * needs quotes"
            self.refuse(text_codes.ALIAS, event, message, hint)
        top = self.stack[-1] if self.stack else None
        if len(self.stack) + anchor.height > limits.DEPTH:
            self.too_deep(event)
        self.count(event, anchor.size)
        if top is not None and top.wants_key:
            self.alias_key(top, anchor, span)
            return
        if top is not None:
            top.deepest = max(top.deepest, len(self.stack) + anchor.height)
        path = self.here(top)
        if isinstance(anchor.value, (dict, list)):
            self.aliases[path] = anchor.path
        self.put(top, anchor.value, path, anchor.span)

    def alias_key(self, top: _Open, anchor: _Anchor, span: Span) -> None:
        path = (*top.path, anchor.value)
        if isinstance(anchor.value, str) and path not in self.keys:
            top.key, top.child, top.wants_key, top.used = anchor.value, path, False, True
            self.keys[path] = span
        else:
            hint = "an alias as a key must stand for a name that the mapping does not have"
            self.findings.add(text_codes.KEY, span, "this alias cannot be a key", hint)
            self.skip(top)

    def bracket(self) -> tuple[str, Span] | None:
        """The innermost bracket that is open, and its place."""
        for frame in reversed(self.stack):
            character = self.text[frame.start.index : frame.start.index + 1]
            if frame.flow and character in ("[", "{"):
                line, column = frame.start.line + 1, frame.start.column + 1
                return character, Span(self.file, line, column, line, column + 1)
        return None

    def here(self, top: _Open | None) -> Path:
        """The path of the value that comes next in `top`, the innermost mapping or list."""
        if top is None:
            return ()
        return top.child if top.data.__class__ is dict else (*top.path, len(top.data))

    def put(self, top: _Open | None, value: Any, path: Path, span: Span) -> None:
        """Add a value to `top`, the innermost mapping or list."""
        self.values[path] = span
        if top is None:
            self.data = value
        elif top.data.__class__ is list:
            top.data.append(value)
        else:
            if top.used:
                top.data[top.key] = value
            elif top.key == "<<":
                self.merge(top, value, path, span)
            top.wants_key = True

    def merge(self, top: _Open, value: Any, path: Path, span: Span) -> None:
        if isinstance(value, dict):
            top.merged = [(value, path)]
        elif isinstance(value, list) and all(isinstance(item, dict) for item in value):
            top.merged = [(item, (*path, index)) for index, item in enumerate(value)]
        else:
            message = f"the merge key << needs a mapping or a list of mappings, not {describe(value)}"
            self.findings.add(text_codes.ALIAS, span, message, "write <<: *name, where &name marks a mapping")

    def span(self, event: Any) -> Span:
        start, end = event.start_mark, event.end_mark
        place = (self.file, start.line + 1, start.column + 1, end.line + 1, end.column + 1)
        # What `Span(...)` does, without a call in between: every key and every value has one.
        return tuple.__new__(Span, place)

    def count(self, event: Any, nodes: int = 1) -> None:
        self.nodes += nodes
        if self.nodes > limits.NODES:
            message = f"the file has more than {limits.NODES} values, what its aliases stand for included"
            self.refuse(text_codes.LIMIT, event, message, "use fewer aliases, or split the net")

    def too_deep(self, event: Any) -> NoReturn:
        message = f"mappings and lists are nested more than {limits.DEPTH} levels deep"
        self.refuse(text_codes.LIMIT, event, message, "a net needs about eight; look for brackets too many")

    def unknown_tag(self, event: Any, span: Span, path: Path) -> None:
        tag = event.tag.replace("tag:yaml.org,2002:", "!!")
        hint = "leave it out; a text that starts with ! needs quotes"
        self.findings.add(text_codes.TAG, span, f"the tag {describe(tag)} means nothing here", hint)
        self.broken.add(path)

    def refuse(self, code: Code, event: Any, message: str, hint: str) -> NoReturn:
        self.findings.add(code, self.span(event), message, hint)
        raise Refused

    def document(self) -> Document:
        """The document, whole or as far as it could be read."""
        broken = frozenset(self.broken)
        return Document(self.file, self.text, self.data, self.keys, self.values, self.aliases, broken)

"""The events of a YAML or JSON text: PyYAML's parser, libyaml's where it is there.

Nothing of PyYAML is used beyond its events, so no tag can construct anything.  Both parsers are brought to
the same result: tabs between tokens, unquoted texts in { } and [ ], and surrogate pairs in JSON's escapes
(`"\\ud83d\\ude00"`), which neither combines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner, ScannerError

try:
    from yaml import _yaml as libyaml
except ImportError:
    libyaml = None  # type: ignore[assignment]

_BREAKS = "\0\r\n"
#: an escaped pair, after an even number of backslashes
_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})")
#: half of a pair
HALF = re.compile(r"\\(?:u|U0000)[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class PurePythonParser(Reader, Scanner, Parser):
    """PyYAML's own parser, taught libyaml's ways with tabs between tokens and with unquoted texts in flow.

    JSON files have such tabs.  Inside { } and [ ] a text may hold a question mark, and a colon that touches
    what follows is an error.
    """

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)

    def scan_to_next_token(self) -> None:
        """Skip spaces, comments and line breaks; and tabs where no indentation is counted."""
        super().scan_to_next_token()
        while self.peek() == "\t" and (self.flow_level or not self.allow_simple_key):
            self.forward()
            super().scan_to_next_token()

    def scan_plain(self) -> Any:
        """An unquoted text."""
        if not self.flow_level:
            return super().scan_plain()
        start = self.get_mark()
        self.peek = self._peek_in_flow  # type: ignore[method-assign]
        try:
            token = super().scan_plain()
        finally:
            del self.peek
        if self.peek() == ":" and self.peek(1) in ",?[]{}":
            raise ScannerError(
                "while scanning a plain scalar", start, "found unexpected ':'", self.get_mark()
            )
        return token

    def _peek_in_flow(self, index: int = 0) -> str:
        """A character as the scanner has to see it: a question mark ends a text only behind a colon."""
        character: str = Reader.peek(self, index)
        if character != "?":
            return character
        return "," if index and Reader.peek(self, index - 1) == ":" else "x"

    def scan_plain_spaces(self, indent: int, start_mark: Any) -> list[str]:
        """The space inside an unquoted text, tabs included."""
        length = 0
        while self.peek(length) in (" ", "\t"):
            length += 1
        space = self.prefix(length)
        if "\t" in space:
            self.forward(length)
            if self.peek() not in _BREAKS:
                return [space]
        return super().scan_plain_spaces(indent, start_mark) or []

    def get_event(self) -> Any:
        """The next event; raises `yaml.YAMLError`."""
        try:
            return super().get_event()  # type: ignore[no-untyped-call]
        except (ValueError, OverflowError):  # chr() of an escape such as "\U00110000"
            raise _bad_escape(self.get_mark()) from None


#: makes a parser of a text: libyaml's where PyYAML was built with it; tests set the other one
parser_of: Any = PurePythonParser if libyaml is None else libyaml.CParser


def events(text: str) -> Iterator[Any]:
    """The events of a text; raises `yaml.YAMLError` where it is no YAML."""
    # The parsers differ about where a text ends that lacks its last line break.
    text = text if text.endswith("\n") else text + "\n"
    if not HALF.search(text):
        return _parse(text)
    text, pairs = _without_pairs(text)
    return _joined(_parse(text), pairs)


def _parse(text: str) -> Iterator[Any]:
    parser = parser_of(text)
    try:
        while (event := parser.get_event()) is not None:
            yield event
    finally:
        parser.dispose()


def _without_pairs(text: str) -> tuple[str, dict[str, str]]:
    """The text with another escape of equal length for each pair, so that columns stay; and what they mean.

    The replacement is a private character twice, one that the text contains in no form.
    """
    lower = text.lower()
    free = (code for code in range(0xE000, 0xF900) if f"{code:04x}" not in lower and chr(code) not in text)
    replaced: dict[str, str] = {}
    pairs: dict[str, str] = {}
    for _, pair in _PAIR.findall(text):
        if pair not in replaced and (code := next(free, None)) is not None:
            replaced[pair] = f"\\u{code:04x}" * 2
            high, low = int(pair[2:6], 16), int(pair[8:12], 16)
            pairs[chr(code) * 2] = chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
            pairs[replaced[pair]] = pair
    return _PAIR.sub(lambda match: match[1] + replaced.get(match[2], match[2]), text), pairs


def _joined(events: Iterator[Any], pairs: dict[str, str]) -> Iterator[Any]:
    """The events with the pairs put back: as a character where the escape was read, as written elsewhere."""
    for event in events:
        if isinstance(event, yaml.ScalarEvent):
            for replacement, original in pairs.items():
                if replacement in event.value:
                    event.value = event.value.replace(replacement, original)
            if _SURROGATE.search(event.value):
                raise _bad_escape(event.start_mark)
        yield event


def _bad_escape(mark: Any) -> yaml.MarkedYAMLError:
    """What libyaml says about an escape that is no character; the pure parser lets half a pair pass."""
    return yaml.MarkedYAMLError(None, None, "found invalid Unicode character escape code", mark)

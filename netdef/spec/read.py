"""Text into a document: one reader for YAML and JSON, which is part of it.

The values are YAML 1.2's (`netdef.spec.scalars`), the limits those of `netdef.spec.limits`.
"""

from __future__ import annotations

import re

import yaml

from netdef.diag import Findings, Span
from netdef.ops.fields import describe
from netdef.source import display_name, read_bytes
from netdef.spec import text_codes
from netdef.spec.compose import Composer, Nothing, Refused
from netdef.spec.document import Document
from netdef.spec.events import events
from netdef.spec.syntax import explain

#: what YAML does not allow, or takes for a line break where nothing else does
_ILLEGAL = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_MARKS = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


def read(path: str, findings: Findings) -> Document | None:
    """The document in a file, or on standard input for `-`; None, with findings, where there is none."""
    data = read_bytes(path, findings)
    if data is None:
        return None
    file = display_name(path)
    text = decode(data, file, findings)
    return None if text is None else read_string(text, file, findings)


def read_string(text: str, file: str, findings: Findings) -> Document | None:
    """The document in a text, whose top is a mapping; `file` is its name in findings."""
    document = read_value(text, file, findings)
    if document is None:
        return None
    if document.data is Nothing or document.data is None:
        message, hint = (
            "there is no net and no solver in this file",
            "a net's layers stand below the key layer",
        )
        findings.add(text_codes.EMPTY, Span(file, 1, 1, 1, 1), message, hint)
        return None
    if not isinstance(document.data, dict):
        span = document.values[()]
        if span.line != span.end_line:
            span = Span(file, span.line, span.column, span.line, span.column + 1)
        hint = "a net's layers stand below the key layer"
        if isinstance(document.data, str) and re.match(r"\w+:\S", document.data):
            hint = "put a space after the colon"
        message = f"the file must be a mapping, such as name: and layer:, not {describe(document.data)}"
        findings.add(text_codes.NOT_A_MAPPING, span, message, hint)
        return None
    return document


def read_value(text: str, file: str, findings: Findings) -> Document | None:
    """The document in a text, whatever its top is; None where the text is no YAML or exceeds a limit."""
    text = text.removeprefix("\ufeff")
    illegal = _ILLEGAL.search(text)
    if illegal is not None:
        _report_illegal(text, illegal.start(), file, findings)
        return None
    composer = Composer(file, text, findings)
    try:
        composer.run(events(text))
    except Refused:
        return None
    except yaml.MarkedYAMLError as error:
        findings.add(*explain(error, file, text, composer.bracket()))
        return None
    return composer.document()


def decode(data: bytes, file: str, findings: Findings) -> str | None:
    """The text of a file in UTF-8; None, with a finding, where it is something else."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            message = f"the file is {name}, not UTF-8"
            findings.add(text_codes.NOT_UTF8, Span(file, 1, 1, 1, 1), message, "save it as UTF-8")
            return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = 3 if data.startswith(b"\xef\xbb\xbf") else 0
        offset = start + error.start
        text = data[start:offset].decode("utf-8")
        message = f"byte {data[offset]:#04x} at offset {offset} is not UTF-8"
        findings.add(text_codes.NOT_UTF8, _place(text, len(text), file), message, "save the file as UTF-8")
        return None


def _report_illegal(text: str, index: int, file: str, findings: Findings) -> None:
    code = ord(text[index])
    message, hint = f"the character U+{code:04X} is not allowed", f'write "\\u{code:04x}" in double quotes'
    if code == 0:
        message, hint = "there is a NUL byte", "is this a text in UTF-8? save it as such"
    elif 0xD800 <= code < 0xE000:
        message, hint = f"half of a surrogate pair, U+{code:04X}, is no character", "save the file as UTF-8"
    findings.add(text_codes.CHARACTER, _place(text, index, file), message, hint)


def _place(text: str, index: int, file: str) -> Span:
    """The place of one character."""
    before = text[:index].replace("\r\n", "\n").replace("\r", "\n")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return Span(file, line, column, line, column + 1)

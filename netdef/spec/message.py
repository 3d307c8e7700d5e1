"""Parameter messages: Caffe's protobuf messages as declarations, and data checked against them.

A message lists its fields with type, default, protobuf number and one line of help.  From that alone follow
the checks here, the JSON schemas (`spec.schema`), `netdef layers`, and later the prototxt and caffemodel
readers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from netdef.diag import Code, Findings, Span, did_you_mean, nearest
from netdef.ops.declared import Declared
from netdef.ops.fields import BadValue, Enum, Field, describe
from netdef.spec import codes
from netdef.spec.document import Document, Path

M = TypeVar("M", bound="Message")
#: a check of a message's fields against each other
Rule = Callable[[Any, "Report"], None]


class Message(Declared):
    """A group of named fields.  One that was not given has its default; `given` names those that were.

    Instances made from a document carry `document` and `path`, so that later stages can point at any field.
    """

    document: Document | None = None
    path: Path = ()
    #: whether everything in it could be made out; what could not has a finding, and stands at its default
    sound: bool = True

    #: checks of fields against each other, run where every field by itself is right: `rule(message, report)`
    rules: ClassVar[tuple[Rule, ...]] = ()

    #: the fields that hold messages
    blocks: ClassVar[dict[str, Sub]] = {}
    #: what must be given: (key, what is missing without it, its field), also for the fields of a block
    needed: ClassVar[tuple[tuple[str, str, Field], ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.blocks = {name: field for name, field in cls.fields.items() if isinstance(field, Sub)}
        needed: list[tuple[str, str, Field]] = []
        for name, field in cls.fields.items():
            if field.required:
                needed.append((name, name, field))
            elif isinstance(field, Sub) and not field.repeated and not field.optional:
                inner = field.message
                needed += ((name, f"{name}.{key}", inner.fields[key]) for key in inner.required())
        cls.needed = tuple(needed)

    def has(self, name: str) -> bool:
        """Whether the field was given (proto2's `has_` accessor)."""
        return name in self.given

    def span(self, *names: str | int) -> Span:
        """The place of a field's value, `span("stride", 0)`, or of the message where it was not given."""
        if self.document is None:
            return Span("", 0, 0, 0, 0)
        return self.document.nearest((*self.path, *names))

    def where(self) -> str:
        """The message as a user would name it: `conv1.convolution_param`."""
        return path_text(self.path, self.document)

    @classmethod
    def refusal(cls, key: str) -> tuple[Code, str]:
        """The code and the hint for a key that is no field of the message."""
        return codes.UNKNOWN_KEY, did_you_mean(key, cls.fields)

    @classmethod
    def required(cls) -> list[str]:
        """The fields that must be given."""
        return [name for name, field in cls.fields.items() if field.required]


class Report:
    """Where rules over several fields of one message put their findings."""

    def __init__(self, message: Message, findings: Findings) -> None:
        self.message, self.findings = message, findings

    def __call__(self, code: Code, field: str, text: str, hint: str = "") -> None:
        """Add a finding at `field`, `block.field` or, for an entry of a list, `field.2`.

        The text is put after the message's name.
        """
        told = f"{self.message.where()}: {text}" if self.message.path else text
        parts = (int(part) if part.isdigit() else part for part in field.split("."))
        self.findings.add(code, self.message.span(*parts), told, hint)


class Sub(Field):
    """A field that holds a message, or with `repeated` a list of them.

    With `optional` an absent block is None; otherwise it is the message with every field at its default.
    """

    kind = "message"

    def __init__(
        self,
        message: type[Message],
        help: str = "",
        *,
        number: int = 0,
        repeated: bool = False,
        optional: bool = False,
    ) -> None:
        super().__init__(() if repeated else None, help, number=number, repeated=repeated)
        self.message, self.optional = message, optional

    def parse_one(self, value: Any) -> Any:
        if isinstance(value, self.message):
            return value
        if isinstance(value, dict):
            return self.message(**value)
        raise self.refuse(value, "a mapping of fields")

    def schema_one(self) -> dict[str, Any]:
        return {"$ref": f"#/$defs/{self.message.__name__}"}

    def check(self, value: Any, document: Document, path: Path, findings: Findings) -> Any:
        """The typed message, or the tuple of them; what is wrong becomes findings."""
        if not self.repeated:
            checked = self.check_one(value, document, path, findings)
            return self.absent(document, path) if checked is None else checked
        if not isinstance(value, list):
            checked = self.check_one(value, document, path, findings)
            return () if checked is None else (checked,)
        items = [self.check_one(one, document, (*path, i), findings) for i, one in enumerate(value)]
        return tuple([item for item in items if item is not None])

    def check_one(self, value: Any, document: Document, path: Path, findings: Findings) -> Message | None:
        """One typed message; None, with a finding, where `value` is no mapping."""
        return check_message(self.message, value, document, path, findings)

    def absent(self, document: Document | None, path: Path) -> Any:
        """What stands for a block that was not given."""
        if self.repeated:
            return ()
        return None if self.optional else finish(self.message, {}, document, path)


def check_message(
    declaration: type[M], data: Any, document: Document, path: Path, findings: Findings
) -> M | None:
    """The typed message that `data` describes; what is wrong becomes findings and takes its default.

    Every field is checked, however many are wrong; the message is then not `sound`.  A value that the reader
    could not make out has its finding already.  Returns `None` only where `data` is no mapping.
    """
    if document.is_broken(path):
        return None
    if not isinstance(data, dict):
        told = f"{path_text(path, document)} needs a mapping of fields, not {describe(data)}"
        findings.add(codes.BAD_VALUE, document.value(path), told, "legal: " + ", ".join(declaration.fields))
        return None
    own = Findings()
    values: dict[str, Any] = {}
    sound = True
    for key, value in data.items():
        field = declaration.fields.get(key)
        if field is None:
            code, hint = declaration.refusal(str(key))
            told = f"{path_text(path, document)} has no field {key}"
            own.add(code, document.key((*path, key)), told, hint)
        elif document.broken and _is_broken(value, document, (*path, key)):
            sound = False
        elif value is None and not field.nullable:
            told = f"{path_text((*path, key), document)} has no value"
            word = isinstance(field, Enum) and "null" in field.choices
            hint = 'write the word in quotes: "null"' if word else "give one or leave the key out"
            own.add(codes.BAD_VALUE, document.key((*path, key)), told, hint)
        elif isinstance(field, Sub):
            values[key] = field.check(value, document, (*path, key), own)
            sound = sound and _all_sound(values[key])
        else:
            try:
                values[key] = field.parse(value)
            except BadValue as bad:
                told = f"{path_text(path, document)}: {bad.message}" if path else bad.message
                own.add(codes.BAD_VALUE, document.value((*path, key, *bad.path)), told, bad.hint)
    if declaration.needed:
        _check_missing(declaration, data, document, path, own)
    message = finish(declaration, values, document, path)
    if sound and not own.errors:
        report = Report(message, own)
        for rule in declaration.rules:
            rule(message, report)
    if not own:
        return message if sound else replace(message, sound=False)
    findings.extend(own)
    return message if sound and not own.errors else replace(message, sound=False)


def _is_broken(value: Any, document: Document, path: Path) -> bool:
    """Whether the reader could not make out the value of a field, or an entry of its list."""
    entries = range(len(value)) if isinstance(value, list) else ()
    return document.is_broken(path) or any(document.is_broken((*path, entry)) for entry in entries)


def _all_sound(checked: Message | tuple[Message, ...] | None) -> bool:
    """Whether the message of a block, or each message of a list, is sound."""
    if isinstance(checked, tuple):
        return all(message.sound for message in checked)
    return checked is None or checked.sound


def _check_missing(
    declaration: type[Message], data: dict[str, Any], document: Document, path: Path, findings: Findings
) -> None:
    """Report required fields that are absent, and those of absent blocks."""
    missing = [need for need in declaration.needed if need[0] not in data]
    if not missing:
        return
    # A key that is misspelt has a finding already, and says which field was meant.
    meant = {nearest(str(key), declaration.fields) for key in data.keys() - declaration.fields.keys()}
    for key, what, field in missing:
        if key not in meant:
            told = f"{path_text(path, document)} needs {what}"
            findings.add(codes.MISSING_FIELD, document.nearest(path), told, f"give {what}: {field.help}")


def finish(declaration: type[M], values: dict[str, Any], document: Document | None, path: Path) -> M:
    """A message from parsed values, absent blocks included, with its place attached."""
    message: M = declaration.trusted(values)
    held = vars(message)
    held.update(document=document, path=path)
    for name, block in declaration.blocks.items():
        if name not in values:
            held[name] = block.absent(document, (*path, name))
    return message


def replace(message: M, **values: Any) -> M:
    """A copy with other values; `given` still names the fields that the file gave."""
    copy: M = object.__new__(type(message))
    vars(copy).update(vars(message), **values)
    return copy


def path_text(path: Path, document: Document | None = None) -> str:
    """A path as a user would say it: `conv1.convolution_param`; `layer[3]` for a layer without a name."""
    text = ""
    data = document.data if document else None
    for depth, part in enumerate(path):
        data = _inside(data, part)
        name = data.get("name") if isinstance(data, dict) else None
        if path[0] == "layer" and depth < 2 and isinstance(name, str) and name:
            text = name
        else:
            text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "the file"


def _inside(data: Any, part: str | int) -> Any:
    if isinstance(part, int):
        return data[part] if isinstance(data, list) and 0 <= part < len(data) else None
    return data.get(part) if isinstance(data, dict) else None

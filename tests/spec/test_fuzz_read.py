"""Any text ends in a document or in findings, and both of PyYAML's parsers give the same document."""

import json
import math
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netdef.diag import Findings
from netdef.spec import events
from netdef.spec.overrides import substitute
from netdef.spec.read import decode, read_string

ROOT = Path(__file__).parents[2]
CONFIGS = [path.read_bytes() for path in sorted((ROOT / "configs").rglob("*.yaml"))]
PARSERS = [events.PurePythonParser, *([events.libyaml.CParser] if events.libyaml else [])]
FEW = settings(max_examples=60, deadline=None)
MANY = settings(FEW, max_examples=100)


def documents(text):
    """What each parser makes of a text: (document or None, findings)."""
    results = []
    before = events.parser_of
    try:
        for events.parser_of in PARSERS:
            findings = Findings()
            results.append((read_string(text, "net.yaml", findings), list(findings)))
    finally:
        events.parser_of = before
    return results


def facts(document):
    """Everything that a document holds, comparable although NaN differs from itself."""
    return repr((document.data, document.keys, document.values, document.aliases, document.broken))


def check(text):
    """A document or an error, from each parser; and the same document, where both have one."""
    results = documents(text)
    for document, findings in results:
        assert document is not None or any(d.severity == "error" for d in findings)
        for finding in findings:
            assert finding.span.line >= 1
            assert finding.span.column >= 1
            assert finding.message
            assert finding.hint
            str(finding).encode()
    made = {facts(document) for document, _ in results if document is not None}
    assert len(made) <= 1
    if made:
        findings = Findings()
        made_by_one = next(document for document, _ in results if document is not None)
        whole = substitute(made_by_one, (), findings)
        assert "variables" not in whole.data
        for finding in findings:
            str(finding).encode()


PIECES = [
    "a", "b: ", "- ", ": ", "\n", "  ", "\t", "[", "]", "{", "}", ",", "\"", "'", "&x ", "*x", "!!int ",
    "!t ", "| ", "> ", "#", " #", "---\n", "...\n", "%", "? ", "1", "0x1", "~", "<<: ", "${n}", "${", "$",
    "\\", "\\u", "\\ud83d", "\\ude00", "\r\n", "é", "😀", ".5", "null", "\n  ", "@", "`", "%YAML 1.1\n",
    "\x85", "\u2028", "\ufeff", "a: b\n", "x: [1,2]\n", "variables: {n: 1}\n", "|-\n  ", ">+\n  ", "|2\n",
    "\\\n", "\0", "\ud800",
]  # fmt: skip


@MANY
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
@example("? \n{")
@example("{~?")
@example("a: &a [*a]\n<<: *a")
def test_texts_of_yaml_pieces(text):
    """Indicators, breaks, quotes and escapes in any order."""
    check(text)


FLOW = ["a", "b", "1", ":", ": ", ",", ", ", "?", " ", "[", "]", "{", "}", "'", '"', "-", "- ", "a: ", "\n"]


@MANY
@given(st.lists(st.sampled_from(FLOW), max_size=10).map("".join))
@example("?")
@example("b:?")
@example("b:, c: 1")
@example("b?c: d? e")
def test_both_parsers_agree_about_flow(text):
    """Inside { } and [ ] they give the same document without an error, or both give errors."""
    for opened, closed in ("{}", "[]"):
        results = documents(f"a: {opened}{text}{closed}\n")
        assert len({None if findings else facts(document) for document, findings in results}) == 1


@FEW
@given(st.text(max_size=200))
def test_any_text(text):
    """All of Unicode."""
    check(text)


@FEW
@given(st.binary(max_size=200))
def test_any_bytes(data):
    """Not UTF-8 is one finding with a place."""
    findings = Findings()
    text = decode(data, "net.yaml", findings)
    assert (text is None) == (len(findings) == 1)
    if text is not None:
        check(text)


@FEW
@given(st.data())
def test_mutated_configs(data):
    """A few bytes of a real spec replaced, removed, or added."""
    mutated = bytearray(data.draw(st.sampled_from(CONFIGS)))
    for _ in range(data.draw(st.integers(1, 5))):
        index = data.draw(st.integers(0, len(mutated)))
        gone = data.draw(st.integers(0, 4))
        mutated[index : index + gone] = data.draw(st.sampled_from(PIECES)).encode("utf-8", "surrogatepass")
    findings = Findings()
    text = decode(bytes(mutated), "net.yaml", findings)
    if text is None:
        assert len(findings) == 1
    else:
        check(text)


@pytest.mark.parametrize("config", CONFIGS, ids=range(len(CONFIGS)))
def test_configs_are_read_alike_by_both_parsers_and_as_pyyaml_reads_them(config):
    """The project's own nets have neither YAML 1.1's surprises nor numbers like 1e-3, so PyYAML agrees."""
    for document, findings in documents(config.decode()):
        assert not findings
        assert document.data == yaml.safe_load(config)


TEXTS = st.text(max_size=12)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**25), 10**25),
        st.floats(allow_nan=False, allow_infinity=False),
        TEXTS,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=20,
)
MAPPINGS = st.dictionaries(TEXTS, VALUES, max_size=4)


def leaves(data, path=()):
    """(path, value) of everything that is neither a list nor a mapping."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from leaves(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from leaves(value, (*path, index))
    else:
        yield path, data


def written(text, span):
    """The stretch of a text that a span on one line covers."""
    line = text.split("\n")[span.line - 1]
    assert span.line == span.end_line
    return line[span.column - 1 : span.end_column - 1]


@MANY
@given(MAPPINGS, st.sampled_from([None, 1, "\t"]))
def test_json_reads_back(data, indent):
    """Data written as JSON are the same data, and each place holds the JSON of its key or value."""
    text = json.dumps(data, indent=indent)
    for document, findings in documents(text):
        assert not findings, [str(d) for d in findings]
        assert document.data == data
        for path, value in leaves(data):
            assert json.loads(written(text, document.value(path))) == value
            if isinstance(path[-1], str):
                assert json.loads(written(text, document.key(path))) == path[-1]


@MANY
@given(MAPPINGS, st.booleans(), st.booleans())
def test_yaml_reads_back(data, flow, unicode):
    """Data written by PyYAML, everything in quotes and with a tag where it is no text, are the same data."""
    text = yaml.safe_dump(
        data, default_style='"', default_flow_style=flow, allow_unicode=unicode, width=10**6, sort_keys=False
    )
    for document, findings in documents(text):
        assert not findings, [str(d) for d in findings]
        assert document.data == data
        for path, value in leaves(data):
            place = written(text, document.value(path))
            assert place.startswith('"' if isinstance(value, str) else "!!")
            assert place.endswith('"')


def block(data, indent=""):
    """Data in block style, texts in JSON's quotes, which are YAML's as well."""
    if isinstance(data, dict) and data:
        return "".join(
            f"{indent}{json.dumps(key)}:{block_value(value, indent)}" for key, value in data.items()
        )
    if isinstance(data, list) and data:
        return "".join(f"{indent}-{block_value(value, indent)}" for value in data)
    return f"{indent}{json.dumps(data)}\n"


def block_value(value, indent):
    if isinstance(value, (dict, list)) and value:
        return f"\n{block(value, indent + '  ')}"
    return f" {json.dumps(value)}  # comment\n"


@MANY
@given(MAPPINGS)
def test_blocks_read_back(data):
    """Block style with comments gives the same data, and each place holds its value and no comment."""
    text = block(data)
    for document, findings in documents(text):
        assert not findings, [str(d) for d in findings]
        assert document.data == data
        for path, value in leaves(data):
            assert json.loads(written(text, document.value(path))) == value


@FEW
@given(st.integers(-(10**40), 10**40), st.floats(allow_nan=True))
def test_numbers_read_back_as_python_writes_them(whole, number):
    """Unquoted numbers, infinities and NaN in YAML's words."""
    word = {math.inf: ".inf", -math.inf: "-.inf"}.get(number, ".nan" if math.isnan(number) else repr(number))
    for document, findings in documents(f"a: {whole}\nb: {word}\n"):
        assert not findings
        assert document.data["a"] == whole
        assert repr(document.data["b"]) == repr(number)

"""Text into documents: values, places, and one clear finding for everything that is no spec."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from netdef.diag import Code, Findings
from netdef.spec import events, limits, text_codes
from netdef.spec.overrides import substitute
from netdef.spec.read import read, read_string

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["libyaml", "pure"])
def parser(request, monkeypatch):
    """Runs a test with each of PyYAML's two parsers."""
    if request.param == "pure":
        monkeypatch.setattr(events, "parser_of", events.PurePythonParser)
    elif events.libyaml is None:
        pytest.skip("PyYAML was built without libyaml")


def documented(text):
    """The document of a text that has no findings."""
    findings = Findings()
    document = read_string(text, "net.yaml", findings)
    assert not list(findings), [str(d) for d in findings]
    return document


def found(text):
    """The findings of a text."""
    findings = Findings()
    read_string(text, "net.yaml", findings)
    return list(findings)


SCALARS = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    "0": 0, "12": 12, "-3": -3, "+3": 3, "012": 12, "0o17": 15, "0x1F": 31, "1" + "0" * 30: 10**30,
    "1e-3": 0.001, "1E5": 1e5, "1.": 1.0, ".5": 0.5, "-0.0": -0.0, "+1.5e+2": 150.0, "1e400": math.inf,
    ".inf": math.inf, "-.INF": -math.inf, "+.Inf": math.inf,
    "no": "no", "on": "on", "NO": "NO", "yes": "yes", "y": "y", "nUll": "nUll", "12:30:45": "12:30:45",
    "1_000": "1_000", "2020-01-01": "2020-01-01", "0b1": "0b1", "0o8": "0o8", "0xg": "0xg", "1e": "1e",
    "-": None, ".": ".", "+": "+", "1.2.3": "1.2.3", "e5": "e5", "inf": "inf", "nan": "nan", "=": "=",
    "'12'": "12", '"12"': "12", "'~'": "~", "''": "", "!!str 12": "12", "!!int '12'": 12, "!!float 1": 1.0,
    "!!bool true": True, "!!null ~": None, "! 12": "12", "!!str": "", "a b  c": "a b  c", "a#b": "a#b",
}  # fmt: skip
SCALARS["-"] = [None]


@pytest.mark.parametrize("word", SCALARS)
def test_words_mean_what_yaml_1_2_says(word, parser):
    """Numbers, true, false and null are YAML 1.2's; everything else is a text."""
    value = documented(f"a:{' ' if word != '-' else chr(10)}{word}\n").data["a"]

    assert value == SCALARS[word]
    assert type(value) is type(SCALARS[word])
    assert math.copysign(1, value) == math.copysign(1, SCALARS[word]) if isinstance(value, float) else True


def test_not_a_number_is_a_float(parser):
    """.nan is read as such; fields refuse it later."""
    assert math.isnan(documented("a: .nan").data["a"])


def test_places_of_keys_values_and_items(parser):
    """Lines and columns count from 1, ends are exclusive, mappings in blocks end with their last value."""
    text = "name: 'n'\nlayer:\n  - name: conv1\n    pad: [1, 22]\n    p: {a: b}\n  - x\n"
    document = documented(text)
    places = {path: tuple(span)[1:] for path, span in document.values.items()}
    keys = {path: tuple(span)[1:] for path, span in document.keys.items()}

    assert document.data == {"name": "n", "layer": [{"name": "conv1", "pad": [1, 22], "p": {"a": "b"}}, "x"]}
    assert places == {
        (): (1, 1, 6, 6),
        ("name",): (1, 7, 1, 10),
        ("layer",): (3, 3, 6, 6),
        ("layer", 0): (3, 5, 5, 14),
        ("layer", 0, "name"): (3, 11, 3, 16),
        ("layer", 0, "pad"): (4, 10, 4, 17),
        ("layer", 0, "pad", 0): (4, 11, 4, 12),
        ("layer", 0, "pad", 1): (4, 14, 4, 16),
        ("layer", 0, "p"): (5, 8, 5, 14),
        ("layer", 0, "p", "a"): (5, 12, 5, 13),
        ("layer", 1): (6, 5, 6, 6),
    }
    assert keys == {
        ("name",): (1, 1, 1, 5),
        ("layer",): (2, 1, 2, 6),
        ("layer", 0, "name"): (3, 5, 3, 9),
        ("layer", 0, "pad"): (4, 5, 4, 8),
        ("layer", 0, "p"): (5, 5, 5, 6),
        ("layer", 0, "p", "a"): (5, 9, 5, 10),
    }
    assert str(document.nearest(("layer", 0, "pad", 7))) == "net.yaml:4:10"
    assert str(document.nearest(("layer", 0, "other"))) == "net.yaml:3:5"
    assert str(document.nearest(("layer",))) == "net.yaml:2:1"


def test_a_missing_value_is_pointed_at_by_its_colon(parser):
    """`a:` and `{a: }` have no value anywhere."""
    document = documented("a:\nb: {c: , d: 1}\n")

    assert document.data == {"a": None, "b": {"c": None, "d": 1}}
    assert tuple(document.value(("a",)))[1:] == (1, 2, 1, 3)
    assert tuple(document.value(("b", "c")))[1:] == (2, 6, 2, 7)


def test_columns_count_characters_and_line_breaks_of_windows_count_once(parser):
    """A byte order mark has no column, an emoji one; CRLF and CR end lines."""
    document = documented("\ufeffé😀: 1\r\nb: {ü: x}\rc: 2\r\n")

    assert document.data == {"é😀": 1, "b": {"ü": "x"}, "c": 2}
    assert tuple(document.value(("é😀",)))[1:] == (1, 5, 1, 6)
    assert tuple(document.value(("b", "ü")))[1:] == (2, 8, 2, 9)
    assert tuple(document.value(("c",)))[1:] == (3, 4, 3, 5)


def test_json_is_yaml(parser):
    """JSON with tabs, escapes of surrogate pairs, slashes and no spaces."""
    text = '{\n\t"a":"\\ud83d\\ude00\\/\\u00e9\\n",\t"b" : [1,-2.5e3,true,null,{}],\n\t"c":"\\\\ud83d"\n}\n'
    document = documented(text)

    assert document.data == {"a": "😀/é\n", "b": [1, -2500.0, True, None, {}], "c": "\\ud83d"}
    assert tuple(document.keys[("b",)])[1:] == (2, 32, 2, 35)


def test_escapes_of_pairs_are_left_alone_where_nothing_is_escaped(parser):
    """In plain and single-quoted texts a backslash stands for itself, whatever stands in for a pair."""
    text = "a: \\ud83d\\ude00 \\ud83d\ue000\nb: '\\ud83d\\ude00'\nc: \"\\ud83d\\ude00e000\\ud83e\\udd16\"\n"

    assert documented(text).data == {
        "a": "\\ud83d\\ude00 \\ud83d\ue000",
        "b": "\\ud83d\\ude00",
        "c": "😀e000🤖",
    }


def test_block_texts(parser):
    """Literal and folded texts are YAML's."""
    document = documented("a: |\n  x\n   y\nb: >-\n  x\n  y\nc: 1\n")

    assert document.data == {"a": "x\n y\n", "b": "x y", "c": 1}
    assert str(document.key(("b",))) == "net.yaml:4:1"


def test_aliases_have_the_places_of_what_they_stand_for(parser):
    """An alias is its node, to which every path inside it leads."""
    document = documented("a: &x {b: [1, &y two]}\nc: *x\nd: [*x, *y]\ne: {f: *y}\n")
    inner = {"b": [1, "two"]}

    assert document.data == {"a": inner, "c": inner, "d": [inner, "two"], "e": {"f": "two"}}
    for path in (("c", "b", 0), ("d", 0, "b", 0)):
        assert document.value(path) == document.values[("a", "b", 0)]
    assert document.key(("d", 0, "b")) == document.keys[("a", "b")]
    assert str(document.value(("e", "f"))) == "net.yaml:1:15"
    assert str(document.nearest(("d", 0, "b", 9))) == "net.yaml:1:11"


def test_aliases_inside_aliases(parser):
    """Places are followed through several aliases; an anchor may be used again for another node."""
    document = documented("a: &x [1]\nb: &y [*x]\nc: &z {d: *y}\ne: *z\nf: &x [2]\ng: *x\n")

    assert document.data["e"] == {"d": [[1]]}
    assert document.value(("e", "d", 0, 0)) == document.values[("a", 0)]
    assert document.value(("g", 0)) == document.values[("f", 0)]


def test_merge_keys(parser):
    """<< adds what is missing; own keys win, then the first source."""
    text = "base: &b {x: 1, y: [5]}\nother: &o {y: 2, z: 3}\na: {<<: *b, x: 9}\nc:\n  <<: [*o, *b, {w: 4}]\n"
    document = documented(text)

    assert document.data["a"] == {"x": 9, "y": [5]}
    assert document.data["c"] == {"y": 2, "z": 3, "x": 1, "w": 4}
    assert document.key(("a", "y")) == document.keys[("base", "y")]
    assert document.value(("a", "y", 0)) == document.values[("base", "y", 0)]
    assert document.value(("c", "y")) == document.values[("other", "y")]
    assert str(document.key(("c", "w"))) == "net.yaml:5:17"


def test_a_quoted_merge_key_is_a_name(parser):
    """`"<<"` has no meaning of its own."""
    assert documented('{"<<": 1}').data == {"<<": 1}


#: text -> (code, line:column, words of the message and hint)
BAD = {
    "": ("ND017", "1:1", "no net"),
    "# only this\n": ("ND017", "1:1", "no net"),
    "---\n": ("ND017", "1:1", "no net"),
    "~": ("ND017", "1:1", "no net"),
    "- a\n- b\n": ("ND019", "1:1", "must be a mapping a list"),
    "just words\n": ("ND019", "1:1", "must be a mapping 'just words'"),
    "name:lenet\n": ("ND019", "1:1", "space after the colon"),
    "a: 1\n---\nb: 1\n": ("ND018", "2:1", "second document"),
    "a: 1\nb: 2\na: 3\n": ("ND001", "3:1", "'a' stands twice"),
    '{"a": 1, "a": 1}': ("ND001", "1:10", "'a' stands twice"),
    "1: x\n": ("ND020", "1:1", "not 1 quotes"),
    "a: {true: x}\n": ("ND020", "1:5", "not true"),
    "a: {1e5: x}\n": ("ND020", "1:5", "not 100000.0"),
    "~: x\n": ("ND020", "1:1", "not nothing"),
    "?\n: x\n": ("ND020", "1:2", "without a key"),
    "? [a]\n: x\n": ("ND020", "1:3", "not a list"),
    "b: {{n}: 1}\n": ("ND020", "1:5", "not a mapping quotes"),
    "a: &x [1]\nb: {*x : 1}\n": ("ND020", "2:5", "alias cannot be a key"),
    "a: !!python/object/apply:os.system [echo]\n": ("ND021", "1:4", "!!python/object/apply:os.system"),
    "a: !x {b: 1}\n": ("ND021", "1:4", "'!x'"),
    "a: !!binary aGk=\n": ("ND021", "1:4", "!!binary"),
    "a: !!map [1]\n": ("ND021", "1:4", "!!map"),
    "a: *b\n": ("ND022", "1:4", "no &b"),
    "a: &bias 1\nb: *bais\n": ("ND022", "2:4", "did you mean bias?"),
    "a: &x [1, *x]\n": ("ND022", "1:11", "*x stands inside &x itself"),
    "a: &x {b: {c: *x}}\n": ("ND022", "1:15", "inside &x itself"),
    "a: {<<: 3}\n": ("ND022", "1:9", "merge key << not 3"),
    "a: {<<: [1]}\n": ("ND022", "1:9", "merge key <<"),
    "a: " + "7" * 4001: ("ND024", "1:4", "4001 digits at most 4000"),
    "a: 0x" + "f" * 4000: ("ND024", "1:4", "4000 digits at most"),
    "a: !!int many\n": ("ND024", "1:4", "'many' is not a whole number"),
    "a: !!bool 1\n": ("ND024", "1:4", "'1' is not true or false"),
    "a: b\x07\n": ("ND015", "1:5", "U+0007 \\u0007"),
    "a: b\nc: \0\n": ("ND015", "2:4", "NUL"),
    "a: b\r\nc: \x85\n": ("ND015", "2:4", "U+0085"),
    "a: \ud800\n": ("ND015", "1:4", "surrogate"),
    "a: 1\n\ufeffb: 2\n": ("ND015", "2:1", "U+FEFF"),
    "a: b: c\n": ("ND016", "1:5", "colon needs quotes"),
    "a: b\n c: d\n": ("ND016", "2:3", "colon align"),
    "a:1\nb: 2\n": ("ND016", "1:3", "no space after the colon write a:"),
    "layer:\n  - name:conv1\n    type: ReLU\n": ("ND016", "2:10", "no space after the colon name:"),
    "a: {num_output:32}\n": ("ND016", "1:5", "no space after the colon write num_output: 32"),
    "a: {b: 1, c:2, d: 3}\n": ("ND016", "1:11", "no space after the colon write c: 2"),
    "name: x\nlayer\n  - a: 1\n": ("ND016", "2:1", "without a colon"),
    "a:\n\tb: 1\n": ("ND016", "2:1", "tab spaces"),
    "a: b\n\tc: 1\n": ("ND016", "2:1", "tab spaces"),
    "a:\n  b: 1\n \tc: 1\n": ("ND016", "3:2", "tab spaces"),
    "a: [1, 2\n": ("ND016", "1:4", "[ is never closed"),
    "a: {b: [1]\n": ("ND016", "1:4", "{ is never closed"),
    '{"a": [1, {"b": 2]}': ("ND016", "1:18", "} comma"),
    "a: [1, 2\nb: 3\n": ("ND016", "2:2", "] comma"),
    "a: 'x\nb: 3\n": ("ND016", "1:4", "quote is never closed"),
    'a: "x\nb: 3\n': ("ND016", "1:4", "quote is never closed"),
    "a: 'b' c\n": ("ND016", "1:8", "inside a mapping"),
    "a: 1\n- b\n": ("ND016", "2:1", "inside a mapping"),
    "layer:\n  - name: x\n   type: y\n": ("ND016", "3:4", "no item of the list"),
    "a: @x\n": ("ND016", "1:4", "cannot start quotes"),
    "a: %x\n": ("ND016", "1:4", "cannot start quotes"),
    "a: `x`\n": ("ND016", "1:4", "cannot start quotes"),
    '{"a": 1} x': ("ND016", "1:10", "more text after the end"),
    "{a: 1}}\n": ("ND016", "1:7", "more text bracket"),
    "a: ]\n": ("ND016", "1:4", "no value here"),
    "a: *\n": ("ND016", "1:5", "& and * quotes"),
    'a: "\\q"\n': ("ND016", "1:5", "no such escape \\\\"),
    'a: "C:\\users"\n': ("ND016", "1:7", "hexadecimal"),
    'a: "x\\ud83d"\n': ("ND016", "1:6", "no character"),
    'a: "\\U00110000"\n': ("ND016", "1:5", "no character"),
    "a: {b: ${n}}\n": ("ND016", "1:8", "${...} needs quotes"),
    "a: |x\n  y\n": ("ND016", "1:5", "next line"),
    "a: !x!y z\n": ("ND016", "1:4", "! quoted"),
    "a: - b\n": ("ND016", "1:4", "list line"),
    "a: " + "x" * (limits.TEXT + 1): ("ND023", "1:4", "1048577 characters too long"),
    "- " * 201: ("ND023", "1:401", "200 levels"),
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: repr(text)[:40])
def test_what_is_no_spec_is_one_finding_with_its_place(text, parser):
    """One finding with code, place, and words that say what is wrong and what to do."""
    code, place, words = BAD[text]
    findings = found(text)

    assert [d.code.id for d in findings] == [code], [str(d) for d in findings]
    finding = findings[0]
    assert str(finding.span) == f"net.yaml:{place}", str(finding)
    for word in words.split():
        assert word in f"{finding.message} {finding.hint}", str(finding)
    assert finding.hint
    assert "\n" not in str(finding)


def test_a_duplicate_key_shows_both_places(parser):
    """The first value stays; the finding points at the second and tells of the first."""
    findings = Findings()
    document = read_string("a: 1\nb: {c: 1, c: {d: 2}}\n", "net.yaml", findings)
    finding = next(iter(findings))

    assert document.data == {"a": 1, "b": {"c": 1}}
    assert str(finding.span) == "net.yaml:2:11"
    assert [str(related.span) for related in finding.related] == ["net.yaml:2:5"]


def test_every_finding_of_a_text_that_can_be_read(parser):
    """Keys and tags do not hide each other, and good values stay."""
    text = "1: a\nb: !x 2\nc: [3, !!int x, {4: 5}]\nd: 6\nd: 7\n"
    findings = Findings()
    document = read_string(text, "net.yaml", findings)

    assert [d.code.id for d in findings] == ["ND020", "ND021", "ND024", "ND020", "ND001"]
    assert document.data == {"b": "2", "c": [3, "x", {}], "d": 6}
    assert document.broken == {("b",), ("c", 1)}


def test_an_open_bracket_is_shown_with_the_place_where_the_list_breaks(parser):
    """The related place is the bracket."""
    (finding,) = found("a: [1, 2\nb: 3\n")

    assert [(str(r.span), r.message) for r in finding.related] == [("net.yaml:1:4", "this [ is open")]


BOMBS = {
    "brackets": "[" * 100_000,
    "million brackets": "[" * 1_000_000,
    "braces": '{"a":' * 100_000,
    "keys": "{" * 100_000,
    "dashes": "- " * 100_000,
    "aliases": "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 14)),
    "merges": "a0: &a0 {x: 1}\n"
    + "".join(f"a{i}: &a{i} {{b: *a{i - 1}, c: *a{i - 1}, <<: *a{i - 1}}}\n" for i in range(1, 100)),
    "deep aliases": "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 300)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_before_anything_is_built(name, parser):
    """Nesting and aliases are counted as they are read."""
    assert "ND023" in [d.code.id for d in found(BOMBS[name])]


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="how much memory is used stands in /proc")
def test_a_bomb_needs_neither_time_nor_memory():
    """A million brackets and an alias bomb of 14 levels, within 128 MiB beyond the interpreter's own."""
    script = (
        "import resource, sys\n"
        "from netdef.diag import Findings\n"
        "from netdef.spec.read import read_string\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 2**27, used + 2**27))\n"
        "for text in sys.stdin.read().split('\\f'):\n"
        "    findings = Findings()\n"
        "    assert read_string(text, 'bomb', findings) is None\n"
        "    print(next(iter(findings)).code.id)\n"
    )
    text = "\f".join((BOMBS["million brackets"], BOMBS["aliases"]))
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=text,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=30,
        check=True,
    )

    assert done.stdout.split() == ["ND023", "ND023"]


def test_the_node_limit_counts_what_aliases_stand_for(monkeypatch, parser):
    """Exactly as many values as allowed pass: 1 list of 4 and 2 aliases of it are 1 + 3 * 5."""
    text = "a: &a [1, 2, 3, 4]\nb: *a\nc: *a\n"
    monkeypatch.setattr(limits, "NODES", 16)
    assert not found(text)
    monkeypatch.setattr(limits, "NODES", 15)
    assert [str(d.span) for d in found(text)] == ["net.yaml:3:4"]


def test_exactly_200_levels_pass(parser):
    """The mapping at the top is the first level."""
    assert not found("a: " + "[" * 199 + "]" * 199)
    assert [str(d.span) for d in found("a: " + "[" * 200 + "]" * 200)] == ["net.yaml:1:203"]


def test_files_that_are_not_utf8(tmp_path):
    """UTF-16 and stray bytes are findings with place or offset; a byte order mark is fine."""
    path = tmp_path / "net.yaml"
    for data, place, words in (
        ("a: 1".encode("utf-16"), "1:1", "UTF-16"),
        (b"a: 1\nb: \xff\n", "2:4", "0xff at offset 8"),
        (b"\xef\xbb\xbfa: \xc3", "1:4", "0xc3 at offset 6"),
    ):
        path.write_bytes(data)
        findings = Findings()
        assert read(str(path), findings) is None
        (finding,) = findings
        assert finding.code is text_codes.NOT_UTF8
        assert str(finding.span) == f"{path}:{place}"
        assert words in finding.message
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read(str(path), Findings()).data == {"a": 1}


def test_a_missing_file_is_one_finding(tmp_path):
    """Reading reports what `netdef.source` finds."""
    findings = Findings()

    assert read(str(tmp_path / "no.yaml"), findings) is None
    assert [d.code.id for d in findings] == ["ND010"]


CODES = [value for value in vars(text_codes).values() if isinstance(value, Code)]


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.id)
def test_pages_show_what_they_say(code):
    """The bad example of each code of this package reports that code alone, the good one nothing."""
    for text, expected in ((code.bad, [code.id]), (code.good, [])):
        findings = Findings()
        document = read_string(text, "net.yaml", findings) if text else None
        if document is not None:
            substitute(document, (), findings)
        assert [d.code.id for d in findings] == (expected if text else [])
    assert code.bad or code.shown_by

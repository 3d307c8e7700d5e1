"""`--set PATH=VALUE`: what it reaches, the places of what it sets, and what is refused."""

import pytest

from netdef.diag import Findings
from netdef.spec.overrides import substitute
from netdef.spec.read import read_string

NET = """\
name: net
layer:
  - name: data
    include: {phase: TRAIN}
    batch: 64
  - name: data
    include: {phase: TEST}
    batch: 100
  - name: conv1
    p: {num_output: 20, pad: [1, 2], filler: {type: xavier}}
    q:
  - {name: conv1.a/b, p: {num_output: 30}}
  - plain
"""


def override(text, *overrides):
    """The document of a text after overrides, and the findings."""
    findings = Findings()
    document = read_string(text, "net.yaml", findings)
    assert not list(findings)
    return substitute(document, overrides, findings), list(findings)


def layers(*overrides):
    """The layers of the net after overrides that have no findings."""
    document, findings = override(NET, *overrides)
    assert not findings, [str(d) for d in findings]
    return document.data["layer"]


def test_a_layer_is_addressed_by_its_name():
    """Only that field changes."""
    assert layers("layer.conv1.p.num_output=32")[2] == {
        "name": "conv1",
        "p": {"num_output": 32, "pad": [1, 2], "filler": {"type": "xavier"}},
        "q": None,
    }


def test_all_layers_of_a_name_are_set():
    """A net has one data layer for each phase."""
    assert [layer["batch"] for layer in layers("layer.data.batch=7")[:2]] == [7, 7]


def test_items_are_addressed_by_number():
    """Numbers count from 0; in lists of lists, too."""
    assert layers("layer.1.batch=7")[1]["batch"] == 7
    assert layers("layer.0.batch=7")[1]["batch"] == 100
    assert layers("layer.conv1.p.pad.1=5")[2]["p"]["pad"] == [1, 5]


def test_names_with_dots_stand_in_quotes():
    """And names with a slash need none."""
    assert layers('layer."conv1.a/b".p.num_output=1')[3]["p"] == {"num_output": 1}
    assert override("a: [{name: x/y=z}]\n", 'a."x/y=z".b=1')[0].data == {"a": [{"name": "x/y=z", "b": 1}]}


def test_new_keys_and_mappings_are_made():
    """A path through what is absent or empty makes mappings."""
    assert layers("layer.conv1.q.r.s=1")[2]["q"] == {"r": {"s": 1}}
    assert override("a: 1\n", "solver.type=SGD")[0].data == {"a": 1, "solver": {"type": "SGD"}}


def test_values_are_yaml():
    """Words, numbers, lists, mappings, quotes, and = in the value."""
    for text, value in {
        "1e-3": 0.001, "no": "no", "/path/to/x=y": "/path/to/x=y", "[1, {a: b}]": [1, {"a": "b"}],
        "{a: [2]}": {"a": [2]}, "'12'": "12", "": None, "a b": "a b", "true": True, "x.y": "x.y",
        "&q [1, *q2]": None, "[&q 1, *q]": [1, 1],
    }.items():  # fmt: skip
        document, findings = override("a: 1\n", f"b={text}")
        if text == "&q [1, *q2]":
            assert [d.code.id for d in findings] == ["ND022"]
            assert document.data == {"a": 1}
        else:
            assert document.data == {"a": 1, "b": value}
            assert not findings


def test_later_overrides_see_earlier_ones():
    """In the order of the command line."""
    assert override("a: 1\n", "b.c=1", "b.d=2", "b.c=3", "b.e=[1, 2]", "b.e.0=5")[0].data == {
        "a": 1,
        "b": {"c": 3, "d": 2, "e": [5, 2]},
    }


def test_variables_are_set_before_they_are_used():
    """They may be new, and values may use them."""
    text = "variables: {mnist: data, n: 1}\na: ${mnist}/x\nb: ${n + 1}\n"

    assert override(text, "variables.mnist=/there", "variables.n=5", "c=${m * 2}", "variables.m=2")[
        0
    ].data == {
        "a": "/there/x",
        "b": 6,
        "c": 4,
    }
    assert override("a: 1\n", "variables.unused=1")[0].data == {"a": 1}


def test_places_of_what_was_set():
    """The option is the file, the column stands inside it; what was there before has no place any more."""
    option = "layer.conv1.p={num_output: 3, pad: [4]}"
    document, findings = override(NET, option)
    path = ("layer", 2, "p")
    column = len("--set layer.conv1.p=") + 1

    assert not findings
    assert document.value(path)[:3] == (f"--set {option}", 1, column)
    assert document.value((*path, "num_output"))[1:] == (1, column + 13, 1, column + 14)
    assert document.key((*path, "pad"))[1:] == (1, column + 16, 1, column + 19)
    assert document.key(path)[1:] == (1, len("--set layer.conv1.") + 1, 1, column - 1)
    assert document.nearest((*path, "filler"))[:3] == (f"--set {option}", 1, column)
    assert str(document.value(("layer", 1, "batch"))) == "net.yaml:8:12"


def test_places_behind_aliases():
    """Setting a field behind one alias leaves the other users alone, places included."""
    text = "base: &b {x: 1, y: {z: 2}}\nlayer:\n- {name: one, p: *b}\n- {name: two, p: *b, <<: *b}\n"
    document, _ = override(text, "layer.one.p.y.z=7", "layer.two.y=8")

    assert document.data["base"] == {"x": 1, "y": {"z": 2}}
    assert document.data["layer"] == [
        {"name": "one", "p": {"x": 1, "y": {"z": 7}}},
        {"name": "two", "p": {"x": 1, "y": {"z": 2}}, "x": 1, "y": 8},
    ]
    assert str(document.value(("layer", 0, "p", "x"))) == "net.yaml:1:14"
    assert str(document.value(("layer", 0, "p", "y", "z"))) == "--set layer.one.p.y.z=7:1:23"
    assert str(document.value(("layer", 1, "p", "y", "z"))) == "net.yaml:1:24"
    assert str(document.value(("layer", 1, "y"))) == "--set layer.two.y=8:1:19"


#: override -> (code, column of the option with its --set, words)
BAD = {
    "foo": ("ND029", 7, "no = in path and a value"),
    "": ("ND029", 7, "no = in"),
    "=3": ("ND029", 7, "no path before"),
    "a..b=3": ("ND029", 7, "a part of the path is empty"),
    ".a=3": ("ND029", 7, "a part of the path is empty"),
    "a.=3": ("ND029", 7, "a part of the path is empty"),
    "layer.conv2.x=1": ("ND029", 13, "no item 'conv2' did you mean conv1?"),
    "layer.9.x=1": ("ND029", 13, "no item '9'"),
    "layer." + "9" * 5000 + ".x=1": ("ND029", 13, "no item"),
    "layer.conv1.p.pad.7=1": ("ND029", 25, "layer.2.p.pad has no item '7' 2 items"),
    "name.x=1": ("ND029", 12, "name is 'net' no 'x' set name itself"),
    "layer.4.x=1": ("ND029", 15, "layer.4 is 'plain'"),
    "layer.conv1.p.num_output.x.y=1": ("ND029", 32, "is 20 no 'x'"),
    ".".join("a" * 51) + "=1": ("ND029", 107, "more than 50 parts"),
    "a=[1": ("ND016", 9, "[ is never closed"),
    "a=*x": ("ND022", 9, "no &x"),
    "a=@x": ("ND016", 9, "quotes"),
    "a=!!int x": ("ND024", 9, "not a whole number"),
    "a=\x07": ("ND015", 9, "U+0007"),
    "a=${nix}": ("ND025", 11, "no variable nix"),
    "a='${1 +}'": ("ND027", 15, "the end"),
}


@pytest.mark.parametrize("option", BAD, ids=lambda option: option[:30])
def test_what_cannot_be_set_is_one_finding(option):
    """With a column inside the option; the document stays as it is but for values that are no expression."""
    code, column, words = BAD[option]
    document, findings = override(NET, option)
    (finding,) = findings

    assert (finding.code.id, str(finding.span)) == (code, f"--set {option}:1:{column}"), str(finding)
    for word in words.split():
        assert word in f"{finding.message} {finding.hint}", str(finding)
    if code in ("ND029", "ND016", "ND022", "ND015"):
        assert document.data == override(NET)[0].data


def test_findings_of_a_value_keep_their_place_after_other_options():
    """A value that cannot be made out is marked."""
    document, findings = override(NET, "layer.data.batch=!!int x", "layer.conv1.p.num_output=${n}")

    assert [d.code.id for d in findings] == ["ND025", "ND024"] or [d.code.id for d in findings] == [
        "ND024",
        "ND025",
    ]
    assert document.broken == {("layer", 0, "batch"), ("layer", 1, "batch"), ("layer", 2, "p", "num_output")}

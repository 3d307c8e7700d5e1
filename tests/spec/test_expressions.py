"""`${...}`: expressions against Python's arithmetic, variables, their places, and what is refused."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdef.diag import Findings
from netdef.spec import events, limits
from netdef.spec.expressions import BadExpression, evaluate, names, tokens
from netdef.spec.overrides import substitute
from netdef.spec.read import read_string


def value(source, **variables):
    """The value of an expression."""
    return evaluate(tokens(source), lambda token: variables[token.text])


def substituted(text, *overrides):
    """A text's document after substitution, and the findings."""
    findings = Findings()
    document = substitute(read_string(text, "net.yaml", findings), overrides, findings)
    return document, list(findings)


def data(text):
    """The data of a text without findings."""
    document, findings = substituted(text)
    assert not findings, [str(d) for d in findings]
    return document.data


EXPRESSIONS = {
    "1": 1, "1.5e1": 15.0, ".5": 0.5, "2.": 2.0, "'a b'": "a b", '"}"': "}", "true": True, "false": False,
    "1 + 2 * 3": 7, "(1 + 2) * 3": 9, "7 - 2 - 1": 4, "7 // 2": 3, "-7 // 2": -4, "-7 % 3": 2, "7 / 2": 3.5,
    "8 / 2": 4.0, "2 * -3": -6, "--3": 3, "-(2 + 1)": -3, "2 - -1": 3, "7.5 % 2": 1.5, "7.5 // 2": 3.0,
    "1 < 2": True, "2 <= 1": False, "1 + 1 == 2": True, "1 != 1.0": False, "3 > 2.5": True, "2 >= 2": True,
    "'a' == \"a\"": True, "'a' != 'b'": True, "true == false": False, "(1 < 2) == true": True,
    "n * 2 + n": 9, "flag": True, "text": "x", "-n": -3, "9223372036854775807": 2**63 - 1,
    "-9223372036854775807 - 1": -(2**63),
}  # fmt: skip


@pytest.mark.parametrize("source", EXPRESSIONS)
def test_expressions_mean_what_they_say(source):
    """Values and their types."""
    result = value(source, n=3, flag=True, text="x")

    assert result == EXPRESSIONS[source]
    assert type(result) is type(EXPRESSIONS[source])


REFUSED = {
    "": "nothing between", "  ": "nothing between", "1 +": "the end stands where", "+ 1": "+ stands where",
    "1 2": "2 stands where an operator", "(1": ") was expected", "1)": ") stands where",
    "2 ** 3": "* stands where", "f(1)": "( stands where", "a.b": ". has no meaning",
    "a[0]": "[ has no meaning", "1; 2": "; has no meaning", "'a": "quote is not closed",
    "__import__('os')": "( stands where", "lambda: 1": ": has no meaning", "1 < 2 < 3": "cannot be chained",
    "1 = 2": "= has no meaning", "not 1": "1 stands where", "1 / 0": "divides by zero",
    "1 // 0": "divides by zero", "1 % 0.0": "divides by zero", "9223372036854775807 + 1": "too large",
    "9223372036854775808": "too large", "1e308 * 10": "too large", "1e999": "too large",
    "-9223372036854775807 - 2": "too large", "4294967296 * 4294967296": "too large",
    "'a' * 3": "does not go with 'a' and 3", "'a' + 'b'": "does not go with",
    "'%s' % 1": "does not go with", "true + 1": "does not go with true and 1", "-true": "- needs a number",
    "-'a'": "- needs a number", "1 == '1'": "does not go with 1 and '1'", "1 == true": "does not go with",
    "'a' < 'b'": "does not go with", "(" * 51 + "1" + ")" * 51: "50 levels", "-" * 51 + "1": "50 levels",
    "1" + " + 1" * 300: "1201 characters", "\N{ARABIC-INDIC DIGIT ONE}": "has no meaning",
    "é": "has no meaning", "a == a": "does not go with a list", "a + 1": "does not go with a list",
}  # fmt: skip


@pytest.mark.parametrize("source", REFUSED, ids=lambda source: source[:20])
def test_everything_else_is_refused(source):
    """No calls, attributes, powers, texts in arithmetic, mixed kinds, chains, or numbers beyond 64 bits."""
    with pytest.raises(BadExpression) as caught:
        value(source, a=[1], f=1, **{"__import__": 1, "not": 1, "lambda": 1})

    assert REFUSED[source] in str(caught.value)
    assert caught.value.hint
    assert 0 <= caught.value.start <= caught.value.end <= len(source) + 1


def trees():
    """Random arithmetic as text, with the numbers that a float or 64 bits hold easily."""
    leaves = st.one_of(
        st.integers(0, 99).map(str),
        st.floats(0.01, 99).map(lambda number: f"{number:.2f}"),
        st.sampled_from(["n", "x"]),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner).map(" ".join),
            inner.map(lambda text: f"({text})"),
            inner.map(lambda text: f"-({text})"),
        ),
        max_leaves=8,
    )


@given(trees(), st.sampled_from(["", " < ", " == ", " >= ", " != "]), trees())
def test_arithmetic_is_pythons(left, sign, right):
    """Python itself is the reference, for what stays in range."""
    source = f"{left}{sign}{right if sign else ''}"
    try:
        expected = eval(source, {"__builtins__": {}}, {"n": 3, "x": 2.5})
    except ZeroDivisionError:
        with pytest.raises(BadExpression, match="zero"):
            value(source, n=3, x=2.5)
        return

    if isinstance(expected, int) and not -(2**62) < expected < 2**62:
        return  # near the limits, where the order of steps decides what overflows
    result = value(source, n=3, x=2.5)
    assert result == expected
    assert type(result) is type(expected)


@given(st.text(max_size=40))
def test_any_text_has_a_value_or_is_refused(source):
    """No other exception, whatever the text."""
    with contextlib.suppress(BadExpression):
        found = names(tokens(source))
        value(source, **dict.fromkeys(found, 1))


def test_a_whole_expression_keeps_its_type():
    """Numbers, lists and mappings; inside a longer text they are written out."""
    text = (
        "variables: {n: 3, half: '${n / 2}', yes: true, list: [1, '${n}'], map: {a: {b: '${n}'}}, no: }\n"
        "a: ${n + 1}\nb: x${n}-${half}-${yes}y\nc: ${list}\nd: ${map}\ne: '${ n }'\nf: ${no}\ng: ${n}${n}\n"
        "h: ${'}' == \"}\"}\ni: [\"${n}\", '${-n}']\n"
    )

    assert data(text) == {
        "a": 4,
        "b": "x3-1.5-truey",
        "c": [1, 3],
        "d": {"a": {"b": 3}},
        "e": 3,
        "f": None,
        "g": "33",
        "h": True,
        "i": [3, -3],
    }


def test_dollars_that_are_no_expressions():
    """`$${` is `${`, other dollars stand for themselves, keys are left alone, escapes of ${ are seen."""
    text = 'variables: {n: 1}\na: $${n}\nb: $5 $n {n} $\nc: x$${n}${n}$$\nk${n}: 1\nd: "\\x24{n}"\n'

    assert data(text) == {"a": "${n}", "b": "$5 $n {n} $", "c": "x${n}1$$", "k${n}": 1, "d": 1}


def test_a_document_without_variables_is_left_as_it_is():
    """Nothing is copied."""
    findings = Findings()
    document = read_string("a: [1, {b: c}]\n", "net.yaml", findings)

    assert substitute(document, (), findings) is document


def test_variables_are_taken_out_and_may_use_each_other_in_any_order():
    """A chain of a thousand, written backwards."""
    chain = "".join(f"  v{i}: ${{v{i - 1} + 1}}\n" for i in range(1000, 0, -1))

    assert data(f"variables:\n{chain}  v0: 0\na: ${{v1000}}\n") == {"a": 1000}


@pytest.mark.parametrize("pure", [False, True])
def test_places(pure, monkeypatch):
    """A value has the place of its `${...}`, what is inside a list or mapping that of the variable."""
    if pure:
        monkeypatch.setattr(events, "parser_of", events.PurePythonParser)
    text = "variables:\n  shape: {dim: [1, 4]}\na:\n  b: ${shape}\nc: &c ['${shape}']\nd: *c\n"
    document, findings = substituted(text)

    assert not findings
    assert document.data == {"a": {"b": {"dim": [1, 4]}}, "c": [{"dim": [1, 4]}], "d": [{"dim": [1, 4]}]}
    assert str(document.value(("a", "b"))) == "net.yaml:4:6"
    assert str(document.value(("a", "b", "dim", 1))) == "net.yaml:2:20"
    assert str(document.key(("a", "b", "dim"))) == "net.yaml:2:11"
    assert str(document.value(("d", 0, "dim", 0))) == "net.yaml:2:17"
    assert str(document.nearest(("a", "b", "other"))) == "net.yaml:4:6"


#: text -> (code, line:column, words)
BAD = {
    "variables: {num: 1}\na: ${nun}\n": ("ND025", "2:6", "no variable nun did you mean num?"),
    "a: ${n}\n": ("ND025", "1:6", "declare it in variables"),
    "a: '${1 + n}'\n": ("ND025", "1:11", "no variable n"),
    'a: {b: "${n}"}\n': ("ND025", "1:11", "no variable n"),
    "a: |\n  ${n}\n": ("ND025", "1:4", "no variable n"),
    "variables: {a: '${HOME}'}\nb: ${a}\n": ("ND025", "1:19", "no variable HOME"),
    "variables: {a: '${a}'}\nb: ${a}\n": ("ND026", "1:13", "a -> a"),
    "variables:\n  a: ${b}\n  b: ['${c + 1}']\n  c: ${a}\nb: ${c}\n": ("ND026", "2:3", "a -> b -> c -> a"),
    "variables: {n: 0}\na: x ${1 / n} y\n": ("ND027", "2:10", "zero"),
    "a: ${1 +}\n": ("ND027", "1:9", "the end"),
    "a: ${}\n": ("ND027", "1:6", "nothing between"),
    "a: b ${n\n": ("ND027", "1:6", "no } $${"),
    "a: ${'}\n": ("ND027", "1:4", "no } $${"),
    "variables: {l: [1]}\na: x${l}\n": ("ND027", "2:7", "a list cannot stand inside a text"),
    "variables: {l: }\na: x${l}\n": ("ND027", "2:7", "nothing cannot stand inside a text"),
    "variables: {l: [1]}\na: ${l + 1}\n": ("ND027", "2:8", "a list"),
    "variables: [1]\na: 1\n": ("ND028", "1:1", "a list"),
    "variables: 3\n": ("ND028", "1:1", "not 3"),
    "variables: {data-set: 1}\n": ("ND028", "1:13", "'data-set' letters"),
    "variables: {'': 1}\n": ("ND028", "1:13", "'' letters"),
    "variables: {1a: 1}\n": ("ND028", "1:13", "'1a'"),
}


@pytest.mark.parametrize("text", BAD)
def test_what_has_no_value_is_one_finding_with_its_place(text):
    """The place is that inside the text; users of a variable that has no value are not reported again."""
    code, place, words = BAD[text]
    _, findings = substituted(text)

    assert [(d.code.id, str(d.span)) for d in findings] == [(code, f"net.yaml:{place}")], [
        str(d) for d in findings
    ]
    for word in words.split():
        assert word in f"{findings[0].message} {findings[0].hint}", str(findings[0])


def test_what_has_no_value_is_marked_in_the_document():
    """The text stays, and the path is told, behind an alias as well."""
    document, findings = substituted("a: &x [1, '${n}', 'x${1/0}']\nb: *x\nc: '${2}'\n")

    assert len(findings) == 2
    assert document.data == {"a": [1, "${n}", "x${1/0}"], "b": [1, "${n}", "x${1/0}"], "c": 2}
    assert document.broken == {("a", 1), ("a", 2)}
    assert document.is_broken(("b", 1))
    assert not document.is_broken(("b", 0))


def test_every_circle_is_reported_once():
    """Two circles and what hangs on them."""
    text = "variables: {a: '${b}', b: '${a}', c: '${c}', d: '${a + c}', e: 1}\nx: ${d}\ny: ${e}\n"
    document, findings = substituted(text)

    assert [d.message for d in findings] == [
        "variables need each other: a -> b -> a",
        "variables need each other: c -> c",
    ]
    assert document.data["y"] == 1


def test_variables_cannot_grow_beyond_the_limits():
    """Lists of lists, texts of texts, and levels upon levels."""
    lists = "variables:\n  v0: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n" + "".join(
        f"  v{i}: [{', '.join([chr(34) + '${v' + str(i - 1) + '}' + chr(34)] * 10)}]\n" for i in range(1, 9)
    )
    levels = "variables:\n  v0: 1\n" + "".join(f"  v{i}: ['${{v{i - 1}}}']\n" for i in range(1, 300))
    texts = "variables:\n  v0: xxxxxxxx\n" + "".join(
        f"  v{i}: ${{v{i - 1}}}${{v{i - 1}}}\n" for i in range(1, 40)
    )

    assert [d.code.id for d in substituted(f"{lists}a: ${{v8}}\n")[1]] == ["ND023"]
    assert [d.code.id for d in substituted(f"{levels}a: ${{v299}}\n")[1]] == ["ND023"]
    assert [d.code.id for d in substituted(f"{texts}a: ${{v39}}\n")[1]] == ["ND027"]


def test_many_unclosed_expressions_take_linear_time():
    """The first one ends the search; a hundred thousand well-formed ones are all replaced."""
    assert [d.code.id for d in substituted(f"a: '{'${' * 100_000}'\n")[1]] == ["ND027"]
    assert data(f"variables: {{n: 1}}\na: {'${n}' * 100_000}\n") == {"a": "1" * 100_000}
    assert limits.TEXT > 400_000

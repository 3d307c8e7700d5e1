"""Every diagnostic code: its bad example is reported under it, its good one has no finding."""

import pytest

from netdef.cli.explain import load_codes
from netdef.diag import Code
from netdef.lint.check import check_file

load_codes()
CODES = sorted(Code.registry.values(), key=lambda code: code.id)


def findings_of(text, tmp_path):
    """The findings of a text as a file."""
    path = tmp_path / "net.yaml"
    path.write_text(text, encoding="utf-8")
    return check_file(str(path)).findings


@pytest.mark.parametrize("code", [code for code in CODES if code.bad], ids=lambda code: code.id)
def test_the_bad_example_is_reported_under_its_code_alone(code, tmp_path):
    """One fault, one code: nothing else is said about it."""
    findings = findings_of(code.bad, tmp_path)

    assert {finding.code.id for finding in findings} == {code.id}
    assert all(finding.span.line for finding in findings), "a finding has a place"
    assert all(finding.message and finding.hint for finding in findings), (
        "it says what is wrong and what to do"
    )


@pytest.mark.parametrize("code", [code for code in CODES if code.good], ids=lambda code: code.id)
def test_the_good_example_has_no_finding(code, tmp_path):
    """What the page recommends is accepted."""
    assert [str(finding) for finding in findings_of(code.good, tmp_path)] == []


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.id)
def test_every_code_is_explained(code):
    """What, why, and either an example or what else shows it; names are unique and read as words."""
    assert code.what
    assert code.why
    assert code.bad or code.shown_by
    assert [other.id for other in CODES if other.name == code.name] == [code.id]
    assert code.name == code.name.lower()

"""Golden pairs: a broken file and exactly what `netdef lint` says about it.

`pytest tests/lint/test_golden.py --update-golden` rewrites the expected output.
"""

from pathlib import Path

import pytest
from click.testing import CliRunner

from netdef.cli import command

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(path for path in GOLDEN.iterdir() if path.suffix in (".yaml", ".json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_broken_file_is_reported_as_written_down(path, monkeypatch, request):
    """Every finding with place, source, related places and help;

    Exit status 1, or 3 where only a file is missing.
    """
    monkeypatch.chdir(GOLDEN)
    result = CliRunner().invoke(command, ["lint", path.name])
    expected = path.with_suffix(".out")
    text = f"{result.output}exit status {result.exit_code}\n"
    if request.config.getoption("--update-golden"):
        expected.write_text(text, encoding="utf-8")

    assert text == expected.read_text(encoding="utf-8")
    assert result.exit_code in (1, 3)
    assert "Traceback" not in text


def test_the_pairs_are_complete():
    """No expected output without its file."""
    assert {path.stem for path in GOLDEN.glob("*.out")} == {path.stem for path in FILES}

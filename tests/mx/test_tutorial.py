"""The Symbol tutorial runs as written."""

import runpy
from pathlib import Path

TUTORIAL = Path(__file__).parents[2] / "configs" / "tutorial.py"


def test_the_tutorial_runs(capsys):
    """Every statement in `configs/tutorial.py` holds."""
    runpy.run_path(str(TUTORIAL))

    assert "ran as written" in capsys.readouterr().out

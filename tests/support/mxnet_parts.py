"""Vectors recorded from MXNet's optimizers, schedulers, metrics and initializers, if they are there."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3] / "shared" / "conformance" / "mxnet" / "dev" / "training_parts"


def recorded(what):
    """The cases of a kind as pytest parameters; a skipped one where there are none."""
    if not ROOT.exists():
        reason = "the recorded vectors are not beside the project (../shared/conformance)"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    cases = json.loads((ROOT / "index.json").read_text())["cases"]
    return [pytest.param(case, id=case["id"]) for case in cases if case["what"] == what]


def arrays(case):
    """The arrays of a case by name."""
    stored = _file(case["npz"])
    return {name: stored[f"{case['id']}/{name}"] for name in case["arrays"]}


@functools.cache
def _file(name):
    with np.load(ROOT / name, allow_pickle=False) as stored:
        return dict(stored)

"""Fillers: statistics recorded from Caffe, exact values where they are not random."""

import json
from pathlib import Path

import numpy as np
import prototxt
import pytest

from netdef.spec.layers.base import FillerParameter
from netdef.train.fillers import FILLERS, fill

RECORDED = Path(__file__).parents[3] / "shared" / "conformance" / "caffe" / "dev" / "fillers"


def filled(shape, seed=0, **fields):
    """A filled float64 array."""
    array = np.empty(shape)
    fill(array, FillerParameter(**fields), np.random.default_rng(seed))
    return array


def cases():
    path = RECORDED / "index.json"
    return json.loads(path.read_text())["cases"] if path.exists() else {"none": {}}


@pytest.mark.parametrize("name", sorted(cases()))
def test_statistics_are_those_of_caffe(name):
    """Mean, deviation, bounds and share of zeros of the recorded filler; bilinear exactly."""
    if not RECORDED.exists():
        pytest.skip("the recorded fillers are not beside the project (../shared/conformance)")
    case = cases()[name]
    text = prototxt.parse(case["filler"])
    fields = text.get("filler", text.get("weight_filler", text))
    if case.get("exact") and case.get("file"):
        with np.load(RECORDED / case["file"]) as data:
            expected = data[f"{name}/value"]
        np.testing.assert_allclose(filled(case["shape"], **fields), expected, rtol=1e-5, atol=1e-6)
        return
    values = np.concatenate([filled(case["shape"], seed, **fields).ravel() for seed in range(20)])
    close = max(6 * case["std"] / np.sqrt(values.size / 20), 1e-6)
    assert abs(values.mean() - case["mean"]) < close
    assert abs(values.std() - case["std"]) < max(0.05 * case["std"], 0.7 * close)
    assert abs((values == 0).mean() - case["zero_fraction"]) < 0.05


def test_every_row_of_a_unit_ball_adds_up_to_one():
    """positive_unitball normalises each output's inputs."""
    values = filled((4, 3, 2), type="positive_unitball")

    assert (values >= 0).all()
    np.testing.assert_allclose(values.reshape(4, -1).sum(axis=1), 1)


def test_every_declared_filler_exists():
    """The names that a spec may use are those that can be filled."""
    from netdef.spec.layers.base import FILLERS as declared

    assert set(declared) == set(FILLERS)

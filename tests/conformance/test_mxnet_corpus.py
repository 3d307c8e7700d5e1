"""Real MXNet symbol files: read, written again, and the shapes that MXNet inferred for them."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import netdef as mx

ROOT = Path(__file__).parents[3] / "shared"


def listed():
    path = ROOT / "corpus" / "SOURCES.tsv"
    if not path.exists():
        return [pytest.param("", "", marks=pytest.mark.skip(reason="../shared/corpus is absent"))]
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [
        pytest.param(row["file"], row["golden_shapes"], id=Path(row["file"]).stem)
        for row in rows
        if row["file"].startswith("corpus/mxnet/") and row["file"].endswith(".json")
    ]


@pytest.mark.parametrize(("file", "golden"), listed())
def test_a_real_file_is_read_and_has_mxnets_shapes(file, golden):
    """The text is stable once it is in the newest layout, and every recorded shape is inferred."""
    symbol = mx.sym.load(str(ROOT / file))
    text = symbol.tojson()

    assert mx.sym.load_json(text).tojson() == text
    if not golden:
        return
    recorded = json.loads((ROOT / golden).read_text())
    shapes = symbol.infer_shape(**{name: tuple(shape) for name, shape in recorded["input"].items()})
    names = symbol.list_arguments(), symbol.list_outputs(), symbol.list_auxiliary_states()
    for kind, listed_names, inferred in zip(("args", "outputs", "aux"), names, shapes):
        found = {name: list(shape) for name, shape in zip(listed_names, inferred)}
        assert {name: found[name] for name in recorded[kind]} == recorded[kind], kind


def weights():
    folder = ROOT / "models" / "mxnet"
    found = sorted(folder.rglob("*.params")) if folder.exists() else []
    if not found:
        return [pytest.param(None, marks=pytest.mark.skip(reason="../shared/models/mxnet is absent"))]
    return [pytest.param(path, id=path.stem) for path in found]


@pytest.mark.parametrize("path", weights())
def test_real_weights_are_read(path):
    """Every array has a name that says its role, and numbers."""
    arrays = mx.nd.load(str(path))

    assert arrays
    for name, array in arrays.items():
        assert name.partition(":")[0] in ("arg", "aux"), name
        assert np.isfinite(array.asnumpy()).all(), name

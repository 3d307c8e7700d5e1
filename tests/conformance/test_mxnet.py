"""What MXNet 1.9.1 was recorded to do, through `import netdef as mx`; training's parts are in tests/mx."""

import importlib.util
import json
import os
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import netdef as mx

FOLDER = Path(__file__).parents[3] / "shared" / "conformance"
SECTIONS = ("ops", "symbol", "executor", "formats", "training")

#: recorded behaviour that is not netdef's, and why
DIFFERENT = {
    "sym_082": "MXNet adds up the known sizes of Concat's inputs as if the unknown one were 0",
    "exe_057": "MXNet's kernel for FullyConnected gives a bias no gradient where its weight wants none",
    "sym_103": "MXNet refuses infer_type() for some operators and gives None for others; here always None",
}


def cases():
    if not FOLDER.exists():
        return [pytest.param("", {}, marks=pytest.mark.skip(reason="../shared/conformance is absent"))]
    found = []
    for section in SECTIONS:
        listed = json.loads((FOLDER / "mxnet" / "dev" / section / "index.json").read_text())["cases"]
        found += [pytest.param(section, case, id=case["id"]) for case in listed]
    return found


@cache
def checker():
    """The script that runs the recordings, as a module."""
    spec = importlib.util.spec_from_file_location("check_mxnet", FOLDER / "check_mxnet.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def stored(path):
    return np.load(path)


@pytest.mark.parametrize(("section", "case"), cases())
def test_netdef_does_what_mxnet_did(section, case):
    """Values, gradients, shapes, names, files and refusals are those recorded."""
    check = checker()
    runner = check.Runner(mx, mx.Error)
    runner.root = str(FOLDER / "mxnet" / "dev")
    arrays = {}
    if case.get("npz"):
        whole = stored(os.path.join(runner.root, section, case["npz"]))
        arrays = {name: whole[f"{case['id']}/{name}"] for name in case["arrays"]}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            getattr(runner, section)(case, arrays)
        except check.Skip as reason:
            pytest.skip(str(reason))
        except check.Fail as failure:
            if case["id"] not in DIFFERENT:
                pytest.fail(str(failure), pytrace=False)
            pytest.skip(DIFFERENT[case["id"]])
    assert case["id"] not in DIFFERENT, "this is as recorded: take it off the list"

"""Solvers: Caffe's fields and defaults, and their rules."""

import re
from pathlib import Path

import pytest

from netdef.diag import Findings
from netdef.spec.check import check_net, check_solver
from netdef.spec.read import read_string
from netdef.spec.solver import SolverSpec

SYSTEMS = Path(__file__).parents[3] / "shared" / "reference" / "systems.md"
GOOD = {"net": "net.yaml", "base_lr": "0.1", "lr_policy": "fixed", "max_iter": "10"}


def solver_of(**fields):
    """The solver of some fields beside the ones that every solver needs, and its findings."""
    given = {key: value for key, value in {**GOOD, **fields}.items() if value is not None}
    findings = Findings()
    text = "".join(f"{key}: {value}\n" for key, value in given.items())
    return check_solver(read_string(text, "solver.yaml", findings), findings), list(findings)


def test_fields_have_caffes_numbers_and_defaults():
    """Section 1.6 of the reference tables; the fields that netdef leaves out are refused with their names."""
    if not SYSTEMS.exists():
        pytest.skip("the reference tables are not beside the project (../shared/reference)")
    text = SYSTEMS.read_text(encoding="utf-8")
    section = text[
        text.index("### 1.6 SolverParameter") : text.index("Learning-rate policies (it = iteration)")
    ]
    section = section.replace("exactly one of ", "")
    numbers = {name: int(number) for name, number in re.findall(r"(\w+)\*?(?: [^,;|#]*)? #(\d+)", section)}
    refused = {
        "net_param",
        "train_net",
        "train_net_param",
        "test_net",
        "test_net_param",
        "weights",
        "solver_type",
    }

    assert {name: field.number for name, field in SolverSpec.fields.items()} == {
        name: number for name, number in numbers.items() if name not in refused
    }
    for name in refused:
        _, (found,) = solver_of(**{name: "x"})
        assert found.code.id in ("ND007", "ND035")
        assert name in found.message


def test_defaults_are_caffes():
    """What a solver with the required fields alone means."""
    solver, findings = solver_of()

    assert findings == []
    assert {name: getattr(solver, name) for name in solver.fields if name not in GOOD} == {
        "train_state": None,
        "test_state": (),
        "type": "SGD",
        "gamma": 0.0,
        "power": 0.0,
        "stepsize": 0,
        "stepvalue": (),
        "iter_size": 1,
        "momentum": 0.0,
        "momentum2": 0.999,
        "rms_decay": 0.99,
        "delta": 1e-8,
        "weight_decay": 0.0,
        "regularization_type": "L2",
        "clip_gradients": -1.0,
        "test_iter": (),
        "test_interval": 0,
        "test_initialization": True,
        "test_compute_loss": False,
        "display": 0,
        "average_loss": 1,
        "debug_info": False,
        "snapshot": 0,
        "snapshot_prefix": "",
        "snapshot_diff": False,
        "snapshot_format": "BINARYPROTO",
        "snapshot_after_train": True,
        "random_seed": -1,
        "solver_mode": "GPU",
        "device_id": 0,
        "layer_wise_reduce": True,
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"lr_policy": "step", "gamma": "0.1", "stepsize": "5"},
        {"lr_policy": "exp", "gamma": "0.9"},
        {"lr_policy": "inv", "gamma": "0.1", "power": "0.75"},
        {"lr_policy": "multistep", "gamma": "0.1", "stepvalue": "[3, 5]"},
        {"lr_policy": "multistep", "gamma": "0.1", "stepvalue": "3"},
        {"lr_policy": "poly", "power": "1"},
        {"lr_policy": "sigmoid", "gamma": "0.1", "stepsize": "5"},
        {"type": "Adam", "momentum": "0.9"},
        {"type": "RMSProp", "rms_decay": "0.98"},
        {"type": "AdaGrad", "momentum": "0"},
        {"train_state": "{stage: a}", "test_state": "[{}, {level: 1}]", "test_iter": "[1, 2]"},
        {"base_lr": "0", "max_iter": "0"},
        {"solver_mode": "CPU", "device_id": "1", "snapshot_prefix": "a/b", "snapshot_after_train": "false"},
        {"debug_info": "true", "layer_wise_reduce": "false", "test_compute_loss": "true"},
    ],
    ids=lambda fields: ", ".join(fields),
)
def test_what_caffe_accepts_has_no_finding(fields):
    """Every policy with its parameters, and fields without effect."""
    _, findings = solver_of(**fields)

    assert findings == []


@pytest.mark.parametrize(
    ("fields", "code", "place", "words"),
    [
        ({"net": None}, "ND051", None, "names no net"),
        ({"base_lr": None}, "ND009", None, "needs base_lr"),
        ({"lr_policy": None}, "ND009", None, "needs lr_policy"),
        ({"max_iter": None}, "ND009", None, "needs max_iter"),
        ({"base_rl": "3"}, "ND002", "base_rl", "did you mean base_lr?"),
        ({"base_lr": "-1"}, "ND008", "base_lr", "at least 0"),
        ({"iter_size": "0"}, "ND008", "iter_size", "at least 1"),
        ({"test_iter": "0"}, "ND008", "test_iter", "at least 1"),
        ({"average_loss": "0"}, "ND008", "average_loss", "at least 1"),
        ({"momentum": "1"}, "ND008", "momentum", "less than 1"),
        ({"type": "Adma"}, "ND008", "type", "AdaDelta or Adam"),
        ({"lr_policy": "stair"}, "ND008", "lr_policy", "fixed, step"),
        ({"lr_policy": "step", "gamma": "0.1"}, "ND052", "lr_policy", "needs stepsize"),
        ({"lr_policy": "inv", "gamma": "0.1"}, "ND052", "lr_policy", "needs power"),
        ({"lr_policy": "multistep", "gamma": "0.1"}, "ND052", "lr_policy", "needs stepvalue"),
        ({"lr_policy": "step", "gamma": "0.1", "stepsize": "0"}, "ND008", "stepsize", "at least 1"),
        ({"gamma": "0.1"}, "ND036", "gamma", "has no effect with lr_policy: fixed"),
        (
            {"lr_policy": "poly", "power": "1", "stepsize": "3"},
            "ND036",
            "stepsize",
            "lr_policy: step or sigmoid",
        ),
        ({"lr_policy": "multistep", "gamma": "1", "stepvalue": "[3, 3]"}, "ND053", "stepvalue", "rising"),
        ({"type": "AdaGrad", "momentum": "0.9"}, "ND054", "momentum", "AdaGrad has no momentum"),
        ({"type": "RMSProp", "momentum": "0.9"}, "ND054", "momentum", "RMSProp has no momentum"),
        ({"test_state": "[{}, {}]", "test_iter": "3"}, "ND032", "test_iter", "1 entries for 2 test states"),
        ({"solver_type": "ADAM"}, "ND007", "solver_type", "type: SGD"),
        ({"weights": "a.caffemodel"}, "ND035", "weights", "--weights"),
        ({"snapshot_format": "HDF5"}, "ND035", "snapshot_format", ".npz"),
        ({"snapshot_diff": "true"}, "ND035", "snapshot_diff", "no gradients"),
    ],
)
def test_a_fault_of_a_solver_has_one_finding(fields, code, place, words):
    """With code, line and words."""
    _, (found,) = solver_of(**fields)

    assert found.code.id == code
    assert words in f"{found.message} ({found.hint})"
    if place:
        given = [key for key, value in {**GOOD, **fields}.items() if value is not None]
        assert found.span.line == given.index(place) + 1
    if code == "ND053":
        assert found.span.column == len("stepvalue: [3, ") + 1


def test_a_solver_inside_a_nets_file_trains_that_net():
    """It names no net of its own."""
    findings = Findings()
    text = "layer: []\nsolver:\n  base_lr: 0.1\n  lr_policy: fixed\n  max_iter: 3\n"
    spec = check_net(read_string(text, "net.yaml", findings), findings)

    assert list(findings) == []
    assert spec.solver.base_lr == 0.1
    assert spec.solver.span("max_iter").line == 5

    check_net(read_string(text + "  net: other.yaml\n", "net.yaml", findings), findings)
    assert [(d.code.id, d.span.line) for d in findings] == [("ND051", 6)]

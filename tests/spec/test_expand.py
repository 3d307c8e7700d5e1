"""Which layers a state has, and the bottoms and tops that were left out."""

import itertools
import json
from pathlib import Path

import prototxt
import pytest

from netdef.diag import Findings
from netdef.spec.check import check_net
from netdef.spec.expand import expand, is_fed
from netdef.spec.net import NetState
from netdef.spec.read import read_string

STATES = Path(__file__).parents[3] / "shared" / "conformance" / "caffe" / "dev" / "states" / "index.json"


def layers_of(text, **state):
    """The expanded layers of a net's text."""
    findings = Findings()
    spec = check_net(read_string(text, "net.yaml", findings), findings)
    assert list(findings) == []
    return expand(spec, NetState(**state))


def names(text, **state):
    """The names of the layers that are present."""
    return [layer.name for layer in layers_of(text, **state)]


def recorded():
    return json.loads(STATES.read_text())["cases"] if STATES.exists() else {"none": {}}


@pytest.mark.parametrize("name", sorted(recorded()))
def test_a_recorded_state_has_caffes_layers(name):
    """The names of the layers that Caffe keeps; ReLU stands for types that netdef does not have."""
    if not STATES.exists():
        pytest.skip("the recorded states are not beside the project (../shared/conformance)")
    case = recorded()[name]
    net = prototxt.net(case["net"])
    kept = ("name", "bottom", "top", "include", "exclude")
    for number, layer in enumerate(net["layer"]):
        if layer["type"] != "Input":
            net["layer"][number] = {"type": "ReLU", **{key: layer[key] for key in kept if key in layer}}

    found = names(json.dumps(net), phase=case["phase"], level=case["level"], stage=case["stages"])

    assert found == case["layers"]


RULES = {
    "always": (lambda phase, level, stages: True, ""),
    "phase": (lambda phase, level, stages: phase == "TEST", "phase: TEST"),
    "least": (lambda phase, level, stages: level >= 1, "min_level: 1"),
    "most": (lambda phase, level, stages: level <= 0, "max_level: 0"),
    "stages": (lambda phase, level, stages: {"a", "b"} <= set(stages), "stage: [a, b]"),
    "none": (lambda phase, level, stages: not {"a", "b"} & set(stages), "not_stage: [a, b]"),
    "both": (lambda phase, level, stages: phase == "TRAIN" and "a" in stages, "phase: TRAIN, stage: a"),
}


@pytest.mark.parametrize(("first", "second"), [*itertools.product(RULES, RULES)])
def test_any_rule_that_is_met_decides(first, second):
    """A layer is there if any include rule is met, and not there if any exclude rule is, in every state."""
    rules = f"[{{{RULES[first][1]}}}, {{{RULES[second][1]}}}]"
    text = (
        "layer:\n  - {name: data, type: Input, top: data}\n"
        f"  - {{name: in, type: ReLU, include: {rules}}}\n  - {{name: out, type: ReLU, exclude: {rules}}}\n"
    )
    for phase, level, stages in itertools.product(
        ("TRAIN", "TEST"), (-1, 0, 1), ([], ["a"], ["a", "b"], ["c"])
    ):
        met = RULES[first][0](phase, level, stages) or RULES[second][0](phase, level, stages)
        expected = ["data", "in"] if met else ["data", "out"]
        assert names(text, phase=phase, level=level, stage=stages) == expected


def test_the_files_own_state_adds_stages_only():
    """Phase and level are the caller's."""
    text = (
        "state: {phase: TRAIN, level: 3, stage: a}\nlayer:\n  - {name: data, type: Input}\n"
        "  - {name: stage, type: ReLU, include: {stage: [a, b]}}\n"
        "  - {name: level, type: ReLU, include: {min_level: 1}}\n"
        "  - {name: train, type: ReLU, include: {phase: TRAIN}}\n"
    )

    assert names(text, phase="TEST", stage=["b"]) == ["data", "stage"]


def test_left_out_blobs_are_filled_in():
    """A bottom is the first top of the layer before it among those present, a top the layer's name."""
    text = (
        "layer:\n  - {name: data, type: Input, top: [x, y]}\n"
        "  - {name: train, type: ReLU, include: {phase: TRAIN}}\n"
        "  - {name: test, type: TanH, include: {phase: TEST}}\n"
        "  - {name: last, type: Sigmoid}\n"
        "  - {name: other, type: Input}\n"
    )

    for phase, between in (("TRAIN", "train"), ("TEST", "test")):
        layers = layers_of(text, phase=phase)
        assert [(layer.bottom, layer.top) for layer in layers] == [
            ((), ("x", "y")),
            (("x",), (between,)),
            ((between,), ("last",)),
            ((), ("other",)),
        ]
        assert not layers[2].has("bottom")


def test_a_bottom_whose_layer_is_absent_is_still_named():
    """So that it can be reported that the blob belongs to another phase."""
    text = "layer:\n  - {name: data, type: Input, include: {phase: TRAIN}}\n  - {name: relu, type: ReLU}\n"

    (layer,) = layers_of(text, phase="TEST")
    assert layer.bottom == ("data",)


def test_the_spec_itself_stays_as_it_was():
    """Expanding for one state does not change the net of the next one."""
    findings = Findings()
    spec = check_net(
        read_string("layer:\n  - {type: Input}\n  - {type: ReLU}\n", "net.yaml", findings), findings
    )
    before = [(layer.bottom, layer.top) for layer in spec.layer]

    expand(spec, NetState(phase="TRAIN"))

    assert [(layer.bottom, layer.top) for layer in spec.layer] == before == [((), ()), ((), ())]


def test_noise_does_not_feed_a_net():
    """What an operator makes of nothing is no data: a TEST phase with noise alone is not used."""
    noise = {"name": "noise", "type": "normal", "normal_param": {"shape": [2, 3]}}
    data = {"name": "data", "type": "Input", "include": {"phase": "TRAIN"}}
    findings = Findings()
    spec = check_net(read_string(json.dumps({"layer": [data, noise]}), "net.yaml", findings), findings)

    assert list(findings) == []
    assert is_fed(spec, NetState(phase="TRAIN"))
    assert not is_fed(spec, NetState(phase="TEST"))

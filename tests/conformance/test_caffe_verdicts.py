"""Nets that Caffe 1.0 refuses or accepts, as recorded: netdef says the same."""

import json
from pathlib import Path

import builds
import prototxt
import pytest

from netdef.spec.layers import LAYERS

ROOT = Path(__file__).parents[3] / "shared" / "conformance" / "caffe" / "dev"

#: where netdef differs on purpose, with the reason
INTENDED = {
    "bottom_before_top": "layers may stand in any order",
    "enum_string": "the text format's own rule, for its reader",
    "int_overflow": "the text format's own rule, for its reader",
    "missing_quotes": "the text format's own rule, for its reader",
    "softmaxloss_two_tops": "Caffe cannot show the probabilities by an accident of its code",
    "softmaxloss_two_tops_two_weights": "Caffe cannot show the probabilities by an accident of its code",
    "extra_unused_param": "a block of another layer type is reported, since it has no effect",
    "input_no_shape": "a net whose input has no shape cannot be checked",
    "loss_without_top": "a top that is left out has the layer's name",
    "v0_layers": "the old format, for the importer",
}


def verdict_cases(group):
    """Those of `cases` that netdef means to judge as Caffe does."""
    return sorted(cases(group).keys() - INTENDED.keys())


def cases(group):
    """The recorded cases of a group whose layers netdef has."""
    path = ROOT / group / "index.json"
    if not path.exists():
        return {"none": {}}
    found = {}
    for name, case in json.loads(path.read_text())["cases"].items():
        try:
            types = {layer.get("type") for layer in prototxt.net(case["net"])["layer"]}
        except (AssertionError, IndexError, AttributeError, TypeError):
            continue  # not well-formed, which is for the prototxt reader to say
        if types <= LAYERS.keys():
            found[name] = case
    return found


@pytest.mark.parametrize("name", verdict_cases("errors"))
def test_what_caffe_refuses_is_refused(name):
    """A net that dies in Caffe's parser or setup has an error here, and no exception."""
    if not ROOT.exists():
        pytest.skip("the recorded nets are not beside the project (../shared/conformance)")
    case = cases("errors")[name]
    if case["stage"] not in ("parse", "setup"):
        pytest.skip("Caffe refuses it only when it runs")
    _, findings = builds.load(prototxt.net(case["net"]), case["phase"])

    assert [str(finding) for finding in findings if finding.severity == "error"], case["fatal"]


@pytest.mark.parametrize("name", verdict_cases("accepted"))
def test_what_caffe_accepts_has_caffes_shapes(name):
    """Blobs and parameters have the recorded shapes."""
    if not ROOT.exists():
        pytest.skip("the recorded nets are not beside the project (../shared/conformance)")
    case = cases("accepted")[name]
    loaded = builds.build(prototxt.net(case["net"]), case["phase"])

    shapes = {blob: list(loaded.shapes[entry]) for blob, entry in loaded.net.blobs.items()}
    for blob, shape in case["blobs"].items():
        if "_split_" not in blob:
            assert shapes[blob] == shape, blob


@pytest.mark.parametrize("name", sorted(cases("states")))
def test_a_state_selects_the_layers_that_caffe_selects(name):
    """Phase, level and stages against include and exclude rules."""
    if not ROOT.exists():
        pytest.skip("the recorded nets are not beside the project (../shared/conformance)")
    case = cases("states")[name]
    loaded, findings = builds.load(
        prototxt.net(case["net"]), case["phase"], level=case.get("level", 0), stage=case.get("stages", ())
    )
    if case.get("fatal"):
        assert any(finding.severity == "error" for finding in findings)
        return
    assert [built.layer.name for built in loaded.net.layers] == case["layers"]

"""Nets from plain data, through the same stages as a file."""

import json

from netdef.diag import Findings
from netdef.passes.pipeline import build_net
from netdef.spec.check import check_net
from netdef.spec.net import NetState
from netdef.spec.overrides import substitute
from netdef.spec.read import read_string


def load(data, phase="TRAIN", level=0, stage=()):
    """The net of some data in one state, and its findings as a list."""
    findings = Findings()
    text = data if isinstance(data, str) else json.dumps(data, indent=1)
    document = read_string(text, "net.yaml", findings)
    if document is None:
        return None, list(findings)
    spec = check_net(substitute(document, (), findings), findings)
    if spec is None:
        return None, list(findings)
    return build_net(spec, NetState(phase=phase, level=level, stage=list(stage)), findings), list(findings)


def build(data, phase="TRAIN"):
    """A net without findings of error severity."""
    loaded, findings = load(data, phase)
    errors = [str(d) for d in findings if d.severity == "error"]
    assert not errors, errors
    return loaded

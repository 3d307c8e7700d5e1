"""The findings of one file: every stage from its text to its shapes, in every state that it is used in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from netdef.diag import Diagnostic, Findings
from netdef.graph import codes
from netdef.passes.agree import check_agreement
from netdef.passes.pipeline import Loaded, Opened, build_net, open_spec
from netdef.spec.expand import is_fed, present
from netdef.spec.layers.base import Layer
from netdef.spec.net import NetSpec, NetState
from netdef.train.objective import check_objective


class Checked(NamedTuple):
    """The findings of a file, and its text for showing them."""

    findings: list[Diagnostic]
    text: str


def check_file(path: str, named: bool = True) -> Checked:
    """Check a net or a solver; a solver's net is checked with it, where it is another file.

    A file that was not named (found in a folder) and is no spec has no findings.
    """
    findings = Findings()
    opened = open_spec(path, findings, named=named)
    if opened is None:
        return Checked(list(findings), "")
    if opened.net is not None:
        built = check_net_spec(opened.net, _states(opened), findings)
        if opened.solver is not None and not findings.errors:
            check_objective(built[0], findings)
    return Checked(list(findings), opened.document.text)


def _states(opened: Opened) -> list[NetState]:
    """Those of the solver's nets, or both phases where there is no solver; no test without data."""
    assert opened.net is not None
    solver = opened.solver
    if solver is None:
        phases = [NetState(phase="TRAIN"), NetState(phase="TEST")]
        return [phase for phase in phases if is_fed(opened.net, phase)] or phases
    tests = [state for state in solver.test_net_states() if is_fed(opened.net, state)]
    return [solver.train_net_state(), *tests]


def check_net_spec(spec: NetSpec, states: Sequence[NetState], findings: Findings) -> list[Loaded]:
    """Build the net of each state; a fault that several have is reported once.

    States with the same layers have the same shapes, so that one of them stands for all.  Where all can be
    built, the blobs that they share are compared.
    """
    seen = {(diagnostic.code, diagnostic.span) for diagnostic in findings}
    any_layer = False
    checked: list[list[Layer]] = []
    built = []
    for state in states:
        here = present(spec, state)
        if here in checked:
            continue
        checked.append(here)
        more = Findings()
        built.append(build_net(spec, state, more))
        any_layer = any_layer or bool(here)
        for diagnostic in more:
            if (diagnostic.code, diagnostic.span) not in seen:
                seen.add((diagnostic.code, diagnostic.span))
                findings.extend([diagnostic])
    if not findings.errors:
        check_agreement([(loaded.net, loaded.shapes) for loaded in built], findings)
    if not any_layer and not findings.errors:
        message = "no layer is present in any state that the net is used in"
        findings.add(codes.EMPTY_NET, spec.span("layer"), message, "look at the include rules")
    return built

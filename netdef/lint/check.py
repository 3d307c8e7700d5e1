"""The findings of one file: every stage from its text to its shapes, in both phases."""

from __future__ import annotations

from typing import NamedTuple

from netdef.diag import Diagnostic, Findings
from netdef.graph import codes
from netdef.passes.pipeline import build_net, open_spec
from netdef.spec.net import NetSpec, NetState
from netdef.spec.solver import SolverSpec

PHASES = ("TRAIN", "TEST")


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
    if isinstance(opened.spec, NetSpec):
        check_net_spec(opened.spec, findings)
    elif isinstance(opened.spec, SolverSpec) and opened.net is not None:
        check_net_spec(opened.net, findings)
    return Checked(list(findings), opened.document.text)


def check_net_spec(spec: NetSpec, findings: Findings) -> None:
    """Build the net of each phase; a fault that both phases have is reported once."""
    seen = {(diagnostic.code, diagnostic.span) for diagnostic in findings}
    present = False
    for phase in PHASES:
        more = Findings()
        loaded = build_net(spec, NetState(phase=phase), more)
        present = present or bool(loaded.net.layers) or bool(more.errors)
        for diagnostic in more:
            if (diagnostic.code, diagnostic.span) not in seen:
                seen.add((diagnostic.code, diagnostic.span))
                findings.extend([diagnostic])
    if not present and not findings.errors:
        message = "no layer is present in the TRAIN or the TEST phase"
        findings.add(codes.EMPTY_NET, spec.span("layer"), message, "look at the include rules")

"""Whether a net can be trained at all; also what lint asks, so that nothing here loads numpy."""

from __future__ import annotations

from netdef.diag import Findings
from netdef.passes.pipeline import Loaded
from netdef.train import codes


def check_objective(train: Loaded, findings: Findings) -> None:
    """Report a TRAIN net without a loss."""
    if not train.net.losses:
        message, hint = "the net has no loss in the TRAIN phase", "add a loss layer such as SoftmaxWithLoss"
        findings.add(codes.NO_LOSS, train.spec.span("layer"), message, hint)

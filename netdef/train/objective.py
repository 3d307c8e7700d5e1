"""Whether a net can be trained at all; also what lint asks, so that nothing here loads numpy."""

from __future__ import annotations

from netdef.diag import Findings
from netdef.graph.build import Net
from netdef.passes.pipeline import Loaded
from netdef.train import codes


def check_objective(train: Loaded, findings: Findings) -> None:
    """Report a TRAIN net without a loss."""
    if not train.net.losses:
        message, hint = "the net has no loss in the TRAIN phase", "add a loss layer such as SoftmaxWithLoss"
        findings.add(codes.NO_LOSS, train.spec.span("layer"), message, hint)


def has_value(net: Net) -> bool:
    """Whether the objective of a net is a number: some loss is none of those that make their own gradient."""
    return any(loss.has_value for loss in net.losses)


def without_value(net: Net) -> list[str]:
    """The tops of losses that make their own gradient, which no finite difference measures."""
    return [loss.blob for loss in net.losses if not loss.has_value]

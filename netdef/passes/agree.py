"""Nets of several phases share their blobs by name; this compares the shapes that each gives them."""

from __future__ import annotations

from collections.abc import Iterable

from netdef.diag import Findings, Related
from netdef.graph.build import BuiltLayer, Net
from netdef.graph.node import Entry
from netdef.ops.shapes import Full, complete, show
from netdef.passes import codes
from netdef.passes.infer import Known


def check_agreement(nets: Iterable[tuple[Net, Known]], findings: Findings) -> None:
    """Report blobs whose shape in one net is not that in a net before it; shapes not known are passed over.

    One finding for each layer: its other blobs most often differ for the same reason.
    """
    first: dict[str, tuple[Full, BuiltLayer, str]] = {}
    for net, known in nets:
        for built in net.layers:
            for param in built.params:
                shape = known.get(Entry(param.node, 0))
                if shape is None or not complete(shape):
                    continue
                before, owner, phase = first.setdefault(param.node.name, (shape, built, net.phase))
                if shape == before:
                    continue
                span, other = built.layer.span("name"), owner.layer.span("name")
                message = (
                    f"{built.layer.name}: {param.node.name} is {show(shape)} in the {net.phase} phase, but "
                    f"{show(before)} in the {phase} phase"
                )
                hint = "give both phases inputs of the same size, such as the same crop_size"
                related = [] if other == span else [Related(other, f"{show(before)} here")]
                findings.add(codes.PHASES_DISAGREE, span, message, hint, related)
                break

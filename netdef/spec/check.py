"""Documents into typed nets and solvers, with every finding at once."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal

from netdef.diag import Findings
from netdef.ops.fields import BadValue
from netdef.spec import codes
from netdef.spec.document import Document
from netdef.spec.layers.base import Layer
from netdef.spec.message import check_message, finish, replace
from netdef.spec.net import NetSpec, Opaque
from netdef.spec.solver import SolverSpec

#: keys that only a net has, and keys that only a solver has
_OF_A_NET = {"layer", "layers", "solver", "input", "force_backward"}
_OF_A_SOLVER = {
    "net",
    "train_net",
    "net_param",
    "base_lr",
    "lr_policy",
    "max_iter",
    "solver_mode",
    "test_iter",
}


def kind_of(document: Document) -> Literal["net", "solver"] | None:
    """What a file is by its keys; None for one that is neither, such as another tool's YAML."""
    keys = document.data.keys() if isinstance(document.data, dict) else set()
    if keys & _OF_A_NET:
        return "net"
    return "solver" if keys & _OF_A_SOLVER else None


def check_net(document: Document, findings: Findings) -> NetSpec | None:
    """The typed net of a document whose variables are replaced; None only where it holds no mapping.

    A layer with an error becomes `Opaque`, so that nothing that hangs on it is reported as well.  Layers
    without a name get one as MXNet's are named, `relu0`, the same in every phase.
    """
    spec = check_message(NetSpec, document.data, document, (), findings)
    if spec is None:
        return None
    layers = _named([*_old_forms(document), *spec.layer])
    return replace(spec, layer=tuple(_with_bottoms(layers, findings)))


def check_solver(document: Document, findings: Findings) -> SolverSpec | None:
    """The typed solver of a solver file whose variables are replaced; None only where it holds no mapping."""
    return check_message(SolverSpec, document.data, document, (), findings)


def _old_forms(document: Document) -> Iterator[Layer]:
    """What stands for the blobs of Caffe's older `input` and `layers`, which have been refused."""
    old = document.data.get("layers", ())
    entries = old if isinstance(old, list) else [old]
    tops = [entry.get("top", ()) for entry in entries if isinstance(entry, dict)]
    blobs: dict[str, None] = {}
    for names in (document.data.get("input", ()), *tops):
        with contextlib.suppress(BadValue):
            blobs.update(dict.fromkeys(Layer.fields["top"].parse(names)))
    if blobs:
        yield finish(Opaque, {"top": tuple(blobs)}, document, ())


def _with_bottoms(layers: Iterable[Layer], findings: Findings) -> Iterator[Layer]:
    """The layers, those that read and have no layer before them reported."""
    first = True
    for layer in layers:
        if first and layer.bottoms[0] and not layer.has("bottom"):
            told = f"{layer.name} has no bottom, and no layer before it to read from"
            findings.add(
                codes.WRONG_ARITY, layer.span("name"), told, "give bottom, or put a data layer first"
            )
            layer = Opaque.in_place_of(layer)
        first = first and layer.has("top") and not layer.top
        yield layer


def _named(layers: Iterable[Layer]) -> Iterator[Layer]:
    """The layers, each with a name."""
    layers = list(layers)
    taken = {layer.name for layer in layers}
    numbers: Counter[str] = Counter()
    for layer in layers:
        if layer.name:
            yield layer
            continue
        stem = (layer.type or "layer").lower()
        while f"{stem}{numbers[stem]}" in taken:
            numbers[stem] += 1
        yield replace(layer, name=f"{stem}{numbers[stem]}")
        numbers[stem] += 1

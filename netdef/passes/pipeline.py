"""Every stage from a file to a net with shapes: what all commands start with."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from netdef.diag import Findings, UsageError, did_you_mean, whole_file
from netdef.graph.build import Net, build
from netdef.ops.shapes import Shape
from netdef.passes.infer import Known
from netdef.passes.net import infer_net
from netdef.spec import codes
from netdef.spec.check import check_net, check_solver, kind_of
from netdef.spec.document import Document
from netdef.spec.expand import expand
from netdef.spec.net import NetSpec, NetState
from netdef.spec.overrides import substitute
from netdef.spec.read import read
from netdef.spec.solver import SolverSpec
from netdef.spec.variables import VARIABLES


class Opened(NamedTuple):
    """A spec file: a net, or a solver with the net that it trains."""

    document: Document
    spec: NetSpec | SolverSpec | None
    #: the net that is trained: that of the file itself or the one that the solver names
    net: NetSpec | None

    @property
    def solver(self) -> SolverSpec | None:
        """The solver: the file itself, or the one inside a net's file."""
        return self.spec.solver if isinstance(self.spec, NetSpec) else self.spec


class Loaded(NamedTuple):
    """A net of one phase, from its spec to its shapes."""

    spec: NetSpec
    net: Net
    shapes: Known


def open_spec(
    path: str, findings: Findings, overrides: Sequence[str] = (), *, named: bool = True
) -> Opened | None:
    """Read and check a net or a solver; a solver's net, named by its `net` field, is opened with it.

    `overrides` are `path=value` texts: solver fields go to the solver, `variables` to both files, the rest to
    the net.  Returns None where nothing could be read, and without a finding for a file that nobody named and
    that is no spec.  Raises `UsageError` for an override that is none, or of what neither file has.
    """
    if path.endswith((".prototxt", ".caffemodel")) and os.path.exists(path):
        message, hint = (
            "Caffe's own formats are not read",
            "write YAML: blocks and fields have the same names",
        )
        findings.add(codes.NOT_SUPPORTED, whole_file(path), message, hint)
        return None
    document = read(path, findings)
    if document is None:
        return None
    kind = kind_of(document)
    if kind is None and not named:
        return None
    if kind != "solver":
        _require_known(overrides, document)
        inside = [f"solver.{text}" if _is_for_solver(text) else text for text in overrides]
        net = check_net(substitute(document, inside, findings), findings)
        return Opened(document, net, net)
    for_solver = [text for text in overrides if _is_for_solver(text) or _first(text) == VARIABLES]
    solver = check_solver(substitute(document, for_solver, findings), findings)
    named_net = _read_net(solver, findings)
    if named_net is None:
        return Opened(document, solver, None)
    _require_known(overrides, document, named_net)
    for_net = [text for text in overrides if not _is_for_solver(text)]
    return Opened(document, solver, check_net(substitute(named_net, for_net, findings), findings))


def _read_net(solver: SolverSpec | None, findings: Findings) -> Document | None:
    """The document that a solver names, relative to the solver's own folder."""
    if solver is None or not solver.net:
        return None
    assert solver.document is not None, "a checked solver comes from a document"
    path = os.path.join(os.path.dirname(solver.document.file), solver.net)
    if not os.path.exists(path):
        message, hint = f"net: there is no file {path}", "the path is relative to the solver's folder"
        findings.add(codes.NET_MISSING, solver.span("net"), message, hint)
        return None
    document = read(path, findings)
    if document is not None and kind_of(document) == "solver":
        message = f"net: {path} holds a solver, not a net"
        findings.add(codes.NOT_ONE_NET, solver.span("net"), message, "name the file that holds the layers")
        return None
    return document


def _is_for_solver(override: str) -> bool:
    return _first(override) in SolverSpec.fields


def _first(override: str) -> str:
    """The first part of an override's path."""
    return override.partition("=")[0].partition(".")[0].strip()


def _require_known(overrides: Sequence[str], *documents: Document) -> None:
    """Raise `UsageError` for an override whose first part, or whose variable, no document knows."""
    variables: set[str] = set()
    for document in documents:
        declared = document.data.get(VARIABLES)
        variables.update(map(str, declared) if isinstance(declared, dict) else ())
    fields = {VARIABLES, *SolverSpec.fields, *NetSpec.fields}
    for override in overrides:
        if "=" not in override:
            raise UsageError(f"--set {override}: there is no = in it; write PATH=VALUE, such as base_lr=0.1")
        first, _, rest = (part.strip() for part in override.partition("=")[0].partition("."))
        if first and first not in fields:
            hint = did_you_mean(first, fields) or "name a field of the net or of the solver"
            raise UsageError(f"--set {override}: there is no field {first}; {hint}")
        if first == VARIABLES and not rest:
            raise UsageError(f"--set {override}: name one variable, such as --set {VARIABLES}.width=32")
        if first == VARIABLES and rest not in variables:
            hint = did_you_mean(rest, variables) or "declare it under `variables` in the file"
            raise UsageError(f"--set {override}: there is no variable {rest}; {hint}")


def load_net(
    path: str,
    state: NetState,
    findings: Findings,
    overrides: Sequence[str] = (),
    given: Mapping[str, Shape] | None = None,
) -> Loaded | None:
    """The net of a file in one state, with shapes; that of a solver is the net it trains."""
    opened = open_spec(path, findings, overrides)
    if opened is None or opened.net is None:
        return None
    return build_net(opened.net, state, findings, given)


def build_net(
    spec: NetSpec, state: NetState, findings: Findings, given: Mapping[str, Shape] | None = None
) -> Loaded:
    """The net of one state, with shapes; `given` replaces the shapes of input blobs."""
    net = assemble(spec, state, findings)
    return Loaded(spec, net, infer_net(net, given or {}, findings))


def assemble(spec: NetSpec, state: NetState, findings: Findings) -> Net:
    """The net of one state without its shapes, for which the files of its data layers may be needed."""
    layers = expand(spec, state)
    here = {blob for layer in layers for blob in layer.top}
    elsewhere = {blob for layer in spec.layer for blob in layer.top} - here
    return build(spec.name, layers, state.phase, findings, elsewhere)

"""Nets: Caffe's NetParameter, whose layers are typed by their `type`."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Mapping
from typing import Any

from netdef.diag import Code, Findings, did_you_mean
from netdef.ops.fields import BadValue, Bool, Name, describe
from netdef.spec import codes
from netdef.spec.document import Document, Path
from netdef.spec.layers import CAFFE_ONLY, LAYERS
from netdef.spec.layers.base import Builder, Entry, Layer, NetState
from netdef.spec.layers.operators import block_owners, operator_layer, operator_names, spelled_otherwise
from netdef.spec.message import Message, Sub, check_message, finish, path_text
from netdef.spec.solver import SolverSpec

__all__ = ["NetSpec", "NetState", "Opaque"]

#: each parameter block and Caffe's layer types that have it
_OWNERS = {
    block: [name for name, layer in LAYERS.items() if block in layer.fields]
    for declared in LAYERS.values()
    for block in declared.fields.keys() - Layer.fields.keys()
}


class Opaque(Layer):
    """A layer with errors: its blobs are known, so that its readers are not blamed, but it is not built."""

    rules = ()
    bottoms = (0, None)
    tops = (0, None)

    @classmethod
    def in_place_of(cls, layer: Layer, blobs: Mapping[str, Any] | None = None) -> Opaque:
        """What stands for `layer`; `blobs` are a `bottom` and `top` that it does not have."""
        given = {name: getattr(layer, name) for name in Layer.fields if layer.has(name)}
        values = {**(blobs or {}), "name": layer.name, **given}
        return finish(cls, values, layer.document, layer.path)

    def lower(self, net: Builder) -> list[Entry]:
        return []


class _Layers(Sub):
    """The field `layer`: each entry is checked as the layer type that it names."""

    def check_one(self, value: Any, document: Document, path: Path, findings: Findings) -> Message | None:
        if not isinstance(value, dict):
            return check_message(Layer, value, document, path, findings)
        layer: Layer | None
        own = Findings()
        declaration = _declaration(value, document, path, own)
        if declaration is None:
            # The type has been reported, and the blocks are those of a type that is not known.
            rest = {key: item for key, item in value.items() if key != "type" and not key.endswith("_param")}
            layer = check_message(Opaque, {"type": "", **rest}, document, path, own)
        else:
            rest = _without_foreign_blocks(declaration, value, document, path, own)
            layer = check_message(declaration, rest, document, path, own)
        findings.extend(own)
        if layer is None or (layer.sound and declaration is not None):
            return layer
        return Opaque.in_place_of(layer, _misspelt_blobs(value))


def _declaration(
    data: dict[str, Any], document: Document, path: Path, findings: Findings
) -> type[Layer] | None:
    """The layer type that an entry names; None, where there is a finding, because it names none."""
    name = data.get("type")
    if document.is_broken((*path, "type")):
        return None
    if isinstance(name, str) and (declaration := LAYERS.get(name) or operator_layer(name)):
        return declaration
    where, place = path_text(path, document), document.value((*path, "type"))
    if name is None:
        hint = "`netdef layers` lists the layer types"
        findings.add(codes.MISSING_FIELD, document.nearest(path), f"{where} needs type", hint)
    elif not isinstance(name, str):
        hint = "give the name of a layer type"
        findings.add(codes.BAD_VALUE, place, f"{where}: type: {describe(name)} is no layer type", hint)
    else:
        findings.add(
            codes.UNKNOWN_TYPE, place, f"{where}: there is no layer type {describe(name)}", _type_hint(name)
        )
    return None


def _without_foreign_blocks(
    declaration: type[Layer], data: dict[str, Any], document: Document, path: Path, findings: Findings
) -> dict[str, Any]:
    """The entry without the parameter blocks of other layer types, which are reported."""
    foreign = {
        key: owners
        for key in data
        if key not in declaration.fields and (owners := _owners(key)) and data["type"] not in owners
    }
    for key, owners in foreign.items():
        told = f"{path_text(path, document)}: {key} is for {' and '.join(owners)}, not for {data['type']}"
        hint = "remove it, or change the type"
        findings.add(codes.FOREIGN_BLOCK, document.key((*path, key)), told, hint)
    return {key: value for key, value in data.items() if key not in foreign} if foreign else data


def _owners(block: Any) -> list[str]:
    """The layer types that have a parameter block of this name."""
    return [*_OWNERS.get(block, ()), *block_owners().get(block, ())]


def _type_hint(name: str) -> str:
    """What to do about a type that netdef does not have."""
    if name in ("Python", "Custom"):
        return "a net is data and cannot name code"
    if name in CAFFE_ONLY:
        fed = ", which feeds nets with ArrayData and IdxData" if name.endswith("Data") else ""
        other = spelled_otherwise(name)
        mxnets = f"; MXNet's operator {name} is written {other}" if other else ""
        return f"Caffe has it, but not this version of netdef{fed}{mxnets}"
    near = did_you_mean(name, [*operator_names(), *LAYERS])
    return near or "`netdef layers` lists the layer types, with --operators those that are MXNet's operators"


def _misspelt_blobs(data: dict[str, Any]) -> dict[str, Any]:
    """What an entry says under a misspelt `bottom` or `top`, as far as it can be used."""
    blobs: dict[str, Any] = {}
    for key in data.keys() - Layer.fields.keys():
        for near in difflib.get_close_matches(key.lower(), ("bottom", "top"), n=1):
            with contextlib.suppress(BadValue):
                blobs[near] = Layer.fields[near].parse(data[key])
    return blobs


class NetSpec(Message):
    """A net as its file describes it: every layer of every phase, level and stage."""

    name = Name("", "name of the net", number=1)
    force_backward = Bool(False, "gradients of the inputs, too; accepted, without effect", number=5)
    state = Sub(
        NetState, "stages that are always set; phase and level are the command's", number=6, optional=True
    )
    debug_info = Bool(False, "Caffe's extra output; accepted, without effect", number=7)
    layer = _Layers(Layer, "the layers, in any order", number=100, repeated=True)
    solver = Sub(SolverSpec, "how the net is trained", optional=True)

    @classmethod
    def refusal(cls, key: str) -> tuple[Code, str]:
        if key == "layers":
            return codes.DEPRECATED_FORM, "write `layer`, with types such as InnerProduct, not INNER_PRODUCT"
        if key in ("input", "input_dim", "input_shape"):
            hint = "write a layer {name: input, type: Input, top: data, input_param: {shape: ...}}"
            return codes.DEPRECATED_FORM, hint
        if key in SolverSpec.fields:
            return codes.UNKNOWN_KEY, "put it into a `solver` block"
        return super().refusal(key)

"""`netdef layers`: the layer types and their fields, from the declarations."""

from __future__ import annotations

import inspect

import click

from netdef.diag import did_you_mean
from netdef.ops.fields import REQUIRED, Enum, Field
from netdef.spec.layers import LAYERS
from netdef.spec.layers.base import Layer
from netdef.spec.message import Message, Sub


@click.command()
@click.argument("type", required=False)
def layers(type: str | None) -> None:
    """List the layer types; with TYPE describe its fields, defaults and semantics."""
    if type is None:
        width = max(map(len, LAYERS))
        for name, layer in LAYERS.items():
            click.echo(f"{name:{width}}  {summary(layer)}")
        return
    by_folded = {name.lower(): layer for name, layer in LAYERS.items()}
    layer_type = by_folded.get(type.lower())
    if layer_type is None:
        raise click.UsageError(
            f"there is no layer type {type}; {did_you_mean(type, LAYERS) or '`netdef layers` lists them'}"
        )
    click.echo(describe(layer_type))


def summary(layer: type[Layer]) -> str:
    """The first sentence of a layer's description."""
    return inspect.cleandoc(layer.__doc__ or "").splitlines()[0]


def describe(layer: type[Layer]) -> str:
    """A layer's description, arity and the fields of its own blocks."""
    name = next(known for known, declared in LAYERS.items() if declared is layer)
    parts = [f"{name}\n\n{inspect.cleandoc(layer.__doc__ or '')}"]
    parts.append(
        f"bottoms: {_arity(layer.bottoms)}   tops: {_arity(layer.tops)}   learnable blobs: {layer.blobs}"
    )
    own = {key: field for key, field in layer.fields.items() if key not in Layer.fields}
    for key, field in own.items():
        parts.append("\n".join([f"{key}:", *_fields(field, "  ")]))
    return "\n\n".join(parts)


def _arity(bounds: tuple[int, int | None]) -> str:
    least, most = bounds
    if most is None:
        return f"{least} or more"
    return str(least) if least == most else f"{least} to {most}"


def _fields(field: Field, indent: str) -> list[str]:
    if not isinstance(field, Sub):
        return [f"{indent}{_line(field)}"]
    return [line for inner in field.message.fields.values() for line in _lines(inner, indent)]


def _lines(field: Field, indent: str) -> list[str]:
    lines = [f"{indent}{_line(field)}"]
    if isinstance(field, Sub) and issubclass(field.message, Message):
        lines += [f"{indent}  {_line(inner)}" for inner in field.message.fields.values()]
    return lines


def _line(field: Field) -> str:
    kind = " | ".join(field.choices) if isinstance(field, Enum) else field.kind
    if field.repeated:
        kind = f"list of {kind}"
    if field.default is REQUIRED:
        default = ", required"
    elif field.default in (None, ()):
        default = ""
    else:
        default = (
            f", default {str(field.default).lower() if isinstance(field.default, bool) else field.default}"
        )
    return f"{field.name}: {kind}{default}" + (f"  # {field.help}" if field.help else "")

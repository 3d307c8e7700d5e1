"""`netdef layers`: the layer types and their fields, from the declarations."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping

import click

from netdef.diag import did_you_mean
from netdef.ops.fields import REQUIRED, Enum, Field
from netdef.spec.layers import LAYERS
from netdef.spec.layers.base import Layer
from netdef.spec.layers.operators import OperatorLayer, describe_inputs, operator_layer, operator_names
from netdef.spec.message import Message, Sub


@click.command()
@click.argument("type", required=False)
@click.option("--operators", is_flag=True, help="List MXNet's operators that are layer types as well.")
def layers(type: str | None, operators: bool) -> None:
    """List the layer types; with TYPE describe its fields, defaults and semantics."""
    if type is not None:
        click.echo(page(type))
    elif operators:
        list_operators()
    else:
        width = max(map(len, LAYERS))
        for name, layer in LAYERS.items():
            click.echo(f"{name:{width}}  {summary(layer)}")
        click.echo(f"\nand {len(operator_names())} operators of MXNet's: netdef layers --operators")


def list_operators() -> None:
    """Every operator under the title of its family."""
    families: dict[str, list[type[OperatorLayer]]] = {}
    for name in operator_names():
        layer = operator_layer(name)
        assert layer is not None, "every name has an operator"
        title = inspect.cleandoc(sys.modules[layer.operator.__module__].__doc__ or "").splitlines()[0]
        families.setdefault(title, []).append(layer)
    width = max(map(len, operator_names()))
    parts = []
    for title, members in families.items():
        rows = [f"  {layer.__name__:{width}}  {summary(layer)}" for layer in members]
        parts.append("\n".join([title, *rows]))
    click.echo("\n\n".join(parts))


def page(type: str) -> str:
    """The description of a layer type, whose name may be written in any case where that is one type's."""
    if layer := LAYERS.get(type) or operator_layer(type):
        return describe(type, layer)
    names = [*operator_names(), *LAYERS]
    folded: Mapping[str, str] = {name.lower(): name for name in names}
    if type.lower() in folded:
        return page(folded[type.lower()])
    raise click.UsageError(
        f"there is no layer type {type}; {did_you_mean(type, names) or '`netdef layers` lists them'}"
    )


def summary(layer: type[Layer]) -> str:
    """The first sentence of a layer's description."""
    return inspect.cleandoc(layer.__doc__ or "").splitlines()[0]


def describe(name: str, layer: type[Layer]) -> str:
    """A layer's description, arity and the fields of its own blocks."""
    parts = [f"{name}\n\n{inspect.cleandoc(layer.__doc__ or '')}"]
    if issubclass(layer, OperatorLayer):
        parts.append(f"bottoms: {describe_inputs(layer)}")
        if layer.own_gradient:
            parts.append("A loss that makes its own gradient: it has no value, and heeds no loss_weight.")
    else:
        arity = f"bottoms: {_arity(layer.bottoms)}   tops: {_arity(layer.tops)}"
        parts.append(f"{arity}   learnable blobs: {layer.blobs}")
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

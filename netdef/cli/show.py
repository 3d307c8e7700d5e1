"""`netdef show`: a stage on the way from the file to the plan."""

from __future__ import annotations

import json
from typing import Any

import click

from netdef.cli import options
from netdef.cli.threads import cores
from netdef.diag import Findings
from netdef.graph.node import topological
from netdef.ops.shapes import show as show_shape
from netdef.passes.pipeline import Loaded, load_net
from netdef.spec.message import Message

STAGES = ("spec", "expanded", "graph", "shapes", "plan")


@click.command()
@click.argument("file")
@click.option(
    "--stage", "what", type=click.Choice(STAGES), default="expanded", show_default=True, help="What to print."
)
@click.option(
    "--phase", type=click.Choice(["TRAIN", "TEST"], case_sensitive=False), default="TRAIN", show_default=True
)
@click.option("--level", default=0, show_default=True, help="The level of the net's state.")
@click.option("--state-stage", "stages", multiple=True, help="A stage of the net's state; repeatable.")
@options.overrides
@options.conv_algo
def show(
    file: str,
    what: str,
    phase: str,
    level: int,
    stages: tuple[str, ...],
    overrides: tuple[str, ...],
    conv_algo: str,
) -> None:
    """Print the net as it stands after a stage.

    Read, expanded for a phase, as a graph, with shapes, planned.
    """
    findings = Findings()
    loaded = load_net(file, options.net_state(phase, level, stages), findings, overrides)
    findings.raise_errors()
    assert loaded is not None, "a file that cannot be read has findings"
    click.echo(plan_text(loaded, conv_algo) if what == "plan" else PRINTERS[what](loaded))


def spec_text(loaded: Loaded) -> str:
    """The data of the file after variables and `--set`."""
    assert loaded.spec.document is not None, "what was read comes from a document"
    return _yaml(loaded.spec.document.data)


def expanded_text(loaded: Loaded) -> str:
    """The layers of the phase, bottoms and tops filled in, each with the line that it came from."""
    layers = [built.layer for built in loaded.net.layers]
    parts = [f"name: {json.dumps(loaded.net.name)}", "layer:"]
    for layer in layers:
        text = _yaml([given(layer)]).rstrip().replace("\n", "\n  ")
        parts.append(f"  # {layer.span()}\n  {text}")
    return "\n".join(parts)


def graph_text(loaded: Loaded) -> str:
    """The nodes of the Symbol graph in topological order."""
    lines = []
    for node in topological(loaded.net.symbol.heads):
        if node.is_variable:
            lines.append(f"Variable {node.name}")
        else:
            inputs = ", ".join(entry.name for entry in node.inputs if entry is not None)
            lines.append(f"{node.op!r} {node.name} <- {inputs}")
    return "\n".join([*lines, f"outputs: {', '.join(loaded.net.outputs)}"])


def shapes_text(loaded: Loaded) -> str:
    """The shape of every entry."""
    entries = [(entry.name, show_shape(shape)) for entry, shape in loaded.shapes.items()]
    width = max((len(name) for name, _ in entries), default=0)
    return "\n".join(f"{name:{width}}  {shape}" for name, shape in entries)


def plan_text(loaded: Loaded, conv_algo: str) -> str:
    """The steps of a pass with their memory and work."""
    from netdef.runtime.footprint import footprint
    from netdef.runtime.report import describe_footprint, describe_plan, plan_net
    from netdef.runtime.threads import can_fork

    plan = plan_net(loaded.net, loaded.shapes, conv_algo=conv_algo, workers=cores())
    return f"{describe_plan(plan)}\n{describe_footprint(footprint(plan, can_fork(cores())))}"


PRINTERS = {
    "spec": spec_text,
    "expanded": expanded_text,
    "graph": graph_text,
    "shapes": shapes_text,
}


def given(message: Message) -> dict[str, Any]:
    """The fields of a message that are not at their defaults, as plain data."""
    data: dict[str, Any] = {}
    for name, field in message.fields.items():
        value = getattr(message, name)
        if isinstance(value, Message):
            if inner := given(value):
                data[name] = inner
        elif value != field.default and (value is not None or field.nullable):
            data[name] = _plain(value)
    return data


def _plain(value: Any) -> Any:
    """A field's value as a file would have it: lists for tuples, mappings for messages."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return given(value) if isinstance(value, Message) else value


def _yaml(data: Any) -> str:
    import yaml

    text: str = yaml.dump(data, sort_keys=False, default_flow_style=None, width=100, allow_unicode=True)
    return text

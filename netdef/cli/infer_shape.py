"""`netdef infer-shape`: the shapes, parameters and work of every layer."""

from __future__ import annotations

import json

import click

from netdef.cli import options
from netdef.diag import Findings
from netdef.ops.shapes import Shape, show
from netdef.passes.net import LayerCost, costs, count_params
from netdef.passes.pipeline import Loaded, load_net


@click.command("infer-shape")
@click.argument("file")
@options.state("TRAIN")
@click.option(
    "--input",
    "inputs",
    metavar="BLOB=N,C,H,W",
    multiple=True,
    help="The shape of an input blob, in place of the declared one; repeatable.",
)
@options.overrides
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
def infer_shape(
    file: str,
    phase: str,
    level: int,
    stages: tuple[str, ...],
    inputs: tuple[str, ...],
    overrides: tuple[str, ...],
    form: str,
) -> None:
    """Print layer, type, output shape, parameters and multiply-accumulates of every layer of a net."""
    findings = Findings()
    state = options.net_state(phase, level, stages)
    given = options.input_shapes(inputs)
    loaded = load_net(file, state, findings, overrides, given)
    if loaded is not None:
        options.require_known(given, loaded.net.inputs)
    findings.raise_errors()
    assert loaded is not None, "a file that cannot be read has findings"
    rows = costs(loaded.net, loaded.shapes)
    if form == "json":
        click.echo(json.dumps(as_data(loaded, rows)))
    else:
        show_table(loaded, rows)


def as_data(loaded: Loaded, rows: list[LayerCost]) -> dict[str, object]:
    """The result as scripts read it."""
    net, shapes = loaded.net, loaded.shapes
    return {
        "name": net.name,
        "phase": net.phase,
        "inputs": {blob: _sizes(shapes.get(entry)) for blob, entry in net.inputs.items()},
        "outputs": {blob: _sizes(shapes.get(net.blobs[blob])) for blob in net.outputs},
        "layers": [
            {
                "name": row.name,
                "type": row.type,
                "tops": {blob: _sizes(shape) for blob, shape in row.tops.items()},
                "params": {name: _sizes(shape) for name, shape in row.params.items()},
                "macs": row.macs,
            }
            for row in rows
        ],
        "totals": {"params": count_params(rows), "macs": sum(row.macs for row in rows)},
    }


def _sizes(shape: Shape) -> list[int | None] | None:
    return None if shape is None else list(shape)


def show_table(loaded: Loaded, rows: list[LayerCost]) -> None:
    """The result as a table, one row for each top."""
    from netdef.cli.tables import new_table, print_table

    net = loaded.net
    table = new_table()
    for heading in ("layer", "type", "top", "shape"):
        table.add_column(heading, overflow="fold")
    for heading in ("parameters", "MACs"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        parameters, macs = count_params([row]), row.macs
        for number, (blob, shape) in enumerate(row.tops.items()):
            head = (row.name, row.type) if number == 0 else ("", "")
            tail = (_number(parameters), _number(macs)) if number == 0 else ("", "")
            table.add_row(*head, blob, show(shape), *tail)
    table.add_section()
    total = sum(row.macs for row in rows)
    table.add_row(net.name or "total", net.phase, "", "", f"{count_params(rows):,}", f"{total:,}")
    print_table(table)


def _number(value: int) -> str:
    return f"{value:,}" if value else ""

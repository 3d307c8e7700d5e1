"""`netdef time`: how long each layer takes, as Caffe's `caffe time`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from netdef.cli import options
from netdef.cli.threads import use_threads
from netdef.diag import Findings
from netdef.passes.pipeline import Loaded, load_net

if TYPE_CHECKING:
    from netdef.train.time_net import NetTime


@click.command()
@click.argument("file")
@click.option(
    "--iterations",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="How many passes are timed, after two that are not.",
)
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
@options.threads
def time(
    file: str,
    iterations: int,
    phase: str,
    level: int,
    stages: tuple[str, ...],
    inputs: tuple[str, ...],
    overrides: tuple[str, ...],
    form: str,
    threads: int | None,
) -> None:
    """Measure how long each layer takes, on random data and weights.

    Times are medians over the iterations: forward and backward in the TRAIN phase, forward only in the TEST
    phase and where the net has no loss. Data files are not read beyond their headers.
    """
    findings = Findings()
    given = options.input_shapes(inputs)
    loaded = load_net(file, options.net_state(phase, level, stages), findings, overrides, given)
    if loaded is not None:
        options.require_known(given, loaded.net.inputs)
    findings.raise_errors()
    assert loaded is not None, "a file that cannot be read has findings"
    use_threads(threads)
    from netdef.train.memory import within_memory
    from netdef.train.time_net import time_net

    with within_memory([loaded]):
        timed = time_net(loaded, iterations)
    if form == "json":
        click.echo(json.dumps(as_data(loaded, timed, iterations)))
    else:
        show_table(loaded, timed, iterations)


def as_data(loaded: Loaded, timed: NetTime, iterations: int) -> dict[str, object]:
    """The result as scripts read it; times in milliseconds."""
    layers = [
        {
            "name": row.name,
            "type": row.type,
            "forward_ms": _milliseconds(row.forward),
            "backward_ms": _milliseconds(row.backward),
            "flops": row.flops,
        }
        for row in timed.layers
    ]
    return {
        "name": loaded.net.name,
        "phase": loaded.net.phase,
        "iterations": iterations,
        "batch": timed.batch,
        "layers": layers,
        "totals": {
            "forward_ms": _milliseconds(timed.forward),
            "backward_ms": _milliseconds(timed.backward),
            "flops": timed.flops,
            "images_per_second": _images_per_second(timed),
        },
    }


def show_table(loaded: Loaded, timed: NetTime, iterations: int) -> None:
    """The result as a table, one row for each layer, and a line with images per second."""
    from netdef.cli.tables import new_table, print_table

    both = timed.backward is not None
    table = new_table()
    for heading in ("layer", "type"):
        table.add_column(heading, overflow="fold")
    for heading in ("forward ms", *(["backward ms"] if both else []), "share", "GFLOP/s"):
        table.add_column(heading, justify="right", no_wrap=True)
    whole = sum((row.forward or 0.0) + (row.backward or 0.0) for row in timed.layers)
    for row in timed.layers:
        spent = (row.forward or 0.0) + (row.backward or 0.0)
        passes = [_cell(row.forward), *([_cell(row.backward)] if both else [])]
        share = f"{spent / whole:.1%}" if spent else ""
        table.add_row(row.name, row.type, *passes, share, _rate(row.flops, spent))
    table.add_section()
    passes = [_cell(timed.forward), *([_cell(timed.backward)] if both else [])]
    name = loaded.net.name or "total"
    table.add_row(name, loaded.net.phase, *passes, "", _rate(timed.flops, timed.seconds))
    print_table(table)
    speed, counted = _images_per_second(timed), f"{iterations} iteration{'' if iterations == 1 else 's'}"
    if speed is not None:
        click.echo(f"{speed:,.0f} images/s: {counted}, batches of {timed.batch}")


def _images_per_second(timed: NetTime) -> float | None:
    return timed.batch / timed.seconds if timed.batch and timed.seconds else None


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 6)


def _cell(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e3:.3f}"


def _rate(flops: int, seconds: float) -> str:
    return f"{flops / seconds / 1e9:.1f}" if flops and seconds else ""

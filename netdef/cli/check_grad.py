"""`netdef check-grad`: gradients against finite differences."""

from __future__ import annotations

import click

from netdef.cli import options
from netdef.cli.threads import use_threads
from netdef.diag import Error, Findings
from netdef.passes.pipeline import load_net
from netdef.train.objective import without_value


@click.command("check-grad")
@click.argument("file")
@options.state("TRAIN")
@options.overrides
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of weights, inputs and directions.",
)
@click.option(
    "--tolerance", type=float, default=1e-4, show_default=True, help="The largest relative error that passes."
)
@options.threads
@options.conv_algo
def check_grad(
    file: str,
    phase: str,
    level: int,
    stages: tuple[str, ...],
    overrides: tuple[str, ...],
    seed: int,
    tolerance: float,
    threads: int | None,
    conv_algo: str,
) -> None:
    """Compare the gradient of every learnable blob and input with central differences, in float64.

    The data are random, so no data file is read beyond its header.
    """
    findings = Findings()
    loaded = load_net(file, options.net_state(phase, level, stages), findings, overrides)
    findings.raise_errors()
    assert loaded is not None, "a file that cannot be read has findings"
    if not loaded.net.losses:
        raise Error(f"{file} has no loss in the {phase} phase, so there is no gradient; add a loss layer")
    if valueless := without_value(loaded.net):
        told = f"{file}: {', '.join(valueless)} makes its own gradient and has no value to measure it by"
        raise Error(f"{told}; use a loss that has one, such as SoftmaxWithLoss")
    use_threads(threads)
    from netdef.cli.tables import new_table, print_table
    from netdef.train.check_grad import check_gradients

    table = new_table()
    table.add_column("blob", overflow="fold")
    for heading in ("elements", "computed", "measured", "relative error"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    wrong = 0
    for checked in check_gradients(loaded, seed, conv_algo):
        good = checked.error <= tolerance
        wrong += not good
        row = (
            f"{checked.size:,}",
            f"{checked.computed:.6e}",
            f"{checked.measured:.6e}",
            f"{checked.error:.1e}",
        )
        table.add_row(checked.blob, *row, "" if good else "WRONG", style="" if good else "red")
    print_table(table)
    if wrong:
        raise Error(f"{wrong} gradients differ from finite differences by more than {tolerance:g}")

"""How tables look, the same for every command."""

from __future__ import annotations

import sys

import click
from rich import box
from rich.console import Console
from rich.table import Table

#: columns of a terminal below which rich would leave out cells; the terminal wraps such lines itself
_NARROWEST = 60
#: the width where nobody looks, so that `grep` finds whole names
_UNLIMITED = 10_000


def new_table() -> Table:
    """A table without rows or columns."""
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")


def print_table(table: Table) -> None:
    """Print on standard output, as wide as the terminal, or as the text where it is none.

    Cells are taken as they are: a layer may be called `[b]`.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    console.width = max(console.width, _NARROWEST) if sys.stdout.isatty() else _UNLIMITED
    with console.capture() as captured:
        console.print(table)
    click.echo(captured.get(), nl=False)

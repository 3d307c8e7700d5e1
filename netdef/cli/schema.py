"""`netdef schema`: the JSON Schemas, for editors and other tools."""

from __future__ import annotations

import click

from netdef.spec.schema import as_text, net_schema, solver_schema


@click.command()
@click.argument("kind", type=click.Choice(["net", "solver"]), default="net")
def schema(kind: str) -> None:
    """Print the JSON Schema (2020-12) of nets or of solvers."""
    click.echo(as_text(net_schema() if kind == "net" else solver_schema()))

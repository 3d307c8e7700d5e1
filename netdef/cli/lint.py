"""`netdef lint`: findings with their places."""

from __future__ import annotations

import json

import click

from netdef.cli.render import Renderer, as_data
from netdef.diag import Diagnostic, exit_status
from netdef.lint.check import check_file
from netdef.lint.files import collect
from netdef.source import display_name


@click.command()
@click.argument("paths", nargs=-1, required=True)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "concise", "json"]),
    default="text",
    show_default=True,
    help="text shows the source, concise one line for each finding, json a list.",
)
def lint(paths: tuple[str, ...], form: str) -> None:
    """Check nets and solvers in files, folders and standard input (-).

    Prints every finding as file:line:col with its code; nothing when all is well.  Exit status 1 if there are
    errors or warnings, 3 if a file cannot be read.
    """
    found: list[Diagnostic] = []
    renderer = Renderer()
    files = 0
    for path, named in collect(paths):
        checked = check_file(path, named)
        files += 1
        if path == "-":
            renderer.remember(display_name(path), checked.text)
        fresh = [diagnostic for diagnostic in checked.findings if diagnostic not in found]
        found += fresh
        if form != "json":
            for diagnostic in fresh:
                click.echo(renderer.block(diagnostic) if form == "text" else renderer.line(diagnostic))
    if not files:
        raise click.UsageError(f"no .yaml, .yml or .json file in {', '.join(paths)}")
    if form == "json":
        click.echo(json.dumps([as_data(diagnostic) for diagnostic in found], indent=2))
    if status := exit_status(found):
        raise click.exceptions.Exit(status)

"""`netdef explain`: the page of a diagnostic code."""

from __future__ import annotations

import textwrap

import click

from netdef.diag import Code


@click.command()
@click.argument("code", required=False)
def explain(code: str | None) -> None:
    """Print what a code means, why it matters, and a bad and a good spec; without CODE list all codes."""
    load_codes()
    if code is None:
        for each in sorted(Code.registry.values(), key=lambda each: each.id):
            click.echo(f"{each.id}  {each.severity:7}  {each.name}")
        return
    by_name = {known.name: known for known in Code.registry.values()}
    known = Code.registry.get(code.upper()) or by_name.get(code.lower())
    if known is None:
        raise click.UsageError(f"there is no code {code}; `netdef explain` lists them")
    click.echo(page(known))


def load_codes() -> None:
    """Load every module that declares codes, so that `Code.registry` is complete."""
    import netdef.data.codes
    import netdef.graph.codes
    import netdef.passes.codes
    import netdef.spec.codes
    import netdef.spec.text_codes
    import netdef.train.codes  # noqa: F401


def page(code: Code) -> str:
    """The page as plain text."""
    parts = [
        f"{code.id} {code.name} ({code.severity})",
        _paragraph(code.what),
        _paragraph(f"Why: {code.why}"),
    ]
    if code.bad:
        parts.append("Bad:\n" + textwrap.indent(code.bad.rstrip(), "    "))
    if code.shown_by:
        parts.append(_paragraph(f"Shown by: {code.shown_by}"))
    if code.good:
        parts.append("Good:\n" + textwrap.indent(code.good.rstrip(), "    "))
    parts.append(_paragraph(f"When to ignore: {code.ignore}"))
    return "\n\n".join(parts)


def _paragraph(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 100)

"""`netdef train`: a solver file becomes trained weights."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from netdef.cli import options
from netdef.cli.threads import hold_blas_to_one_thread
from netdef.diag import Findings, UsageError


@click.command()
@click.argument("file")
@options.overrides
@click.option(
    "--weights", metavar="FILE", help="Start from the weights of an .npz file, layers matched by name."
)
@click.option("--partial", is_flag=True, help="With --weights: take what fits, which is fine-tuning.")
@click.option("--resume", metavar="FILE", help="Go on from a snapshot, in its folder.")
@click.option("--run", metavar="FOLDER", help="Where the run is kept; default runs/<net>-<time>.")
@click.option("--max-iter", type=click.IntRange(min=0), help="Replaces the solver's max_iter.")
@click.option("--seed", type=click.IntRange(min=0), help="Replaces the solver's random_seed.")
@click.option(
    "--progress",
    type=click.Choice(["auto", "bar", "plain", "none"]),
    default="auto",
    show_default=True,
    help="A bar in a terminal, plain lines elsewhere.",
)
def train(
    file: str,
    overrides: tuple[str, ...],
    weights: str | None,
    partial: bool,
    resume: str | None,
    run: str | None,
    max_iter: int | None,
    seed: int | None,
    progress: str,
) -> None:
    """Train the net of a solver FILE, then evaluate it.

    The run's folder keeps the resolved spec, metrics, log and snapshots; last.npz has the final weights.  The
    first Ctrl-C stops after a snapshot, the second at once; SIGHUP takes a snapshot and goes on.
    """
    if weights and resume:
        raise UsageError("--weights starts a new run and --resume goes on with an old one; give one of them")
    if partial and not weights:
        raise UsageError("--partial says how to take --weights; give that, too")
    hold_blas_to_one_thread()
    from netdef.cli.progress import listener
    from netdef.train import folder
    from netdef.train.resume import load_weights, restore
    from netdef.train.run import Run
    from netdef.train.setup import make_evaluator, make_trainer, prepare_job

    if max_iter is not None:
        overrides = (*overrides, f"max_iter={max_iter}")
    findings = Findings()
    job = prepare_job(file, overrides, findings)
    findings.raise_errors()
    assert job is not None, "a job that cannot be prepared has findings"

    trainer = make_trainer(job, seed)
    evaluators = [make_evaluator(test.prepared, trainer.blobs, test.test_iter) for test in job.tests]
    drawn = restore(Path(resume), trainer) if resume else None
    if weights:
        mismatch = load_weights(Path(weights), trainer.blobs, partial)
        for key in [*mismatch.missing, *mismatch.reshaped]:
            click.echo(f"{key} keeps its filler", err=True)
    feed = job.feed(trainer.blobs.seed)
    if drawn is not None:
        feed.drawn = drawn
    place = Path(resume).parent if resume and not run else folder.create(run, job.train.loaded.net.name)
    folder.write_json(place / "environment.json", folder.describe(trainer.blobs.seed, sys.argv[1:]))
    folder.write_json(place / "spec.json", job.as_data())
    with folder.RunLog(place) as log, listener(progress) as shown:
        Run(trainer, feed, evaluators, place, [log, shown]).train()
    click.echo(f"weights: {place / 'last.npz'}")

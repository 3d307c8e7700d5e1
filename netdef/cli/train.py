"""`netdef train`: a solver file becomes trained weights."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from netdef.cli import options
from netdef.cli.threads import use_threads
from netdef.diag import Findings, UsageError


@click.command()
@click.argument("file")
@options.overrides
@click.option(
    "--weights", metavar="FILE", help="Start from the weights of an .npz file, layers matched by name."
)
@click.option("--partial", is_flag=True, help="With --weights: take what fits, which is fine-tuning.")
@click.option("--resume", metavar="FILE", help="Go on from a snapshot, in its folder, with its seed.")
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
@options.threads
@options.conv_algo
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
    threads: int | None,
    conv_algo: str,
) -> None:
    """Train the net of a solver FILE, then evaluate it.

    The run's folder keeps the resolved spec, metrics, log and snapshots; last.npz has the final weights.  The
    first Ctrl-C (or SIGTERM) stops with last.npz, from which --resume goes on, and ends with 130 (143); the
    second quits at once.  SIGHUP takes a snapshot and goes on.
    """
    if weights and resume:
        raise UsageError("--weights starts a new run and --resume goes on with an old one; give one of them")
    if partial and not weights:
        raise UsageError("--partial says how to take --weights; give that, too")
    use_threads(threads)
    from netdef.cli.progress import listener
    from netdef.train import folder
    from netdef.train.memory import within_memory
    from netdef.train.resume import load_weights, restore
    from netdef.train.run import Run
    from netdef.train.setup import make_evaluator, make_trainer, prepare_job

    if max_iter is not None:
        overrides = (*overrides, f"max_iter={max_iter}")
    findings = Findings()
    job = prepare_job(file, overrides, findings)
    findings.raise_errors()
    assert job is not None, "a job that cannot be prepared has findings"

    with within_memory(job.nets, job.solver):
        trainer = make_trainer(job, seed, conv_algo)
        evaluators = [
            make_evaluator(test.prepared, trainer.blobs, test.test_iter, conv_algo) for test in job.tests
        ]
        if resume:
            feed = restore(Path(resume), job, trainer, evaluators)
            if trainer.iteration >= job.solver.max_iter:
                raise UsageError(
                    f"{resume} is at iteration {trainer.iteration} and max_iter is {job.solver.max_iter}: "
                    "nothing is left to train; give a larger --max-iter"
                )
            if seed is not None and seed != trainer.blobs.seed:
                raise UsageError(
                    f"{resume} is of a run with seed {trainer.blobs.seed}; leave out --seed {seed}"
                )
        else:
            feed = job.feed(trainer.blobs.seed)
        if weights:
            mismatch = load_weights(Path(weights), trainer.blobs, job.nets, partial)
            options.tell_fillers(mismatch.missing, mismatch.reshaped)
        place = Path(resume).parent if resume and not run else folder.create(run, job.train.loaded.net.name)
        folder.keep_json(place, "environment", folder.describe(trainer.blobs.seed, sys.argv[1:]))
        folder.keep_json(place, "spec", {"resolved": job.as_data()})
        with folder.RunLog(place, trainer.iteration) as log, listener(progress) as shown:
            stopped_by = Run(trainer, feed, evaluators, place, [log, shown]).train()
    if stopped_by:
        raise click.exceptions.Exit(128 + signal.Signals[stopped_by].value)
    click.echo(f"weights: {place / 'last.npz'}")

"""`netdef test`: weights evaluated on the data of the TEST phase."""

from __future__ import annotations

import json
from pathlib import Path

import click

from netdef.cli import options
from netdef.cli.threads import use_threads
from netdef.diag import Findings


@click.command()
@click.argument("file")
@click.option(
    "--weights", metavar="FILE", required=True, help="The weights, an .npz file that `train` wrote."
)
@click.option("--partial", is_flag=True, help="Take what fits; the other blobs keep their fillers.")
@click.option(
    "--iterations",
    type=click.IntRange(min=1),
    help="Average that many batches, as Caffe; default: the set once.",
)
@options.state("TEST")
@options.overrides
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@options.threads
@options.conv_algo
def test(
    file: str,
    weights: str,
    partial: bool,
    iterations: int | None,
    phase: str,
    level: int,
    stages: tuple[str, ...],
    overrides: tuple[str, ...],
    form: str,
    threads: int | None,
    conv_algo: str,
) -> None:
    """Print the mean of every score of a net over its data, each sample counted once.

    A score is computed for each batch, as Caffe does; accuracies of single classes are exact where one batch
    holds the whole set.
    """
    use_threads(threads)
    from netdef.data.dataset import Library
    from netdef.passes.pipeline import open_spec
    from netdef.train.blobs import Blobs
    from netdef.train.memory import within_memory
    from netdef.train.resume import load_weights
    from netdef.train.setup import make_evaluator, prepare_net

    findings = Findings()
    opened = open_spec(file, findings, overrides)
    findings.raise_errors()
    assert opened is not None
    assert opened.net is not None, "a file without a net has findings"
    prepared = prepare_net(opened.net, options.net_state(phase, level, stages), Library(), findings)
    findings.raise_errors()
    assert prepared is not None, "a net that cannot be prepared has findings"
    with within_memory([prepared.loaded]):
        blobs = Blobs(seed=0)
        evaluator = make_evaluator(prepared, blobs, iterations, conv_algo)
        mismatch = load_weights(Path(weights), blobs, [prepared.loaded], partial)
        scores = {blob: value.tolist() for blob, value in evaluator.run().items()}
    options.tell_fillers(mismatch.missing, mismatch.reshaped)
    evaluator.require_finite({blob: value for blob, value in scores.items() if isinstance(value, float)})
    if form == "json":
        click.echo(json.dumps({"samples": evaluator.samples, "scores": scores}))
        return
    for blob, value in scores.items():
        click.echo(f"{blob} = {value:.6g}" if isinstance(value, float) else f"{blob} = {value}")
    click.echo(f"over {evaluator.samples} samples")

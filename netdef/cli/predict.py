"""`netdef predict`: what a trained net says of samples in files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from netdef.cli import options
from netdef.cli.threads import use_threads
from netdef.diag import EnvironmentFault, Findings, UsageError

FORMATS = ("npz", "npy", "jsonl")


@click.command()
@click.argument("file")
@click.argument("files", nargs=-1, required=True)
@click.option(
    "--weights", metavar="FILE", required=True, help="The weights, an .npz file that `train` wrote."
)
@click.option("--partial", is_flag=True, help="Take what fits; the other blobs keep their fillers.")
@click.option("--key", help="The array in .npz files; default: that with the input's name, or the only one.")
@click.option(
    "--output", "wanted", metavar="BLOB", multiple=True, help="Put out this blob instead; repeatable."
)
@click.option("--out", metavar="FILE", help="Where to write; default: JSON lines on standard output.")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), help="How to write; default: as --out ends, or jsonl."
)
@click.option("--batch-size", type=click.IntRange(min=1), help="Samples in a batch; default: the net's own.")
@options.state("TEST")
@options.overrides
@options.threads
def predict(
    file: str,
    files: tuple[str, ...],
    weights: str,
    partial: bool,
    key: str | None,
    wanted: tuple[str, ...],
    out: str | None,
    form: str | None,
    batch_size: int | None,
    phase: str,
    level: int,
    stages: tuple[str, ...],
    overrides: tuple[str, ...],
    threads: int | None,
) -> None:
    """Compute the outputs of the net FILE for the samples in FILES, .npy or .npz.

    The net is that of the TEST phase without labels, losses and scores; SoftmaxWithLoss becomes its softmax,
    `prob`.  FILES hold what the first data layer reads for its first top, one sample after another along the
    first axis; they go through its transform_param.
    """
    use_threads(threads)
    from netdef.data.replace import replace_file
    from netdef.data.samples import open_samples
    from netdef.passes.pipeline import assemble, open_spec
    from netdef.train import predictions
    from netdef.train.blobs import Blobs
    from netdef.train.memory import within_memory
    from netdef.train.predict import Predictor, input_of, prepare
    from netdef.train.resume import load_weights

    form = _format(out, form)
    _require_place(out, (file, weights, *files))
    if key is not None and not any(path.endswith(".npz") for path in files):
        raise UsageError("--key names an array of .npz files, and FILES are none")
    findings = Findings()
    opened = open_spec(file, findings, overrides)
    findings.raise_errors()
    assert opened is not None
    assert opened.net is not None, "a file without a net has findings"
    net = assemble(opened.net, options.net_state(phase, level, stages), findings)
    findings.raise_errors()
    source = input_of(net)
    samples = open_samples(files, key, source.blob, findings)
    loaded = prepare(opened.net, net, source, samples, batch_size or source.batch, wanted, findings)
    findings.raise_errors()
    assert loaded is not None, "a net that cannot be prepared has findings"
    outputs = loaded.net.outputs
    if form == "npy" and len(outputs) > 1:
        raise UsageError(f"a .npy file holds one array, not {', '.join(outputs)}; give one --output")
    with within_memory([loaded]):
        predictor = Predictor(loaded, source, blobs := Blobs(seed=0))
        mismatch = load_weights(Path(weights), blobs, [loaded], partial)
        options.tell_fillers(mismatch.missing, mismatch.reshaped)
        predicted = predictor.run(samples)
        count = sum(one.shape[0] for one in samples)
        if out is None:
            for line in predictions.json_lines(predicted):
                click.echo(line)
            return
        try:
            if form == "jsonl":
                lines = predictions.json_lines(predicted)
                replace_file(Path(out), lambda to: to.writelines(f"{line}\n".encode() for line in lines))
            else:
                write = predictions.write_npz if form == "npz" else predictions.write_npy
                replace_file(Path(out), lambda to: write(to, predicted, count, predictor.rows))
        except OSError as error:
            raise EnvironmentFault(f"{out}: it cannot be written: {error.strerror or error}") from None
    click.echo(f"{out}: {', '.join(outputs)} of {count} samples")


def _format(out: str | None, form: str | None) -> str:
    """The format that is asked for, by the ending of the file where none is named."""
    ending = os.path.splitext(out or "")[1][1:]
    chosen = form or (ending if out else "jsonl")
    if chosen not in FORMATS:
        raise UsageError(f"--out {out}: give a file that ends in .npz, .npy or .jsonl, or --format")
    if out is None and chosen != "jsonl":
        raise UsageError(f"--format {chosen} needs --out; only JSON lines go to standard output")
    return chosen


def _require_place(out: str | None, read: Sequence[str]) -> None:
    """Refuse a file that cannot be made, and one that is read, before anything is computed."""
    if out is None:
        return
    if any(os.path.exists(out) and os.path.exists(path) and os.path.samefile(out, path) for path in read):
        raise UsageError(f"--out {out}: the file is also read; write to another one")
    folder = os.path.dirname(out) or "."
    if os.path.isdir(out) or not os.path.isdir(folder):
        what = "it is a folder" if os.path.isdir(out) else f"there is no folder {folder}"
        raise EnvironmentFault(f"{out}: it cannot be written: {what}")

"""Prediction: the TEST net without labels, losses and scores, over samples of one input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from netdef.data.ahead import Ahead
from netdef.data.samples import Batch, SampleFile, fitting, read_batches
from netdef.diag import Diagnostic, Findings, NumericFault, UsageError, did_you_mean
from netdef.graph.build import Net
from netdef.graph.node import topological
from netdef.ops.shapes import Full
from netdef.passes.deploy import deploy, infer_deployed
from netdef.passes.infer import Known, infer_shapes, infer_types, unfit
from netdef.passes.pipeline import Loaded
from netdef.spec.layers.base import Layer
from netdef.spec.net import NetSpec
from netdef.train import codes
from netdef.train.blobs import Blobs
from netdef.train.labels import blame_labels
from netdef.train.runner import Runner, input_shapes

#: samples in a batch where the net does not say
BATCH = 64


class Input(NamedTuple):
    """The blob that is fed: the first top of the layer, with what the net says of its shape."""

    layer: Layer
    blob: str
    #: the shape of a sample; None where neither the layer nor its files say it
    sample: Full | None
    batch: int


class Row(NamedTuple):
    """The shape and the dtype of an output for one sample."""

    shape: Full
    dtype: str


class Predicted(NamedTuple):
    """The outputs for some samples by blob, one row for each; they hold until the next are asked for."""

    places: list[tuple[str, int]]
    outputs: dict[str, np.ndarray]


def input_of(net: Net) -> Input:
    """What feeds a net: the first top of its first layer that reads nothing; raises `UsageError`."""
    fed = (built.layer for built in net.layers if built.layer.top and built.layer.top[0] in net.inputs)
    layer = next(fed, None)
    if layer is None:
        raise UsageError("no layer feeds the net in this phase; add an Input layer, or give another --phase")
    shape = layer.input_shapes(Findings())[0] or (None,)
    sample = tuple(size for size in shape[1:] if size)
    whole = len(sample) == len(shape) - 1 and len(shape) > 1
    return Input(layer, layer.top[0], sample if whole else None, shape[0] or BATCH)


def prepare(
    spec: NetSpec,
    net: Net,
    source: Input,
    files: Sequence[SampleFile],
    batch: int,
    wanted: Sequence[str],
    findings: Findings,
) -> Loaded | None:
    """The net for prediction with shapes for batches of the files' samples; None where there are findings.

    `wanted` names the blobs to put out, by default those that no layer reads.  Raises `UsageError` where none
    can be.
    """
    sample = fitting(files, source.layer, source.blob, source.sample, findings)
    if sample is None or findings.errors:
        return None
    deployed = deploy(net, source.blob, wanted)
    for blob in wanted:
        if blob not in deployed.blobs:
            why = "it hangs on other inputs" if blob in net.blobs else "there is no such blob"
            raise UsageError(f"--output {blob}: {why}; {did_you_mean(blob, deployed.blobs)}")
    shape = (batch, *sample)
    known = infer_deployed(deployed, source.blob, shape, findings)
    if findings.errors:
        return None
    rows = _with_rows(deployed, source.blob, shape, known)
    if not rows or (wanted and len(rows) < len(deployed.outputs)):
        others = [blob for blob in net.inputs if blob != source.blob]
        told = f": FILES give {source.blob}, not {', '.join(others)}" if others else ""
        which = "no output has" if not rows else f"{(set(deployed.outputs) - set(rows)).pop()} has not"
        raise UsageError(f"{which} one row for each sample{told}; name other blobs with --output")
    if len(rows) < len(deployed.outputs):
        deployed = deploy(net, source.blob, rows)
        known = infer_deployed(deployed, source.blob, shape, findings)
    return Loaded(spec, deployed, known)


def _with_rows(net: Net, blob: str, shape: Full, known: Known) -> list[str]:
    """The outputs whose first axis grows with the batch, and nothing else of them.

    A net that takes this batch alone is believed that the first axes of this length are the batch.
    """
    heads = net.symbol.heads
    larger, failures = infer_shapes(heads, {blob: (shape[0] + 1, *shape[1:])})
    failures += unfit(topological(heads), larger)
    rows = []
    for name, head in zip(net.outputs, heads):
        now = known[head]
        if now[:1] == shape[:1] and (failures or larger[head] == (shape[0] + 1, *now[1:])):
            rows.append(name)
    return rows


class Predictor:
    """Computes the outputs of a net for prediction, with the weights that `blobs` hold at its first batch."""

    def __init__(self, loaded: Loaded, source: Input, blobs: Blobs) -> None:
        self.loaded, self.source, self.blobs = loaded, source, blobs
        blobs.add(loaded.net, loaded.shapes)
        self._shape: Full = input_shapes(loaded.net, loaded.shapes)[source.blob]
        self._runners: dict[int, Runner] = {}

    @property
    def rows(self) -> dict[str, Row]:
        """What one row of each output is."""
        heads = self.loaded.net.symbol.heads
        variables = [node.name for node in topological(heads) if node.is_variable]
        dtypes, _ = infer_types(heads, dict.fromkeys(variables, self.blobs.dtype))
        return {
            blob: Row(self.loaded.shapes[head][1:], dtypes[head])
            for blob, head in zip(self.loaded.net.outputs, heads)
        }

    def run(self, files: Sequence[SampleFile]) -> Iterator[Predicted]:
        """Predict the samples of all files in order; the next batch is read while one is computed.

        Raises `Error` for data that cannot be used, `NumericFault` for an output that is not finite.
        """
        size, *sample = self._shape
        batches = read_batches(files, self.source.layer, tuple(sample), size, self.blobs.dtype)
        with Ahead(batches) as ahead:
            for batch in ahead:
                yield Predicted(batch.places, self._outputs(batch))

    def _outputs(self, batch: Batch) -> dict[str, np.ndarray]:
        runner = self._runner(len(batch.places))
        np.copyto(runner.inputs[self.source.blob], batch.array)
        with np.errstate(all="ignore"), blame_labels(runner, train=False):
            runner.forward(train=False)
        outputs = runner.outputs
        self._require_finite(outputs, batch.places)
        return outputs

    def _require_finite(self, outputs: Mapping[str, np.ndarray], places: list[tuple[str, int]]) -> None:
        for blob, value in outputs.items():
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                where = tuple(np.argwhere(~np.isfinite(value))[0].tolist())
                path, number = places[where[0]]
                layer = self.loaded.net.blobs[blob].node.origin
                message = f"{blob} is {value[where]} for sample {number} of {path}"
                hint = "look at the weights, and whether the samples are scaled as those that trained them"
                raise NumericFault([Diagnostic(codes.LOSS_NOT_FINITE, layer.span("name"), message, hint)])

    def _runner(self, count: int) -> Runner:
        """The net for batches of `count` samples; raises `UsageError` where it takes no such batch."""
        if count not in self._runners:
            findings = Findings()
            net, blob = self.loaded.net, self.source.blob
            known = infer_deployed(net, blob, (count, *self._shape[1:]), findings)
            if findings.errors:
                told = f"the net takes no batch of {count} samples, which are left for the last one"
                raise UsageError(f"{told}; give a --batch-size that divides the number of samples")
            self._runners[count] = Runner(net, input_shapes(net, known), self.blobs, folds=True)
        return self._runners[count]

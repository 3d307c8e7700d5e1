"""Evaluation: every sample of the set exactly once, or Caffe's `test_iter` batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import repeat

import numpy as np

from netdef.data.dataset import Dataset
from netdef.data.feed import Feed
from netdef.diag import Diagnostic, NumericFault
from netdef.graph.build import Net
from netdef.passes.infer import infer_shapes
from netdef.train import codes
from netdef.train.blobs import Blobs
from netdef.train.labels import blame_labels
from netdef.train.runner import Runner

Scores = dict[str, np.ndarray]


class Interrupted(Exception):
    """An evaluation that was told to stop before its end, and so has no scores."""


class Evaluator:
    """Computes the mean outputs of a TEST net over its data, read in the file's order.

    Without `test_iter` the set is covered exactly once: the last batch is as small as it has to be, and
    batches count by their samples.  With it that many full batches are averaged, and the next test goes on
    where this one ended, starting over where the set ends, as in Caffe.  `positions` has the next sample of
    each data layer; unlike Caffe, whose resumed runs read from the start, netdef keeps it in snapshots.

    Outputs that grow with the batch are no scores and are left out, except weighted tops: their sum over a
    batch is part of the objective, and so its mean is a score.
    """

    def __init__(
        self,
        net: Net,
        shapes: Mapping[str, tuple[int, ...]],
        blobs: Blobs,
        datasets: Sequence[Dataset],
        test_iter: int | None = None,
        conv_algo: str = "",
    ) -> None:
        self.net, self.shapes, self.blobs, self.datasets = net, shapes, blobs, datasets
        self.test_iter, self.conv_algo = test_iter, conv_algo
        self.positions = [0] * len(datasets)
        self._feed = Feed(datasets, train=False, seed=0)
        #: the data layer that needs the most batches to be read once decides how many there are
        self._longest = max(datasets, key=_batches)
        self._summed = {
            net.outputs[loss.head] for loss in net.losses if loss.has_value and loss.head < len(net.outputs)
        }
        self._growing = _growing(net, shapes)
        self._runners: dict[tuple[int, ...], Runner] = {}

    @property
    def samples(self) -> int:
        """How many samples a test counts: those of the longest set, or with `test_iter` of its batches."""
        if self.test_iter is None:
            return self._longest.samples
        return self.test_iter * self._longest.layer.batch_size

    def run(self, stopped: Callable[[], bool] = lambda: False) -> Scores:
        """The mean of each score: losses, accuracies, sums of weighted tops.

        `stopped` is asked before each batch.  Raises `Interrupted` once it says yes, and `Error` for a label
        that is no class.
        """
        if self.test_iter is None:
            self.positions = [0] * len(self.datasets)
        for runner in self._runners.values():
            runner.refold()
        with np.errstate(all="ignore"):
            return self._mean(stopped)

    def _mean(self, stopped: Callable[[], bool]) -> Scores:
        total: Scores = {}
        full = self._longest.layer.batch_size
        for count, sizes in self._sizes():
            if stopped():
                raise Interrupted
            runner = self._runner(sizes)
            self._fill(runner, sizes)
            with blame_labels(runner, train=False):
                runner.forward(train=False)
            for blob, value in runner.outputs.items():
                score, weight = np.asarray(value, np.float64), count
                if blob in self._summed:
                    # A small batch has a small sum: every sample weighs as much as it does in a full batch.
                    score, weight = score.sum(), full if blob in self._growing else count
                elif blob in self._growing:
                    continue
                total[blob] = total.get(blob, 0) + score * weight
        return {blob: np.asarray(value / self.samples) for blob, value in total.items()}

    def require_finite(self, scores: Mapping[str, float]) -> None:
        """Raise `NumericFault` where a score is NaN or infinite: weights that give such are of no use."""
        for blob, value in scores.items():
            if not math.isfinite(value):
                layer = next(built.layer for built in self.net.layers if blob in built.layer.top)
                message, hint = f"{blob} of the TEST net is {value}", "the weights went wrong; lower base_lr"
                found = Diagnostic(codes.LOSS_NOT_FINITE, layer.span("name"), message, hint)
                raise NumericFault([found])

    def _sizes(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """For each batch the number of samples that it counts, and that of each data layer.

        Layers with the batch size of the longest one go with it, as labels do with images.
        """
        lead = self._longest.layer.batch_size
        if self.test_iter is not None:
            whole = tuple(dataset.layer.batch_size for dataset in self.datasets)
            yield from repeat((lead, whole), self.test_iter)
            return
        for number in range(_batches(self._longest)):
            count = min(lead, self._longest.samples - number * lead)
            sizes = []
            for dataset in self.datasets:
                batch = dataset.layer.batch_size
                left = dataset.samples - number * batch
                sizes.append(count if batch == lead else min(batch, left) if left > 0 else batch)
            yield count, tuple(sizes)

    def _fill(self, runner: Runner, sizes: Sequence[int]) -> None:
        """Write the next samples of each data layer into the inputs."""
        for number, (layer, size) in enumerate(zip(self._feed.layers, sizes)):
            start, samples = self.positions[number], layer.dataset.samples
            layer.write(np.arange(start, start + size) % samples, runner.inputs)
            self.positions[number] = (start + size) % samples

    def _runner(self, sizes: tuple[int, ...]) -> Runner:
        """The net for batches of these sizes, over the same blobs."""
        if sizes not in self._runners:
            shapes = {
                top: (size, *self.shapes[top][1:])
                for dataset, size in zip(self.datasets, sizes)
                for top in dataset.layer.top
            }
            self._runners[sizes] = Runner(self.net, shapes, self.blobs, folds=True, conv_algo=self.conv_algo)
        return self._runners[sizes]


def _batches(dataset: Dataset) -> int:
    """How many batches it takes to read a set once."""
    return -(-dataset.samples // dataset.layer.batch_size)


def _growing(net: Net, shapes: Mapping[str, tuple[int, ...]]) -> set[str]:
    """The outputs whose shapes change when every batch has one sample more."""
    heads = net.symbol.heads
    now, _ = infer_shapes(heads, shapes)
    more, _ = infer_shapes(heads, {blob: (shape[0] + 1, *shape[1:]) for blob, shape in shapes.items()})
    return {blob for blob, head in zip(net.outputs, heads) if now[head] != more[head]}

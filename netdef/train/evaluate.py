"""Evaluation: every sample of the set exactly once, or Caffe's `test_iter` batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netdef.data.dataset import Dataset
from netdef.data.feed import Feed
from netdef.graph.build import Net
from netdef.train.blobs import Blobs
from netdef.train.runner import Runner

Scores = dict[str, np.ndarray]


class Evaluator:
    """Computes the mean outputs of a TEST net over its data.

    Without `test_iter` the set is covered exactly once: the last batch is as small as it has to be, and
    batches count by their samples.  With it that many full batches are averaged, starting over where the set
    ends, as in Caffe.
    """

    def __init__(
        self,
        net: Net,
        shapes: dict[str, tuple[int, ...]],
        blobs: Blobs,
        datasets: Sequence[Dataset],
        test_iter: int | None = None,
    ) -> None:
        self.net, self.shapes, self.blobs, self.datasets = net, shapes, blobs, datasets
        self.test_iter = test_iter
        self._runners: dict[int, Runner] = {}

    @property
    def samples(self) -> int:
        """How many samples one pass over the data has."""
        return max(dataset.samples for dataset in self.datasets)

    def run(self) -> Scores:
        """The mean of each output that does not grow with the batch: losses, accuracies."""
        feed = Feed(self.datasets, train=False, seed=0)
        batch = self.datasets[0].layer.batch_size
        total: Scores = {}
        weight = 0
        for start, count in self._batches(batch):
            runner = self._runner(count)
            for layer in feed.layers:
                layer.write(np.arange(start, start + count) % layer.dataset.samples, runner.inputs)
            runner.forward(train=False)
            for blob, value in runner.outputs.items():
                if not self._grows(blob, runner, count):
                    total[blob] = total.get(blob, 0) + np.asarray(value, np.float64) * count
            weight += count
        return {blob: value / weight for blob, value in total.items()}

    def _batches(self, batch: int) -> list[tuple[int, int]]:
        """The first sample and the size of each batch."""
        if self.test_iter is not None:
            return [(i * batch, batch) for i in range(self.test_iter)]
        return [(start, min(batch, self.samples - start)) for start in range(0, self.samples, batch)]

    def _runner(self, count: int) -> Runner:
        """The net for batches of `count` samples, over the same blobs."""
        if count not in self._runners:
            shapes = {blob: (count, *shape[1:]) for blob, shape in self.shapes.items()}
            self._runners[count] = Runner(self.net, shapes, self.blobs)
        return self._runners[count]

    def _grows(self, blob: str, runner: Runner, count: int) -> bool:
        """Whether an output has an entry for each sample, and so is no score."""
        shape = runner.outputs[blob].shape
        return bool(shape) and shape[0] == count and not any(loss.blob == blob for loss in self.net.losses)

"""What fills the inputs of a net: the data layers of one phase, batch after batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from time import perf_counter
from types import TracebackType
from zlib import crc32

import numpy as np

from netdef.data.ahead import ITEMS, Ahead
from netdef.data.dataset import Dataset
from netdef.data.order import Order
from netdef.data.transform import Transformer

#: seconds that filling a batch has to take before it is worth a thread, whose hand-over costs some 50 us
SLOW = 1e-3


class LayerFeed:
    """Fills the tops of one data layer."""

    def __init__(self, dataset: Dataset, train: bool, seed: int) -> None:
        layer = dataset.layer
        self.dataset = dataset
        self.tops = layer.top
        self._stream = (seed, crc32(f"{layer.name} {train}".encode()))
        self.order = Order(dataset.samples, layer.batch_size, layer.shuffle, self._stream)
        self.transformer = Transformer(layer.transform_param, train)
        self._raw: dict[tuple[int, int], np.ndarray] = {}

    def fill(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the next batch."""
        drawn = self.order.drawn
        random = np.random.default_rng((*self._stream, drawn, 1)) if self.transformer.draws else None
        self.write(self.order.next(), arrays, random)

    def write(
        self, numbers: np.ndarray, arrays: Mapping[str, np.ndarray], random: np.random.Generator | None = None
    ) -> None:
        """Write the samples of these numbers: images through the transformer, everything else as it is."""
        for place, (top, source) in enumerate(zip(self.tops, self.dataset.arrays)):
            raw = self._buffer(place, len(numbers), source)
            np.take(source, numbers, axis=0, out=raw, mode="clip")
            if place == 0:
                self.transformer.write(raw, arrays[top], random)
            else:
                np.copyto(arrays[top], raw, casting="unsafe")

    def _buffer(self, place: int, count: int, source: np.ndarray) -> np.ndarray:
        """An array for raw samples that is used again for every batch of this size."""
        key = (place, count)
        if key not in self._raw:
            self._raw[key] = np.empty((count, *source.shape[1:]), source.dtype)
        return self._raw[key]


class Feed:
    """Fills every input of a net from the datasets of its data layers."""

    def __init__(self, datasets: Sequence[Dataset], train: bool, seed: int) -> None:
        self._made_of = datasets, train, seed
        self.layers = [LayerFeed(dataset, train, seed) for dataset in datasets]

    def fill(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the next batch into the arrays of the net's input blobs."""
        for layer in self.layers:
            layer.fill(arrays)

    @property
    def samples(self) -> int:
        """How many samples the largest set has: the length of an epoch."""
        return max(layer.dataset.samples for layer in self.layers)

    @property
    def drawn(self) -> list[int]:
        """How many samples each layer has drawn: the position in the data."""
        return [layer.order.drawn for layer in self.layers]

    @drawn.setter
    def drawn(self, position: Sequence[int]) -> None:
        if len(position) != len(self.layers):
            raise ValueError(f"a position for {len(position)} data layers, not for {len(self.layers)}")
        for layer, drawn in zip(self.layers, position):
            layer.order.drawn = drawn

    def twin(self) -> Feed:
        """Another feed at the same position, which gives the same batches."""
        twin = Feed(*self._made_of)
        twin.drawn = self.drawn
        return twin


#: the arrays of a batch by input blob, and the position in the data after it
_Batch = tuple[dict[str, np.ndarray], list[int]]


class FeedAhead:
    """Fills inputs from a feed whose next batch is read and transformed while the caller computes.

    The batches are those that `feed` would give, and its position is after the one that was filled last.  In
    the `with` block that it is for, nobody else may use `feed`.  The background thread starts once a batch
    other than the first, which opens files and draws an order, took longer than `SLOW`.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._warm = False
        self._batches: Ahead[_Batch] | None = None

    def fill(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the next batch into the arrays of the net's input blobs, the same for every call."""
        if self._batches is None:
            start = perf_counter()
            self._feed.fill(arrays)
            if self._warm and perf_counter() - start > SLOW:
                self._batches = Ahead(_batches(self._feed.twin(), arrays))
            self._warm = True
            return
        batch, drawn = next(self._batches)
        for top, array in batch.items():
            np.copyto(arrays[top], array)
        self._feed.drawn = drawn

    def __enter__(self) -> FeedAhead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._batches is not None:
            self._batches.__exit__(kind, error, trace)


def _batches(feed: Feed, arrays: Mapping[str, np.ndarray]) -> Iterator[_Batch]:
    """The batches of a feed without end, in memory like `arrays`, of which there are `ITEMS`."""
    tops = [top for layer in feed.layers for top in layer.tops]
    for batch in cycle([{top: np.empty_like(arrays[top]) for top in tops} for _ in range(ITEMS)]):
        feed.fill(batch)
        yield batch, feed.drawn

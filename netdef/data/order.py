"""In which order samples are drawn."""

from __future__ import annotations

import numpy as np


class Order:
    """Sample numbers, batch after batch, without end; a batch may straddle two epochs, as in Caffe.

    With `shuffle` every epoch has a permutation of its own, drawn from the seed and the epoch's number alone,
    so that `drawn`, the count of samples drawn so far, is the whole state.
    """

    def __init__(self, samples: int, batch_size: int, shuffle: bool, seed: tuple[int, ...]) -> None:
        self.samples, self.batch_size, self.shuffle, self.seed = samples, batch_size, shuffle, seed
        self.drawn = 0
        self._epoch = -1
        self._numbers = np.arange(samples)
        self._batch = np.empty(batch_size, np.intp)

    def next(self) -> np.ndarray:
        """The numbers of the next batch; the array is used again by the next call."""
        filled = 0
        while filled < self.batch_size:
            epoch, start = divmod(self.drawn, self.samples)
            numbers = self._epoch_numbers(epoch)
            count = min(self.batch_size - filled, self.samples - start)
            self._batch[filled : filled + count] = numbers[start : start + count]
            filled += count
            self.drawn += count
        return self._batch

    def _epoch_numbers(self, epoch: int) -> np.ndarray:
        if self.shuffle and epoch != self._epoch:
            self._numbers[:] = np.arange(self.samples)
            np.random.default_rng((*self.seed, epoch)).shuffle(self._numbers)
        self._epoch = epoch
        return self._numbers

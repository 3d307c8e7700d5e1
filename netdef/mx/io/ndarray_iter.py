"""NDArrayIter: batches of arrays that are in memory (MXNet's io)."""

from __future__ import annotations

from typing import Any

import numpy as np

from netdef.diag import MXNetError, did_you_mean
from netdef.mx.io.batch import DataBatch, DataDesc, DataIter
from netdef.mx.io.checks import batch_size_of
from netdef.mx.ndarray import NDArray, array

_HANDLES = ("pad", "discard", "roll_over")


class NDArrayIter(DataIter):
    """Batches of `batch_size` samples from arrays of shape (samples, ...).

    `data` and `label` are each an array (numpy or NDArray), a list of arrays, or a dict of them by name;
    `label` may be None.  A single array is called `data_name` or `label_name`, those of a list `_0_data`,
    `_1_data`, ...; those of a dict come in the order of their names.  numpy arrays become float32, NDArrays
    keep their dtype.  Batches are copies.

    `last_batch_handle` says what happens to samples that do not fill a batch: "pad" fills it up with the
    first samples, whose number is the batch's `pad`; "discard" leaves them out; "roll_over" keeps them for
    the first batch of the next epoch, after `reset`.  With `shuffle` each epoch has an order of its own,
    drawn from numpy's global generator (`numpy.random.seed`), the same as MXNet draws.  `layout` is noted in
    `provide_data` and `provide_label`.

    Raises `TypeError` for what is no array, `ValueError` for arrays that are empty or disagree in their
    number of samples, for an unknown `last_batch_handle` and for "discard" with less than one batch.
    """

    def __init__(
        self,
        data: Any,
        label: Any = None,
        batch_size: int = 1,
        shuffle: bool = False,
        last_batch_handle: str = "pad",
        data_name: str = "data",
        label_name: str = "softmax_label",
        layout: str | None = "NCHW",
    ) -> None:
        super().__init__(batch_size_of(batch_size))
        if last_batch_handle not in _HANDLES:
            hint = did_you_mean(str(last_batch_handle), _HANDLES)
            raise ValueError(f"last_batch_handle {last_batch_handle!r} is not known; {hint}")
        self.data = _named(data, data_name, "data")
        self.label = [] if label is None else _named(label, label_name, "label")
        if not self.data:
            raise ValueError("data holds no array; give at least one")
        self.num_data = _samples([*self.data, *self.label])
        if last_batch_handle == "discard" and self.num_data < self.batch_size:
            raise ValueError(
                f"{self.num_data} samples do not fill a batch of {self.batch_size}, so that "
                "last_batch_handle='discard' leaves nothing; make batch_size smaller"
            )
        self.last_batch_handle, self.shuffle, self.layout = last_batch_handle, shuffle, layout
        self.provide_data, self.provide_label = self._describe(self.data), self._describe(self.label)
        self.idx = np.arange(self.num_data)
        #: the sample numbers in the order of this epoch
        self._order = self.idx.copy()
        #: the numbers of the samples that the last epoch left over for this one
        self._carried = self.idx[:0]
        self.hard_reset()

    def _describe(self, arrays: list[tuple[str, NDArray]]) -> list[DataDesc]:
        return [
            DataDesc(name, (self.batch_size, *values.shape[1:]), values.dtype, self.layout)
            for name, values in arrays
        ]

    def hard_reset(self) -> None:
        """Begin an epoch at the first sample, whatever the last one left over."""
        self._carried = self.idx[:0]
        self._shuffle()
        #: the place of this batch's first sample in the epoch, negative where samples were carried over
        self.cursor = -self.batch_size

    def reset(self) -> None:
        """Begin the next epoch; with "roll_over" after the samples that this one left over."""
        left_over = self.num_data - self.cursor
        if self.last_batch_handle == "roll_over" and 0 < left_over < self.batch_size:
            self._carried = self._order[self.cursor :].copy()
            self._shuffle()
            self.cursor = -left_over - self.batch_size
        else:
            self.hard_reset()

    def _shuffle(self) -> None:
        if self.shuffle:
            np.random.shuffle(self.idx)
            # MXNet shuffles the arrays themselves, each time in the order that the last one left.
            self._order = self._order[self.idx]

    def iter_next(self) -> bool:
        """Go to the next batch; False at the end of the epoch."""
        self.cursor += self.batch_size
        return self.cursor < self.num_data

    def next(self) -> DataBatch:
        """The next batch, always full; raises `StopIteration` at the end of the epoch."""
        if not self.iter_next():
            raise StopIteration
        if self.last_batch_handle != "pad" and self.cursor >= 0 and self._end() > self.num_data:
            raise StopIteration
        return DataBatch(data=self.getdata(), label=self.getlabel(), pad=self.getpad(), index=self.getindex())

    def getdata(self) -> list[NDArray]:
        """The data of this batch; raises `AssertionError` before the first and after the last one."""
        return self._batch(self.data)

    def getlabel(self) -> list[NDArray]:
        """The labels of this batch; raises `AssertionError` before the first and after the last one."""
        return self._batch(self.label)

    def getpad(self) -> int:
        """How many samples of this batch are not of this epoch: filled up at the end, or carried over."""
        if self.last_batch_handle == "pad":
            return max(self._end() - self.num_data, 0)
        return -self.cursor if -self.batch_size < self.cursor < 0 else 0

    def _end(self) -> int:
        return self.cursor + self.batch_size

    def _batch(self, arrays: list[tuple[str, NDArray]]) -> list[NDArray]:
        if not -self.batch_size < self.cursor < self.num_data:
            when = (
                "before the first batch; call next" if self.cursor < 0 else "after the last batch; call reset"
            )
            raise AssertionError(f"there are no data {when} first")
        return [_pick(values, self._numbers()) for _, values in arrays]

    def _numbers(self) -> np.ndarray:
        """The numbers of this batch's samples."""
        begin, end = self.cursor, self._end()
        if begin < 0:
            if end > self.num_data:
                raise MXNetError(
                    f"{len(self._carried)} samples carried over and an epoch of {self.num_data} do not fill "
                    f"a batch of {self.batch_size}; make batch_size smaller"
                )
            return np.concatenate((self._carried, self._order[:end]))
        if end > self.num_data and self.last_batch_handle == "pad":
            return self._order[np.arange(begin, end) % self.num_data]
        return self._order[begin:end]


def _pick(values: NDArray, numbers: np.ndarray) -> NDArray:
    """A copy of the samples of these numbers."""
    first, last = int(numbers[0]), int(numbers[-1])
    # Samples in a row are copied once, others are gathered first.
    in_a_row = len(numbers) == last - first + 1 and bool((np.diff(numbers) == 1).all())
    part = values.array[first : last + 1] if in_a_row else values.array[numbers]
    return array(part, ctx=values.context, dtype=values.dtype)


def _named(given: Any, default_name: str, what: str) -> list[tuple[str, NDArray]]:
    """The arrays of an argument with their names."""
    if isinstance(given, dict):
        for name in given:
            if not isinstance(name, str):
                raise TypeError(f"the names in {what} must be texts, not {name!r}")
        pairs = sorted(given.items(), key=lambda pair: pair[0])
    elif isinstance(given, list):
        names = [default_name] if len(given) == 1 else [f"_{i}_{default_name}" for i in range(len(given))]
        pairs = list(zip(names, given))
    elif isinstance(given, (np.ndarray, NDArray)):
        pairs = [(default_name, given)]
    else:
        raise TypeError(
            f"{what} is a {type(given).__name__}; give a numpy array, an NDArray, a list or a dict of them"
        )
    return [(name, _as_ndarray(values, name)) for name, values in pairs]


def _as_ndarray(values: Any, name: str) -> NDArray:
    if isinstance(values, NDArray):
        return values
    if not isinstance(values, (np.ndarray, list, tuple)):
        raise TypeError(
            f"{name} is a {type(values).__name__}; give an NDArray or a numpy array (numpy.asarray makes one)"
        )
    try:
        numbers = np.asarray(values)
    except ValueError:
        raise TypeError(f"{name} is a list whose parts have different lengths; give an array") from None
    if numbers.dtype.kind not in "biuf":
        raise TypeError(f"{name} holds {numbers.dtype}, which no net can take; give real numbers")
    return array(numbers)


def _samples(arrays: list[tuple[str, NDArray]]) -> int:
    """The number of samples, in which all arrays must agree."""
    counts = {}
    for name, values in arrays:
        if not values.shape:
            raise ValueError(f"{name} is a single number; its first axis must count the samples")
        counts[name] = values.shape[0]
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise ValueError(f"the arrays disagree in their number of samples: {told}")
    samples = next(iter(counts.values()))
    if not samples:
        raise ValueError(f"{arrays[0][0]} has no samples: its shape is {arrays[0][1].shape}")
    return samples

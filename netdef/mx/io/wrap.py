"""Iterators around other iterators: ResizeIter and PrefetchingIter (MXNet's io)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from netdef.diag import MXNetError
from netdef.mx.io.batch import DataBatch, DataDesc, DataIter
from netdef.mx.io.checks import whole_number
from netdef.mx.ndarray import NDArray

Renames = Sequence[Mapping[str, str]] | None


def _next_of(inner: Any) -> DataBatch | None:
    """The next batch of an iterator, None at the end of its epoch."""
    try:
        batch: DataBatch = inner.next()
    except StopIteration:
        return None
    return batch


class _Wrapper(DataIter):
    """An iterator whose batches others make: `iter_next` sets `current_batch`."""

    current_batch: DataBatch | None = None

    def next(self) -> DataBatch:
        """The next batch; raises `StopIteration` at the end of the epoch."""
        if not self.iter_next():
            raise StopIteration
        return self._batch()

    def getdata(self) -> Sequence[NDArray] | None:
        """The data of this batch; raises `AssertionError` before the first one."""
        return self._batch().data

    def getlabel(self) -> Sequence[NDArray] | None:
        """The labels of this batch; raises `AssertionError` before the first one."""
        return self._batch().label

    def getindex(self) -> Any:
        """The numbers of this batch's samples; raises `AssertionError` before the first one."""
        return self._batch().index

    def getpad(self) -> int | None:
        """How many samples at the end of this batch only fill it up."""
        return self._batch().pad

    def _batch(self) -> DataBatch:
        if self.current_batch is None:
            raise AssertionError("there is no batch yet; call next first")
        return self.current_batch


class ResizeIter(_Wrapper):
    """Makes epochs of `size` batches out of those of `data_iter`, which begins anew as often as it takes.

    `reset` also resets `data_iter` unless `reset_internal` is False: then an epoch goes on where the last one
    stopped.  Raises `MXNetError` where `data_iter` gives no batch at all.
    """

    def __init__(self, data_iter: Any, size: int, reset_internal: bool = True) -> None:
        super().__init__(data_iter.batch_size)
        self.data_iter, self.size, self.reset_internal = data_iter, whole_number("size", size), reset_internal
        if self.size < 0:
            raise ValueError(f"size is {size}; it must be at least 0")
        self.cur = 0
        self.provide_data, self.provide_label = data_iter.provide_data, data_iter.provide_label
        if hasattr(data_iter, "default_bucket_key"):
            self.default_bucket_key = data_iter.default_bucket_key

    def reset(self) -> None:
        """Begin the next epoch."""
        self.cur = 0
        if self.reset_internal:
            self.data_iter.reset()

    def iter_next(self) -> bool:
        """Go to the next batch; False after `size` of them."""
        if self.cur >= self.size:
            return False
        batch = _next_of(self.data_iter)
        if batch is None:
            self.data_iter.reset()
            batch = _next_of(self.data_iter)
        if batch is None:
            raise MXNetError(f"the {type(self.data_iter).__name__} to be resized gives no batch")
        self.current_batch = batch
        self.cur += 1
        return True


class PrefetchingIter(_Wrapper):
    """Reads the next batch of `iters`, an iterator or a list of them, while the current one is used.

    A batch has the data and the labels of all, one after the other.  `rename_data` and `rename_label` hold a
    dict for each iterator: new names for all that it provides.  Each iterator is read by a thread of its own,
    which ends with the PrefetchingIter; what it raises, `next` raises, until `reset`.

    Raises `ValueError` where `iters` is empty, a dict of names is missing or lacks one, and `AssertionError`
    (as MXNet does) where the iterators' epochs or their `pad` differ.
    """

    def __init__(self, iters: Any, rename_data: Renames = None, rename_label: Renames = None) -> None:
        self.iters = list(iters) if isinstance(iters, (list, tuple)) else [iters]
        if not self.iters:
            raise ValueError("iters is empty; give at least one iterator")
        self.n_iter = len(self.iters)
        self.rename_data, self.rename_label = rename_data, rename_label
        self.provide_data = self._renamed("provide_data", "rename_data", rename_data)
        self.provide_label = self._renamed("provide_label", "rename_label", rename_label)
        super().__init__(self.iters[0].batch_size)
        # The pool's threads end when it is no longer referred to, which is when this iterator is not.
        self._pool = ThreadPoolExecutor(self.n_iter, "PrefetchingIter")
        self._coming = self._fetch()

    def _renamed(self, provided: str, argument: str, renames: Renames) -> list[DataDesc]:
        listed = [
            [d if isinstance(d, DataDesc) else DataDesc(*d) for d in getattr(inner, provided)]
            for inner in self.iters
        ]
        if renames is None:
            return [description for one in listed for description in one]
        if isinstance(renames, (Mapping, str)) or len(renames) != self.n_iter:
            raise ValueError(f"{argument} must be a list with a dict for each of the {self.n_iter} iterators")
        for names, one in zip(renames, listed):
            if missing := [d.name for d in one if d.name not in names]:
                raise ValueError(f"{argument} has no new name for {', '.join(missing)}")
        return [
            DataDesc(names[d.name], d.shape, d.dtype, d.layout)
            for names, one in zip(renames, listed)
            for d in one
        ]

    def _fetch(self) -> list[Future[DataBatch | None]]:
        # Nothing of this iterator is given to the threads: they must not keep it alive.
        return [self._pool.submit(_next_of, inner) for inner in self.iters]

    def reset(self) -> None:
        """Begin the next epoch of all iterators, once their threads have finished what they are reading."""
        for coming in self._coming:
            coming.exception()
        for inner in self.iters:
            inner.reset()
        self._coming = self._fetch()

    def iter_next(self) -> bool:
        """Go to the next batch; False at the end of the epoch.  Raises what an iterator raised."""
        batches = [coming.result() for coming in self._coming]
        whole = [batch for batch in batches if batch is not None]
        if not whole:
            return False
        if len(whole) != len(batches):
            raise AssertionError("the iterators' epochs have different numbers of batches")
        if len({batch.pad for batch in whole}) > 1:
            raise AssertionError(
                f"the iterators' pads differ: {', '.join(str(batch.pad) for batch in whole)}"
            )
        self._coming = self._fetch()
        self.current_batch = DataBatch(
            [array for batch in whole for array in batch.data or ()],
            [array for batch in whole for array in batch.label or ()],
            pad=whole[0].pad,
            index=whole[0].index,
            provide_data=self.provide_data,
            provide_label=self.provide_label,
        )
        return True

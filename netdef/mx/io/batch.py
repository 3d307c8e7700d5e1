"""What a data iterator says and gives: descriptions, batches, and the protocol itself (MXNet's io)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from netdef.mx.ndarray import NDArray

Shapes = Sequence[tuple[str, tuple[int, ...]]] | Mapping[str, tuple[int, ...]]
Types = Sequence[tuple[str, Any]] | Mapping[str, Any] | None


class _NameAndShape(NamedTuple):
    name: str
    shape: tuple[int, ...]


class DataDesc(_NameAndShape):
    """The name, shape, dtype and layout of one input of a net.

    It is the tuple `(name, shape)` with two more attributes: `dtype`, float32 by default, and `layout`, a
    letter for each axis ("NCHW" by default), N for the one that counts samples.  MXNet's DataDesc.
    """

    dtype: Any
    layout: str | None

    def __new__(
        cls, name: str, shape: tuple[int, ...], dtype: Any = np.float32, layout: str | None = "NCHW"
    ) -> DataDesc:
        made = super().__new__(cls, name, shape)
        made.dtype, made.layout = dtype, layout
        return made

    def __repr__(self) -> str:
        return f"DataDesc[{self.name},{self.shape},{self.dtype},{self.layout}]"

    @staticmethod
    def get_batch_axis(layout: str | None) -> int:
        """The axis of `layout` along which samples are counted: that of N, -1 without one; 0 for None."""
        return 0 if layout is None else layout.find("N")

    @staticmethod
    def get_list(shapes: Shapes, types: Types) -> list[DataDesc]:
        """Descriptions from (name, shape) pairs and (name, dtype) pairs, or dicts of them.

        `types` may be None: all are float32.  Raises `KeyError` for a name without a type.
        """
        pairs = list(shapes.items() if isinstance(shapes, Mapping) else shapes)
        if types is None:
            return [DataDesc(name, shape) for name, shape in pairs]
        dtypes = dict(types)
        return [DataDesc(name, shape, dtypes[name]) for name, shape in pairs]


class DataBatch:
    """One batch: what `DataIter.next` gives and `Module.forward` takes.

    `data` and `label` are lists of NDArrays in the order of the iterator's `provide_data` and
    `provide_label`; `label` is None where there are none.  `pad` counts the samples at the end of the batch
    that only fill it up, `index` numbers the samples.  `bucket_key`, `provide_data` and `provide_label` are
    for nets that differ from batch to batch (MXNet's BucketingModule).  Raises `AssertionError` where `data`
    or `label` is neither a list nor a tuple, as MXNet does.
    """

    def __init__(
        self,
        data: Sequence[NDArray] | None,
        label: Sequence[NDArray] | None = None,
        pad: int | None = None,
        index: Any = None,
        bucket_key: Any = None,
        provide_data: Sequence[DataDesc] | None = None,
        provide_label: Sequence[DataDesc] | None = None,
    ) -> None:
        for what, arrays in (("data", data), ("label", label)):
            if arrays is not None and not isinstance(arrays, (list, tuple)):
                raise AssertionError(f"{what} must be a list of NDArrays, not {type(arrays).__name__}")
        self.data, self.label, self.pad, self.index = data, label, pad, index
        self.bucket_key = bucket_key
        self.provide_data, self.provide_label = provide_data, provide_label

    def __str__(self) -> str:
        return f"DataBatch: data shapes: {_shapes(self.data)} label shapes: {_shapes(self.label)}"


def _shapes(arrays: Sequence[NDArray] | None) -> list[tuple[int, ...]] | None:
    return None if arrays is None else [array.shape for array in arrays]


class DataIter:
    """The protocol of MXNet's data iterators, to be derived from.

    A subclass has `batch_size`, `provide_data` and `provide_label` (lists of `DataDesc`), and either `next`,
    which gives the next `DataBatch` or raises `StopIteration`, or the parts of which `next` is made here:
    `iter_next`, `getdata`, `getlabel`, `getpad`, `getindex`.  `reset` begins the next epoch.
    """

    provide_data: Sequence[DataDesc]
    provide_label: Sequence[DataDesc]

    def __init__(self, batch_size: int = 0) -> None:
        self.batch_size = batch_size

    def __iter__(self) -> DataIter:
        return self

    def __next__(self) -> DataBatch:
        return self.next()

    def next(self) -> DataBatch:
        """The next batch; raises `StopIteration` at the end of the epoch."""
        if not self.iter_next():
            raise StopIteration
        return DataBatch(data=self.getdata(), label=self.getlabel(), pad=self.getpad(), index=self.getindex())

    def reset(self) -> None:
        """Begin the next epoch; an iterator without epochs need not override this."""

    def iter_next(self) -> bool:
        """Go to the next batch; False at the end of the epoch."""
        raise NotImplementedError(f"{type(self).__name__} has neither next nor iter_next")

    def getdata(self) -> Any:
        """The data of this batch, a list of NDArrays."""
        raise NotImplementedError(f"{type(self).__name__} has neither next nor getdata")

    def getlabel(self) -> Any:
        """The labels of this batch, a list of NDArrays; None where there are none."""
        return None

    def getindex(self) -> Any:
        """The numbers of this batch's samples; None where they are not known."""
        return None

    def getpad(self) -> int | None:
        """How many samples at the end of this batch only fill it up; None where it is not known."""
        return None

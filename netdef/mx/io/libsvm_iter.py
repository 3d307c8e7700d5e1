"""LibSVMIter: batches of rows of which a text file holds the numbers that are not zero (MXNet's io)."""

from __future__ import annotations

from typing import Any

import numpy as np

from netdef.diag import MXNetError
from netdef.mx.io.checks import flag, whole_number
from netdef.mx.io.csv_iter import numbers_of, shape_of
from netdef.mx.io.rows import RowIter, text_lines

_FLOAT32 = np.dtype("float32")


class LibSVMIter(RowIter):
    """Batches of the rows of `data_libsvm`, each "label position:value position:value ...".

    Positions count from 0 and grow in a row; every value without a position is 0.  A sample has the shape
    `data_shape` with one axis.  Labels have shape (batch_size,), unless `label_libsvm` names a file of the
    same form that holds a row of shape `label_shape` for each, whose own labels do not count.  A folder
    stands for all files in it.  The last batch is filled up with the first rows, after which the next epoch
    begins.

    Raises `MXNetError` for a file that does not exist, for a row that is not of this form (with file and
    line) and for labels of another number than the data.  Batches are dense arrays; MXNet's are sparse.
    """

    def __init__(
        self,
        data_libsvm: str,
        data_shape: Any,
        label_libsvm: str | None = None,
        label_shape: Any = (1,),
        *,
        batch_size: int,
        round_batch: bool = True,
        data_name: str = "data",
        label_name: str = "softmax_label",
        prefetch_buffer: int = 4,
    ) -> None:
        whole_number("prefetch_buffer", prefetch_buffer)
        if not flag("round_batch", round_batch):
            raise MXNetError("LibSVMIter always fills up its last batch; leave round_batch True")
        data, label = _read(data_libsvm, _width("data_shape", data_shape))
        if label_libsvm is not None:
            label, _ = _read(label_libsvm, _width("label_shape", label_shape))
            if len(label) != len(data):
                raise MXNetError(f"{data_libsvm} has {len(data)} rows, {label_libsvm} has {len(label)}")
        super().__init__(data, label, batch_size, (data_name, label_name), round_batch=True)


def _width(name: str, shape: Any) -> int:
    sizes = shape_of(name, shape)
    if len(sizes) != 1:
        raise ValueError(f"{name} is {sizes}; a row has one axis")
    return sizes[0]


def _read(path: str, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a file and the labels at their beginnings."""
    lines = text_lines(path)
    rows, labels = np.zeros((len(lines), width), np.float32), np.zeros(len(lines), np.float32)
    for i, (file, number, line) in enumerate(lines):
        try:
            labels[i] = _fill(rows[i], line)
        except ValueError as error:
            raise MXNetError(f"{file}, line {number}: {error}") from None
    return rows, labels


def _fill(row: np.ndarray, line: str) -> float:
    """Write the values of a line into its row; returns the label.  Raises `ValueError`."""
    label, *fields = line.split()
    pairs = [field.split(":") for field in fields]
    if odd := [field for field, pair in zip(fields, pairs) if len(pair) != 2]:
        raise ValueError(f"{odd[0]!r} is not of the form position:value")
    positions = numbers_of([position for position, _ in pairs], np.dtype("int64"))
    if np.any(np.diff(positions) <= 0) or np.any((positions < 0) | (positions >= len(row))):
        raise ValueError(f"the positions must grow from 0 to at most {len(row) - 1}")
    row[positions] = numbers_of([value for _, value in pairs], _FLOAT32)
    return float(numbers_of([label], _FLOAT32)[0])

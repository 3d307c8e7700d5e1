"""CSVIter: batches of the rows of a text file (MXNet's io)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from netdef.diag import MXNetError
from netdef.mx.io.checks import flag, whole_number
from netdef.mx.io.rows import RowIter, text_lines

_DTYPES = ("float32", "int32", "int64")


class CSVIter(RowIter):
    """Batches of the rows of `data_csv`, each row a sample of shape `data_shape`.

    Rows are numbers with commas between them; a comma at the end and blank lines do not count.  A folder
    stands for all files in it, in the order of their names.  `label_csv` has a row of shape `label_shape` for
    each; without it all labels are 0.  Labels of shape (1,) have shape (batch_size,) in a batch.

    With `round_batch` the last batch is filled up with the first rows, after which the next epoch begins;
    otherwise its last places keep what they had in the batch before.  Either way `pad` counts them.
    `dtype` is float32 (also None), int32 or int64, for data and labels alike.  All rows are read at once,
    so that `prefetch_buffer` changes nothing.

    Raises `MXNetError` for a file that does not exist, for a row that is too long or too short, for a field
    that is no number of this type (both with file and line) and for labels of another number than the data.
    """

    def __init__(
        self,
        data_csv: str,
        data_shape: Any,
        label_csv: str | None = None,
        label_shape: Any = (1,),
        *,
        batch_size: int,
        round_batch: bool = True,
        dtype: Any = None,
        data_name: str = "data",
        label_name: str = "softmax_label",
        prefetch_buffer: int = 4,
    ) -> None:
        kind = np.dtype("float32" if dtype is None else dtype)
        if kind.name not in _DTYPES:
            raise MXNetError(f"dtype {kind.name} is not for CSVIter; legal: {', '.join(_DTYPES)}")
        whole_number("prefetch_buffer", prefetch_buffer)
        sizes = shape_of("label_shape", label_shape)
        data = _read(data_csv, shape_of("data_shape", data_shape), kind)
        if label_csv is None:
            label = np.zeros((len(data), *sizes), kind)
        else:
            label = _read(label_csv, sizes, kind)
            if len(label) != len(data):
                raise MXNetError(f"{data_csv} has {len(data)} rows, {label_csv} has {len(label)}")
        if sizes == (1,):
            label = label[:, 0]
        super().__init__(data, label, batch_size, (data_name, label_name), flag("round_batch", round_batch))


def shape_of(name: str, shape: Any) -> tuple[int, ...]:
    """A shape given as a number or a sequence of numbers; raises `TypeError` or `ValueError`."""
    sizes = tuple(
        whole_number(name, size) for size in (shape if isinstance(shape, (tuple, list)) else (shape,))
    )
    if not sizes or min(sizes) < 1:
        raise ValueError(f"{name} is {shape!r}; each of its sizes must be at least 1")
    return sizes


def _read(path: str, shape: tuple[int, ...], kind: np.dtype[Any]) -> np.ndarray:
    """The rows of a file, each in this shape."""
    lines = text_lines(path)
    rows = np.empty((len(lines), math.prod(shape)), kind)
    for row, (file, number, line) in zip(rows, lines):
        fields = line.strip().removesuffix(",").split(",")
        if len(fields) != len(row):
            raise MXNetError(
                f"{file}, line {number}: {len(fields)} numbers, but the shape {shape} has {len(row)}"
            )
        try:
            row[:] = numbers_of(fields, kind)
        except ValueError as error:
            raise MXNetError(f"{file}, line {number}: {error}") from None
    return rows.reshape(len(lines), *shape)


def numbers_of(fields: list[str], kind: np.dtype[Any]) -> np.ndarray:
    """Texts as numbers of a type; raises `ValueError` that names the first that is none, or does not fit."""
    wide = np.float64 if kind.kind == "f" else np.int64
    try:
        numbers = np.array([_parse(field, kind) for field in fields], wide)
    except (ValueError, OverflowError):
        numbers = None
    limits: Any = np.finfo(kind) if kind.kind == "f" else np.iinfo(kind)
    low, high = (wide(limit).item() for limit in (limits.min, limits.max))
    if numbers is None or np.any(((numbers < low) | (numbers > high)) & ~np.isinf(numbers)):
        raise ValueError(_first_fault(fields, kind, low, high))
    return numbers.astype(kind)


def _parse(field: str, kind: np.dtype[Any]) -> Any:
    if "_" in field:  # which Python takes for a separator of digits
        raise ValueError
    return float(field) if kind.kind == "f" else int(field)


def _first_fault(fields: list[str], kind: np.dtype[Any], low: Any, high: Any) -> str:
    """What is wrong with the first of these fields that is no number between `low` and `high`."""
    for field in fields:
        try:
            number = _parse(field, kind)
        except ValueError:
            return f"{field.strip()!r} is not a {'whole ' if kind.kind == 'i' else ''}number"
        infinite_or_nan = isinstance(number, float) and not math.isfinite(number)
        if not infinite_or_nan and not low <= number <= high:
            break
    return f"{field.strip()} does not fit in {kind.name}"

"""Batches from arrays that were read from a file, as MXNet's C++ iterators give them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netdef.diag import MXNetError
from netdef.mx.io.batch import DataBatch, DataDesc, DataIter
from netdef.mx.io.checks import batch_size_of
from netdef.mx.ndarray import NDArray, array


class RowIter(DataIter):
    """Batches of `batch_size` rows of two arrays, `data` and `label`, of the same length.

    With `round_batch` the last batch is filled up with the first rows, and the next epoch begins after them;
    otherwise it keeps in its last places what the batch before had there.  `pad` counts these rows, `index`
    holds the numbers of a batch's rows.  With `whole` rows that do not fill a batch are left out instead.
    `reset` before the end of an epoch begins at the first row.

    Unlike in other iterators, `getdata` and `getlabel` give an NDArray, not a list of one; so does MXNet.
    """

    def __init__(
        self,
        data: np.ndarray,
        label: np.ndarray,
        batch_size: int,
        names: tuple[str, str],
        round_batch: bool = False,
        whole: bool = False,
    ) -> None:
        super().__init__(batch_size_of(batch_size))
        self._data, self._label, self._round, self._whole = data, label, round_batch, whole
        #: where the next batch begins; beyond the last row where the last batch was filled up
        self._position = 0
        self._numbers = np.zeros(self.batch_size, np.intp)
        self._pad = 0
        descriptions = [
            DataDesc(name, (self.batch_size, *rows.shape[1:]), self._convert(rows[:1]).dtype)
            for name, rows in zip(names, (data, label))
        ]
        self.provide_data, self.provide_label = descriptions[:1], descriptions[1:]

    def reset(self) -> None:
        """Begin the next epoch."""
        rows = len(self._data)
        self._position = self._position % rows if self._round and self._position > rows else 0

    def iter_next(self) -> bool:
        """Go to the next batch; False at the end of the epoch."""
        rows, begin, end = len(self._data), self._position, self._position + self.batch_size
        if begin >= rows or (self._whole and end > rows):
            return False
        if self._round:
            self._numbers = np.arange(begin, end) % rows
        else:
            self._numbers[: rows - begin] = np.arange(begin, min(end, rows))
        self._pad = max(end - rows, 0)
        self._position = end
        return True

    def next(self) -> DataBatch:
        """The next batch; raises `StopIteration` at the end of the epoch."""
        if not self.iter_next():
            raise StopIteration
        return DataBatch([self.getdata()], [self.getlabel()], pad=self.getpad(), index=self.getindex())

    def getdata(self) -> NDArray:
        """The data of this batch."""
        return self._convert(self._data[self._numbers])

    def getlabel(self) -> NDArray:
        """The labels of this batch."""
        return self._convert(self._label[self._numbers])

    def getindex(self) -> np.ndarray:
        """The numbers of this batch's rows, as uint64."""
        return self._numbers.astype(np.uint64)

    def getpad(self) -> int:
        """How many rows at the end of this batch only fill it up."""
        return self._pad

    def _convert(self, rows: np.ndarray) -> NDArray:
        """Rows as they were read, in the form of a batch."""
        return array(rows, dtype=rows.dtype)


def text_lines(path: str) -> list[tuple[Path, int, str]]:
    """Every line of a text file, or of all files of a folder in the order of their names, that is not blank.

    Each comes with its file and its number.  Raises `MXNetError` where there is none and for a file that
    cannot be read.
    """
    place = Path(path)
    files = sorted(file for file in place.iterdir() if file.is_file()) if place.is_dir() else [place]
    lines = []
    for file in files:
        # A pipe or a device may never end.
        if not file.is_file():
            kind = "is not a regular file" if file.exists() else "does not exist"
            raise MXNetError(f"{file} {kind}; give a text file or a folder of them")
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise MXNetError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from None
        lines += [(file, number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise MXNetError(f"{path} holds no rows")
    return lines

"""The arrays behind a data layer, checked before they are used."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from netdef.data import codes
from netdef.data.arrays import read_idx, read_npy, read_npz_array
from netdef.diag import EnvironmentFault, Findings
from netdef.source import BadFile
from netdef.spec.layers.base import Layer
from netdef.spec.layers.data import ArrayData, FileData


class Dataset(NamedTuple):
    """One array for each top of a data layer, all with the same number of samples."""

    layer: FileData
    arrays: tuple[np.ndarray, ...]

    @property
    def samples(self) -> int:
        return len(self.arrays[0])


class Library:
    """Reads the arrays of data layers, each once, however many layers and nets read it."""

    def __init__(self) -> None:
        self._read: dict[tuple[Path, str], np.ndarray] = {}

    def open(self, layer: Layer, findings: Findings) -> Dataset | None:
        """The arrays of a data layer; None, with findings, where they cannot be used.

        Raises `EnvironmentFault` where they do not fit in memory.
        """
        if not isinstance(layer, FileData):
            hint = "use ArrayData or IdxData to train or test from the command line"
            message = f"{layer.name} is an {layer.type} layer, whose blobs nobody fills"
            findings.add(codes.NOT_FED, layer.span("name"), message, hint)
            return None
        before = len(findings)
        layer.input_shapes(findings)
        if len(findings) > before:
            return None
        try:
            arrays = tuple(self._array(path, key, layer) for path, key in layer.files())
            _check_finite(layer, arrays, findings)
        except BadFile as bad:
            findings.add(codes.UNREADABLE_DATA, layer.source_span(), f"{layer.name}: {bad}", bad.hint)
            return None
        except MemoryError:
            files = ", ".join(dict.fromkeys(str(path) for path, _ in layer.files()))
            hint = "store each array as a .npy file in C order, which is not loaded as a whole"
            raise EnvironmentFault(f"{layer.name}: there is not enough memory for {files}; {hint}") from None
        return Dataset(layer, arrays) if len(findings) == before else None

    def _array(self, path: Path, key: str, layer: FileData) -> np.ndarray:
        """An array of a file; `key` is empty where the file holds but one."""
        if (path, key) not in self._read:
            if key:
                array = read_npz_array(path, key)
            else:
                array = read_npy(path) if isinstance(layer, ArrayData) else _idx(path)
            self._read[path, key] = array
        return self._read[path, key]


def _idx(path: Path) -> np.ndarray:
    array = read_idx(path)
    # Images are written without a channel axis: (N, H, W) stands for one channel.
    return array[:, None] if array.ndim == 3 else array


def _check_finite(layer: FileData, arrays: tuple[np.ndarray, ...], findings: Findings) -> None:
    for top, array in zip(layer.top, arrays):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            place = f", at index {where[1:]}" if where[1:] else ""
            message = f"{layer.name}: {top} holds {array[where]} in sample {where[0]}{place}"
            findings.add(codes.NOT_FINITE, layer.source_span(), message, "remove or replace such samples")

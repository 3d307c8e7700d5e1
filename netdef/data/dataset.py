"""The arrays behind a data layer, checked before they are used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from netdef.data import codes
from netdef.data.arrays import read_idx, read_npy, read_npz
from netdef.diag import Findings
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
    """Opens the files of data layers, each file once."""

    def __init__(self) -> None:
        self._npz: dict[Path, dict[str, np.ndarray]] = {}

    def open(self, layer: Layer, findings: Findings) -> Dataset | None:
        """The arrays of a data layer; None, with findings, where they cannot be used."""
        if not isinstance(layer, FileData):
            hint = "use ArrayData or IdxData to train or test from the command line"
            message = f"{layer.name} is an {layer.type} layer, whose blobs nobody fills"
            findings.add(codes.NOT_FED, layer.span("name"), message, hint)
            return None
        before = len(findings)
        layer.input_shapes(findings)
        if len(findings) > before:
            return None
        read: Callable[[Path, str], np.ndarray] = self._array if isinstance(layer, ArrayData) else _idx
        try:
            arrays = tuple(read(path, key) for path, key in layer.files())
        except BadFile as bad:
            findings.add(codes.UNREADABLE_DATA, layer.source_span(), f"{layer.name}: {bad}", bad.hint)
            return None
        _check_finite(layer, arrays, findings)
        return Dataset(layer, arrays) if len(findings) == before else None

    def _array(self, path: Path, key: str) -> np.ndarray:
        if not key:
            return read_npy(path)
        if path not in self._npz:
            self._npz[path] = read_npz(path)
        return self._npz[path][key]


def _idx(path: Path, key: str) -> np.ndarray:
    array = read_idx(path)
    # Images are written without a channel axis: (N, H, W) stands for one channel.
    return array[:, None] if array.ndim == 3 else array


def _check_finite(layer: FileData, arrays: tuple[np.ndarray, ...], findings: Findings) -> None:
    for top, array in zip(layer.top, arrays):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            message = f"{layer.name}: {top} holds {array[where]} in sample {where[0]}, at index {where[1:]}"
            findings.add(codes.NOT_FINITE, layer.source_span(), message, "remove or replace such samples")

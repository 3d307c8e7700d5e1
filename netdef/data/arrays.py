"""Arrays from .npy, .npz and idx files, whose headers are checked before numpy allocates anything.

All are returned in C order and this machine's byte order, so that a batch is a copy of whole samples.
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from netdef.source import BadFile, idx_header, npy_header, npz_header, npz_headers

#: what reading a damaged file raises
_DAMAGE = (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error)


def read_npy(path: Path) -> np.ndarray:
    """A .npy file, mapped into memory unless it has to be reordered; raises `BadFile`."""
    npy_header(path)
    try:
        return _native(np.load(path, mmap_mode="r", allow_pickle=False))
    except _DAMAGE as error:
        raise BadFile(f"{path.name} cannot be read: {error}", "write it again") from None


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Every array of a .npz file by name; raises `BadFile`."""
    return _load_npz(path, npz_headers(path))


def read_npz_array(path: Path, key: str) -> np.ndarray:
    """One array of a .npz file, whatever the others are; raises `BadFile`."""
    npz_header(path, key)
    return _load_npz(path, [key])[key]


def _load_npz(path: Path, keys: Iterable[str]) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as members:
            return {name: _native(members[name]) for name in keys}
    except _DAMAGE as error:
        raise BadFile(f"{path.name} cannot be read: {error}", "write it again") from None


def read_idx(path: Path) -> np.ndarray:
    """An idx file of bytes, gzipped or not (the format of MNIST); raises `BadFile`."""
    header = idx_header(path)
    try:
        with gzip.open(path) if header.gzipped else path.open("rb") as file:
            file.seek(header.offset)
            data = file.read(header.bytes + 1)
    except _DAMAGE as error:
        raise BadFile(f"{path.name} cannot be read: {error}", "download it again") from None
    if len(data) != header.bytes:
        found = "more" if len(data) > header.bytes else f"only {len(data)}"
        raise BadFile(
            f"{path.name} announces {header.bytes} bytes of data and holds {found}", "download it again"
        )
    return _native(np.frombuffer(data, header.dtype).reshape(header.shape))


def _native(array: np.ndarray) -> np.ndarray:
    """The array in C order and this machine's byte order; the same memory where it is so already.

    numpy.take would copy a Fortran-ordered array as a whole for every batch.
    """
    return np.asarray(array, array.dtype.newbyteorder("="), order="C")

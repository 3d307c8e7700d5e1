"""MXNet's binary lists of arrays (`.params`, `mx.nd.save`), little endian.

u64 0x112, u64 0, u64 count; for each array u32 magic (V1, V2 or V3; anything else is the number of axes
of the layout before 0.12), storage type (V2, V3), shape, device, dtype, raw data; then u64 number of names
(0 for a list) and, for each, u64 length and bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from netdef.diag import MXNetError
from netdef.graph.attributes import DTYPE_NAMES, DTYPE_NUMBERS

LIST_MAGIC = 0x112
V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
#: the most axes that an array may have; numpy's own bound is 32 or 64
MOST_AXES = 32
CPU = 1


class _Reader:
    """Takes numbers from bytes; nothing is believed that the bytes cannot hold."""

    def __init__(self, data: bytes, where: str) -> None:
        self.data, self.where, self.place = memoryview(data), where, 0

    def fail(self, why: str) -> MXNetError:
        return MXNetError(f"{self.where}, byte {self.place}: {why}")

    def take(self, count: int, what: str) -> memoryview:
        left = len(self.data) - self.place
        if count > left:
            raise self.fail(f"the file ends in {what}: {count} bytes are needed, {left} are left")
        part = self.data[self.place : self.place + count]
        self.place += count
        return part

    def numbers(self, form: str, what: str) -> tuple[int, ...]:
        form = f"<{form}"
        return struct.unpack(form, self.take(struct.calcsize(form), what))

    def count(self, least: int, what: str) -> int:
        """A count of things of at least so many bytes each, of which the file has room for all."""
        (count,) = self.numbers("Q", what)
        if count * least > len(self.data) - self.place:
            raise self.fail(f"{what} is {count}, more than the file has room for; it is no file of arrays")
        return count


def read_arrays(data: bytes, where: str = "the data") -> tuple[list[np.ndarray], list[str]]:
    """Arrays and their names, none for a list; raises `MXNetError` with the place of what is wrong."""
    reader = _Reader(data, where)
    magic, _ = reader.numbers("QQ", "the header")
    if magic != LIST_MAGIC:
        raise MXNetError(
            f"{where} is no file of MXNet arrays: it begins with {magic:#x}, not {LIST_MAGIC:#x}"
        )
    arrays = [_array(reader) for _ in range(reader.count(4, "the number of arrays"))]
    names = []
    for _ in range(reader.count(8, "the number of names")):
        raw = bytes(reader.take(reader.count(1, "the length of a name"), "a name"))
        try:
            names.append(raw.decode())
        except UnicodeDecodeError:
            raise reader.fail("a name is no UTF-8 text") from None
    if names and len(names) != len(arrays):
        raise reader.fail(f"there are {len(arrays)} arrays and {len(names)} names")
    if reader.place != len(reader.data):
        raise reader.fail(f"{len(reader.data) - reader.place} bytes follow the last name")
    return arrays, names


def _array(reader: _Reader) -> np.ndarray:
    (magic,) = reader.numbers("I", "an array")
    if magic in (V2, V3):
        (storage,) = reader.numbers("i", "a storage type")
        if storage != 0:
            raise reader.fail(f"an array has storage type {storage}; only dense arrays (0) are read")
    if magic in (V1, V2, V3):
        (axes,) = reader.numbers("i", "a number of axes")
        form = "q"
    else:
        axes, form = magic, "I"  # before 0.12 the number of axes stands first
    if not (0 if magic == V3 else -1) <= axes <= MOST_AXES:
        raise reader.fail(f"an array has {axes} axes; at most {MOST_AXES} are legal")
    shape = reader.numbers(form * max(axes, 0), "a shape")
    if axes <= 0 and magic != V3:
        return np.zeros(0, np.float32)  # MXNet's array that was never filled
    _, _, number = reader.numbers("iii", "a device and a dtype")
    if number not in DTYPE_NAMES:
        raise reader.fail(f"an array has dtype number {number}; legal: {DTYPE_NAMES}")
    if min(shape, default=0) < 0:
        raise reader.fail(f"an array has shape {shape}; sizes are not negative")
    dtype = np.dtype(DTYPE_NAMES[number])
    size = dtype.itemsize
    for length in shape:
        size *= length  # Python's own integers: no overflow
    raw = reader.take(size, f"an array of shape {shape} and dtype {dtype}")
    return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype).reshape(shape)


def write_arrays(arrays: Sequence[Any] | Mapping[str, Any]) -> bytes:
    """The bytes of a list or a dict of numpy arrays; raises `MXNetError` for a dtype that MXNet lacks."""
    named = isinstance(arrays, Mapping)
    values = list(arrays.values()) if isinstance(arrays, Mapping) else list(arrays)
    parts = [struct.pack("<QQQ", LIST_MAGIC, 0, len(values))]
    for value in values:
        if value.dtype.name not in DTYPE_NUMBERS:
            raise MXNetError(f"dtype {value.dtype} cannot be saved; legal: {', '.join(DTYPE_NUMBERS)}")
        magic = V2 if value.ndim and value.size else V3  # V2 has no word for scalars and empty arrays
        parts.append(struct.pack(f"<Iii{value.ndim}q", magic, 0, value.ndim, *value.shape))
        parts.append(struct.pack("<iii", CPU, 0, DTYPE_NUMBERS[value.dtype.name]))
        parts.append(np.ascontiguousarray(value, value.dtype.newbyteorder("<")).tobytes())
    names = [str(name).encode() for name in arrays] if named else []
    parts.append(struct.pack("<Q", len(names)))
    parts += [struct.pack("<Q", len(name)) + name for name in names]
    return b"".join(parts)

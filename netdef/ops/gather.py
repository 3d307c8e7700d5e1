"""Elements at positions that other tensors hold: what the kernels of indexing operators share.

Index tensors may have any type; their numbers are truncated, as in MXNet.  Kernels bring them into a
workspace of int64 and look up rows, or single elements, of flattened arrays.
"""

from __future__ import annotations

from typing import Any

from netdef.ops.arrays import count_up, write_back
from netdef.ops.shapes import Types


def whole(xp: Any, numbers: Any, out: Any) -> None:
    """Write the truncated `numbers` to `out`, an array of integers."""
    xp.copyto(out, numbers.reshape(out.shape), casting="unsafe")


def legal(xp: Any, numbers: Any, size: int, mode: str, out: Any) -> None:
    """Write the indices of an axis of `size` that `numbers` stand for to `out`, an array of integers.

    mode clip takes the nearest one, wrap the rest of a division; raise raises `IndexError` for a number that
    is not between 0 and the last index.
    """
    if mode == "raise":
        require_within(numbers, 0, size - 1)
    whole(xp, numbers, out)
    if mode == "clip":
        xp.clip(out, 0, size - 1, out=out)
    elif mode == "wrap":
        xp.remainder(out, size, out=out)


def require_within(numbers: Any, first: int, last: int) -> None:
    """Raises `IndexError` for a number that is not between the first and the last index."""
    for found in (numbers.min().item(), numbers.max().item()) if numbers.size else ():
        if not first <= found <= last:
            raise IndexError(f"index {found} is out of range: from {first} to {last}")


def take(xp: Any, data: Any, index: Any, axis: int, out: Any) -> None:
    """Write the slices of `data` at legal indices along an axis to `out`."""
    # numpy's take would buffer `out` without a mode, CuPy's has none
    options = {} if xp.__name__ == "cupy" else {"mode": "clip"}
    xp.take(data, index, axis=axis, out=out, **options)


def take_rows(xp: Any, data: Any, index: Any, out: Any) -> None:
    """Write the rows at `index` to `out`, where data and out stand for (rows, -1) and (index.size, -1)."""
    flat = out.reshape(index.size, -1)
    take(xp, data.reshape(-1, flat.shape[1]), index.reshape(-1), 0, flat)
    write_back(xp, flat, out)


def put_rows(xp: Any, source: Any, index: Any, out: Any) -> None:
    """Overwrite the rows of `out` at `index` with those of `source`; of equal indices the last one counts."""
    flat = out.reshape(-1, source.size // index.size)
    flat[index.reshape(-1)] = source.reshape(index.size, -1)
    write_back(xp, flat, out)


def places(xp: Any, index: Any, size: int, ramp: Any, out: Any) -> None:
    """Where elements lie in a flat array that stands for (before, size, after).

    out (before, count, after) receives the place of the element whose number along the middle axis is
    `index`, broadcast to that shape; ramp: max(before, after) whole numbers, a workspace.
    """
    before, _, after = out.shape
    count_up(xp, ramp)
    xp.multiply(index, after, out=out)
    xp.add(out, ramp[:after], out=out)
    xp.multiply(ramp, size * after, out=ramp)
    xp.add(out, ramp[:before].reshape(before, 1, 1), out=out)


def scatter_add(xp: Any, source: Any, place: Any, out: Any) -> None:
    """Set `out` to zero, then add each element of `source` at its place of the flattened `out`.

    One index for each element, not for each row: numpy has a loop of its own for that.  For 2048 of 10000
    rows of 200 it takes 1.3 ms, add.at with rows 5.4, sorting and adding up equal rows 2.9, bincount 3.2.
    """
    out.fill(0)
    flat = out.reshape(-1)
    xp.add.at(flat, place.reshape(-1), source.reshape(-1))
    write_back(xp, flat, out)


def any_index_type(t: Types, index: str, data: str) -> None:
    """An index may have any type; one that nobody declares is made like the data."""
    if t[index] is None:
        t.merge(index, t[data])  # type: ignore[arg-type]

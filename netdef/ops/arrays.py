"""Small helpers for kernels."""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable
from typing import Any

#: numbers of a row that is short: numpy starts a loop for each
SHORT = 64
#: numbers of the longest row that is compared with a vector of one number, which stays in the cache
ALIKE = 16 * 1024
#: numbers that are kept to be copied, where others are counted anew
COUNTED = 1024


def write_back(xp: Any, flat: Any, out: Any) -> None:
    """Finish writing `out` through `flat = out.reshape(...)`.

    A reshape is a view for every layout the planner uses by default; where the strides of `out` forbid one,
    the values written to the copy are brought back.
    """
    if not xp.may_share_memory(flat, out):
        xp.copyto(out, flat.reshape(out.shape))


def batch_last(array: Any) -> Any:
    """The view of an array (N, A...) as (A..., N)."""
    return array.transpose(*range(1, array.ndim), 0)


def with_batch_last(array: Any) -> Any:
    """The memory of an array (N, A...) as (A..., N) if it lies in one piece in that order, else None.

    The plan stores tensors so where all that touch them gain: every loop is then N elements long at least.
    """
    turned = batch_last(array)
    return turned if turned.flags.c_contiguous else None


def copy_rows(xp: Any, target: Any, source: Any) -> None:
    """Copy an array whose rows are short and do not follow each other in memory.

    numpy starts a loop for each of them, which takes as long as to copy some ten numbers, unless a row counts
    as one element.
    """
    width, item = source.shape[-1], source.itemsize
    if width > 1 and source.ndim > 1 and source.dtype == target.dtype and xp.__name__ == "numpy":
        (*_, step, near), (*_, pace, close) = source.strides, target.strides
        if near == close == item and not step == pace == width * item:
            source, target = (array.view(f"V{width * item}") for array in (source, target))
    xp.copyto(target, source)


def at_least(xp: Any, least: float, data: Any, output: Any) -> None:
    """output = max(data, least), for arrays of which rows of the last axes lie in one piece.

    numpy's vector loop for a maximum takes two arrays, but no number: half the time of `clip` in the cache.
    """
    axis = next((k for k in range(1, data.ndim) if math.prod(data.shape[k:]) <= ALIKE), 0)
    if not axis or data.dtype.kind != "f" or xp.__name__ != "numpy":
        xp.clip(data, least, math.inf, out=output)
        return
    count, row = data.shape[axis - 1], data.shape[axis:]
    several = max(1, largest_part(count, ALIKE // max(1, math.prod(row))))
    shape = (*data.shape[: axis - 1], count // several, several, *row)
    data, output = data.reshape(shape), output.reshape(shape)  # an axis made two takes no copy
    alike = _alike(least, data.dtype.name)[: math.prod(shape[axis:])].reshape(shape[axis:])
    xp.maximum(data, alike, out=output)


def sum_of_products(xp: Any, letters: str, one: Any, other: Any, out: Any) -> None:
    """out = the sum that `einsum` makes of two arrays, by the letters of their axes and of those of `out`."""
    if xp.__name__ == "numpy":
        xp.einsum(letters, one, other, out=out)
    else:
        xp.copyto(out, xp.einsum(letters, one, other))


def largest_part(count: int, most: int) -> int:
    """The largest number up to `most` that divides `count`; 0: none."""
    return next((part for part in range(min(most, count), 0, -1) if count % part == 0), 0)


def rectify(xp: Any, data: Any, output: Any) -> None:
    """output = max(data, 0), for the same arrays."""
    at_least(xp, 0.0, data, output)


@functools.lru_cache(maxsize=16)
def _alike(number: float, dtype: str) -> Any:
    """A vector of numpy's that nobody writes to."""
    vector = importlib.import_module("numpy").full(ALIKE, number, dtype)
    vector.setflags(write=False)
    return vector


def as_one(xp: Any, function: Callable[..., None], *arguments: Any) -> None:
    """Call a function that looks at values in a steady kernel: all that it does is one call there."""
    note = getattr(xp, "note", None)
    if note is None:
        function(xp, *arguments)
    else:
        note(function, *arguments)


def ordered(work: Any, like: Any) -> Any:
    """A view of a workspace whose axes lie in memory in the order of those of `like`.

    It has the shape of `like`, or size 1 along some axes.  The plan may store tensors with the batch last;
    loops over two arrays are long only where both agree.
    """
    if like.flags.c_contiguous:
        return work
    return _in_order(work, by_strides(like))


def in_order_of(like: Any, *others: Any) -> tuple[Any, ...]:
    """Views of arrays of one shape with their axes in the order in which the first has them in memory."""
    order = by_strides(like)
    return tuple(array.transpose(order) for array in (like, *others))


def by_strides(array: Any) -> list[int]:
    """The axes of an array in the order in which they lie in memory, the outermost first."""
    return sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))


def ordered_for_sums(work: Any, like: Any, axis: int) -> Any:
    """The same, but with `axis` in front where it is a short row of `like`, of which sums would be slow."""
    if like.ndim == 1 or like.strides[axis] != like.itemsize or like.shape[axis] > SHORT:
        return ordered(work, like)
    return _in_order(work, [axis, *(other for other in by_strides(like) if other != axis)])


def _in_order(work: Any, order: list[int]) -> Any:
    """A view of a workspace whose axes lie in memory in this order."""
    back = sorted(range(work.ndim), key=order.__getitem__)
    return work.reshape([work.shape[axis] for axis in order]).transpose(back)


def as_stored(value: float, dtype: Any) -> Any:
    """A number as an array of `dtype` holds it; whole numbers as in C on the processors that MXNet runs on.

    There the fraction is cut off, what a type lacks room for wraps around, and what no register of 32 (or 64)
    bits holds, not-a-number included, is the lowest number of that register.
    """
    if dtype.kind not in "iu":
        return value
    bits = 8 * dtype.itemsize
    low = -(2 ** (max(bits, 32) - 1))
    whole = int(value) if low - 1 < value < -low else low
    whole %= 2**bits
    return whole - 2**bits if dtype.kind == "i" and whole >= 2 ** (bits - 1) else whole


def count_up(xp: Any, out: Any) -> None:
    """Write 0, 1, 2, ... to a vector: an arange that allocates nothing."""
    if out.size <= COUNTED and xp.__name__ == "numpy":
        xp.copyto(out, _numbers(out.dtype.name)[: out.size])
        return
    xp.copyto(out, 1)
    xp.cumsum(out, out=out)
    xp.subtract(out, 1, out=out)


@functools.lru_cache(maxsize=16)
def _numbers(dtype: str) -> Any:
    """The first numbers from 0 on in a vector of numpy's that nobody writes to."""
    vector = importlib.import_module("numpy").arange(COUNTED).astype(dtype)
    vector.setflags(write=False)
    return vector


def spread(values: Any, like: Any, axis: int) -> Any:
    """A view of `values` that broadcasts against `like`, its axes standing for those from `axis` on."""
    after = like.ndim - axis - values.ndim
    return values.reshape((1,) * axis + values.shape + (1,) * after)


def others(ndim: int, first: int, count: int = 1) -> tuple[int, ...]:
    """All axes but the `count` from `first` on: those that a sum for each channel runs over."""
    return tuple(axis for axis in range(ndim) if not first <= axis < first + count)


def sigmoid(xp: Any, data: Any, output: Any) -> None:
    """1 / (1 + e^-data); `output` may be `data`.

    Where e^-data is infinite this is 0, as it should be.  Caffe's (tanh(data / 2) + 1) / 2 takes as long and
    is 0 in float32 from -17 on, of which a logarithm is infinite.
    """
    xp.negative(data, out=output)
    xp.exp(output, out=output)
    xp.add(output, 1, out=output)
    xp.divide(1, output, out=output)


def softmax(xp: Any, data: Any, axes: tuple[int, ...], peak: Any, output: Any) -> None:
    """Softmax over `axes`; `peak` holds one number for each distribution (size 1 along `axes`).

    The largest value is subtracted first, so that nothing overflows.  `output` may be `data`.
    """
    peak = ordered(peak, data)
    xp.max(data, axis=axes, keepdims=True, out=peak)
    xp.subtract(data, peak, out=output)
    xp.exp(output, out=output)
    xp.sum(output, axis=axes, keepdims=True, out=peak)
    xp.divide(output, peak, out=output)


def choose(
    xp: Any,
    label: Any,
    ignore: int | None,
    axes: tuple[int, ...],
    classes: Any,
    chosen: Any,
    ignored: Any,
    column: Any,
    begin: int = 0,
) -> None:
    """Mark the class that each label names.

    chosen (bool, the shape of the predictions): true at that class along `axes`, none if it is ignored;
    ignored (bool, size 1 along `axes`): whether the label is `ignore`; None where all labels count.  Labels
    are truncated, as in Caffe and MXNet.  classes (their number,) and column (as ignored) are workspaces.
    Comparing with all classes needs no index arrays and works for any strides.

    Raises `ValueError` for the first label that is no class; the first sample has the number `begin`.
    """
    count_up(xp, classes)
    xp.copyto(column, label.reshape(column.shape))
    xp.trunc(column, out=column)
    if ignore is not None:
        xp.equal(column, ignore, out=ignored)
        xp.copyto(column, 0, where=ignored)
    as_one(xp, _require_classes, label.reshape(column.shape), column, classes.size, begin)
    if ignore is not None:
        xp.copyto(column, -1, where=ignored)
    numbers = classes.reshape([size if axis in axes else 1 for axis, size in enumerate(chosen.shape)])
    xp.equal(numbers, column, out=chosen)


def _require_classes(xp: Any, label: Any, whole: Any, count: int, begin: int) -> None:
    if not whole.size or (whole.min() >= 0 and whole.max() < count):
        return
    legal = (whole >= 0) & (whole < count)
    place = tuple(int(axis) for axis in xp.argwhere(~legal)[0])
    told = f"label {label[place].item()} of sample {begin + place[0]}"
    raise ValueError(f"{told} is no class: there are {count}, 0 to {count - 1}")

"""Kernels of normalisation by channels: sums over the batch, made for parts of it or for all at once.

Vectors (C,) have one number for each channel, along `axis` of data.  Where data have the batch last in memory
a channel is one long row: sums are products with a vector of BLAS then, five times as fast as sums over axes,
and are made for as many channels at once as stay in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netdef.ops.arrays import ordered, others, spread, with_batch_last

#: numbers in a block of channels
BLOCK = 128 * 1024


def deviations(xp: Any, data: Any, axis: int, mean: Any, squares: Any, work: Any) -> None:
    """The mean of every channel, and the sum of the squares of data - mean.

    Squares of the centred numbers are exact for data far from zero, too.
    """
    rows = _rows(data, axis, work)
    if rows is None:
        work = ordered(work, data)
        xp.mean(data, axis=others(data.ndim, axis), out=mean)
        xp.subtract(data, spread(mean, data, axis), out=work)
        xp.multiply(work, work, out=work)
        xp.sum(work, axis=others(data.ndim, axis), out=squares)
        return
    flat = work.reshape(-1)
    for part, centred, ones in _blocks(rows, flat):
        xp.copyto(ones, 1 / max(1, rows.shape[1]))
        xp.matmul(rows[part], ones, out=mean[part])
        xp.subtract(rows[part], mean[part, None], out=centred)
        _dot(xp, centred, centred, squares[part])


def pooled(xp: Any, stats: Any, mean: Any, variance: Any, vector: Any) -> float:
    """Mean and biased variance of all parts, of which stats (parts, 3, C) has number, mean and squares.

    Chan, Golub and LeVeque 1983.  Returns how many numbers there are; stats are used up.
    """
    count = float(stats[:, 0, 0].sum()) if stats.shape[2] else 0.0
    mean[...] = 0
    variance[...] = 0
    for number, means, squares in stats:
        xp.multiply(number, means, out=vector)
        xp.add(mean, vector, out=mean)
        xp.add(variance, squares, out=variance)
    xp.divide(mean, max(1.0, count), out=mean)
    for number, means, _ in stats:
        xp.subtract(means, mean, out=vector)
        xp.multiply(vector, vector, out=vector)
        xp.multiply(vector, number, out=vector)
        xp.add(variance, vector, out=variance)
    xp.divide(variance, max(1.0, count), out=variance)
    return count


def projections(
    xp: Any, doutput: Any, data: Any, axis: int, mean: Any, first: Any, second: Any, work: Any
) -> None:
    """The sums of doutput and of doutput * (data - mean) for every channel."""
    rows, upper = _rows(data, axis, work), _rows(doutput, axis, work)
    if rows is None or upper is None or mean.dtype != work.dtype:
        work = ordered(work, data)
        xp.sum(doutput, axis=others(data.ndim, axis), out=first)
        xp.subtract(data, spread(mean, data, axis), out=work)
        xp.multiply(work, doutput, out=work)
        xp.sum(work, axis=others(data.ndim, axis), out=second)
        return
    flat = work.reshape(-1)
    for part, centred, ones in _blocks(rows, flat):
        xp.copyto(ones, 1)
        xp.matmul(upper[part], ones, out=first[part])
        xp.subtract(rows[part], mean[part, None], out=centred)
        _dot(xp, centred, upper[part], second[part])


def scaled(xp: Any, data: Any, axis: int, mean: Any, scale: Any, shift: Any, output: Any) -> None:
    """output = (data - mean) * scale + shift; None for a shift of 0.  output may be data."""
    for part in _parts(data, axis):
        here = (slice(None),) * axis + (part,)
        below = output[here]
        xp.subtract(data[here], spread(mean[part], below, axis), out=below)
        xp.multiply(below, spread(scale[part], below, axis), out=below)
        if shift is not None:
            xp.add(below, spread(shift[part], below, axis), out=below)


def through(
    xp: Any,
    doutput: Any,
    data: Any,
    axis: int,
    mean: Any,
    first: Any,
    second: Any,
    scale: Any,
    work: Any,
    ddata: Any,
) -> None:
    """ddata = (doutput - first - (data - mean) * second) * scale; ddata may be doutput."""
    work = ordered(work, data)
    for part in _parts(data, axis):
        here = (slice(None),) * axis + (part,)
        centred, below = work[here], ddata[here]
        each = (spread(vector[part], data[here], axis) for vector in (mean, first, second, scale))
        middle, less, slope, factor = each
        xp.subtract(data[here], middle, out=centred)
        xp.multiply(centred, slope, out=centred)
        xp.add(centred, less, out=centred)
        xp.subtract(doutput[here], centred, out=below)
        xp.multiply(below, factor, out=below)


def _rows(data: Any, axis: int, work: Any) -> Any:
    """Data as a matrix with a row for each channel, where memory is so and sums are of its dtype."""
    turned = with_batch_last(data) if axis == 1 and data.dtype == work.dtype else None
    return None if turned is None or not data.size else turned.reshape(data.shape[1], -1)


def _parts(data: Any, axis: int) -> Iterator[slice]:
    """A few channels after another."""
    channels = data.shape[axis]
    step = max(1, BLOCK // max(1, data.size // max(1, channels)))
    for start in range(0, channels, step):
        yield slice(start, min(start + step, channels))


def _blocks(rows: Any, flat: Any) -> Iterator[tuple[slice, Any, Any]]:
    """A few rows after another, with a place for as many numbers, which begins as a vector of one row."""
    channels, length = rows.shape
    step = max(1, BLOCK // length)
    for start in range(0, channels, step):
        part = slice(start, min(start + step, channels))
        yield part, flat[: (part.stop - start) * length].reshape(-1, length), flat[:length]


def _dot(xp: Any, left: Any, right: Any, out: Any) -> None:
    """The product of each row with the row of another matrix."""
    xp.matmul(left[:, None], right[..., None], out=out[:, None, None])

"""Kernels of normalisation: mean and variance over some axes, and the gradient through both.

What stands for one group of numbers (`mean`, `var`, `scale`, ...) has size 1 along `axes`, so that it
broadcasts against data.  Sums are made in the dtype of these arrays and of `work`, which for float16 data is
float32.
"""

from __future__ import annotations

from typing import Any


def centre(xp: Any, data: Any, axes: tuple[int, ...], mean: Any, var: Any, output: Any, work: Any) -> None:
    """Write the mean, the biased variance and data - mean.

    The variance is that of the centred numbers, which is exact for data far from zero, too.
    """
    data.mean(axis=axes, keepdims=True, out=mean)
    xp.subtract(data, mean, out=output)
    xp.multiply(output, output, out=work, dtype=work.dtype)
    work.mean(axis=axes, keepdims=True, out=var)


def invert_root(xp: Any, var: Any, eps: float, out: Any) -> None:
    """Write 1 / sqrt(var + eps)."""
    xp.add(var, eps, out=out)
    xp.sqrt(out, out=out)
    xp.divide(1, out, out=out)


def projections(
    xp: Any,
    doutput: Any,
    data: Any,
    axes: tuple[int, ...],
    mean: Any,
    inverse: Any,
    first: Any,
    second: Any,
    work: Any,
) -> None:
    """Write the sums of doutput and of doutput * normalised data: the gradients of shift and factor."""
    doutput.sum(axis=axes, keepdims=True, out=first)
    xp.subtract(data, mean, out=work)
    xp.multiply(work, doutput, out=work)
    work.sum(axis=axes, keepdims=True, out=second)
    xp.multiply(second, inverse, out=second)


def through(
    xp: Any,
    doutput: Any,
    data: Any,
    mean: Any,
    inverse: Any,
    scale: Any,
    first: Any,
    second: Any,
    work: Any,
    ddata: Any,
) -> None:
    """The gradient of (data - mean) * scale, where mean and scale depend on data; uses up the projections.

    scale * (doutput - mean of doutput - normalised data * mean of (doutput * normalised data))
    """
    count = max(1, data.size // max(1, mean.size))
    xp.divide(first, count, out=first)
    xp.divide(second, count, out=second)
    xp.multiply(second, inverse, out=second)
    xp.subtract(data, mean, out=work)
    xp.multiply(work, second, out=work)
    xp.add(work, first, out=work)
    xp.subtract(doutput, work, out=ddata)
    xp.multiply(ddata, scale, out=ddata)

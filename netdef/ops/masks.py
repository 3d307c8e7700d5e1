"""Helpers for kernels that leave elements out: at random (dropout) or as told (masked softmax)."""

from __future__ import annotations

import math
from typing import Any


def drop(xp: Any, random: Any, p: float, data: Any, mask: Any, noise: Any, out: Any) -> None:
    """Dropout: set each element to zero with probability p and scale the others by 1/(1-p).

    mask, if anybody wants it, gets 1 where an element was kept and 0 elsewhere; noise (float32) is a
    workspace.  `out` may be `data`.
    """
    kept = noise if mask is None else mask
    random.random(dtype=xp.float32, out=noise)
    xp.greater_equal(noise, p, out=kept)
    drop_again(xp, p, data, kept, out)


def drop_again(xp: Any, p: float, data: Any, mask: Any, out: Any) -> None:
    """The same elements once more, as for a gradient."""
    xp.multiply(data, mask, out=out)
    xp.multiply(out, 1 / (1 - p) if p < 1 else 1, out=out)


def shift(xp: Any, data: Any, hidden: Any, axis: int, peak: Any, out: Any) -> None:
    """data less the largest of its values that are not hidden, -inf where they are: `out` may be `data`.

    hidden (bool) broadcasts against data; peak has size 1 along `axis`.
    """
    if out is not data:
        xp.copyto(out, data)
    if hidden is not None:
        xp.copyto(out, -math.inf, where=hidden)
    out.max(axis=axis, keepdims=True, out=peak)
    xp.maximum(peak, xp.finfo(peak.dtype).min, out=peak)  # where all are hidden: -inf - -inf would be NaN
    xp.subtract(out, peak, out=out)


def masked_softmax(xp: Any, data: Any, hidden: Any, axis: int, peak: Any, out: Any) -> None:
    """Softmax over the values that are not hidden; 0 for those that are, even if all are.

    The names are those of `shift`.
    """
    shift(xp, data, hidden, axis, peak, out)
    xp.exp(out, out=out)
    out.sum(axis=axis, keepdims=True, out=peak)
    xp.maximum(
        peak, 1, out=peak
    )  # the largest value gives 1, so that the sum is less only where all are hidden
    xp.divide(out, peak, out=out)


def softmax_gradient(xp: Any, doutput: Any, output: Any, axis: int, column: Any, out: Any) -> None:
    """The gradient of the data of a softmax, masked or not; column has size 1 along `axis`."""
    xp.multiply(doutput, output, out=out)
    out.sum(axis=axis, keepdims=True, out=column)
    xp.subtract(doutput, column, out=out)
    xp.multiply(out, output, out=out)

"""References of netdef.ops.columns: every tap of every window by its indices."""

import numpy as np

from references import reference


def taps(op, images):
    """(row, column, place or None in the padding) of each number of the columns, and their counts."""
    n, channels, *sizes = images
    rank = len(sizes)
    kernel, stride, dilate, pad = (
        tuple(numbers) or (default,) * rank
        for numbers, default in ((op.kernel, 1), (op.stride, 1), (op.dilate, 1), (op.pad, 0))
    )
    each = zip(sizes, kernel, stride, dilate, pad)
    counts = [(size + 2 * p - d * (k - 1) - 1) // s + 1 for size, k, s, d, p in each]
    rows = [(c, tap) for c in range(channels) for tap in np.ndindex(*kernel)]
    windows = list(np.ndindex(*counts))
    found = []
    for row, (c, tap) in enumerate(rows):
        for column, window in enumerate(windows):
            at = [w * s + t * d - p for w, s, t, d, p in zip(window, stride, tap, dilate, pad)]
            inside = all(0 <= i < size for i, size in zip(at, sizes))
            found.append((row, column, (slice(None), c, *at) if inside else None))
    return found, (n, len(rows), len(windows))


def gathered(op, images):
    found, shape = taps(op, images.shape)
    columns = np.zeros(shape)
    for row, column, place in found:
        if place:
            columns[:, row, column] = images[place]
    return columns


def scattered(op, columns, shape):
    images = np.zeros(shape)
    for row, column, place in taps(op, shape)[0]:
        if place:
            images[place] += columns[:, row, column]
    return images


@reference("Im2Col")
def im2col(op, x, heads):
    return {
        "output": gathered(op, x["data"]),
        "ddata": scattered(op, heads["doutput"], x["data"].shape),
    }


@reference("Col2Im")
def col2im(op, x, heads):
    head = heads["doutput"]
    return {"output": scattered(op, x["data"], head.shape), "ddata": gathered(op, head)}

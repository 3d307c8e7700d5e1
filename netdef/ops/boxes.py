"""Boxes (left, top, right, bottom) in the last axis of arrays: what detection operators share."""

from __future__ import annotations

import math
from typing import Any


def to_corners(xp: Any, boxes: Any, out: Any) -> None:
    """Write boxes given as (x, y, width, height) around their centres by their corners."""
    centre, size = boxes[..., :2], boxes[..., 2:4]
    xp.multiply(size, 0.5, out=out[..., 2:4])
    xp.subtract(centre, out[..., 2:4], out=out[..., :2])
    xp.add(centre, out[..., 2:4], out=out[..., 2:4])


def to_centre(xp: Any, boxes: Any, out: Any) -> None:
    """Write boxes given by their corners as (x, y, width, height) around their centres."""
    first, last = boxes[..., :2], boxes[..., 2:4]
    size = last - first
    out[..., :2] = (first + last) * 0.5
    out[..., 2:4] = size


def overlap(xp: Any, one: Any, other: Any, parts: Any, mask: Any, edge: float = 0) -> Any:
    """Intersection over union of boxes that broadcast; 0 where they have nothing in common.

    parts (4, ...) and mask (...) are workspaces of the broadcast shape, without the axis of the corners;
    the result is `parts[0]`.  `edge` is what a box is wider than its corners are apart: 1 for pixels.
    """
    common, first, second, third = parts
    for axis, span in ((0, common), (1, second)):
        xp.minimum(one[..., axis + 2], other[..., axis + 2], out=span)
        xp.maximum(one[..., axis], other[..., axis], out=first)
        xp.subtract(span, first, out=span)
        xp.add(span, edge, out=span)
        xp.clip(span, 0, math.inf, out=span)
    xp.multiply(common, second, out=common)
    for boxes, area in ((one, first), (other, second)):
        for axis, span in ((0, area), (1, third)):
            xp.subtract(boxes[..., axis + 2], boxes[..., axis], out=span)
            xp.add(span, edge, out=span)
        xp.multiply(area, third, out=area)
    xp.add(first, second, out=first)
    xp.subtract(first, common, out=first)
    xp.less_equal(common, 0, out=mask)
    xp.copyto(first, 1, where=mask)
    xp.divide(common, first, out=common)
    return common


def suppress(
    xp: Any,
    boxes: Any,
    alive: Any,
    threshold: float,
    groups: Any = None,
    edge: float = 0,
    inclusive: bool = False,
    most: int | None = None,
) -> None:
    """Non-maximum suppression: clear `alive` (batch, boxes) where a better box overlaps too much.

    boxes (batch, boxes, 4), the best first; groups (batch, boxes): boxes of other groups do not count.  Too
    much is more than `threshold`, or with `inclusive` as much.  It ends where `most` boxes are sure to stay.
    """
    batch, count = alive.shape
    parts, mask = xp.empty((4, batch, count), boxes.dtype), xp.empty((batch, count), bool)
    compare = xp.greater_equal if inclusive else xp.greater
    kept = xp.zeros(batch, int)
    for number in range(count - 1):
        kept += alive[:, number]
        if most is not None and kept.min() >= most:
            break
        if not alive[:, number].any():
            continue
        rest = slice(number + 1, None)
        best = slice(number, number + 1)
        shared = overlap(xp, boxes[:, best], boxes[:, rest], parts[..., rest], mask[:, rest], edge)
        gone = compare(shared, threshold) & alive[:, best]
        if groups is not None:
            gone &= groups[:, rest] == groups[:, best]
        alive[:, rest] &= ~gone


def ranked(xp: Any, scores: Any, valid: Any) -> Any:
    """The order (batch, boxes) by falling score, what is not valid last; equal scores stay in order."""
    return xp.argsort(xp.where(valid, -scores, math.inf), axis=1, kind="stable")


def first_come(xp: Any, alive: Any) -> Any:
    """The order that moves what is alive to the front and leaves it in its order."""
    return xp.argsort(~alive, axis=1, kind="stable")


def reordered(xp: Any, array: Any, order: Any) -> Any:
    """`array` (batch, boxes, ...) in the order (batch, boxes)."""
    return xp.take_along_axis(array, order.reshape(order.shape + (1,) * (array.ndim - 2)), axis=1)

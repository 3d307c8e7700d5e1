"""The gradient of maxima: that of every window goes to its winner; see `netdef.ops.max_pooling`.

The winner's number and the window's place give the element's place in memory; one call adds all gradients up.
What that costs depends on how many windows there are, not on how many elements they have.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from netdef.ops import windows
from netdef.ops.base import Workspace
from netdef.ops.gather import take
from netdef.ops.map_order import Order, order_of, orders
from netdef.ops.shapes import Full

#: windows in a block
BLOCK = 16 * 1024


def workspaces(data: Full, axes: Sequence[windows.Axis]) -> dict[str, Workspace]:
    """Places of windows and elements, their gradients, and gradients of maps that are not one piece."""
    blocks = [_Blocks(order, data, axes) for order in orders(len(data))]
    most = max(math.prod(block.outputs) * block.count for block in blocks)
    plain = blocks[-1]
    return {
        "places": Workspace((3 * most,), "int64"),
        "offsets": Workspace((1 + math.prod(axis.kernel for axis in axes),), "int64"),
        "share": Workspace((most,)),
        "mask": Workspace((most,), "bool"),
        "padded": Workspace((math.prod(plain.maps) * plain.count,)),
    }


class _Blocks:
    """How windows are taken a few entries of the first axis at a time, in some order of the axes."""

    def __init__(self, order: Order, data: Full, axes: Sequence[windows.Axis]) -> None:
        counts = (*data[:2], *(axis.windows for axis in axes))
        self.entries, *maps = order.shape(data)
        #: the shapes of one entry
        self.maps, self.outputs = tuple(maps), order.shape(counts)[1:]
        self.count = max(1, min(self.entries, BLOCK // max(1, math.prod(self.outputs))))
        ones = (1,) * len(data)
        strides = order.shape((*ones[:2], *(axis.stride for axis in axes)))
        #: how far neighbouring elements and windows lie apart along each axis, and the first window
        self.steps = [math.prod(self.maps[axis:]) for axis in range(len(data))]
        self.strides = [step * stride for step, stride in zip(self.steps, strides)]
        spatial = self.steps[order.first : order.first + len(axes)]
        self.spatial = spatial
        self.start = -sum(axis.pad * step for axis, step in zip(axes, spatial))

    def slabs(self) -> Iterator[slice]:
        for start in range(0, self.entries, self.count):
            yield slice(start, min(start + self.count, self.entries))


def _grid(xp: Any, counts: Sequence[int], strides: Sequence[int], start: int, out: Any) -> None:
    """Write start + the sum of index * stride for all elements of an array in row-major order to a vector.

    What is done is doubled, axis by axis, the last first.
    """
    out[:1] = start
    size = 1
    for count, stride in zip(reversed(counts), reversed(strides)):
        done = 1
        while done < count:
            more = min(done, count - done)
            xp.add(out[: more * size], done * stride, out=out[done * size : (done + more) * size])
            done += more
        size *= count


def backward(
    xp: Any,
    axes: Sequence[windows.Axis],
    doutput: Any,
    winner: Any,
    ddata: Any,
    places: Any,
    offsets: Any,
    share: Any,
    mask: Any,
    padded: Any,
) -> None:
    """ddata: the gradient of every window at its first maximum."""
    if not ddata.size:
        return
    order = order_of(ddata)
    blocks = _Blocks(order, ddata.shape, axes)
    doutput, winner, ddata = order.view(doutput), order.view(winner), order.view(ddata)
    # from the last tap, with the number 1, to the first; the number 0 has its place, and no gradient
    offsets[0] = 0
    _grid(xp, [axis.kernel for axis in axes], blocks.spatial, 0, offsets[:0:-1])
    size = math.prod(blocks.outputs) * blocks.count
    windows_at, elements, index = windows.carve(places, (3, size))
    _grid(xp, (blocks.count, *blocks.outputs), blocks.strides, blocks.start, windows_at)
    whole = ddata.flags.c_contiguous
    for slab in blocks.slabs():
        part = ddata[slab]
        target = part.reshape(-1) if whole else windows.carve(padded, (part.size,))
        target[...] = 0
        heads = doutput[slab]
        used = heads.size
        shape = heads.shape
        found = windows.carve(index, shape)
        xp.copyto(found, winner[slab])
        take(xp, offsets, index[:used], 0, elements[:used])
        xp.add(elements[:used], windows_at[:used], out=elements[:used])
        wins = index[:used].min() > 0
        if not (wins and heads.flags.c_contiguous):
            copied = windows.carve(share, shape)
            xp.copyto(copied, heads)
            heads = copied
        heads = heads.reshape(-1)
        if not wins:
            xp.equal(index[:used], 0, out=mask[:used])
            xp.copyto(heads, 0, where=mask[:used])
            xp.copyto(elements[:used], 0, where=mask[:used])
        xp.add.at(target, elements[:used], heads)
        if not whole:
            xp.copyto(part, target.reshape(part.shape))

"""The gradient of maxima: that of every window goes to its winner; see `netdef.ops.max_pooling`.

The winner's number and the window's place give the element's place in memory; one call adds all gradients up.
What that costs depends on how many windows there are, not on how many elements they have.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from netdef.ops import windows
from netdef.ops.arrays import as_one
from netdef.ops.base import Workspace
from netdef.ops.gather import take
from netdef.ops.map_order import MapOrder, order_of, orders
from netdef.ops.shapes import Full

#: windows in a chunk
BLOCK = 16 * 1024


def workspaces(data: Full, axes: Sequence[windows.Axis], numbers: str) -> dict[str, Workspace]:
    """Places of windows and elements, copies of what windows have, gradients of maps not in one piece."""
    blocks = [_Blocks(order, data, axes) for order in orders(len(data))]
    most = max(math.prod(block.outputs) * block.count for block in blocks)
    chunk = min(most, BLOCK)
    plain = blocks[-1]
    return {
        "places": Workspace((most + 2 * chunk,), "int64"),
        "offsets": Workspace((1 + math.prod(axis.kernel for axis in axes),), "int64"),
        "share": Workspace((most,)),
        "numbers": Workspace((most,), numbers),
        "mask": Workspace((chunk,), "bool"),
        "padded": Workspace((math.prod(plain.maps) * plain.count,)),
    }


class _Blocks:
    """How windows are taken a few entries of the first axis at a time, in some order of the axes."""

    def __init__(self, order: MapOrder, data: Full, axes: Sequence[windows.Axis]) -> None:
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
        self.spatial = spatial = self.steps[order.first : order.first + len(axes)]
        self.start = -sum(axis.pad * step for axis, step in zip(axes, spatial))

    def slabs(self) -> Iterator[slice]:
        for start in range(0, self.entries, self.count):
            yield slice(start, min(start + self.count, self.entries))


def _grid(xp: Any, counts: Sequence[int], strides: Sequence[int], start: int, out: Any) -> None:
    """Write start + the sum of index * stride for all elements of an array in row-major order to a vector.

    What is done is doubled, axis by axis, the last first.
    """
    xp.copyto(out[:1], start)
    size = 1
    for count, stride in zip(reversed(counts), reversed(strides)):
        done = 1
        while done < count:
            more = min(done, count - done)
            xp.add(out[: more * size], done * stride, out=out[done * size : (done + more) * size])
            done += more
        size *= count


def _flat(xp: Any, array: Any, space: Any) -> Any:
    """An array as a vector: itself where it is in one piece, else a copy."""
    if array.flags.c_contiguous:
        return array.reshape(-1)
    copy = windows.carve(space, array.shape)
    xp.copyto(copy, array)
    return copy.reshape(-1)


def backward(
    xp: Any,
    axes: Sequence[windows.Axis],
    doutput: Any,
    winner: Any,
    ddata: Any,
    places: Any,
    offsets: Any,
    share: Any,
    numbers: Any,
    mask: Any,
    padded: Any,
) -> None:
    """ddata: the gradient of every window at its first maximum."""
    if not ddata.size:
        return
    order = order_of(ddata)
    blocks = _Blocks(order, ddata.shape, axes)
    doutput, winner, ddata = order.view(doutput), order.view(winner), order.view(ddata)
    # from the last tap, with the number 1, to the first; the number 0 has a place, and no gradient
    xp.copyto(offsets[:1], 0)
    _grid(xp, [axis.kernel for axis in axes], blocks.spatial, 0, offsets[:0:-1])
    windows_at = places[: math.prod(blocks.outputs) * blocks.count]
    _grid(xp, (blocks.count, *blocks.outputs), blocks.strides, blocks.start, windows_at)
    index, elements = windows.carve(places, (2, mask.size), places.size - 2 * mask.size)
    scratch = offsets, index, elements, mask, share
    whole = ddata.flags.c_contiguous
    for slab in blocks.slabs():
        part = ddata[slab]
        target = part.reshape(-1) if whole else padded[: part.size]
        xp.copyto(target, 0)
        heads, codes = _flat(xp, doutput[slab], share), _flat(xp, winner[slab], numbers)
        for start in range(0, heads.size, mask.size):
            chunk = slice(start, start + mask.size)
            as_one(xp, _add, heads[chunk], codes[chunk], windows_at[chunk], target, *scratch)
        if not whole:
            xp.copyto(part, target.reshape(part.shape))


def _add(
    xp: Any,
    heads: Any,
    codes: Any,
    windows_at: Any,
    target: Any,
    offsets: Any,
    index: Any,
    elements: Any,
    mask: Any,
    share: Any,
) -> None:
    """Add the gradients of some windows in a row to those of their winners."""
    count = heads.size
    index, elements = index[:count], elements[:count]
    xp.copyto(index, codes)
    take(xp, offsets, index, 0, elements)
    xp.add(elements, windows_at[:count], out=elements)
    if index.min() == 0:
        lost, kept = mask[:count], share[:count]
        xp.equal(index, 0, out=lost)
        xp.copyto(kept, heads)
        xp.copyto(kept, 0, where=lost)
        xp.copyto(elements, 0, where=lost)
        heads = kept
    xp.add.at(target, elements, heads)

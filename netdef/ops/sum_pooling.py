"""Sums of windows, and their adjoint, over long rows of memory: see `netdef.ops.max_pooling`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from netdef.ops import joined_pooling, max_pooling, windows
from netdef.ops.base import Workspace
from netdef.ops.map_order import largest, order_of, orders
from netdef.ops.max_pooling import Phases
from netdef.ops.shapes import Full

Axes = tuple[windows.Axis, ...]


def workspaces(data: Full, axes: Axes) -> dict[str, Workspace]:
    """What `forward` and `backward` need, in whatever order the plan stores the maps."""
    if _whole(axes):
        return {"ones": Workspace((math.prod(axis.size for axis in axes),))}
    maps = [Phases(order.shape(data), axes, order.first) for order in orders(len(data))]
    sizes = [phases.workspaces("uint8")["phases"].shape[0] for phases in maps if phases.pays]
    partial = sum(math.prod(shape) for shape in windows.between(axes, data, 2))
    needed = {
        "phases": Workspace((max(sizes, default=0),)),
        "partial": Workspace((0 if all(phases.pays for phases in maps) else partial,)),
    }
    return largest([needed, joined_pooling.workspaces(data, axes)]) if sizes else needed


def forward(xp: Any, axes: Axes, data: Any, output: Any, phases: Any, partial: Any, ones: Any) -> None:
    """output (N, C, O...): the sum of every window of data (N, C, S...); padding counts as 0."""
    order = order_of(data)
    data, output = order.view(data), order.view(output)
    if ones is not None:
        _total(xp, data, output[windows.along(order.first, *(0 for _ in axes))], order.first, ones)
        return
    maps = max_pooling.phases(data.shape, axes, order.first)
    if not maps.pays:
        windows.reduce(xp, xp.add, 0, data, axes, order.first, output, partial)
        return
    joined_pooling.sums(xp, axes, order.first, data, output, phases)


def _whole(axes: Axes) -> bool:
    """Whether the only window is the whole map."""
    return all(axis.windows == 1 and not axis.pad and axis.kernel >= axis.size for axis in axes)


def _total(xp: Any, data: Any, output: Any, first: int, ones: Any) -> None:
    """The sum of whole maps (A..., S..., B...): a product with ones, ten times as quick as numpy's sum.

    What is not one piece, or has a dtype that matrix products are slow for, is summed up.
    """
    count = ones.size
    if not data.flags.c_contiguous or data.itemsize < 4:
        xp.sum(data, axis=tuple(range(first, first + data.ndim - output.ndim)), out=output)
        return
    xp.copyto(ones, 1)
    if first == 1:
        xp.matmul(ones, data.reshape(data.shape[0], count, data.shape[-1]), out=output)
    else:
        xp.matmul(data.reshape(*data.shape[:first], count), ones, out=output)


def backward(xp: Any, axes: Axes, doutput: Any, ddata: Any, phases: Any, partial: Any) -> None:
    """ddata: for every element the sum of the gradients of the windows that hold it."""
    order = order_of(ddata)
    doutput, ddata = order.view(doutput), order.view(ddata)
    if _whole(axes):
        xp.copyto(ddata, doutput)
        return
    maps = max_pooling.phases(ddata.shape, axes, order.first)
    if not maps.pays:
        windows.distribute(xp, doutput, axes, order.first, ddata, partial)
        return
    shape = (maps.count, *maps.shape)
    spaces = windows.carve(phases, (maps.phases + maps.stages, math.prod(shape)))
    covered = all(
        stride == axis.stride and axis.pad + axis.size <= pitch * stride
        for axis, stride, pitch in zip(axes, maps.strides, maps.pitch)
    )
    xp.copyto(spaces[0], 0)
    heads = maps.outputs(spaces[0], shape)
    for slab in maps.slabs():
        xp.copyto(heads, doutput[slab])
        if not covered:
            xp.copyto(ddata[slab], 0)
        for (_, source, target, _), made in zip(maps.places, _spread(xp, maps, spaces)):
            xp.copyto(ddata[slab][source], made.reshape(shape)[target])


def _spread(xp: Any, maps: Phases, spaces: Any) -> Sequence[Any]:
    """The phases of a gradient, from that of the windows, which is 0 where no window is."""
    level, rooms = [spaces[0]], iter(spaces[1:])
    for number, (axis, stride) in enumerate(zip(maps.axes, maps.strides)):
        step = maps.step(number)
        level = [
            _shifted(
                xp,
                source,
                rooms,
                [tap // axis.stride * step for tap in range(phase, axis.kernel, axis.stride)],
            )
            for source in level
            for phase in range(stride)
        ]
    return level


def _shifted(xp: Any, source: Any, rooms: Any, shifts: list[int]) -> Any:
    """The sum of an array and of itself, shifted; the first shift is 0."""
    if len(shifts) == 1:
        return source
    target, second = next(rooms), shifts[1]
    xp.copyto(target[:second], source[:second])
    xp.add(source[second:], source[:-second], out=target[second:])
    for shift in shifts[2:]:
        xp.add(target[shift:], source[:-shift], out=target[shift:])
    return target

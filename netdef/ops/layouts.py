"""MXNet's `layout` attribute: whether the channels are the second axis or the last.

Shape rules and kernels are written for the channels second; what an operator is given or gives is seen that
way, as a view.
"""

from __future__ import annotations

from typing import Any, overload

from netdef.ops.fields import Enum
from netdef.ops.shapes import Full, Shape, ShapeError, Shapes, show


class Layout(Enum):
    """The order of the axes; unset means that the channels are the second axis."""

    def __init__(self) -> None:
        choices = ("NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC")
        super().__init__(*choices, default=None, help="order of the axes; default: channels second")


def channels_last(layout: str | None) -> bool:
    return layout is not None and layout.endswith("C")


@overload
def inwards(layout: str | None, shape: Full) -> Full: ...
@overload
def inwards(layout: str | None, shape: Shape) -> Shape: ...
def inwards(layout: str | None, shape: Shape) -> Shape:
    """The shape of a tensor, seen with its channels second."""
    return (shape[0], shape[-1], *shape[1:-1]) if shape and channels_last(layout) else shape


@overload
def outwards(layout: str | None, shape: Full) -> Full: ...
@overload
def outwards(layout: str | None, shape: Shape) -> Shape: ...
def outwards(layout: str | None, shape: Shape) -> Shape:
    """The shape that a tensor has whose shape with the channels second is this."""
    return (shape[0], *shape[2:], shape[1]) if shape and channels_last(layout) else shape


def seen(xp: Any, layout: str | None, array: Any) -> Any:
    """The view of an array that has the channels second."""
    return xp.moveaxis(array, -1, 1) if channels_last(layout) else array


def require_rank(s: Shapes, layout: str | None) -> None:
    """Raise `ShapeError` where data of known rank is not what the layout describes."""
    data = s["data"]
    if layout is not None and data is not None and len(data) != len(layout):
        raise ShapeError(
            f"data is {show(data)} with {len(data)} axes, but layout {layout} has {len(layout)}",
            tensor="data",
            attribute="layout",
        )

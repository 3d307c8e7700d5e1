"""What operators over axes share: fields that may be None, sets of axes, sizes that several tensors share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from netdef.ops.fields import Int
from netdef.ops.shapes import Full, Shape, ShapeError, Shapes, show

KEEPDIMS_HELP = "keep the reduced axes, with size 1"


class Axis(Int):
    """An axis, or `None` for all axes as one; unlike other fields it may be None whatever its default is."""

    nullable = True

    def parse_one(self, value: Any) -> Any:
        return None if value is None else super().parse_one(value)

    def schema_one(self) -> dict[str, Any]:
        return {"type": ["integer", "null"]}


def reduced_shape(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> tuple[int | None, ...]:
    """What remains of a known shape without some axes; (1,) where nothing does (MXNet's rule)."""
    assert shape is not None
    if keepdims:
        return tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return tuple(size for axis, size in enumerate(shape) if axis not in axes) or (1,)


def distinct(s: Shapes, name: str, axes: Iterable[int], attribute: str = "axis") -> tuple[int, ...]:
    """Axes of a tensor of known rank, counted from the front; raises `ShapeError` for one given twice."""
    whole = tuple(s.axis(name, axis, attribute) for axis in axes)
    if len(set(whole)) < len(whole):
        raise ShapeError(
            f"{attribute} {tuple(axes)} names an axis of {name} {show(s[name])} twice",
            tensor=name,
            attribute=attribute,
            hint="give each axis once",
        )
    return whole


def unify(s: Shapes, **tensors: tuple[str, ...]) -> None:
    """Learn that sizes with one meaning are equal, whichever tensor they belong to.

    Each tensor comes with the meanings of its axes, such as `A=("rows", "columns")`.
    """
    sizes: dict[str, int] = {}
    first: dict[str, str] = {}
    for name, meanings in tensors.items():
        shape = s[name]
        if shape is None:
            continue
        if len(shape) != len(meanings):
            raise ShapeError(
                f"{name} is {show(shape)}, but it must have {len(meanings)} axes ({', '.join(meanings)})",
                tensor=name,
            )
        for meaning, size in zip(meanings, shape):
            if size is not None and sizes.setdefault(meaning, size) != size:
                other = first[meaning]
                beside = "itself" if other == name else f"{other} {show(s[other])}"
                raise ShapeError(
                    f"{name} is {show(shape)}, but it must agree with {beside}: "
                    f"{meaning} are {size} against {sizes[meaning]}",
                    tensor=name,
                )
            if size is not None:
                first.setdefault(meaning, name)
    for name, meanings in tensors.items():
        s.merge(name, tuple(sizes.get(meaning) for meaning in meanings))


def known_rank(s: Shapes, *names: str) -> int | None:
    """The number of axes of the first tensor of which it is known."""
    return next((len(shape) for name in names if (shape := s[name]) is not None), None)


def batch(count: int) -> tuple[str, ...]:
    """Meanings for `unify` of the axes in front of those of a matrix."""
    return tuple(f"the sizes of batch axis {axis}" for axis in range(count))


def aligned(small: Any, full: Full, axes: tuple[int, ...]) -> Any:
    """A view of what was reduced over `axes` that broadcasts against an array of the shape `full`."""
    return small.reshape([1 if axis in axes else size for axis, size in enumerate(full)])


def total(xp: Any, data: Any, axes: tuple[int, ...], out: Any) -> None:
    """The sum over axes, which stay with size 1; float16 is added up in float32, or 2048 + 1 were 2048."""
    xp.sum(data, axis=axes, keepdims=True, out=out, dtype="float32" if out.dtype == "float16" else None)


def along(array: Any, axis: int | None) -> Any:
    """A view of `array` with `axis` last; the whole array as one axis for None."""
    if axis is None:
        return array.reshape(-1)
    last = array.ndim - 1
    axis %= array.ndim
    return array.transpose([*(a for a in range(array.ndim) if a != axis), axis]) if axis != last else array

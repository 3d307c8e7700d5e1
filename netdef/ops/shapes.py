"""Partial shapes: what is known about the shapes of one node's tensors, and how knowledge is merged.

A shape is `None` (nothing known) or a tuple whose entries are sizes or `None` (that size not known).  The
same merge serves every operator, forwards and backwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

Shape = tuple[int | None, ...] | None
Full = tuple[int, ...]


class ShapeError(ValueError):
    """Shapes that an operator cannot accept.

    `tensor` names the input or output at fault, `attribute` the operator's attribute, if one is to blame;
    `kind` is the name of the diagnostic code (`netdef.passes.codes`) that the message is reported under.
    """

    def __init__(
        self,
        message: str,
        *,
        tensor: str = "",
        attribute: str = "",
        hint: str = "",
        kind: str = "shape-mismatch",
    ) -> None:
        super().__init__(message)
        self.message, self.tensor, self.attribute, self.hint = message, tensor, attribute, hint
        self.kind = kind


def show(shape: Shape) -> str:
    """`(64, 1, 28, 28)` as `64x1x28x28`; an unknown size as `?`."""
    if shape is None:
        return "?"
    return "x".join("?" if size is None else str(size) for size in shape) or "scalar"


def complete(shape: Shape) -> bool:
    return shape is not None and None not in shape


def prod(sizes: Iterable[int | None]) -> int | None:
    """The product, or `None` where a factor is unknown."""
    sizes = tuple(sizes)
    return None if None in sizes else math.prod(sizes)  # type: ignore[arg-type]


def merge(known: Shape, more: Shape) -> Shape:
    """What both say together; raises `ValueError` where they contradict each other."""
    if known is None or more is None:
        return more if known is None else known
    if known == more:
        return known
    if len(known) != len(more):
        raise ValueError(f"{len(known)} axes against {len(more)}")
    merged = []
    for axis, (left, right) in enumerate(zip(known, more)):
        if left is not None and right is not None and left != right:
            raise ValueError(f"axis {axis} is {left} against {right}")
        merged.append(right if left is None else left)
    return tuple(merged)


class Shapes:
    """The partial shapes of one node's tensors by name; an operator's shape rule reads and merges them."""

    def __init__(self, known: dict[str, Shape]) -> None:
        self.known = known

    def __getitem__(self, name: str) -> Shape:
        return self.known[name]

    def get(self, name: str) -> Shape:
        return self.known.get(name)

    def __contains__(self, name: str) -> bool:
        return name in self.known

    def full(self, name: str) -> Full:
        """The shape of a tensor whose shape is known to be complete."""
        shape = self.known[name]
        if shape is None or None in shape:
            raise ShapeError(f"the shape of {name} is not known: {show(shape)}", tensor=name)
        return shape  # type: ignore[return-value]

    @staticmethod
    def join(known: Shape, more: Shape) -> Shape:
        """What two statements about one tensor say together; raises `ValueError` for a contradiction."""
        return merge(known, more)

    def merge(self, name: str, shape: Shape, rule: str = "", attribute: str = "") -> None:
        """Learn that `name` has `shape`; a name that the node lacks is passed over.

        `rule` says in words why, for the message of a `ShapeError`.
        """
        if name not in self.known:
            return
        try:
            self.known[name] = merge(self.known[name], shape)
        except ValueError as conflict:
            because = f", but {rule}" if rule else f", expected {show(shape)}"
            raise ShapeError(
                f"{name} is {show(self.known[name])}{because} ({conflict})", tensor=name, attribute=attribute
            ) from None

    def same(self, *names: str) -> None:
        """Learn that all these tensors have one shape."""
        whole: Shape = None
        first = ""
        for name in names:
            shape = self.known[name]
            try:
                whole = merge(whole, shape)
            except ValueError as conflict:
                told = f"{name} is {show(shape)}, but {first} is {show(self.known[first])}"
                raise ShapeError(f"{told} and both must be equal ({conflict})", tensor=name) from None
            first = first or (name if shape is not None else "")
        for name in names:
            self.known[name] = whole

    def rank(self, name: str, least: int, meaning: str) -> Shape:
        """The shape of `name` once it has at least `least` axes, whose `meaning` the message gives."""
        shape = self.known[name]
        if shape is not None and len(shape) < least:
            raise ShapeError(f"{name} is {show(shape)}, but {meaning} is needed", tensor=name)
        return shape

    def axis(self, name: str, axis: int, attribute: str = "axis") -> int:
        """`axis` of a tensor of known rank, counted from the front; a negative one counts from the end."""
        shape = self.known[name] or ()
        if not -len(shape) <= axis < len(shape):
            raise ShapeError(
                f"{attribute} {axis} is out of range for {name} {show(shape)} with {len(shape)} axes",
                tensor=name,
                attribute=attribute,
                hint=f"from {-len(shape)} to {len(shape) - 1}",
            )
        return axis % len(shape)


class Types(Shapes):
    """The dtypes of one node's tensors by name, as numpy names or `None`; merged like shapes."""

    known: dict[str, str | None]  # type: ignore[assignment]

    @staticmethod
    def join(known: str | None, more: str | None) -> str | None:  # type: ignore[override]
        if None not in (known, more) and known != more:
            raise ValueError(f"{known} against {more}")
        return more if known is None else known

    def merge(self, name: str, dtype: str | None, rule: str = "", attribute: str = "") -> None:  # type: ignore[override]
        known = self.known.get(name)
        if known is not None and dtype is not None and known != dtype:
            raise ShapeError(
                f"{name} is {known}, but {rule or f'{dtype} is needed'}", tensor=name, kind="dtype-mismatch"
            )
        if name in self.known and known is None:
            self.known[name] = dtype

    def same(self, *names: str) -> None:
        """Learn that all these tensors have one dtype."""
        for name in names:
            if (dtype := self.known.get(name)) is not None:
                rule = f"{name} is {dtype} and both must be equal"
                for other in names:
                    self.merge(other, dtype, rule)
                return

    def floating(self, *names: str) -> None:
        """Raise `ShapeError` where a tensor is known to hold anything but floating-point numbers."""
        for name in names:
            dtype = self.known.get(name)
            if dtype is not None and not dtype.startswith("float"):
                raise ShapeError(
                    f"{name} is {dtype}, but floating-point numbers are needed",
                    tensor=name,
                    kind="dtype-mismatch",
                )

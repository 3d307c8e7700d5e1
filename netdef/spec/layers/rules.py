"""Rules over several fields that layers and their parameter blocks share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netdef.ops.shapes import Full, ShapeError, show
from netdef.spec import codes
from netdef.spec.message import Message, Report, Rule


def images_only(layer: str, shapes: Sequence[Full]) -> None:
    """Caffe: some layers take images only.  Raises `ShapeError`."""
    for shape in shapes:
        if len(shape) != 4:
            raise ShapeError(
                f"its bottom is {show(shape)}, but {layer} takes images: num x channels x height x width",
                hint="give it a blob of 4 axes",
            )


def arity(layer: Any, report: Report) -> None:
    """As many bottoms and tops as the type takes; what is left out counts as filled in (`spec.expand`)."""
    bottoms = len(layer.bottom) if layer.has("bottom") else min(1, layer.bottoms[0])
    tops = len(layer.top) if layer.has("top") else 1
    for field, number, bounds in (("bottom", bottoms, layer.bottoms), ("top", tops, layer.tops)):
        least, most = bounds
        if number < least or (most is not None and number > most):
            legal = count_text(bounds, field)
            report(codes.WRONG_ARITY, field, f"{layer.type} takes {legal}, not {number}", f"give {legal}")
            return
    if layer.tops_match_bottoms and tops != bottoms:
        told = f"{layer.type} takes as many tops as bottoms, not {tops} for {bottoms}"
        report(codes.WRONG_ARITY, "top", told, "give one top for each bottom")


def count_text(bounds: tuple[int, int | None], noun: str) -> str:
    """`1 bottom`, `2 to 3 bottoms`, `2 or more bottoms`, `no bottom`."""
    least, most = bounds
    if most == 0:
        return f"no {noun}"
    number = f"{least} or more" if most is None else str(least) if least == most else f"{least} to {most}"
    return f"{number} {noun}{'' if number == '1' else 's'}"


def params_match_blobs(layer: Any, report: Report) -> None:
    """No more entries in `param` than the layer has blobs."""
    count, blobs = len(layer.param), layer.blob_count()
    if count > blobs:
        held = count_text((blobs, blobs), "learnable blob")
        hint = f"give at most {blobs}" if blobs else "remove param"
        report(codes.WRONG_COUNT, "param", f"param has {count} entries, but the layer has {held}", hint)


def once_per(field: str, of: str) -> Rule:
    """`field` of a layer is absent, or has one entry for each of the blobs in `of`."""

    def rule(layer: Any, report: Report) -> None:
        given, blobs = len(getattr(layer, field)), len(getattr(layer, of)) or 1
        if layer.has(field) and given != blobs:
            told = f"{field} has {given} entries for {count_text((blobs, blobs), of)}"
            report(codes.WRONG_COUNT, field, told, f"give one for each {of}, or leave it out")

    return rule


def include_or_exclude(layer: Any, report: Report) -> None:
    """Caffe: include rules or exclude rules, not both."""
    if layer.include and layer.exclude:
        told = "include and exclude are both given"
        report(
            codes.CONFLICT, "exclude", told, "say it with include rules alone, or with exclude rules alone"
        )


def generic_or_pair(field: str, first: str, second: str, *, pair: bool = True) -> Rule:
    """`field`, or `first` and `second`, as kernel_size or kernel_h and kernel_w; with `pair` both."""

    def rule(block: Message, report: Report) -> None:
        given = [name for name in (first, second) if block.has(name)]
        if given and block.has(field):
            told = f"{field} and {given[0]} are both given"
            report(codes.CONFLICT, given[0], told, f"give {field}, or {first} and {second}")
        elif pair and len(given) == 1:
            missing = second if given == [first] else first
            told = f"{given[0]} is given without {missing}"
            report(codes.MISSING_FIELD, given[0], told, f"give {missing}, too, or {field} for both axes")

    return rule


def one_of(first: str, second: str, hint: str) -> Rule:
    """Not both of two fields."""

    def rule(block: Message, report: Report) -> None:
        if block.has(first) and block.has(second):
            report(codes.CONFLICT, second, f"{first} and {second} are both given", hint)

    return rule

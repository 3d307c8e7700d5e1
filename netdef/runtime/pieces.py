"""How a step is cut into pieces that threads compute side by side.

Decided by costs alone, never by the number of threads or by a measurement: the pieces, whose sums are added
in their order, are the same everywhere, and so are the bits of the results.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from netdef.ops.base import Cut, Op
from netdef.ops.shapes import Full, Shapes, prod

#: seconds that either of two pieces takes at least, and each of more: with smaller ones a single thread loses
#: as much as two gain, because products of small matrices are slower
SHORTEST, SEVERAL = 40e-6, 2e-3
#: seconds that a step takes at least for threads to be worth waking; processes are awake
WAKE = 300e-6
#: pieces of one step at most
MOST = 8
#: how much longer all pieces together may take than the whole, because each repeats some work: two of them,
#: which gain a second thread something all the same, and more
TWICE, REPEATED = 1.5, 1.1
#: what a core does in a second: arithmetic of products, and bytes of memory that it goes through
FLOPS, BYTES = 90e9, 20e9


class Piece(NamedTuple):
    """One of the kernel calls that a step consists of."""

    #: tensor -> the axis along which it is cut, and the part that this piece has of it
    parts: Mapping[str, tuple[int, int, int]]
    #: results that other pieces compute
    unwanted: frozenset[str]
    #: results to which this piece adds a share, with the first piece writing to the result itself
    shares: tuple[str, ...]

    @property
    def begin(self) -> int:
        """Where it begins along the axis that is cut."""
        return next((start for _, start, _ in self.parts.values()), 0)


#: a step that is not cut
WHOLE = Piece({}, frozenset(), ())


def pieces_of(
    op: Op,
    backward: bool,
    shapes: Shapes,
    read: Collection[str],
    written: Sequence[str],
    inplace: Sequence[tuple[str, str]],
    seconds: float,
) -> tuple[Piece, ...]:
    """The pieces of a pass that takes so many seconds; none where it is better computed whole.

    An operator that knows better says itself how long it takes.
    """
    seconds = op.seconds(shapes, written) or seconds
    count = min(MOST, max(int(seconds / SEVERAL), min(2, int(seconds / SHORTEST))))
    count -= count % 2  # an even number keeps two threads busy to the end
    if count < 2 or (op.draws() and not backward):
        return ()
    made: list[Piece] = []
    cuts = op.cuts(shapes, backward)
    for cut in cuts:
        wanted = [name for name in written if not cut.writes or name in cut.writes]
        if wanted:
            unwanted = frozenset(written) - {*wanted}
            made += _cut(op, cut, shapes, {*read, *wanted}, wanted, unwanted, count)
    if inplace and not _safe(inplace, made, len(cuts)):
        return ()
    if not backward and any(piece.shares for piece in made):
        return ()  # what a forward pass writes for all samples is no sum over them
    return tuple(made) if len(made) > 1 else ()


def seconds_of(flops: int, shapes: Shapes, names: Collection[str], itemsize: int) -> float:
    """About how long one core takes for so much arithmetic on these tensors."""
    moved = sum(elements(shapes, name) for name in names) * itemsize
    return max(flops / FLOPS, moved / BYTES)


def base(name: str, shapes: Shapes) -> str:
    """The tensor that a name stands for: itself, or that of which it is the gradient."""
    return name if name in shapes else name[1:]


def elements(shapes: Shapes, name: str) -> int:
    return prod(shapes.full(base(name, shapes))) or 0


def _cut(
    op: Op,
    cut: Cut,
    shapes: Shapes,
    names: Collection[str],
    wanted: Sequence[str],
    unwanted: frozenset[str],
    count: int,
) -> list[Piece]:
    """The pieces of one cut: as many as there are parts, and as repeated work and shares allow."""
    axes = {
        name: cut.axes[base(name, shapes)] % len(shapes.full(base(name, shapes)))
        for name in sorted(names)
        if base(name, shapes) in cut.axes and shapes.full(base(name, shapes))
    }
    sizes = {name: shapes.full(base(name, shapes))[axis] for name, axis in axes.items()}
    extent = cut.units or max(sizes.values(), default=1)
    if not cut.units:
        axes = {name: axis for name, axis in axes.items() if sizes[name] == extent}  # others are broadcast
    shares = tuple(name for name in wanted if name not in axes)
    parts = min(count, extent)
    if shares:
        whole = sum(elements(shapes, name) for name in axes)
        parts = min(parts, 1 + whole // (sum(elements(shapes, name) for name in shares) or 1))

    def made(parts: int) -> list[Piece]:
        ends = [extent * number // parts for number in range(parts + 1)]
        steps = {name: sizes[name] // extent for name in axes}
        return [
            Piece(
                {name: (axis, start * steps[name], stop * steps[name]) for name, axis in axes.items()},
                unwanted,
                shares,
            )
            for start, stop in pairwise(ends)
        ]

    once = op.seconds(shapes, wanted)
    for number, most in ((parts, REPEATED), (2, TWICE)):
        pieces = made(min(number, parts))
        if sum(op.seconds(shapes_of(piece, shapes), wanted) for piece in pieces) <= most * once:
            return pieces
    return made(1)


def _safe(inplace: Sequence[tuple[str, str]], pieces: Sequence[Piece], cuts: int) -> bool:
    """Whether no piece overwrites what another one still reads, where a result takes an input's memory."""
    return cuts == 1 and all(
        piece.parts.get(read) is not None and piece.parts.get(read) == piece.parts.get(written)
        for piece in pieces
        for read, written in inplace
    )


def shapes_of(piece: Piece, shapes: Shapes) -> Shapes:
    """The shapes that the operator sees in a piece, for its workspaces."""
    found: dict[str, Full] = {name: shapes.full(name) for name in shapes.known}
    for name, (axis, start, stop) in piece.parts.items():
        tensor = base(name, shapes)
        whole = shapes.full(tensor)
        found[tensor] = (*whole[:axis], stop - start, *whole[axis + 1 :])
    return Shapes(dict(found))


def part_of(piece: Piece, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """What a piece sees of a step's arrays: its parts, and nothing of the results that others compute."""
    seen = {name: array for name, array in arrays.items() if name not in piece.unwanted}
    for name, (axis, start, stop) in piece.parts.items():
        if name in seen:
            index = (*(slice(None),) * axis, slice(start, stop))
            seen[name] = seen[name][index]
    return seen

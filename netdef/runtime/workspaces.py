"""Memory for what kernels need besides their tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from netdef.graph.node import Node
from netdef.ops.base import Op, Workspace, parameters
from netdef.ops.shapes import Full, Shapes
from netdef.runtime.arena import ALL, WORKER, Buffer, Scratch
from netdef.runtime.plan import ITEM_SIZES
from netdef.runtime.work import Work

#: workspaces by name
Spaces = dict[str, Scratch]
#: a workspace's shape and dtype by name
_Wanted = dict[str, tuple[Full, str]]


class Workspaces:
    """Gives the kernels of a plan their workspaces.

    `buffer` makes memory of so many bytes that is in use at a step and has an owner, `shards` says by how
    many shards a node is computed, and `end` is the number after that of the last step.  The methods take the
    number of a step, its operator as it was tuned, what that has to do, and the dtype of its first output.
    """

    def __init__(
        self, buffer: Callable[[int, int, str], Buffer], shards: Callable[[Node], int], end: int
    ) -> None:
        self._buffer, self._shards, self._end = buffer, shards, end
        #: by node and name: what its stages leave to each other
        self._kept: dict[tuple[Node, str], Buffer] = {}

    def of_step(self, number: int, op: Op, work: Work, dtype: str) -> Spaces:
        """Those of a step that is computed whole."""
        own = self._own(number, op, work, dtype, work.shapes)
        return {**own, **self._between(number, work, dtype, 0), **self._prepared(op, work.shapes, dtype)}

    def of_pieces(self, number: int, op: Op, work: Work, dtype: str, parts: Sequence[Shapes]) -> list[Spaces]:
        """Those of each piece of a step, which see tensors of these shapes.

        Pieces that see a weight whole share what is made of it.
        """
        read = [name for name in parameters(op.prepare) if name in work.reads]
        alike = all(part.full(name) == work.shapes.full(name) for part in parts for name in read)
        shared = self._prepared(op, work.shapes, dtype) if alike else {}
        return [
            self._own(number, op, work, dtype, part) | (shared if alike else self._prepared(op, part, dtype))
            for part in parts
        ]

    def of_shards(
        self, number: int, op: Op, work: Work, dtype: str, parts: Sequence[Shapes]
    ) -> Iterator[Spaces]:
        """Those of each shard, at one place in the memory of whoever computes it."""
        wanted = [_wanted(op, work, part, dtype) for part in parts]
        sizes: dict[str, int] = {}
        for found in wanted:
            for name, (shape, held) in found.items():
                sizes[name] = max(sizes.get(name, 0), math.prod(shape) * ITEM_SIZES[held])
        buffers = {name: self._buffer(size, number, WORKER) for name, size in sizes.items()}
        prepared = self._prepared(op, work.shapes, dtype)
        for shard, found in enumerate(wanted):
            own = {name: Scratch(*space, buffers[name]) for name, space in found.items()}
            yield {**own, **self._between(number, work, dtype, shard), **prepared}

    def _own(self, number: int, op: Op, work: Work, dtype: str, facts: Shapes) -> Spaces:
        """What a kernel needs while it runs."""
        return {
            name: Scratch(shape, held, self._buffer(math.prod(shape) * ITEM_SIZES[held], number, ALL))
            for name, (shape, held) in _wanted(op, work, facts, dtype).items()
        }

    def _prepared(self, op: Op, facts: Shapes, dtype: str) -> Spaces:
        """What is made of constants, which nothing else may overwrite."""
        found = {}
        for name, (shape, held) in _typed(op.prepared(facts), dtype).items():
            buffer = self._buffer(math.prod(shape) * ITEM_SIZES[held], 0, ALL)
            buffer.last = self._end
            found[name] = Scratch(shape, held, buffer)
        return found

    def _between(self, number: int, work: Work, dtype: str, shard: int) -> Spaces:
        """What stages leave to each other, as a stage or a shard's part of it sees it."""
        if not work.stage:
            return {}
        op, found = work.op, {}
        names = parameters(getattr(op, work.kernel))
        shards = self._shards(work.node)
        carried = [(space, 0) for space in _typed(op.carried(work.shapes, work.backward), dtype).items()]
        gathered = [
            (space, shards) for space in _typed(op.gathered(work.shapes, work.backward), dtype).items()
        ]
        for (name, (shape, held)), count in [*carried, *gathered]:
            if name not in names:
                continue
            size = math.prod(shape) * ITEM_SIZES[held]
            if (work.node, name) not in self._kept:
                self._kept[work.node, name] = self._buffer(size * max(count, 1), number, ALL)
            buffer = self._kept[work.node, name]
            buffer.last = number
            whole = count and not work.stage.cut
            seen = (count, *shape) if whole else shape
            found[name] = Scratch(seen, held, buffer, 0 if whole or not count else shard * size)
        return found


def _wanted(op: Op, work: Work, facts: Shapes, dtype: str) -> _Wanted:
    """What the kernel of a piece of work asks for where its tensors have these shapes."""
    names = parameters(getattr(work.op, work.kernel))
    spaces = _typed(op.workspaces(facts, work.backward), dtype)
    return {name: space for name, space in spaces.items() if name in names}


def _typed(spaces: dict[str, Workspace], dtype: str) -> _Wanted:
    return {name: (space.shape, space.dtype_for(dtype)) for name, space in spaces.items()}

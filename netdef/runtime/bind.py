"""Plans bound to arrays: kernel calls whose arguments are fixed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby, pairwise
from typing import Any, NamedTuple

from netdef.diag import MXNetError
from netdef.graph.node import Node
from netdef.ops.base import Op, kernel_arguments
from netdef.ops.windows import along
from netdef.runtime import pieces, shards, threads, tickets
from netdef.runtime.kernels import Call, quiet, run_pieces, run_shards, run_together
from netdef.runtime.memory import aligned_empty, zeros
from netdef.runtime.pieces import WHOLE, Piece, part_of
from netdef.runtime.plan import HEAD_GRADIENT, Plan, Step, Tensor
from netdef.runtime.replay import Repeated, repeats
from netdef.runtime.sums import Sum, add_up, groups_of
from netdef.runtime.team import Team, shareable

#: a node, and the arrays that its kernel wrote by the operator's names
Watched = tuple[Node, dict[str, Any]]
#: an array, or the blocks along the batch that it is stored in
_Stored = Any | list[Any]


class Pool:
    """Memory for values in between, which executors that run by turns may share; it grows as they need."""

    def __init__(self) -> None:
        self._block: Any = None

    def take(self, xp: Any, size: int) -> Any:
        """At least `size` bytes: the ones that others use as well, unless these are too few."""
        if self._block is None or self._block.size < size:
            self._block = aligned_empty(xp, size)
        return self._block


class Written:
    """What a step writes: arrays, which are put together when somebody looks where they are in blocks."""

    def __init__(self, xp: Any, node: Node, stored: Mapping[str, _Stored]) -> None:
        self.xp, self.node, self.stored = xp, node, stored

    def watched(self) -> Watched:
        arrays = {
            name: self.xp.concatenate(stored) if isinstance(stored, list) else stored
            for name, stored in self.stored.items()
        }
        return self.node, arrays


class Bound(NamedTuple):
    """A plan with its arrays: kernel calls whose arguments are fixed.

    `forward` and `backward` are made of fewer calls than there are steps, one for each run.
    """

    plan: Plan
    forward: list[Call]
    backward: list[Call]
    #: one call for each step
    steps: list[Call]
    #: the calls of the backward pass before its first step and after its last
    before: list[Call]
    after: list[Call]
    #: what the node of a step has written after it; None where its pass is not complete
    written: list[Written | None]
    #: how many steps come before a view, and the view
    views: list[tuple[int, Written]]
    outputs: list[Any]
    head_gradients: list[Any]
    #: the processes that go through shards, where there are any
    team: Team
    #: the calls before all passes, and after constants have changed
    prepare: list[Call]


class _Calls(NamedTuple):
    """What a step consists of: a call, or those of its pieces and the sums of their shares."""

    #: those of a run as each worker makes them; else there is but one
    workers: list[list[Call]]
    sums: list[Sum]
    step: Step


class Binder:
    """Makes the calls of a plan.

    `external` holds the caller's arrays by what stands for their offset and by name, `random` is the
    generator of kernels, `instances` the operators that are the executor's own.
    """

    def __init__(
        self,
        xp: Any,
        plan: Plan,
        external: Mapping[int, Mapping[str, Any]],
        random: Any,
        instances: Mapping[Node, Op],
        pool: Pool,
    ) -> None:
        self._xp, self._plan, self._instances = xp, plan, instances
        self._arena = pool.take(xp, plan.arena_bytes)
        heads = [t for t in plan.head_gradients if t is not None]
        self._external = {**external, HEAD_GRADIENT: {t.name: zeros(xp, t.shape, t.dtype) for t in heads}}
        self._team = Team(partial(quiet, xp))
        self._injected = {"xp": xp, "train": plan.train, "random": random}

    def bind(self) -> Bound:
        """Raises `MXNetError` for an array of the caller's that does not lie in one piece."""
        xp, plan = self._xp, self._plan
        head_gradients = [None if t is None else self._array(t) for t in plan.head_gradients]
        stored = [{name: self._stored(t) for name, t in step.tensors.items()} for step in plan.steps]
        calls = [self._calls(step, own) for step, own in zip(plan.steps, stored)]
        written = list(self._written(stored))
        before: list[Call] = [(self._array(tensor).fill, (0,)) for tensor in plan.cleared]
        after: list[Call] = []
        for part in plan.accumulate:
            source, target = self._array(part.source), self._array(part.target)
            after.append((xp.add, (target, source, target)) if part.add else (xp.copyto, (target, source)))
        views = [
            (view.after, Written(xp, view.node, {view.name: self._stored(view.tensor)}))
            for view in plan.views
        ]
        return Bound(
            plan,
            list(self._joined(calls[: plan.boundary])),
            [*before, *self._joined(calls[plan.boundary :]), *after],
            [self._together(self._call([each])) for each in calls],
            before,
            after,
            written,
            views,
            [self._array(tensor) for tensor in plan.heads],
            head_gradients,
            self._team,
            [call for step, own in zip(plan.steps, stored) for call in self._preparing(step, own)],
        )

    def _written(self, stored: Sequence[Mapping[str, _Stored]]) -> Iterator[Written | None]:
        results: dict[str, _Stored] = {}
        for step, own in zip(self._plan.steps, stored):
            results |= {name: own[name] for name in step.node.write_names() if name in own}
            yield Written(self._xp, step.node, results) if step.last else None
            results = {} if step.last else results

    # -- arrays --

    def _stored(self, tensor: Tensor) -> _Stored:
        """The array of a tensor, or its blocks."""
        blocks, part = tensor.blocks, tensor.part
        if part is not None:
            whole = self._stored(tensor._replace(shape=part.shape, part=None))
            here = along(part.axis, slice(part.start, part.start + tensor.shape[part.axis]))
            return [block[here] for block in whole] if isinstance(whole, list) else whole[here]
        if blocks is None:
            return self._array(tensor)
        made = []
        axes = blocks.order.axes(len(tensor.shape))
        back = sorted(range(len(axes)), key=axes.__getitem__)
        for number, (start, stop) in enumerate(pairwise(blocks.ends)):
            shape = (stop - start, *tensor.shape[1:])
            block = tensor._replace(
                shape=tuple(shape[axis] for axis in axes),
                offset=tensor.offset + number * blocks.distance,
                blocks=None,
            )
            made.append(self._array(block).transpose(back))
        return made if len(made) > 1 else made[0]

    def _array(self, tensor: Tensor, worker: int = 0) -> Any:
        """The array of a tensor that is stored in one piece, as a worker sees it."""
        if tensor.external:
            whole = self._external[tensor.offset][tensor.name]
            shaped = whole.reshape(tensor.shape)
            if not self._xp.may_share_memory(whole, shaped) and whole.size:
                raise MXNetError(f"the array of {tensor.name} must be contiguous")
            return shaped
        room, start = self._plan.room, tensor.offset
        if start >= room.start:
            start += worker * room.bytes
        part = self._arena[start : start + tensor.bytes]
        return part.view(tensor.dtype).reshape(tensor.shape)

    # -- calls --

    def _calls(self, step: Step, stored: Mapping[str, _Stored]) -> _Calls:
        """The call of a step's kernel, or of its pieces and the sums of their shares."""
        op = self._instances.get(step.node.forward or step.node, step.op)
        kernel, xp = getattr(op, step.kernel), self._xp
        steady = repeats(xp) and step.kernel in op.steady

        def call(arrays: dict[str, Any], begin: int = 0) -> Call:
            injected = {**self._injected, "begin": begin}
            made = Repeated(xp, kernel) if steady else kernel
            return made, kernel_arguments(op, kernel, arrays, injected, step.added)

        if not step.pieces:
            return _Calls([[call(dict(stored))]], [], step)
        workers: list[list[Call]] = [[] for _ in range(self._workers(len(step.pieces)) if step.run else 1)]
        shares: dict[str, list[Any]] = {}
        for number, (piece, tensors) in enumerate(step.pieces):
            seen = _seen(piece, number, stored)
            for worker, made in enumerate(workers):
                own = {name: self._array(tensor, worker) for name, tensor in tensors.items()}
                made.append(call({**seen, **own}, piece.begin))
            for name in piece.shares:
                if name in tensors:
                    shares.setdefault(name, []).append(self._array(tensors[name]))
        return _Calls(workers, [(stored[name], each) for name, each in shares.items()], step)

    def _preparing(self, step: Step, stored: Mapping[str, _Stored]) -> Iterator[Call]:
        """The calls that make of constants what a step wants to have."""
        if not step.prepared:
            return
        kernel, places = step.op.prepare, set()
        for number, (piece, tensors) in enumerate(step.pieces or ((WHOLE, step.tensors),)):
            place = tuple(tensors[name].offset for name in step.prepared)
            if place not in places:  # pieces with the same weights share what is made of them
                places.add(place)
                own = {name: self._array(tensors[name]) for name in step.op.scratch if name in tensors}
                arrays = {**_seen(piece, number, stored), **own}
                yield kernel, kernel_arguments(step.op, kernel, arrays, self._injected)

    def _workers(self, chains: int) -> int:
        """How many go through so many chains side by side."""
        return min(self._plan.workers, chains)

    def _joined(self, calls: Sequence[_Calls]) -> Iterator[Call]:
        """One call for each run of steps, and for each step outside of runs."""
        for _, group in groupby(enumerate(calls), lambda item: item[1].step.run or -item[0]):
            yield self._together(self._call([each for _, each in group]))

    def _together(self, call: Call) -> Call:
        """The same call, made by several processes where it is divided and arrays are shared."""
        kernel, arguments = call
        if not threads.forks() or self._plan.workers == 1:
            return call
        if kernel is run_pieces:
            _, parts, sums, _ = arguments
            workers: Sequence[Any] = self._alike(parts)
        elif kernel is run_shards and not arguments[-1]:
            _, workers, sums, _ = arguments
        else:
            return call
        if not shareable(workers):
            return call
        number = self._team.add(workers)
        if len(sums) > 1:  # much to add up, which all of them do
            return run_together, (self._team, (number, self._team.add(self._alike(sums))), [])
        return run_together, (self._team, (number,), sums)

    def _alike(self, calls: Sequence[Call]) -> list[list[list[Call]]]:
        """Calls that every worker makes alike, each of them by itself as long as there are not very many."""
        chains = min(len(calls), tickets.MOST)
        return [[list(calls[number::chains]) for number in range(chains)]] * self._workers(chains)

    def _call(self, each: Sequence[_Calls]) -> Call:
        """The call of one step, or of the steps of a run."""
        xp = self._xp
        if not each[0].step.pieces:
            return each[0].workers[0][0]
        groups = groups_of([both for one in each for both in one.sums])
        sums = [(add_up, (xp, group)) for group in groups]
        if each[0].step.run:
            workers = [list(zip(*steps)) for steps in zip(*(one.workers for one in each))]
            alone = sum(one.step.seconds for one in each) < shards.RUN
            return run_shards, (xp, workers, sums, alone)
        return run_pieces, (xp, each[0].workers[0], sums, each[0].step.seconds < pieces.WAKE)


def _seen(piece: Piece, number: int, stored: Mapping[str, _Stored]) -> dict[str, Any]:
    """What a piece sees: its block of what is stored by shards, its part of the rest."""
    blocks = {name: array[number] for name, array in stored.items() if isinstance(array, list)}
    whole = {name: array for name, array in stored.items() if name not in blocks}
    return {**part_of(piece, whole), **blocks}

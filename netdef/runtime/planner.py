"""How a plan is made: in which order of memory tensors are stored, and on which stretch of the arena."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from netdef.graph.node import Entry, Node
from netdef.ops.backward import Backward
from netdef.ops.base import Op, parameters
from netdef.ops.orders import Order
from netdef.ops.shapes import Full, Shapes
from netdef.passes.gradient import Joint
from netdef.runtime.arena import ALL, SHARD, WORKER, Arena, Buffer, Scratch
from netdef.runtime.joins import Layout, places
from netdef.runtime.pieces import Piece, pieces_of, shapes_of
from netdef.runtime.plan import (
    GRADIENT,
    HEAD_GRADIENT,
    ITEM_SIZES,
    VALUE,
    Accumulate,
    Blocks,
    Part,
    Plan,
    Step,
    Tensor,
    View,
    kernel_of,
)
from netdef.runtime.shards import shard
from netdef.runtime.work import Work
from netdef.runtime.workspaces import Workspaces


def make_plan(
    joint: Joint,
    shapes: Mapping[Entry, Full],
    dtypes: Mapping[Entry, str],
    requests: Mapping[Node, str] | None = None,
    train: bool = False,
    repeatable: bool = False,
    conv_algo: str = "",
    workers: int = 1,
    constants: Collection[str] = (),
) -> Plan:
    """The plan of a joint graph whose shapes and dtypes are complete.

    `requests` says for each variable with a gradient whether the caller's array is written or added to.  A
    `repeatable` plan keeps what the backward pass reads, so that this may run again after one forward pass.
    `conv_algo` names the algorithm for convolutions that it can serve; without it each has what costs least.
    Up to `workers` take shards of the batch side by side: only how much memory there is depends on that.
    `constants` names variables that stay the same from pass to pass.
    """
    every_shape, every_dtype = dict(shapes), dict(dtypes)
    for entry, source in joint.like.items():
        every_shape[entry], every_dtype[entry] = shapes[source], dtypes[source]
    return _Planner(
        joint, every_shape, every_dtype, requests or {}, train, repeatable, conv_algo, workers, constants
    ).make()


class _Draft(NamedTuple):
    """A step before offsets are known."""

    op: Op
    work: Work
    run: int
    inplace: tuple[tuple[str, str], ...]
    scratch: Mapping[str, Scratch]
    pieces: tuple[tuple[Piece, Mapping[str, Scratch]], ...]


class _Planner:
    def __init__(
        self,
        joint: Joint,
        shapes: Mapping[Entry, Full],
        dtypes: Mapping[Entry, str],
        requests: Mapping[Node, str],
        train: bool,
        repeatable: bool,
        conv_algo: str,
        workers: int,
        constants: Collection[str],
    ) -> None:
        self.constants = constants
        self.joint, self.shapes, self.dtypes = joint, shapes, dtypes
        self.requests, self.train, self.conv_algo = requests, train, conv_algo
        self.nodes = [*joint.forward, *joint.backward]
        self.external: dict[Entry, tuple[int, str]] = {}
        self.added: set[Entry] = set()
        self.buffer_of: dict[Entry, Buffer] = {}
        self.arena = Arena()
        self.unshared = 0
        results = [*joint.heads, *joint.gradients.values()]
        kept = set(results)
        if repeatable:
            gradients = set(joint.backward)
            kept.update(e for node in joint.backward for e in node.inputs if e and e.node not in gradients)
        self.wanted = {entry for node in self.nodes for entry in node.inputs if entry is not None} | kept
        self._find_external()
        forward = [work for node in joint.forward for work in self._works(node)]
        self.work = [*forward, *(work for node in joint.backward for work in self._works(node))]
        self.boundary = len(forward)
        self.done = {work.node: number for number, work in enumerate(self.work)}
        self.last_use = {
            entry: number for number, work in enumerate(self.work) for entry in work.reads.values()
        }
        self.last_use.update(dict.fromkeys(kept, len(self.work)))
        seen = {*results, *self.external}
        self.sharding = shard(self.work, self.boundary, seen, conv_algo, constants)
        self.places = places(self.work, self.shapes, self._layout, seen)
        #: the nodes whose inputs lie in their outputs
        self.joined = {place.by for place in self.places.values()}
        #: the nodes that shards compute
        self.divided = {self.work[number].node for number in self.sharding.runs}
        self.spaces = Workspaces(self._buffer, self._shards, len(self.work))
        self.asked = workers
        self.workers = min(workers, max(1, self.sharding.parts)) if self.sharding.runs else 0

    def make(self) -> Plan:
        drafts: list[_Draft] = []
        views = []
        boundary = 0
        for number, work in enumerate(self.work):
            if work.view:
                self._alias(work.reads[work.view[0]], work.writes[work.view[1]])
                views.append((work.node, len(drafts)))
            elif work.node in self.joined:
                (entry,) = work.writes.values()
                self.buffer_of[entry] = self._memory(number, entry)
                self._extend(entry, self.last_use.get(entry, number))
                views.append((work.node, len(drafts)))
            else:
                drafts.append(self._draft(number, work))
                boundary += number < self.boundary
        self.arena.pack(self.sharding.runs, self.sharding.parts)
        return Plan(
            tuple(self._finish(draft) for draft in drafts),
            boundary,
            tuple(self._view(node, after) for node, after in views),
            tuple(self.tensor(head) for head in self.joint.heads),
            tuple(self.tensor(Entry(n, 0)) if n is not None else None for n in self.joint.head_gradients),
            tuple(self._accumulate()),
            tuple(self._cleared()),
            self.arena.bytes(self.workers),
            self.unshared,
            self.train,
            self.arena.room,
            self.asked,
        )

    def _accumulate(self) -> Iterator[Accumulate]:
        for node, entry in self.joint.gradients.items():
            if self.external.get(entry) != (GRADIENT, node.name):
                source = self.tensor(entry)
                target = source._replace(offset=GRADIENT, name=node.name)
                yield Accumulate(source, target, self.requests.get(node) == "add")

    def _cleared(self) -> Iterator[Tensor]:
        for node, request in self.requests.items():
            if request == "write" and node not in self.joint.gradients:
                entry = Entry(node, 0)
                yield Tensor(self.shapes[entry], self.dtypes[entry], GRADIENT, node.name)

    # -- one node --

    def _works(self, node: Node) -> Iterator[Work]:
        """The kernels of a node; what nobody reads or sees is not written."""
        op, backward = kernel_of(node)
        facts = self._facts(node)
        reads = {name: entry for name, entry in zip(node.read_names(), node.inputs) if entry is not None}
        writes = {}
        for i, name in enumerate(node.write_names()):
            entry = Entry(node, i)
            if entry in self.wanted or (not backward and i < node.visible_outputs()):
                writes[name] = entry
        view = None if backward else op.view(self.train)
        if view and writes[view[1]] in self.joint.heads:
            view = None  # a caller would hold the same array twice
        itemsize = ITEM_SIZES[self.dtypes[Entry(node.forward or node, 0)]]
        adds = not self.added.isdisjoint(writes.values())
        kernel = "backward" if backward else "forward"
        whole = Work(node, op, kernel, backward, facts, reads, writes, itemsize, view, adds)
        stages = op.stages(facts, backward, self.train)
        if not stages:
            yield whole
        for stage in stages:
            names = parameters(getattr(op, stage.kernel))
            read = {name: entry for name, entry in reads.items() if name in names}
            written = {name: entry for name, entry in writes.items() if name in names}
            last = stage is stages[-1]
            yield whole._replace(kernel=stage.kernel, reads=read, writes=written, stage=stage, last=last)

    def _draft(self, number: int, work: Work) -> _Draft:
        """Decide the memory of the outputs and workspaces of one kernel."""
        dtype = self.dtypes[Entry(work.node.forward or work.node, 0)]
        run = self.sharding.runs.get(number, 0)
        inplace: list[tuple[str, str]] = []
        for name, entry in work.writes.items():
            if entry in self.external:
                continue
            source = self._dying(number, work, name, entry, [pair[0] for pair in inplace])
            if source:
                self.buffer_of[entry] = self.buffer_of[work.reads[source]]
                self.unshared += self.bytes(entry)
                inplace.append((source, name))
            else:
                self.buffer_of[entry] = self._memory(number, entry)
        for entry in work.writes.values():
            self._extend(entry, max(self.last_use.get(entry, number), self.done[work.node]))
        pieces = self.sharding.pieces(number, tuple(work.writes)) if run else ()
        seen = [shapes_of(piece, work.shapes) for piece in pieces] if run else [work.shapes]
        constant = [name for name, entry in work.reads.items() if entry.node.name in self.constants]
        orders = {self.sharding.stored.get(entry) for entry in work.entries.values()}
        channels_last = Order.CHANNELS_LAST in orders
        op = work.op.tuned(seen[-1], dtype, self.conv_algo, constant, channels_last)
        if not run and not work.stage:
            names = tuple(work.reads), tuple(work.writes), inplace
            pieces = pieces_of(op, work.backward, work.shapes, *names, work.seconds)
        draft = _Draft(op, work, run, tuple(inplace), {}, ())
        if not pieces:
            return draft._replace(scratch=self.spaces.of_step(number, op, work, dtype))
        if run:
            spaces = list(self.spaces.of_shards(number, op, work, dtype, seen))
        else:
            parts = [shapes_of(piece, work.shapes) for piece in pieces]
            spaces = self.spaces.of_pieces(number, op, work, dtype, parts)
        return draft._replace(pieces=tuple(self._with_shares(number, work, pieces, spaces)))

    def _with_shares(
        self, number: int, work: Work, pieces: Sequence[Piece], spaces: Sequence[Mapping[str, Scratch]]
    ) -> Iterator[tuple[Piece, Mapping[str, Scratch]]]:
        """Pieces with memory of their own: workspaces and shares of sums; the first writes to the sum."""
        for place, (piece, own) in enumerate(zip(pieces, spaces)):
            if place and piece.unwanted == pieces[place - 1].unwanted:
                shared = {name: work.writes[name] for name in piece.shares}
                own = {**own, **{name: self._share(number, entry) for name, entry in shared.items()}}
            yield piece, own

    def _share(self, number: int, entry: Entry) -> Scratch:
        return Scratch(self.shapes[entry], self.dtypes[entry], self._buffer(self.bytes(entry), number))

    def _alias(self, source: Entry, output: Entry) -> None:
        """Let `output` be the memory of `source`."""
        if source in self.buffer_of:
            self.buffer_of[output] = self.buffer_of[source]
            self._extend(output, self.last_use.get(output, 0))
        else:
            self.external[output] = self._home(source)

    def _dying(self, number: int, work: Work, written: str, output: Entry, taken: Collection[str]) -> str:
        """The input whose memory the output may take; the operator allows it and nobody reads it later.

        In a run nobody knows where the other shards are, so that only a shard's own memory is taken.
        """
        order, apart = self._layout(output)
        if output in self.places or (number in self.sharding.runs and not apart):
            return ""
        for read, name in work.op.inplace:
            source = work.reads.get(read)
            if name != written or source is None or read in taken or source not in self.buffer_of:
                continue
            if source in self.places:
                continue  # what lies beside it may be read later
            buffer = self.buffer_of[source]
            if any(
                name != read and self.buffer_of.get(entry) is buffer for name, entry in work.reads.items()
            ):
                # Another input is the same memory, and the kernel may read it after writing the output.
                continue
            same = self.bytes(source) == self.bytes(output) and self.dtypes[source] == self.dtypes[output]
            if same and (order, apart) == self._layout(source) and buffer.last <= number:
                return read
        return ""

    # -- memory --

    def _shards(self, node: Node) -> int:
        """By how many shards a node is computed."""
        return self.sharding.parts if node in self.divided else 1

    def _layout(self, entry: Entry) -> Layout:
        """The order of an entry's axes, if callers know another one, and whether shards have it apart."""
        order = self.sharding.stored.get(entry)
        return order, order is not None and entry not in self.sharding.together

    def _memory(self, number: int, entry: Entry) -> Buffer:
        """Memory for what a step writes: its own, or that of another entry in which it lies."""
        whole = self.places[entry].whole if entry in self.places else entry
        if whole not in self.buffer_of:
            self.buffer_of[whole] = self._stored(number, whole)
        return self.buffer_of[whole]

    def _stored(self, number: int, entry: Entry) -> Buffer:
        """Memory of its own for what a step writes."""
        _, apart = self._layout(entry)
        if not apart or self.sharding.parts == 1:
            return self._buffer(self.bytes(entry), number)
        each = self.bytes(entry) // self.shapes[entry][0] if self.shapes[entry][0] else 0
        return self._buffer(each * self.sharding.largest, number, SHARD)

    def _buffer(self, size: int, number: int, owner: str = ALL) -> Buffer:
        self.unshared += size * {ALL: 1, SHARD: self.sharding.parts, WORKER: self.workers}[owner]
        return self.arena.buffer(size, number, owner)

    def _extend(self, entry: Entry, last: int) -> None:
        if entry in self.buffer_of:
            self.buffer_of[entry].last = max(self.buffer_of[entry].last, last)

    # -- facts --

    def bytes(self, entry: Entry) -> int:
        return math.prod(self.shapes[entry]) * ITEM_SIZES[self.dtypes[entry]]

    def _facts(self, node: Node) -> Shapes:
        """The shapes of an operator's tensors; of the forward operator for a backward node."""
        source = node.forward or node
        entries = dict(zip(source.read_names(), source.inputs))
        entries.update((name, Entry(source, i)) for i, name in enumerate(source.write_names()))
        return Shapes({name: self.shapes[entry] for name, entry in entries.items() if entry is not None})

    def _find_external(self) -> None:
        """Find what the caller's arrays hold beside variables: gradients that arrive and that are wanted."""
        for number, node in enumerate(self.joint.head_gradients):
            if node is not None:
                self.external[Entry(node, 0)] = HEAD_GRADIENT, str(number)
        for node, entry in self.joint.gradients.items():
            request, maker = self.requests.get(node), entry.node.op
            adds = request == "add" and isinstance(maker, Backward) and maker.op.adds
            if adds or (request == "write" and maker is not None):
                self.external[entry] = GRADIENT, node.name
            if adds:
                self.added.add(entry)

    def _home(self, entry: Entry) -> tuple[int, str]:
        """Where an entry without a place in the arena lives."""
        return self.external.get(entry) or (VALUE, entry.node.name)

    def tensor(self, entry: Entry) -> Tensor:
        shape, dtype = self.shapes[entry], self.dtypes[entry]
        buffer = self.buffer_of.get(entry)
        if buffer is None:
            return Tensor(shape, dtype, *self._home(entry))
        order, apart = self._layout(entry)
        blocks = None
        if order is not None:
            ends = self.sharding.ends if apart else (0, shape[0])
            blocks = Blocks(ends, self.arena.distance, order)
        part = None
        if entry in self.places:
            whole, axis, start, _ = self.places[entry]
            part = Part(self.shapes[whole], axis, start)
        return Tensor(shape, dtype, self.arena.offset(buffer), entry.name, blocks, part)

    def _view(self, node: Node, after: int) -> View:
        return View(node, after, node.write_names()[0], self.tensor(Entry(node, 0)))

    def _finish(self, draft: _Draft) -> Step:
        op, work = draft.op, draft.work
        tensors = {name: self.tensor(entry) for name, entry in work.entries.items()}
        pieces = tuple((piece, self._placed(own, place)) for place, (piece, own) in enumerate(draft.pieces))
        return Step(
            work.node,
            op,
            work.kernel,
            work.backward,
            tensors | self._placed(draft.scratch),
            draft.inplace,
            frozenset(name for name, entry in work.entries.items() if entry in self.added),
            work.flops,
            op.algorithm(tuple(work.writes)),
            pieces,
            draft.run,
            work.seconds,
            work.last,
            tuple(op.prepared(work.shapes)),
        )

    def _placed(self, scratch: Mapping[str, Scratch], shard: int = 0) -> dict[str, Tensor]:
        return {
            name: Tensor(space.shape, space.dtype, self.arena.offset(space.buffer, shard) + space.start, name)
            for name, space in scratch.items()
        }

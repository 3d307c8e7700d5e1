"""Plans: what runs, in which order, on which memory.

A plan is decided before anything runs and holds no arrays: a flat list of steps whose tensors are either
external (arguments, states, gradients, heads' gradients: arrays of the caller) or a place in one arena.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from netdef.graph.node import Entry, Node
from netdef.ops.base import Backward, Op
from netdef.ops.shapes import Full, Shapes
from netdef.passes.gradient import Joint
from netdef.passes.memory import Interval, pack
from netdef.runtime.pieces import Piece, pieces_of, shapes_of

#: what stands for the offset of an array that is not in the arena: an argument or state, by the name of its
#: variable; the gradient of an argument, likewise; the gradient that arrives at a head, by the head's number
VALUE, GRADIENT, HEAD_GRADIENT = -1, -2, -3

#: bytes of one element of each dtype
ITEM_SIZES = {
    **{
        "bool": 1,
        "int8": 1,
        "uint8": 1,
        "int16": 2,
        "uint16": 2,
        "int32": 4,
        "uint32": 4,
        "int64": 8,
        "uint64": 8,
    },
    **{"float16": 2, "float32": 4, "float64": 8},
}


class Tensor(NamedTuple):
    """An array of the plan, at an `offset` of the arena or, where that is negative, the caller's."""

    shape: Full
    dtype: str
    offset: int
    name: str

    @property
    def external(self) -> bool:
        """Whether the array is the caller's."""
        return self.offset < 0

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * ITEM_SIZES[self.dtype]


class Step(NamedTuple):
    """One kernel call: the tensors under the kernel's parameter names."""

    node: Node
    op: Op
    backward: bool
    tensors: Mapping[str, Tensor]
    #: parameter names that share their memory with another one
    inplace: tuple[tuple[str, str], ...]
    #: parameter names of the gradients that the kernel adds to
    added: frozenset[str]
    flops: int
    #: how the kernel computes what it writes, where there is a choice
    algorithm: str = ""
    #: the calls that it consists of where it is cut, each with the tensors of its own: workspaces, shares
    pieces: tuple[tuple[Piece, Mapping[str, Tensor]], ...] = ()


class View(NamedTuple):
    """An operator that runs nothing, since its output is the memory of its input."""

    node: Node
    #: how many steps run before the output holds its values
    after: int
    name: str
    tensor: Tensor


class Accumulate(NamedTuple):
    """A finished gradient that is added or copied to the caller's array, where no kernel could write it."""

    source: Tensor
    target: Tensor
    add: bool


class Plan(NamedTuple):
    """Everything that a pass does.  `steps[:boundary]` is the forward pass, the rest the backward pass."""

    steps: tuple[Step, ...]
    boundary: int
    views: tuple[View, ...]
    heads: tuple[Tensor, ...]
    head_gradients: tuple[Tensor | None, ...]
    accumulate: tuple[Accumulate, ...]
    #: gradients to write that no head depends on: the backward pass sets them to zero
    cleared: tuple[Tensor, ...]
    arena_bytes: int
    #: bytes that the same tensors would take without sharing
    unshared_bytes: int
    train: bool


class _Buffer:
    """A stretch of the arena while the plan is made: the steps during which it is in use."""

    __slots__ = ("bytes", "first", "last", "offset")

    def __init__(self, size: int, first: int) -> None:
        self.bytes, self.first, self.last, self.offset = size, first, first, 0


#: shape, dtype and place of a workspace
_Scratch = tuple[Full, str, _Buffer]


class _Draft(NamedTuple):
    """A step before offsets are known."""

    node: Node
    op: Op
    entries: Mapping[str, Entry]
    scratch: Mapping[str, _Scratch]
    inplace: tuple[tuple[str, str], ...]
    pieces: tuple[tuple[Piece, Mapping[str, _Scratch]], ...]


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
    ) -> None:
        self.joint, self.shapes, self.dtypes = joint, shapes, dtypes
        self.requests, self.train, self.conv_algo = requests, train, conv_algo
        self.nodes = [*joint.forward, *joint.backward]
        self.external: dict[Entry, tuple[int, str]] = {}
        self.added: set[Entry] = set()
        self.buffer_of: dict[Entry, _Buffer] = {}
        self.buffers: list[_Buffer] = []
        self.unshared = 0
        self.last_use: dict[Entry, int] = {}
        for number, node in enumerate(self.nodes):
            for entry in node.inputs:
                if entry is not None:
                    self.last_use[entry] = number
        kept = [*joint.heads, *joint.gradients.values()]
        if repeatable:
            gradients = set(joint.backward)
            kept += [e for node in joint.backward for e in node.inputs if e and e.node not in gradients]
        for entry in kept:
            self.last_use[entry] = len(self.nodes)

    def make(self) -> Plan:
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
        drafts: list[_Draft] = []
        views = []
        boundary = 0
        for number, node in enumerate(self.nodes):
            draft = self._draft(number, node)
            if draft is None:
                views.append((node, len(drafts)))
            else:
                drafts.append(draft)
                boundary += number < len(self.joint.forward)
        offsets, total = pack([Interval(b.bytes, b.first, b.last) for b in self.buffers])
        for buffer, offset in zip(self.buffers, offsets):
            buffer.offset = offset
        return Plan(
            tuple(self._finish(draft) for draft in drafts),
            boundary,
            tuple(self._view(node, after) for node, after in views),
            tuple(self.tensor(head) for head in self.joint.heads),
            tuple(self.tensor(Entry(n, 0)) if n is not None else None for n in self.joint.head_gradients),
            tuple(self._accumulate()),
            tuple(self._cleared()),
            total,
            self.unshared,
            self.train,
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

    def _draft(self, number: int, node: Node) -> _Draft | None:
        """Decide the memory of one node's outputs and workspaces.

        Returns None where the output is a view of its input.
        """
        op, backward = kernel_of(node)
        facts, dtype = self._facts(node), self.dtypes[Entry(node.forward or node, 0)]
        op = op.tuned(facts, dtype, self.conv_algo)
        reads = {name: entry for name, entry in zip(node.read_names(), node.inputs) if entry is not None}
        writes = {}
        for i, name in enumerate(node.write_names()):
            entry = Entry(node, i)
            if entry in self.last_use or (not backward and i < node.visible_outputs()):
                writes[name] = entry
        view = None if backward else op.view(self.train)
        if view and self._alias(reads[view[0]], writes[view[1]]):
            return None
        inplace: list[tuple[str, str]] = []
        for name, entry in writes.items():
            if entry in self.external:
                continue
            source = self._dying(number, op, name, entry, reads, [pair[0] for pair in inplace])
            if source:
                self.buffer_of[entry] = self.buffer_of[reads[source]]
                self.unshared += self.bytes(entry)
                inplace.append((source, name))
            else:
                self.buffer_of[entry] = self._buffer(self.bytes(entry), number)
        for entry in writes.values():
            self._extend(entry, self.last_use.get(entry, number))
        pieces = pieces_of(
            op,
            backward,
            facts,
            tuple(reads),
            tuple(writes),
            inplace,
            op.flops(facts) * (2 if backward else 1),
            ITEM_SIZES[dtype],
        )
        scratch = {} if pieces else self._scratch(number, op, backward, facts, dtype)
        cut = []
        for place, piece in enumerate(pieces):
            own = self._scratch(number, op, backward, shapes_of(piece, facts), dtype)
            if place and piece.unwanted == pieces[place - 1].unwanted:
                own |= {name: self._share(number, writes[name]) for name in piece.shares}
            cut.append((piece, own))
        return _Draft(node, op, {**reads, **writes}, scratch, tuple(inplace), tuple(cut))

    def _scratch(self, number: int, op: Op, backward: bool, facts: Shapes, dtype: str) -> dict[str, _Scratch]:
        """The workspaces of a step, or of a piece of it, whose first tensor has a dtype."""
        found = {}
        for name, space in op.workspaces(facts, backward).items():
            held = space.dtype_for(dtype)
            size = math.prod(space.shape) * ITEM_SIZES[held]
            found[name] = (space.shape, held, self._buffer(size, number))
        return found

    def _share(self, number: int, entry: Entry) -> _Scratch:
        return self.shapes[entry], self.dtypes[entry], self._buffer(self.bytes(entry), number)

    def _alias(self, source: Entry, output: Entry) -> bool:
        """Let `output` be the memory of `source`; not where a caller would then hold the same array twice."""
        if output in self.joint.heads:
            return False
        if source in self.buffer_of:
            self.buffer_of[output] = self.buffer_of[source]
            self._extend(output, self.last_use.get(output, 0))
        else:
            self.external[output] = self._home(source)
        return True

    def _dying(
        self,
        number: int,
        op: Op,
        written: str,
        output: Entry,
        reads: Mapping[str, Entry],
        taken: Collection[str],
    ) -> str:
        """The input whose memory the output may take; the operator allows it and nobody reads it later."""
        for read, name in op.inplace:
            source = reads.get(read)
            if name != written or source is None or read in taken or source not in self.buffer_of:
                continue
            buffer = self.buffer_of[source]
            if any(name != read and self.buffer_of.get(entry) is buffer for name, entry in reads.items()):
                # Another input is the same memory, and the kernel may read it after writing the output.
                continue
            same = self.bytes(source) == self.bytes(output) and self.dtypes[source] == self.dtypes[output]
            if same and buffer.last <= number:
                return read
        return ""

    def _buffer(self, size: int, number: int) -> _Buffer:
        buffer = _Buffer(size, number)
        self.buffers.append(buffer)
        self.unshared += size
        return buffer

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

    def _home(self, entry: Entry) -> tuple[int, str]:
        """Where an entry without a place in the arena lives."""
        return self.external.get(entry) or (VALUE, entry.node.name)

    def tensor(self, entry: Entry) -> Tensor:
        buffer = self.buffer_of.get(entry)
        offset, name = self._home(entry) if buffer is None else (buffer.offset, entry.name)
        return Tensor(self.shapes[entry], self.dtypes[entry], offset, name)

    def _view(self, node: Node, after: int) -> View:
        return View(node, after, node.write_names()[0], self.tensor(Entry(node, 0)))

    def _finish(self, draft: _Draft) -> Step:
        op, (_, backward) = draft.op, kernel_of(draft.node)
        tensors = {name: self.tensor(entry) for name, entry in draft.entries.items()}
        tensors |= _placed(draft.scratch)
        pieces = tuple((piece, _placed(own)) for piece, own in draft.pieces)
        added = frozenset(name for name, entry in draft.entries.items() if entry in self.added)
        flops = op.flops(self._facts(draft.node)) * (2 if backward else 1)
        algorithm = op.algorithm([name for name in draft.node.write_names() if name in tensors])
        return Step(draft.node, op, backward, tensors, draft.inplace, added, flops, algorithm, pieces)


def _placed(scratch: Mapping[str, _Scratch]) -> dict[str, Tensor]:
    return {
        name: Tensor(shape, dtype, buffer.offset, name) for name, (shape, dtype, buffer) in scratch.items()
    }


def kernel_of(node: Node) -> tuple[Op, bool]:
    """The operator of a node, and whether it is its gradient that the node computes."""
    if isinstance(node.op, Backward):
        return node.op.op, True
    assert node.op is not None, "variables run nothing"
    return node.op, False


def make_plan(
    joint: Joint,
    shapes: Mapping[Entry, Full],
    dtypes: Mapping[Entry, str],
    requests: Mapping[Node, str] | None = None,
    train: bool = False,
    repeatable: bool = False,
    conv_algo: str = "",
) -> Plan:
    """The plan of a joint graph whose shapes and dtypes are complete.

    `requests` says for each variable with a gradient whether the caller's array is written or added to.  A
    `repeatable` plan keeps what the backward pass reads, so that this may run again after one forward pass.
    `conv_algo` names the algorithm for convolutions that it can serve; without it each has what costs least.
    """
    every_shape, every_dtype = dict(shapes), dict(dtypes)
    for entry, source in joint.like.items():
        every_shape[entry], every_dtype[entry] = shapes[source], dtypes[source]
    return _Planner(joint, every_shape, every_dtype, requests or {}, train, repeatable, conv_algo).make()

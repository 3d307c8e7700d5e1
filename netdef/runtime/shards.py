"""How the batch is cut into shards, each of which a thread takes through many steps.

Steps that compute every sample by itself follow each other in runs: one shard goes through all steps of a run
before anybody waits for the others.  What lies between two such steps is stored for each shard by itself,
with its axes in the order by which its operators gain: the batch last, where loops are as long as a shard at
least, or the channels last, where nothing goes backward.

Decided by shapes and costs alone, never by the number of threads: results are the same bits with any number.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from netdef.graph.node import Entry, Node
from netdef.ops.base import Op, Stage
from netdef.ops.orders import Order
from netdef.ops.shapes import Shapes
from netdef.runtime.pieces import Piece, base, elements, seconds_of

#: shards of a batch at most
MOST = 8
#: seconds that a shard takes at least
SHORTEST = 1e-3
#: images that a shard has at least, where one takes at least so many seconds
FEWEST = ((8, 10e-3), (16, 400e-6), (32, 0.0))
#: how many elements a step may read or add up whole, for each that is cut
WHOLE = 8
#: seconds that a run takes at least for threads to be worth waking
RUN = 100e-6


class Work(NamedTuple):
    """What one kernel has to do for a node, as far as shards are concerned."""

    node: Node
    op: Op
    kernel: str
    backward: bool
    shapes: Shapes
    reads: Mapping[str, Entry]
    writes: Mapping[str, Entry]
    itemsize: int
    #: the pair (input, output) that are one memory; nothing runs then
    view: tuple[str, str] | None
    #: whether it adds to gradients of the caller
    adds: bool
    #: which part of the node's pass it is, where that has several
    stage: Stage | None = None
    #: whether the node's pass is complete after it
    last: bool = True

    @property
    def entries(self) -> dict[str, Entry]:
        return {**self.reads, **self.writes}

    @property
    def flops(self) -> int:
        """Floating-point operations, counted where the node's pass is complete."""
        return self.op.flops(self.shapes) * (2 if self.backward else 1) if self.last else 0

    @property
    def seconds(self) -> float:
        names = [*self.reads, *self.writes]
        return seconds_of(self.flops, self.shapes, names, self.itemsize)

    def channels_last(self, images: int, wanted: str, constants: Collection[str]) -> float:
        """Nanoseconds that a part of the batch gains where channels are last in memory; -inf: never."""
        if self.view:
            return 0.0 if len({self.shapes.full(name) for name in self.view}) == 1 else -math.inf
        constant = [name for name, entry in self.reads.items() if entry.node.name in constants]
        return self.op.channels_last(self.shapes, images, wanted, constant)

    def cut(self) -> tuple[int, frozenset[str]]:
        """The size of the batch, and the tensors that have it in front; 0: samples are not by themselves."""
        if self.view:
            firsts = {self.shapes.full(name)[:1] for name in self.view}
            alike = len(firsts) == 1 and firsts != {()}
            return (firsts.pop()[0], frozenset(self.view)) if alike else (0, frozenset())
        draws = self.op.draws() and not self.backward
        if self.adds or draws or (self.stage and not self.stage.cut):
            return 0, frozenset()
        samples = self.op.samples(self.shapes)
        sizes = {
            name: self.shapes.full(base(name, self.shapes))[0]
            for name in self.entries
            if base(name, self.shapes) in samples and self.shapes.full(base(name, self.shapes))
        }
        extent = max(sizes.values(), default=0)
        names = frozenset(name for name, size in sizes.items() if size == extent)
        if not self.backward and not names.issuperset(self.writes):
            return 0, frozenset()  # what a forward pass writes for the whole batch is no sum
        whole = sum(elements(self.shapes, name) for name in self.entries if name not in names)
        if whole > WHOLE * sum(elements(self.shapes, name) for name in names):
            return 0, frozenset()
        return extent, names


class Sharding(NamedTuple):
    """Which nodes are computed by shards, and which entries are stored by shards."""

    #: where each shard begins, and the end of the batch
    ends: tuple[int, ...] = (0,)
    #: by the number of a node: the run that it belongs to, and the tensors that are cut
    runs: Mapping[int, int] = {}
    cut: Mapping[int, frozenset[str]] = {}
    #: entries stored by shards, and the order of their axes in memory
    stored: Mapping[Entry, Order] = {}

    @property
    def parts(self) -> int:
        return len(self.ends) - 1

    @property
    def largest(self) -> int:
        """How many images the largest shard has."""
        return max((stop - start for start, stop in pairwise(self.ends)), default=0)

    def pieces(self, number: int, written: Sequence[str]) -> tuple[Piece, ...]:
        """One piece of a node's pass for each shard."""
        cut = self.cut[number]
        shares = tuple(name for name in written if name not in cut)
        return tuple(
            Piece(dict.fromkeys(cut, (0, start, stop)), frozenset(), shares)
            for start, stop in pairwise(self.ends)
        )


def shard(
    work: Sequence[Work],
    boundary: int,
    kept: Collection[Entry],
    wanted: str = "",
    constants: Collection[str] = (),
) -> Sharding:
    """The shards of a pass; `kept` are entries that a caller sees, which are stored as callers know them.

    A run ends at the `boundary` between forward and backward pass.  `wanted` is an algorithm for
    convolutions; `constants` names variables that stay the same from pass to pass.
    """
    cuts = [each.cut() for each in work]
    weights: dict[int, float] = defaultdict(float)
    for each, (extent, _) in zip(work, cuts):
        if not each.view:
            weights[extent] += each.seconds if extent > 1 else 0.0
    batch = max(weights, key=weights.__getitem__, default=1)
    cut = {number: names for number, (extent, names) in enumerate(cuts) if extent == batch}
    for number in _incomplete(work, cut):
        del cut[number]
    count = _count(batch, weights[batch]) if batch > 1 else 1
    ends = tuple(batch * number // count for number in range(count + 1))
    root = _memories(work)
    seen = {root(entry) for entry in kept}
    images, gains = -(-batch // count), [-math.inf] * len(work)
    if boundary == len(work):  # what goes backward is made for the batch last
        gains = [each.channels_last(images, wanted, constants) for each in work]
    stored = _stored(work, cut, seen, root, gains)
    if count == 1:  # one image has the batch first as well as last
        usual = {Order.BATCH_FIRST} if batch > 1 else {Order.BATCH_FIRST, Order.BATCH_LAST}
        stored = {entry: order for entry, order in stored.items() if order not in usual}
    return Sharding(ends, _runs(work, cut, boundary, root) if count > 1 else {}, cut, stored)


def _count(batch: int, seconds: float) -> int:
    """How many shards: a power of two, since threads are mostly as many; two halves rather than a whole."""
    images = next(images for images, least in FEWEST if seconds / batch >= least)
    most = min(MOST, max(2, batch // images), int(seconds / SHORTEST))
    return 1 << max(most, 1).bit_length() - 1


def _incomplete(work: Sequence[Work], cut: Collection[int]) -> list[int]:
    """The stages that can be cut of nodes of which another one cannot."""
    whole = {
        each.node for number, each in enumerate(work) if each.stage and each.stage.cut and number not in cut
    }
    return [number for number in cut if work[number].node in whole]


def _memories(work: Sequence[Work]) -> Callable[[Entry], Entry]:
    """What finds the entry whose memory an entry is a view of."""
    sources = {each.writes[each.view[1]]: each.reads[each.view[0]] for each in work if each.view}

    def root(entry: Entry) -> Entry:
        while entry in sources:
            entry = sources[entry]
        return entry

    return root


def _stored(
    work: Sequence[Work],
    cut: Mapping[int, frozenset[str]],
    kept: Collection[Entry],
    root: Callable[[Entry], Entry],
    gains: Sequence[float],
) -> dict[Entry, Order]:
    """Entries that only steps touch which cut them, and how they are stored.

    `gains` says what each step gains where channels are last.
    """
    made = {root(entry) for each in work for entry in each.writes.values()}
    whole = {
        root(entry)
        for number, each in enumerate(work)
        for name, entry in each.entries.items()
        if name not in cut.get(number, ())
    }
    apart = made - whole - set(kept)
    touched = [[root(entry) for entry in each.entries.values() if root(entry) in apart] for each in work]
    batch = _batch_last(touched, [None if each.view else each.op.batch_last for each in work])
    channels = _channels_last(touched, gains)
    orders = {}
    for entry in {entry for each in work for entry in each.entries.values() if root(entry) in apart}:
        last = Order.BATCH_LAST if root(entry) in batch else Order.BATCH_FIRST
        orders[entry] = Order.CHANNELS_LAST if root(entry) in channels else last
    return orders


class _Parties:
    """Entries that are to be alike."""

    def __init__(self) -> None:
        self._next: dict[Entry, Entry] = {}

    def of(self, entry: Entry) -> Entry:
        """One of them that stands for all."""
        passed = []
        while entry in self._next:
            passed.append(entry)
            entry = self._next[entry]
        self._next.update(dict.fromkeys(passed, entry))  # a chain of many layers is walked but once
        return entry

    def join(self, entries: Sequence[Entry]) -> None:
        for entry in entries[1:]:
            one, other = self.of(entries[0]), self.of(entry)
            if one != other:
                self._next[one] = other


def _batch_last(touched: Sequence[Sequence[Entry]], votes: Sequence[bool | None]) -> set[Entry]:
    """The entries for which some of those who touch them vote, and none against.

    Who does not mind wants all that it touches to be alike: a vote for or against one counts for all.
    """
    parties = _Parties()
    for entries, vote in zip(touched, votes):
        if vote is None:
            parties.join(entries)
    cast: dict[Entry, set[bool | None]] = defaultdict(set)
    for entries, vote in zip(touched, votes):
        for entry in entries:
            cast[parties.of(entry)].add(vote)
    won = {party for party, votes_cast in cast.items() if True in votes_cast and False not in votes_cast}
    return {entry for entries in touched for entry in entries if parties.of(entry) in won}


def _channels_last(touched: Sequence[Sequence[Entry]], gains: Sequence[float]) -> set[Entry]:
    """The entries that have the channels last.

    Those that some step must not have so do not; the others between two of them are alike, as together their
    steps gain.
    """
    never = {entry for entries, gain in zip(touched, gains) if gain == -math.inf for entry in entries}
    free = [[entry for entry in entries if entry not in never] for entries in touched]
    parties = _Parties()
    for entries in free:
        parties.join(entries)
    total: dict[Entry, float] = defaultdict(float)
    for entries, gain in zip(free, gains):
        if entries:
            total[parties.of(entries[0])] += gain
    return {entry for entries in free for entry in entries if total[parties.of(entry)] > 0}


def _runs(
    work: Sequence[Work], cut: Mapping[int, frozenset[str]], boundary: int, root: Callable[[Entry], Entry]
) -> dict[int, int]:
    """The run of each kernel that shards compute.

    What reads whole what its run makes, or a sum to which all shards add, has to wait: it begins another run.
    """
    runs: dict[int, int] = {}
    made: set[Entry] = set()
    added: set[Entry] = set()
    run = 1
    for number, each in enumerate(work):
        if each.view:
            continue
        names = cut.get(number)
        read = {name: root(entry) for name, entry in each.reads.items()}
        whole = {entry for name, entry in read.items() if name not in (names or ())}
        if names is None or number == boundary or whole & made or added.intersection(read.values()):
            run += 1
            made, added = set(), set()
        if names is not None:
            runs[number] = run
            made |= {root(entry) for entry in each.writes.values()}
            added |= {root(entry) for name, entry in each.writes.items() if name not in names}
    return runs

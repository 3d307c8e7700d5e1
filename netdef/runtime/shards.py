"""How the batch is cut into shards, each of which a thread takes through many steps.

Steps that compute every sample by itself follow each other in runs: one shard goes through all steps of a run
before anybody waits for the others.  What lies between two such steps is stored for each shard by itself,
with its axes in the order by which its operators gain: the batch last, where loops are as long as a shard at
least, or the channels last, where nothing goes backward.

With the channels last few images are as quick as many in most layers, so that shards can be small: more
processes have something to do, and who is quicker does more.  Layers in which small shards would take longer,
because all filters are read for each, are left to be cut by themselves.

Decided by shapes and costs alone, never by the number of threads: results are the same bits with any number.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from netdef.graph.node import Entry
from netdef.ops.orders import Order
from netdef.runtime.pieces import Piece
from netdef.runtime.storage import Storage
from netdef.runtime.work import Work

#: shards of a batch at most
MOST = 8
#: seconds that a shard takes at least
SHORTEST = 1e-3
#: images that a shard has at least, where one takes at least so many seconds
FEWEST = ((8, 10e-3), (16, 400e-6), (32, 0.0))
#: how much longer a step may take because shards are smaller; else it is left out
LOSS = 1.1
#: parts of the time: those left out take less, and those with the channels last take more
LEFT, NEARLY = 0.5, 0.9
#: seconds that a run takes at least for threads to be worth waking
RUN = 100e-6


class Sharding(NamedTuple):
    """Which nodes are computed by shards, and which entries are stored by shards."""

    #: where each shard begins, and the end of the batch
    ends: tuple[int, ...] = (0,)
    #: by the number of a node: the run that it belongs to, and the tensors that are cut
    runs: Mapping[int, int] = {}
    cut: Mapping[int, frozenset[str]] = {}
    #: entries that are not stored as callers know them, and the order of their axes in memory
    stored: Mapping[Entry, Order] = {}
    #: those of them that are in one piece for all shards
    together: Collection[Entry] = frozenset()

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
    storage = Storage(work, kept)
    count = _count(batch, weights[batch]) if batch > 1 else 1
    left: Collection[int] = ()
    if boundary < len(work):  # what goes backward has the batch last
        stored = storage.orders(cut, (), [-math.inf] * len(work))
    else:
        costs = _Costs(work, batch, wanted, constants)
        stored = storage.orders(cut, (), costs.gains(count))
        if count > 1:
            count, left, stored = _smaller(costs, storage, cut, count, stored, weights[batch])
    cut = {number: names for number, names in cut.items() if number not in left}
    if count == 1:  # one image has the batch first as well as last
        usual = {Order.BATCH_FIRST} if batch > 1 else {Order.BATCH_FIRST, Order.BATCH_LAST}
        stored = {entry: order for entry, order in stored.items() if order not in usual}
    touched = storage.touched(left)
    together = frozenset(entry for entry in stored if storage.root(entry) in touched)
    ends = tuple(batch * number // count for number in range(count + 1))
    runs = _runs(work, cut, boundary, storage.root) if count > 1 else {}
    return Sharding(ends, runs, cut, stored, together)


class _Costs:
    """What the steps of a forward pass cost where the batch is cut into a number of parts."""

    def __init__(self, work: Sequence[Work], batch: int, wanted: str, constants: Collection[str]) -> None:
        self.work, self.batch, self._wanted, self._constants = work, batch, wanted, constants

    def of(self, number: int, count: int, channels_last: bool) -> float:
        """Nanoseconds of all parts of a step; see `Op.cost`."""
        images = -(-self.batch // count)
        return count * self.work[number].cost(images, channels_last, self._wanted, self._constants)

    def gains(self, count: int) -> list[float]:
        """Nanoseconds that all parts of each step gain where the channels are last; -inf: never."""
        return [self._gain(number, count) for number in range(len(self.work))]

    def _gain(self, number: int, count: int) -> float:
        last = self.of(number, count, channels_last=True)
        return -math.inf if last == math.inf else self.of(number, count, channels_last=False) - last


def _smaller(
    costs: _Costs,
    storage: Storage,
    cut: Mapping[int, frozenset[str]],
    count: int,
    stored: dict[Entry, Order],
    seconds: float,
) -> tuple[int, Collection[int], dict[Entry, Order]]:
    """As many shards as take hardly longer than a `count`, the steps that are left out, and what is stored.

    It is about steps that have the channels last, as nearly all must.
    """
    last = {number: storage.is_last(number, stored) for number in cut}
    took = {number: costs.work[number].seconds for number in cut}
    if sum(took[number] for number in cut if last[number]) < NEARLY * sum(took.values()):
        return count, (), stored
    before = {number: costs.of(number, count, last[number]) for number in cut}
    for more in (MOST >> halved for halved in range(MOST.bit_length())):
        if more <= count:
            break
        after = {number: costs.of(number, more, last[number]) for number in cut}
        left = {number for number in cut if last[number] and after[number] > LOSS * before[number]}
        few = sum(before[number] for number in left) < LEFT * sum(before.values())
        if not few or more > costs.batch or seconds / more < SHORTEST:
            continue
        rest = {number: names for number, names in cut.items() if number not in left}
        found = storage.orders(rest, left, costs.gains(more))
        if all(storage.is_last(number, found) == last[number] for number in cut):
            return more, left, found
    return count, (), stored


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

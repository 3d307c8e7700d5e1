"""In which order of its axes each entry is stored that a pass makes for itself.

What lies between two steps that take the batch in parts can have any order that both can do with: the batch
last, where loops are as long as a part at least, or the channels last, where nothing goes backward.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from netdef.graph.node import Entry
from netdef.ops.orders import Order
from netdef.runtime.work import Work


class Storage:
    """The entries of a pass; `kept` are those that a caller sees, which are stored as callers know them."""

    def __init__(self, work: Sequence[Work], kept: Collection[Entry]) -> None:
        self._work = work
        self._sources = {each.writes[each.view[1]]: each.reads[each.view[0]] for each in work if each.view}
        self._kept = {self.root(entry) for entry in kept}

    def root(self, entry: Entry) -> Entry:
        """The entry whose memory an entry is a view of."""
        while entry in self._sources:
            entry = self._sources[entry]
        return entry

    def touched(self, numbers: Collection[int]) -> set[Entry]:
        """The memory that some steps read or write."""
        return {self.root(entry) for number in numbers for entry in self._work[number].entries.values()}

    def orders(
        self, cut: Mapping[int, frozenset[str]], left: Collection[int], gains: Sequence[float]
    ) -> dict[Entry, Order]:
        """Entries that only steps touch which cut them, and how they are stored.

        `cut` says what shards cut of each step that they compute, and `gains` what each step gains where
        channels are last.  What steps that are `left` out touch as well is there only if it has these last.
        """
        work, root = self._work, self.root
        made = {root(entry) for each in work for entry in each.writes.values()}
        whole = {
            root(entry)
            for number, each in enumerate(work)
            for name, entry in each.entries.items()
            if name not in cut.get(number, ()) and number not in left
        }
        apart = made - whole - self._kept
        touched = [[root(entry) for entry in each.entries.values() if root(entry) in apart] for each in work]
        channels = _channels_last(touched, gains)
        batch = _batch_last(touched, [None if each.view else each.op.batch_last for each in work])
        stored = apart - (self.touched(left) - channels)
        found = {}
        for entry in {entry for each in work for entry in each.entries.values() if root(entry) in stored}:
            last = Order.BATCH_LAST if root(entry) in batch else Order.BATCH_FIRST
            found[entry] = Order.CHANNELS_LAST if root(entry) in channels else last
        return found

    def is_last(self, number: int, orders: Mapping[Entry, Order]) -> bool:
        """Whether something that a step touches has the channels last."""
        return any(orders.get(entry) is Order.CHANNELS_LAST for entry in self._work[number].entries.values())


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

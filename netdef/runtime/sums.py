"""How shares of sums are added up, by threads where there is much to add."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

#: numbers that one call adds to: they stay in the cache while one share after the other is added
LENGTH = 64 * 1024

#: an array, and the shares that are to be added to what it holds
Sum = tuple[Any, Sequence[Any]]


def groups_of(sums: Sequence[Sum]) -> list[list[Sum]]:
    """The sums in groups that need nothing of each other, of `LENGTH` numbers where there are as many."""
    groups: list[list[Sum]] = []
    room = 0
    for total, shares in sums:
        if not total.flags.c_contiguous:
            groups.append([(total, shares)])
            room = 0
            continue
        flat, parts = total.reshape(-1), [share.reshape(-1) for share in shares]
        start = 0
        while start < flat.size:
            if room == 0:
                groups.append([])
                room = LENGTH
            stop = min(flat.size, start + room)
            groups[-1].append((flat[start:stop], [part[start:stop] for part in parts]))
            room -= stop - start
            start = stop
    return groups


def add_up(xp: Any, sums: Sequence[Sum]) -> None:
    """Add all shares in their order."""
    for total, shares in sums:
        for share in shares:
            xp.add(total, share, out=total)

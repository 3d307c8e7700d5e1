"""Numbers that processes take from one pile, each the next one that nobody has."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator

#: numbers that fit into any pipe, with those that say that there are none left: it holds 4096 bytes at least
MOST = 1024
#: bytes of a number, and what stands for none left: every process takes one of these
_SIZE, _NONE = 2, 0xFFFF


class Tickets:
    """A pile that forked processes share: a pipe, from which a read takes the whole of a number or nothing.

    Cores are not equally fast when others use them, too.  Who is done early takes what a slower one has not
    begun.
    """

    def __init__(self) -> None:
        self._inside, self._out = os.pipe()
        weakref.finalize(self, _close, self._inside, self._out)

    def lay(self, count: int, processes: int) -> None:
        """Lay down 0, 1, ..., `MOST` at most, for so many processes, each of which takes them to the end."""
        numbers = [*range(count), *[_NONE] * processes]
        os.write(self._out, b"".join(number.to_bytes(_SIZE, "little") for number in numbers))

    def take(self) -> Iterator[int]:
        """The next number that nobody has, until there is none left."""
        while (number := int.from_bytes(os.read(self._inside, _SIZE), "little")) != _NONE:
            yield number


def _close(*ends: int) -> None:
    for end in ends:
        os.close(end)

"""Work that is done in the background while its last results are being used."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue
from types import TracebackType
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")

#: how many items there are at a time: one in use and one in the making
ITEMS = 2


class Ahead(Generic[T]):
    """The items of an iterator, each made in a background thread while the one before it is in use.

    An item may be used until the next one is asked for: from then on the iterator may use its memory for
    another, two items later.  What the iterator raises is raised where its item is asked for.  Used in a
    `with` block, whose end ends the thread.
    """

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items
        self._made: SimpleQueue[tuple[T] | BaseException] = SimpleQueue()
        self._room: SimpleQueue[bool] = SimpleQueue()
        for _ in range(ITEMS):
            self._room.put(True)
        self._in_use = False
        # A daemon: where a signal ends the process, nobody waits for a disk.
        self._thread = threading.Thread(target=self._make, name="netdef-ahead", daemon=True)
        self._thread.start()

    def _make(self) -> None:
        """Make items while there is room for them."""
        # Settings of numpy are those of a thread; that values overflow is found where they are used.
        with np.errstate(all="ignore"):
            while self._room.get():
                try:
                    self._made.put((next(self._items),))
                except BaseException as error:  # all of it belongs to who asks for the item
                    self._made.put(error)
                    return

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._in_use:
            self._room.put(True)
        self._in_use = False
        made = self._made.get()
        if isinstance(made, BaseException):
            self._made.put(made)
            raise made
        self._in_use = True
        return made[0]

    def __enter__(self) -> Ahead[T]:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._room.put(False)
        if error is None:
            self._thread.join()

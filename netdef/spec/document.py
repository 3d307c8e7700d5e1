"""A spec file as plain data, with the place of every key and value."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from netdef.diag import Span, whole_file

Path = tuple[str | int, ...]


class Document:
    """Plain data (dict, list, str, int, float, bool, None) and where it was written.

    `keys` holds the place of the key that leads to a path, `values` that of the value at it.  What stands
    below an alias, a merge key or a variable that holds a mapping or list was written elsewhere: `aliases`
    leads from such a path to that one, so that a node is stored once however often it is used.  The data
    share such nodes, too: nobody may change them in place.

    `broken` holds the paths whose value could not be made out.  There is a finding for each, and what stands
    in the data there is only the text.
    """

    def __init__(
        self,
        file: str,
        text: str,
        data: Any,
        keys: dict[Path, Span],
        values: dict[Path, Span],
        aliases: Mapping[Path, Path] | None = None,
        broken: frozenset[Path] = frozenset(),
    ) -> None:
        self.file, self.text, self.data = file, text, data
        self.keys, self.values = keys, values
        self.aliases: Mapping[Path, Path] = aliases or {}
        self.broken = broken

    def value(self, path: Path) -> Span:
        """The place of the value at `path`."""
        return self.values.get(path) or self.values.get(self.written(path)) or self.nearest(path)

    def key(self, path: Path) -> Span:
        """The place of the mapping key that leads to `path`; of the value where it is a list's item."""
        return self.keys.get(path) or self.keys.get(self.written(path)) or self.value(path)

    def nearest(self, path: Path) -> Span:
        """The place of `path` or of the nearest part above it that was written down.

        A mapping or list is pointed at by its key, since its own stretch covers many lines.
        """
        while path:
            for where in (path, self.written(path)):
                span = self.values.get(where)
                if span is not None:
                    return span if span.line == span.end_line or where not in self.keys else self.keys[where]
            path = path[:-1]
        return self.values.get((), whole_file(self.file))

    def is_broken(self, path: Path) -> bool:
        """Whether the value at `path` could not be made out, for which there is a finding already."""
        return bool(self.broken) and (path in self.broken or self.written(path) in self.broken)

    def written(self, path: Path) -> Path:
        """The path at which the node at `path` was written down: the same one, but for aliases."""
        length = len(path) if self.aliases else 0
        while length:
            target = self.aliases.get(path[:length])
            if target is None:
                length -= 1
            else:
                # A target stands further up in the text, so this ends.
                path = (*target, *path[length:])
                length = len(path)
        return path

    def line(self, number: int) -> str:
        """The text of a line, counted from 1."""
        return self._lines[number - 1] if 0 < number <= len(self._lines) else ""

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.splitlines()

"""Which files `netdef lint PATH ...` looks at."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

SUFFIXES = (".yaml", ".yml", ".json")


def collect(paths: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Every file to check, and whether it was named.

    Folders are searched for YAML and JSON files in order of name; hidden folders are left out.  A file found
    in a folder may be something else than a net or solver, such as a workflow; one that was named may not.
    """
    for path in paths:
        if not os.path.isdir(path):
            yield path, True
            continue
        for folder, folders, files in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                if name.endswith(SUFFIXES):
                    yield os.path.join(folder, name), False

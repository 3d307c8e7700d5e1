"""How tables look, the same for every command."""

from __future__ import annotations

import sys
from typing import Any

from rich import box
from rich.console import Console

STYLE: dict[str, Any] = {"box": box.SIMPLE_HEAD, "pad_edge": False, "header_style": "bold"}

#: the width where nobody looks, so that `grep` finds whole names
_UNLIMITED = 10_000


def console() -> Console:
    """Standard output: as wide as the terminal, and as wide as the text where it is none."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _UNLIMITED)

"""How tables look, the same for every command."""

from __future__ import annotations

from typing import Any

from rich import box

STYLE: dict[str, Any] = {"box": box.SIMPLE_HEAD, "pad_edge": False, "header_style": "bold"}

"""RESULTS.md: one section for each benchmark, written anew by `--write`."""

from __future__ import annotations

import datetime
import platform
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import netdef

RESULTS = Path(__file__).parent / "RESULTS.md"
HEAD = """# Results

Written by `python -m benchmarks --write`; each section says where, when and how.  Times on a shared machine
are provisional: trust ratios of one run.
"""


def conditions(command: str, versions: Sequence[str]) -> list[str]:
    """What a reader needs to repeat a measurement."""
    return [
        f"* machine: {processor()}, {platform.system()} {platform.machine()}",
        f"* versions: Python {platform.python_version()}, numpy {np.__version__}, netdef {netdef.__version__}"
        + "".join(f", {version}" for version in versions),
        f"* date: {datetime.date.today().isoformat()}",
        f"* command: `{command}`",
    ]


def processor() -> str:
    """The processor's name and the number of cores."""
    names: list[str] = []
    if Path("/proc/cpuinfo").exists():
        names = re.findall(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{len(names)} x {names[0]}" if names else platform.processor() or "unknown processor"


def write(title: str, lines: Sequence[str], path: Path = RESULTS) -> None:
    """Put a section into the file, in place of the one with the same title."""
    text = path.read_text(encoding="utf-8") if path.exists() else HEAD
    section = f"## {title}\n\n" + "\n".join(lines).rstrip() + "\n"
    old = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    if old.search(text):
        text = old.sub(lambda _: section + "\n", text)
    else:
        text = f"{text.rstrip()}\n\n{section}"
    path.write_text(text.rstrip() + "\n", encoding="utf-8")

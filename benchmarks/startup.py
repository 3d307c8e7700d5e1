"""Start-up: how long commands and imports take from nothing, and how many files a second `lint` checks.

A start is a process of its own, several times by turns; the table has medians, and what is left after the
bare interpreter's own start.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import fitted_exponent, markdown
from benchmarks.process import NEEDED, ROOT, System
from netdef.lint.check import check_file

LENET = "configs/digits/lenet.yaml"
#: layers of the nets that `lint` is timed on
DEPTHS = (250, 500, 1000, 2000)


def starts(systems: Sequence[System]) -> dict[str, list[str]]:
    """What is started, with its command line."""
    python = sys.executable
    commands = {
        "python -c pass": [python, "-c", "pass"],
        "import netdef": [python, "-c", "import netdef"],
        "import netdef as mx; mx.sym, mx.nd": [python, "-c", "import netdef as mx; mx.sym, mx.nd"],
        "netdef --help": [python, "-m", "netdef", "--help"],
        "netdef lint lenet.yaml": [python, "-m", "netdef", "lint", LENET],
        "netdef infer-shape lenet.yaml": [python, "-m", "netdef", "infer-shape", LENET],
    }
    for name, interpreter in dict.fromkeys((s.name, s.python) for s in systems if s.name in NEEDED):
        commands[f"import {name}"] = [interpreter, "-c", f"import {name}"]
    return commands


def time_starts(commands: dict[str, list[str]], rounds: int) -> dict[str, float]:
    """The median of the seconds that each command takes; raises `CalledProcessError` where one fails."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def deep_net(layers: int) -> str:
    """A chain of convolutions and ReLUs as a spec."""
    parts = [
        "name: deep\nlayer:\n"
        "  - {name: data, type: Input, top: data, input_param: {shape: {dim: [1, 8, 16, 16]}}}\n"
    ]
    for number in range(layers // 2):
        param = "convolution_param: {num_output: 8, kernel_size: 3, pad: 1}"
        parts.append(f"  - {{name: conv{number}, type: Convolution, {param}}}\n")
        parts.append(f"  - {{name: relu{number}, type: ReLU}}\n")
    return "".join(parts)


def lint_seconds(path: Path, rounds: int) -> float:
    """The median of the seconds that checking a file takes; raises `ValueError` for one with findings."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        checked = check_file(str(path))
        seconds.append(time.perf_counter() - start)
        if checked.findings:
            raise ValueError(f"{path}: {checked.findings[0].message}")
    return statistics.median(seconds)


def run(systems: Sequence[System], rounds: int = 7, depths: Sequence[int] = DEPTHS) -> list[str]:
    """The figures as lines of Markdown."""
    medians = time_starts(starts(systems), rounds)
    bare = medians["python -c pass"]
    rows = [
        [f"`{name}`", f"{seconds * 1e3:.0f}", f"{(seconds - bare) * 1e3:.0f}"]
        for name, seconds in medians.items()
    ]
    lines = markdown(["start", "ms", "beyond the interpreter's"], rows)
    lint_seconds(ROOT / LENET, 1)
    checked = [ROOT / LENET, *sorted((ROOT / "benchmarks" / "nets").glob("*.yaml"))]
    rows = []
    for path in checked:
        seconds = lint_seconds(path, rounds)
        rows.append([f"{path.relative_to(ROOT)}", f"{seconds * 1e3:.1f}", f"{1 / seconds:,.0f}"])
    taken = {}
    with tempfile.TemporaryDirectory(prefix="netdef-bench-") as folder:
        for depth in depths:
            path = Path(folder, f"{depth}.yaml")
            path.write_text(deep_net(depth), encoding="utf-8")
            taken[depth] = lint_seconds(path, max(1, rounds // 2))
            rows.append([f"{depth} layers", f"{taken[depth] * 1e3:.0f}", f"{1 / taken[depth]:,.1f}"])
    lines += ["", "Linting in a process that is warm, both phases:", ""]
    lines += markdown(["file", "ms", "files/s"], rows)
    return [*lines, "", f"Time grows with layers to the power {fitted_exponent(taken):.2f}."]

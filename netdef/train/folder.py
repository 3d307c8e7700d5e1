"""The folder of a run: what was run, on what, and what came out."""

from __future__ import annotations

import csv
import json
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import numpy as np

import netdef
from netdef.diag import EnvironmentFault
from netdef.train.events import Event, Listener, Saved, Started, Stepped, Stopped, Tested


def create(path: str | None, name: str) -> Path:
    """Make the folder of a new run: the given one, which must be new or empty, or `runs/<name>-<time>`.

    Raises `EnvironmentFault` where it cannot be made or written to, or holds another run.
    """
    folder = Path(path) if path else _fresh(Path("runs"), f"{name or 'net'}-{time.strftime('%Y%m%d-%H%M%S')}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = any(folder.iterdir())
    except OSError as error:
        raise _refused(folder, error) from None
    if taken:
        raise EnvironmentFault(f"{folder}: the folder is not empty; give --run another one, or remove it")
    return folder


def _refused(folder: Path, error: OSError) -> EnvironmentFault:
    return EnvironmentFault(f"{folder}: no run can be kept here: {error.strerror or error}")


def _fresh(parent: Path, name: str) -> Path:
    """A name that is not taken, for runs that start within one second."""
    number = 1
    while (parent / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return parent / (name if number == 1 else f"{name}-{number}")


class RunLog(Listener):
    """Writes `metrics.jsonl`, `metrics.csv` and `log.txt`, each line as soon as it is known; use with `with`.

    A resumed run goes on at the end of its files.
    """

    def __init__(self, folder: Path) -> None:
        try:
            new = not (folder / "metrics.csv").exists()
            self._files: list[TextIO] = [
                (folder / name).open("a", encoding="utf-8", newline="")
                for name in ("metrics.jsonl", "metrics.csv", "log.txt")
            ]
        except OSError as error:
            raise _refused(folder, error) from None
        self._jsonl, self._csv, self._log = self._files
        self._rows = csv.writer(self._csv, lineterminator="\n")
        if new:
            self._rows.writerow(["iteration", "phase", "name", "value"])

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for file in self._files:
            file.close()

    def hear(self, event: Event) -> None:
        if isinstance(event, Started):
            self._say(f"iteration {event.iteration}: started with seed {event.seed}")
        elif isinstance(event, Stepped):
            if event.display:
                extra = {"loss": event.loss, "rate": event.rate}
                self._record(event.iteration, "train", {**event.outputs, **extra}, event.seconds)
                self._say(f"iteration {event.iteration}: loss {event.loss:.6g}, rate {event.rate:.6g}")
        elif isinstance(event, Tested):
            self._record(event.iteration, f"test{event.net or ''}", event.outputs, None)
            told = ", ".join(f"{name} {value:.6g}" for name, value in event.outputs.items())
            self._say(f"iteration {event.iteration}: test {told} ({event.samples} samples)")
        elif isinstance(event, Saved):
            self._say(f"iteration {event.iteration}: snapshot {event.path.name}")
        elif isinstance(event, Stopped):
            self._say(f"iteration {event.iteration}: stopped by {event.signal}")

    def _record(self, iteration: int, phase: str, values: Mapping[str, float], seconds: float | None) -> None:
        row: dict[str, Any] = {"iteration": iteration, "phase": phase, **values}
        if seconds is not None:
            row["seconds"] = round(seconds, 3)
        self._jsonl.write(json.dumps(row) + "\n")
        for name, value in values.items():
            self._rows.writerow([iteration, phase, name, repr(value)])
        self._jsonl.flush()
        self._csv.flush()

    def _say(self, text: str) -> None:
        self._log.write(text + "\n")
        self._log.flush()


def describe(seed: int, command: Sequence[str]) -> dict[str, Any]:
    """What a run was made with, for `environment.json`."""
    return {
        "netdef": netdef.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "command": list(command),
        "seed": seed,
        "byte_order": sys.byteorder,
    }


def write_json(path: Path, data: Any) -> None:
    """Write data as JSON text; raises `EnvironmentFault`."""
    try:
        path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise _refused(path.parent, error) from None

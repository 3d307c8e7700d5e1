"""The folder of a run: what was run, on what, and what came out."""

from __future__ import annotations

import csv
import io
import json
import platform
import re
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

#: of metrics.csv
_COLUMNS = ["iteration", "phase", "name", "value"]


def create(path: str | None, name: str) -> Path:
    """Make the folder of a new run: the given one, which must be new or empty, or `runs/<name>-<time>`.

    Of the net's name only what is safe in a file name is taken: a net never says where files are written.

    Raises `EnvironmentFault` where it cannot be made or written to, or holds another run.
    """
    stem = re.sub(r"[^\w.-]+", "_", name)[:64].strip("._") or "net"
    folder = Path(path) if path else _fresh(Path("runs"), f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}")
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


def _fresh(parent: Path, name: str, suffix: str = "") -> Path:
    """A path that is not taken: runs may start within one second, and may be resumed."""
    path, number = parent / f"{name}{suffix}", 1
    while path.exists():
        number += 1
        path = parent / f"{name}-{number}{suffix}"
    return path


class RunLog(Listener):
    """Writes `metrics.jsonl`, `metrics.csv` and `log.txt`, each line as soon as it is known; use with `with`.

    A run that is resumed at `iteration` goes on at the end of its files, without the metrics that it had from
    there on.  Raises `EnvironmentFault` where the folder cannot be written to.
    """

    def __init__(self, folder: Path, iteration: int = 0) -> None:
        self._folder = folder
        try:
            _cut_jsonl(folder / "metrics.jsonl", iteration)
            new = not _cut_csv(folder / "metrics.csv", iteration)
            self._files: list[TextIO] = [
                (folder / name).open("a", encoding="utf-8", newline="")
                for name in ("metrics.jsonl", "metrics.csv", "log.txt")
            ]
        except OSError as error:
            raise _refused(folder, error) from None
        self._jsonl, self._csv, self._log = self._files
        self._rows = csv.writer(self._csv, lineterminator="\n")
        if new:
            self._rows.writerow(_COLUMNS)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        failed: OSError | None = None
        for file in self._files:
            try:
                file.close()
            except OSError as full:  # what was written last and could not be flushed
                failed = full
        if failed and error is None:
            raise _refused(self._folder, failed) from None

    def hear(self, event: Event) -> None:
        try:
            self._write(event)
        except OSError as error:
            raise _refused(self._folder, error) from None

    def _write(self, event: Event) -> None:
        if isinstance(event, Started):
            self._say(f"iteration {event.iteration}: started with seed {event.seed}")
        elif isinstance(event, Stepped):
            if event.display:
                loss = {} if event.loss is None else {"loss": event.loss}
                extra = {**loss, "rate": event.rate}
                self._record(event.iteration, "train", {**event.outputs, **extra}, event.seconds)
                told = ", ".join(f"{name} {value:.6g}" for name, value in extra.items())
                self._say(f"iteration {event.iteration}: {told}")
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


def _cut_jsonl(path: Path, iteration: int) -> None:
    """Drop the rows from an iteration on, and a last one that was cut short when the run was killed."""
    if path.is_file():
        lines = _text_of(path).splitlines(keepends=True)
        _replace(path, "".join(line for line in lines if _iteration_of(line, iteration) < iteration))


def _iteration_of(line: str, otherwise: int) -> int:
    try:
        return int(json.loads(line)["iteration"])
    except (ValueError, TypeError, KeyError):
        return otherwise


def _cut_csv(path: Path, iteration: int) -> bool:
    """Drop the rows from an iteration on; returns whether there is such a file."""
    if not path.is_file():
        return False
    kept = io.StringIO()
    rows = csv.reader(io.StringIO(_text_of(path), newline=""))
    whole = (row for row in rows if len(row) == len(_COLUMNS) and row[0].isdecimal())
    writer = csv.writer(kept, lineterminator="\n")
    writer.writerows([_COLUMNS, *(row for row in whole if int(row[0]) < iteration)])
    _replace(path, kept.getvalue())
    return True


def _text_of(path: Path) -> str:
    """A text whose end a crash may have damaged; NULs are what some file systems leave there."""
    return path.read_bytes().decode("utf-8", "replace").replace("\0", "")


def _replace(path: Path, text: str) -> None:
    """Put a text in the place of a file at once, so that a crash cannot lose both."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    temporary.replace(path)


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


def keep_json(folder: Path, name: str, data: Any) -> None:
    """Write data as JSON text to `<name>.json`, or `<name>-2.json` and so on where a run is resumed.

    Raises `EnvironmentFault`.
    """
    try:
        _fresh(folder, name, ".json").write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise _refused(folder, error) from None

"""How a training run looks in a terminal and in a log."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING

import click

from netdef.train.events import Event, Listener, Saved, Started, Stepped, Stopped, Tested

if TYPE_CHECKING:
    from rich.progress import TaskID

#: seconds between two looks of the bar
_INTERVAL = 0.1


def listener(kind: str) -> AbstractContextManager[Listener]:
    """The listener for `--progress`: auto, bar, plain or none."""
    if kind == "auto":
        kind = "bar" if sys.stderr.isatty() else "plain"
    if kind == "bar":
        return Bar()
    return nullcontext(Plain() if kind == "plain" else Listener())


def told(event: Event) -> str:
    """An event in one line; empty for an iteration that is not displayed."""
    if isinstance(event, Started):
        goes_on = f" from iteration {event.iteration}" if event.iteration else ""
        return (
            f"{event.net or 'net'}: {event.parameters:,} parameters, {event.samples:,} training samples, "
            f"{event.max_iter:,} iterations{goes_on}, seed {event.seed}; kept in {event.folder}"
        )
    if isinstance(event, Stepped):
        loss = "" if event.loss is None else f"loss {event.loss:.6g}, "
        return f"iteration {event.iteration}: {loss}rate {event.rate:.4g}" if event.display else ""
    if isinstance(event, Tested):
        scores = ", ".join(f"{name} {value:.4f}" for name, value in event.outputs.items())
        net = f" net {event.net}" if event.net else ""
        return f"test{net} at iteration {event.iteration}: {scores} ({event.samples} samples)"
    if isinstance(event, Saved):
        return f"snapshot {event.path}" if event.path.name != "last.npz" else ""
    assert isinstance(event, Stopped)
    return f"stopped by {event.signal} at iteration {event.iteration}; go on with --resume {event.path}"


class Plain(Listener):
    """One line for each event, on standard output."""

    def __init__(self) -> None:
        self._heard = True

    def hear(self, event: Event) -> None:
        text = told(event) if self._heard else ""
        try:
            if text:
                click.echo(text)
        except OSError:
            # Nobody reads on, or the disk behind the output is full; the run goes on, and its folder has the
            # log.
            self._heard = False


class Bar(Listener):
    """A bar with loss, rate, iterations a second and time left; tests and snapshots stand above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}"),
            TextColumn("rate {task.fields[rate]:.2e}"),
            TextColumn("{task.fields[speed]:.0f} it/s"),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=Console(stderr=True, highlight=False, markup=False, emoji=False),
        )
        self._task: TaskID | None = None
        self._first = 0
        self._shown = 0.0

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def hear(self, event: Event) -> None:
        if isinstance(event, Stepped):
            done = event.iteration + 1
            if self._task is None:
                self._first = event.iteration
                self._task = self._progress.add_task(
                    "train", total=event.max_iter, loss="", rate=0.0, speed=0.0
                )
                self._progress.start()
            elif event.seconds - self._shown < _INTERVAL and done < event.max_iter:
                return
            self._shown = event.seconds
            speed = (done - self._first) / event.seconds if event.seconds else 0.0
            self._progress.update(
                self._task,
                completed=done,
                loss="" if event.loss is None else f"loss {event.loss:.4f}",
                rate=event.rate,
                speed=speed,
            )
            return
        if isinstance(event, Stopped) and self._task is not None:
            self._progress.update(self._task, completed=event.iteration)
        if text := told(event):
            self._progress.console.print(text, soft_wrap=True)  # paths are copied as one line

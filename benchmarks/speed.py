"""Images per second, training and inference: netdef beside every peer, alternately, in one run.

A training step is forward, backward and an SGD update with momentum on float32 data that lie in memory; an
inference step is the forward pass.  All systems start from the same weights and data, and what they compute
is compared first.  Each round measures every system once; the table has the medians over the rounds.
"""

from __future__ import annotations

import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from benchmarks.common import markdown
from benchmarks.jobs import INFER, TRAIN, Case, write_job
from benchmarks.process import Failed, Refused, System, Worker

CASES = (
    Case(TRAIN, "mlp", 64),
    Case(TRAIN, "mlp", 512),
    Case(TRAIN, "lenet", 64),
    Case(TRAIN, "lenet", 256),
    Case(TRAIN, "cifar10_quick", 100),
    Case(TRAIN, "resnet20", 128),
    *(
        Case(INFER, net, batch)
        for net in ("caffenet", "resnet50", "vgg16", "squeezenet", "mobilenet")
        for batch in (1, 16)
    ),
)
#: the largest difference to the first system, relative to the largest value
TOLERANCE = 1e-3
#: seconds between two systems, in which the threads of the first go to sleep
PAUSE = 0.3


class Row(NamedTuple):
    """A measured case: seconds of a step for each system in each round, and what went wrong elsewhere."""

    case: Case
    seconds: dict[str, list[float]]
    problems: dict[str, str]

    def speed(self, system: str) -> float:
        """The median of images per second."""
        return self.case.batch / statistics.median(self.seconds[system])

    @property
    def fastest_peer(self) -> str | None:
        return max(self._peers(), key=self.speed, default=None)

    @property
    def ratio(self) -> float | None:
        """How many times as fast as the fastest peer netdef is, by the medians."""
        peer = self.fastest_peer
        return None if peer is None else self.speed("netdef") / self.speed(peer)

    @property
    def best_ratio(self) -> float | None:
        """The same by the best round of each, which other work on the machine disturbed least."""
        peers = [min(self.seconds[system]) for system in self._peers()]
        return min(peers) / min(self.seconds["netdef"]) if peers else None

    def _peers(self) -> list[str]:
        """Those that netdef can be compared with."""
        return [system for system in self.seconds if system != "netdef"] if "netdef" in self.seconds else []


def measure(
    case: Case, systems: Sequence[System], seconds: float, rounds: int, threads: int | None = None
) -> Row:
    """Measure a case on every system that can run it, each for about so many seconds in each round."""
    row = Row(case, {}, {})
    with tempfile.TemporaryDirectory(prefix="netdef-bench-") as folder, ExitStack() as stack:
        job = write_job(case, Path(folder), threads)
        workers: dict[str, Worker] = {}
        steps: dict[str, int] = {}
        for system in systems:
            try:
                worker = stack.enter_context(Worker(system, job, threads))
                require_same(worker, next(iter(workers.values()), worker))
                steps[system.title] = steps_for(worker, seconds)
                workers[system.title] = worker
            except Refused:
                continue
            except (Failed, ValueError) as problem:
                row.problems[system.title] = str(problem)
        for _ in range(rounds):
            for title, worker in list(workers.items()):
                time.sleep(PAUSE)
                try:
                    if steps[title] > 1:
                        worker.run(1)
                    taken = worker.run(steps[title])["seconds"]
                except Failed as problem:
                    row.problems[title] = str(problem)
                    del workers[title]
                    row.seconds.pop(title, None)
                    continue
                row.seconds.setdefault(title, []).append(taken / steps[title])
    return row


def steps_for(worker: Worker, seconds: float) -> int:
    """How many steps take about so long; one at least."""
    steps, taken = 1, 0.0
    while taken < seconds / 10:
        taken = worker.run(steps)["seconds"]
        if taken < seconds / 10:
            steps *= 4
    return max(1, round(steps * seconds / taken))


def require_same(worker: Worker, ours: Worker) -> None:
    """Raise `ValueError` where a system has other parameters than the first, or computed something else."""
    if worker.parameters != ours.parameters:
        raise ValueError(f"it has {worker.parameters:,} parameters, the first {ours.parameters:,}")
    if len(worker.values) != len(ours.values):
        raise ValueError(f"it computed {len(worker.values)} values, the first {len(ours.values)}")
    largest = max(map(abs, ours.values))
    differences = [abs(a - b) for a, b in zip(worker.values, ours.values)]
    # Asked this way round, a number that is not finite agrees with nothing.
    if not all(difference <= TOLERANCE * largest for difference in differences):
        told = f"its values differ from the first's by {max(differences):.3g}"
        raise ValueError(f"{told}; the largest is {largest:.3g}")


def table(rows: Sequence[Row], order: Sequence[str]) -> list[str]:
    """The rows as a Markdown table: images per second, for inference milliseconds in brackets."""
    titles = [title for title in order if any(title in row.seconds for row in rows)]
    lines = []
    for row in rows:
        peer, ratio = row.fastest_peer, row.ratio
        cells = [_cell(row, title) for title in titles]
        compared = ["", ""] if ratio is None else [f"{ratio:.2f} x", f"{row.best_ratio:.2f} x"]
        lines.append([row.case.task, row.case.net, str(row.case.batch), *cells, peer or "", *compared])
    head = ["task", "net", "batch", *titles, "fastest peer", "netdef is", "at best"]
    return markdown(head, lines, words=2)


def _cell(row: Row, title: str) -> str:
    if title not in row.seconds:
        return ""
    speed = f"{row.speed(title):,.0f}" if row.speed(title) >= 100 else f"{row.speed(title):.1f}"
    if row.case.task == TRAIN:
        return speed
    return f"{speed} ({statistics.median(row.seconds[title]) * 1e3:.1f})"


def run(
    systems: Sequence[System],
    names: Sequence[str] = (),
    *,
    cases: Sequence[Case] = CASES,
    seconds: float = 0.5,
    rounds: int = 5,
    threads: int | None = None,
) -> list[str]:
    """Measure the cases whose net or task is in `names` (all, if empty); returns lines of Markdown."""
    rows = []
    for case in cases:
        if names and not {case.net, case.task, case.name} & set(names):
            continue
        row = measure(case, systems, seconds, rounds, threads)
        told = ", ".join(f"{title} {row.speed(title):,.1f}" for title in row.seconds)
        print(f"{case.name}: {told}", file=sys.stderr, flush=True)
        rows.append(row)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan
    held = "their own choice of threads" if threads is None else f"{threads} thread(s) each"
    lines = [
        "Images per second, for inference with milliseconds of a batch; "
        f"medians of {rounds} rounds of {seconds:g} s, {held}; "
        f"load average at the end {load:.1f} on {os.cpu_count()} cores.",
        "",
        *table(rows, [system.title for system in systems]),
    ]
    problems = [f"* {row.case.name}, {title}: {text}" for row in rows for title, text in row.problems.items()]
    return [*lines, *(["", "Not measured:", "", *problems] if problems else [])]

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
#: the largest difference to netdef, relative to the largest value
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
        peers = [system for system in self.seconds if system != "netdef"]
        return max(peers, key=self.speed, default=None)

    @property
    def ratio(self) -> float | None:
        """How many times as fast as the fastest peer netdef is."""
        peer = self.fastest_peer
        return None if peer is None or "netdef" not in self.seconds else self.speed("netdef") / self.speed(peer)


def measure(
    case: Case, systems: Sequence[System], seconds: float, rounds: int, threads: int | None = None
) -> Row:
    """Measure a case on every system that can run it, each for about so many seconds in each round."""
    row = Row(case, {}, {})
    with tempfile.TemporaryDirectory(prefix="netdef-bench-") as folder, ExitStack() as stack:
        job = write_job(case, Path(folder), threads)
        workers: dict[str, Worker] = {}
        for system in systems:
            try:
                worker = stack.enter_context(Worker(system, job, threads))
                workers[system.title] = worker
                require_same(worker, workers["netdef"])
            except Refused:
                continue
            except (Failed, ValueError, KeyError) as problem:
                row.problems[system.title] = str(problem)
                workers.pop(system.title, None)
        steps = {title: steps_for(worker, seconds) for title, worker in workers.items()}
        for _ in range(rounds):
            for title, worker in workers.items():
                time.sleep(PAUSE)
                worker.run(1)
                taken = worker.run(steps[title])["seconds"]
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
    """Raise `ValueError` where a system has other parameters than netdef, or computed something else."""
    if worker.parameters != ours.parameters:
        raise ValueError(f"it has {worker.parameters:,} parameters, netdef {ours.parameters:,}")
    if len(worker.values) != len(ours.values):
        raise ValueError(f"it computed {len(worker.values)} values, netdef {len(ours.values)}")
    largest = max(map(abs, ours.values))
    difference = max(abs(a - b) for a, b in zip(worker.values, ours.values))
    if not (math.isfinite(largest) and difference <= TOLERANCE * largest):
        raise ValueError(f"its values differ from netdef's by {difference:.3g}; the largest is {largest:.3g}")


def table(rows: Sequence[Row]) -> list[str]:
    """The rows as a Markdown table: images per second, for inference milliseconds in brackets."""
    titles = list(dict.fromkeys(title for row in rows for title in row.seconds))
    head = ["task", "net", "batch", *titles, "fastest peer", "netdef is"]
    lines = [head, ["---", "---", "---:", *["---:"] * len(titles), "---", "---:"]]
    for row in rows:
        case = row.case
        cells = [_cell(row, title) for title in titles]
        ratio = "" if row.ratio is None else f"{row.ratio:.2f} x"
        lines.append([case.task, case.net, str(case.batch), *cells, row.fastest_peer or "", ratio])
    return [f"| {' | '.join(cells)} |" for cells in lines]


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
        print(f"{case.name} ...", file=sys.stderr, flush=True)
        rows.append(measure(case, systems, seconds, rounds, threads))
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan
    held = "their own choice of threads" if threads is None else f"{threads} thread(s) each"
    lines = [
        f"Images per second, inference also milliseconds a batch; medians of {rounds} rounds of {seconds:g} s, "
        f"{held}; load average at the end {load:.1f} on {os.cpu_count()} cores.",
        "",
        *table(rows),
    ]
    problems = [f"* {row.case.name}, {title}: {text}" for row in rows for title, text in row.problems.items()]
    return [*lines, *(["", "Not measured:", "", *problems] if problems else [])]

"""Memory of a training step: what the plan promises, what netdef takes, what the peers take.

Taken is the most memory that the process has while it trains, beyond that of the interpreter with the system
loaded (Linux only), and what processes that it has forked have for themselves; pages of files, which hold
programs and what the net is given, do not count.  Promised is the plan's arena, the inputs, and weights,
gradients and history; and what processes take besides these arrays, an estimate by their number and that of
the plan's calls (`netdef.runtime.footprint`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import markdown
from benchmarks.jobs import TRAIN, Case, load, write_job
from benchmarks.process import Failed, Refused, System, Worker
from netdef.cli.threads import cores
from netdef.runtime.threads import can_fork
from netdef.train.memory import Needs, needed

CASES = (
    Case(TRAIN, "mlp", 512),
    Case(TRAIN, "lenet", 64),
    Case(TRAIN, "lenet", 256),
    Case(TRAIN, "cifar10_quick", 100),
    Case(TRAIN, "resnet20", 128),
)
STEPS = 5


def promised(case: Case) -> Needs:
    """The bytes that a training step needs by its plan."""
    loaded = load(case)
    return needed([loaded], loaded.spec.solver, cores(), can_fork(cores()))


def taken(case: Case, system: System) -> int | None:
    """The bytes that a system takes; None where it cannot run the case or memory cannot be read."""
    with tempfile.TemporaryDirectory(prefix="netdef-bench-") as folder:
        job = write_job(case, Path(folder))
        try:
            with Worker(system, job) as worker:
                memory: int | None = worker.run(STEPS)["memory"]
        except (Refused, Failed):
            return None
    return memory


def run(systems: Sequence[System], cases: Sequence[Case] = CASES) -> list[str]:
    """The figures as lines of Markdown."""
    able = [system for system in systems if system.name != "onnxruntime"]
    rows = []
    for case in cases:
        needs = promised(case)
        sizes: list[int | None] = [needs.blobs + needs.batches, needs.processes, sum(needs)]
        sizes += [taken(case, system) for system in able]
        cells = ["" if size is None else f"{size / 2**20:,.1f}" for size in sizes]
        rows.append([case.net, str(case.batch), *cells])
    told = ["arrays of the plan", "its processes besides", "promised"]
    head = ["net", "batch", *told, *(f"{system.title} takes" for system in able)]
    return ["MiB in a training step.", "", *markdown(head, rows)]

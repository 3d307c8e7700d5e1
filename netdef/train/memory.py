"""How much memory nets need, compared with what there is before anything is allocated."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from netdef.diag import EnvironmentFault
from netdef.graph.node import Entry
from netdef.passes.pipeline import Loaded
from netdef.runtime import threads
from netdef.runtime.footprint import footprint
from netdef.runtime.report import plan_net
from netdef.spec.solver import SolverSpec
from netdef.train.rules import RULES
from netdef.train.runner import input_shapes
from netdef.train.updater import PIECE

#: where Linux tells how much memory a container may have: cgroups 2 and 1
_CONTAINER_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class Needs(NamedTuple):
    """The bytes that nets need."""

    #: weights and states, with gradients and history where they are trained
    blobs: int
    #: inputs, and the memory that plans work in
    batches: int
    #: what processes take besides arrays: an estimate
    processes: int


@contextmanager
def within_memory(nets: Sequence[Loaded], solver: SolverSpec | None = None) -> Iterator[None]:
    """Around what allocates for nets: refuse those that can never fit, and end well where memory runs out.

    `solver` is that of a training run, which keeps gradients and history.  Raises `EnvironmentFault`, which
    says how many bytes are needed.
    """
    needs = needed(nets, solver)
    told = (
        f"the net needs {_gib(needs.blobs)} for its blobs, {_gib(needs.batches)} for its batches"
        f" and about {_gib(needs.processes)} for its processes"
    )
    hint = "make batch_size smaller, or the largest layer; `netdef infer-shape` shows them"
    limit = _memory_limit()
    if limit is not None and needs.blobs + needs.batches > limit:
        raise EnvironmentFault(f"{told}, but there are only {_gib(limit)}; {hint}")
    try:
        yield
    except MemoryError:
        raise EnvironmentFault(f"there is not enough memory: {told}; {hint}") from None


def needed(
    nets: Sequence[Loaded], solver: SolverSpec | None, workers: int | None = None, forks: bool | None = None
) -> Needs:
    """What nets need together, trained with a solver where one is given.

    With as many threads, or processes, as there are, or with so many `workers` that are processes if `forks`.
    """
    workers = workers or threads.count()
    forks = threads.forks() if forks is None else forks
    batches = processes = 0
    for loaded in nets:
        plan = plan_net(loaded.net, loaded.shapes, workers=workers)
        inputs = input_shapes(loaded.net, loaded.shapes).values()
        batches += sum(map(_float32_bytes, inputs)) + plan.arena_bytes
        updates = _count_updates(loaded) if solver and loaded.net.phase == "TRAIN" else 1
        processes += footprint(plan, forks, updates).bytes
    return Needs(_blob_bytes(nets, solver), batches, processes)


def _blob_bytes(nets: Sequence[Loaded], solver: SolverSpec | None) -> int:
    """The size of all blobs, each once, with the gradients and the history that the solver keeps of them."""
    sizes: dict[str, int] = {}
    for loaded in nets:
        for built in loaded.net.layers:
            for param in built.params:
                copies = 2 + RULES[solver.type].slots if solver and param.lr_mult else 1
                size = _float32_bytes(loaded.shapes[Entry(param.node, 0)]) * copies
                sizes.setdefault(param.node.name, size)
    return sum(sizes.values())


def _count_updates(loaded: Loaded) -> int:
    """Into how many pieces the update of blobs is cut; those with the same multipliers lie together."""
    sizes: dict[tuple[float, float], int] = {}
    for param in loaded.net.params().values():
        if param.lr_mult:
            multipliers = param.lr_mult, param.decay_mult
            size = math.prod(loaded.shapes[Entry(param.node, 0)])
            sizes[multipliers] = sizes.get(multipliers, 0) + size
    return sum(-(-size // PIECE) for size in sizes.values())


def _float32_bytes(shape: Sequence[int]) -> int:
    return 4 * math.prod(shape)


def _memory_limit() -> int | None:
    """The bytes that a process can have at most: the machine's, or fewer in a container; None: not known."""
    limits = []
    if hasattr(os, "sysconf"):
        with suppress(ValueError, OSError):
            limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in _CONTAINER_LIMITS:
        with suppress(ValueError, OSError):  # there is no such file, or it says `max`
            limits.append(int(Path(path).read_text(encoding="ascii")))
    return min((limit for limit in limits if limit > 0), default=None)


def _gib(size: int) -> str:
    return f"{size:,} bytes ({size / 2**30:.1f} GiB)"

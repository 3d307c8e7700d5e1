"""How much memory nets need, compared with what there is before anything is allocated."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from netdef.diag import EnvironmentFault
from netdef.graph.node import Entry
from netdef.passes.pipeline import Loaded
from netdef.runtime import threads
from netdef.runtime.report import plan_net
from netdef.spec.solver import SolverSpec
from netdef.train.rules import RULES
from netdef.train.runner import input_shapes

#: where Linux tells how much memory a container may have: cgroups 2 and 1
_CONTAINER_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@contextmanager
def within_memory(nets: Sequence[Loaded], solver: SolverSpec | None = None) -> Iterator[None]:
    """Around what allocates for nets: refuse those that can never fit, and end well where memory runs out.

    `solver` is that of a training run, which keeps gradients and history.  Raises `EnvironmentFault`, which
    says how many bytes are needed.
    """
    blobs, passes = blob_bytes(nets, solver), sum(map(pass_bytes, nets))
    needed = f"the net needs {_gib(blobs)} for its blobs and {_gib(passes)} for its batches"
    hint = "make batch_size smaller, or the largest layer; `netdef infer-shape` shows them"
    limit = _memory_limit()
    if limit is not None and blobs + passes > limit:
        raise EnvironmentFault(f"{needed}, but there are only {_gib(limit)}; {hint}")
    try:
        yield
    except MemoryError:
        raise EnvironmentFault(f"there is not enough memory: {needed}; {hint}") from None


def blob_bytes(nets: Sequence[Loaded], solver: SolverSpec | None) -> int:
    """The size of all blobs, each once, with the gradients and the history that the solver keeps of them."""
    sizes: dict[str, int] = {}
    for loaded in nets:
        for built in loaded.net.layers:
            for param in built.params:
                copies = 2 + RULES[solver.type].slots if solver and param.lr_mult else 1
                size = _float32_bytes(loaded.shapes[Entry(param.node, 0)]) * copies
                sizes.setdefault(param.node.name, size)
    return sum(sizes.values())


def pass_bytes(loaded: Loaded, workers: int | None = None) -> int:
    """The size of a net's inputs and of the memory that its plan works in, with as many threads as there are.

    Or with so many `workers`.
    """
    inputs = input_shapes(loaded.net, loaded.shapes).values()
    plan = plan_net(loaded.net, loaded.shapes, workers=workers or threads.count())
    return sum(map(_float32_bytes, inputs)) + plan.arena_bytes


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

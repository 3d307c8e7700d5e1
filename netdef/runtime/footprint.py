"""What the processes that run a plan take besides its arrays.

Little beside the arrays of a large net, and more than those of a small one.  In contrast to the bytes of
arrays these are estimates: a plan fixes how many calls there are, not what BLAS and the interpreter do then.
"""

from __future__ import annotations

from typing import NamedTuple

from netdef.runtime.plan import Plan

#: Bytes that the matrices of a product are packed into, in each process or thread that computes.  OpenBLAS
#: reserves 32 MiB and writes to one panel of either matrix (Goto and van de Geijn 2008): nothing for 64 x 64,
#: 0.3 to 0.6 MiB for matrices of some hundred rows, as in nets for small images, 8 MiB for 4096 x 4096
#: (0.3.31, AVX-512).
PACKED = 2**19
#: Bytes of a call with its arguments: arrays that are views of the arena, lists and a tuple of them.  They
#: are 1.7 to 2.1 KB by `tracemalloc` (CPython 3.11, numpy 2.4).
CALL = 1792
#: Bytes of what a steady kernel comes to (`replay`): 8 KB for each of ResNet-20's, 13 of CIFAR-10 quick's,
#: and 6 of LeNet's and 1 of an MLP's, which are few; 320 to 620 for each call, by `tracemalloc`.
STEADY = 9 * 2**10
#: Bytes of the interpreter that a forked process does not share for long.  Whoever of the two writes to a
#: page first gets a copy, and reference counts, counters of the bytecode and free places are in nearly all
#: pages of the code and the types that a step uses: 1.5 MiB after the fork (`Private_Dirty` in
#: /proc/PID/smaps, CPython 3.11), and after a few steps, by what is left when arrays, BLAS and calls are
#: taken off, 1.5 MiB (LeNet) to 6 MiB (CIFAR-10 quick).
INTERPRETER = 7 * 2**19


class Footprint(NamedTuple):
    """How many processes or threads there are, and bytes by cause."""

    #: processes, or threads of one, that go through shards or pieces
    computing: int
    #: with those that only take part in the update of blobs
    processes: int
    #: for each that computes
    packed: int
    #: for each process that computes
    calls: int
    #: for each process but the first
    interpreter: int

    @property
    def bytes(self) -> int:
        """What all of them take together."""
        calls = min(self.computing, self.processes) * self.calls
        return self.computing * self.packed + calls + (self.processes - 1) * self.interpreter


def footprint(plan: Plan, forks: bool, updates: int = 1) -> Footprint:
    """What the processes of a plan take; with `forks`, its workers are processes, else threads of one.

    `updates` is into how many pieces the update of blobs is cut, which processes share in.
    """
    pieces = max((len(step.pieces) for step in plan.steps), default=0)
    computing = max(min(plan.workers, pieces), 1)
    processes = max(min(plan.workers, updates), computing) if forks else 1
    return Footprint(
        computing, processes, PACKED, CALL * count_calls(plan) + STEADY * count_steady(plan), INTERPRETER
    )


def count_calls(plan: Plan) -> int:
    """How many calls there are; in a run, each worker has those of all shards, with its own workspaces."""
    calls = 0
    for step in plan.steps:
        shards = len(step.pieces)
        calls += shards * min(plan.workers, shards) if step.run else max(shards, 1)
    return calls


def count_steady(plan: Plan) -> int:
    """How many of them a process notes the calls of: sooner or later each makes those of every shard."""
    return sum(max(len(step.pieces), 1) for step in plan.steps if step.kernel in step.op.steady)

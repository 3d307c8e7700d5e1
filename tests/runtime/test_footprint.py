"""What processes take besides arrays: counted by hand, and in a process that trains."""

import json
import subprocess
import sys
import textwrap
from collections import namedtuple
from pathlib import Path

import pytest

from netdef.runtime.footprint import CALL, INTERPRETER, PACKED, STEADY, count_calls, footprint
from netdef.runtime.report import describe_footprint

Op = namedtuple("Op", "steady")
Step = namedtuple("Step", "pieces run kernel op", defaults=("forward", Op(())))
Plan = namedtuple("Plan", "steps workers")

ROOT = Path(__file__).parents[2]

#: one step alone, one cut into three pieces, two of a run of two shards
STEPS = (Step((), 0), Step((1, 2, 3), 0), Step((1, 2), 1), Step((1, 2), 1))


@pytest.mark.parametrize(("workers", "calls"), [(1, 1 + 3 + 2 + 2), (2, 1 + 3 + 4 + 4), (5, 1 + 3 + 4 + 4)])
def test_calls_are_counted(workers, calls):
    """In a run every worker has calls of its own, but no more workers than shards have any."""
    assert count_calls(Plan(STEPS, workers)) == calls


@pytest.mark.parametrize(
    ("steps", "workers", "forks", "updates", "packed", "called", "further"),
    [
        (STEPS, 1, False, 9, 1, 1, 0),
        (STEPS, 2, True, 1, 2, 2, 1),
        (STEPS, 2, False, 9, 2, 1, 0),
        (STEPS, 4, True, 1, 3, 3, 2),
        (STEPS, 4, True, 9, 3, 3, 3),
        (STEPS[:1], 4, True, 2, 1, 1, 1),
        ((), 4, True, 0, 1, 1, 0),
    ],
)
def test_bytes_add_up(steps, workers, forks, updates, packed, called, further):
    """What is packed for each that computes, calls for each process of these, the interpreter once less."""
    plan = Plan(steps, workers)
    calls = CALL * count_calls(plan)
    assert footprint(plan, forks, updates).bytes == packed * PACKED + called * calls + further * INTERPRETER


def test_what_steady_kernels_come_to_is_counted():
    """Once for each piece, in every process that computes."""
    op = Op(("forward",))
    steps = (Step((), 0, "forward", op), Step((1, 2), 1, "forward", op), Step((1, 2), 1, "backward", op))
    plan = Plan(steps, 2)
    assert footprint(plan, True).calls == CALL * count_calls(plan) + STEADY * 3


def test_it_is_told():
    """For one process nothing is said of others."""
    assert describe_footprint(footprint(Plan(STEPS, 1), False)) == (
        "about 526.0 KiB besides in 1 process: 512.0 KiB for what BLAS packs and 14.0 KiB for calls"
        " in each that computes"
    )
    told = describe_footprint(footprint(Plan(STEPS, 2), True))
    assert told.startswith("about 4.54 MiB besides in 2 processes: ")
    assert told.endswith(", 3.50 MiB for pages of the interpreter in each but the first")


def traced(net, threads, script):
    """What a script tells about a net's training, with a `trainer`, in a process of its own."""
    start = f"""
        import gc, json, tracemalloc
        import numpy as np
        from netdef.diag import Findings
        from netdef.passes.pipeline import load_net
        from netdef.runtime.footprint import count_calls, count_steady
        from netdef.runtime.threads import set_threads
        from netdef.spec.net import NetState
        from netdef.train.blobs import Blobs
        from netdef.train.trainer import Trainer

        set_threads({threads}, forks={threads > 1})
        loaded = load_net("benchmarks/nets/{net}.yaml", NetState(phase="TRAIN"), Findings(), ())
        trainer = Trainer(loaded.spec.solver, loaded, Blobs(seed=0))
    """
    code = textwrap.dedent(start) + textwrap.dedent(script)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return json.loads(ran.stdout)


def test_calls_are_about_as_large_as_said():
    """As traced by the interpreter itself where a net with many shards is bound."""
    size, calls = traced(
        "cifar10_quick",
        2,
        """
        trainer.runner.executor.plan(True)
        gc.collect()
        tracemalloc.start()
        bound = trainer.runner.executor.bound(True)
        gc.collect()
        print(json.dumps([tracemalloc.get_traced_memory()[0], count_calls(bound.plan)]))
        """,
    )
    assert calls > 100
    assert 0.6 * CALL < size / calls < 1.5 * CALL


def test_what_steady_kernels_come_to_is_about_as_large_as_said():
    """As traced by the interpreter itself in the first training step."""
    size, kernels = traced(
        "lenet",
        1,
        """
        bound = trainer.runner.executor.bound(True)
        gc.collect()
        tracemalloc.start()
        trainer.step(lambda inputs: None)
        gc.collect()
        print(json.dumps([tracemalloc.get_traced_memory()[0], count_steady(bound.plan)]))
        """,
    )
    assert kernels >= 16
    assert 0.6 * STEADY < size / kernels < 1.5 * STEADY

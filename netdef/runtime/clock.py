"""How long each step of a bound plan takes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from time import perf_counter
from typing import NamedTuple

from netdef.runtime.executor import Executor
from netdef.runtime.kernels import Call, run
from netdef.runtime.plan import Step


class Timing(NamedTuple):
    """The seconds that one kernel call took in each iteration.

    `step` is None for what the backward pass does around its steps: gradients set to zero, added or copied.
    """

    step: Step | None
    backward: bool
    seconds: list[float]


def time_steps(executor: Executor, train: bool, backward: bool, iterations: int) -> list[Timing]:
    """Run passes over the arrays of an executor as they are, and time each kernel call.

    The gradients that arrive are those of the executor's objective.  The first pass binds and touches memory
    for the first time; callers who want steady figures run some before.
    """
    bound = executor.bound(train)
    plan = bound.plan
    timings = [Timing(step, False, []) for step in plan.steps[: plan.boundary]]
    calls = bound.steps[: plan.boundary]
    if backward:
        steps = plan.steps[plan.boundary :]
        timings += [Timing(step, True, []) for step in [*[None] * len(bound.before), *steps]]
        timings += [Timing(None, True, []) for _ in bound.after]
        calls += [*bound.before, *bound.steps[plan.boundary :], *bound.after]
    for _ in range(iterations):
        for timing, seconds in zip(timings, _seconds(executor, calls)):
            timing.seconds.append(seconds)
    return timings


def _seconds(executor: Executor, calls: Sequence[Call]) -> list[float]:
    """The time of each call; the clock is read between them by calls of its own, 0.1 microseconds each."""
    times: list[float] = []

    def stamp() -> None:
        times.append(perf_counter())

    stamped: list[Call] = [(stamp, ())]
    for call in calls:
        stamped += [call, (stamp, ())]
    run(executor.xp, stamped)
    return [after - before for before, after in itertools.pairwise(times)]

"""What a run tells while it goes on; the command line shows it, the run's folder keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Started(NamedTuple):
    """A run is about to take its first step, or to go on after `iteration`."""

    net: str
    iteration: int
    max_iter: int
    #: learnable numbers
    parameters: int
    #: of the training set
    samples: int
    seed: int
    folder: Path


class Stepped(NamedTuple):
    """An iteration is done.

    `loss` is the mean of the last `average_loss` iterations, None where no loss of the net has a value (those
    of MXNet that make their own gradient); `rate` is the one it used.
    """

    iteration: int
    max_iter: int
    loss: float | None
    rate: float
    #: seconds since the run started or was resumed
    seconds: float
    #: whether the solver's `display` asks for this iteration
    display: bool
    #: the scalar outputs of the TRAIN net
    outputs: Mapping[str, float]


class Tested(NamedTuple):
    """The TEST net was evaluated before the update of `iteration`, or after the last one."""

    iteration: int
    net: int
    samples: int
    outputs: Mapping[str, float]


class Saved(NamedTuple):
    """A snapshot was written."""

    iteration: int
    path: Path


class Stopped(NamedTuple):
    """The run ended before `max_iter`, on a signal."""

    iteration: int
    signal: str
    #: what the run can be resumed from
    path: Path


Event = Started | Stepped | Tested | Saved | Stopped


class Listener:
    """Hears every event of a run in order; the base ignores them all."""

    def hear(self, event: Event) -> None:
        """Called in the training thread; what it does delays the next iteration."""

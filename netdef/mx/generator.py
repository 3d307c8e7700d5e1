"""The one generator behind everything random in `mx`, and its seed."""

from __future__ import annotations

from typing import Any

import numpy as np

_GENERATOR = np.random.default_rng(0)


def generator() -> np.random.Generator:
    """The generator that initializers, executors and random functions draw from; always the same object."""
    return _GENERATOR


def seed(seed_state: int, ctx: Any = "all") -> None:
    """Start the generator anew, also for executors that are bound already.

    Any int is a seed.  `ctx` is there for MXNet's sake: one generator serves all devices.
    """
    if isinstance(seed_state, bool) or not isinstance(seed_state, (int, np.integer)):
        raise ValueError(f"seed_state must be an int, not {seed_state!r}")
    started = np.random.default_rng(int(seed_state) % 2**64)
    _GENERATOR.bit_generator.state = started.bit_generator.state

"""Snapshots: weights, solver history and state in one .npz file, written so that a crash cannot damage it.

The weights stand under Caffe's keys (`conv1/0`), so that a snapshot is a weight file, too; history arrays
under `<key>/history<slot>`, everything else as JSON text in the array `state`.  A key ends in a slash and a
number whatever its layer is called, so that these names are no keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from netdef.data.arrays import read_npz
from netdef.data.replace import replace_file
from netdef.diag import EnvironmentFault, UsageError
from netdef.source import BadFile

STATE = "state"
_HISTORY = re.compile(r"(?P<key>.*)/history(?P<slot>\d+)", re.DOTALL)


class Snapshot(NamedTuple):
    """What a snapshot holds: weights by key, history arrays by `<slot>/<key>`, and the state as JSON data."""

    weights: dict[str, np.ndarray]
    history: dict[str, np.ndarray]
    state: Any


def save(
    path: Path,
    weights: Mapping[str, np.ndarray],
    history: Mapping[str, np.ndarray],
    state: Mapping[str, Any],
) -> None:
    """Write a snapshot under a temporary name, sync it and rename it; raises `EnvironmentFault`."""
    text = np.frombuffer(json.dumps(state, sort_keys=True).encode(), np.uint8)
    members: dict[str, Any] = {STATE: text, **weights}
    for name, array in history.items():
        slot, _, key = name.partition("/")
        members[f"{key}/history{slot}"] = array
    try:
        replace_file(path, lambda file: np.savez(file, **members))
    except OSError as error:
        raise EnvironmentFault(f"{path}: the snapshot cannot be written: {error.strerror or error}") from None


def load_weights(path: Path) -> dict[str, np.ndarray]:
    """The weights by key of a snapshot or of any .npz file; raises `UsageError` or `EnvironmentFault`."""
    return {key: value for key, value in _read(path).items() if key != STATE and not _HISTORY.fullmatch(key)}


def load(path: Path) -> Snapshot:
    """A snapshot, whose state is not checked further; raises `UsageError` or `EnvironmentFault`."""
    arrays = _read(path)
    if STATE not in arrays:
        raise UsageError(f"{path} holds no training state; give it with --weights to start from its weights")
    try:
        state = json.loads(arrays.pop(STATE).tobytes())
    except (ValueError, RecursionError):
        raise damaged(path, "it is no JSON text") from None
    history = {}
    for name in list(arrays):
        if match := _HISTORY.fullmatch(name):
            history[f"{match['slot']}/{match['key']}"] = arrays.pop(name)
    return Snapshot(arrays, history, state)


def damaged(path: Path, why: str) -> UsageError:
    """The error for a state that cannot be resumed from."""
    return UsageError(f"{path}: the training state is damaged: {why}; resume from an earlier snapshot")


def _read(path: Path) -> dict[str, np.ndarray]:
    if not path.exists():
        raise EnvironmentFault(f"{path}: there is no such file")
    try:
        return read_npz(path)
    except BadFile as bad:
        raise UsageError(f"{path} is no weight file: {bad}; netdef reads .npz files that it wrote") from None

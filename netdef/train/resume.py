"""Weights and snapshots taken over into a net, where they fit it."""

from __future__ import annotations

from pathlib import Path

from netdef.diag import Diagnostic, Error, whole_file
from netdef.train import codes, snapshot
from netdef.train.blobs import Blobs, Mismatch
from netdef.train.trainer import Trainer

#: how many differences a message tells
_TOLD = 5


def load_weights(path: Path, blobs: Blobs, partial: bool) -> Mismatch:
    """Copy weights from a file; raises `Error` where it and the net differ, unless `partial`."""
    mismatch = blobs.load(snapshot.load_weights(path))
    lines = [f"{key} is missing in the file" for key in mismatch.missing]
    for key, (theirs, mine) in mismatch.reshaped.items():
        lines.append(f"{key} has shape {theirs} in the file and {mine} in the net")
    lines += [f"{key} is not in the net" for key in mismatch.extra]
    if lines and not partial:
        hint = "--partial takes what fits; layers are matched by name"
        raise Error([Diagnostic(codes.WEIGHTS_DIFFER, whole_file(str(path)), _told(lines), hint)])
    return mismatch


def restore(path: Path, trainer: Trainer) -> list[int]:
    """Take over a snapshot; returns the position in the data.  Raises `Error` where it is another run's."""
    weights, history, state = snapshot.load(path)
    lines = []
    if state["solver"] != trainer.solver.type:
        lines.append(f"it was made by solver {state['solver']}, not {trainer.solver.type}")
    for key, value in trainer.blobs.by_key().items():
        if key not in weights or weights[key].shape != value.shape:
            found = weights[key].shape if key in weights else "missing"
            lines.append(f"{key} is {found}, not {value.shape}")
    lines += [f"it has no history of {key}" for key in trainer.history() if key not in history]
    if lines:
        hint = "resume with the net and solver of the run, or start a new run with --weights"
        raise Error([Diagnostic(codes.NOT_A_SNAPSHOT, whole_file(str(path)), _told(lines), hint)])
    trainer.blobs.load(weights)
    trainer.restore(history, state)
    drawn: list[int] = state["drawn"]
    return drawn


def _told(lines: list[str]) -> str:
    more = len(lines) - _TOLD
    return "; ".join(lines[:_TOLD]) + (f"; and {more} more" if more > 0 else "")

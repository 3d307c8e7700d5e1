"""Weights and snapshots taken over into a net, where they fit it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from netdef.data.feed import Feed
from netdef.diag import Diagnostic, Error, whole_file
from netdef.passes.pipeline import Loaded
from netdef.train import codes, snapshot
from netdef.train.blobs import Blobs, Mismatch
from netdef.train.evaluate import Evaluator
from netdef.train.setup import Job
from netdef.train.trainer import Trainer

#: how many differences a message tells
_TOLD = 5


def load_weights(path: Path, blobs: Blobs, nets: Iterable[Loaded], partial: bool) -> Mismatch:
    """Copy weights from a file; raises `Error` where it and the nets differ, unless `partial`.

    Blobs of layers that the spec has in other phases only are passed over: `train` writes those, too.
    """
    mismatch = blobs.load(snapshot.load_weights(path))
    elsewhere = _only_elsewhere(nets)
    extra = [key for key in mismatch.extra if key.rpartition("/")[0] not in elsewhere]
    lines = [f"{key} is missing in the file" for key in mismatch.missing]
    for key, (theirs, mine) in mismatch.reshaped.items():
        lines.append(f"{key} has shape {theirs} in the file and {mine} in the net")
    lines += [f"{key} is not in the net" for key in extra]
    if lines and not partial:
        hint = "--partial takes what fits; layers are matched by name"
        raise Error([Diagnostic(codes.WEIGHTS_DIFFER, whole_file(str(path)), _told(lines), hint)])
    return mismatch._replace(extra=extra)


def _only_elsewhere(nets: Iterable[Loaded]) -> set[str]:
    """The names of layers that are in the spec, but in none of its nets here."""
    nets = list(nets)
    named = {layer.name for net in nets for layer in net.spec.layer}
    return named - {built.layer.name for net in nets for built in net.net.layers}


def restore(path: Path, job: Job, trainer: Trainer, evaluators: Sequence[Evaluator]) -> Feed:
    """Take over a snapshot, and with it the seed of its run; returns what feeds the run from there on.

    Raises `UsageError` for a damaged snapshot, `Error` for one of another net or solver; nothing has been
    changed then.
    """
    weights, history, state = snapshot.load(path)
    _require_whole(path, state)
    feed = job.feed(state["seed"])
    lines = _differences(trainer, evaluators, weights, history, state)
    try:
        feed.drawn = state["drawn"]
    except ValueError as bad:
        lines.append(f"it has {bad}")
    if lines:
        hint = "resume with the net and solver of the run, or start a new run with --weights"
        raise Error([Diagnostic(codes.NOT_A_SNAPSHOT, whole_file(str(path)), _told(lines), hint)])
    trainer.blobs.seed = state["seed"]
    trainer.blobs.load(weights)
    trainer.restore(history, state)
    for evaluator, positions in zip(evaluators, state["tested"]):
        evaluator.positions = [
            position % dataset.samples for position, dataset in zip(positions, evaluator.datasets)
        ]
    return feed


def _differences(
    trainer: Trainer,
    evaluators: Sequence[Evaluator],
    weights: dict[str, np.ndarray],
    history: dict[str, np.ndarray],
    state: dict[str, Any],
) -> list[str]:
    """What in a snapshot is not as in the run that is to go on from it."""
    lines = []
    if state["solver"] != trainer.solver.type:
        lines.append(f"it was made by solver {state['solver']}, not {trainer.solver.type}")
    for found, wanted, what in (
        (weights, trainer.blobs.by_key(), "{}"),
        (history, trainer.history(), "the history {}"),
    ):
        for key, array in wanted.items():
            if key not in found:
                lines.append(f"{what.format(key)} is missing")
            elif found[key].shape != array.shape:
                lines.append(f"{what.format(key)} is {found[key].shape}, not {array.shape}")
    tested = [len(evaluator.datasets) for evaluator in evaluators]
    if [len(positions) for positions in state["tested"]] != tested:
        lines.append("its TEST nets have other data layers")
    return lines


def _require_whole(path: Path, state: Any) -> None:
    """Raise `UsageError` unless a state holds everything that is taken over, each in its form."""
    if not isinstance(state, dict):
        raise snapshot.damaged(path, "it is no mapping")
    for name, is_right in _FORMS.items():
        if name not in state:
            raise snapshot.damaged(path, f"{name} is missing")
        if not is_right(state[name]):
            raise snapshot.damaged(path, f"{name} is not as netdef writes it")


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_count, value))


def _is_random_state(value: Any) -> bool:
    """Whether numpy's generator takes this state."""
    try:
        np.random.default_rng(0).bit_generator.state = value
    except (ValueError, TypeError, KeyError, OverflowError):
        return False
    return True


#: every entry of a state -> whether its value can be taken over
_FORMS: dict[str, Callable[[Any], bool]] = {
    "solver": lambda value: isinstance(value, str),
    "seed": _is_count,
    "iteration": _is_count,
    "losses": lambda value: isinstance(value, list) and all(isinstance(loss, float) for loss in value),
    "random": _is_random_state,
    "drawn": _are_counts,
    "tested": lambda value: isinstance(value, list) and all(map(_are_counts, value)),
}


def _told(lines: list[str]) -> str:
    more = len(lines) - _TOLD
    return "; ".join(lines[:_TOLD]) + (f"; and {more} more" if more > 0 else "")

"""A training run: the loop around a trainer, with tests, snapshots and a folder that keeps what happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from netdef.data.feed import Feed, FeedAhead
from netdef.train import snapshot
from netdef.train.evaluate import Evaluator, Interrupted
from netdef.train.events import Event, Listener, Saved, Started, Stepped, Stopped, Tested
from netdef.train.labels import blame_labels
from netdef.train.signals import Signals
from netdef.train.trainer import Trainer


class Run:
    """Drives a trainer to `max_iter` as Caffe's Solver::Step does, telling its listeners.

    Snapshots go to `folder` as `iter_<n>.npz`, the last one to `last.npz`.
    """

    def __init__(
        self,
        trainer: Trainer,
        feed: Feed,
        evaluators: Sequence[Evaluator],
        folder: Path,
        listeners: Sequence[Listener],
    ) -> None:
        self.trainer, self.feed, self.evaluators = trainer, feed, evaluators
        self.folder, self.listeners = folder, listeners

    def train(self) -> str:
        """Run until `max_iter`, or until a signal stops it after a snapshot; returns the signal's name.

        Raises `NumericFault` for a loss or rate that is not finite, `Error` for a label that is no class,
        `EnvironmentFault` where the run's folder cannot be written to.
        """
        trainer, solver = self.trainer, self.trainer.solver
        start = time.monotonic()
        self._tell(self._started())
        with Signals() as signals, FeedAhead(self.feed) as batches:
            while trainer.iteration < solver.max_iter and not signals.stop:
                iteration = trainer.iteration
                if self._is_test_due(iteration) and not self._test_unless(signals):
                    break
                rate = trainer.rate
                with blame_labels(trainer.runner, train=True):
                    trainer.step(batches.fill)
                display = bool(solver.display) and iteration % solver.display == 0
                outputs = trainer.scores() if display else {}
                seconds = time.monotonic() - start
                self._tell(
                    Stepped(
                        iteration, solver.max_iter, trainer.smoothed_loss, rate, seconds, display, outputs
                    )
                )
                due = solver.snapshot and trainer.iteration % solver.snapshot == 0
                if due or signals.take_snapshot():
                    self.save(f"iter_{trainer.iteration}.npz")
            self.save("last.npz")
            if signals.stop and trainer.iteration < solver.max_iter:
                self._tell(Stopped(trainer.iteration, signals.stop, self.folder / "last.npz"))
                return signals.stop
        self._test()
        return ""

    def _started(self) -> Started:
        trainer = self.trainer
        return Started(
            trainer.net.name,
            trainer.iteration,
            trainer.solver.max_iter,
            sum(blob.value.size for blob in trainer.updater.learnables),
            self.feed.samples,
            trainer.blobs.seed,
            self.folder,
        )

    def _is_test_due(self, iteration: int) -> bool:
        solver = self.trainer.solver
        if not solver.test_interval or iteration % solver.test_interval:
            return False
        return iteration > 0 or solver.test_initialization

    def _test_unless(self, signals: Signals) -> bool:
        """Evaluate every TEST net; False where a signal came first, and then as if none had been read."""
        before = [list(evaluator.positions) for evaluator in self.evaluators]
        try:
            self._test(lambda: bool(signals.stop))
        except Interrupted:
            for evaluator, positions in zip(self.evaluators, before):
                evaluator.positions = positions
            return False
        return True

    def _test(self, stopped: Callable[[], bool] = lambda: False) -> None:
        for number, evaluator in enumerate(self.evaluators):
            scores = evaluator.run(stopped)
            outputs = {blob: float(value) for blob, value in scores.items() if value.size == 1}
            self._tell(Tested(self.trainer.iteration, number, evaluator.samples, outputs))
            evaluator.require_finite(outputs)

    def save(self, name: str) -> Path:
        """Write a snapshot; raises `EnvironmentFault`."""
        path = self.folder / name
        snapshot.save(path, self.trainer.blobs.by_key(), self.trainer.history(), self.state())
        self._tell(Saved(self.trainer.iteration, path))
        return path

    def state(self) -> dict[str, Any]:
        """The state of trainer and data as JSON data."""
        tested = [evaluator.positions for evaluator in self.evaluators]
        return {**self.trainer.state(), "drawn": self.feed.drawn, "tested": tested}

    def _tell(self, event: Event) -> None:
        for listener in self.listeners:
            listener.hear(event)

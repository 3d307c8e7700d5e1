"""Signals during training: SIGINT and SIGTERM stop after a snapshot, SIGHUP only takes one (Caffe)."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

#: Windows has no SIGHUP
_STOP = [signal.SIGINT, signal.SIGTERM]
_SNAPSHOT = [signal.SIGHUP] if hasattr(signal, "SIGHUP") else []


class Signals:
    """Turns signals into flags inside `with`; a run looks at them after each iteration and each test batch.

    A second SIGINT or SIGTERM quits at once, with the status of a process that such a signal ends.  Outside
    the main thread, where Python delivers no signals, the flags stay unset.
    """

    def __init__(self) -> None:
        self.stop = ""
        self.snapshot = False
        self._before: dict[int, Any] = {}

    def take_snapshot(self) -> bool:
        """Whether a snapshot was asked for since the last call."""
        asked, self.snapshot = self.snapshot, False
        return asked

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.stop:
            raise SystemExit(128 + number)
        self.stop = signal.Signals(number).name

    def _snapshot(self, number: int, frame: FrameType | None) -> None:
        self.snapshot = True

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in _STOP:
                self._before[number] = signal.signal(number, self._stop)
            for number in _SNAPSHOT:
                self._before[number] = signal.signal(number, self._snapshot)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

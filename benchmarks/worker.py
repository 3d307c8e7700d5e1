"""One system with one net in a process of its own, which may be another interpreter's.

    python -m benchmarks.worker SYSTEM VARIANT JOB

Answers with one line of JSON when the net is ready and warm: `parameters`, `values` (what the system
computed, to be compared with the others) and `version`.  Then each line of standard input holds a number of
steps; the answer has the `seconds` that they took and `memory`, the most bytes in use since the net is warm,
beyond those of the interpreter with the system loaded.  Pages of files do not count: they hold programs, and
what a net is given.  Ends with its input.  A net that the system cannot
run is told as `refused`.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

#: steps before the clock starts
WARM_UP = 2


def main(system: str, variant: str, job_path: str) -> None:
    """Serve one system; what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(**fields: object) -> None:
        answers.write(json.dumps(fields) + "\n")
        answers.flush()

    module = importlib.import_module(f"benchmarks.systems.of_{system}")
    loaded = _in_use("VmRSS")
    job = json.loads(Path(job_path).read_text(encoding="utf-8"))
    try:
        net = module.open_net(job, variant)
    except NotImplementedError as refusal:
        answer(refused=str(refusal))
        return
    values = net.check()
    net.run(WARM_UP)
    gc.collect()
    with suppress(OSError):  # elsewhere than on Linux the peak is not known
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    answer(parameters=net.parameters, values=values, version=module.version())
    for line in sys.stdin:
        start = time.perf_counter()
        net.run(int(line))
        seconds = time.perf_counter() - start
        peak = _in_use("VmHWM")
        known = peak is not None and loaded is not None
        answer(seconds=seconds, memory=peak - loaded + _of_children() if known else None)


def _of_children() -> int:
    """Bytes that processes which this one has forked have for themselves."""
    here = os.getpid()
    total = 0
    with suppress(OSError):
        for child in Path(f"/proc/{here}/task/{here}/children").read_text(encoding="ascii").split():
            for line in Path(f"/proc/{child}/smaps_rollup").read_text(encoding="ascii").splitlines():
                if line.startswith("Private_Dirty:"):
                    total += int(line.split()[1]) * 1024
    return total


def _in_use(field: str) -> int | None:
    """Bytes of this process by Linux's account of it, now or at most, but for pages of files.

    Those of programs stay once they have been run, so that now there are as many as there ever were.
    """
    with suppress(OSError):
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        told = dict(line.split(":", 1) for line in lines)
        return (int(told[field].split()[0]) - int(told["RssFile"].split()[0])) * 1024
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])

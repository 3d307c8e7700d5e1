"""The systems that are there, and a process for each that measures (see `worker`)."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
#: seconds that a system has to answer, compilers included
PATIENCE = 600
#: modules that each peer needs
NEEDED = {
    "torch": ("torch", "numpy"),
    "mxnet": ("mxnet",),
    "onnxruntime": ("onnxruntime", "onnx"),
    "caffe": ("caffe",),
}
#: variants of each system
VARIANTS = {"torch": ("eager", "channels_last")}
COMPILED = ("torch", "compile")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class System(NamedTuple):
    """What is measured: a system, its variant, the interpreter that has it."""

    name: str
    variant: str
    python: str

    @property
    def title(self) -> str:
        return f"{self.name} {self.variant}".strip()


class Failed(Exception):
    """A system that did not answer; the text is the end of what it said."""


class Refused(Exception):
    """A net that a system cannot run."""


def find_systems(peers: Mapping[str, str], compiled: bool = False) -> list[System]:
    """netdef and the peers: those of `peers`, name -> interpreter, and those that this interpreter has.

    Raises `Failed` for a peer that is not known, and for an interpreter that has not what the peer needs.
    """
    if unknown := peers.keys() - NEEDED.keys():
        raise Failed(f"--peer {min(unknown)}: there is no such peer; there are {', '.join(NEEDED)}")
    found = [System("netdef", "", sys.executable)]
    for name, needed in NEEDED.items():
        python = peers.get(name, sys.executable)
        problem = _cannot_import(python, needed)
        if problem and name in peers:
            raise Failed(f"--peer {name}={python}: {problem}")
        if not problem:
            found += [System(name, variant, python) for variant in VARIANTS.get(name, ("",))]
            if compiled and name == COMPILED[0]:
                found.append(System(*COMPILED, python))
    return found


def versions(systems: Sequence[System]) -> list[str]:
    """The version of each peer."""
    told = []
    for name, python in dict.fromkeys((system.name, system.python) for system in systems[1:]):
        script = f"import benchmarks.systems.of_{name} as system; print(system.version())"
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [python, "-c", script]
        result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        told.append(result.stdout.strip() or f"{name} that cannot be imported")
    return told


def _cannot_import(python: str, modules: Sequence[str]) -> str:
    """Why an interpreter cannot import modules; empty where it can."""
    script = "import importlib.util as u, sys\nprint(*[m for m in sys.argv[1:] if u.find_spec(m) is None])"
    try:
        command = [python, "-c", script, *modules]
        result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return f"there is no {result.stdout.strip()}" if result.stdout.strip() else ""


class Worker:
    """A system with the net of a job in a process of its own; a context manager.

    Opening waits until the net is ready.  Raises `Refused` or `Failed`.
    """

    def __init__(self, system: System, job: Path, threads: int | None = None) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        if threads:
            environment.update(dict.fromkeys(THREADS, str(threads)))
        command = [system.python, "-m", "benchmarks.worker", system.name, system.variant, str(job)]
        self.errors = open(job.with_name(f"{system.title}.log"), "w+", encoding="utf-8")  # noqa: SIM115
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=environment,
            cwd=ROOT,
        )
        try:
            ready = self._answer()
            if "refused" in ready:
                raise Refused(ready["refused"])
        except BaseException:
            self.close()
            raise
        self.parameters: int = ready["parameters"]
        self.values: list[float] = ready["values"]
        self.version: str = ready["version"]

    def run(self, steps: int) -> dict[str, Any]:
        """Run some steps; returns their `seconds` and the most `memory` so far, in bytes or None."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{steps}\n".encode())
            self.process.stdin.flush()
        except OSError:
            raise Failed(self._last_words()) from None
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        output = self.process.stdout
        assert output is not None
        if not select.select([output], [], [], PATIENCE)[0]:
            raise Failed(f"no answer in {PATIENCE} seconds")
        line = output.readline()
        if not line:
            raise Failed(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        """The last line on standard error of a process that has ended."""
        status = self.process.wait()
        self.errors.seek(0)
        lines = [line for line in self.errors.read().splitlines() if line.strip()]
        return lines[-1] if lines else f"it ended with status {status}"

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

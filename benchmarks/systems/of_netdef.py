"""netdef, as its command line runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zipfile import ZipFile

from netdef.cli.threads import cores, hold_blas_to_one_thread

hold_blas_to_one_thread()

import numpy as np  # noqa: E402

import netdef  # noqa: E402
from benchmarks.jobs import Case, load  # noqa: E402
from netdef.runtime.threads import set_threads  # noqa: E402
from netdef.train.blobs import Blobs  # noqa: E402
from netdef.train.runner import Runner, input_shapes  # noqa: E402
from netdef.train.trainer import Trainer  # noqa: E402


def version() -> str:
    return f"netdef {netdef.__version__}, numpy {np.__version__}"


def open_net(job: dict[str, Any], variant: str) -> Training | Inference:
    """The net of a job with its weights and data."""
    set_threads(job["threads"] or cores(), forks=True)
    loaded = load(Case(job["task"], job["net"], job["batch"]))
    blobs = Blobs(seed=0)
    blobs.add(loaded.net, loaded.shapes)
    blobs.load(mapped(Path(job["folder"], "weights.npz")))
    data = mapped(Path(job["folder"], "data.npz"))
    return (Training if job["task"] == "train" else Inference)(loaded, blobs, data)


def mapped(archive: Path) -> dict[str, np.ndarray]:
    """The arrays of an archive, from files beside it: what a net is given is no memory that it takes."""
    folder = archive.with_suffix("")
    with ZipFile(archive) as packed:
        packed.extractall(folder)
        names = packed.namelist()
    return {name.removesuffix(".npy"): np.load(folder / name, mmap_mode="r") for name in names}


class Training:
    """Forward, backward and update."""

    def __init__(self, loaded: Any, blobs: Blobs, data: dict[str, np.ndarray]) -> None:
        self.trainer = Trainer(loaded.spec.solver, loaded, blobs)
        self.parameters = sum(blob.value.size for blob in self.trainer.updater.learnables)
        self.data = data

    def fill(self, arrays: Any) -> None:
        for name, array in self.data.items():
            arrays[name][...] = array

    def check(self) -> list[float]:
        """The losses of the first steps."""
        return [self.trainer.step(self.fill) for _ in range(3)]

    def run(self, count: int) -> None:
        for _ in range(count):
            self.trainer.step(self.fill)


class Inference:
    """The forward pass of the TEST phase."""

    def __init__(self, loaded: Any, blobs: Blobs, data: dict[str, np.ndarray]) -> None:
        self.runner = Runner(loaded.net, input_shapes(loaded.net, loaded.shapes), blobs, folds=True)
        learnable = [blob.value for blob in blobs.by_variable.values() if blob.param.lr_mult is not None]
        self.parameters = sum(value.size for value in learnable)
        self.data = data

    def check(self) -> list[float]:
        """The output."""
        self.run(1)
        (output,) = self.runner.outputs.values()
        return output.ravel().tolist()

    def run(self, count: int) -> None:
        for _ in range(count):
            for name, array in self.data.items():
                self.runner.inputs[name][...] = array
            self.runner.forward(train=False)

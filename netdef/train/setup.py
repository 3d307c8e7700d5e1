"""From files to something that runs: nets, data, weights, checked together before the first step."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

from netdef.data import codes as data_codes
from netdef.data.dataset import Dataset, Library
from netdef.data.feed import Feed
from netdef.diag import Findings, UsageError
from netdef.passes.agree import check_agreement
from netdef.passes.pipeline import Loaded, build_net, open_spec
from netdef.spec.expand import is_fed
from netdef.spec.net import NetSpec, NetState
from netdef.spec.solver import SolverSpec
from netdef.train.blobs import Blobs
from netdef.train.evaluate import Evaluator
from netdef.train.labels import check_labels
from netdef.train.objective import check_objective
from netdef.train.runner import input_shapes
from netdef.train.trainer import Trainer


class Prepared(NamedTuple):
    """A net of one phase with the data that feed it."""

    loaded: Loaded
    datasets: tuple[Dataset, ...]


class TestNet(NamedTuple):
    """A TEST net and how many batches make a test; None: the whole set once."""

    prepared: Prepared
    test_iter: int | None


class Job(NamedTuple):
    """Everything that `netdef train` needs, checked."""

    solver: SolverSpec
    train: Prepared
    tests: tuple[TestNet, ...]

    @property
    def nets(self) -> tuple[Loaded, ...]:
        """Every net, that of the TRAIN phase first."""
        return (self.train.loaded, *(test.prepared.loaded for test in self.tests))

    def feed(self, seed: int) -> Feed:
        """What fills the TRAIN net's inputs."""
        return Feed(self.train.datasets, train=True, seed=seed)

    def as_data(self) -> dict[str, Any]:
        """The solver and the net after variables and `--set`, as plain data."""
        net, solver = self.train.loaded.spec.document, self.solver.document
        assert net is not None
        assert solver is not None, "what was read comes from a document"
        return {"net": net.data} if solver is net else {"net": net.data, "solver": solver.data}


def prepare_net(spec: NetSpec, state: NetState, library: Library, findings: Findings) -> Prepared | None:
    """Build a net and open its data; None, with findings, where something is wrong.

    Raises `EnvironmentFault` where the data do not fit in memory.
    """
    loaded = build_net(spec, state, findings)
    if findings.errors:
        return None
    # Not by the names of tops: a layer may write over an input in place.
    fed = [entry.node.origin for entry in loaded.net.inputs.values()]
    feeding = [built.layer for built in loaded.net.layers if built.layer in fed]
    if not feeding:
        message = f"no layer feeds the net in the {state.phase} phase"
        hint = "add a data layer for the phase, or look at the include rules of those there are"
        findings.add(data_codes.NO_DATA, spec.span("layer"), message, hint)
        return None
    datasets = [library.open(layer, findings) for layer in feeding]
    ready = tuple(dataset for dataset in datasets if dataset is not None)
    if len(ready) < len(datasets):
        return None
    check_labels(loaded.net, loaded.shapes, ready, findings)
    return Prepared(loaded, ready)


def prepare_job(path: str, overrides: Sequence[str], findings: Findings) -> Job | None:
    """The solver of a file with its TRAIN net and its TEST nets."""
    opened = open_spec(path, findings, overrides)
    if opened is None or opened.net is None or findings.errors:
        return None
    solver, spec = opened.solver, opened.net
    if solver is None:
        raise UsageError(f"{path} has no solver; add a `solver:` block to the net, or train a solver file")
    library = Library()
    train = prepare_net(spec, solver.train_net_state(), library, findings)
    if train:
        check_objective(train.loaded, findings)
    tests = []
    states = solver.test_net_states()
    for state, test_iter in zip(states, solver.test_iter or [None] * len(states)):
        if not is_fed(spec, state):
            continue
        prepared = prepare_net(spec, state, library, findings)
        if prepared:
            tests.append(TestNet(prepared, test_iter))
    if train is None or findings.errors:
        return None
    job = Job(solver, train, tuple(tests))
    check_agreement([(loaded.net, loaded.shapes) for loaded in job.nets], findings)
    return None if findings.errors else job


def make_trainer(job: Job, seed: int | None = None, conv_algo: str = "") -> Trainer:
    """A trainer with filled blobs.  `seed` replaces random_seed; -1 there draws one.

    `conv_algo` names an algorithm for the convolutions.
    """
    chosen = job.solver.random_seed if seed is None else seed
    blobs = Blobs(secrets.randbits(31) if chosen < 0 else chosen)
    return Trainer(job.solver, job.train.loaded, blobs, conv_algo)


def make_evaluator(
    prepared: Prepared, blobs: Blobs, test_iter: int | None = None, conv_algo: str = ""
) -> Evaluator:
    """The evaluator of a TEST net over blobs that it may share with a TRAIN net.

    `test_iter` is the number of batches in a test; None: the whole set once.
    """
    loaded = prepared.loaded
    blobs.add(loaded.net, loaded.shapes)
    shapes = input_shapes(loaded.net, loaded.shapes)
    return Evaluator(loaded.net, shapes, blobs, prepared.datasets, test_iter, conv_algo)

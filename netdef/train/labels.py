"""Labels are checked against the layers that read them: all before the first step, computed ones in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from netdef.data import codes
from netdef.data.dataset import Dataset
from netdef.diag import Diagnostic, Error, Findings
from netdef.graph.build import Net
from netdef.graph.node import Entry
from netdef.ops.base import Op
from netdef.ops.loss import Labelled
from netdef.passes.infer import Known, node_shapes
from netdef.spec.layers.base import Layer
from netdef.train import codes as train_codes
from netdef.train.runner import Runner


class Reader(NamedTuple):
    """An operator that reads class numbers."""

    layer: str
    #: where the numbers come from: an input of the net, unless some operator computes them
    entry: Entry
    classes: int
    #: the label that it passes over
    ignored: int | None


def label_readers(net: Net, shapes: Known) -> Iterator[Reader]:
    """Everything in a net that reads labels, in the order of its layers."""
    for built in net.layers:
        for node in built.nodes:
            if not isinstance(node.op, Op):
                continue
            reads = dict(zip(node.read_names(), node.inputs))
            for name, classes in node.op.labels(node_shapes(node, shapes)).items():
                entry = reads[name]
                if entry is not None:
                    source = _source(entry, train=net.phase == "TRAIN")
                    ignored = node.op.ignored_label() if isinstance(node.op, Labelled) else None
                    yield Reader(built.layer.name, source, classes, ignored)


def _source(entry: Entry, train: bool) -> Entry:
    """The entry whose values these are: what views, copies and stopped gradients lead back to."""
    while isinstance(entry.node.op, Op) and (view := entry.node.op.view(train)):
        before = dict(zip(entry.node.read_names(), entry.node.inputs))[view[0]]
        if before is None or entry.node.write_names()[entry.index] != view[1]:
            break
        entry = before
    return entry


def check_labels(net: Net, shapes: Known, datasets: Iterable[Dataset], findings: Findings) -> None:
    """Report labels that their readers cannot take, each array once, however many layers read it."""
    sources = {
        net.inputs[top]: (dataset, top, array)
        for dataset in datasets
        for top, array in zip(dataset.layer.top, dataset.arrays)
    }
    for reader in label_readers(net, shapes):
        if reader.entry not in sources:
            continue
        dataset, blob, array = sources[reader.entry]
        wrong = _wrong(array, reader.classes, reader.ignored)
        if wrong.any():
            del sources[reader.entry]
            sample, value = int(np.argwhere(wrong)[0][0]), array[wrong][0]
            where = f"{dataset.layer.name}: {blob} of sample {sample} is {value}"
            legal = f"labels are whole numbers from 0 to {reader.classes - 1}"
            hint = f"{legal}; {int(wrong.sum())} of {array.size} are not"
            message = f"{where}, but {reader.layer} has {reader.classes} classes"
            findings.add(codes.LABEL_OUT_OF_RANGE, dataset.layer.source_span(), message, hint)


def _wrong(array: np.ndarray, classes: int, ignored: int | None) -> np.ndarray:
    """Which labels are negative, too large or fractional, and not ignored."""
    wrong: np.ndarray = (array < 0) | (array >= classes) | (array != np.floor(array))
    return wrong if ignored is None else wrong & (array != ignored)


@contextmanager
def blame_labels(runner: Runner, train: bool) -> Iterator[None]:
    """Around a pass of `runner`: values that an operator refuses become an `Error` at its layer.

    Most often these are computed labels that are no class; others are indices that must lie in a table.
    """
    try:
        yield
    except (ValueError, IndexError) as error:
        node = runner.executor.failing(train)
        if node is None or not isinstance(node.origin, Layer):
            raise
        layer = node.origin
        code, hint = train_codes.VALUES_REFUSED, "mend the data, or what computes the values from them"
        if isinstance(node.op, Op) and type(node.op).labels is not Op.labels:
            code, hint = codes.LABEL_OUT_OF_RANGE, "mend the labels, or what computes them from the data"
        message = f"{layer.name}: {error}"
        raise Error([Diagnostic(code, layer.span("name"), message, hint)]) from None

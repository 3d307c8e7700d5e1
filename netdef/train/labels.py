"""Labels are checked against the layers that read them, before the first step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from netdef.data import codes
from netdef.data.dataset import Dataset
from netdef.diag import Findings
from netdef.graph.build import Net
from netdef.graph.node import Entry
from netdef.ops.base import Op
from netdef.passes.infer import Known, node_shapes


class Reader(NamedTuple):
    """An operator that reads class numbers.

    From which entry, how many classes, which label it passes over.
    """

    layer: str
    entry: Entry
    classes: int
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
                    yield Reader(built.layer.name, entry, classes, getattr(node.op, "ignore_label", None))


def check_labels(net: Net, shapes: Known, datasets: Iterable[Dataset], findings: Findings) -> None:
    """Report labels that the layers which read them cannot take;

    Each array once, however many layers read it.
    """
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

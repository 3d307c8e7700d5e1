"""Random inputs for a net, where no data are read."""

from __future__ import annotations

import numpy as np

from netdef.passes.pipeline import Loaded
from netdef.train.labels import label_readers
from netdef.train.runner import Runner


def label_classes(loaded: Loaded) -> dict[str, int]:
    """The inputs that are read as class numbers, with the number of classes."""
    by_entry = {entry: blob for blob, entry in loaded.net.inputs.items()}
    readers = label_readers(loaded.net, loaded.shapes)
    return {by_entry[reader.entry]: reader.classes for reader in readers if reader.entry in by_entry}


def fill_inputs(runner: Runner, loaded: Loaded, random: np.random.Generator) -> None:
    """Write normal numbers into the inputs of a net, and random classes into its labels."""
    labels = label_classes(loaded)
    for top, array in runner.inputs.items():
        array[...] = (
            random.integers(0, labels[top], array.shape)
            if top in labels
            else random.normal(0, 1, array.shape)
        )

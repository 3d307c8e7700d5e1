"""The learnable blobs and states of nets that share them: storage, fillers, weight files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from zlib import crc32

import numpy as np

from netdef.graph.build import Net, Param
from netdef.graph.node import Entry
from netdef.passes.infer import Known
from netdef.train.fillers import fill
from netdef.train.flat import Flat


class Blob(NamedTuple):
    """One blob: its place in a weight file, its declaration and its values."""

    #: Caffe's key: the layer that owns it and the number among its blobs, `conv1/0`
    key: str
    param: Param
    value: np.ndarray


class Blobs:
    """Every blob of one or several nets, by the name of its variable.

    A net of another phase takes the blobs of the same names and adds those that are missing, in a block of
    memory in which learnable blobs with the same multipliers lie side by side.  Each blob is
    filled from a random stream of its own, drawn from the seed and its key, so that adding a layer changes no
    other one.
    """

    def __init__(self, seed: int, dtype: str = "float32") -> None:
        self.seed, self.dtype = seed, dtype
        self.by_variable: dict[str, Blob] = {}
        #: variable -> the key of every layer that uses it, the owner's first
        self._keys: dict[str, list[str]] = {}
        #: the memory of all blobs
        self.blocks: list[Flat] = []

    def add(self, net: Net, shapes: Known) -> None:
        """Allocate and fill the blobs of a net that are not there yet."""
        missing: dict[str, tuple[str, Param]] = {}
        for built in net.layers:
            for number, param in enumerate(built.params):
                key = f"{built.layer.name}/{number}"
                keys = self._keys.setdefault(param.node.name, [])
                if key not in keys:
                    keys.append(key)
                if param.owner and param.node.name not in self.by_variable:
                    missing[param.node.name] = key, param
        ordered = sorted(missing.values(), key=lambda found: _multipliers(found[1]))
        block = Flat({param.node.name: shapes[Entry(param.node, 0)] for _, param in ordered}, self.dtype)
        self.blocks.append(block)
        arrays = block.arrays()
        for name, (key, param) in missing.items():
            random = np.random.default_rng((self.seed, crc32(key.encode())))
            fill(arrays[name], param.filler, random)
            self.by_variable[name] = Blob(key, param, arrays[name])

    def values(self) -> dict[str, np.ndarray]:
        """The arrays by variable."""
        return {name: blob.value for name, blob in self.by_variable.items()}

    def by_key(self) -> dict[str, np.ndarray]:
        """The arrays by Caffe's key, as weight files have them: a shared one under that of each user."""
        arrays: dict[str, np.ndarray] = {}
        for name, blob in self.by_variable.items():
            for key in self._keys[name]:
                arrays.setdefault(key, blob.value)
        return arrays

    def load(self, weights: Mapping[str, np.ndarray]) -> Mismatch:
        """Copy the blobs whose shapes agree, each from the first of its keys there; says which did not."""
        missing, reshaped = [], {}
        for name, (owner, _, value) in self.by_variable.items():
            found = [key for key in self._keys[name] if key in weights]
            fitting = [key for key in found if weights[key].shape == value.shape]
            if fitting:
                value[...] = weights[fitting[0]]
            elif found:
                reshaped[found[0]] = (weights[found[0]].shape, value.shape)
            else:
                missing.append(owner)
        mine = self.by_key()
        extra = [key for key in weights if key not in mine]
        return Mismatch(missing, extra, reshaped)


def _multipliers(param: Param) -> tuple[float, float]:
    """What blobs that are updated alike have in common; those that are not learnt have no rate."""
    return param.lr_mult or 0.0, param.decay_mult


class Mismatch(NamedTuple):
    """How a weight file and a net differ.

    Keys that the file lacks, that the net lacks, and differing shapes.
    """

    missing: list[str]
    extra: list[str]
    #: key -> (shape in the file, shape in the net)
    reshaped: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]

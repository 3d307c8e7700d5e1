"""Caffe's fillers: the values of learnable blobs before training (`filler.hpp`)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from netdef.spec.layers.base import FillerParameter

Random = np.random.Generator


def _fan(shape: tuple[int, ...], norm: str) -> float:
    """The count that xavier and msra divide by: inputs of an output, outputs of an input, or their mean."""
    count = math.prod(shape)
    fan_in = count / shape[0]
    fan_out = count / shape[1] if len(shape) > 1 else count
    return {"FAN_IN": fan_in, "FAN_OUT": fan_out, "AVERAGE": (fan_in + fan_out) / 2}[norm]


def constant(shape: tuple[int, ...], filler: FillerParameter, random: Random) -> np.ndarray:
    """One value everywhere."""
    return np.full(shape, filler.value)


def gaussian(shape: tuple[int, ...], filler: FillerParameter, random: Random) -> np.ndarray:
    """Normal numbers; with `sparse`, about that many inputs of each output are not zero."""
    values = random.normal(filler.mean, filler.std, shape)
    if filler.sparse >= 0:
        values *= random.random(shape) < filler.sparse / shape[0]
    return values


def uniform(shape: tuple[int, ...], filler: FillerParameter, random: Random) -> np.ndarray:
    """Equally likely numbers from `min` to `max`."""
    return random.uniform(filler.min, filler.max, shape)


def positive_unitball(shape: tuple[int, ...], filler: FillerParameter, random: Random) -> np.ndarray:
    """Positive numbers that add up to one for each output."""
    rows = random.random((shape[0], math.prod(shape[1:])))
    return (rows / rows.sum(axis=1, keepdims=True)).reshape(shape)


def xavier(shape: tuple[int, ...], filler: FillerParameter, random: Random) -> np.ndarray:
    """Uniform with variance 1 / fan (Glorot and Bengio 2010, Caffe's variant)."""
    bound = math.sqrt(3 / _fan(shape, filler.variance_norm))
    return random.uniform(-bound, bound, shape)


def msra(shape: tuple[int, ...], filler: FillerParameter, random: Random) -> np.ndarray:
    """Normal with variance 2 / fan, for layers followed by ReLU (He, Zhang, Ren and Sun 2015)."""
    return random.normal(0, math.sqrt(2 / _fan(shape, filler.variance_norm)), shape)


def bilinear(shape: tuple[int, ...], filler: FillerParameter, random: Random) -> np.ndarray:
    """The weights of a deconvolution that interpolates; the kernel must be square (4 axes)."""
    size = shape[-1]
    half = math.ceil(size / 2)
    centre = (size - 1) / (2 * half)
    tent = 1 - np.abs(np.arange(size) / half - centre)
    return np.broadcast_to(np.outer(tent, tent), shape)


#: the names of `FillerParameter.type`
FILLERS: dict[str, Callable[[tuple[int, ...], FillerParameter, Random], np.ndarray]] = {
    "constant": constant,
    "gaussian": gaussian,
    "uniform": uniform,
    "positive_unitball": positive_unitball,
    "xavier": xavier,
    "msra": msra,
    "bilinear": bilinear,
}


def fill(array: np.ndarray, filler: FillerParameter | None, random: Random) -> None:
    """Fill an array in place; without a filler with zeros, Caffe's default."""
    array[...] = FILLERS[filler.type](array.shape, filler, random) if filler else 0

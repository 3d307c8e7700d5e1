"""Caffe's transformation of images: crop, mirror, subtract the mean, scale, in this order."""

from __future__ import annotations

import numpy as np

from netdef.spec.layers.data import TransformationParameter


class Transformer:
    """Writes raw samples (N, C, H, W) of any dtype into an array of floats.

    `crop_size` cuts a random square in training and the centre one otherwise; `mirror` flips half of the
    samples of a training batch and none otherwise; then (x - mean_value) * scale.
    """

    def __init__(self, parameter: TransformationParameter, train: bool) -> None:
        self.crop, self.scale = parameter.crop_size, parameter.scale
        self.mirror = parameter.mirror and train
        self.train = train
        self.mean = np.array(parameter.mean_value, np.float64)
        #: the mean in the form that batches take; made for the first one
        self._mean = self.mean

    @property
    def draws(self) -> bool:
        """Whether random numbers are needed."""
        return self.train and bool(self.crop or self.mirror)

    def write(self, raw: np.ndarray, target: np.ndarray, random: np.random.Generator | None) -> None:
        """Transform `raw` into `target`, which already has the cropped shape."""
        if self.crop or self.mirror:
            self._cut(raw, target, random)
        else:
            np.copyto(target, raw, casting="unsafe")
        if self.mean.size:
            target -= self._mean_of(target)
        if self.scale != 1:
            target *= target.dtype.type(self.scale)

    def _mean_of(self, target: np.ndarray) -> np.ndarray:
        """The mean of each channel in the type of `target`, with an axis for each that a sample has."""
        if self._mean.dtype != target.dtype or self._mean.ndim != target.ndim - 1:
            self._mean = self.mean.astype(target.dtype).reshape(-1, *(1,) * (target.ndim - 2))
        return self._mean

    def _cut(self, raw: np.ndarray, target: np.ndarray, random: np.random.Generator | None) -> None:
        height, width = target.shape[-2:]
        room = (raw.shape[-2] - height + 1, raw.shape[-1] - width + 1)
        if random is None:
            top, left = ((n - 1) // 2 for n in room)
            np.copyto(target, raw[..., top : top + height, left : left + width], casting="unsafe")
            return
        tops, lefts = (random.integers(n, size=len(raw)).tolist() for n in room)
        flips = random.integers(2, size=len(raw)).tolist() if self.mirror else [0] * len(raw)
        for sample, place, top, left, flip in zip(raw, target, tops, lefts, flips):
            cut = sample[..., top : top + height, left : left + width]
            np.copyto(place, cut[..., ::-1] if flip else cut, casting="unsafe")

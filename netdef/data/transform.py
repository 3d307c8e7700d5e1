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
            target -= self.mean.astype(target.dtype).reshape(-1, *(1,) * (target.ndim - 2))
        if self.scale != 1:
            target *= target.dtype.type(self.scale)

    def _cut(self, raw: np.ndarray, target: np.ndarray, random: np.random.Generator | None) -> None:
        height, width = target.shape[-2:]
        room = (raw.shape[-2] - height + 1, raw.shape[-1] - width + 1)
        for sample, place in zip(raw, target):
            top, left = (int(random.integers(n)) if random else (n - 1) // 2 for n in room)
            cut = sample[..., top : top + height, left : left + width]
            flip = self.mirror and random is not None and random.integers(2)
            np.copyto(place, cut[..., ::-1] if flip else cut, casting="unsafe")

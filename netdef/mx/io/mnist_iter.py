"""MNISTIter: batches of the images and labels of idx files (MXNet's io)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from netdef.data.arrays import read_idx
from netdef.diag import MXNetError
from netdef.mx.io.checks import batch_size_of, flag, whole_number
from netdef.mx.io.csv_iter import shape_of
from netdef.mx.io.rows import RowIter
from netdef.mx.ndarray import NDArray, array
from netdef.source import BadFile


class MNISTIter(RowIter):
    """Batches of the images (N, H, W) and labels (N,) of two idx files of bytes, gzipped or not.

    A batch has data of shape (batch_size, 1, H, W), or (batch_size, H * W) with `flat`, of float32 between 0
    and 255/256 (a byte divided by 256), and labels of shape (batch_size,).  Images that do not fill a batch
    are left out.  With `shuffle` they are put in an order that `seed` determines, the same in every epoch.
    Of `num_parts` parts of nearly the same size only the one with number `part_index` is used.
    `input_shape`, where it is given, must be the shape of a sample.  Without `silent` the shape is logged.

    Raises `MXNetError` for files that cannot be read, are no idx files of images and labels, or disagree in
    their number, and for fewer images than a batch has.  The order of a shuffled set is not MXNet's.
    """

    def __init__(
        self,
        image: str = "./train-images-idx3-ubyte",
        label: str = "./train-labels-idx1-ubyte",
        batch_size: int = 128,
        shuffle: bool = True,
        flat: bool = False,
        seed: int = 0,
        silent: bool = False,
        num_parts: int = 1,
        part_index: int = 0,
        *,
        input_shape: Any = None,
        data_name: str = "data",
        label_name: str = "softmax_label",
        prefetch_buffer: int = 4,
    ) -> None:
        whole_number("prefetch_buffer", prefetch_buffer)
        images, labels = _read(image, "images", 3), _read(label, "labels", 1)
        if len(images) != len(labels):
            raise MXNetError(f"{image} has {len(images)} images, {label} has {len(labels)} labels")
        part = _part(
            len(images), whole_number("num_parts", num_parts), whole_number("part_index", part_index)
        )
        images, labels = images[part], labels[part]
        if len(images) < batch_size_of(batch_size):
            raise MXNetError(
                f"{len(images)} images do not fill a batch of {batch_size}; make batch_size smaller"
            )
        images = images.reshape(len(images), -1) if flag("flat", flat) else images[:, np.newaxis]
        if input_shape is not None and shape_of("input_shape", input_shape) != images.shape[1:]:
            raise MXNetError(f"input_shape is {input_shape}, but an image has shape {images.shape[1:]}")
        if flag("shuffle", shuffle):
            order = np.random.default_rng(whole_number("seed", seed)).permutation(len(images))
            images, labels = images[order], labels[order]
        super().__init__(images, labels, batch_size, (data_name, label_name), whole=True)
        if not flag("silent", silent):
            shape = self.provide_data[0].shape
            logging.info("MNISTIter: %d images, shuffle=%d, shape=%s", len(images), shuffle, shape)

    def getdata(self) -> NDArray:
        """The images of this batch, between 0 and 255/256."""
        images = super().getdata()
        images *= 1 / 256
        return images

    def _convert(self, rows: np.ndarray) -> NDArray:
        return array(rows, dtype=np.float32)


def _read(path: str, what: str, axes: int) -> np.ndarray:
    try:
        found = read_idx(Path(path))
    except BadFile as bad:
        raise MXNetError(f"{bad}{'; ' + bad.hint if bad.hint else ''}") from None
    if found.ndim != axes or found.dtype != np.uint8:
        raise MXNetError(
            f"{path} holds no {what}: it has {found.dtype} of shape {found.shape}, not bytes with {axes} axes"
        )
    return found


def _part(samples: int, parts: int, number: int) -> slice:
    if parts < 1 or not 0 <= number < parts:
        raise MXNetError(f"part_index is {number} and num_parts {parts}; give a part from 0 to num_parts - 1")
    return slice(samples * number // parts, samples * (number + 1) // parts)

"""Files of samples that are read one after the other, as one stream of batches."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import numpy as np

from netdef.data import codes
from netdef.data.ahead import ITEMS
from netdef.data.arrays import read_npy, read_npz_array
from netdef.data.transform import Transformer
from netdef.diag import Diagnostic, EnvironmentFault, Error, Findings, did_you_mean, whole_file
from netdef.ops.shapes import Full, show
from netdef.source import BadFile, npy_header, npz_headers
from netdef.spec.layers.base import Layer
from netdef.spec.layers.data import FileData, TransformationParameter


class SampleFile(NamedTuple):
    """An array (samples, sample...) of a .npy file or, with a key, of a .npz file."""

    path: str
    key: str
    shape: Full

    def read(self) -> np.ndarray:
        """The array, mapped into memory where the file allows it; raises `BadFile`."""
        path = Path(self.path)
        return read_npz_array(path, self.key) if self.key else read_npy(path)


class Batch(NamedTuple):
    """Transformed samples and where they come from; the array is used again two batches later."""

    array: np.ndarray
    #: for each sample its file, and its number there
    places: list[tuple[str, int]]


def open_samples(paths: Sequence[str], key: str | None, blob: str, findings: Findings) -> list[SampleFile]:
    """The arrays of samples in files, from their headers; what cannot be used becomes a finding.

    `key` names the array of .npz files; without it that is the one called `blob`, or the only one.  Raises
    `EnvironmentFault` for a file that is not there.
    """
    files = []
    for path in paths:
        if not os.path.exists(path):
            raise EnvironmentFault(f"{path}: there is no such file")
        try:
            file = _open(path, key, blob)
            if len(file.shape) < 1 or not all(file.shape):
                what = f"is {show(file.shape)}" if file.shape else "is one number"
                raise BadFile(f"the array {what}: it holds no samples", "store one row for each sample")
            files.append(file)
        except BadFile as bad:
            findings.add(codes.UNREADABLE_DATA, whole_file(path), str(bad), bad.hint)
    return files


def _open(path: str, key: str | None, blob: str) -> SampleFile:
    if not path.endswith(".npz"):
        return SampleFile(path, "", npy_header(Path(path)).shape)
    headers = npz_headers(Path(path))
    if not headers:
        raise BadFile("the file holds no array", "store samples with numpy.savez")
    chosen = key or (blob if blob in headers else next(iter(headers)))
    if key is None and blob not in headers and len(headers) > 1:
        raise BadFile(f"which of its arrays holds the samples? There are {', '.join(headers)}", "give --key")
    if chosen not in headers:
        hint = did_you_mean(chosen, headers) or f"there are {', '.join(headers)}"
        raise BadFile(f"there is no array {chosen}", hint)
    return SampleFile(path, chosen, headers[chosen].shape)


def fitting(
    files: Sequence[SampleFile], layer: Layer, blob: str, expected: Full | None, findings: Findings
) -> Full | None:
    """The shape of a sample of all files, transformed as the layer does it; files of another become findings.

    `expected` is the shape that the net takes; None where it says nothing, and then the first file decides.
    """
    for file in files:
        shape, refused = _transformed(layer, file.shape[1:])
        if not refused:
            expected = expected or shape
        if refused or shape != expected:
            told = f"its samples are {show(shape)}, but {blob} takes {show(expected)}"
            hint = "store one sample after another along the first axis"
            if refused:
                told, hint = refused[0].message, refused[0].hint
            if _transformed(layer, file.shape)[0] == expected:
                hint = "it is one sample: give the array a first axis, array[None]"
            findings.add(codes.INPUT_DOES_NOT_FIT, whole_file(file.path), told, hint)
    return expected


def _transformed(layer: Layer, sample: Full) -> tuple[Full | None, list[Diagnostic]]:
    """The shape of a sample once the layer has transformed it, and why it cannot."""
    findings = Findings()
    shape = layer.transformed(sample, findings) if isinstance(layer, FileData) else sample
    return shape, findings.errors


def transformer_of(layer: Layer) -> Transformer:
    """What the layer does with samples when it does not train; an Input layer leaves them as they are."""
    parameter = layer.transform_param if isinstance(layer, FileData) else TransformationParameter()
    return Transformer(parameter, train=False)


def read_batches(
    files: Sequence[SampleFile], layer: Layer, sample: Full, size: int, dtype: str
) -> Iterator[Batch]:
    """The samples of all files in batches of `size`, the last one of what is left, in memory that is reused.

    Raises `Error` for a file that cannot be read, and for samples that are not finite.
    """
    transformer = transformer_of(layer)
    memory = cycle([np.empty((size, *sample), dtype) for _ in range(ITEMS)])
    target = next(memory)
    places: list[tuple[str, int]] = []
    for file in files:
        array = _read(file)
        done = 0
        while done < len(array):
            start, count = len(places), min(size - len(places), len(array) - done)
            raw = array[done : done + count]
            _require_finite(file, raw, done)
            transformer.write(raw, target[start : start + count], None)
            places += [(file.path, number) for number in range(done, done + count)]
            done += count
            if len(places) == size:
                yield Batch(target, places)
                target, places = next(memory), []
    if places:
        yield Batch(target[: len(places)], places)


def _read(file: SampleFile) -> np.ndarray:
    try:
        return file.read()
    except BadFile as bad:
        raise Error([Diagnostic(codes.UNREADABLE_DATA, whole_file(file.path), str(bad), bad.hint)]) from None


def _require_finite(file: SampleFile, raw: np.ndarray, first: int) -> None:
    if raw.dtype.kind != "f" or np.isfinite(raw).all():
        return
    place = tuple(np.argwhere(~np.isfinite(raw))[0].tolist())
    where = f" at index {place[1:]}" if place[1:] else ""
    told = f"sample {first + place[0]} holds {raw[place]}{where}"
    raise Error([Diagnostic(codes.NOT_FINITE, whole_file(file.path), told, "remove or replace such samples")])

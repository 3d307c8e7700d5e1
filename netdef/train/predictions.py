"""Files of predictions: arrays with a row for each sample, or a JSON line for each."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from typing import IO

import numpy as np

from netdef.train.predict import Predicted, Row


def write_npz(file: IO[bytes], predicted: Iterator[Predicted], samples: int, rows: Mapping[str, Row]) -> None:
    """An array (samples, row...) for each output; all of them are in memory at the end."""
    arrays = {blob: np.empty((samples, *row.shape), row.dtype) for blob, row in rows.items()}
    done = 0
    for some in predicted:
        for blob, values in some.outputs.items():
            arrays[blob][done : done + len(values)] = values
        done += len(some.places)
    # numpy.savez takes no array that is called `file`, as a blob may be.
    with zipfile.ZipFile(file, "w") as archive:
        for blob, array in arrays.items():
            with archive.open(f"{blob}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def write_npy(file: IO[bytes], predicted: Iterator[Predicted], samples: int, rows: Mapping[str, Row]) -> None:
    """The array (samples, row...) of the one output, written batch by batch."""
    ((blob, row),) = rows.items()
    descr = np.lib.format.dtype_to_descr(np.dtype(row.dtype))
    header = {"descr": descr, "fortran_order": False, "shape": (samples, *row.shape)}
    np.lib.format.write_array_header_1_0(file, header)
    for some in predicted:
        file.write(some.outputs[blob].tobytes())


def json_lines(predicted: Iterator[Predicted]) -> Iterator[str]:
    """For each sample its file, its number there and its row of every output."""
    for some in predicted:
        rows = {blob: value.tolist() for blob, value in some.outputs.items()}
        for number, (path, sample) in enumerate(some.places):
            named = {blob: values[number] for blob, values in rows.items()}
            yield json.dumps({"file": path, "sample": sample, "outputs": named})

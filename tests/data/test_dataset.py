"""Files of arrays: order in memory, and how often they are read."""

import gzip
import struct

import numpy as np
import pytest

from netdef.data import dataset
from netdef.data.arrays import read_idx, read_npy, read_npz, read_npz_array
from netdef.data.dataset import Library
from netdef.diag import Findings
from netdef.spec.layers.data import (
    ArrayData,
    ArrayDataParameter,
    IdxData,
    IdxDataParameter,
    TransformationParameter,
)

IMAGES = np.random.default_rng(0).normal(size=(6, 2, 3, 4))


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<i2", "u1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_have_c_order_and_native_bytes(tmp_path, dtype, order):
    """However a file stores them; the values are those that were stored."""
    stored = np.asarray(IMAGES, dtype, order=order)
    np.save(tmp_path / "a.npy", stored)
    np.savez(tmp_path / "a.npz", a=stored)

    for array in (read_npy(tmp_path / "a.npy"), read_npz(tmp_path / "a.npz")["a"]):
        assert array.flags.c_contiguous
        assert array.dtype.isnative
        np.testing.assert_array_equal(array, stored)


def test_a_mapped_file_that_is_in_order_is_not_copied(tmp_path):
    """Samples are read when they are needed."""
    np.save(tmp_path / "a.npy", IMAGES)
    array = read_npy(tmp_path / "a.npy")
    bases = [array]
    while bases[-1].base is not None and isinstance(bases[-1].base, np.ndarray):
        bases.append(bases[-1].base)

    assert any(isinstance(base, np.memmap) for base in bases)


def test_a_scalar_stays_a_scalar(tmp_path):
    """An array without axes has none after reading, either."""
    np.savez(tmp_path / "a.npz", a=np.float32(3))

    assert read_npz(tmp_path / "a.npz")["a"].shape == ()


@pytest.fixture
def count_reads(monkeypatch):
    """How often each array is read."""
    counts = {}
    for reader in (read_npy, read_npz_array, read_idx):

        def counted(path, *key, reader=reader):
            which = (path.name, *key)
            counts[which] = counts.get(which, 0) + 1
            return reader(path, *key)

        monkeypatch.setattr(dataset, reader.__name__, counted)
    return counts


def test_an_array_is_read_once_for_all_layers(tmp_path, count_reads):
    """Of every kind, also for the nets of two phases."""
    np.save(tmp_path / "a.npy", IMAGES)
    np.savez(tmp_path / "b.npz", data=IMAGES, label=np.zeros(6))
    images = np.arange(18, dtype=np.uint8)
    (tmp_path / "c.gz").write_bytes(gzip.compress(struct.pack(">I3I", 0x803, 2, 3, 3) + images.tobytes()))

    def array_data(source):
        block = ArrayDataParameter(source=[str(tmp_path / source)], batch_size=2)
        return ArrayData(
            name="d", type="ArrayData", top=["data"], transform_param=plain, array_data_param=block
        )

    plain = TransformationParameter()
    block = IdxDataParameter(source=str(tmp_path / "c.gz"), batch_size=2)
    layers = [
        array_data("a.npy"),
        array_data("b.npz"),
        IdxData(name="d", type="IdxData", top=["data"], transform_param=plain, idx_data_param=block),
    ]
    library, findings = Library(), Findings()
    for _ in range(2):
        a, b, c = (library.open(layer, findings).arrays[0] for layer in layers)

    assert count_reads == {("a.npy",): 1, ("b.npz", "data"): 1, ("c.gz",): 1}
    np.testing.assert_array_equal(a, IMAGES)
    np.testing.assert_array_equal(b, IMAGES)
    np.testing.assert_array_equal(c, images.reshape(2, 1, 3, 3))

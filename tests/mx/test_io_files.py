"""Iterators over files; orders, pads and indexes are those that MXNet 1.9.1 gave."""

import gzip
import logging
import os
import struct

import numpy as np
import pytest

import netdef as mx

ROWS = "".join(f"{i},{i + 0.5},{2 * i}\n" for i in range(5))


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder for files, that names are relative to; call it to write one."""
    monkeypatch.chdir(tmp_path)

    def write(name, content):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return name

    return write


def epoch(iterator):
    """The numbers of the rows of every batch and its pad; then reset."""
    batches = [(batch.index.tolist(), batch.pad) for batch in iterator]
    iterator.reset()
    return batches


# -- CSVIter --


def test_rows_become_samples(files):
    """In the shape that is asked for, with the labels of their rows, as float32."""
    iterator = mx.io.CSVIter(
        files("d.csv", ROWS), (3, 1), files("l.csv", "0\n10\n20\n30\n40\n"), batch_size=2, data_name="x"
    )
    batch = iterator.next()

    assert batch.data[0].asnumpy().tolist() == [[[0.0], [0.5], [0.0]], [[1.0], [1.5], [2.0]]]
    assert batch.label[0].asnumpy().tolist() == [0.0, 10.0]
    assert batch.index.dtype == np.uint64
    descriptions = iterator.provide_data + iterator.provide_label
    assert [(d.name, d.shape, d.dtype) for d in descriptions] == [
        ("x", (2, 3, 1), np.float32),
        ("softmax_label", (2,), np.float32),
    ]
    assert iterator.getdata().shape == (2, 3, 1)


def test_labels_may_have_a_shape_or_be_missing(files):
    """Without a file they are 0."""
    name = files("d.csv", ROWS)
    with_labels = mx.io.CSVIter(name, 3, name, label_shape=(3,), batch_size=2)

    assert with_labels.provide_label == [("softmax_label", (2, 3))]
    assert with_labels.next().label[0].asnumpy().tolist() == [[0.0, 0.5, 0.0], [1.0, 1.5, 2.0]]
    assert mx.io.CSVIter(name, (3,), batch_size=2).next().label[0].asnumpy().tolist() == [0.0, 0.0]


def test_a_round_batch_takes_the_first_rows_and_the_next_epoch_goes_on_after_them(files):
    """Three epochs of MXNet."""
    iterator = mx.io.CSVIter(files("d.csv", ROWS), (3,), batch_size=4)

    assert epoch(iterator) == [([0, 1, 2, 3], 0), ([4, 0, 1, 2], 3)]
    assert epoch(iterator) == [([3, 4, 0, 1], 2)]
    assert epoch(iterator) == [([2, 3, 4, 0], 1)]
    assert epoch(iterator) == [([1, 2, 3, 4], 0)]
    assert epoch(iterator) == [([0, 1, 2, 3], 0), ([4, 0, 1, 2], 3)]


def test_a_round_batch_may_hold_all_rows_more_than_once(files):
    """The epoch after it goes on within the rows."""
    iterator = mx.io.CSVIter(files("d.csv", ROWS), (3,), batch_size=7)

    assert epoch(iterator) == [([0, 1, 2, 3, 4, 0, 1], 2)]
    assert epoch(iterator) == [([2, 3, 4, 0, 1, 2, 3], 4)]
    assert epoch(iterator) == [([4, 0, 1, 2, 3, 4, 0], 6)]
    assert epoch(iterator) == [([1, 2, 3, 4, 0, 1, 2], 3)]


def test_without_round_batch_places_keep_what_they_had(files):
    """Every epoch begins with the first row."""
    iterator = mx.io.CSVIter(files("d.csv", ROWS), (3,), batch_size=3, round_batch=False)
    expected = [([0, 1, 2], 0), ([3, 4, 2], 1)]

    assert [epoch(iterator), epoch(iterator)] == [expected, expected]


def test_reset_in_the_middle_begins_at_the_first_row(files):
    """Nothing was filled up yet."""
    iterator = mx.io.CSVIter(files("d.csv", ROWS), (3,), batch_size=2)
    iterator.next()
    iterator.reset()

    assert iterator.next().index.tolist() == [0, 1]


def test_forms_of_a_csv_file(files):
    """Spaces, blank lines, commas at the end, other ends of lines, none at the last, a byte order mark."""
    text = "\ufeff 1, 2 ,3,\r\n\r\n1e3,+5,.5\r\n\nnan,inf,-inf"
    rows = mx.io.CSVIter(files("d.csv", text), (3,), batch_size=3).next().data[0].asnumpy()

    expected = [[1, 2, 3], [1000, 5, 0.5], [np.nan, np.inf, -np.inf]]
    assert np.array_equal(rows, np.array(expected, np.float32), equal_nan=True)


def test_whole_numbers_are_kept_exactly(files):
    """float32 could not hold 2**24 + 1."""
    for dtype in ("int32", np.int64):
        batch = mx.io.CSVIter(files("d.csv", "16777217,-2\n"), (2,), batch_size=1, dtype=dtype).next()
        assert batch.data[0].asnumpy().tolist() == [[16777217, -2]]
        assert batch.data[0].dtype == batch.label[0].dtype == np.dtype(dtype)


def test_a_folder_stands_for_its_files(files, tmp_path):
    """In the order of their names."""
    (tmp_path / "parts").mkdir()
    files("parts/b.csv", "3\n")
    files("parts/a.csv", "1\n2\n")

    batch = mx.io.CSVIter("parts", (1,), batch_size=3).next()
    assert batch.data[0].asnumpy().tolist() == [[1.0], [2.0], [3.0]]


@pytest.mark.parametrize(
    ("text", "dtype", "message"),
    [
        ("1,2\n\n3,x\n", None, "d.csv, line 3: 'x' is not a number"),
        ("1,2\n3\n", None, r"d.csv, line 2: 1 numbers, but the shape \(2,\) has 2"),
        ("1,2,3\n", None, "d.csv, line 1: 3 numbers"),
        ("1,,2\n", None, "line 1: 3 numbers"),
        ("1, ,\n", None, "line 1: '' is not a number"),
        ("a,b\n1,2\n", None, "line 1: 'a' is not a number"),
        ("1,1_0\n", None, "line 1: '1_0' is not a number"),
        ("nan,1e39\n", None, "line 1: 1e39 does not fit in float32"),
        ("1,0.5\n", "int32", "line 1: '0.5' is not a whole number"),
        ("1,2147483648\n", "int32", "line 1: 2147483648 does not fit in int32"),
        ("1,9223372036854775808\n", "int64", "line 1: 9223372036854775808 does not fit in int64"),
        ("", None, "d.csv holds no rows"),
        ("\n\n", None, "d.csv holds no rows"),
        (b"\xff\n", None, "d.csv cannot be read"),
        ("1,2\n", "float64", "dtype float64 is not for CSVIter; legal: float32, int32, int64"),
    ],
)
def test_bad_rows_name_file_and_line(files, text, dtype, message):
    """And what is wrong with them."""
    with pytest.raises(mx.MXNetError, match=message):
        mx.io.CSVIter(files("d.csv", text), (2,), batch_size=1, dtype=dtype)


def test_other_wrong_arguments_of_csviter(files, tmp_path):
    """Files that are none, labels of another number, impossible sizes."""
    name = files("d.csv", ROWS)
    for arguments, message in (
        (("nowhere.csv", (3,)), "nowhere.csv does not exist"),
        ((name, (3,), files("l.csv", "1\n2\n")), "d.csv has 5 rows, l.csv has 2"),
    ):
        with pytest.raises(mx.MXNetError, match=message):
            mx.io.CSVIter(*arguments, batch_size=1)
    with pytest.raises(ValueError, match="batch_size is 0"):
        mx.io.CSVIter(name, (3,), batch_size=0)
    with pytest.raises(ValueError, match=r"data_shape is \(3, 0\)"):
        mx.io.CSVIter(name, (3, 0), batch_size=1)
    with pytest.raises(TypeError, match="round_batch must be True or False"):
        mx.io.CSVIter(name, (3,), batch_size=1, round_batch="maybe")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_without_waiting(tmp_path):
    """Nobody may ever write to it."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(mx.MXNetError, match="pipe is not a regular file"):
        mx.io.CSVIter(str(tmp_path / "pipe"), (1,), batch_size=1)


# -- LibSVMIter --


def test_libsvm_rows_become_dense(files):
    """MXNet's own example; the last batch goes around."""
    text = "1.0 0:0.5 2:1.2\n-2.0\n-3.0 0:0.6 1:2.4 2:1.2\n4 2:-1.2\n"
    iterator = mx.io.LibSVMIter(files("d.t", text), (3,), batch_size=3)
    first, second = list(iterator)

    expected = np.array([[0.5, 0, 1.2], [0, 0, 0], [0.6, 2.4, 1.2]], np.float32)
    assert np.array_equal(first.data[0].asnumpy(), expected)
    assert first.label[0].asnumpy().tolist() == [1, -2, -3]
    assert (second.label[0].asnumpy().tolist(), second.pad) == ([4, 1, -2], 2)


def test_libsvm_labels_of_their_own(files):
    """Rows of a second file, whose own labels do not count."""
    labels = files("l.t", "9 1:2\n9 0:1\n")
    iterator = mx.io.LibSVMIter(files("d.t", "1 0:1\n2 1:1\n"), (2,), labels, (2,), batch_size=2)

    assert iterator.next().label[0].asnumpy().tolist() == [[0, 2], [1, 0]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 0:1 3:1", "from 0 to at most 2"),
        ("1 1:1 0:1", "must grow"),
        ("1 -1:1", "from 0"),
        ("1 0", "'0' is not of the form position:value"),
        ("1 0:x", "'x' is not a number"),
        ("x 0:1", "'x' is not a number"),
        ("1 0.5:1", "'0.5' is not a whole number"),
    ],
)
def test_bad_libsvm_rows_name_file_and_line(files, line, message):
    """And what is wrong with them."""
    with pytest.raises(mx.MXNetError, match=f"d.t, line 2: .*{message}"):
        mx.io.LibSVMIter(files("d.t", f"1 0:1\n{line}\n"), (3,), batch_size=1)


# -- MNISTIter --


@pytest.fixture
def mnist(files):
    """The names of 7 images of 2 x 3 whose bytes count up, and of their labels 0 to 6."""
    images = files("im", struct.pack(">IIII", 2051, 7, 2, 3) + bytes(range(42)))
    labels = files("la", struct.pack(">II", 2049, 7) + bytes(range(7)))
    return images, labels


def test_images_are_scaled_and_have_a_channel(mnist):
    """A byte is divided by 256; images that do not fill a batch are left out, in every epoch."""
    iterator = mx.io.MNISTIter(*mnist, batch_size=3, shuffle=False, silent=True)
    pixels = np.arange(42, dtype=np.float32).reshape(7, 1, 2, 3) / 256

    for _ in range(2):
        batches = list(iterator)
        iterator.reset()
        assert len(batches) == 2
        for number, batch in enumerate(batches):
            part = slice(3 * number, 3 * number + 3)
            assert np.array_equal(batch.data[0].asnumpy(), pixels[part])
            assert batch.label[0].asnumpy().tolist() == list(range(7))[part]
            assert batch.pad == 0
    assert [(d.name, d.shape, d.dtype) for d in iterator.provide_data] == [("data", (3, 1, 2, 3), np.float32)]


def test_flat_images_from_packed_files(mnist, files):
    """Gzipped files are read as they are."""
    packed = []
    for name in mnist:
        with open(name, "rb") as file:
            packed.append(files(f"{name}.gz", gzip.compress(file.read())))
    iterator = mx.io.MNISTIter(*packed, batch_size=7, shuffle=False, flat=True, input_shape=(6,))

    assert np.array_equal(iterator.next().data[0].asnumpy(), np.arange(42.0).reshape(7, 6) / 256)


def test_parts_of_the_images(mnist):
    """Of nearly the same size, without overlap: MXNet's bounds."""

    def labels(number):
        iterator = mx.io.MNISTIter(*mnist, batch_size=1, shuffle=False, num_parts=3, part_index=number)
        return [int(batch.label[0].asscalar()) for batch in iterator]

    assert [labels(0), labels(1), labels(2)] == [[0, 1], [2, 3], [4, 5, 6]]


def test_shuffled_images_keep_their_labels(mnist):
    """The seed determines the order, which every epoch has."""

    def labels(seed):
        iterator = mx.io.MNISTIter(*mnist, batch_size=7, flat=True, seed=seed)
        first, again = [], []
        for found in (first, again):
            batch = iterator.next()
            iterator.reset()
            found += batch.label[0].asnumpy().tolist()
            assert np.array_equal(batch.data[0].asnumpy()[:, 0] * 256, 6 * batch.label[0].asnumpy())
        assert first == again
        return first

    assert labels(1) == labels(1) != labels(2)
    assert sorted(labels(1)) == list(range(7))


def test_what_was_read_is_logged(mnist, caplog):
    """Unless it should be silent."""
    caplog.set_level(logging.INFO)
    mx.io.MNISTIter(*mnist, batch_size=3, silent=True)
    assert not caplog.messages
    mx.io.MNISTIter(*mnist, batch_size=3)
    assert caplog.messages == ["MNISTIter: 7 images, shuffle=1, shape=(3, 1, 2, 3)"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image": "nowhere"}, "there is no file nowhere"),
        ({"image": "la", "label": "im"}, r"la holds no images: it has uint8 of shape \(7,\)"),
        ({"label": "la5"}, "im has 7 images, la5 has 5 labels"),
        ({"label": "short"}, "announces 7 bytes of data and holds only 2"),
        ({"batch_size": 8}, "7 images do not fill a batch of 8"),
        ({"num_parts": 2, "part_index": 2}, "part_index is 2 and num_parts 2"),
        ({"input_shape": (1, 28, 28)}, r"input_shape is \(1, 28, 28\), but an image has shape \(1, 2, 3\)"),
    ],
)
def test_wrong_mnist_files_and_options(mnist, files, options, message):
    """Are refused, naming the file."""
    files("la5", struct.pack(">II", 2049, 5) + bytes(5))
    files("short", struct.pack(">II", 2049, 7) + bytes(2))
    given = {"image": mnist[0], "label": mnist[1], "batch_size": 3, **options}
    with pytest.raises(mx.MXNetError, match=message):
        mx.io.MNISTIter(**given)

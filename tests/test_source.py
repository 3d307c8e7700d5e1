"""Reading files within limits, and headers of array files without numpy, which only writes the files here."""

import contextlib
import gzip
import io
import os
import socket
import struct
import sys
import zipfile

import numpy as np
import pytest

from netdef import source
from netdef.diag import Diagnostic, EnvironmentFault, Error, Findings, NumericFault, Span, exit_status
from netdef.source import (
    BadFile,
    idx_header,
    npy_header,
    npz_header,
    npz_headers,
    read_bytes,
    read_text_lines,
)
from netdef.spec import text_codes
from netdef.train import codes as train_codes

# --- files ---


def refused(path, limit=2**24):
    """The one finding about a file that cannot be read."""
    findings = Findings()
    assert read_bytes(str(path), findings, limit) is None
    (finding,) = findings
    assert finding.code.exit_code == 3
    assert finding.hint
    assert exit_status(findings) == 3
    return finding


def test_a_file_is_read_up_to_the_limit(tmp_path):
    """The limit itself is legal, one byte more is not."""
    path = tmp_path / "net.yaml"
    path.write_bytes(b"x" * 2**20)
    findings = Findings()

    assert read_bytes(str(path), findings, 2**20) == b"x" * 2**20
    assert not len(findings)
    path.write_bytes(b"x" * (2**20 + 1))
    finding = refused(path, 2**20)
    assert finding.code.id == "ND013"
    assert "more than 1 MiB" in finding.message
    assert str(finding.span) == str(path)


def test_standard_input(monkeypatch):
    """`-` is standard input, which findings call <stdin>."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a: 1\n")))
    assert read_bytes("-", Findings()) == b"a: 1\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"x" * 11)))
    assert str(refused("-", 10).span) == "<stdin>"
    monkeypatch.setattr(sys, "stdin", None)
    assert refused("-").code.id == "ND011"


def test_a_missing_file_names_its_neighbour(tmp_path):
    """A near name in the same folder is a hint; so is a folder that is missing too."""
    (tmp_path / "lenet.yaml").write_text("a: 1")

    finding = refused(tmp_path / "lnet.yaml")
    assert finding.code.id == "ND010"
    assert "lenet.yaml" in finding.hint
    assert "no folder" in refused(tmp_path / "there" / "lenet.yaml").hint
    assert refused(tmp_path / "lenet.yaml" / "x").code.id == "ND010"


def test_a_folder_is_no_file(tmp_path):
    """The finding says what it is."""
    finding = refused(tmp_path)
    assert (finding.code.id, finding.message) == ("ND012", "this is a folder, not a file")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_without_waiting(tmp_path):
    """Nobody ever writes into this one."""
    path = tmp_path / "pipe"
    os.mkfifo(path)

    assert "named pipe" in refused(path).message
    assert "give -" in refused(path).hint
    with pytest.raises(BadFile, match="named pipe"):
        npy_header(path)


def test_devices_and_sockets_are_refused(tmp_path, monkeypatch):
    """Nothing is read from them."""
    if os.path.exists("/dev/zero"):
        assert "character device" in refused("/dev/zero").message
    if hasattr(socket, "AF_UNIX"):
        monkeypatch.chdir(tmp_path)  # the name of a socket may not be long
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket")
            assert refused("socket").code.id in ("ND011", "ND012")


def test_names_that_are_none():
    """NUL, far too long, and half a surrogate pair are findings."""
    assert refused("a\0b").code.id == "ND011"
    assert refused("x" * 5000).code.id == "ND011"
    str(refused("\ud800" if sys.platform != "darwin" else "a\0b"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path):
    """The system's words are part of the message."""
    path = tmp_path / "net.yaml"
    path.write_text("a: 1")
    path.chmod(0)

    finding = refused(path)
    assert finding.code.id == "ND011"
    assert "Permission" in finding.message


def test_lines_for_showing(tmp_path):
    """Never a finding; an option is its own line; bad bytes are replaced."""
    path = tmp_path / "net.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: \xff\n")

    assert read_text_lines(str(path)) == ["a: 1", "b: \ufffd"]
    assert read_text_lines(str(tmp_path / "missing")) == []
    assert read_text_lines("<stdin>") == []
    assert read_text_lines("--set a=1") == ["--set a=1"]


# --- exit codes ---


def diagnostic(code):
    return Diagnostic(code, Span("x", 1, 1, 1, 2), "m")


def test_files_alone_end_with_3_and_findings_with_1(tmp_path):
    """As soon as the spec is at fault as well, the status is 1; without errors it is 0."""
    findings = Findings()
    assert exit_status(findings) == 0
    findings.raise_errors()
    read_bytes(str(tmp_path / "missing"), findings)
    with pytest.raises(EnvironmentFault):
        findings.raise_errors()
    findings.extend([diagnostic(text_codes.SYNTAX)])
    assert exit_status(findings) == 1
    with pytest.raises(Error) as caught:
        findings.raise_errors()
    assert type(caught.value) is Error
    assert len(caught.value.diagnostics) == 2


def test_numbers_that_are_not_finite_end_with_4():
    """A code's exit code chooses the exception."""
    findings = Findings()
    findings.extend([diagnostic(train_codes.LOSS_NOT_FINITE)])

    assert exit_status(findings) == 4
    with pytest.raises(NumericFault):
        findings.raise_errors()


# --- .npy ---


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i8", "|u1", "|b1", "<f2", ">u2"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3, 4), (0, 5)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_headers_are_what_numpy_wrote(tmp_path, dtype, shape, order):
    """Shape, dtype and order of every kind of number."""
    path = tmp_path / "x.npy"
    array = np.zeros(shape, dtype, order)
    np.save(path, array)
    header = npy_header(path)

    assert header.shape == shape
    assert np.dtype(header.dtype) == array.dtype
    assert header.bytes == array.nbytes
    assert header.fortran == (order == "F" and array.ndim > 1 and not array.flags.c_contiguous)


def test_npy_headers_of_version_2_and_3(tmp_path):
    """The length has four bytes there."""
    for version in ((2, 0), (3, 0)):
        path = tmp_path / "x.npy"
        with path.open("wb") as file:
            np.lib.format.write_array(file, np.zeros((4, 5)), version)
        assert npy_header(path).shape == (4, 5)


def npy(header, data=b"", version=1, length=None):
    """The bytes of a .npy file with any header text."""
    size = len(header) if length is None else length
    return (
        b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", size) + header + data
    )


GOOD = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n"


@pytest.mark.parametrize(
    "header",
    [
        GOOD,
        GOOD.rstrip(),
        b'  {"shape": (2, 3), "descr": "<f4", "fortran_order": False}  ',
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3,), }",
        b"{'descr':'<f4','fortran_order':False,'shape':(2,3)}",
    ],
)
def test_headers_that_numpy_would_write_otherwise(tmp_path, header):
    """Any spelling of the same literal is the same header."""
    path = tmp_path / "x.npy"
    path.write_bytes(npy(header, bytes(24)))
    assert npy_header(path) == ((2, 3), "<f4", False)


BAD_NPY = {
    "number for shape": (npy(GOOD.replace(b"(2, 3)", b"(6)"), bytes(99)), "shape or order"),
    "no Python number": (npy(GOOD.replace(b"(2, 3)", b"(02, 3)"), bytes(99)), "header is damaged"),
    "endless number": (npy(GOOD.replace(b"(2, 3)", b"(%s,)" % (b"9" * 5000))), "header is damaged"),
    "empty": (b"", "no .npy array"),
    "other": (b"PK\x03\x04" * 9, "no .npy array"),
    "magic alone": (b"\x93NUMPY", "cut short"),
    "version": (npy(GOOD, bytes(24), 9), "unknown version"),
    "cut header": (npy(GOOD, length=200), "cut short"),
    "long header": (npy(b" " * 10_001), "10001 bytes"),
    "huge header": (npy(GOOD, version=2, length=2**32 - 1), "more than 10000"),
    "cut data": (npy(GOOD, bytes(23)), "announces 24 bytes of data and holds only 23"),
    "code": (npy(b"__import__('os').system('true')"), "header is damaged"),
    "warning": (npy(b"{'descr': '\\d', 'shape': 0x1for x}"), "header is damaged"),
    "list": (npy(b"[1, 2]"), "header is damaged"),
    "missing": (npy(b"{'descr': '<f4', 'shape': (1,)}"), "header is damaged"),
    "brackets": (npy(b"(" * 9000), "header is damaged"),
    "minuses": (npy(b"-" * 9000 + b"1"), "header is damaged"),
    "not utf-8": (npy(b"{'\xff'}"), "header is damaged"),
    "objects": (npy(GOOD.replace(b"<f4", b"|O"), bytes(99)), "holds |O, not numbers"),
    "texts": (npy(GOOD.replace(b"<f4", b"<U4"), bytes(99)), "holds <U4, not numbers"),
    "complex": (npy(GOOD.replace(b"<f4", b"<c8"), bytes(99)), "holds <c8, not numbers"),
    "records": (npy(GOOD.replace(b"'<f4'", b"[('a', '<f4')]"), bytes(99)), "holds records, not numbers"),
    "negative": (npy(GOOD.replace(b"(2, 3)", b"(2, -3)"), bytes(99)), "shape or order"),
    "float size": (npy(GOOD.replace(b"(2, 3)", b"(2, 3.0)"), bytes(99)), "shape or order"),
    "bool size": (npy(GOOD.replace(b"(2, 3)", b"(2, True)"), bytes(99)), "shape or order"),
    "shape": (npy(GOOD.replace(b"(2, 3)", b"[2, 3]"), bytes(99)), "shape or order"),
    "order": (npy(GOOD.replace(b"False", b"0"), bytes(99)), "shape or order"),
    "overflow": (npy(GOOD.replace(b"(2, 3)", b"(0, 2147483648, 4294967296)")), "shape or order"),
    "terabytes": (
        npy(GOOD.replace(b"(2, 3)", b"(1000000, 1000000)"), bytes(99)),
        "announces 4000000000000 bytes",
    ),
}


@pytest.mark.parametrize("case", BAD_NPY)
def test_bad_npy_files_are_refused_before_anything_is_allocated(tmp_path, case):
    """With a message and a hint, in a file of its own as well as inside an archive."""
    content, words = BAD_NPY[case]
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    with pytest.raises(BadFile) as caught:
        npy_header(path)
    assert words in str(caught.value)
    assert str(caught.value).startswith("x.npy")
    assert caught.value.hint

    archive = tmp_path / "x.npz"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.npy", content)
    with pytest.raises(BadFile) as caught:
        npz_headers(archive)
    assert words in str(caught.value)
    assert "x.npz, array 'a'" in str(caught.value)


def test_missing_array_files(tmp_path):
    """For every kind of file, with the path in the message."""
    for header in (npy_header, npz_headers, idx_header):
        with pytest.raises(BadFile, match=r"there is no file .*none"):
            header(tmp_path / "none")
        with pytest.raises(BadFile, match="a folder"):
            header(tmp_path)


# --- .npz ---


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_headers_are_what_numpy_wrote(tmp_path, save):
    """Every array by its name, dots and all."""
    path = tmp_path / "x.npz"
    save(path, **{"data": np.zeros((3, 4), "f4"), "a.b": np.arange(5), "empty": np.zeros(0)})
    headers = npz_headers(path)

    assert {name: (header.shape, np.dtype(header.dtype)) for name, header in headers.items()} == {
        "data": ((3, 4), np.dtype("f4")),
        "a.b": ((5,), np.dtype("i8")),
        "empty": ((0,), np.dtype("f8")),
    }


def archive(path, *names):
    """A .npz with members of any name."""
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, npy(GOOD, bytes(24)))
    return path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("run.py", "no array"),
        ("folder/", "no array"),
    ],
)
def test_members_that_are_no_arrays(tmp_path, name, words):
    """Such a file is not one that numpy wrote."""
    with pytest.raises(BadFile, match=words):
        npz_headers(archive(tmp_path / "x.npz", name))


@pytest.mark.parametrize("name", ["inception_3a/1x1/0", "/0", "../0", "a/../0", "c:x/0", " /0"])
def test_any_name_is_only_a_key(tmp_path, name):
    """Layers are called inception_3a/1x1, or worse; nothing is ever unpacked into files of such names."""
    assert list(npz_headers(archive(tmp_path / "x.npz", f"{name}.npy"))) == [name]


def test_one_array_does_not_depend_on_the_others(tmp_path):
    """Texts, objects and other files beside it are nobody's business."""
    path = tmp_path / "x.npz"
    np.savez(path, data=np.zeros((3, 4), "f4"), names=np.array(["a", "b"]), objects=np.array([{}], object))

    assert npz_header(path, "data").shape == (3, 4)
    assert npz_headers(path, ["data"]) == {"data": npz_header(path, "data")}
    with pytest.raises(BadFile, match="no array ''"):
        npz_headers(path, ["data", ""])
    with pytest.raises(BadFile, match="array 'names' holds <U1"):
        npz_header(path, "names")
    with pytest.raises(BadFile, match="no array 'dta'") as refused:
        npz_header(path, "dta")
    assert "data" in refused.value.hint


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate_members(tmp_path):
    """Which of the two is meant nobody knows."""
    with pytest.raises(BadFile, match="two arrays named 'a'"):
        npz_headers(archive(tmp_path / "x.npz", "a.npy", "a.npy"))


def patched(path, replace):
    """The archive with its bytes changed."""
    path.write_bytes(replace(path.read_bytes()))
    return path


def directory_entry(data):
    """Where the first entry of the central directory starts."""
    return data.index(b"PK\x01\x02")


def test_encrypted_members(tmp_path):
    """The flag alone is enough to refuse."""

    def encrypt(data):
        at = directory_entry(data)
        return data[: at + 8] + b"\x01" + data[at + 9 :]

    with pytest.raises(BadFile, match="encrypted"):
        npz_headers(patched(archive(tmp_path / "x.npz", "a.npy"), encrypt))


def test_a_bomb_is_refused_by_what_it_announces(tmp_path, monkeypatch):
    """Large and more than 100 times what is stored: refused before it is unpacked (here 1 MiB is large)."""
    monkeypatch.setattr(source, "_UNPACKED", 2**20)
    path = tmp_path / "x.npz"
    np.savez_compressed(path, small=np.zeros(2**16), noise=np.random.default_rng(0).random(2**18))
    assert set(npz_headers(path)) == {"small", "noise"}
    np.savez_compressed(path, large=np.zeros(2**18))

    with pytest.raises(BadFile, match=r"'large' announces 2097280 bytes in \d{4} stored ones"):
        npz_headers(path)


def test_damaged_archives(tmp_path):
    """Cut anywhere, or with any byte changed, an archive is read or refused, nothing else."""
    path = tmp_path / "x.npz"
    np.savez_compressed(path, a=np.arange(10), b=np.zeros((2, 2)))
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(BadFile):
            npz_headers(path)
    for index in range(len(whole)):
        path.write_bytes(whole[:index] + bytes([whole[index] ^ 0xFF]) + whole[index + 1 :])
        with contextlib.suppress(BadFile):
            npz_headers(path)


# --- idx ---


def idx(kind, *sizes, data=b""):
    """The bytes of an idx file."""
    return bytes([0, 0, kind, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes) + data


@pytest.mark.parametrize(
    ("kind", "dtype"), [(8, "u1"), (9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")]
)
@pytest.mark.parametrize("zipped", [False, True])
def test_idx_headers(tmp_path, kind, dtype, zipped):
    """Every type of the format, gzipped or not."""
    values = np.arange(24).reshape(2, 3, 4).astype(dtype)
    content = idx(kind, 2, 3, 4, data=values.tobytes())
    path = tmp_path / "x-idx3"
    path.write_bytes(gzip.compress(content) if zipped else content)
    header = idx_header(path)

    assert header.shape == (2, 3, 4)
    assert np.dtype(header.dtype) == np.dtype(dtype)
    assert header.gzipped == zipped
    assert header.bytes == values.nbytes
    assert content[header.offset :] == values.tobytes()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "begins with nothing"),
        (b"\x00\x00", "no idx file: it begins with 00 00"),
        (b"\x93NUMPY", "no idx file: it begins with 93 4e 55 4d"),
        (idx(7, 1), "no idx file"),
        (idx(8), "no idx file"),
        (idx(8, 2, 3)[:9], "header is cut short"),
        (idx(8, 2, 3, data=bytes(5)), "announces 6 bytes of data and holds only 5"),
        (idx(8, 2, 3), "holds only 0"),
        (idx(14, 2**32 - 1, 2**32 - 1, 2), "shape 4294967295x4294967295x2 is damaged"),
        (gzip.compress(idx(8, 2, 3))[:10], "damaged"),
        (gzip.compress(idx(8, 2, 3)[:7]), "header is cut short"),
        (b"\x1f\x8b" + bytes(30), "damaged"),
        (gzip.compress(idx(8, 2**31, 4)), "announces 8589934592 bytes"),
    ],
)
def test_bad_idx_files(tmp_path, content, words):
    """Wrong magic, cut short, damaged, or announcing far more than is stored."""
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(BadFile) as caught:
        idx_header(path)

    assert words in str(caught.value)
    assert caught.value.hint

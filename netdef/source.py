"""Reading files within limits: texts, and what the headers of array files say.

Nothing here loads numpy, so that `netdef lint` can compare a net with its data; the data package checks every
header with the same functions before it lets numpy read.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import gzip
import math
import os
import re
import stat
import struct
import sys
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from netdef.diag import Code, Findings, did_you_mean, whole_file

MIB = 2**20
#: the most bytes that a spec file may have
SPEC_LIMIT = 16 * MIB
#: how standard input is called in findings
STDIN = "<stdin>"

_FILES = "the file system; a spec cannot hold itself"

MISSING = Code(
    "ND010",
    "file-missing",
    exit_code=3,
    what="A file that was named does not exist.",
    why="There is nothing to read.",
    shown_by=_FILES,
    ignore="Never: mend the path.",
)

UNREADABLE = Code(
    "ND011",
    "file-unreadable",
    exit_code=3,
    what="A file exists, but the system refuses to read it: permissions, an impossible name, a disk error.",
    why="There is nothing to read.",
    shown_by=_FILES,
    ignore="Never: change the file's permissions, or copy it to where you may read it.",
)

IRREGULAR = Code(
    "ND012",
    "not-a-regular-file",
    exit_code=3,
    what="A path leads to a folder, a named pipe, a socket or a device.",
    why="Reading such a thing may never end, or change it.",
    shown_by=_FILES,
    ignore="Never: name a file, or give - and the text on standard input.",
)

TOO_LARGE = Code(
    "ND013",
    "file-too-large",
    exit_code=3,
    what="A spec has more than 16 MiB.",
    why="A net of 100,000 layers has less; most often the file is no spec at all.",
    shown_by=_FILES,
    ignore="Never: name the spec, and keep arrays in files of their own.",
)

#: open without waiting for the writer of a pipe and without taking a terminal over, if there are such flags
_FLAGS = os.O_RDONLY
for _flag in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY", "O_CLOEXEC"):
    _FLAGS |= getattr(os, _flag, 0)

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)


def display_name(path: str) -> str:
    """How findings call a file; `-` is standard input."""
    return STDIN if path == "-" else path


def read_bytes(path: str, findings: Findings, limit: int = SPEC_LIMIT) -> bytes | None:
    """The content of a regular file, or of standard input for `-`; None, with a finding, if there is none.

    `limit` is the most bytes that it may have.  A named pipe or a device is refused without waiting for it.
    """
    span = whole_file(display_name(path))
    try:
        data = _read_stdin(limit) if path == "-" else _read_regular(path, limit)
    except (FileNotFoundError, NotADirectoryError):
        findings.add(MISSING, span, "there is no such file", _similar(path))
    except _Irregular as thing:
        hint = "give - to read standard input" if thing.kind == "a named pipe" else "give a file"
        findings.add(IRREGULAR, span, f"this is {thing.kind}, not a file", hint)
    except OSError as error:
        message = f"the file cannot be read: {error.strerror or error}"
        findings.add(UNREADABLE, span, message, "look at its permissions")
    except ValueError:
        span = whole_file(repr(path))
        findings.add(UNREADABLE, span, "this is no legal file name", "give a path without NUL")
    else:
        if len(data) <= limit:
            return data
        hint = "is it a spec? arrays belong into files of their own"
        findings.add(TOO_LARGE, span, f"the file has more than {limit // MIB} MiB", hint)
    return None


def read_text_lines(path: str, limit: int = SPEC_LIMIT) -> list[str]:
    """The lines of a text for showing them; empty where it cannot be read, never a finding or an exception.

    The place of a value given by `--set` names that option as its file, which then is its only line.
    """
    if path.startswith("--set "):
        return [path]
    if path == STDIN:
        return []
    data = read_bytes(path, Findings(), limit)
    return [] if data is None else data.decode("utf-8-sig", "replace").splitlines()


class _Irregular(Exception):
    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def _read_stdin(limit: int) -> bytes:
    if sys.stdin is None:
        raise OSError("standard input is closed")
    return sys.stdin.buffer.read(limit + 1)


def _read_regular(path: str | Path, limit: int) -> bytes:
    with _open(path) as file:
        return file.read(limit + 1)


def _open(path: str | Path) -> IO[bytes]:
    """A regular file, opened without waiting for a writer; raises `_Irregular`, `OSError` or `ValueError`."""
    if os.name == "nt" and os.path.isdir(path):
        raise _Irregular("a folder")  # Windows opens none: it would say that permission is denied
    descriptor = os.open(path, _FLAGS)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise _Irregular(next((kind for test, kind in _KINDS if test(mode)), "a special file"))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _similar(path: str) -> str:
    """A hint that names a neighbour with nearly the same name."""
    folder, name = os.path.split(path)
    try:
        names = os.listdir(folder or ".")
    except (OSError, ValueError):
        return f"there is no folder {folder} either"
    if name in names:
        return "it is a link to a file that does not exist"
    near = difflib.get_close_matches(name, names[:1000], n=1, cutoff=0.75)
    return f"did you mean {os.path.join(folder, near[0])}?" if near else "look at the path"


# --- headers of array files ---

_SIZE = r"(?:0|[1-9]\d*)"
#: the header of an array of numbers as numpy itself writes it
_AS_NUMPY = re.compile(
    r"[{]'descr': '([<>|=]?[biuf](?:1|2|4|8|16))', 'fortran_order': (True|False), "
    rf"'shape': \((|{_SIZE},|{_SIZE}(?:, {_SIZE})+)\), [}}] *\n?".encode()
)
#: numpy refuses longer headers too, since parsing them may exhaust the interpreter
_HEADER_LIMIT = 10_000
#: an archive member is refused where it announces more bytes than this and `_RATIO` times what is stored
_UNPACKED, _RATIO = 4 * 2**30, 100
_AGAIN = "write or download it again"

#: what reading a damaged archive raises
_DAMAGE = (zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, struct.error, UnicodeError)

#: idx type byte -> dtype (http://yann.lecun.com/exdb/mnist)
_IDX_TYPES = {0x08: "|u1", 0x09: "|i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


class BadFile(ValueError):
    """A data file that cannot be used.  The text says what is wrong, `hint` what to do."""

    def __init__(self, message: str, hint: str = _AGAIN) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class ArrayHeader(NamedTuple):
    """What is stored: shape, dtype as numpy writes it (`<f4`), and whether the first axis varies fastest."""

    shape: tuple[int, ...]
    dtype: str
    fortran: bool = False

    @property
    def bytes(self) -> int:
        """The size of the data."""
        return math.prod(self.shape) * int(self.dtype[2:])


class IdxHeader(NamedTuple):
    """What an idx file holds: shape, dtype, where the data start, and whether all of it is gzipped."""

    shape: tuple[int, ...]
    dtype: str
    offset: int
    gzipped: bool

    @property
    def bytes(self) -> int:
        """The size of the data."""
        return ArrayHeader(self.shape, self.dtype).bytes


def npy_header(path: Path) -> ArrayHeader:
    """The header of a .npy file, whose data are all there; raises `BadFile`."""
    with _opened(path) as file:
        return _parse_npy(file, path.name, os.fstat(file.fileno()).st_size)


def npz_headers(path: Path, keys: Sequence[str] = ()) -> dict[str, ArrayHeader]:
    """The header of every array of a .npz file, or of those in `keys`, by name; raises `BadFile`."""
    with _archive(path) as archive:
        members = _members(archive, path.name)
        for key in keys:
            if key not in members:
                raise BadFile(f"{path.name} has no array {key!r}", did_you_mean(key, members))
        # Nothing else is unpacked.
        return {name: _member_header(archive, members[name], path.name) for name in keys or members}


def npz_header(path: Path, key: str) -> ArrayHeader:
    """The header of one array of a .npz file, whatever the others are; raises `BadFile`."""
    return npz_headers(path, [key])[key]


@contextlib.contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """A .npz file; what zipfile raises inside `with` becomes `BadFile`."""
    with _opened(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                yield archive
        except zipfile.BadZipFile:
            raise BadFile(f"{path.name} is no .npz archive, or is cut short") from None
        except _DAMAGE as error:
            raise BadFile(f"{path.name} is damaged: {error}") from None


def _members(archive: zipfile.ZipFile, file_name: str) -> dict[str, zipfile.ZipInfo]:
    """The members of an archive by the names that numpy gives them."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name in members:
            raise BadFile(f"{file_name} holds two arrays named {_quoted(name)}")
        members[name] = member
    return members


def _member_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo, file_name: str) -> ArrayHeader:
    name = f"{file_name}, array {_quoted(member.filename.removesuffix('.npy'))}"
    if not member.filename.endswith(".npy"):
        message = f"{file_name} holds {_quoted(member.filename)}, which is no array"
        raise BadFile(message, "write it with numpy.savez")
    if member.flag_bits & 0x1:
        raise BadFile(f"{name} is encrypted", "write it without a password")
    _refuse_bomb(name, member.file_size, member.compress_size)
    with archive.open(member) as file:
        return _parse_npy(file, name, member.file_size)


def _parse_npy(file: IO[bytes], name: str, size: int) -> ArrayHeader:
    """The header at the start of a stream of `size` bytes (numpy's format 1.0, 2.0 and 3.0)."""
    start = file.read(12)
    if start[:6] != b"\x93NUMPY":
        raise BadFile(f"{name} is no .npy array", "write it with numpy.save or numpy.savez")
    if len(start) < 12 or start[6] not in (1, 2, 3):
        raise BadFile(f"{name}: the header is cut short or of an unknown version")
    wide = start[6] > 1
    length = struct.unpack("<I", start[8:12])[0] if wide else struct.unpack("<H", start[8:10])[0]
    if length > _HEADER_LIMIT:
        raise BadFile(f"{name}: the header has {length} bytes, more than {_HEADER_LIMIT}")
    begin = 12 if wide else 10
    text = start[begin:] + file.read(length - (12 - begin))
    if len(text) != length:
        raise BadFile(f"{name}: the header is cut short")
    header = _header_of(text, name)
    held = size - begin - length
    if held < header.bytes:
        raise BadFile(f"{name} announces {header.bytes} bytes of data and holds only {held}")
    return header


def _header_of(text: bytes, name: str) -> ArrayHeader:
    """The dictionary of a .npy header, read as a literal: no code is run."""
    try:
        if written := _AS_NUMPY.fullmatch(text):  # compiling a literal takes as long as all else here
            descr, fortran = written[1].decode(), written[2] == b"True"
            shape = tuple(map(int, re.findall(rb"\d+", written[3])))
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a damaged header must not print Python's remarks about it
                fields = ast.literal_eval(text.decode("utf-8").strip())
            descr, fortran, shape = fields["descr"], fields["fortran_order"], fields["shape"]
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError):
        raise BadFile(f"{name}: the header is damaged") from None
    if not isinstance(descr, str) or not re.fullmatch(r"[<>|=]?[biuf](1|2|4|8|16)", descr):
        told = descr if isinstance(descr, str) and len(descr) < 20 else "records"
        hint = "store numbers or bools; Python objects are never read"
        raise BadFile(f"{name} holds {told}, not numbers", hint)
    if not isinstance(fortran, bool) or not _is_shape(shape):
        raise BadFile(f"{name}: the header's shape or order is damaged")
    return ArrayHeader(shape, descr if descr[0] in "<>|=" else "=" + descr, fortran)


def _is_shape(shape: Any) -> bool:
    """Whole numbers that are not negative and whose product fits in 63 bits (with room for the item size)."""
    if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape):
        return False
    product: int = math.prod(size for size in shape if size)
    return product < 2**59


def idx_header(path: Path) -> IdxHeader:
    """The header of an idx file, gzipped or not (the format of MNIST); raises `BadFile`.

    A file that is not gzipped must hold all of its data; what a gzipped one holds only unpacking can tell.
    """
    with _opened(path) as file:
        gzipped = file.read(2) == b"\x1f\x8b"
        stored = os.fstat(file.fileno()).st_size
        file.seek(0)
        try:
            stream: IO[bytes] | gzip.GzipFile = gzip.GzipFile(fileobj=file) if gzipped else file
            start = stream.read(4)
            if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _IDX_TYPES or not start[3]:
                message = f"{path.name} is no idx file: it begins with {start.hex(' ') or 'nothing'}"
                raise BadFile(message, "give an idx file as MNIST has them")
            sizes = stream.read(4 * start[3])
        except (OSError, EOFError, zlib.error) as error:
            raise BadFile(f"{path.name} is damaged: {error}") from None
    if len(sizes) < 4 * start[3]:
        raise BadFile(f"{path.name}: the header is cut short")
    shape = struct.unpack(f">{start[3]}I", sizes)
    if not _is_shape(shape):
        raise BadFile(f"{path.name}: the header's shape {'x'.join(map(str, shape))} is damaged")
    header = IdxHeader(shape, _IDX_TYPES[start[2]], 4 + 4 * start[3], gzipped)
    if gzipped:
        _refuse_bomb(path.name, header.bytes, stored)
    elif stored < header.offset + header.bytes:
        told = f"announces {header.bytes} bytes of data and holds only {max(stored - header.offset, 0)}"
        raise BadFile(f"{path.name} {told}")
    return header


def _refuse_bomb(name: str, unpacked: int, stored: int) -> None:
    if unpacked > _UNPACKED and unpacked > _RATIO * stored:
        message = f"{name} announces {unpacked} bytes in {stored} stored ones"
        raise BadFile(message, "do not trust this file, or store it uncompressed")


def _opened(path: Path) -> IO[bytes]:
    try:
        return _open(path)
    except (FileNotFoundError, NotADirectoryError):
        raise BadFile(f"there is no file {path}", _similar(str(path))) from None
    except _Irregular as thing:
        raise BadFile(f"{path} is {thing.kind}, not a file", "give a file") from None
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
        raise BadFile(message, "look at its permissions") from None
    except ValueError:
        raise BadFile(f"{str(path)!r} is no legal file name", "give a path without NUL") from None


def _quoted(name: str) -> str:
    """A name of a foreign file, printable and short."""
    return repr(name[:60])

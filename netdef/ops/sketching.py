"""Count sketches and Fourier transforms: the parts of compact bilinear pooling (Gao et al. 2016)."""

from __future__ import annotations

import math
from typing import Any

from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Hint, Int
from netdef.ops.gather import any_index_type, legal, places, scatter_add, take
from netdef.ops.shapes import ShapeError, Shapes, Types, prod, show

_SUB_BATCH = "how much MXNet's GPU kernel takes at a time"


class Fourier(Op, abstract=True):
    """A discrete Fourier transform along the last axis, complex numbers as pairs (real, imaginary)."""

    compute_size = Hint(_SUB_BATCH)

    allocates = "numpy's Fourier transforms have no out before numpy 2"

    def flops(self, s: Shapes) -> int:
        length = max(s.full("data")[-1], 2)
        return round(5 * (prod(s.full("data")) or 0) * math.log2(length))

    def merge_pairs(self, s: Shapes, single: str, pairs: str) -> None:
        """Learn that one tensor has a pair where the other has a number."""
        known = s.rank(single, 1, "a last axis")
        if known is not None:
            wide = None if known[-1] is None else 2 * known[-1]
            s.merge(pairs, (*known[:-1], wide), f"{single} is {show(known)}, two numbers for each of its")
        known = s.rank(pairs, 1, "a last axis")
        if known is not None:
            if known[-1] is not None and known[-1] % 2:
                raise ShapeError(f"{pairs} is {show(known)}, but its last axis holds pairs", tensor=pairs)
            s.merge(single, (*known[:-1], None if known[-1] is None else known[-1] // 2))

    @staticmethod
    def split(xp: Any, numbers: Any, pairs: Any) -> None:
        """Write the spectrum of real numbers as pairs."""
        spectrum = xp.fft.fft(numbers, axis=-1)
        xp.copyto(pairs[..., 0::2], spectrum.real, casting="same_kind")
        xp.copyto(pairs[..., 1::2], spectrum.imag, casting="same_kind")

    @staticmethod
    def join(xp: Any, pairs: Any, numbers: Any) -> None:
        """Write the real part of the inverse transform of pairs, not divided by the length."""
        signal = xp.fft.ifft(pairs[..., 0::2] + 1j * pairs[..., 1::2], axis=-1).real
        xp.multiply(signal, numbers.shape[-1], out=numbers, casting="same_kind")


class FFT(Fourier):
    """The spectrum of real numbers: data (N..., d) -> output (N..., 2d).

    The last axis of the output holds real and imaginary parts in turn.  MXNet's contrib.fft.
    """

    names = ("_contrib_fft",)
    examples = (({}, {"data": (4, 5)}), ({}, {"data": (4, 2, 3, 4)}), ({}, {"data": (4, 1)}))

    def shape(self, s: Shapes) -> None:
        self.merge_pairs(s, "data", "output")

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        self.split(xp, data, output)

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        self.join(xp, doutput, ddata)


class IFFT(Fourier):
    """The real part of the inverse transform, times d: data (N..., 2d) -> output (N..., d).

    The last axis of data holds real and imaginary parts in turn.  As in MXNet, the sum is not divided by d,
    so ifft(fft(x)) is d x.  MXNet's contrib.ifft.
    """

    names = ("_contrib_ifft",)
    examples = (({}, {"data": (4, 10)}), ({}, {"data": (4, 2, 3, 8)}), ({}, {"data": (4, 2)}))

    def shape(self, s: Shapes) -> None:
        self.merge_pairs(s, "output", "data")

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        self.join(xp, data, output)

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        self.split(xp, doutput, ddata)


class CountSketch(Op):
    """Elements added up in a shorter vector, each with a sign: data, h, s -> output.

    data (N..., d), output (N..., out_dim), h and s (1, d): element i of a vector is multiplied by s[i] and
    added to place h[i], a whole number from 0 to out_dim - 1.  h and s get no gradient.  Charikar et al.
    2002.  MXNet's contrib.count_sketch.
    """

    out_dim = Int(help="the length of each sketch", min=1)
    processing_batch_size = Hint(_SUB_BATCH)

    names = ("_contrib_count_sketch",)
    inputs = ("data", "h", "s")
    scratch = ("index", "place", "ramp", "signed")
    work = 2
    examples = (
        ({"out_dim": 3}, {"data": (4, 5)}),
        ({"out_dim": 8}, {"data": (4, 2, 2, 3)}),
    )

    def shape(self, s: Shapes) -> None:
        s.same("h", "s")
        data = s.rank("data", 2, "a batch of vectors")
        s.merge("h", (1, data[-1] if data else None), f"data is {show(data)}: one for each element")
        s.same("h", "s")
        if data is not None:
            s.merge("data", (*data[:-1], (s["h"] or ())[-1]))
            s.merge("output", (*data[:-1], self.out_dim), f"data is {show(data)} and out_dim {self.out_dim}")
        if output := s["output"]:
            s.merge("output", (*output[:-1], self.out_dim), "out_dim says so", "out_dim")
            s.merge("data", (*output[:-1], None))

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.same("data", "s", "output")
        any_index_type(t, "h", "data")

    def flops(self, s: Shapes) -> int:
        return self.work * (prod(s.full("data")) or 0)

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        data = s.full("data")
        rows = prod(data[:-1]) or 0
        spaces = {"index": Workspace(data[-1:], "int64")}
        if not backward:
            spaces["place"] = Workspace((rows, data[-1], 1), "int64")
            spaces["ramp"] = Workspace((rows,), "int64")
            spaces["signed"] = Workspace(data)
        return spaces

    def forward(
        self,
        xp: Any,
        data: Any,
        h: Any,
        s: Any,
        output: Any,
        index: Any,
        place: Any,
        ramp: Any,
        signed: Any,
    ) -> None:
        legal(xp, h, self.out_dim, "raise", index)
        places(xp, index.reshape(1, -1, 1), self.out_dim, ramp, place)
        xp.multiply(data, s[0], out=signed)
        scatter_add(xp, signed, place, output)

    def backward(self, xp: Any, doutput: Any, h: Any, s: Any, ddata: Any, index: Any) -> None:
        legal(xp, h, self.out_dim, "raise", index)
        take(xp, doutput, index, -1, ddata)
        xp.multiply(ddata, s[0], out=ddata)

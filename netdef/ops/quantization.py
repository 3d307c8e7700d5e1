"""Numbers as small integers."""

from __future__ import annotations

from typing import Any, ClassVar

from netdef.ops.base import Op, Workspace
from netdef.ops.fields import DType, Enum, Float
from netdef.ops.shapes import Shapes, Types


def greatest(low: Any, high: Any) -> float:
    """The largest absolute value of a range."""
    return max(abs(float(low[0])), abs(float(high[0])))


def store(xp: Any, data: Any, factor: float, signed: bool, scaled: Any, out: Any) -> None:
    """Write data times a factor, rounded (halves to the even number) and brought within the type."""
    xp.multiply(data, factor, out=scaled, casting="same_kind")
    xp.rint(scaled, out=scaled)
    xp.clip(scaled, -128 if signed else 0, 127 if signed else 255, out=scaled)
    xp.copyto(out, scaled, casting="unsafe")


#: the greatest integers, by whether they have a sign
LEVELS = {True: 127, False: 255}


def share(levels: float, most: float) -> float:
    """What numbers up to `most` are multiplied by to reach `levels`; 0 where the range holds nothing else.

    There MXNet divides by zero and gives the greatest integer for every number.
    """
    return levels / most if most else 0.0


class Ranged(Op, abstract=True):
    """A conversion that knows the range of the numbers: min_range and max_range, (1,) each."""

    inputs = ("data", "min_range", "max_range")

    def merge_ranges(self, s: Shapes, *more: str) -> None:
        for name in ("min_range", "max_range", *more):
            s.merge(name, (1,), "it is one number")


class Quantize(Ranged):
    """Numbers as small integers: data, min_range, max_range -> output0 and its range, output1 and output2.

    output0 is data * L / m, rounded (halves to the even number) and brought within the type, with m the
    largest absolute value of the range; for uint8 L is 255 and the range stays as it is, for int8 L is 127
    and the range becomes -m to m.  No gradient passes.  MXNet's contrib.quantize as the CPU of 1.9.1 has it;
    its documentation says otherwise of uint8.
    """

    out_type = DType("int8", "uint8", default="uint8", help="the type of the integers")

    names = ("_contrib_quantize",)
    outputs = ("output0", "output1", "output2")
    visible = 3
    scratch = ("scaled",)
    work = 3
    examples = (({}, {"data": (4, 3)}), ({"out_type": "int8"}, {"data": (4, 3, 2)}))

    def shape(self, s: Shapes) -> None:
        s.same("data", "output0")
        self.merge_ranges(s, "output1", "output2")

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.same(*self.inputs, "output1", "output2")
        t.merge("output0", self.out_type)

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"scaled": Workspace(s.full("data"), "float32")}

    def forward(
        self,
        xp: Any,
        data: Any,
        min_range: Any,
        max_range: Any,
        output0: Any,
        output1: Any,
        output2: Any,
        scaled: Any,
    ) -> None:
        most = greatest(min_range, max_range)
        signed = self.out_type == "int8"
        store(xp, data, share(LEVELS[signed], most), signed, scaled, output0)
        output1[...] = -most if signed else min_range
        output2[...] = most if signed else max_range


class Calibrated(Op, abstract=True):
    """A conversion whose range is known from calibration, or found in the data."""

    out_type = Enum("auto", "int8", "uint8", default="int8", help="auto: uint8 for a known range from 0 on")
    min_calib_range = Float(None, "the least number, where it is known")
    max_calib_range = Float(None, "the greatest number, where it is known")

    outputs = ("output0", "output1", "output2")
    visible = 3
    scratch: ClassVar[tuple[str, ...]] = ("scaled",)
    work = 3

    def known(self) -> bool:
        """Whether both ends of the range are known."""
        return self.min_calib_range is not None and self.max_calib_range is not None

    def signed(self) -> bool:
        """Whether the integers are int8."""
        if self.out_type == "auto":
            return not (self.known() and self.min_calib_range >= 0)
        return self.out_type == "int8"

    def shape(self, s: Shapes) -> None:
        s.same("data", "output0")
        for name in self.outputs[1:]:
            s.merge(name, (1,), "it is one number")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"scaled": Workspace(s.full("data"), "float32")}


class QuantizeV2(Calibrated):
    """Numbers as small integers: data -> output0 and its range, output1 and output2, (1,) each.

    output0 is data * L / m, rounded (halves to the even number) and brought within the type, m the largest
    absolute value of the range.  For int8 L is 127.5, and the range becomes -m to m; for uint8 L is 255.5,
    and the range stays as it is.  No gradient passes.  MXNet's contrib.quantize_v2 as the CPU of 1.9.1 has
    it; its documentation has 127 and 255.
    """

    names = ("_contrib_quantize_v2",)
    examples = (
        ({}, {"data": (4, 3)}),
        ({"out_type": "uint8", "min_calib_range": -1, "max_calib_range": 2}, {"data": (4, 3)}),
        ({"out_type": "auto", "min_calib_range": 0, "max_calib_range": 2}, {"data": (4, 3, 2)}),
    )

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.floating("data")
        t.merge("output0", "int8" if self.signed() else "uint8")
        for name in self.outputs[1:]:
            t.merge(name, "float32")

    def forward(self, xp: Any, data: Any, output0: Any, output1: Any, output2: Any, scaled: Any) -> None:
        low, high = self.min_calib_range, self.max_calib_range
        if not self.known():
            low, high = float(data.min()), float(data.max())
        most = max(abs(low), abs(high))
        signed = self.signed()
        store(xp, data, share(LEVELS[signed] + 0.5, most), signed, scaled, output0)
        output1[...] = -most if signed else low
        output2[...] = most if signed else high


class Requantize(Ranged, Calibrated):
    """Integers of 32 bits as small ones: data, min_range, max_range -> output0, output1, output2.

    data * r / (2^31 - 1), r the largest absolute value of the range, is what data stand for.  output0 is that
    times L / m, rounded and brought within the type, m the largest absolute value there is, and L 127 for
    int8, 255 for uint8; output1 and output2, (1,) each, hold its range, -m to m or 0 to m.  No gradient
    passes.  MXNet's contrib.requantize as the CPU of 1.9.1 has it.
    """

    names = ("_contrib_requantize",)
    examples = (
        ({}, {"data": (4, 3)}),
        ({"min_calib_range": -1e-9, "max_calib_range": 2e-9}, {"data": (4, 3)}),
        ({"out_type": "uint8"}, {"data": (4, 3, 2)}),
    )

    def shape(self, s: Shapes) -> None:
        super().shape(s)
        self.merge_ranges(s)

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.merge("output0", "int8" if self.signed() else "uint8")
        for name in (*self.inputs[1:], *self.outputs[1:]):
            t.merge(name, "float32")

    def forward(
        self,
        xp: Any,
        data: Any,
        min_range: Any,
        max_range: Any,
        output0: Any,
        output1: Any,
        output2: Any,
        scaled: Any,
    ) -> None:
        unit = greatest(min_range, max_range) / (2**31 - 1)
        if self.known():
            most = max(abs(self.min_calib_range), abs(self.max_calib_range))
        else:
            most = max(abs(float(data.min())), abs(float(data.max()))) * unit
        signed = self.signed()
        store(xp, data, share(LEVELS[signed], most) * unit, signed, scaled, output0)
        output1[...] = -most if signed else 0
        output2[...] = most


class Dequantize(Ranged):
    """Small integers as numbers: data (uint8 or int8), min_range, max_range -> output of type float32.

    output is data * m / L, with m the largest absolute value of the range and L 255.5 for uint8, 127.5 for
    int8, which data of any other type count as.  No gradient passes.  MXNet's contrib.dequantize as the CPU
    of 1.9.1 has it; its documentation has 255 and 127, and another rule for uint8.
    """

    out_type = DType("float32", default="float32", help="the type of the numbers")

    names = ("_contrib_dequantize",)
    examples = (({}, {"data": (4, 3)}),)

    def shape(self, s: Shapes) -> None:
        s.same("data", "output")
        self.merge_ranges(s)

    def types(self, t: Types) -> None:  # type: ignore[override]
        for name in ("min_range", "max_range", "output"):
            t.merge(name, "float32")

    def forward(self, xp: Any, data: Any, min_range: Any, max_range: Any, output: Any) -> None:
        levels = 255.5 if data.dtype == "uint8" else 127.5
        xp.copyto(output, data, casting="unsafe")
        xp.multiply(output, greatest(min_range, max_range) / levels, out=output)

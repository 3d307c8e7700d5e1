"""Numbers as small integers."""

from __future__ import annotations

from typing import Any

from netdef.ops.base import Op, Workspace
from netdef.ops.fields import DType
from netdef.ops.shapes import Shapes, Types


def greatest(low: Any, high: Any) -> float:
    """The largest absolute value of a range."""
    return max(abs(float(low[0])), abs(float(high[0])))


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
        xp.multiply(data, (127 if signed else 255) / most, out=scaled, casting="same_kind")
        xp.rint(scaled, out=scaled)
        xp.clip(scaled, -128 if signed else 0, 127 if signed else 255, out=scaled)
        xp.copyto(output0, scaled, casting="unsafe")
        output1[...] = -most if signed else min_range
        output2[...] = most if signed else max_range


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

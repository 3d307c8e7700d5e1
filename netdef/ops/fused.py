"""Operators that inference puts together; no file knows them."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from netdef.ops.base import Cut
from netdef.ops.convolution import Convolution
from netdef.ops.epilogue import Epilogue
from netdef.ops.fields import Bool
from netdef.ops.shapes import Shapes


class FusedConvolution(Convolution, abstract=True):
    """Convolution, and what is done to every element of its output while that is in the cache.

    output = max(0, Convolution(data, weight, bias) + addend), of which `sums` and `rectifies` say which parts
    there are.  addend is like output.
    """

    sums = Bool(False, "whether an addend is added")
    rectifies = Bool(False, "whether what is below 0 becomes 0")

    inputs: ClassVar[tuple[str, ...]] = (*Convolution.inputs, "addend")
    batched: ClassVar[tuple[str, ...]] = (*Convolution.batched, "addend")
    inplace = (("addend", "output"),)

    def input_names(self) -> tuple[str, ...]:
        left_out = {"bias"} if self.no_bias else set()
        left_out |= set() if self.sums else {"addend"}
        return tuple(name for name in self.inputs if name not in left_out)

    def shape(self, s: Shapes) -> None:
        super().shape(s)
        if self.sums:
            s.same("addend", "output")

    def cuts(self, s: Shapes, backward: bool) -> tuple[Cut, ...]:
        """Those of a convolution; the addend is cut like the output."""
        return tuple(
            cut._replace(axes={**cut.axes, "addend": cut.axes["output"]})
            for cut in super().cuts(s, backward)
            if "output" in cut.axes
        )

    def flops(self, s: Shapes) -> int:
        return super().flops(s) + (self.sums + self.rectifies) * math.prod(s.full("output"))

    def forward(  # type: ignore[override]
        self,
        xp: Any,
        data: Any,
        weight: Any,
        bias: Any,
        addend: Any,
        output: Any,
        space: Any,
        filters: Any,
        prepared: Any,
        begin: int,
    ) -> None:
        epilogue = Epilogue(bias, addend, self.rectifies)
        self.correlate(xp, data, weight, epilogue, output, space, filters, prepared, begin)

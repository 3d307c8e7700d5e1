"""Operators that act in training only."""

from __future__ import annotations

from typing import Any

from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Dims, Enum, Float, Hint
from netdef.ops.foreign import As, Fixed, Lost
from netdef.ops.shapes import Shapes, Types


class Dropout(Op):
    """Set elements to zero at random, each with probability p, and scale the others by 1/(1-p).

    data -> output of the same shape; the hidden output `mask` holds the factor of each element, 0 or
    1/(1-p).  Along `axes` the mask has size 1: what lies there is kept or dropped together.  Outside training
    the output is the data.  With p = 1 everything is zero (Caffe accepts ratios 0 and 1).  Srivastava et al.
    2014; MXNet's and Caffe's Dropout.
    """

    p = Float(0.5, "the share of elements that is dropped", min=0, max=1)
    mode = Enum("training", "always", default="training", help="when elements are dropped")
    axes = Dims((), "axes along which all elements share one fate", min=0)
    cudnn_off = Hint()

    outputs = ("output", "mask")
    scratch = ("noise",)
    inplace = (("data", "output"), ("doutput", "ddata"), ("mask", "ddata"))
    onnx = (
        As(
            "Dropout",
            p=Lost("inference drops nothing"),
            mode=Fixed("training"),
            axes=Lost("inference drops nothing"),
            cudnn_off=Lost("advice"),
        ),
    )
    examples = (
        ({}, {"data": (40, 30)}),
        ({"p": 0.2, "mode": "always"}, {"data": (4, 3, 2)}),
        ({"p": 0}, {"data": (4, 3)}),
        ({"p": 1}, {"data": (4, 3)}),
        ({"axes": (0, 2)}, {"data": (4, 30, 2)}),
    )

    def shape(self, s: Shapes) -> None:
        s.same("data", "output")
        if (data := s["data"]) is not None:
            shared = [s.axis("data", axis, "axes") for axis in self.axes]
            s.merge("mask", tuple(1 if axis in shared else size for axis, size in enumerate(data)))

    def types(self, t: Types) -> None:  # type: ignore[override]
        super().types(t)
        t.floating("data")

    def _drops(self, train: bool) -> bool:
        return train or self.mode == "always"

    def view(self, train: bool) -> tuple[str, str] | None:
        return None if self._drops(train) else ("data", "output")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {} if backward else {"noise": Workspace(s.full("mask"), "float32")}

    def forward(
        self, xp: Any, train: bool, random: Any, data: Any, output: Any, mask: Any, noise: Any
    ) -> None:
        if not self._drops(train):
            xp.copyto(output, data)
            if mask is not None:
                mask.fill(1)
            return
        scale = 1 / (1 - self.p) if self.p < 1 else 1
        kept = noise if mask is None else mask
        random.random(dtype=xp.float32, out=noise)
        xp.greater_equal(noise, self.p, out=kept)
        if mask is None:
            # The scale has to be as exact as the data, which the noise need not be.
            xp.multiply(data, kept, out=output)
            xp.multiply(output, scale, out=output)
        else:
            xp.multiply(mask, scale, out=mask)
            xp.multiply(data, mask, out=output)

    def backward(self, xp: Any, doutput: Any, mask: Any, ddata: Any) -> None:
        xp.multiply(doutput, mask, out=ddata)

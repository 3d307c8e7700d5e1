"""The error function, its inverse and the gamma function of every element.

They are computed in double precision whatever the data are.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from netdef.ops import approximations
from netdef.ops.arrays import ordered
from netdef.ops.base import Op, Workspace
from netdef.ops.elementwise import Pairs, only_numbers
from netdef.ops.foreign import As
from netdef.ops.shapes import Shapes, Types


class Special(Op, abstract=True):
    """A function of every element that the array module lacks: data -> output of the same shape."""

    #: arrays of float64 for the result and for what the approximation needs
    arrays: ClassVar[int] = 6

    work = 40
    scratch = ("doubles", "mask")
    inplace: ClassVar[Pairs] = (("data", "output"), ("doutput", "ddata"), ("data", "ddata"))
    examples = (({}, {"data": (4, 3, 2)}),)

    def types(self, t: Types) -> None:  # type: ignore[override]
        super().types(t)
        only_numbers(t, "data")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        data = s.full("data")
        return {"doubles": Workspace((self.arrays, *data), "float64"), "mask": Workspace(data, "bool")}

    def compute(self, xp: Any, x: Any, spaces: Any, mask: Any) -> None:
        """Replace x by the function."""
        raise NotImplementedError

    def slope(self, xp: Any, x: Any, spaces: Any, mask: Any) -> None:
        """Replace x by the derivative."""
        raise NotImplementedError

    def forward(self, xp: Any, data: Any, output: Any, doubles: Any, mask: Any) -> None:
        x, *spaces = (ordered(space, data) for space in doubles)
        xp.copyto(x, data)
        self.compute(xp, x, spaces, ordered(mask, data))
        xp.copyto(output, x, casting="unsafe")

    def backward(self, xp: Any, doutput: Any, data: Any, ddata: Any, doubles: Any, mask: Any) -> None:
        x, *spaces = (ordered(space, data) for space in doubles)
        xp.copyto(x, data)
        self.slope(xp, x, spaces, ordered(mask, data))
        xp.multiply(doutput, x, out=ddata, casting="unsafe")


class Erf(Special):
    """The error function (Cody 1969)."""

    names = ("erf",)
    onnx = (As("Erf"),)

    def compute(self, xp: Any, x: Any, spaces: Any, mask: Any) -> None:
        approximations.erf(xp, x, spaces, mask)

    def slope(self, xp: Any, x: Any, spaces: Any, mask: Any) -> None:
        xp.multiply(x, x, out=x)
        xp.negative(x, out=x)
        xp.exp(x, out=x)
        xp.multiply(x, 2 / math.sqrt(math.pi), out=x)


class Erfinv(Special):
    """The inverse of the error function (Wichura 1988); infinite at -1 and 1, NaN beyond.

    Of whole numbers it is 0, since none stands for infinity and NaN.
    """

    names = ("erfinv",)

    def forward(self, xp: Any, data: Any, output: Any, doubles: Any, mask: Any) -> None:
        if output.dtype.kind == "f":
            super().forward(xp, data, output, doubles, mask)
        else:
            output.fill(0)

    def compute(self, xp: Any, x: Any, spaces: Any, mask: Any) -> None:
        approximations.erfinv(xp, x, spaces, mask)

    def slope(self, xp: Any, x: Any, spaces: Any, mask: Any) -> None:
        approximations.erfinv(xp, x, spaces, mask)
        xp.multiply(x, x, out=x)
        xp.exp(x, out=x)
        xp.multiply(x, math.sqrt(math.pi) / 2, out=x)


class Gamma(Special):
    """The gamma function (Cody 1989, Stirling); NaN at the negative whole numbers."""

    names = ("gamma", "_sparse_gamma")
    arrays = 7

    def compute(self, xp: Any, x: Any, spaces: Any, mask: Any) -> None:
        approximations.gamma(xp, x, spaces[1:], mask)

    def slope(self, xp: Any, x: Any, spaces: Any, mask: Any) -> None:
        value, *spaces = spaces
        xp.copyto(value, x)
        approximations.gamma(xp, value, spaces, mask)
        approximations.digamma(xp, x, spaces, mask)
        xp.multiply(x, value, out=x)


class Gammaln(Special):
    """The logarithm of the absolute value of the gamma function; infinite at its poles."""

    names = ("gammaln", "_sparse_gammaln")

    def compute(self, xp: Any, x: Any, spaces: Any, mask: Any) -> None:
        approximations.gammaln(xp, x, spaces, mask)

    def slope(self, xp: Any, x: Any, spaces: Any, mask: Any) -> None:
        approximations.digamma(xp, x, spaces, mask)

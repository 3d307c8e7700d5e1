"""Trigonometric and hyperbolic functions of every element, and their inverses."""

from __future__ import annotations

import math
from typing import Any

from netdef.ops.foreign import As
from netdef.ops.unary import FromData, FromOutput, Multiple


class Degrees(Multiple):
    """Radians as degrees."""

    names = ("degrees", "_sparse_degrees")
    factor = 180 / math.pi


class Radians(Multiple):
    """Degrees as radians."""

    names = ("radians", "_sparse_radians")
    factor = math.pi / 180


class Sin(FromData):
    """The sine."""

    names = ("sin", "_sparse_sin")
    onnx = (As("Sin"),)
    function = "sin"

    def slope(self, xp: Any, data: Any, work: Any) -> Any:
        xp.cos(data, out=work)
        return work


class Cos(FromData):
    """The cosine."""

    names = ("cos", "_sparse_cos")
    onnx = (As("Cos"),)
    function = "cos"

    def slope(self, xp: Any, data: Any, work: Any) -> Any:
        xp.sin(data, out=work)
        xp.negative(work, out=work)
        return work


class Tan(FromOutput):
    """The tangent."""

    names = ("tan", "_sparse_tan")
    onnx = (As("Tan"),)
    function = "tan"

    def slope(self, xp: Any, output: Any, work: Any) -> Any:
        xp.multiply(output, output, out=work)
        xp.add(work, 1, out=work)
        return work


class Arcsin(FromData):
    """The inverse of the sine; NaN outside -1 to 1."""

    names = ("arcsin", "_sparse_arcsin")
    onnx = (As("Asin"),)
    function = "arcsin"

    def slope(self, xp: Any, data: Any, work: Any) -> Any:
        xp.multiply(data, data, out=work)
        xp.subtract(1, work, out=work)
        xp.sqrt(work, out=work)
        xp.divide(1, work, out=work)
        return work


class Arccos(Arcsin):
    """The inverse of the cosine; NaN outside -1 to 1."""

    names = ("arccos", "_sparse_arccos")
    onnx = (As("Acos"),)
    function = "arccos"

    def slope(self, xp: Any, data: Any, work: Any) -> Any:
        xp.negative(super().slope(xp, data, work), out=work)
        return work


class Arctan(FromData):
    """The inverse of the tangent."""

    names = ("arctan", "_sparse_arctan")
    onnx = (As("Atan"),)
    function = "arctan"

    def slope(self, xp: Any, data: Any, work: Any) -> Any:
        xp.multiply(data, data, out=work)
        xp.add(work, 1, out=work)
        xp.divide(1, work, out=work)
        return work


class Sinh(FromData):
    """The hyperbolic sine."""

    names = ("sinh", "_sparse_sinh")
    onnx = (As("Sinh"),)
    function = "sinh"

    def slope(self, xp: Any, data: Any, work: Any) -> Any:
        xp.cosh(data, out=work)
        return work


class Cosh(FromData):
    """The hyperbolic cosine."""

    names = ("cosh", "_sparse_cosh")
    onnx = (As("Cosh"),)
    function = "cosh"

    def slope(self, xp: Any, data: Any, work: Any) -> Any:
        xp.sinh(data, out=work)
        return work


class Tanh(FromOutput):
    """The hyperbolic tangent."""

    names = ("tanh", "_sparse_tanh")
    onnx = (As("Tanh"),)
    function = "tanh"

    def slope(self, xp: Any, output: Any, work: Any) -> Any:
        xp.multiply(output, output, out=work)
        xp.subtract(1, work, out=work)
        return work


class Arcsinh(FromData):
    """The inverse of the hyperbolic sine."""

    names = ("arcsinh", "_sparse_arcsinh")
    onnx = (As("Asinh"),)
    function = "arcsinh"

    def slope(self, xp: Any, data: Any, work: Any) -> Any:
        xp.hypot(data, 1, out=work)
        xp.divide(1, work, out=work)
        return work


class Arccosh(FromData):
    """The inverse of the hyperbolic cosine; NaN below 1."""

    names = ("arccosh", "_sparse_arccosh")
    onnx = (As("Acosh"),)
    function = "arccosh"

    def slope(self, xp: Any, data: Any, work: Any) -> Any:
        xp.multiply(data, data, out=work)
        xp.subtract(work, 1, out=work)
        xp.sqrt(work, out=work)
        xp.divide(1, work, out=work)
        return work


class Arctanh(FromData):
    """The inverse of the hyperbolic tangent; infinite at -1 and 1, NaN beyond."""

    names = ("arctanh", "_sparse_arctanh")
    onnx = (As("Atanh"),)
    function = "arctanh"

    def slope(self, xp: Any, data: Any, work: Any) -> Any:
        xp.multiply(data, data, out=work)
        xp.subtract(1, work, out=work)
        xp.divide(1, work, out=work)
        return work

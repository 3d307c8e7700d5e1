"""Steps: functions of every element that are constant almost everywhere, so that no gradient passes."""

from __future__ import annotations

from typing import Any

from netdef.ops.base import Workspace
from netdef.ops.foreign import As
from netdef.ops.shapes import Shapes
from netdef.ops.unary import Unary


class Sign(Unary):
    """-1, 0 or 1; 0 for NaN."""

    names = ("sign", "_sparse_sign")
    value_works = True
    exact = True

    def value(self, xp: Any, data: Any, output: Any, work: Any) -> None:
        xp.greater(data, 0, out=work)
        xp.less(data, 0, out=output)
        xp.subtract(work, output, out=output)


class Floor(Unary):
    """The next whole number downwards."""

    names = ("floor", "_sparse_floor")
    onnx = (As("Floor"),)
    function = "floor"


class Ceil(Unary):
    """The next whole number upwards."""

    names = ("ceil", "_sparse_ceil")
    onnx = (As("Ceil"),)
    function = "ceil"


class Trunc(Unary):
    """The next whole number towards 0."""

    names = ("trunc", "_sparse_trunc")
    function = "trunc"


class Fix(Trunc):
    """The next whole number towards 0: another name of trunc that MXNet counts as an operator."""

    names = ("fix", "_sparse_fix")


class Round(Unary):
    """The nearest whole number; a half goes away from 0."""

    names = ("round", "_sparse_round")
    value_works = True

    def value(self, xp: Any, data: Any, output: Any, work: Any) -> None:
        xp.modf(data, out=(work, output))
        xp.multiply(work, 2, out=work)
        xp.trunc(work, out=work)
        xp.add(output, work, out=output)


class StraightThrough(Unary, abstract=True):
    """A step through which the gradient passes as if it were the identity (Bengio et al. 2013)."""

    inplace = (*Unary.inplace, ("doutput", "ddata"))

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {} if backward else super().workspaces(s, backward)

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        xp.copyto(ddata, doutput)


class RoundSte(StraightThrough, Round):
    """The nearest whole number; a half goes away from 0, and the gradient passes unchanged."""

    names = ("_contrib_round_ste", "_sparse__contrib_round_ste")


class SignSte(StraightThrough, Sign):
    """-1, 0 or 1; 0 for NaN, and the gradient passes unchanged."""

    names = ("_contrib_sign_ste", "_sparse__contrib_sign_ste")


class Rint(Unary):
    """The nearest whole number; a half goes downwards (MXNet's rule)."""

    names = ("rint", "_sparse_rint")
    value_works = True

    def value(self, xp: Any, data: Any, output: Any, work: Any) -> None:
        xp.floor(data, out=work)
        xp.subtract(data, work, out=output)
        xp.greater(output, 0.5, out=output)
        xp.add(output, work, out=output)


class LogicalNot(Unary):
    """1 where data is 0, 0 elsewhere."""

    names = ("logical_not",)
    function = "logical_not"
    exact = True

"""Densities of the laws that `netdef.ops.random` draws from, at given samples, with tensors of parameters.

Everything is computed from the logarithm of the density, in float64: sums and products of many elements stay
in range, and the slopes of the logarithm are simple.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from netdef.ops import approximations
from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Bool
from netdef.ops.shapes import Shape, ShapeError, Shapes, Types, show

#: arrays of the sample's shape that a kernel needs: those of `Room` but for the mask
_ARRAYS = 10


class Room(NamedTuple):
    """The sample and its parameters, in the sample's shape, and room for a result and for what it takes."""

    x: Any
    first: Any
    second: Any
    value: Any
    part: Any
    spare: Sequence[Any]
    mask: Any

    def gammaln(self, xp: Any) -> Any:
        """Replace `part` by the logarithm of its gamma function."""
        approximations.gammaln(xp, self.part, self.spare, self.mask)
        return self.part

    def digamma(self, xp: Any) -> Any:
        """Replace `part` by the derivative of the logarithm of its gamma function."""
        approximations.digamma(xp, self.part, self.spare, self.mask)
        return self.part


class Density(Op, abstract=True):
    """The density of each sample: sample (A..., S...) and parameters (A...) -> output (A..., S...).

    Samples outside a law's range get what its formula gives, as in MXNet.
    """

    is_log = Bool(False, "give the logarithm of the density")

    scratch = ("spaces", "mask")
    work = 40
    #: whether samples are counts, to which no gradient passes
    counts: ClassVar[bool] = False

    def shape(self, s: Shapes) -> None:
        s.same("sample", "output")
        s.same(*self.inputs[1:])
        first = self.inputs[1]
        self._merge_front(s, first, s["sample"], s[first])
        s.same("sample", "output")
        s.same(*self.inputs[1:])

    @staticmethod
    def _merge_front(s: Shapes, name: str, sample: Shape, parameter: Shape) -> None:
        """Learn that the parameter has the first axes of the sample."""
        if sample is None or parameter is None:
            return
        count = len(parameter)
        if count > len(sample):
            told = f"{name} is {show(parameter)}, but it must have the first axes of sample {show(sample)}"
            raise ShapeError(told, tensor=name)
        s.merge(name, sample[:count], f"sample is {show(sample)} and its first axes are those of {name}")
        s.merge("sample", (*(s[name] or ()), *sample[count:]))

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.same(*self.inputs, "output")
        t.floating("sample")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        shape = s.full("sample")
        return {"spaces": Workspace((_ARRAYS, *shape), "float64"), "mask": Workspace(shape, "bool")}

    def log_density(self, xp: Any, room: Room) -> None:
        """Write the logarithm of the density to `value`."""
        raise NotImplementedError

    def slope(self, xp: Any, room: Room, which: int) -> None:
        """Write its derivative by an input to `value`: 0 the sample, 1 and 2 the parameters."""
        raise NotImplementedError

    def _room(self, xp: Any, sample: Any, parameters: Sequence[Any], spaces: Any, mask: Any) -> Room:
        x, first, second, value, part, *spare = spaces
        xp.copyto(x, sample)
        for parameter, whole in zip(parameters, (first, second)):
            xp.copyto(whole, parameter.reshape(parameter.shape + (1,) * (x.ndim - parameter.ndim)))
        return Room(x, first, second, value, part, spare, mask)

    def _densities(
        self, xp: Any, sample: Any, parameters: Sequence[Any], output: Any, spaces: Any, mask: Any
    ) -> None:
        room = self._room(xp, sample, parameters, spaces, mask)
        self.log_density(xp, room)
        if not self.is_log:
            xp.exp(room.value, out=room.value)
        xp.copyto(output, room.value, casting="same_kind")

    def _slopes(
        self,
        xp: Any,
        tensors: Sequence[Any],
        output: Any,
        doutput: Any,
        gradients: Sequence[Any],
        spaces: Any,
        mask: Any,
    ) -> None:
        sample, *parameters = tensors
        room = self._room(xp, sample, parameters, spaces, mask)
        for which, gradient in enumerate(gradients):
            if gradient is None:
                continue
            if which == 0 and self.counts:
                gradient[...] = 0
                continue
            self.slope(xp, room, which)
            xp.multiply(room.value, doutput, out=room.value)
            if not self.is_log:
                xp.multiply(room.value, output, out=room.value)
            axes = tuple(range(gradient.ndim, sample.ndim))
            total = room.part[(...,) + (0,) * len(axes)]
            room.value.sum(axis=axes, out=total)
            xp.copyto(gradient, total, casting="same_kind")


class RandomPdfUniform(Density):
    """1 / (high - low): sample (A..., S...), low, high (A...) -> output (A..., S...).

    MXNet's random_pdf_uniform, which does not look whether a sample lies between the ends.
    """

    inputs = ("sample", "low", "high")
    names = ("_random_pdf_uniform", "random_pdf_uniform")
    counts = True  # the density is the same everywhere
    examples = (
        ({}, {"sample": (4, 3), "low": (4,)}),
        ({"is_log": True}, {"sample": (4, 3, 2), "low": (4, 3)}),
    )

    def log_density(self, xp: Any, room: Room) -> None:
        xp.subtract(room.second, room.first, out=room.value)
        xp.log(room.value, out=room.value)
        xp.negative(room.value, out=room.value)

    def slope(self, xp: Any, room: Room, which: int) -> None:
        xp.subtract(room.second, room.first, out=room.value)
        xp.divide(1 if which == 1 else -1, room.value, out=room.value)

    def forward(self, xp: Any, sample: Any, low: Any, high: Any, output: Any, spaces: Any, mask: Any) -> None:
        self._densities(xp, sample, (low, high), output, spaces, mask)

    def backward(
        self,
        xp: Any,
        sample: Any,
        low: Any,
        high: Any,
        output: Any,
        doutput: Any,
        dsample: Any,
        dlow: Any,
        dhigh: Any,
        spaces: Any,
        mask: Any,
    ) -> None:
        gradients = dsample, dlow, dhigh
        self._slopes(xp, (sample, low, high), output, doutput, gradients, spaces, mask)


class RandomPdfNormal(Density):
    """The normal density: sample (A..., S...), mu, sigma (A...) -> output (A..., S...).

    With mean mu and standard deviation sigma.  MXNet's random_pdf_normal.
    """

    inputs = ("sample", "mu", "sigma")
    names = ("_random_pdf_normal", "random_pdf_normal")
    examples = (
        ({}, {"sample": (4, 3), "mu": (4,)}),
        ({"is_log": True}, {"sample": (4,), "mu": (4,)}),
    )

    def log_density(self, xp: Any, room: Room) -> None:
        xp.subtract(room.x, room.first, out=room.value)
        xp.divide(room.value, room.second, out=room.value)
        xp.multiply(room.value, room.value, out=room.value)
        xp.multiply(room.value, -0.5, out=room.value)
        xp.log(room.second, out=room.part)
        xp.subtract(room.value, room.part, out=room.value)
        xp.subtract(room.value, 0.5 * math.log(2 * math.pi), out=room.value)

    def slope(self, xp: Any, room: Room, which: int) -> None:
        xp.subtract(room.x, room.first, out=room.value)
        xp.divide(room.value, room.second, out=room.value)
        if which == 2:
            xp.multiply(room.value, room.value, out=room.value)
            xp.subtract(room.value, 1, out=room.value)
        xp.divide(room.value, room.second, out=room.value)
        if which == 0:
            xp.negative(room.value, out=room.value)

    def forward(self, xp: Any, sample: Any, mu: Any, sigma: Any, output: Any, spaces: Any, mask: Any) -> None:
        self._densities(xp, sample, (mu, sigma), output, spaces, mask)

    def backward(
        self,
        xp: Any,
        sample: Any,
        mu: Any,
        sigma: Any,
        output: Any,
        doutput: Any,
        dsample: Any,
        dmu: Any,
        dsigma: Any,
        spaces: Any,
        mask: Any,
    ) -> None:
        gradients = dsample, dmu, dsigma
        self._slopes(xp, (sample, mu, sigma), output, doutput, gradients, spaces, mask)


class RandomPdfGamma(Density):
    """The gamma density: sample (A..., S...), alpha, beta (A...) -> output (A..., S...).

    With shape alpha and rate beta: the mean is alpha / beta.  (Those that draw take beta as a scale.)
    MXNet's random_pdf_gamma.
    """

    inputs = ("sample", "alpha", "beta")
    names = ("_random_pdf_gamma", "random_pdf_gamma")
    examples = (
        ({}, {"sample": (4, 3), "alpha": (4,)}),
        ({"is_log": True}, {"sample": (4, 3), "alpha": (4, 3)}),
    )

    def log_density(self, xp: Any, room: Room) -> None:
        x, alpha, beta = room.x, room.first, room.second
        xp.log(beta, out=room.value)
        xp.multiply(room.value, alpha, out=room.value)
        xp.copyto(room.part, alpha)
        xp.subtract(room.value, room.gammaln(xp), out=room.value)
        xp.multiply(beta, x, out=room.part)
        xp.subtract(room.value, room.part, out=room.value)
        xp.log(x, out=room.part)
        xp.subtract(alpha, 1, out=room.spare[0])
        xp.multiply(room.part, room.spare[0], out=room.part)
        xp.add(room.value, room.part, out=room.value)

    def slope(self, xp: Any, room: Room, which: int) -> None:
        x, alpha, beta = room.x, room.first, room.second
        if which == 0:
            xp.subtract(alpha, 1, out=room.value)
            xp.divide(room.value, x, out=room.value)
            xp.subtract(room.value, beta, out=room.value)
        elif which == 1:
            xp.log(beta, out=room.value)
            xp.log(x, out=room.part)
            xp.add(room.value, room.part, out=room.value)
            xp.copyto(room.part, alpha)
            xp.subtract(room.value, room.digamma(xp), out=room.value)
        else:
            xp.divide(alpha, beta, out=room.value)
            xp.subtract(room.value, x, out=room.value)

    def forward(
        self, xp: Any, sample: Any, alpha: Any, beta: Any, output: Any, spaces: Any, mask: Any
    ) -> None:
        self._densities(xp, sample, (alpha, beta), output, spaces, mask)

    def backward(
        self,
        xp: Any,
        sample: Any,
        alpha: Any,
        beta: Any,
        output: Any,
        doutput: Any,
        dsample: Any,
        dalpha: Any,
        dbeta: Any,
        spaces: Any,
        mask: Any,
    ) -> None:
        gradients = dsample, dalpha, dbeta
        self._slopes(xp, (sample, alpha, beta), output, doutput, gradients, spaces, mask)


class RandomPdfExponential(Density):
    """lam e^(-lam x): sample (A..., S...), lam (A...) -> output (A..., S...).

    MXNet's random_pdf_exponential.
    """

    inputs = ("sample", "lam")
    names = ("_random_pdf_exponential", "random_pdf_exponential")
    examples = (({}, {"sample": (4, 3), "lam": (4,)}), ({"is_log": True}, {"sample": (4, 3), "lam": (4,)}))

    def log_density(self, xp: Any, room: Room) -> None:
        xp.log(room.first, out=room.value)
        xp.multiply(room.first, room.x, out=room.part)
        xp.subtract(room.value, room.part, out=room.value)

    def slope(self, xp: Any, room: Room, which: int) -> None:
        if which == 0:
            xp.negative(room.first, out=room.value)
        else:
            xp.divide(1, room.first, out=room.value)
            xp.subtract(room.value, room.x, out=room.value)

    def forward(self, xp: Any, sample: Any, lam: Any, output: Any, spaces: Any, mask: Any) -> None:
        self._densities(xp, sample, (lam,), output, spaces, mask)

    def backward(
        self,
        xp: Any,
        sample: Any,
        lam: Any,
        output: Any,
        doutput: Any,
        dsample: Any,
        dlam: Any,
        spaces: Any,
        mask: Any,
    ) -> None:
        self._slopes(xp, (sample, lam), output, doutput, (dsample, dlam), spaces, mask)

"""Probabilities of counts, and the density of Dirichlet's law; see `netdef.ops.densities`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netdef.ops.densities import Density, Room
from netdef.ops.shapes import Shapes, show


class RandomPdfPoisson(Density):
    """lam^x e^(-lam) / x!: sample (A..., S...), lam (A...) -> output (A..., S...).

    No gradient passes to the counts.  MXNet's random_pdf_poisson.
    """

    inputs = ("sample", "lam")
    names = ("_random_pdf_poisson", "random_pdf_poisson")
    counts = True
    examples = (({}, {"sample": (4, 3), "lam": (4,)}), ({"is_log": True}, {"sample": (4, 3), "lam": (4,)}))

    def log_density(self, xp: Any, room: Room) -> None:
        xp.log(room.first, out=room.value)
        xp.multiply(room.value, room.x, out=room.value)
        xp.subtract(room.value, room.first, out=room.value)
        xp.add(room.x, 1, out=room.part)
        xp.subtract(room.value, room.gammaln(xp), out=room.value)

    def slope(self, xp: Any, room: Room, which: int) -> None:
        xp.divide(room.x, room.first, out=room.value)
        xp.subtract(room.value, 1, out=room.value)

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


def successes(xp: Any, room: Room, k: Any, p: Any) -> None:
    """Write the logarithm of the probability of x failures before k successes of probability p to `value`."""
    xp.log(p, out=room.value)
    xp.multiply(room.value, k, out=room.value)
    xp.subtract(1, p, out=room.part)
    xp.log(room.part, out=room.part)
    xp.multiply(room.part, room.x, out=room.part)
    xp.add(room.value, room.part, out=room.value)
    xp.add(room.x, k, out=room.part)
    xp.add(room.value, room.gammaln(xp), out=room.value)
    xp.add(room.x, 1, out=room.part)
    xp.subtract(room.value, room.gammaln(xp), out=room.value)
    xp.copyto(room.part, k)
    xp.subtract(room.value, room.gammaln(xp), out=room.value)


def slope_by_number(xp: Any, room: Room, k: Any, p: Any) -> None:
    """Write the derivative of `successes` by k to `value`."""
    xp.log(p, out=room.value)
    xp.add(room.x, k, out=room.part)
    xp.add(room.value, room.digamma(xp), out=room.value)
    xp.copyto(room.part, k)
    xp.subtract(room.value, room.digamma(xp), out=room.value)


def slope_by_chance(xp: Any, room: Room, k: Any, p: Any, out: Any) -> None:
    """Write the derivative of `successes` by p to `out`."""
    xp.subtract(1, p, out=out)
    xp.divide(room.x, out, out=out)
    xp.divide(k, p, out=room.part)
    xp.subtract(room.part, out, out=out)


class RandomPdfNegativeBinomial(Density):
    """How probable `sample` failures before k successes are: sample, k, p -> output.

    sample and output (A..., S...), k and p (A...), p the probability of a success.  No gradient passes to the
    counts.  MXNet's random_pdf_negative_binomial.
    """

    inputs = ("sample", "k", "p")
    names = ("_random_pdf_negative_binomial", "random_pdf_negative_binomial")
    counts = True
    examples = (({}, {"sample": (4, 3), "k": (4,)}), ({"is_log": True}, {"sample": (4, 3), "k": (4,)}))

    def log_density(self, xp: Any, room: Room) -> None:
        successes(xp, room, room.first, room.second)

    def slope(self, xp: Any, room: Room, which: int) -> None:
        if which == 1:
            slope_by_number(xp, room, room.first, room.second)
        else:
            slope_by_chance(xp, room, room.first, room.second, room.value)

    def forward(self, xp: Any, sample: Any, k: Any, p: Any, output: Any, spaces: Any, mask: Any) -> None:
        self._densities(xp, sample, (k, p), output, spaces, mask)

    def backward(
        self,
        xp: Any,
        sample: Any,
        k: Any,
        p: Any,
        output: Any,
        doutput: Any,
        dsample: Any,
        dk: Any,
        dp: Any,
        spaces: Any,
        mask: Any,
    ) -> None:
        self._slopes(xp, (sample, k, p), output, doutput, (dsample, dk, dp), spaces, mask)


class RandomPdfGeneralizedNegativeBinomial(Density):
    """The negative binomial law by mean and dispersion: sample, mu, alpha -> output.

    sample and output (A..., S...), mu and alpha (A...): that of 1 / alpha successes of probability
    1 / (mu alpha + 1).  No gradient passes to the counts.  MXNet's random_pdf_generalized_negative_binomial.
    """

    inputs = ("sample", "mu", "alpha")
    names = ("_random_pdf_generalized_negative_binomial", "random_pdf_generalized_negative_binomial")
    counts = True
    examples = (({}, {"sample": (4, 3), "mu": (4,)}), ({"is_log": True}, {"sample": (4, 3), "mu": (4,)}))

    def _room(self, xp: Any, sample: Any, parameters: Sequence[Any], spaces: Any, mask: Any) -> Room:
        """The room with k and p in the place of mu and alpha; these follow from them again."""
        room = super()._room(xp, sample, parameters, spaces, mask)
        xp.multiply(room.first, room.second, out=room.part)
        xp.add(room.part, 1, out=room.part)
        xp.divide(1, room.second, out=room.first)
        xp.divide(1, room.part, out=room.second)
        return room

    def log_density(self, xp: Any, room: Room) -> None:
        successes(xp, room, room.first, room.second)

    def slope(self, xp: Any, room: Room, which: int) -> None:
        k, p = room.first, room.second
        by_chance, spare = room.spare[:2]
        if which == 2:
            slope_by_number(xp, room, k, p)
            xp.multiply(room.value, k, out=room.value)
            xp.multiply(room.value, k, out=room.value)  # -dk / dalpha is k^2
        slope_by_chance(xp, room, k, p, by_chance)
        xp.multiply(by_chance, p, out=by_chance)
        if which == 1:  # -dp / dmu is alpha p^2
            xp.multiply(by_chance, p, out=by_chance)
            xp.divide(by_chance, k, out=room.value)
        else:  # -dp / dalpha is mu p^2, and mu is k (1 - p) / p
            xp.subtract(1, p, out=spare)
            xp.multiply(by_chance, spare, out=by_chance)
            xp.multiply(by_chance, k, out=by_chance)
            xp.add(room.value, by_chance, out=room.value)
        xp.negative(room.value, out=room.value)

    def forward(self, xp: Any, sample: Any, mu: Any, alpha: Any, output: Any, spaces: Any, mask: Any) -> None:
        self._densities(xp, sample, (mu, alpha), output, spaces, mask)

    def backward(
        self,
        xp: Any,
        sample: Any,
        mu: Any,
        alpha: Any,
        output: Any,
        doutput: Any,
        dsample: Any,
        dmu: Any,
        dalpha: Any,
        spaces: Any,
        mask: Any,
    ) -> None:
        gradients = dsample, dmu, dalpha
        self._slopes(xp, (sample, mu, alpha), output, doutput, gradients, spaces, mask)


class RandomPdfDirichlet(Density):
    """Dirichlet's density: sample (A..., S..., K), alpha (A..., K) -> output (A..., S...).

    Each sample holds K probabilities.  One alone gives (1,).  MXNet's random_pdf_dirichlet.
    """

    inputs = ("sample", "alpha")
    names = ("_random_pdf_dirichlet", "random_pdf_dirichlet")
    examples = (
        ({}, {"sample": (4, 3), "alpha": (3,)}),
        ({}, {"sample": (4, 5, 3), "alpha": (4, 3)}),
        ({"is_log": True}, {"sample": (4, 2, 3), "alpha": (4, 2, 3)}),
    )

    def shape(self, s: Shapes) -> None:
        sample, alpha = s.rank("sample", 1, "(..., probabilities)"), s.rank("alpha", 1, "(..., parameters)")
        if sample is None:
            return
        s.merge("output", sample[:-1] or (1,), f"sample is {show(sample)}")
        if len(sample) > 1:
            s.merge("sample", (*(s["output"] or ()), sample[-1]))
        sample = s["sample"]
        assert sample is not None, "its rank is known"
        if alpha is None:
            return
        front = alpha[:-1]
        if len(front) < len(sample):
            s.merge("alpha", (*sample[: len(front)], sample[-1]), f"sample is {show(sample)}")
            known = s["alpha"] or ()
            s.merge("sample", (*known[:-1], *sample[len(front) : -1], known[-1]))
            s.merge("output", (s["sample"] or ())[:-1] or (1,))
        else:
            self._merge_front(s, "alpha", sample, alpha)

    def _room(self, xp: Any, sample: Any, parameters: Sequence[Any], spaces: Any, mask: Any) -> Room:
        (alpha,) = parameters
        between = (1,) * (sample.ndim - alpha.ndim)
        return super()._room(xp, sample, (alpha.reshape(*alpha.shape[:-1], *between, -1),), spaces, mask)

    @staticmethod
    def _line(room: Room) -> Room:
        """Room for one number of each sample, where the first probability has its own."""
        x, first, second, value, part, *spare = (array[..., :1] for array in (*room[:5], *room.spare))
        return Room(x, first, second, value, part, spare, room.mask[..., :1])

    def forward(self, xp: Any, sample: Any, alpha: Any, output: Any, spaces: Any, mask: Any) -> None:
        room = self._room(xp, sample, (alpha,), spaces, mask)
        xp.log(room.x, out=room.value)
        xp.subtract(room.first, 1, out=room.part)
        xp.multiply(room.value, room.part, out=room.value)
        xp.copyto(room.part, room.first)
        xp.subtract(room.value, room.gammaln(xp), out=room.value)
        line = self._line(room)
        room.value.sum(axis=-1, keepdims=True, out=line.x)
        room.first.sum(axis=-1, keepdims=True, out=line.part)
        xp.add(line.x, line.gammaln(xp), out=line.x)
        if not self.is_log:
            xp.exp(line.x, out=line.x)
        xp.copyto(output, line.x.reshape(output.shape), casting="same_kind")

    def slope(self, xp: Any, room: Room, which: int) -> None:
        if which == 0:
            xp.subtract(room.first, 1, out=room.value)
            xp.divide(room.value, room.x, out=room.value)
            return
        line = self._line(room)
        room.first.sum(axis=-1, keepdims=True, out=line.part)
        line.digamma(xp)
        xp.copyto(room.second, line.part)
        xp.copyto(room.part, room.first)
        xp.subtract(room.second, room.digamma(xp), out=room.second)
        xp.log(room.x, out=room.value)
        xp.add(room.value, room.second, out=room.value)

    def backward(
        self,
        xp: Any,
        sample: Any,
        alpha: Any,
        output: Any,
        doutput: Any,
        dsample: Any,
        dalpha: Any,
        spaces: Any,
        mask: Any,
    ) -> None:
        room = self._room(xp, sample, (alpha,), spaces, mask)
        for which, gradient in enumerate((dsample, dalpha)):
            if gradient is None:
                continue
            self.slope(xp, room, which)
            for factor in (doutput,) if self.is_log else (doutput, output):
                xp.multiply(room.value, factor.reshape(*sample.shape[:-1], 1), out=room.value)
            axes = tuple(range(gradient.ndim - 1, sample.ndim - 1))
            total = room.part[(slice(None),) * (gradient.ndim - 1) + (0,) * len(axes)]
            room.value.sum(axis=axes, out=total)
            xp.copyto(gradient, total, casting="same_kind")

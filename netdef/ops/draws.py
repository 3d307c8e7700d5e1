"""Random numbers with tensors as parameters."""

from __future__ import annotations

from typing import Any

from netdef.ops import random as laws
from netdef.ops.base import Workspace
from netdef.ops.creation import FLOATS
from netdef.ops.fields import Dims, DType
from netdef.ops.shapes import Shapes, show

PARAMETERS = "numpy's generator takes parameters as new float64 arrays"


class _Sampled(laws.Noise, abstract=True):
    """Of `shape` numbers for each place of the parameters: two or one (A...) -> output (A..., shape...)."""

    shape_ = Dims((), "how many numbers for each place of the parameters; left out: one", min=1)
    dtype = DType(*FLOATS, default=None, help="the dtype; left out: float32")

    def shape(self, s: Shapes) -> None:
        s.same(*self.inputs)
        first, count = self.inputs[0], len(self.shape_)
        known = s[first]
        if known is not None:
            s.merge("output", (*known, *self.shape_), f"{first} is {show(known)} and shape {self.shape_}")
        output = s.rank("output", count, f"at least the {count} axes of shape")
        if output is not None:
            s.merge("output", (*output[: len(output) - count], *self.shape_), attribute="shape")
            for name in self.inputs:
                s.merge(name, output[: len(output) - count], f"output is {show(output)}")

    def types(self, t: Shapes) -> None:
        t.same(*self.inputs)
        t.merge("output", self.dtype or "float32")  # type: ignore[arg-type]

    def draw(self, xp: Any, random: Any, output: Any, noise: Any, *parameters: Any) -> None:
        """Draw with parameters that have one number for each place."""
        axes = (..., *(None,) * len(self.shape_))
        type(self).law(xp, random, noise, *(parameter[axes] for parameter in parameters))
        output[...] = noise


class SampleUniform(_Sampled):
    """Numbers between each `low` and its `high`: low, high (A...) -> output (A..., shape...)."""

    inputs = ("low", "high")
    names = ("_sample_uniform", "sample_uniform")
    scratch = ("noise", "width")
    law = staticmethod(laws.uniform)
    examples = (
        ({}, {"low": (4, 3), "high": (4, 3)}),
        ({"shape": (2, 5)}, {"low": (4,), "high": (4,)}),
    )

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        width = {} if backward else {"width": Workspace(s.full("low"), "float64")}
        return {**super().workspaces(s, backward), **width}

    def forward(self, xp: Any, random: Any, low: Any, high: Any, output: Any, noise: Any, width: Any) -> None:
        xp.subtract(high, low, out=width)
        self.draw(xp, random, output, noise, low, width)


class SampleNormal(_Sampled):
    """Normal numbers with each mean and standard deviation: mu, sigma (A...) -> output (A..., shape...)."""

    inputs = ("mu", "sigma")
    names = ("_sample_normal", "sample_normal")
    law = staticmethod(laws.normal)
    examples = (
        ({}, {"mu": (4, 3), "sigma": (4, 3)}),
        ({"shape": (2, 5)}, {"mu": (4,), "sigma": (4,)}),
    )

    def forward(self, xp: Any, random: Any, mu: Any, sigma: Any, output: Any, noise: Any) -> None:
        self.draw(xp, random, output, noise, mu, sigma)


class SampleGamma(_Sampled):
    """Gamma numbers of each shape and scale: alpha, beta (A...) -> output (A..., shape...)."""

    inputs = ("alpha", "beta")
    names = ("_sample_gamma", "sample_gamma")
    law = staticmethod(laws.gamma)
    allocates = PARAMETERS
    examples = (
        ({}, {"alpha": (4, 3), "beta": (4, 3)}),
        ({"shape": (2, 5)}, {"alpha": (4,), "beta": (4,)}),
    )

    def forward(self, xp: Any, random: Any, alpha: Any, beta: Any, output: Any, noise: Any) -> None:
        self.draw(xp, random, output, noise, alpha, beta)


class SampleExponential(_Sampled):
    """Exponential numbers of each rate: lam (A...) -> output (A..., shape...)."""

    inputs = ("lam",)
    names = ("_sample_exponential", "sample_exponential")
    law = staticmethod(laws.exponential)
    examples = (({}, {"lam": (4, 3)}), ({"shape": (2, 5)}, {"lam": (4,)}))

    def forward(self, xp: Any, random: Any, lam: Any, output: Any, noise: Any) -> None:
        self.draw(xp, random, output, noise, lam)


class SamplePoisson(_Sampled):
    """Poisson numbers of each mean: lam (A...) -> output (A..., shape...)."""

    inputs = ("lam",)
    names = ("_sample_poisson", "sample_poisson")
    law = staticmethod(laws.poisson)
    allocates = laws.COUNTS
    examples = (({}, {"lam": (4, 3)}), ({"shape": (2, 5)}, {"lam": (4,)}))

    def forward(self, xp: Any, random: Any, lam: Any, output: Any, noise: Any) -> None:
        self.draw(xp, random, output, noise, lam)


class SampleNegativeBinomial(_Sampled):
    """Failures before each `k` successes of its probability `p`: k, p (A...) -> output (A..., shape...)."""

    inputs = ("k", "p")
    names = ("_sample_negative_binomial", "sample_negative_binomial")
    law = staticmethod(laws.negative_binomial)
    allocates = laws.COUNTS
    examples = (({}, {"k": (4, 3), "p": (4, 3)}), ({"shape": (2, 5)}, {"k": (4,), "p": (4,)}))

    def forward(self, xp: Any, random: Any, k: Any, p: Any, output: Any, noise: Any) -> None:
        self.draw(xp, random, output, noise, k, p)


class SampleGeneralizedNegativeBinomial(_Sampled):
    """Counts with each mean and dispersion: mu, alpha (A...) -> output (A..., shape...)."""

    inputs = ("mu", "alpha")
    names = ("_sample_generalized_negative_binomial", "sample_generalized_negative_binomial")
    law = staticmethod(laws.generalized_negative_binomial)
    allocates = laws.COUNTS
    examples = (({}, {"mu": (4, 3), "alpha": (4, 3)}), ({"shape": (2, 5)}, {"mu": (4,), "alpha": (4,)}))

    def forward(self, xp: Any, random: Any, mu: Any, alpha: Any, output: Any, noise: Any) -> None:
        self.draw(xp, random, output, noise, mu, alpha)

"""Random numbers.

Seven distributions, each in three forms: with numbers as parameters, with those and the shape of a tensor
(`_like`), and with tensors of parameters (in `sampling`).  No gradient passes through a drawn number.

All are drawn in float64 into a workspace in row-major order, so that neither the memory layout nor the dtype
of the output changes which numbers come.
"""

from __future__ import annotations

from typing import Any, ClassVar

from netdef.ops.base import Op, Workspace
from netdef.ops.creation import FLOATS, Device, wanted
from netdef.ops.fields import Dims, DType, Float, Int
from netdef.ops.shapes import ShapeError, Shapes, Types

COUNTS = "numpy's generator gives counts as new arrays"

# -- the distributions: each fills `noise`, against which its parameters broadcast ---------------------------


def uniform(xp: Any, random: Any, noise: Any, low: Any, width: Any) -> None:
    """Between low and low + width."""
    random.random(out=noise)
    xp.multiply(noise, width, out=noise)
    xp.add(noise, low, out=noise)


def normal(xp: Any, random: Any, noise: Any, loc: Any, scale: Any) -> None:
    """With mean loc and standard deviation scale."""
    random.standard_normal(out=noise)
    xp.multiply(noise, scale, out=noise)
    xp.add(noise, loc, out=noise)


def gamma(xp: Any, random: Any, noise: Any, alpha: Any, beta: Any) -> None:
    """With shape alpha and scale beta: mean alpha*beta."""
    random.standard_gamma(alpha, out=noise)
    xp.multiply(noise, beta, out=noise)


def exponential(xp: Any, random: Any, noise: Any, lam: Any) -> None:
    """With rate lam: mean 1/lam."""
    random.standard_exponential(out=noise)
    xp.divide(noise, lam, out=noise)


def poisson(xp: Any, random: Any, noise: Any, lam: Any) -> None:
    """With mean lam."""
    noise[...] = random.poisson(lam, noise.shape)


def negative_binomial(xp: Any, random: Any, noise: Any, k: Any, p: Any) -> None:
    """Failures before k successes of probability p: Poisson numbers whose mean is a gamma number."""
    random.standard_gamma(k, out=noise)
    xp.multiply(noise, (1 - p) / p, out=noise)
    noise[...] = random.poisson(noise)


def generalized_negative_binomial(xp: Any, random: Any, noise: Any, mu: Any, alpha: Any) -> None:
    """With mean mu and variance mu + alpha*mu^2; alpha 0 gives Poisson numbers."""
    plain = xp.equal(alpha, 0)
    spread = xp.where(plain, 1, alpha)
    random.standard_gamma(1 / spread, out=noise)
    xp.multiply(noise, spread * mu, out=noise)
    noise[...] = random.poisson(xp.where(plain, mu, noise))


# -- the forms -----------------------------------------------------------------------------------------------


class Noise(Op, abstract=True):
    """An operator whose output is drawn; `law` is its distribution."""

    inputs: ClassVar[tuple[str, ...]] = ()
    scratch: ClassVar[tuple[str, ...]] = ("noise",)
    law: ClassVar[Any]

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {} if backward else {"noise": Workspace(s.full("output"), "float64")}


class _ByNumbers(Noise, abstract=True):
    """A distribution whose parameters are attributes."""

    def parameters(self) -> tuple[float, ...]:
        """What `law` needs."""
        raise NotImplementedError

    def forward(self, xp: Any, random: Any, output: Any, noise: Any) -> None:
        type(self).law(xp, random, noise, *self.parameters())
        output[...] = noise


class _Drawn(_ByNumbers, abstract=True):
    """Without inputs: -> output of a shape that the attributes, or the reader, say."""

    shape_ = Dims(None, "the shape; 0, or nothing at all, is what the reader needs", min=0)
    ctx = Device()
    dtype = DType(*FLOATS, default=None, help="the dtype; left out: float32")

    examples: ClassVar[Any] = (({}, {"output": (4, 3)}), ({"dtype": "float64"}, {"output": (4, 3)}))

    def shape(self, s: Shapes) -> None:
        s.merge("output", wanted(self.shape_), f"the attribute says {self.shape_}", "shape")

    def types(self, t: Shapes) -> None:
        t.merge("output", self.dtype or "float32")  # type: ignore[arg-type]


class _Like(_ByNumbers, abstract=True):
    """Of the shape and dtype of a tensor: data -> output."""

    inputs = ("data",)
    examples = (({}, {"data": (4, 3)}),)

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.same("data", "output")
        t.floating("data")


# -- parameters as attributes --------------------------------------------------------------------------------


class _Uniform(_ByNumbers, abstract=True):
    """Between two numbers."""

    low = Float(0.0, "the lower end")
    high = Float(1.0, "the upper end")

    law = staticmethod(uniform)

    def shape(self, s: Shapes) -> None:
        if self.high < self.low:
            raise ShapeError(f"high {self.high} is less than low {self.low}", attribute="high")
        super().shape(s)

    def parameters(self) -> tuple[float, ...]:
        return self.low, self.high - self.low


class _Normal(_ByNumbers, abstract=True):
    """Around a mean."""

    loc = Float(0.0, "the mean")
    scale = Float(1.0, "the standard deviation", above=0)

    law = staticmethod(normal)

    def parameters(self) -> tuple[float, ...]:
        return self.loc, self.scale


class _Gamma(_ByNumbers, abstract=True):
    """Gamma."""

    alpha = Float(1.0, "the shape", above=0)
    beta = Float(1.0, "the scale", above=0)

    law = staticmethod(gamma)

    def parameters(self) -> tuple[float, ...]:
        return self.alpha, self.beta


class _Exponential(_ByNumbers, abstract=True):
    """Exponential."""

    lam = Float(1.0, "the rate", above=0)

    law = staticmethod(exponential)

    def parameters(self) -> tuple[float, ...]:
        return (self.lam,)


class _Poisson(_ByNumbers, abstract=True):
    """Poisson."""

    lam = Float(1.0, "the mean", min=0)

    law = staticmethod(poisson)
    allocates = COUNTS

    def parameters(self) -> tuple[float, ...]:
        return (self.lam,)


class _NegativeBinomial(_ByNumbers, abstract=True):
    """Negative binomial."""

    k = Int(1, "number of successes", min=0)
    p = Float(1.0, "probability of a success", above=0, max=1)

    law = staticmethod(negative_binomial)
    allocates = COUNTS

    def parameters(self) -> tuple[float, ...]:
        return self.k, self.p


class _GeneralizedNegativeBinomial(_ByNumbers, abstract=True):
    """Negative binomial by mean and dispersion."""

    mu = Float(1.0, "the mean", min=0)
    alpha = Float(1.0, "the dispersion: the variance is mu + alpha*mu^2", min=0)

    law = staticmethod(generalized_negative_binomial)
    allocates = COUNTS

    def parameters(self) -> tuple[float, ...]:
        return self.mu, self.alpha


# -- the operators -------------------------------------------------------------------------------------------


class RandomUniform(_Uniform, _Drawn):
    """Numbers between `low` and `high`, all equally likely: -> output.  Rounding may give `high` itself."""

    begins = ("low", "high")
    names = ("_random_uniform", "random_uniform", "uniform")


class RandomUniformLike(_Uniform, _Like):
    """Numbers between `low` and `high`, all equally likely: data -> output of its shape and dtype."""

    names = ("_random_uniform_like",)


class RandomNormal(_Normal, _Drawn):
    """Normal numbers with mean `loc` and standard deviation `scale`: -> output."""

    begins = ("loc", "scale")
    names = ("_random_normal", "random_normal", "normal")


class RandomNormalLike(_Normal, _Like):
    """Normal numbers with mean `loc` and deviation `scale`: data -> output of its shape and dtype."""

    names = ("_random_normal_like",)


class RandomGamma(_Gamma, _Drawn):
    """Gamma numbers of shape `alpha` and scale `beta`, with mean alpha*beta: -> output."""

    begins = ("alpha", "beta")
    names = ("_random_gamma", "random_gamma")


class RandomGammaLike(_Gamma, _Like):
    """Gamma numbers of shape `alpha` and scale `beta`: data -> output of its shape and dtype."""

    names = ("_random_gamma_like",)


class RandomExponential(_Exponential, _Drawn):
    """Exponential numbers of rate `lam`, with mean 1/lam: -> output."""

    begins = ("lam",)
    names = ("_random_exponential", "random_exponential")


class RandomExponentialLike(_Exponential, _Like):
    """Exponential numbers of rate `lam`: data -> output of its shape and dtype."""

    names = ("_random_exponential_like",)


class RandomPoisson(_Poisson, _Drawn):
    """Poisson numbers of mean `lam`: -> output."""

    begins = ("lam",)
    names = ("_random_poisson", "random_poisson")


class RandomPoissonLike(_Poisson, _Like):
    """Poisson numbers of mean `lam`: data -> output of its shape and dtype."""

    names = ("_random_poisson_like",)


class RandomNegativeBinomial(_NegativeBinomial, _Drawn):
    """How many failures come before `k` successes of probability `p`, with mean k*(1-p)/p: -> output."""

    begins = ("k", "p")
    names = ("_random_negative_binomial", "random_negative_binomial")


class RandomNegativeBinomialLike(_NegativeBinomial, _Like):
    """How many failures come before `k` successes of probability `p`: data -> output of its shape, dtype."""

    names = ("_random_negative_binomial_like",)


class RandomGeneralizedNegativeBinomial(_GeneralizedNegativeBinomial, _Drawn):
    """Counts with mean `mu` and variance mu + `alpha`*mu^2: -> output."""

    begins = ("mu", "alpha")
    names = ("_random_generalized_negative_binomial", "random_generalized_negative_binomial")


class RandomGeneralizedNegativeBinomialLike(_GeneralizedNegativeBinomial, _Like):
    """Counts with mean `mu` and variance mu + `alpha`*mu^2: data -> output of its shape and dtype."""

    names = ("_random_generalized_negative_binomial_like",)

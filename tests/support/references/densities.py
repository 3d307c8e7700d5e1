"""References of netdef.ops.densities and netdef.ops.probabilities: the laws as their textbooks have them.

Their slopes are written out, since central differences would not be as exact as the harness asks for.
"""

import math

import numpy as np

from references import exempt, reference, sample
from references.unary import digamma


def negative_binomial(x, k, p):
    log = math.lgamma(x + k) - math.lgamma(x + 1) - math.lgamma(k) + k * math.log(p) + x * math.log(1 - p)
    return log, 0, digamma(x + k) - digamma(k) + math.log(p), k / p - x / (1 - p)


def generalized(x, mu, alpha):
    k, p = 1 / alpha, 1 / (mu * alpha + 1)
    log, _, by_k, by_p = negative_binomial(x, k, p)
    return log, 0, -by_p * alpha * p**2, -by_k / alpha**2 - by_p * mu * p**2


#: the logarithm of the density, and its slopes by the sample and by the parameters
LAWS = {
    "Uniform": lambda x, a, b: (-math.log(b - a), 0, 1 / (b - a), -1 / (b - a)),
    "Normal": lambda x, m, s: (
        -((x - m) ** 2) / (2 * s * s) - math.log(s * math.sqrt(2 * math.pi)),
        (m - x) / s**2,
        (x - m) / s**2,
        (x - m) ** 2 / s**3 - 1 / s,
    ),
    "Gamma": lambda x, a, b: (
        a * math.log(b) + (a - 1) * math.log(x) - b * x - math.lgamma(a),
        (a - 1) / x - b,
        math.log(b) + math.log(x) - digamma(a),
        a / b - x,
    ),
    "Exponential": lambda x, lam: (math.log(lam) - lam * x, -lam, 1 / lam - x),
    "Poisson": lambda x, lam: (x * math.log(lam) - math.lgamma(x + 1) - lam, 0, x / lam - 1),
    "NegativeBinomial": negative_binomial,
    "GeneralizedNegativeBinomial": generalized,
}
NAMES = [f"RandomPdf{law}" for law in LAWS]
COUNTS = [f"RandomPdf{law}" for law in ("Poisson", "NegativeBinomial", "GeneralizedNegativeBinomial")]


@sample(*NAMES)
def samples(op, shapes, random):
    """Positive samples, or counts; parameters between 0 and 1, but upper ends above."""
    name = type(op).__name__
    drawn = {there: random.uniform(0.2, 0.9, shapes.full(there)) for there in op.inputs}
    if name in COUNTS:
        drawn["sample"] = random.integers(0, 6, shapes.full("sample"))
    if "high" in drawn:
        drawn["high"] += 1
    return drawn


@reference(*NAMES)
def density(op, x, heads):
    law = LAWS[type(op).__name__.removeprefix("RandomPdf")]
    sample, *parameters = (x[name] for name in op.inputs)
    output = np.empty(sample.shape)
    gradients = [np.zeros(array.shape) for array in (sample, *parameters)]
    for place in np.ndindex(sample.shape):
        front = place[: parameters[0].ndim]
        log, *slopes = law(float(sample[place]), *(float(array[front]) for array in parameters))
        output[place] = log if op.is_log else math.exp(log)
        share = heads["doutput"][place] * (1 if op.is_log else output[place])
        for gradient, where, slope in zip(gradients, (place, *[front] * len(parameters)), slopes):
            gradient[where] += share * slope
    return {"output": output, **{f"d{name}": gradient for name, gradient in zip(op.inputs, gradients)}}


@sample("RandomPdfDirichlet")
def probabilities(op, shapes, random):
    rows = random.uniform(0.1, 1, shapes.full("sample"))
    alpha = random.uniform(0.5, 3, shapes.full("alpha"))
    return {"sample": rows / rows.sum(axis=-1, keepdims=True), "alpha": alpha}


@reference("RandomPdfDirichlet", more=[({}, {"sample": (3,), "alpha": (3,)})])
def dirichlet(op, x, heads):
    sample, alpha = x["sample"], x["alpha"]
    output, dsample, dalpha = np.empty(sample.shape[:-1]), np.zeros(sample.shape), np.zeros(alpha.shape)
    doutput = heads["doutput"].reshape(output.shape)
    for place in np.ndindex(output.shape):
        front = place[: alpha.ndim - 1]
        row, a = sample[place], alpha[front]
        log = sum((a - 1) * np.log(row)) + math.lgamma(sum(a)) - sum(map(math.lgamma, a))
        output[place] = log if op.is_log else math.exp(log)
        share = doutput[place] * (1 if op.is_log else output[place])
        dsample[place] = share * (a - 1) / row
        dalpha[front] += share * (np.log(row) + digamma(sum(a)) - np.array([digamma(v) for v in a]))
    return {"output": output.reshape(heads["doutput"].shape), "dsample": dsample, "dalpha": dalpha}


exempt("gradients_are_derivatives", "no gradient passes to counts", *COUNTS)

"""References of netdef.ops.unary, trigonometry, rounding and special."""

import math

from references import each, exempt, mapped, reference, sample


def digamma(v):
    """The derivative of log gamma: down from far out, where a few terms of its series are exact."""
    lower = 0
    while v < 50:
        lower += 1 / v
        v += 1
    return math.log(v) - 1 / (2 * v) - 1 / (12 * v**2) + 1 / (120 * v**4) - 1 / (252 * v**6) - lower


def inverse(function, low, high):
    """The inverse of a rising function, by halving an interval."""

    def value(v):
        left, right = low, high
        for _ in range(100):
            middle = (left + right) / 2
            left, right = (middle, right) if function(middle) < v else (left, middle)
        return left

    return value


def sign(v):
    return (v > 0) - (v < 0)


def cube_root(v):
    return math.copysign(abs(v) ** (1 / 3), v)


ERFINV = inverse(math.erf, -6, 6)

#: name -> value and derivative; None: no gradient passes
FUNCTIONS = {
    "Negative": (lambda v: -v, lambda v: -1),
    "Abs": (abs, sign),
    "Reciprocal": (lambda v: 1 / v, lambda v: -1 / v**2),
    "Square": (lambda v: v * v, lambda v: 2 * v),
    "Sqrt": (lambda v: v**0.5, lambda v: 0.5 * v**-0.5),
    "Rsqrt": (lambda v: v**-0.5, lambda v: -0.5 * v**-1.5),
    "Cbrt": (cube_root, lambda v: cube_root(v) / (3 * v)),
    "Rcbrt": (lambda v: 1 / cube_root(v), lambda v: -1 / (3 * v * cube_root(v))),
    "Exp": (math.exp, math.exp),
    "Expm1": (lambda v: math.exp(v) - 1, math.exp),
    "Log": (math.log, lambda v: 1 / v),
    "Log10": (math.log10, lambda v: 1 / (v * math.log(10))),
    "Log2": (math.log2, lambda v: 1 / (v * math.log(2))),
    "Log1p": (lambda v: math.log(1 + v), lambda v: 1 / (1 + v)),
    "Degrees": (math.degrees, lambda v: 180 / math.pi),
    "Radians": (math.radians, lambda v: math.pi / 180),
    "Sin": (math.sin, math.cos),
    "Cos": (math.cos, lambda v: -math.sin(v)),
    "Tan": (math.tan, lambda v: 1 / math.cos(v) ** 2),
    "Arcsin": (math.asin, lambda v: 1 / math.sqrt(1 - v * v)),
    "Arccos": (math.acos, lambda v: -1 / math.sqrt(1 - v * v)),
    "Arctan": (math.atan, lambda v: 1 / (1 + v * v)),
    "Sinh": (math.sinh, math.cosh),
    "Cosh": (math.cosh, math.sinh),
    "Tanh": (math.tanh, lambda v: 1 / math.cosh(v) ** 2),
    "Arcsinh": (math.asinh, lambda v: 1 / math.sqrt(1 + v * v)),
    "Arccosh": (math.acosh, lambda v: 1 / math.sqrt(v * v - 1)),
    "Arctanh": (math.atanh, lambda v: 1 / (1 - v * v)),
    "Sign": (sign, None),
    "Floor": (math.floor, None),
    "Ceil": (math.ceil, None),
    "Trunc": (math.trunc, None),
    "Fix": (math.trunc, None),
    "Round": (lambda v: sign(v) * math.floor(abs(v) + 0.5), None),
    "Rint": (lambda v: math.ceil(v - 0.5), None),
    "RoundSte": (lambda v: sign(v) * math.floor(abs(v) + 0.5), lambda v: 1),
    "SignSte": (sign, lambda v: 1),
    "LogicalNot": (lambda v: not v, None),
    "Erf": (math.erf, lambda v: 2 / math.sqrt(math.pi) * math.exp(-v * v)),
    "Erfinv": (ERFINV, lambda v: math.sqrt(math.pi) / 2 * math.exp(ERFINV(v) ** 2)),
}

BETWEEN = {
    **dict.fromkeys(("Sqrt", "Rsqrt", "Log", "Log10", "Log2", "Log1p"), (0.2, 5)),
    "Arccosh": (1.2, 5),
    **dict.fromkeys(("Arcsin", "Arccos", "Arctanh", "Erfinv"), (-0.97, 0.97)),
    **dict.fromkeys(("Reciprocal", "Cbrt", "Rcbrt"), (0.3, 4)),
    "Tan": (-1.2, 1.2),
    **dict.fromkeys(("Gamma", "Gammaln"), (0.3, 14)),
}

exempt("gradients_are_derivatives", "its gradient is 1, that of no step", "RoundSte", "SignSte")
exempt("single_precision_is_double_precision_rounded", "it grows to 1e10", "Gamma")


@sample(*BETWEEN)
def between(op, shapes, random):
    low, high = BETWEEN[type(op).__name__]
    return {"data": random.uniform(low, high, shapes.full("data"))}


@sample("LogicalNot")
def few_numbers(op, shapes, random):
    return {"data": random.integers(0, 2, shapes.full("data"))}


@sample("Floor", "Ceil", "Trunc", "Fix", "Round", "RoundSte", "Rint")
def halves(op, shapes, random):
    return {"data": random.integers(-9, 10, shapes.full("data")) / 4}


@reference(*FUNCTIONS)
def unary(op, x, heads):
    value, slope = FUNCTIONS[type(op).__name__]
    if slope is None:
        return {"output": each(value, x["data"])}
    return mapped(value, slope, x, heads)


@reference("SmoothL1", more=[({"scalar": 0.7}, {"data": (9,)})])
def smooth_l1(op, x, heads):
    square = op.scalar**2

    def value(v):
        return 0.5 * square * v * v if abs(v) < 1 / square else abs(v) - 0.5 / square

    return mapped(value, lambda v: square * v if abs(v) < 1 / square else sign(v), x, heads)


@reference("Gamma", "Gammaln")
def gamma(op, x, heads):
    if type(op).__name__ == "Gamma":
        return mapped(math.gamma, lambda v: math.gamma(v) * digamma(v), x, heads)
    return mapped(math.lgamma, digamma, x, heads)

"""Functions that the array module lacks, in double precision: erf and its inverse, gamma and its kin.

Each works in place: `x`, an array of float64, becomes the result.  `spaces` are five more arrays like it and
`mask` is one of bool, all of them the caller's.  Every branch is computed for all elements, on arguments kept
within its range, and then selected.  The errors are a few units in the last place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

#: W. J. Cody, Rational Chebyshev approximations for the error function, 1969; numerator and denominator,
#: highest power first: erf(x) / x in x^2 up to 0.46875 ...
_ERF = (
    (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2,
     3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)  # fmt: skip
#: ... and erfc(x) e^(x^2) in x; Cody's range ends at 4, where all that is left of it is 1e-8
_ERFC = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1,
     2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
     1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
     3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)  # fmt: skip
#: M. J. Wichura, Algorithm AS 241: the percentage points of the normal distribution, 1988: in the middle ...
_NORMAL_MIDDLE = (
    (2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
     1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080),
    (5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
     5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0),
)  # fmt: skip
#: ... and for the two parts of the tails
_NORMAL_NEAR = (
    (7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258,
     3.64784832476320460504, 5.76949722146069140550, 4.63033784615654529590, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2,
     1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940, 2.05319162663775882187,
     1.0),
)  # fmt: skip
_NORMAL_FAR = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3,
     2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580, 5.46378491116411436990,
     6.65790464350110377720),
    (2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5,
     7.86869131145613259100e-4, 1.48753612908506148525e-2, 1.36929880922735805310e-1,
     5.99832206555887937690e-1, 1.0),
)  # fmt: skip
#: W. J. Cody's rational approximation of (gamma(1 + x) - 1) / x between 0 and 1 (SPECFUN, 1989)
_GAMMA = (
    (-1.71618513886549492533811, 2.47656508055759199108314e1, -3.79804256470945635097577e2,
     6.29331155312818442661052e2, 8.66966202790413211295064e2, -3.14512729688483675254357e4,
     -3.61444134186911729807069e4, 6.64561438202405440627855e4),
    (1.0, -3.08402300119738975254353e1, 3.15350626979604161529144e2, -1.01515636749021914166146e3,
     -3.10777167157231109440444e3, 2.25381184209801510330112e4, 4.75584627752788110767815e3,
     -1.34659959864969306392456e5, -1.15132259675553483497211e5),
)  # fmt: skip
#: Stirling's series of log gamma in 1/y^2, divided by y, and that of its derivative in 1/y^2
_STIRLING = (-691 / 360360, 1 / 1188, -1 / 1680, 1 / 1260, -1 / 360, 1 / 12)
_STIRLING_SLOPE = (1 / 12, -691 / 32760, 1 / 132, -1 / 240, 1 / 252, -1 / 120, 1 / 12, 0.0)
#: from here on Stirling's series are exact to double precision
_LARGE = 12
#: zeta(k) - 1 for k from 2 on; with (-1)^k / k the Taylor coefficients of log gamma at 2
_ZETA = (
    0.6449340668482264, 0.2020569031595943, 0.08232323371113819, 0.03692775514336993, 0.01734306198444914,
    8.349277381922827e-3, 4.07735619794434e-3, 2.0083928260822144e-3, 9.945751278180853e-4,
    4.941886041194645e-4, 2.460865533080483e-4, 1.2271334757848915e-4, 6.124813505870483e-5,
    3.058823630702049e-5, 1.528225940865187e-5, 7.637197637899763e-6, 3.81729326499984e-6,
    1.908212716553939e-6, 9.539620338727962e-7, 4.769329867878064e-7, 2.38450502727733e-7,
    1.1921992596531106e-7, 5.960818905125948e-8, 2.980350351465228e-8, 1.4901554828365043e-8,
    7.45071178983543e-9,
)  # fmt: skip
_EULER = 0.5772156649015329
_LOG_GAMMA = (*((-1) ** k * _ZETA[k - 2] / k for k in range(len(_ZETA) + 1, 1, -1)), 1 - _EULER, 0.0)


def _polynomial(xp: Any, x: Any, coefficients: Sequence[float], out: Any) -> None:
    """The polynomial at x, by Horner's rule; the highest power comes first."""
    out.fill(coefficients[0])
    for coefficient in coefficients[1:]:
        xp.multiply(out, x, out=out)
        xp.add(out, coefficient, out=out)


def _ratio(xp: Any, x: Any, ratio: tuple[Sequence[float], Sequence[float]], out: Any, spare: Any) -> None:
    _polynomial(xp, x, ratio[0], out)
    _polynomial(xp, x, ratio[1], spare)
    xp.divide(out, spare, out=out)


def erf(xp: Any, x: Any, spaces: Sequence[Any], mask: Any) -> None:
    """The error function: Cody's approximations of it near 0 and of its complement elsewhere."""
    size, argument, far, spare, _ = spaces
    xp.absolute(x, out=size)
    xp.greater(size, 0.46875, out=mask)
    xp.clip(size, 0.46875, 6, out=argument)  # beyond 6 the result is 1
    _ratio(xp, argument, _ERFC, far, spare)
    xp.multiply(argument, argument, out=argument)
    xp.negative(argument, out=argument)
    xp.exp(argument, out=argument)
    xp.multiply(far, argument, out=far)
    xp.subtract(1, far, out=far)
    xp.copysign(far, x, out=far)
    xp.clip(size, 0, 0.46875, out=argument)
    xp.multiply(argument, argument, out=argument)
    _ratio(xp, argument, _ERF, size, spare)
    xp.multiply(x, size, out=x)
    xp.copyto(x, far, where=mask)


def erfinv(xp: Any, x: Any, spaces: Sequence[Any], mask: Any) -> None:
    """The inverse of the error function, by way of Wichura's quantiles of the normal distribution."""
    root, argument, tail, spare, _ = spaces
    xp.absolute(x, out=root)
    xp.subtract(1, root, out=root)
    xp.multiply(root, 0.5, out=root)  # the probability beyond; negative, so NaN below, where |x| > 1
    xp.log(root, out=root)
    xp.negative(root, out=root)
    xp.sqrt(root, out=root)
    xp.subtract(root, 1.6, out=argument)
    _ratio(xp, argument, _NORMAL_NEAR, tail, spare)
    xp.subtract(root, 5, out=argument)
    xp.greater(argument, 0, out=mask)
    _ratio(xp, argument, _NORMAL_FAR, root, spare)
    xp.copyto(tail, root, where=mask)
    xp.copysign(tail, x, out=tail)
    xp.absolute(x, out=root)
    xp.equal(root, 1, out=mask)
    xp.copyto(tail, math.inf, where=mask)
    xp.copysign(tail, x, out=tail)
    xp.greater(root, 0.85, out=mask)
    xp.multiply(x, 0.5, out=x)
    xp.multiply(x, x, out=argument)
    xp.subtract(0.180625, argument, out=argument)
    _ratio(xp, argument, _NORMAL_MIDDLE, root, spare)
    xp.multiply(x, root, out=x)
    xp.copyto(x, tail, where=mask)
    xp.multiply(x, math.sqrt(0.5), out=x)


def _reflect(xp: Any, x: Any, out: Any) -> None:
    """The larger of x and 1 - x: at least 1/2, where the functions below are computed."""
    xp.subtract(1, x, out=out)
    xp.maximum(x, out, out=out)


def _sine(xp: Any, x: Any, out: Any, nearest: Any, function: Any) -> None:
    """sin or tan of pi times the distance of x from the nearest whole number: 0 at the poles of gamma."""
    xp.rint(x, out=nearest)
    xp.subtract(x, nearest, out=out)
    xp.multiply(out, math.pi, out=out)
    function(out, out=out)


def _step_down(xp: Any, y: Any, limit: float, factors: Any, mask: Any) -> None:
    """Bring each y (below 12) under `limit` (at least 2) by steps of one: gamma(y) = factors gamma(new y)."""
    factors.fill(1)
    for _ in range(_LARGE - 2):
        xp.greater_equal(y, limit, out=mask)
        xp.subtract(y, mask, out=y)
        xp.multiply(factors, y, out=factors, where=mask)


def _inverse_square_series(xp: Any, y: Any, series: Sequence[float], out: Any, spare: Any) -> None:
    xp.multiply(y, y, out=spare)
    xp.divide(1, spare, out=spare)
    _polynomial(xp, spare, series, out)


def gamma(xp: Any, x: Any, spaces: Sequence[Any], mask: Any) -> None:
    """The gamma function; exact for small whole numbers, infinite at 0, NaN at the other poles."""
    y, small, large, first, second = spaces
    _reflect(xp, x, y)
    # below 12: down to between 1 and 2, or once up
    xp.clip(y, 0.5, _LARGE, out=first)
    _step_down(xp, first, 2, small, mask)
    xp.less(first, 1, out=mask)
    xp.divide(small, first, out=small, where=mask)
    xp.add(first, mask, out=first)
    xp.subtract(first, 1, out=first)
    _ratio(xp, first, _GAMMA, second, large)
    xp.multiply(second, first, out=second)
    xp.add(second, 1, out=second)
    xp.multiply(small, second, out=small)
    # from 12 on: the power in two parts, since it overflows before gamma does
    xp.clip(y, _LARGE, 200, out=first)
    _inverse_square_series(xp, first, _STIRLING, large, second)
    xp.divide(large, first, out=large)
    xp.exp(large, out=large)
    xp.negative(first, out=second)
    xp.exp(second, out=second)
    xp.multiply(large, second, out=large)
    xp.multiply(large, math.sqrt(2 * math.pi), out=large)
    xp.subtract(first, 0.5, out=second)
    xp.multiply(second, 0.5, out=second)
    xp.power(first, second, out=second)
    xp.multiply(large, second, out=large)
    xp.multiply(large, second, out=large)
    xp.greater_equal(y, _LARGE, out=mask)
    xp.copyto(small, large, where=mask)
    # below 1/2: pi / (sin(pi x) gamma(1 - x))
    _sine(xp, x, large, first, xp.sin)
    xp.equal(large, 0, out=mask)
    xp.fmod(first, 2, out=first)
    xp.absolute(first, out=first)
    xp.multiply(first, -2, out=first)
    xp.add(first, 1, out=first)
    xp.multiply(large, first, out=large)
    xp.multiply(large, small, out=large)
    xp.divide(math.pi, large, out=large)
    xp.copyto(large, math.nan, where=mask)
    xp.equal(x, 0, out=mask)
    xp.copysign(math.inf, x, out=first)
    xp.copyto(large, first, where=mask)
    xp.less(x, 0.5, out=mask)
    xp.copyto(x, small)
    xp.copyto(x, large, where=mask)


def gammaln(xp: Any, x: Any, spaces: Sequence[Any], mask: Any) -> None:
    """The logarithm of |gamma|, infinite at its poles."""
    y, small, large, first, second = spaces
    _reflect(xp, x, y)
    # below 12: down to between 1/2 and 5/2, and Taylor's series at 2; exact near the zeros 1 and 2
    xp.clip(y, 0.5, _LARGE, out=first)
    _step_down(xp, first, 2.5, small, mask)
    xp.less(first, 1.5, out=mask)
    xp.multiply(small, first, out=small, where=mask)
    xp.log(small, out=small)
    xp.negative(small, out=small, where=mask)
    xp.logical_not(mask, out=mask)
    xp.subtract(first, 1, out=first)
    xp.subtract(first, mask, out=first)
    _polynomial(xp, first, _LOG_GAMMA, second)
    xp.add(small, second, out=small)
    # from 12 on
    xp.maximum(y, _LARGE, out=first)
    _inverse_square_series(xp, first, _STIRLING, large, second)
    xp.divide(large, first, out=large)
    xp.add(large, 0.5 * math.log(2 * math.pi), out=large)
    xp.subtract(large, first, out=large)
    xp.log(first, out=second)
    xp.subtract(first, 0.5, out=first)
    xp.multiply(first, second, out=first)
    xp.add(large, first, out=large)
    xp.greater_equal(y, _LARGE, out=mask)
    xp.copyto(small, large, where=mask)
    # below 1/2: log(pi / |sin(pi x)|) - log gamma(1 - x)
    _sine(xp, x, large, first, xp.sin)
    xp.absolute(large, out=large)
    xp.divide(math.pi, large, out=large)
    xp.log(large, out=large)
    xp.subtract(large, small, out=large)
    xp.less(x, 0.5, out=mask)
    xp.copyto(x, small)
    xp.copyto(x, large, where=mask)
    xp.equal(y, math.inf, out=mask)
    xp.copyto(x, math.inf, where=mask)


def digamma(xp: Any, x: Any, spaces: Sequence[Any], mask: Any) -> None:
    """The derivative of log gamma, infinite at its poles."""
    y, result, series, first, second = spaces
    _reflect(xp, x, y)
    result.fill(0)
    for _ in range(_LARGE):  # up to 12: psi(y) = psi(y + 1) - 1/y
        xp.less(y, _LARGE, out=mask)
        xp.divide(mask, y, out=first)
        xp.subtract(result, first, out=result)
        xp.add(y, mask, out=y)
    _inverse_square_series(xp, y, _STIRLING_SLOPE, series, second)
    xp.subtract(result, series, out=result)
    xp.divide(0.5, y, out=first)
    xp.subtract(result, first, out=result)
    xp.log(y, out=first)
    xp.add(result, first, out=result)
    # below 1/2: psi(1 - x) - pi / tan(pi x)
    _sine(xp, x, series, first, xp.tan)
    xp.divide(math.pi, series, out=first)
    xp.subtract(result, first, out=first)
    xp.equal(series, 0, out=mask)
    xp.copyto(first, math.inf, where=mask)
    xp.less(x, 0.5, out=mask)
    xp.copyto(x, result)
    xp.copyto(x, first, where=mask)
    xp.equal(y, math.inf, out=mask)
    xp.copyto(x, math.inf, where=mask)

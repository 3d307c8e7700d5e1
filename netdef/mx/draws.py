"""MXNet's functions of random numbers, for symbols and for arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netdef.mx.fluent import Fluent


class Draws:
    """Random numbers of a law, whose parameters are numbers or tensors.

    Numbers draw `shape` numbers, one where it is left out; tensors, all of one shape, draw `shape` numbers
    for each of their elements.  `dtype` is float32 where it is left out.  `apply(operator, hint, *inputs,
    **values)` applies an operator.
    """

    def __init__(self, apply: Callable[..., Any], with_probabilities: bool) -> None:
        self._apply, self._with_probabilities = apply, with_probabilities

    def _draw(self, law: str, parameters: dict[str, Any], values: dict[str, Any]) -> Any:
        given = {name: value for name, value in values.items() if value is not None}
        tensors = [name for name, value in parameters.items() if isinstance(value, Fluent)]
        if not tensors:
            operator = f"_random_{law}"
            return self._apply(operator, operator, **parameters, **given)
        if len(tensors) < len(parameters):
            kinds = ", ".join(f"{name} is {type(value).__name__}" for name, value in parameters.items())
            raise ValueError(f"the parameters must all be numbers or all be tensors, but {kinds}")
        given.pop("ctx", None)
        return self._apply(f"_sample_{law}", f"_sample_{law}", *parameters.values(), **given)

    def uniform(
        self, low: Any = 0, high: Any = 1, shape: Any = None, dtype: Any = None, **values: Any
    ) -> Any:
        """Numbers between `low` and `high`."""
        return self._draw("uniform", {"low": low, "high": high}, {"shape": shape, "dtype": dtype, **values})

    def normal(
        self, loc: Any = 0, scale: Any = 1, shape: Any = None, dtype: Any = None, **values: Any
    ) -> Any:
        """Normal numbers with the mean `loc` and the standard deviation `scale`."""
        return self._draw("normal", {"loc": loc, "scale": scale}, {"shape": shape, "dtype": dtype, **values})

    def randn(self, *shape: int, loc: Any = 0, scale: Any = 1, **values: Any) -> Any:
        """Normal numbers in an array of the sizes given."""
        return self.normal(loc, scale, shape or None, **values)

    def gamma(
        self, alpha: Any = 1, beta: Any = 1, shape: Any = None, dtype: Any = None, **values: Any
    ) -> Any:
        """Gamma numbers of the shape `alpha` and the scale `beta`."""
        return self._draw("gamma", {"alpha": alpha, "beta": beta}, {"shape": shape, "dtype": dtype, **values})

    def exponential(self, scale: Any = 1, shape: Any = None, dtype: Any = None, **values: Any) -> Any:
        """Exponential numbers with the mean `scale`."""
        return self._draw("exponential", {"lam": 1.0 / scale}, {"shape": shape, "dtype": dtype, **values})

    def poisson(self, lam: Any = 1, shape: Any = None, dtype: Any = None, **values: Any) -> Any:
        """Counts with the mean `lam`."""
        return self._draw("poisson", {"lam": lam}, {"shape": shape, "dtype": dtype, **values})

    def negative_binomial(
        self, k: Any = 1, p: Any = 1, shape: Any = None, dtype: Any = None, **values: Any
    ) -> Any:
        """Failures before `k` successes of the probability `p`."""
        return self._draw("negative_binomial", {"k": k, "p": p}, {"shape": shape, "dtype": dtype, **values})

    def generalized_negative_binomial(
        self, mu: Any = 1, alpha: Any = 1, shape: Any = None, dtype: Any = None, **values: Any
    ) -> Any:
        """Counts with the mean `mu` and the dispersion `alpha`."""
        parameters = {"mu": mu, "alpha": alpha}
        law = "generalized_negative_binomial"
        return self._draw(law, parameters, {"shape": shape, "dtype": dtype, **values})

    def randint(self, low: int, high: int, shape: Any = None, dtype: Any = None, **values: Any) -> Any:
        """Whole numbers from `low` to `high` - 1, int32 where `dtype` is left out."""
        return self._draw("randint", {"low": low, "high": high}, {"shape": shape, "dtype": dtype, **values})

    def multinomial(
        self, data: Any, shape: Any = None, get_prob: bool | None = None, dtype: Any = "int32", **values: Any
    ) -> Any:
        """Numbers of classes, whose probabilities lie along the last axis of `data`.

        With `get_prob` their logarithmic probabilities as well, through which gradients pass: by default for
        symbols, as in MXNet.
        """
        given = {} if shape is None else {"shape": shape}
        wanted = self._with_probabilities if get_prob is None else get_prob
        operator = "_sample_multinomial"
        return self._apply(operator, operator, data, get_prob=wanted, dtype=dtype, **given, **values)

    def shuffle(self, data: Any, **values: Any) -> Any:
        """The slices of `data` along its first axis in random order."""
        return self._apply("_shuffle", "_shuffle", data, **values)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """`uniform_like(data)` and its kin draw as many numbers as `data` has."""
        if not name.endswith("_like"):
            raise AttributeError(f"there is no law {name}")

        def like(data: Any, **values: Any) -> Any:
            return self._apply(f"_random_{name}", name, data, **values)

        return like

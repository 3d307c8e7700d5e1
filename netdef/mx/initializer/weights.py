"""The initializers that say what weights get."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from netdef.mx.generator import generator
from netdef.mx.initializer.base import Initializer, alias, register
from netdef.mx.ndarray import NDArray


@register
@alias("zeros")
class Zero(Initializer):
    """0."""

    _init_weight = Initializer._init_zero


@register
@alias("ones")
class One(Initializer):
    """1."""

    _init_weight = Initializer._init_one


@register
class Constant(Initializer):
    """A number, or an array of the weight's shape."""

    def __init__(self, value: Any) -> None:
        super().__init__(value=value)
        self.value = value

    def _init_weight(self, desc: str, arr: NDArray) -> None:
        arr[:] = self.value if isinstance(self.value, NDArray) else np.asarray(self.value)

    def dumps(self) -> str:
        value = self.value.asnumpy() if isinstance(self.value, NDArray) else np.asarray(self.value)
        return json.dumps([type(self).__name__.lower(), {"value": value.tolist()}])


@register
class Uniform(Initializer):
    """Equally likely numbers from -scale to scale."""

    def __init__(self, scale: float = 0.07) -> None:
        super().__init__(scale=scale)
        self.scale = scale

    def _init_weight(self, desc: str, arr: NDArray) -> None:
        arr[:] = generator().uniform(-self.scale, self.scale, arr.shape)


@register
class Normal(Initializer):
    """Normal numbers of standard deviation `sigma` around 0."""

    def __init__(self, sigma: float = 0.01) -> None:
        super().__init__(sigma=sigma)
        self.sigma = sigma

    def _init_weight(self, desc: str, arr: NDArray) -> None:
        arr[:] = generator().normal(0, self.sigma, arr.shape)


@register
class Orthogonal(Initializer):
    """A matrix of outputs by everything else whose rows, or columns if they are fewer, are orthogonal.

    They have length `scale`.  The matrix comes from the singular vectors of a random one, `rand_type`
    `uniform` or `normal` (Saxe, McClelland and Ganguli 2014).
    """

    def __init__(self, scale: float = 1.414, rand_type: str = "uniform") -> None:
        super().__init__(scale=scale, rand_type=rand_type)
        if rand_type not in ("uniform", "normal"):
            raise ValueError(f"rand_type is {rand_type!r}; legal: uniform, normal")
        self.scale, self.rand_type = scale, rand_type

    def _init_weight(self, desc: str, arr: NDArray) -> None:
        shape = arr.shape[0], math.prod(arr.shape[1:])
        if self.rand_type == "uniform":
            values = generator().uniform(-1, 1, shape)
        else:
            values = generator().normal(0, 1, shape)
        left, _, right = np.linalg.svd(values, full_matrices=False)
        arr[:] = self.scale * (left if left.shape == shape else right).reshape(arr.shape)


@register
class Xavier(Initializer):
    """Numbers of size sqrt(magnitude / factor) (Glorot and Bengio 2010).

    `rnd_type` `uniform` draws up to that size, `gaussian` with that deviation.  The factor is the number of
    inputs of an output (`factor_type` `in`), of outputs of an input (`out`) or their mean (`avg`); weights
    are (outputs, inputs, kernel...).
    """

    def __init__(self, rnd_type: str = "uniform", factor_type: str = "avg", magnitude: float = 3) -> None:
        super().__init__(rnd_type=rnd_type, factor_type=factor_type, magnitude=magnitude)
        for name, value, legal in (
            ("rnd_type", rnd_type, ("uniform", "gaussian")),
            ("factor_type", factor_type, ("avg", "in", "out")),
        ):
            if value not in legal:
                raise ValueError(f"{name} is {value!r}; legal: {', '.join(legal)}")
        self.rnd_type, self.factor_type, self.magnitude = rnd_type, factor_type, float(magnitude)

    def _init_weight(self, desc: str, arr: NDArray) -> None:
        if len(arr.shape) < 2:
            raise ValueError(f"{desc} has shape {arr.shape}; {type(self).__name__} needs outputs and inputs")
        kernel = math.prod(arr.shape[2:])
        fan_in, fan_out = arr.shape[1] * kernel, arr.shape[0] * kernel
        factor = {"in": fan_in, "out": fan_out, "avg": (fan_in + fan_out) / 2}[self.factor_type]
        scale = math.sqrt(self.magnitude / factor)
        if self.rnd_type == "uniform":
            arr[:] = generator().uniform(-scale, scale, arr.shape)
        else:
            arr[:] = generator().normal(0, scale, arr.shape)


@register
class MSRAPrelu(Xavier):
    """Gaussian Xavier of magnitude 2 / (1 + slope^2), for layers before PReLU.

    He, Zhang, Ren and Sun 2015.
    """

    def __init__(self, factor_type: str = "avg", slope: float = 0.25) -> None:
        super().__init__("gaussian", factor_type, 2 / (1 + slope**2))
        self._kwargs = {"factor_type": factor_type, "slope": slope}


@register
class Bilinear(Initializer):
    """The weights of a deconvolution that interpolates, (.., .., rows, columns)."""

    _init_weight = Initializer._init_bilinear


@register
class LSTMBias(Initializer):
    """0, but `forget_bias` for the forget gate, the second of four.

    Jozefowicz, Zaremba and Sutskever 2015.
    """

    def __init__(self, forget_bias: float = 1.0) -> None:
        super().__init__(forget_bias=forget_bias)
        self.forget_bias = forget_bias

    def _init_weight(self, desc: str, arr: NDArray) -> None:
        hidden = arr.shape[0] // 4
        arr[:] = 0
        arr[hidden : 2 * hidden] = self.forget_bias

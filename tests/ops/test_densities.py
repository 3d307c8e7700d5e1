"""Densities at their ends, as MXNet 1.9.1 has them, what follows from their shapes, and what is refused."""

import math

import numpy as np
import pytest
from inference import inferred

from netdef.ops import find
from netdef.ops.shapes import ShapeError, Types

inf, nan = math.inf, math.nan

#: law, parameters, samples, densities; what MXNet 1.9.1 gives, rounded
DENSITIES = [
    ("uniform", {"low": 0, "high": 2}, [0.5, 3], [0.5, 0.5]),
    ("normal", {"mu": 0.7, "sigma": 1.3}, [0.5, -3], [0.303268, 0.005345]),
    ("gamma", {"alpha": 0.7, "beta": 1.3}, [0.5, 3, 0, -1], [0.594956, 0.013477, inf, nan]),
    ("gamma", {"alpha": 1.5, "beta": 1}, [0], [0]),
    ("exponential", {"lam": 0.7}, [0.5, -3], [0.493282, 5.716318]),
    ("poisson", {"lam": 0.7}, [0, 3, 1.5, -1], [0.496585, 0.028388, 0.218779, 0]),
    ("negative_binomial", {"k": 2, "p": 0.3}, [0, 3], [0.09, 0.12348]),
    ("generalized_negative_binomial", {"mu": 2, "alpha": 0.3}, [0, 3], [0.208737, 0.141332]),
]


@pytest.mark.parametrize("is_log", [False, True])
@pytest.mark.parametrize(("law", "parameters", "samples", "expected"), DENSITIES)
def test_densities_at_their_ends(law, parameters, samples, expected, is_log, kernels):
    """Also where the law gives nothing: its formula counts.  The logarithm is that of the density."""
    shapes = {"sample": (1, len(samples)), **dict.fromkeys(parameters, (1,))}
    run = kernels(find(f"_random_pdf_{law}")(is_log=is_log), shapes)
    run.set("sample", [samples])
    for name, value in parameters.items():
        run.set(name, value)

    output = run.forward()["output"]

    with np.errstate(divide="ignore"):
        found = np.exp(output) if is_log else output
    np.testing.assert_allclose(found, [expected], rtol=1e-4)


def test_the_density_of_probabilities(kernels):
    """Dirichlet's, as MXNet 1.9.1 gives it for two samples and one vector of parameters."""
    run = kernels(find("_random_pdf_dirichlet")(), {"sample": (1, 2, 3), "alpha": (1, 3)})
    run.set("sample", [[[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]]])
    run.set("alpha", [[0.7, 1.3, 2]])

    np.testing.assert_allclose(run.forward()["output"], [[2.908273, 4.120290]], rtol=1e-6)


@pytest.mark.parametrize("law", ["poisson", "negative_binomial", "generalized_negative_binomial"])
def test_counts_get_no_gradient(law, kernels):
    """The parameters do."""
    op = find(f"_random_pdf_{law}")()
    run = kernels(op, {"sample": (2, 3), op.inputs[1]: (2,)})
    run.forward()

    gradients = run.backward()

    assert not gradients["dsample"].any()
    assert all(gradients[f"d{name}"].all() for name in op.inputs[1:])


@pytest.mark.parametrize(
    ("law", "known", "tensor", "expected"),
    [
        ("normal", {"sample": (None, 3), "mu": (4,)}, "output", (4, 3)),
        ("normal", {"sample": (4, None), "sigma": (None, 3)}, "mu", (4, 3)),
        ("exponential", {"output": (4, 3), "lam": (None,)}, "lam", (4,)),
        ("dirichlet", {"sample": (4, 5, 3), "alpha": (None, None)}, "alpha", (4, 3)),
        ("dirichlet", {"sample": (None, 5, None), "alpha": (4, 3)}, "output", (4, 5)),
        ("dirichlet", {"sample": (None, None), "output": (4,)}, "sample", (4, None)),
        ("dirichlet", {"sample": (3,)}, "output", (1,)),
    ],
)
def test_parameters_have_the_first_axes(law, known, tensor, expected):
    """In both directions."""
    assert inferred(f"_random_pdf_{law}", {}, **known)[tensor] == expected


@pytest.mark.parametrize(
    ("law", "known", "words"),
    [
        ("normal", {"sample": (4, 3), "mu": (3,)}, "its first axes are those of mu"),
        ("normal", {"sample": (4,), "mu": (4, 3)}, "must have the first axes of sample 4"),
        ("normal", {"mu": (4,), "sigma": (3,)}, "sigma is 3, but mu is 4"),
        ("dirichlet", {"sample": (4, 3), "alpha": (2,)}, "alpha is 2, but sample is 4x3"),
        ("dirichlet", {"sample": (3,), "alpha": (4, 3)}, "must have the first axes of sample 3"),
    ],
)
def test_other_axes_are_refused(law, known, words):
    """The message names the tensors and their shapes."""
    with pytest.raises(ShapeError, match=words):
        inferred(f"_random_pdf_{law}", {}, **known)


def test_whole_numbers_have_no_density():
    """Samples are real numbers, counts as well, as in MXNet."""
    with pytest.raises(ShapeError, match="floating-point numbers are needed"):
        find("_random_pdf_poisson")().types(Types({"sample": "int32", "lam": None, "output": None}))

"""Learning-rate policies against values worked out by hand."""

import math
from types import SimpleNamespace

import pytest

from netdef.spec.solver import SolverSpec
from netdef.train.policies import FACTORS, rate

FIELDS = {
    "base_lr": 2.0,
    "gamma": 0.5,
    "power": 0.75,
    "stepsize": 10,
    "stepvalue": (4, 9, 12),
    "max_iter": 100,
}


@pytest.mark.parametrize(
    ("policy", "iteration", "expected"),
    [
        ("fixed", 50, 2.0),
        ("step", 9, 2.0),
        ("step", 10, 1.0),
        ("step", 29, 0.5),
        ("exp", 3, 0.25),
        ("inv", 2, 2 * 2**-0.75),
        ("multistep", 3, 2.0),
        ("multistep", 4, 1.0),
        ("multistep", 9, 0.5),
        ("multistep", 99, 0.25),
        ("poly", 0, 2.0),
        ("poly", 75, 2 * 0.25**0.75),
        ("poly", 100, 0.0),
        ("sigmoid", 10, 1.0),
        ("sigmoid", 12, 2 / (1 + math.exp(-1))),
        ("sigmoid", 10**6, 2.0),
    ],
)
def test_the_rate_at_an_iteration(policy, iteration, expected):
    """Iterations count from 0; a step falls on its iteration."""
    solver = SimpleNamespace(**FIELDS, lr_policy=policy)

    assert rate(solver, iteration) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("policy", "fields"),
    [
        ("exp", {"gamma": 1e200}),
        ("step", {"gamma": 1e200, "stepsize": 1}),
        ("inv", {"gamma": 1e200, "power": -3.0}),
        ("multistep", {"gamma": 1e200, "stepvalue": (1, 2)}),
    ],
)
def test_a_rate_that_overflows_is_infinite(policy, fields):
    """Python's floats raise where Caffe's become infinite."""
    assert rate(SimpleNamespace(**{**FIELDS, **fields}, lr_policy=policy), 5) == math.inf


def test_every_declared_policy_exists():
    """What the spec accepts can be computed, and nothing else is there."""
    assert set(SolverSpec.fields["lr_policy"].choices) == set(FACTORS)

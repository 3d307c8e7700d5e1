"""Slow references of operators, written from their definitions, one module for each module of `netdef.ops`.

The harness of tests/ops runs every operator of `netdef.ops.catalogue` with the inputs declared here.
"""

import importlib
import math
import pkgutil

import numpy as np

#: name of an operator's class -> function(op, arrays, head gradients) -> outputs, states, gradients by name
REFERENCES = {}
#: class name -> (attributes, input shapes) beside the operator's own examples
MORE = {}
#: class name -> function(op, shapes, random) -> arrays of some inputs, where normal numbers will not do
SAMPLES = {}
#: (test of the harness, class name) -> why it does not hold for this operator
EXEMPT = {}
#: operators that have tests of their own instead of a reference -> where
ELSEWHERE = {}


def reference(*operators, more=()):
    """Declare the reference of one or several operators, and more cases for each."""

    def declare(function):
        for operator in operators:
            assert operator not in REFERENCES, f"{operator} has two references"
            REFERENCES[operator] = function
            MORE[operator] = tuple(more)
        return function

    return declare


def sample(*operators):
    """Declare how inputs of operators are drawn: those that the function does not return stay normal."""

    def declare(function):
        SAMPLES.update(dict.fromkeys(operators, function))
        return function

    return declare


def exempt(test, reason, *operators):
    """Declare that a test of the harness (without `test_`) does not hold for these operators."""
    EXEMPT.update({(test, operator): reason for operator in operators})


def each(function, *arrays):
    """Apply a function of numbers to the elements of arrays of one shape."""
    result = np.empty(arrays[0].shape)
    for place in np.ndindex(result.shape):
        result[place] = function(*(float(array[place]) for array in arrays))
    return result


def mapped(value, slope, x, heads):
    """Output and gradient of a function of each element and its derivative."""
    return {"output": each(value, x["data"]), "ddata": each(slope, x["data"]) * heads["doutput"]}


def lines(array, axis):
    """An array as (before, along, after)."""
    axis %= array.ndim
    return array.reshape(math.prod(array.shape[:axis]), array.shape[axis], -1)


def distribution(line):
    """The softmax of a few numbers."""
    total = math.fsum(math.exp(v) for v in line)
    return np.array([math.exp(v) / total for v in line])


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

"""Calls that are noted in a first pass are made again in others."""

import gc
import math
import weakref

import numpy as np
import pytest

from netdef.ops.arrays import as_one
from netdef.runtime.replay import Recorder, Repeated


def kernel(xp, data, output, factor):
    """Views, universal functions, methods, and an output by name or by position."""
    turned = xp.moveaxis(data, 0, 1)
    xp.copyto(output, 0)
    xp.add(output, turned, out=output)
    xp.multiply(output, factor, output)
    xp.clip(output, -1, math.inf, out=output)
    xp.sum(turned, axis=0, out=output[0])


def expected(data, factor):
    result = np.clip(data.T * factor, -1, None)
    result[0] = data.T.sum(axis=0)
    return result


def test_the_same_calls_with_other_values():
    random = np.random.default_rng(0)
    data, output = random.standard_normal((3, 4)), np.empty((4, 3))
    repeated = Repeated(np, kernel)
    for _ in range(3):
        output.fill(np.nan)
        repeated(np, data, output, 2.5)
        np.testing.assert_array_equal(output, expected(data, 2.5))
        data[...] = random.standard_normal(data.shape)
    assert len(repeated.calls) == 5


def test_what_looks_at_values_is_one_call():
    """It looks at those of each pass, and may do something else then."""

    def double(xp, array):
        if array.min() > 0:
            xp.multiply(array, 2, out=array)

    def looking(xp, data, output):
        xp.copyto(output, data)
        as_one(xp, double, output)
        xp.add(output, 1, out=output)

    data, output = np.ones(3), np.empty(3)
    repeated = Repeated(np, looking)
    for value, right in ((1, 3), (-1, 0), (4, 9)):
        data[...] = value
        repeated(np, data, output)
        assert output.tolist() == [right] * 3
    assert [function for function, _ in repeated.calls] == [np.copyto, double, np.add]
    looking(np, data, output)
    assert output.tolist() == [9] * 3, "without a recorder it is a plain call"


def test_memory_that_is_not_known_is_found_there_too():
    def copying(xp, data, output):
        as_one(xp, lambda xp, values: xp.copyto(output, values), data + 1)

    data, output = np.zeros(2), np.empty(2)
    repeated = Repeated(np, copying)
    for value in (1, 2):
        data[...] = value
        repeated(np, data, output)
        assert output.tolist() == [value + 1] * 2
    assert repeated.calls is None


def test_calls_are_noted_in_order():
    data, output = np.ones((2, 3)), np.zeros((3, 2))
    recorder = Recorder(np, [data, output])
    assert recorder.__name__ == "numpy"
    assert recorder.add(data, 1, out=data) is None, "what a call returns is a value"
    assert recorder.moveaxis(data, 0, 1).shape == (3, 2)
    recorder.copyto(output, data.T)
    functions = [function for function, _ in recorder.calls]
    assert functions == [np.add, np.copyto]
    assert output.tolist() == [[2, 2]] * 3


@pytest.mark.parametrize("name", ["argsort", "zeros", "tensordot"])
def test_what_is_not_known_to_repeat_is_refused(name):
    with pytest.raises(TypeError, match=f"a steady kernel may not call {name}"):
        getattr(Recorder(np, []), name)


def test_what_copies_on_the_way_runs_anew():
    """A copy that `reshape` makes would keep the values of the first pass; a constant is read-only."""
    constant = np.arange(6.0)
    constant.setflags(write=False)

    def copying(xp, data, output):
        xp.add(data.reshape(6), constant, out=output)

    for data in (np.ones((2, 3)), np.ones((3, 2)).T):
        output, repeated = np.empty(6), Repeated(np, copying)
        for value in (1, 5):
            data[...] = value
            repeated(np, data, output)
            assert output.tolist() == [value + number for number in range(6)]
        assert (repeated.calls is None) == (not data.flags.c_contiguous)


def test_nothing_outlives_the_kernel():
    """Memory is free as soon as a plan is: no cycle waits for the collector."""
    gc.collect()
    gc.disable()
    try:
        data, output = np.ones((3, 4)), np.empty((4, 3))
        repeated, held = Repeated(np, kernel), weakref.ref(data)
        for _ in range(2):
            repeated(np, data, output, 2.0)
        del data, repeated
        assert held() is None
    finally:
        gc.enable()


def test_a_pass_that_fails_is_not_kept():
    """The next one notes anew."""
    seen = []

    def failing(xp, array):
        xp.add(array, 1, out=array)
        seen.append(len(seen))
        if len(seen) == 1:
            raise ValueError("no")

    array, repeated = np.zeros(2), Repeated(np, failing)
    with pytest.raises(ValueError, match="no"):
        repeated(np, array)
    for _ in range(3):
        repeated(np, array)
    assert seen == [0, 1]
    assert array.tolist() == [4, 4]

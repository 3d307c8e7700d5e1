"""Depthwise convolution against sums written from the definition."""

import itertools
import tracemalloc

import numpy as np
import pytest

from netdef.ops import depthwise, depthwise_nhwc, find
from netdef.ops.base import kernel_arguments
from netdef.ops.conv_choice import ALGORITHMS

Convolution = find("Convolution")

#: data, filters, kernel, stride, pad, dilate; there are as many groups as channels, or as filters
CASES = [
    ((2, 3, 5, 6), 3, (3, 3), (1, 1), (1, 1), (1, 1)),
    ((1, 3, 7, 8), 3, (3, 3), (2, 2), (1, 1), (1, 1)),
    ((3, 3, 6, 7), 6, (3, 2), (1, 2), (0, 1), (1, 1)),
    ((2, 6, 6, 5), 3, (2, 3), (2, 1), (1, 0), (1, 1)),
    ((2, 2, 9, 9), 2, (3, 3), (2, 2), (2, 2), (2, 2)),
    ((2, 2, 11, 10), 4, (3, 2), (4, 3), (1, 1), (2, 1)),
    ((2, 2, 8, 8), 2, (1, 2), (3, 3), (0, 0), (1, 1)),
    ((2, 2, 9, 7), 2, (5, 5), (2, 1), (2, 2), (1, 1)),
    ((5, 4, 9), 4, (3,), (2,), (1,), (1,)),
    ((2, 2, 4, 5, 4), 2, (2, 3, 2), (1, 2, 1), (0, 1, 1), (1, 1, 2)),
]


def by_definition(case, data, weight, bias, head):
    """Output, gradient of data and of weight: a sum over every window, tap and filter, one by one."""
    shape, filters, kernel, stride, pad, dilate = case
    groups = min(shape[1], filters)
    output = np.zeros(head.shape) + bias.reshape(-1, *(1,) * len(kernel))
    ddata, dweight = np.zeros(data.shape), np.zeros(weight.shape)
    for filter_, place in itertools.product(range(filters), np.ndindex(*head.shape[2:])):
        group = filter_ // (filters // groups)
        for channel, tap in itertools.product(range(weight.shape[1]), np.ndindex(*kernel)):
            at = tuple(o * s - p + t * d for o, s, p, t, d in zip(place, stride, pad, tap, dilate))
            if all(0 <= a < size for a, size in zip(at, shape[2:])):
                source = (slice(None), group * weight.shape[1] + channel, *at)
                target = (slice(None), filter_, *place)
                factor = (filter_, channel, *tap)
                output[target] += data[source] * weight[factor]
                ddata[source] += head[target] * weight[factor]
                dweight[factor] += data[source] @ head[target]
    return {"output": output, "ddata": ddata, "dweight": dweight}


def made(case, kernels, dtype="float64", layout="C", wanted="depthwise"):
    """The operator of a case with its arrays."""
    shape, filters, kernel, stride, pad, dilate = case
    groups = min(shape[1], filters)
    op = Convolution(
        num_filter=filters, kernel=kernel, stride=stride, pad=pad, dilate=dilate, num_group=groups
    )
    run = kernels(op, {"data": shape}, dtype, layout=layout)
    run.op = op.tuned(run.shapes, dtype, wanted)
    return run


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float16", 4e-3), ("float32", 1e-5), ("float64", 1e-12)], ids=str
)
@pytest.mark.parametrize("layout", ["C", "last", "channels", "gaps"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_pass_is_as_defined(case, layout, dtype, tolerance, kernels):
    """Any stride, dilation, number of filters for a channel, and of channels for a filter."""
    run = made(case, kernels, dtype, layout)
    heads = run.head_gradients()
    arrays = [run.arrays[name].astype("float64") for name in ("data", "weight", "bias")]
    results = {**run.forward(), **run.backward(heads)}
    for name, values in by_definition(case, *arrays, heads["doutput"].astype("float64")).items():
        error = np.abs(results[name] - values).max() / np.abs(values).max()
        assert error < tolerance, f"{name}: {error:.1e}"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_blocks_of_groups_and_slabs_of_images(case, kernels, monkeypatch):
    """Blocks of several sizes, which share workspaces, compute what one computes."""
    run = made(case, kernels)
    heads = run.head_gradients()
    whole = {**run.forward(), **run.backward(heads)}
    monkeypatch.setattr(depthwise, "BLOCK", 2 * depthwise._Pieces(run.op._sizes(case[0]))._elements(1))
    monkeypatch.setattr(depthwise, "MANY", 2)
    depthwise._pieces.cache_clear()
    parts = {**run.forward(), **run.backward(heads)}
    depthwise._pieces.cache_clear()
    for name, values in whole.items():
        np.testing.assert_allclose(parts[name], values, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("block", [1, 60, 400])
def test_blocks_of_rows_with_the_channels_last(block, kernels, monkeypatch):
    """Blocks of one row, some of which lie in the padding alone, of several rows, and of several images."""
    monkeypatch.setattr(depthwise_nhwc, "BLOCK", block)
    depthwise_nhwc._plan.cache_clear()
    for case in [*CASES[:2], CASES[4], ((5, 3, 2, 12), 3, (3, 3), (1, 1), (5, 4), (2, 1))]:
        run = made(case, kernels, layout="channels", wanted="depthwise_nhwc")
        assert run.op.choice.forward.name == "depthwise_nhwc"
        arrays = [run.arrays[name] for name in ("data", "weight", "bias")]
        found = run.forward()["output"]
        right = by_definition(case, *arrays, np.zeros(found.shape))["output"]
        np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-12)
    depthwise_nhwc._plan.cache_clear()


@pytest.mark.parametrize("stride", [1, 2])
def test_nothing_is_allocated(stride, kernels):
    """A second call of either kernel takes far less memory than any of its arrays."""
    case = ((4, 32, 20, 20), 32, (3, 3), (stride, stride), (1, 1), (1, 1))
    run = made(case, kernels, "float32")
    arrays = {**run.arrays, **run.forward(), **run.head_gradients()}
    arrays.update((name, run.empty(name)) for name in run.step.writes)
    for kernel, backward in ((run.op.forward, False), (run.op.backward, True)):
        spaces = {
            name: np.zeros(space.shape, space.dtype_for("float32"))
            for name, space in run.op.workspaces(run.shapes, backward).items()
        }
        arguments = kernel_arguments(run.op, kernel, {**arrays, **spaces}, {"xp": np})
        kernel(*arguments)
        elements = np.setbufsize(512)
        tracemalloc.start()
        try:
            kernel(*arguments)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            np.setbufsize(elements)
        assert peak < 2**15


def test_where_it_is_chosen(kernels):
    """For the convolutions of MobileNet in every pass, never for a few groups of many channels."""
    for case in (
        ((1, 512, 14, 14), 512, (3, 3), (1, 1), (1, 1), (1, 1)),
        ((1, 64, 112, 112), 64, (3, 3), (2, 2), (1, 1), (1, 1)),
        ((32, 128, 28, 28), 128, (3, 3), (1, 1), (1, 1), (1, 1)),
    ):
        choice = made(case, kernels, "float32", wanted="").op.choice
        assert {choice.forward.name, choice.data.name, choice.weight.name} == {"depthwise"}
    sizes = Convolution(kernel=5, num_filter=256, num_group=2)._sizes((1, 96, 27, 27))
    assert not ALGORITHMS["depthwise"].serves(sizes, "forward")

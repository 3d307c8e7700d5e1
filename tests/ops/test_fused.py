"""Convolutions that do more than convolve: the same as one operator after the other, by every algorithm."""

import itertools

import numpy as np
import pytest

from netdef.ops.conv_choice import ALGORITHMS, PREPARED, choose
from netdef.ops.convolution import Convolution
from netdef.ops.fused import FusedConvolution

#: attributes and the shape of the data: what each algorithm is best at, and what it finds hard
CASES = [
    ({"kernel": (3, 3), "pad": (1, 1), "num_filter": 5}, (3, 3, 9, 6)),
    ({"kernel": (3, 3), "pad": (1, 1), "num_filter": 32}, (1, 64, 8, 8)),
    ({"kernel": (3, 3), "num_filter": 8, "num_group": 2}, (19, 4, 14, 11)),
    ({"kernel": (5, 5), "pad": (2, 2), "num_filter": 6}, (2, 4, 7, 12)),
    ({"kernel": (1, 1), "num_filter": 70}, (2, 6, 5, 4)),
    ({"kernel": (1, 1), "num_filter": 1024}, (2, 3, 40, 8)),
    ({"kernel": (1, 1), "num_filter": 4, "num_group": 2, "stride": (2, 2)}, (3, 6, 9, 8)),
    ({"kernel": (3, 3), "pad": (1, 1), "num_filter": 6, "num_group": 6}, (9, 6, 10, 9)),
    ({"kernel": (3,), "num_filter": 3, "no_bias": True}, (4, 2, 11)),
    ({"kernel": (2, 3, 2), "num_filter": 4}, (2, 2, 4, 5, 6)),
    ({"kernel": (2, 2), "num_filter": 2, "axis": 2}, (2, 3, 2, 5, 4)),
    ({"kernel": (3, 3), "num_filter": 4, "layout": "NHWC"}, (2, 7, 6, 3)),
    ({"kernel": (), "num_filter": 4}, (3, 5)),
]
DOES = [dict(zip(("sums", "rectifies"), which)) for which in itertools.product((False, True), repeat=2)]


def expected(run, sums, rectifies):
    """A convolution by the plainest algorithm, then the other operators."""
    values = {name: run.arrays.get(name) for name in ("data", "weight", "bias")}
    plain = Convolution(
        **{name: value for name, value in run.op.values().items() if name in Convolution.fields}
    )
    other = type(run)(plain, {"data": values["data"].shape}, run.dtype)
    other.op = plain.tuned(other.shapes, run.dtype, "direct")
    for name in plain.input_names():
        other.set(name, values[name])
    output = other.forward()["output"]
    if sums:
        output = output + run.arrays["addend"]
    return np.maximum(output, 0) if rectifies else output


def tuned(run, wanted, constant=()):
    return run.op.tuned(run.shapes, run.dtype, wanted, constant)


@pytest.mark.parametrize("does", DOES, ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("layout", ["C", "last", "channels", "gaps"])
def test_every_algorithm_computes_the_same(case, does, layout, kernels):
    """With weights that stay the same, too, and with the output in the place of the addend."""
    attributes, data = case
    run = kernels(FusedConvolution(**attributes, **does), {"data": data}, layout=layout)
    right = expected(run, **does)
    for wanted, constant in itertools.product(("", *ALGORITHMS), ((), ("weight", "bias"))):
        run.op = tuned(run, wanted, constant)
        np.testing.assert_allclose(run.forward()["output"], right, rtol=1e-10, atol=1e-10)
        if does["sums"]:
            kept = run.arrays["addend"].copy()
            run.forward(alias=("addend", "output"))
            np.testing.assert_allclose(run.arrays["addend"], right, rtol=1e-10, atol=1e-10)
            run.set("addend", kept)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("wanted", ["", *ALGORITHMS])
def test_in_other_dtypes(wanted, dtype, kernels):
    """Sums are made in float32 at least; weights may stay the same."""
    tolerance = {"float16": 1e-2, "float32": 1e-5}[dtype]
    for (attributes, data), constant in itertools.product(CASES[:8], ((), ("weight",))):
        does = {"sums": True, "rectifies": True}
        run = kernels(FusedConvolution(**attributes, **does), {"data": data}, dtype)
        right = expected(run, **does)
        run.op = tuned(run, wanted, constant)
        assert np.abs(run.forward()["output"] - right).max() < tolerance * right.max()


def test_not_a_number_is_not_rectified(kernels):
    run = kernels(FusedConvolution(kernel=(1, 1), num_filter=2, rectifies=True), {"data": (1, 1, 2, 2)})
    run.arrays["data"][0, 0, 0, 0] = np.nan
    assert np.isnan(run.forward()["output"][0, :, 0, 0]).all()


def test_what_is_prepared(kernels):
    """Winograd's filters are transformed before where weights stay the same; nobody else asks for any."""
    attributes, data = CASES[1]
    run = kernels(FusedConvolution(**attributes), {"data": data})
    assert tuned(run, "winograd").prepared(run.shapes) == {}
    (space,) = tuned(run, "winograd", ("weight",)).prepared(run.shapes).values()
    assert space.shape == (36, 32, 64)
    assert tuned(run, "im2col", ("weight",)).prepared(run.shapes) == {}
    assert tuned(run, "winograd", ("bias",)).prepared(run.shapes) == {}


def test_filters_that_are_transformed_before_cost_less():
    """So that they are taken for smaller maps."""
    sizes = Convolution(kernel=(3, 3), pad=(1, 1), num_filter=512)._sizes((8, 512, 7, 7))
    assert choose(sizes, "float32").forward.name == "im2col"
    assert choose(sizes, "float32", constant=True).forward is PREPARED["winograd"]
    assert choose(sizes, "float32", constant=True).weight.name == choose(sizes, "float32").weight.name

"""Normalisations: what their references do not say."""

import numpy as np
import pytest

from netdef.ops import find
from netdef.ops.backward import Backward
from netdef.ops.shapes import ShapeError

#: operator, attributes, axes of data (N, C, S) over which the output has mean 0 and variance 1
UNIT = [
    ("BatchNorm", {}, (0, 2)),
    ("BatchNorm_v1", {}, (0, 2)),
    ("_contrib_SyncBatchNorm", {}, (0, 2)),
    ("LayerNorm", {}, (2,)),
    ("LayerNorm", {"axis": 0}, (0,)),
    ("InstanceNorm", {}, (2,)),
    ("GroupNorm", {}, (1, 2)),
]
each_norm = pytest.mark.parametrize(("name", "attributes", "axes"), UNIT)


def plain(run):
    """Let gamma be 1 and beta 0."""
    run.set("gamma", 1)
    run.set("beta", 0)
    return run


@each_norm
def test_data_far_from_zero_have_exact_statistics(name, attributes, axes, kernels):
    """Variances are those of centred numbers: 3000 +- 1 in float32 has variance 1, not rounding noise."""
    run = plain(kernels(find(name)(eps=0, **attributes), {"data": (40, 6, 50)}, "float32"))
    run.set("data", run.arrays["data"] + 3000)

    output = run.forward()["output"].astype("float64")

    np.testing.assert_allclose(output.mean(axis=axes), 0, atol=2e-3)
    np.testing.assert_allclose(output.var(axis=axes), 1, atol=1e-3)


@each_norm
def test_half_precision_sums_in_single(name, attributes, axes, kernels):
    """Squares and sums beyond 65504 do not overflow, forward or backward."""
    run = plain(kernels(find(name)(**attributes), {"data": (40, 6, 50)}, "float16"))
    run.set("data", run.arrays["data"] * 1000)

    output = run.forward()["output"].astype("float64")
    gradients = run.backward({"doutput": np.full(output.shape, 5, "float16")})

    np.testing.assert_allclose(output.var(axis=axes), 1, atol=1e-2)
    assert np.isfinite(gradients["ddata"]).all()
    # adding up one by one in float16 would stop at 10240
    assert gradients["dbeta"].astype("float64").sum() == pytest.approx(5 * output.size, rel=1e-3)


@each_norm
def test_statistics_pass_no_gradient(name, attributes, axes):
    """What arrives at the outputs mean and var, or std, is not read."""
    if name != "InstanceNorm":
        attributes = {**attributes, "output_mean_var": True}

    reads = Backward(find(name)(**attributes)).reads

    assert [read for read in reads if read[1:] in ("output", "mean", "var", "std")] == ["doutput"]


@pytest.mark.parametrize(
    ("name", "dtype", "expected"),
    [
        ("BatchNorm", "float16", {"gamma": "float32", "moving_var": "float32", "mean": "float32"}),
        ("BatchNorm", "float64", {"gamma": "float64", "moving_var": "float64", "mean": "float64"}),
        ("LayerNorm", "float16", {"gamma": "float16", "mean": "float16", "std": "float16"}),
        ("GroupNorm", "float16", {"gamma": "float16", "mean": "float16", "std": "float16"}),
    ],
)
def test_the_types_of_parameters_and_statistics(name, dtype, expected, kernels):
    """MXNet keeps those of BatchNorm in float32 for float16 data, and the others in float16."""
    run = kernels(find(name)(output_mean_var=True), {"data": (2, 3, 4)}, dtype)

    assert {tensor: run.types[tensor] for tensor in expected} == expected


# -- BatchNorm ------------------------------------------------


@pytest.mark.parametrize("name", ["BatchNorm", "BatchNorm_v1", "_contrib_SyncBatchNorm"])
def test_moving_averages_move_in_the_backward_pass(name, kernels):
    """A forward pass alone leaves them, as MXNet does; both move by the biased statistics of the batch."""
    run = kernels(find(name)(momentum=0.75, eps=1e-3), {"data": (2, 1)})
    run.set("data", [[1], [5]])
    run.set("moving_mean", 7)
    run.set("moving_var", 8)

    run.forward()
    assert (run.arrays["moving_mean"], run.arrays["moving_var"]) == (7, 8)
    run.backward()

    np.testing.assert_allclose(run.arrays["moving_mean"], 0.75 * 7 + 0.25 * 3)
    np.testing.assert_allclose(run.arrays["moving_var"], 0.75 * 8 + 0.25 * 4)


@pytest.mark.parametrize("attributes", [{"use_global_stats": True}, {}])
def test_moving_averages_stay_where_they_are_used(attributes, kernels):
    """With use_global_stats, or outside training, no pass moves them."""
    run = kernels(find("BatchNorm")(**attributes), {"data": (4, 3)})
    train = bool(attributes)
    run.forward(train)
    run.backward(train=train)

    for name, first in run.first_states.items():
        np.testing.assert_array_equal(run.arrays[name], first)


def test_sums_of_caffe_move_in_the_forward_pass(kernels):
    """Caffe adds a batch while it computes, whether or not a gradient is wanted."""
    run = kernels(find("BatchNorm")(affine=False, statistics="sum"), {"data": (4, 3)})
    run.forward()
    moved = {name: run.arrays[name].copy() for name in run.first_states}
    assert all((moved[name] != first).all() for name, first in run.first_states.items())

    run.backward()

    for name, state in moved.items():
        np.testing.assert_array_equal(run.arrays[name], state)


def test_a_batch_without_variance_moves_the_variance_to_zero(kernels):
    """What is added to the variance does not leak into the average, and it never falls below zero."""
    for eps in (1e-3, 1e-5, 1.0):
        run = kernels(find("BatchNorm")(momentum=0, eps=eps), {"data": (4, 3)}, "float32")
        run.set("data", 1)
        run.forward()
        run.backward()

        assert (run.arrays["moving_var"] >= 0).all()
        np.testing.assert_allclose(run.arrays["moving_var"], 0, atol=1e-6)


def test_initial_statistics_are_named_as_in_mxnet():
    """Mean zero, variance one."""
    assert find("BatchNorm").initial == {"moving_mean": '["zero", {}]', "moving_var": '["one", {}]'}


# -- others ------------------------------------------------


def test_lengths_of_half_precision(kernels):
    """Squares beyond 65504 do not overflow."""
    run = kernels(find("L2Normalization")(), {"data": (2, 500)}, "float16")
    run.set("data", 1000)

    np.testing.assert_allclose(run.forward()["output"], 500**-0.5, rtol=1e-2)
    assert np.isfinite(run.backward()["ddata"]).all()


def test_a_length_of_zero_is_kept_from_zero_by_eps(kernels):
    """The output of zeros is zero, its gradient finite."""
    run = kernels(find("L2Normalization")(), {"data": (2, 3)}, "float32")
    run.set("data", 0)

    assert not run.forward()["output"].any()
    assert np.isfinite(run.backward()["ddata"]).all()


def test_local_responses_of_half_precision(kernels):
    """Squares beyond 65504 do not overflow."""
    run = kernels(find("LRN")(nsize=3, alpha=1.0), {"data": (1, 4, 2, 2)}, "float16")
    run.set("data", 1000)

    output = run.forward()["output"]

    # the channels at the edges have one neighbour, the others two
    scale = 2 + np.array([2, 3, 3, 2]) * 1000.0**2 / 3
    np.testing.assert_allclose(output[0, :, 0, 0], 1000 * scale**-0.75, rtol=1e-2)


@pytest.mark.parametrize(("axes", "shape"), [((0,), (1, 300, 2)), ((0, 2), (1, 300, 1)), ((1,), (4, 1, 2))])
def test_dropout_lets_axes_share_a_fate(axes, shape, kernels):
    """Along the axes all elements are dropped or kept together, forward and backward."""
    run = kernels(find("Dropout")(axes=axes), {"data": (4, 300, 2)})

    output = run.forward()["output"]
    gradient = run.backward()["ddata"]

    assert run.arrays["mask"].shape == shape
    dropped = output == 0
    np.testing.assert_array_equal(dropped, np.broadcast_to(run.arrays["mask"] == 0, output.shape))
    np.testing.assert_array_equal(dropped, gradient == 0)
    if axes != (1,):
        assert 0.3 < dropped.mean() < 0.7


#: operator, attributes, shapes, words of the message
REFUSED = [
    ("BatchNorm", {"axis": 3}, {"data": (2, 3, 4)}, "axis 3 is out of range"),
    ("LayerNorm", {"axis": -4}, {"data": (2, 3, 4)}, "axis -4 is out of range"),
    ("LayerNorm", {}, {"data": (2, 3), "gamma": (2,)}, "gamma is 2, but data 2x3 has 3 numbers along axis 1"),
    ("GroupNorm", {"num_groups": 3}, {"data": (2, 4, 3)}, "4 channels, which do not form 3 groups"),
    ("GroupNorm", {"num_groups": 2}, {"data": (2, 4, 3), "beta": (4,)}, "2 groups of channels"),
    ("GroupNorm", {}, {"data": (2, 4)}, "(batch, channels, spatial axes...) is needed"),
    ("InstanceNorm", {}, {"data": (2, 4)}, "(batch, channels, spatial axes...) is needed"),
    ("L2Normalization", {"mode": "channel"}, {"data": (2, 4)}, "spatial axes...) is needed"),
    ("Dropout", {"axes": (2,)}, {"data": (2, 4)}, "axes 2 is out of range"),
]


@pytest.mark.parametrize(("name", "attributes", "shapes", "words"), REFUSED)
def test_shapes_that_do_not_fit_are_refused(name, attributes, shapes, words, kernels):
    """One message with the numbers."""
    with pytest.raises(ShapeError) as refused:
        kernels(find(name)(**attributes), shapes)

    assert words in refused.value.message

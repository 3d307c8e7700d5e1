"""Convolution against loops written from the definition."""

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netdef.ops import conv_blocks, im2col, overlap, winograd
from netdef.ops.base import kernel_arguments
from netdef.ops.convolution import Convolution, ConvolutionV1
from netdef.ops.shapes import ShapeError, Shapes


def products(data, weight, stride, pad, dilate, groups):
    """Every product in a convolution: the places of an element of the output, the data and the weight."""
    rank = data.ndim - 2
    reach = [d * (k - 1) + 1 for d, k in zip(dilate, weight.shape[2:])]
    counts = [(n + 2 * p - r) // s + 1 for n, p, r, s in zip(data.shape[2:], pad, reach, stride)]
    filters, per_group = weight.shape[:2]
    for image, out, inner in itertools.product(range(data.shape[0]), range(filters), range(per_group)):
        channel = out // (filters // groups) * per_group + inner
        for window in itertools.product(*map(range, counts)):
            for tap in itertools.product(*map(range, weight.shape[2:])):
                place = tuple(window[a] * stride[a] - pad[a] + tap[a] * dilate[a] for a in range(rank))
                if all(0 <= x < n for x, n in zip(place, data.shape[2:])):
                    yield (image, out, *window), (image, channel, *place), (out, inner, *tap)


def check(run, stride, pad, dilate, groups):
    """Compare a run's output and gradients with the sums of products."""
    data, weight = run.arrays["data"], run.arrays["weight"]
    output = run.forward()["output"]
    heads = run.head_gradients()
    upper = heads["doutput"]
    gradients = run.backward(heads)
    expected = {
        "output": np.zeros(output.shape),
        "ddata": np.zeros(data.shape),
        "dweight": np.zeros(weight.shape),
    }
    for above, below, factor in products(data, weight, stride, pad, dilate, groups):
        expected["output"][above] += data[below] * weight[factor]
        expected["ddata"][below] += upper[above] * weight[factor]
        expected["dweight"][factor] += upper[above] * data[below]
    if "bias" in run.arrays:
        expected["dbias"] = np.zeros(weight.shape[0])
        for place in np.ndindex(*output.shape):
            expected["output"][place] += run.arrays["bias"][place[1]]
            expected["dbias"][place[1]] += upper[place]
    for name, values in expected.items():
        np.testing.assert_allclose({"output": output, **gradients}[name], values, rtol=1e-11, atol=1e-11)


#: kernel, stride, pad, dilate, groups, data
CASES = [
    ((3, 3), (1, 1), (0, 0), (1, 1), 1, (2, 3, 5, 4)),
    ((5, 5), (1, 1), (2, 2), (1, 1), 1, (2, 2, 4, 4)),
    ((3, 2), (2, 1), (1, 2), (1, 2), 2, (2, 4, 5, 4)),
    ((2, 3), (3, 2), (0, 1), (2, 1), 1, (3, 2, 6, 5)),
    ((1, 1), (1, 1), (0, 0), (1, 1), 1, (3, 4, 3, 2)),
    ((1, 1), (1, 1), (0, 0), (1, 1), 2, (2, 4, 3, 2)),
    ((1, 1), (2, 2), (0, 0), (1, 1), 1, (2, 3, 4, 5)),
    ((1, 1), (1, 1), (1, 0), (1, 1), 1, (2, 2, 3, 3)),
    ((3, 3), (1, 1), (1, 1), (1, 1), 4, (2, 4, 4, 4)),
    ((4, 4), (1, 1), (0, 0), (1, 1), 1, (2, 3, 4, 4)),
    ((2, 2), (3, 3), (0, 0), (1, 1), 1, (1, 1, 6, 6)),
    ((2,), (1,), (1,), (1,), 1, (3, 2, 5)),
    ((3,), (2,), (0,), (2,), 2, (2, 2, 8)),
    ((2, 1, 2), (1, 2, 1), (1, 0, 0), (1, 1, 2), 1, (2, 2, 3, 3, 3)),
    ((1, 2, 1, 2), (1, 1, 1, 1), (0, 0, 0, 1), (1, 1, 1, 1), 1, (1, 2, 2, 2, 2, 2)),
]


@pytest.mark.parametrize("layout", ["C", "last", "channels", "gaps"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_sums_of_products(case, layout, kernels):
    """Output and gradients over 1 to 4 spatial axes, in any memory layout."""
    kernel, stride, pad, dilate, groups, data = case
    op = Convolution(kernel=kernel, stride=stride, pad=pad, dilate=dilate, num_group=groups, num_filter=4)

    check(kernels(op, {"data": data}, layout=layout), stride, pad, dilate, groups)


@pytest.fixture
def cut(monkeypatch):
    """Sets how large blocks and bands may be; plans made before or meanwhile are forgotten."""
    plans = (im2col._plan, im2col._sums, overlap._plan, winograd._plan)

    def set_sizes(block, band):
        monkeypatch.setattr(conv_blocks, "BLOCK", block)
        monkeypatch.setattr(conv_blocks, "WHOLE", block)
        monkeypatch.setattr(conv_blocks, "BAND", band)
        monkeypatch.setattr(winograd, "BLOCK", block)
        for plan in plans:
            plan.cache_clear()

    yield set_sizes
    for plan in plans:
        plan.cache_clear()


@pytest.mark.parametrize("wanted", ["im2col", "overlap", "winograd"])
@pytest.mark.parametrize("layout", ["C", "last", "channels", "gaps"])
@pytest.mark.parametrize(("block", "band"), [(1, 1), (200, 1), (1000, 300), (10**6, 10**6)])
def test_pieces_of_any_size(block, band, layout, wanted, kernels, cut):
    """Bands and blocks that do not divide the rows evenly, single rows and parts of rows included."""
    cut(block, band)
    op = Convolution(kernel=(3, 3), pad=(1, 1), num_filter=4, num_group=2)
    run = kernels(op, {"data": (5, 2, 7, 8)}, layout=layout)
    run.op = op.tuned(run.shapes, "float64", wanted)

    check(run, (1, 1), (1, 1), (1, 1), 2)


@pytest.mark.parametrize("wanted", ["im2col", "overlap"])
@pytest.mark.parametrize("data", [(3, 2, 9), (3, 2, 4, 3, 5)])
def test_pieces_over_any_number_of_axes(data, wanted, kernels, cut):
    """One spatial axis, which has no second one to cut, and three; a wide batch, padding beyond the data."""
    cut(60, 40)
    rank = len(data) - 2
    op = Convolution(kernel=(3,) * rank, pad=(3,) * rank, num_filter=4, num_group=2)
    run = kernels(op, {"data": data}, layout="last")
    run.op = op.tuned(run.shapes, "float64", wanted)

    check(run, (1,) * rank, (3,) * rank, (1,) * rank, 2)


@settings(max_examples=40, deadline=None)
@given(drawn=st.data())
def test_any_attributes(drawn, kernels):
    """Attributes drawn at random, as far as a window fits."""
    draw = drawn.draw
    rank = draw(st.integers(1, 2))

    def numbers(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(rank))

    kernel, stride, pad, dilate = numbers(1, 3), numbers(1, 3), numbers(0, 2), numbers(1, 2)
    least = [max(1, d * (k - 1) + 1 - 2 * p) for d, k, p in zip(dilate, kernel, pad)]
    sizes = tuple(low + draw(st.integers(0, 3)) for low in least)
    groups = draw(st.sampled_from((1, 2)))
    op = Convolution(
        kernel=kernel, stride=stride, pad=pad, dilate=dilate, num_group=groups, num_filter=2, no_bias=True
    )

    check(kernels(op, {"data": (2, 2, *sizes)}), stride, pad, dilate, groups)


@pytest.mark.parametrize(("axis", "shape"), [(0, (3, 4, 4)), (2, (2, 2, 3, 4, 4)), (-3, (2, 2, 3, 4, 4))])
@pytest.mark.parametrize("layout", ["C", "gaps"])
def test_axis_of_the_channels(axis, shape, layout, kernels):
    """All axes before the channels are batch axes: the same numbers as with one."""
    op = Convolution(kernel=(3, 2), num_filter=2, axis=axis)
    run = kernels(op, {"data": shape}, layout=layout)
    plain = kernels(
        Convolution(kernel=(3, 2), num_filter=2), {"data": (int(np.prod(shape[:-3])), *shape[-3:])}
    )
    for name, array in plain.arrays.items():
        array[...] = run.arrays[name].reshape(array.shape)
    heads = run.head_gradients()

    output, expected = run.forward()["output"], plain.forward()["output"]
    assert output.shape == (*shape[:-3], 2, 2, 3)
    np.testing.assert_allclose(output.reshape(expected.shape), expected, rtol=1e-12)
    gradients, others = (
        run.backward(heads),
        plain.backward({"doutput": heads["doutput"].reshape(expected.shape)}),
    )
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient.reshape(others[name].shape), others[name], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("layout", "data"), [("NWC", (2, 6, 4)), ("NHWC", (2, 5, 6, 4)), ("NDHWC", (2, 3, 4, 3, 4))]
)
@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("memory", ["C", "gaps"])
def test_channels_last(layout, data, size, memory, kernels):
    """Data, weight, output and their gradients are those of the channels second, with the axis moved."""
    attributes = {"kernel": (size,) * (len(data) - 2), "num_filter": 6, "num_group": 2, "stride": size}
    last = kernels(Convolution(layout=layout, **attributes), {"data": data}, layout=memory)
    first = kernels(Convolution(**attributes), {"data": (data[0], data[-1], *data[1:-1])})
    for name in ("data", "weight"):
        first.set(name, np.moveaxis(last.arrays[name], -1, 1))
    first.set("bias", last.arrays["bias"])
    heads = last.head_gradients()

    output = last.forward()["output"]
    np.testing.assert_allclose(np.moveaxis(output, -1, 1), first.forward()["output"], rtol=1e-12)
    gradients = last.backward(heads)
    expected = first.backward({"doutput": np.moveaxis(heads["doutput"], -1, 1)})
    for name, gradient in gradients.items():
        turned = gradient if name == "dbias" else np.moveaxis(gradient, -1, 1)
        np.testing.assert_allclose(turned, expected[name], rtol=1e-11, atol=1e-12)


def test_no_spatial_axes(kernels):
    """With no spatial axes it is a fully connected layer, as in Caffe."""
    run = kernels(Convolution(kernel=(), num_filter=3), {"data": (4, 5)})

    expected = run.arrays["data"] @ run.arrays["weight"].T + run.arrays["bias"]
    np.testing.assert_allclose(run.forward()["output"], expected, rtol=1e-12)


def test_an_empty_batch(kernels):
    """No images give no output, and gradients of the parameters that are zero."""
    for kernel in ((3, 3), (1, 1)):
        run = kernels(Convolution(kernel=kernel, num_filter=2), {"data": (0, 3, 4, 4)})
        assert run.forward()["output"].shape == (0, 2, 5 - kernel[0], 5 - kernel[0])
        gradients = run.backward()
        assert not gradients["dweight"].any()
        assert not gradients["dbias"].any()


@pytest.mark.parametrize(
    ("filters", "kernel", "data"),
    [(20, (5, 5), (64, 1, 28, 28)), (50, (5, 5), (64, 20, 12, 12))],
    ids=["conv1", "conv2"],
)
def test_lenet_allocates_no_array(filters, kernel, data, kernels):
    """A pass takes next to nothing beyond the plan's buffers; numpy's iterators buffer 8192 elements."""
    op = Convolution(kernel=kernel, num_filter=filters)
    run = kernels(op, {"data": data}, "float32")
    run.forward()
    gradients, heads = {name: run.empty(name) for name in run.step.writes}, run.head_gradients()
    calls = []
    for kernel_, backward in ((op.forward, False), (op.backward, True)):
        spaces = {
            name: np.zeros(space.shape, "float32")
            for name, space in op.workspaces(run.shapes, backward).items()
        }
        arrays = {**run.arrays, **heads, **gradients, **spaces}
        calls.append((kernel_, kernel_arguments(op, kernel_, arrays, {"xp": np})))

    tracemalloc.start()
    try:
        for kernel_, arguments in calls:
            kernel_(*arguments)
        numpys = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
        left = sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([numpys]).traces)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert left == 0
    # The buffers of an addition's three operands, and the views as Python objects, whose size varies.
    assert peak < 3 * 8192 * 4 + 32 * 1024


# -- shapes ------------------------------------------------


def inferred(op, **known):
    """What the shape rule learns from some shapes."""
    shapes = Shapes({name: known.get(name) for name in (*op.input_names(), "output")})
    op.shape(shapes)
    return shapes.known


def test_shapes_forwards():
    """One number stands for every spatial axis; the sizes are rounded down."""
    op = Convolution(kernel=3, num_filter=8, stride=2, pad=1, num_group=2)

    assert inferred(op, data=(4, 6, 10, 7)) == {
        "data": (4, 6, 10, 7),
        "weight": (8, 3, 3, 3),
        "bias": (8,),
        "output": (4, 8, 5, 4),
    }


def test_shapes_backwards():
    """The batch follows from the output, and the spatial sizes where the stride is 1 (as in MXNet)."""
    op = Convolution(kernel=(3, 3), num_filter=8, stride=(1, 2), pad=(0, 1))

    known = inferred(op, data=(None, 3, None, None), output=(4, None, 5, 6))
    assert known["data"] == (4, 3, 7, None)
    assert known["output"] == (4, 8, 5, 6)
    assert inferred(op)["bias"] is None, "MXNet says nothing before the data are known"
    assert inferred(op, data=(None, None, None, None))["bias"] == (8,)
    assert inferred(op, data=(4, None, 9, 9))["weight"] == (8, None, 3, 3)


def test_string_attributes():
    """MXNet's string forms, empty tuples and all."""
    op = Convolution(kernel="(3, 3)", num_filter="2", stride="()", no_bias="True")

    assert op.input_names() == ("data", "weight")
    assert inferred(op, data=(1, 1, 5, 5))["output"] == (1, 2, 3, 3)


@pytest.mark.parametrize(
    ("attributes", "data", "kind", "attribute", "message"),
    [
        ({"kernel": 5}, (1, 1, 4, 4), "kernel-larger-than-padded-input", "kernel", "kernel 5x5 does not fit"),
        (
            {"kernel": 3, "num_group": 2},
            (1, 3, 4, 4),
            "group-not-dividing-channels",
            "num_group",
            "2 groups do not divide 3 channels",
        ),
        (
            {"kernel": 3, "num_group": 3},
            None,
            "group-not-dividing-channels",
            "num_group",
            "3 groups do not divide 4 filters",
        ),
        (
            {"kernel": 3, "stride": (1, 1, 1)},
            (1, 3, 4, 4),
            "shape-mismatch",
            "stride",
            "stride has 3 numbers",
        ),
        (
            {"kernel": ()},
            (1, 3, 4, 4),
            "shape-mismatch",
            "kernel",
            "kernel is missing, but data has 2 spatial axes",
        ),
        ({"kernel": 3, "axis": 5}, (1, 3, 4, 4), "shape-mismatch", "axis", "axis 5 is out of range"),
        ({"kernel": 3}, (1, 0, 4, 4), "shape-mismatch", "", "data has no channels"),
        (
            {"kernel": 3, "layout": "NCW"},
            (1, 3, 4, 4),
            "shape-mismatch",
            "layout",
            "data is 1x3x4x4 with 4 axes, but layout NCW has 3",
        ),
    ],
)
def test_what_is_refused(attributes, data, kind, attribute, message):
    """Each wrong attribute is named with the numbers that make it wrong."""
    with pytest.raises(ShapeError, match=message) as caught:
        inferred(Convolution(num_filter=4, **attributes), data=data)

    assert (caught.value.kind, caught.value.attribute) == (kind, attribute)


def test_a_weight_of_another_shape_is_refused():
    """The message has both shapes."""
    with pytest.raises(ShapeError, match=r"weight is 4x3x5x5, but .* 4x3x3x3") as caught:
        inferred(Convolution(kernel=(3, 3), num_filter=4), data=(1, 3, 8, 8), weight=(4, 3, 5, 5))

    assert caught.value.tensor == "weight"


def test_channels_last_of_the_weight():
    """The weight has its channels last, too; both directions."""
    op = Convolution(kernel=(3, 2), num_filter=4, num_group=2, layout="NHWC")

    known = inferred(op, data=(None, 5, 6, 8), output=(7, None, None, None))
    assert known["weight"] == (4, 3, 2, 4)
    assert known["output"] == (7, 3, 5, 4)
    assert known["data"] == (7, 5, 6, 8)


def test_advice_for_other_backends_is_kept():
    """It changes nothing and survives."""
    op = Convolution(kernel=1, num_filter=1, workspace=256, cudnn_tune="off", cudnn_off=True)

    assert (op.workspace, op.cudnn_tune, op.cudnn_off) == ("256", "off", "True")


def test_layouts_that_onnx_can_say():
    """Channels second is what ONNX means; channels last cannot be said."""
    (table,) = Convolution.onnx
    for layout, lost in ((None, []), ("NCHW", []), ("NHWC", ["layout"])):
        assert table.write(Convolution(kernel=(1, 1), num_filter=1, layout=layout).values())[1] == lost


def test_multiply_accumulates():
    """conv1 of AlexNet: 55 x 55 windows of 3 x 11 x 11, 96 filters; groups divide the work."""
    op = Convolution(kernel=(11, 11), stride=(4, 4), num_filter=96)
    shapes = Shapes({"data": (1, 3, 227, 227), "weight": None, "bias": None, "output": None})
    op.shape(shapes)
    assert op.macs(shapes) == 55 * 55 * 96 * 3 * 11 * 11
    assert op.flops(shapes) == 2 * op.macs(shapes) + 55 * 55 * 96


def test_the_first_version_computes_the_same(kernels):
    """Files of old MXNet name it; only its name differs."""
    attributes, shapes = {"kernel": (3, 2), "num_filter": 4, "pad": (1, 0)}, {"data": (2, 3, 5, 4)}
    found = []
    for operator in (Convolution, ConvolutionV1):
        run = kernels(operator(**attributes), shapes)
        found.append({**run.forward(), **run.backward()})
    for name, expected in found[0].items():
        np.testing.assert_array_equal(found[1][name], expected)

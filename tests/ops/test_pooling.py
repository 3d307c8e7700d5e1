"""Pooling against loops written from the definition."""

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netdef.ops import apart_pooling, find, joined_pooling, max_gradient, max_pooling
from netdef.ops.arrays import copy_rows
from netdef.ops.base import kernel_arguments
from netdef.ops.map_order import order_of
from netdef.ops.pooling import Pooling
from netdef.ops.shapes import ShapeError, Shapes, Types

LOWEST = np.finfo("float32").min


def windows_of(window, kernel, stride, pad, sizes):
    """The places of one window that lie on the input, and the volumes that an average may divide by."""
    spans = [range(o * s - p, o * s - p + k) for o, k, s, p in zip(window, kernel, stride, pad)]
    clipped = [[x for x in span if x < n + p] for span, n, p in zip(spans, sizes, pad)]
    places = [p for p in itertools.product(*spans) if all(0 <= x < n for x, n in zip(p, sizes))]
    return places, int(np.prod([len(span) for span in clipped])), len(places)


def expected_of(run, kernel, stride, pad, upper):
    """Output and gradient, one window after the other."""
    op, data = run.op, run.arrays["data"]
    output, ddata = np.zeros(upper.shape), np.zeros(data.shape)
    for place in np.ndindex(*upper.shape):
        image, window = place[:2], place[2:]
        places, padded, plain = windows_of(window, kernel, stride, pad, data.shape[2:])
        values = [data[image + p] for p in places]
        if op.pool_type == "max":
            best = max(values, default=np.finfo(data.dtype).min)
            output[place] = best
            if places:
                ddata[image + places[values.index(best)]] += upper[place]
            continue
        divisor = 1 if op.pool_type == "sum" else max(1, padded if op.count_include_pad else plain)
        output[place] = sum(values) / divisor
        for p in places:
            ddata[image + p] += upper[place] / divisor
    return output, ddata


def check(run, kernel, stride, pad):
    """Compare a run with the loops."""
    heads = run.head_gradients()
    output = run.forward()["output"]
    ddata = run.backward(heads)["ddata"]
    values, gradient = expected_of(run, kernel, stride, pad, heads["doutput"])
    np.testing.assert_allclose(output, values, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ddata, gradient, rtol=1e-12, atol=1e-12)


#: kernel, stride, pad, data
CASES = [
    ((2, 2), (2, 2), (0, 0), (2, 2, 4, 6)),
    ((2, 2), (2, 2), (0, 0), (2, 2, 5, 5)),
    ((3, 3), (2, 2), (1, 1), (2, 1, 6, 7)),
    ((2, 3), (1, 3), (1, 2), (1, 2, 4, 5)),
    ((1, 2), (2, 1), (0, 0), (1, 2, 4, 3)),
    ((3,), (2,), (1,), (2, 2, 7)),
    ((4,), (5,), (0,), (2, 2, 10)),
    ((3,), (3,), (1,), (2, 2, 8)),
    ((2, 2, 2), (2, 1, 2), (0, 1, 0), (1, 2, 3, 2, 5)),
]


@pytest.mark.parametrize("layout", ["C", "last", "channels", "gaps"])
@pytest.mark.parametrize("rule", ["valid", "full", "clip", "same"])
@pytest.mark.parametrize("kind", ["max", "avg", "sum"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_window_by_window(case, kind, rule, layout, kernels):
    """Output and gradient over 1 to 3 axes for each rule, in any memory layout; values are tied."""
    kernel, stride, pad, data = case
    op = Pooling(kernel=kernel, stride=stride, pad=pad, pool_type=kind, pooling_convention=rule)
    run = kernels(op, {"data": data}, layout=layout)
    run.arrays["data"][...] = np.round(run.arrays["data"])

    check(run, kernel, stride, pad)


@settings(max_examples=60, deadline=None)
@given(drawn=st.data())
def test_any_attributes(drawn, kernels):
    """Attributes drawn at random, as far as a window fits."""
    draw = drawn.draw
    rank = draw(st.integers(1, 2))
    kernel = tuple(draw(st.integers(1, 4)) for _ in range(rank))
    stride = tuple(draw(st.integers(1, 4)) for _ in range(rank))
    pad = tuple(draw(st.integers(0, k - 1)) for k in kernel)
    sizes = tuple(max(1, k - 2 * p) + draw(st.integers(0, 4)) for k, p in zip(kernel, pad))
    op = Pooling(
        kernel=kernel,
        stride=stride,
        pad=pad,
        pool_type=draw(st.sampled_from(("max", "avg", "sum"))),
        pooling_convention=draw(st.sampled_from(("valid", "full", "clip", "same"))),
        count_include_pad=draw(st.booleans()),
    )
    run = kernels(op, {"data": (1, 2, *sizes)})
    run.arrays["data"][...] = np.round(run.arrays["data"])

    check(run, kernel, stride, pad)


@pytest.mark.parametrize("kind", ["max", "avg", "sum"])
def test_global_pool(kind, kernels):
    """One window over each map; kernel, stride and pad are ignored, as in MXNet."""
    op = Pooling(kernel=(7, 7), stride=(2, 2), pad=(9, 9), global_pool=True, pool_type=kind)

    check(kernels(op, {"data": (2, 3, 3, 4)}), (3, 4), (1, 1), (0, 0))


def test_windows_of_many_elements(kernels):
    """More taps than fit into a byte."""
    op = Pooling(kernel=(17, 16), pad=(3, 3), stride=(4, 4))

    check(kernels(op, {"data": (1, 1, 20, 19)}), (17, 16), (4, 4), (3, 3))


# -- particular values of max ------------------------------------------------


def max_of(values, kernels, dtype="float32", **attributes):
    """Output and gradient (of a head gradient of ones) of max pooling over one map."""
    values = np.array(values, dtype)
    run = kernels(Pooling(**attributes), {"data": (1, 1, *values.shape)}, dtype)
    run.arrays["data"][0, 0] = values
    output = run.forward()["output"]
    return output[0, 0].tolist(), run.backward({"doutput": np.ones_like(output)})["ddata"][0, 0].tolist()


def test_the_first_of_tied_maxima_gets_the_gradient(kernels):
    """First in row-major order, for the whole gradient; windows that overlap add theirs up."""
    _, gradient = max_of([[1, 1, 1], [1, 1, 1], [1, 1, 1]], kernels, kernel=(2, 2))
    assert gradient == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    _, gradient = max_of([[0, 2], [2, 1]], kernels, kernel=(2, 2))
    assert gradient == [[0, 1], [0, 0]]


def test_padding_never_wins(kernels):
    """However low the numbers are."""
    output, gradient = max_of([[-1, -2], [-1e38, LOWEST]], kernels, kernel=(2, 2), stride=(2, 2), pad=(1, 1))
    assert output == [[-1, -2], [float(np.float32(-1e38)), LOWEST]]
    assert gradient[0] == [1, 1]
    assert gradient[1][0] == 1


def test_not_a_number_comes_through(kernels):
    """A NaN makes its windows NaN, wherever it stands in them; the other windows are as without it."""
    for place in range(4):
        values = [5.0, 1.0, 2.0, 3.0, 9.0, 1.0]
        values[place] = np.nan
        output, _ = max_of(values, kernels, kernel=(4,), stride=(2,))
        assert np.isnan(output[0])
        assert np.isnan(output[1]) == (place >= 2)


def test_windows_without_elements(kernels):
    """Caffe and MXNet count windows beyond the input where there is no padding; their maximum is lowest."""
    output, gradient = max_of([1, 2, 3, 4], kernels, kernel=(1,), stride=(2,), pooling_convention="clip")
    assert output == [1, 3, LOWEST]
    assert gradient == [1, 0, 1, 0]
    run = kernels(
        Pooling(kernel=(1,), stride=(2,), pooling_convention="full", pool_type="avg"), {"data": (1, 1, 4)}
    )
    assert run.forward()["output"][0, 0, 2] == 0


def test_the_average_divides_by_the_padded_window(kernels):
    """Caffe and MXNet count padding, and not what lies beyond it."""
    attributes = {"kernel": (3,), "stride": (2,), "pad": (1,), "pool_type": "avg"}
    run = kernels(Pooling(**attributes, pooling_convention="clip"), {"data": (1, 1, 4)})
    run.arrays["data"][...] = 6
    assert run.forward()["output"].ravel().tolist() == [4, 6, 3]
    run = kernels(
        Pooling(**attributes, pooling_convention="clip", count_include_pad=False), {"data": (1, 1, 4)}
    )
    run.arrays["data"][...] = 6
    assert run.forward()["output"].ravel().tolist() == [6, 6, 6]


@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize("pad", [0, 1])
def test_no_array_is_allocated(kind, pad, kernels):
    """A pass over a megabyte takes next to nothing beyond the plan's buffers; numpy's iterators buffer."""
    op = Pooling(kernel=(3, 3), stride=(2, 2), pad=(pad, pad), pool_type=kind)
    run = kernels(op, {"data": (32, 20, 24, 24)}, "float32")
    run.forward()
    heads, gradients = run.head_gradients(), {"ddata": run.empty("ddata")}
    calls = []
    for kernel, backward in ((op.forward, False), (op.backward, True)):
        spaces = op.workspaces(run.shapes, backward)
        arrays = {name: np.zeros(space.shape, space.dtype or "float32") for name, space in spaces.items()}
        calls.append(
            (kernel, kernel_arguments(op, kernel, {**run.arrays, **heads, **gradients, **arrays}, {"xp": np}))
        )
    tracemalloc.start()
    try:
        for kernel, arguments in calls:
            kernel(*arguments)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 3 * 8192 * 4 + 8 * 1024  # three operands of an addition, and the views as Python objects


@pytest.mark.parametrize("power", [2, 3])
def test_lp_that_is_zero_passes_no_gradient(power, kernels):
    """Neither where all elements are zero nor where odd powers cancel out; nothing is divided by zero."""
    run = kernels(
        Pooling(kernel=(2,), stride=(2,), pool_type="lp", p_value=power), {"data": (1, 1, 6)}, "float32"
    )
    run.set("data", [0, 0, 1, -1, 3, 0])

    output = run.forward()["output"].ravel().tolist()
    gradient = run.backward({"doutput": np.ones((1, 1, 3), "float32")})["ddata"].ravel()

    assert output == pytest.approx([0, 2**0.5 if power == 2 else 0, 3])
    assert gradient[:2].tolist() == [0, 0]
    assert np.isfinite(gradient).all()
    assert gradient[4] == pytest.approx(1)


def test_none_counts_the_padding():
    """MXNet's default in so many words."""
    for value in (None, "None", True, "True"):
        assert Pooling(kernel=2, count_include_pad=value).count_include_pad is True
    assert Pooling(kernel=2, count_include_pad="False").count_include_pad is False


@pytest.mark.parametrize("name", ["Pooling", "Pooling_v1"])
def test_whole_numbers_are_refused(name):
    """As in MXNet; an average of them would be none."""
    types = Types({"data": "int32", "output": None, "winner": None})

    with pytest.raises(ShapeError, match="data is int32, but floating-point numbers") as caught:
        find(name)(kernel=2).types(types)

    assert caught.value.kind == "dtype-mismatch"


def test_the_first_pooling_pads_maxima_with_zeros(kernels):
    """Pooling_v1: padding wins over negative numbers, and a window beyond it has no maximum at all."""
    run = kernels(find("Pooling_v1")(kernel=(2,), stride=(2,), pad=(1,)), {"data": (1, 1, 3)})
    run.set("data", [-1, -2, -3])
    assert run.forward()["output"].ravel().tolist() == [0, -2]
    run = kernels(
        find("Pooling_v1")(kernel=(1,), stride=(2,), pooling_convention="full"), {"data": (1, 1, 2)}
    )
    assert run.forward()["output"].ravel()[1] == -np.inf


# -- shapes ------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("stride", [2, 1])
@pytest.mark.parametrize("layout", ["C", "last", "channels", "gaps"])
def test_gradients_that_are_not_finite_reach_the_winners_alone(layout, stride, dtype, kernels):
    """Whether windows overlap or not: what loses gets 0."""
    run = kernels(Pooling(kernel=(2, 2), stride=stride), {"data": (3, 2, 6, 4)}, dtype, layout)
    run.forward()
    heads = run.head_gradients()
    heads["doutput"][...] = np.inf
    heads["doutput"][0] = -1
    heads["doutput"][1, 0] = np.nan
    gradient = run.backward(heads)["ddata"]
    if stride == 2:
        assert (gradient != 0).sum() == heads["doutput"].size
    assert np.isin(gradient[0], np.arange(-4, 1)).all()
    assert set(np.unique(gradient[2])) == {0, np.inf}
    assert np.isnan(gradient[1, 0]).any()
    assert (gradient[1, 0] == 0).any()
    assert set(np.unique(gradient[1, 1])) == {0, np.inf}


def inferred(op, **known):
    """What the shape rule learns from some shapes."""
    shapes = Shapes({name: known.get(name) for name in ("data", *op.output_names())})
    op.shape(shapes)
    return shapes.known


def test_shapes():
    """One number stands for every axis; each system's rule; the batch follows from the output."""
    assert inferred(Pooling(kernel=3, stride=2), data=(2, 3, 32, 6))["output"] == (2, 3, 15, 2)
    caffe = Pooling(kernel=3, stride=2, pooling_convention="clip")
    assert inferred(caffe, data=(2, 3, 32, 6))["winner"] == (2, 3, 16, 3)
    assert inferred(Pooling(global_pool=True), data=(None, 3, None, 5))["output"] == (None, 3, 1, 1)
    known = inferred(Pooling(kernel=(2, 2)), data=(None, None, 8, None), output=(4, 3, None, None))
    assert known["data"] == (4, 3, 8, None)
    assert known["output"] == (4, 3, 7, None)


def test_a_window_larger_than_its_input_as_in_caffe():
    """Caffe takes a kernel of 4 with a stride of 2 on a 3x3 image; MXNet does not."""
    attributes = {"kernel": (4, 4), "stride": (2, 2)}
    assert inferred(Pooling(**attributes, pooling_convention="clip"), data=(1, 1, 3, 3))["output"] == (
        1,
        1,
        1,
        1,
    )
    with pytest.raises(ShapeError, match="kernel 4x4 does not fit its 3x3 input"):
        inferred(Pooling(**attributes, pooling_convention="full"), data=(1, 1, 3, 3))


@pytest.mark.parametrize(
    ("attributes", "data", "kind", "attribute", "message"),
    [
        (
            {"kernel": 9},
            (1, 1, 5, 5),
            "kernel-larger-than-padded-input",
            "kernel",
            "kernel 9x9 does not fit its 5x5",
        ),
        (
            {"kernel": 2, "pad": 2},
            (1, 1, 5, 5),
            "pad-not-smaller-than-kernel",
            "pad",
            "pad 2x2 is not smaller",
        ),
        ({}, (1, 1, 5, 5), "shape-mismatch", "kernel", "kernel is missing, but data has 2 spatial axes"),
        ({"kernel": (2, 2, 2)}, (1, 1, 5, 5), "shape-mismatch", "kernel", "kernel has 3 numbers"),
        ({"kernel": 2}, (5, 5), "shape-mismatch", "", "data is 5x5, but"),
        ({"global_pool": True}, (1, 1, 0, 5), "shape-mismatch", "", "nothing to pool"),
        ({"kernel": 2, "pool_type": "lp"}, (1, 1, 5, 5), "shape-mismatch", "p_value", "p_value is missing"),
        (
            {"kernel": 2, "pool_type": "lp", "p_value": 4},
            (1, 1, 5, 5),
            "shape-mismatch",
            "p_value",
            "p_value is 4, but lp needs 1, 2 or 3",
        ),
        ({"kernel": 2, "layout": "NWC"}, (1, 1, 5, 5), "shape-mismatch", "layout", "layout NWC has 3"),
    ],
)
def test_what_is_refused(attributes, data, kind, attribute, message):
    """Each wrong attribute is named with the numbers that make it wrong."""
    with pytest.raises(ShapeError, match=message) as caught:
        inferred(Pooling(**attributes), data=data)

    assert (caught.value.kind, caught.value.attribute) == (kind, attribute)


def test_what_onnx_can_say():
    """Global pooling has its own nodes, and ONNX leaves padding out of an average unless told otherwise."""
    largest, average, maximum, mean, *powers = Pooling.onnx
    values = Pooling(kernel=(2, 2), pool_type="avg").values()
    assert [bool(table.write(values)[1]) for table in Pooling.onnx] == [True, True, True, False, True, True]
    assert not average.write(Pooling(global_pool=True, pool_type="avg").values())[1]
    assert mean.read({"kernel_shape": (2, 2)})[0]["count_include_pad"] is False
    assert maximum.read({"kernel_shape": (2, 2), "ceil_mode": 1})[0]["pooling_convention"] == "clip"
    assert largest.read({})[0] == {"pool_type": "max", "global_pool": True, "layout": None}
    for power, said in ((2, True), (3, False)):
        values = Pooling(kernel=(2, 2), pool_type="lp", p_value=power, layout="NCHW").values()
        assert [not table.write(values)[1] for table in powers] == [False, said]


@pytest.mark.parametrize("block", [1, 300, 10**6])
@pytest.mark.parametrize("layout", ["C", "last", "channels", "gaps"])
@pytest.mark.parametrize(
    ("data", "attributes"),
    [
        ((3, 2, 9, 8), {"kernel": (3, 3), "stride": (2, 2), "pooling_convention": "full"}),
        ((5, 3, 8, 11), {"kernel": (3, 2), "stride": (1, 3), "pad": (1, 1)}),
        ((2, 2, 10, 9), {"kernel": (4, 3), "stride": (3, 2), "pad": (2, 1), "pooling_convention": "clip"}),
        ((3, 2, 13), {"kernel": (3,), "stride": (2,), "pooling_convention": "same"}),
        ((2, 1, 6, 5, 7), {"kernel": (2, 3, 2), "stride": (1, 2, 2)}),
        ((0, 2, 9, 8), {"kernel": (3, 3), "stride": (2, 2)}),
    ],
    ids=str,
)
def test_maxima_over_sorted_elements(data, attributes, layout, block, kernels, monkeypatch):
    """Overlapping windows of ties, NaNs and infinities: the same as tap by tap, in blocks of any size."""
    results = []
    monkeypatch.setattr(max_pooling, "BLOCK", block)
    for pays in (True, False):
        monkeypatch.setattr(max_pooling.Phases, "pays", pays)
        run = kernels(Pooling(**attributes), {"data": data}, layout=layout)
        values = np.random.default_rng(3).integers(-3, 3, data).astype("float64")
        for rare, value in ((-3, -np.inf), (2, np.inf)):
            values[(values == rare) & (np.random.default_rng(4).random(data) < 0.2)] = value
        values[np.random.default_rng(5).random(data) < 0.03] = np.nan
        run.set("data", values)
        results.append({**run.forward(), **run.backward()})
    for name, values in results[0].items():
        np.testing.assert_array_equal(values, results[1][name], err_msg=name)


def test_where_elements_are_sorted():
    """Where small windows overlap; not where they are apart or as large as the map."""
    for kernel, stride, size, pays in (
        (3, 2, 32, True),
        (3, 1, 8, True),
        (2, 2, 24, False),
        (7, 1, 7, False),
    ):
        op = Pooling(kernel=(kernel,) * 2, stride=(stride,) * 2)
        data = (2, 3, size, size)
        assert max_pooling.Phases(data, op._axes(data)).pays == pays


@pytest.mark.parametrize("blocks", [1, 300, 10**6])
@pytest.mark.parametrize("layout", ["C", "last", "channels", "gaps"])
@pytest.mark.parametrize(
    ("data", "attributes"),
    [
        ((3, 2, 6, 8), {"kernel": (2, 2), "stride": (2, 2)}),
        ((5, 3, 7, 5), {"kernel": (2, 2), "stride": (2, 2), "pooling_convention": "clip"}),
        ((4, 2, 9, 8), {"kernel": (3, 3), "stride": (2, 2), "pad": (1, 1), "pooling_convention": "clip"}),
        ((2, 5, 9, 8), {"kernel": (2, 1), "stride": (3, 2)}),
        ((3, 5, 10, 9), {"kernel": (3, 2), "stride": (3, 3), "pad": (1, 0), "pooling_convention": "full"}),
        ((4, 5, 10, 6), {"kernel": (3, 3), "stride": (3, 3)}),
        ((3, 2, 4, 5, 3), {"kernel": (2, 1, 3), "stride": (2, 2, 3)}),
        ((2, 3, 10, 11), {"kernel": (4, 5), "stride": (5, 5)}),
        ((3, 6, 5, 4), {"kernel": (2, 2), "stride": (2, 2), "layout": "NHWC"}),
        ((3, 2, 9, 8), {"kernel": (1, 1), "stride": (2, 2), "pooling_convention": "full"}),
        ((1, 7, 6, 6), {"kernel": (3, 3), "pad": (1, 1)}),
        ((3, 2, 5, 6, 4), {"kernel": (2, 2, 2), "stride": (2, 1, 3), "pad": (0, 1, 1)}),
        ((3, 6, 5, 2), {"kernel": (2, 3), "stride": (2, 2), "layout": "NHWC"}),
    ],
    ids=str,
)
def test_winners_by_definition(data, attributes, layout, blocks, kernels, monkeypatch):
    """Ties, NaNs, infinities and the lowest number: maximum, winner and gradient of window by window."""
    monkeypatch.setattr(max_pooling, "BLOCK", blocks)
    monkeypatch.setattr(max_gradient, "BLOCK", blocks)
    monkeypatch.setattr(apart_pooling, "BLOCK", blocks)
    op = Pooling(**attributes)
    run = kernels(op, {"data": data}, layout=layout)
    random = np.random.default_rng(6)
    values = random.integers(-2, 3, data).astype("float64")
    for value in (np.nan, np.inf, -np.inf, np.finfo("float64").min):
        values[random.random(data) < 0.06] = value
    values[:, :, :2, :2] = random.choice([-np.inf, np.finfo("float64").min], values[:, :, :2, :2].shape)
    run.set("data", values)
    heads = run.head_gradients()
    made, ddata = run.forward(), run.backward(heads)["ddata"]
    for short in (1, 64):  # where nobody asks for the winner, and what lies behind windows is a row or none
        monkeypatch.setattr(joined_pooling, "SHORT", short)
        joined_pooling._joined.cache_clear()
        alone = run.forward(train=False, without=("winner",))["output"]
        np.testing.assert_array_equal(alone, made["output"])
    run.forward()
    kernel, stride = op.kernel, op.stride or (1,) * len(op.kernel)
    pad = op.pad or (0,) * len(op.kernel)
    inwards = (0, 3, 1, 2) if op.layout == "NHWC" else tuple(range(len(data)))
    values, upper, output, winner, ddata = (
        array.transpose(inwards)
        for array in (values, heads["doutput"], made["output"], made["winner"], ddata)
    )
    expected = np.zeros(values.shape)
    taps = list(itertools.product(*map(range, kernel)))
    for place in np.ndindex(*output.shape):
        corner = [o * s - p for o, s, p in zip(place[2:], stride, pad)]
        number = 0
        elements = [tuple(c + t for c, t in zip(corner, tap)) for tap in taps]
        there = [all(0 <= x < n for x, n in zip(e, values.shape[2:])) for e in elements]
        seen = [values[place[:2] + e] if inside else -np.inf for e, inside in zip(elements, there)]
        best = np.nan if np.isnan(seen).any() else max(np.finfo("float64").min, *seen)
        if best in seen:
            first = seen.index(best)
            number = len(taps) - first
            expected[place[:2] + elements[first]] += upper[place]
        np.testing.assert_equal(output[place], best)
        assert winner[place] == number
    np.testing.assert_allclose(ddata, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("data", [(33, 5, 24, 24), (3, 40, 60, 62), (700, 3, 16, 16)], ids=str)
def test_workspaces_of_windows_apart(data, kernels):
    """However large the maps are, they are taken a megabyte at a time, in whatever order."""
    for layout in ("C", "last"):
        run = kernels(Pooling(kernel=2, stride=2), {"data": data}, "float32", layout=layout)
        spaces = [
            *run.op.workspaces(run.shapes, False).values(),
            *run.op.workspaces(run.shapes, True).values(),
        ]
        assert max(np.prod(space.shape) for space in spaces) <= apart_pooling.BLOCK // 2
        run.arrays["data"][...] = np.round(run.arrays["data"])
        heads = run.head_gradients()
        output, ddata = run.forward()["output"], run.backward(heads)["ddata"]
        height, width = data[2] // 2, data[3] // 2
        taps = run.arrays["data"].reshape(*data[:2], height, 2, width, 2).transpose(0, 1, 2, 4, 3, 5)
        taps = taps.reshape(*data[:2], height, width, 4)
        np.testing.assert_array_equal(output, taps.max(axis=-1))
        expected = np.where(np.arange(4) == taps.argmax(axis=-1)[..., None], heads["doutput"][..., None], 0)
        expected = expected.reshape(*data[:2], height, width, 2, 2).transpose(0, 1, 2, 4, 3, 5)
        np.testing.assert_array_equal(ddata, expected.reshape(data))


@pytest.mark.parametrize("layouts", list(itertools.product(["C", "last", "gaps"], repeat=3)), ids=str)
def test_each_array_in_its_own_order(layouts, kernels):
    """The plan stores data, what is kept and gradients as it likes."""
    op = Pooling(kernel=(3, 2), stride=(2, 2), pad=(1, 0))
    run = kernels(op, {"data": (3, 2, 7, 6)})
    values = np.random.default_rng(7).integers(-3, 3, (3, 2, 7, 6)).astype("float64")
    run.set("data", values)
    plain = {**run.forward(), **run.backward()}
    for layout, names in zip(layouts, (("data",), ("output", "winner"), ("ddata",))):
        run.layout = layout
        for name in names:
            run.arrays[name] = run.empty(name)
    run.set("data", values)
    run.call(op.forward, run.arrays, True, backward=False)
    run.call(op.backward, {**run.arrays, **run.head_gradients()}, True, backward=True)
    for name, value in plain.items():
        np.testing.assert_allclose(run.arrays[name], value, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("blocks", [1, 300, 10**6])
@pytest.mark.parametrize("layout", ["C", "last", "channels", "gaps"])
@pytest.mark.parametrize("kind", ["avg", "sum"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_sums_in_blocks(case, kind, layout, blocks, kernels, monkeypatch):
    """Blocks of one entry up to all, the last of which may overlap the one before."""
    monkeypatch.setattr(max_pooling, "BLOCK", blocks)
    kernel, stride, pad, (_, _, *sizes) = case
    op = Pooling(kernel=kernel, stride=stride, pad=pad, pool_type=kind, pooling_convention="clip")

    check(kernels(op, {"data": (3, 5, *sizes)}, layout=layout), kernel, stride, pad)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("layout", ["C", "last", "channels", "gaps"])
def test_a_whole_map_is_summed_by_itself(layout, dtype, kernels):
    """No other map's NaN or infinity comes in, with the output in another order as well."""
    run = kernels(Pooling(global_pool=True, pool_type="sum"), {"data": (3, 2, 4, 5)}, dtype, layout=layout)
    values = np.random.default_rng(8).integers(-9, 9, (3, 2, 4, 5)).astype(dtype)
    values[1, 0, 2, 2], values[2, 1, 0, 0] = np.nan, np.inf
    run.set("data", values)
    expected = values.sum(axis=(2, 3), keepdims=True)
    np.testing.assert_array_equal(run.forward()["output"], expected)
    run.layout = "C"
    np.testing.assert_array_equal(run.forward()["output"], expected)


def test_the_order_of_maps():
    """What lies in one piece of memory shows in which order."""
    maps = np.empty((2, 3, 4, 5))
    last, channels = np.moveaxis(np.empty((3, 4, 5, 2)), -1, 0), np.moveaxis(np.empty((2, 4, 5, 3)), -1, 1)
    found = [order_of(array) for array in (maps, last, channels, maps[:, :, ::2])]
    assert found == [((0, 1, 2, 3), 2), ((1, 2, 3, 0), 1), ((0, 2, 3, 1), 1), ((0, 1, 2, 3), 2)]
    assert found[1].view(last).shape == found[1].shape(last.shape) == (3, 4, 5, 2)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_rows_are_copied_as_they_are(dtype):
    """Rows in one piece or not, side by side or apart, of any length, and of another type."""
    whole = np.random.default_rng(9).standard_normal((3, 8, 9, 5)).astype(dtype)
    whole[0, 0, 0, :3] = np.nan, -0.0, np.inf
    empty, turned = whole[:, ::2, ::2, :0], whole.transpose(0, 3, 1, 2)
    for source in (whole, whole[:, ::2, 1::2], whole[..., ::2], whole[..., ::-1], turned, empty):
        for made in (dtype, "float64"):
            target = np.full((2, *source.shape), 7, made)
            copy_rows(np, target[0], source)
            np.testing.assert_array_equal(target[0], source)
            assert (np.signbit(target[0]) == np.signbit(source)).all()
            assert (target[1] == 7).all()

"""How windows tile spatial axes, and recorded values of the operators that slide windows."""

import doctest
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netdef.ops import windows
from netdef.ops.convolution import Convolution
from netdef.ops.lrn import LRN
from netdef.ops.shapes import ShapeError

RULES = ("valid", "full", "clip", "same")

#: size, kernel, stride, pad -> windows by Caffe's rule, MXNet's `valid` and MXNet's `full`; worked by hand
SIZES = [
    ((6, 3, 2, 1), (4, 3, 4)),
    ((7, 3, 2, 1), (4, 4, 4)),
    ((32, 3, 2, 0), (16, 15, 16)),
    ((5, 2, 2, 0), (3, 2, 3)),
    ((112, 3, 2, 0), (56, 55, 56)),
    ((113, 3, 2, 1), (57, 57, 57)),
    ((3, 2, 2, 1), (2, 2, 3)),
    ((4, 3, 2, 2), (3, 3, 4)),
    ((4, 2, 3, 1), (2, 2, 3)),
    ((5, 2, 3, 1), (2, 2, 3)),
    ((4, 3, 3, 2), (2, 2, 3)),
    ((4, 1, 2, 0), (3, 2, 3)),
    ((6, 1, 2, 0), (4, 3, 4)),
    ((3, 2, 3, 0), (2, 1, 2)),
]


def test_examples_in_the_text():
    """The numbers in the docstrings are what the functions give."""
    result = doctest.testmod(windows)

    assert result.attempted >= 8
    assert result.failed == 0


@pytest.mark.parametrize(("numbers", "expected"), SIZES)
def test_worked_sizes(numbers, expected):
    """The sizes that Caffe and MXNet give."""
    assert tuple(windows.count(*numbers, rule=rule) for rule in ("clip", "valid", "full")) == expected


def test_whole_windows_are_counted_one_by_one():
    """`valid` counts the positions at which a whole window lies on the padded input."""
    for size, kernel, stride, pad, dilate in itertools.product(
        range(1, 9), (1, 2, 3), (1, 2, 3), (0, 1, 2), (1, 2)
    ):
        reach = dilate * (kernel - 1) + 1
        starts = [start for start in range(-pad, size + pad, stride) if start + reach <= size + pad]
        assert max(0, windows.count(size, kernel, stride, pad, dilate)) == len(starts)


@st.composite
def axes_of_windows(draw):
    """An axis with any windows on it, partial and empty ones included."""
    size, kernel, stride = draw(st.integers(1, 8)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    pad, dilate = draw(st.integers(0, 3)), draw(st.integers(1, 3))
    return windows.Axis(size, kernel, stride, pad, dilate, windows=draw(st.integers(1, 6)))


def elements(axis, window):
    """The elements of the input in one window, tap by tap."""
    places = [window * axis.stride - axis.pad + tap * axis.dilate for tap in range(axis.kernel)]
    return [place for place in places if 0 <= place < axis.size]


@settings(max_examples=200, deadline=None)
@given(axes_of_windows())
def test_taps_visit_every_element_of_every_window(axis):
    """Slices of windows and of elements pair exactly what falls on the input."""
    found = []
    for here, places in axis.taps():
        ours, theirs = range(axis.windows)[here], range(axis.size)[places]
        assert len(ours) == len(theirs)
        found += zip(ours, theirs)

    expected = [(window, place) for window in range(axis.windows) for place in elements(axis, window)]
    assert sorted(found) == sorted(expected)


@settings(max_examples=60, deadline=None)
@given(st.lists(axes_of_windows(), min_size=1, max_size=3), st.integers(0, 2))
def test_sums_over_windows_and_their_adjoint(axes, first):
    """`reduce` sums each window, and `distribute` is its transpose."""
    random = np.random.default_rng(0)
    lead, trail = (2,) * first, (2,)
    data = random.integers(-9, 9, (*lead, *(axis.size for axis in axes), *trail)).astype("float64")
    upper = random.integers(-9, 9, (*lead, *(axis.windows for axis in axes), *trail)).astype("float64")
    partial = np.full(sum(np.prod(s, dtype=int) for s in windows.between(axes, data.shape, first)), np.nan)
    output, lower = np.full(upper.shape, np.nan), np.full(data.shape, np.nan)

    windows.reduce(np, np.add, 0, data, axes, first, output, partial)
    windows.distribute(np, upper, axes, first, lower, partial)

    expected = np.zeros(upper.shape)
    for window in itertools.product(*(range(axis.windows) for axis in axes)):
        for place in itertools.product(*(elements(axis, o) for axis, o in zip(axes, window))):
            expected[(slice(None),) * first + window] += data[(slice(None),) * first + place]
    np.testing.assert_array_equal(output, expected)
    assert (output * upper).sum() == (data * lower).sum()


def test_lengths_of_windows():
    """What a window holds with and without padding, and at least 1 where it divides."""
    for size, kernel, stride, pad in itertools.product((1, 4, 5), (1, 3), (1, 2, 4), (0, 1)):
        axis = windows.Axis(size, kernel, stride, pad, 1, windows=3)
        for padding in (True, False):
            legal = range(-pad, size + pad) if padding else range(size)
            starts = [window * stride - pad for window in range(3)]
            expected = [sum(place in legal for place in range(s, s + kernel)) for s in starts]
            assert axis.lengths(padding) == expected
            filled = np.full(3, np.nan)
            windows.fill_with_lengths(np, [axis], padding, filled)
            assert filled.tolist() == [max(1, length) for length in expected]


# -- what is refused ------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "sizes", "message", "hint"),
    [
        (
            {"kernel": (5,)},
            (4, 4),
            "kernel 5x5 does not fit its 4x4 input",
            "pad: 1 or kernel_size: 3 would fit",
        ),
        (
            {"kernel": (7, 3), "pad": (1,)},
            (4, 4),
            "kernel 7x3 does not fit its 4x4 input padded to 6x6",
            "pad: [2, 1] or kernel_size: [5, 3] would fit",
        ),
        (
            {"kernel": (3,), "dilate": (2,)},
            (4, None),
            "kernel 3x3 with dilation 2x2 spans 5x5 and does not fit its 4x? input",
            "pad: [1, 0] or kernel_size: [1, 3] would fit",
        ),
        (
            {"kernel": (4,)},
            (2,),
            "kernel 4 does not fit its input of length 2",
            "pad: 1 or kernel_size: 2 would fit",
        ),
        (
            {"kernel": (9,), "rule": "clip"},
            (5, 5),
            "kernel 9x9 does not fit its 5x5 input",
            "pad: 2 or kernel_size: 5",
        ),
        ({"kernel": (1,)}, (0,), "kernel 1 does not fit its input of length 0", ""),
    ],
)
def test_a_kernel_larger_than_its_input(attributes, sizes, message, hint):
    """The message has the numbers, the hint what would fit."""
    with pytest.raises(ShapeError) as caught:
        windows.windows(len(sizes), **attributes).counts(sizes)

    assert (caught.value.kind, caught.value.attribute) == ("kernel-larger-than-padded-input", "kernel")
    assert caught.value.message == message
    assert caught.value.hint.startswith(hint)


def test_hints_fit():
    """The first size of padding and of kernel that a hint names is accepted."""
    for size, kernel, pad, dilate in itertools.product(range(1, 6), range(2, 9), (0, 1), (1, 2)):
        tiling = windows.windows(1, (kernel,), pad=(pad,), dilate=(dilate,))
        try:
            tiling.counts((size,))
        except ShapeError as error:
            for way in error.hint.removesuffix(" would fit").split(" or "):
                name, number = way.split(": ")
                mended = {"pad": {"pad": (int(number),)}, "kernel_size": {"kernel": (int(number),)}}[name]
                tiling._replace(**mended).counts((size,))


def test_padding_as_large_as_the_kernel():
    """Refused with the largest padding that would do."""
    with pytest.raises(ShapeError, match="pad 2x1 is not smaller than kernel 2x2") as caught:
        windows.windows(2, (2, 2), pad=(2, 1)).require_small_pad()

    assert (caught.value.kind, caught.value.attribute) == ("pad-not-smaller-than-kernel", "pad")
    assert caught.value.hint == "pad: 1 would do"


@pytest.mark.parametrize("name", ["kernel", "stride", "pad", "dilate"])
def test_wrong_count_of_numbers(name):
    """Neither one number nor one for each axis."""
    with pytest.raises(ShapeError, match=f"{name} has 3 numbers, but data has 2 spatial axes") as caught:
        windows.windows(2, **{"kernel": (2,), name: (1, 1, 1)})

    assert caught.value.attribute == name


def test_unknown_sizes_stay_unknown():
    """A size that is not known is no error and gives no count."""
    tiling = windows.windows(2, (3,), pad=(1,))

    assert tiling.counts((None, 5)) == (None, 5)
    assert tiling.sizes((4, None)) == (4, None)
    assert windows.windows(1, (3,), stride=(2,)).sizes((4,)) == (None,)


# -- recorded values ------------------------------------------------

RECORDED = Path(__file__).parents[2] / "../shared/conformance/mxnet/dev/ops"
OPERATORS = {name: operator for operator in (Convolution, LRN) for name in operator.names}


def recorded_cases():
    """MXNet's cases of the operators here that have no reference in tests/support."""
    if not RECORDED.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason="the recorded vectors are not here"))]
    cases = json.loads((RECORDED / "index.json").read_text())["cases"]
    return [pytest.param(case, id=case["id"]) for case in cases if case["op_type"] in OPERATORS]


@pytest.mark.parametrize("case", recorded_cases())
def test_values_recorded_from_mxnet(case, kernels):
    """Outputs and gradients are those of Apache MXNet 1.9.1."""
    op = OPERATORS[case["op_type"]](**case["attrs"])
    names = dict(zip(case["arguments"], op.input_names()))
    run = kernels(op, {names[name]: tuple(shape) for name, shape in case["in_shapes"].items()}, "float32")
    with np.load(RECORDED / case["npz"]) as file:
        arrays = {name: file[f"{case['id']}/{name}"] for name in case["arrays"]}
    for theirs, ours in names.items():
        run.arrays[ours] = arrays[f"in/{theirs}"]

    outputs = run.forward(train=case["is_train"])

    np.testing.assert_allclose(outputs["output"], arrays["out/0"], rtol=1e-4, atol=1e-5)
    if not case["backward"]:
        return
    gradients = run.backward({"doutput": arrays["head/0"]})
    for theirs, ours in names.items():
        if f"grad/{theirs}" in arrays:
            gradient = gradients[f"d{ours}"] + arrays.get(f"grad_init/{theirs}", 0)
            np.testing.assert_allclose(gradient, arrays[f"grad/{theirs}"], rtol=1e-3, atol=1e-4)

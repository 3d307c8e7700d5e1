"""The algorithms for convolution: each computes the same sums as windows of numpy's, in every pass."""

import tracemalloc

import numpy as np
import pytest

from netdef.ops import find
from netdef.ops.base import kernel_arguments
from netdef.ops.conv_algorithm import DATA, FORWARD, WEIGHT
from netdef.ops.conv_choice import ALGORITHMS, choose
from netdef.ops.shapes import Shapes

Convolution, Deconvolution = find("Convolution"), find("Deconvolution")

#: data, filters, kernel, stride, pad, dilate, groups
CASES = [
    ((2, 1, 5, 7), 3, (3, 3), (1, 1), (0, 0), (1, 1), 1),
    ((3, 3, 9, 6), 5, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((1, 64, 7, 7), 32, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((19, 4, 6, 11), 6, (5, 5), (1, 1), (2, 2), (1, 1), 2),
    ((5, 20, 12, 12), 50, (5, 5), (1, 1), (0, 0), (1, 1), 1),
    ((2, 3, 8, 9), 4, (3, 5), (1, 1), (2, 1), (1, 1), 1),
    ((2, 4, 6, 5), 4, (5, 3), (1, 1), (4, 0), (1, 1), 2),
    ((2, 6, 10, 9), 6, (3, 3), (1, 1), (1, 1), (1, 1), 6),
    ((2, 5, 9, 13), 10, (3, 3), (2, 2), (1, 1), (1, 1), 5),
    ((2, 4, 7, 8), 8, (3, 2), (2, 1), (1, 2), (1, 2), 2),
    ((3, 6, 9, 8), 4, (1, 1), (2, 3), (0, 0), (1, 1), 2),
    ((2, 8, 5, 4), 6, (1, 1), (1, 1), (0, 0), (1, 1), 2),
    ((2, 3, 4, 4), 2, (1, 1), (1, 1), (1, 2), (1, 1), 1),
    ((17, 2, 11), 3, (5,), (1,), (2,), (1,), 1),
    ((2, 2, 5, 4, 6), 4, (3, 2, 3), (1, 2, 1), (1, 0, 1), (1, 1, 2), 2),
    ((3, 3, 3, 3), 2, (3, 3), (1, 1), (3, 3), (1, 1), 1),
    ((16, 2, 12, 14), 4, (3, 3), (1, 1), (0, 0), (1, 1), 2),
    ((9, 3, 11, 12), 4, (3, 2), (2, 2), (1, 0), (1, 2), 1),
    ((4, 3, 6, 9), 5, (3, 2), (1, 1), (1, 1), (1, 1), 1),
    ((5, 4, 7, 10), 6, (2, 4), (1, 1), (1, 3), (1, 1), 2),
    ((33, 2, 3, 21), 3, (1, 5), (1, 1), (0, 2), (1, 1), 1),
    ((3, 12, 4, 3), 4, (4, 3), (1, 1), (3, 2), (1, 1), 1),
    ((16, 8, 8, 8), 12, (3, 3), (2, 2), (1, 1), (1, 1), 1),
    ((5, 3, 13, 11), 4, (7, 5), (2, 3), (3, 2), (1, 1), 1),
    ((4, 4, 9, 10), 6, (2, 3), (3, 4), (1, 0), (1, 1), 2),
    ((3, 2, 5, 6), 4, (3, 3), (2, 2), (3, 4), (1, 1), 1),
    ((6, 3, 17), 4, (4,), (2,), (1,), (1,), 1),
    ((2, 2, 5, 7, 6), 4, (3, 4, 3), (2, 1, 3), (1, 2, 0), (1, 1, 1), 2),
    ((2, 3, 1, 9), 2, (3, 9), (4, 2), (1, 4), (1, 1), 1),
]
TENSORS = {"output": FORWARD, "ddata": DATA, "dweight": WEIGHT}


def operator(case, **more):
    """The convolution of a case."""
    _, filters, kernel, stride, pad, dilate, groups = case
    return Convolution(
        num_filter=filters, kernel=kernel, stride=stride, pad=pad, dilate=dilate, num_group=groups, **more
    )


def tuned(op, run, wanted, dtype):
    """The operator with the algorithm that is wanted, where it can serve."""
    return op.tuned(run.shapes, dtype, wanted)


def expected(case, data, weight, bias, head):
    """Output and gradients in float64, summed over numpy's views of windows."""
    _, _, kernel, stride, pad, dilate, groups = case
    rank, batch = len(kernel), len(data)
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilate))
    padded = np.pad(data.astype("float64"), [(0, 0), (0, 0), *((p, p) for p in pad)])
    gradient = np.zeros_like(padded)

    def windows(array, writeable=False):
        view = np.lib.stride_tricks.sliding_window_view(
            array, reach, tuple(range(2, 2 + rank)), writeable=writeable
        )
        steps = (slice(None, None, step) for step in stride)
        taps = (slice(None, None, step) for step in dilate)
        view = view[(slice(None), slice(None), *steps, *taps)]
        return view.reshape(batch, groups, -1, *view.shape[2:]) if not writeable else view

    seen, places, taps = windows(padded), "xyz"[:rank], "uvw"[:rank]
    filters = weight.astype("float64").reshape(groups, -1, *weight.shape[1:])
    heads = head.astype("float64").reshape(batch, groups, -1, *head.shape[2:])
    output = np.einsum(f"ngc{places}{taps},gfc{taps}->ngf{places}", seen, filters).reshape(head.shape)
    dweight = np.einsum(f"ngc{places}{taps},ngf{places}->gfc{taps}", seen, heads).reshape(weight.shape)
    spread = np.einsum(f"ngf{places},gfc{taps}->ngc{places}{taps}", heads, filters)
    target = windows(gradient, writeable=True)
    spread = spread.reshape(batch, -1, *spread.shape[3:])
    for tap in np.ndindex(*kernel):
        index = (Ellipsis, *tap)
        target[index] += spread[index]
    inside = (slice(None), slice(None), *(slice(p, p + size) for p, size in zip(pad, data.shape[2:])))
    output += bias.astype("float64").reshape(-1, *(1,) * rank)
    return {"output": output, "ddata": gradient[inside], "dweight": dweight}


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float16", 4e-3), ("float32", 1e-5), ("float64", 1e-12)], ids=str
)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_algorithm_computes_the_same(case, dtype, tolerance, kernels):
    """Output and gradients, relative to the largest, with every algorithm that can serve and by choice."""
    plain = operator(case)
    run = kernels(plain, {"data": case[0]}, dtype)
    heads = run.head_gradients()
    arrays = (run.arrays[name] for name in ("data", "weight", "bias"))
    right = expected(case, *arrays, heads["doutput"])
    for wanted in ("", *ALGORITHMS):
        run.op = tuned(plain, run, wanted, dtype)
        results = {**run.forward(), **run.backward(heads)}
        for name, values in right.items():
            error = np.abs(results[name] - values).max() / np.abs(values).max()
            assert error < tolerance, f"{name} by {run.op.choice.told(TENSORS[name])}: {error:.1e}"


@pytest.mark.parametrize("wanted", ALGORITHMS)
@pytest.mark.parametrize("layout", ["last", "channels", "gaps"])
def test_any_strides(layout, wanted, kernels):
    """Every algorithm takes and gives arrays of any memory layout."""
    for case in CASES:
        plain = operator(case)
        run = kernels(plain, {"data": case[0]}, layout=layout)
        run.op = tuned(plain, run, wanted, "float64")
        heads = run.head_gradients()
        arrays = (run.arrays[name] for name in ("data", "weight", "bias"))
        right = expected(case, *arrays, heads["doutput"])
        results = {**run.forward(), **run.backward(heads)}
        for name, values in right.items():
            np.testing.assert_allclose(results[name], values, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("wanted", ALGORITHMS)
@pytest.mark.parametrize("layout", ["C", "last"])
@pytest.mark.parametrize("other", ["data", "output"])
def test_layouts_that_differ(other, layout, wanted, kernels):
    """Data or output may have the batch first where all else has it last, and the other way round."""
    for case in (CASES[3], CASES[4], CASES[8], CASES[10], CASES[11], CASES[16]):
        plain = operator(case)
        run = kernels(plain, {"data": case[0]}, layout=layout)
        run.op = tuned(plain, run, wanted, "float64")
        heads = run.head_gradients()
        arrays = (run.arrays[name] for name in ("data", "weight", "bias"))
        right = expected(case, *arrays, heads["doutput"])
        run.layout = "last" if layout == "C" else "C"
        held = heads if other == "output" else run.arrays
        name = "doutput" if other == "output" else "data"
        held[name], values = run.empty(name), held[name]
        held[name][...] = values
        results = {**run.forward(), **run.backward(heads)}
        for name, values in right.items():
            np.testing.assert_allclose(results[name], values, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("wanted", ALGORITHMS)
@pytest.mark.parametrize(("attributes", "shapes"), Convolution.examples, ids=str)
def test_examples_with_every_algorithm(attributes, shapes, wanted, kernels):
    """Any axis of channels, any layout, no spatial axes: the same as by default."""
    plain = Convolution(**attributes)
    run, other = kernels(plain, shapes), kernels(plain, shapes)
    run.op = tuned(plain, run, wanted, "float64")
    heads = run.head_gradients()
    results = {**run.forward(), **run.backward(heads)}
    for name, values in {**other.forward(), **other.backward(heads)}.items():
        np.testing.assert_allclose(results[name], values, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("wanted", ALGORITHMS)
@pytest.mark.parametrize(("attributes", "shapes"), Deconvolution.examples, ids=str)
def test_deconvolution_with_every_algorithm(attributes, shapes, wanted, kernels):
    """Deconvolution runs the passes of a convolution in another order."""
    plain = Deconvolution(**attributes)
    run, other = kernels(plain, shapes), kernels(plain, shapes)
    run.op = tuned(plain, run, wanted, "float64")
    heads = run.head_gradients()
    results = {**run.forward(), **run.backward(heads)}
    for name, values in {**other.forward(), **other.backward(heads)}.items():
        np.testing.assert_allclose(results[name], values, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("wanted", ALGORITHMS)
@pytest.mark.parametrize("layout", ["C", "last", "channels"])
def test_nothing_is_allocated(layout, wanted, kernels):
    """A second call of either kernel takes far less memory than any of its arrays."""
    for case in (((16, 8, 16, 16), *CASES[1][1:]), ((16, 16, 16, 16), 16, (1, 1), (2, 2), (0, 0), (1, 1), 1)):
        op = operator(case)
        run = kernels(op, {"data": case[0]}, "float32", layout=layout)
        op = tuned(op, run, wanted, "float32")
        arrays = {**run.arrays, **run.forward(), **run.head_gradients()}
        arrays.update((name, run.empty(name)) for name in run.step.writes)
        for kernel, backward in ((op.forward, False), (op.backward, True)):
            spaces = {
                name: np.zeros(space.shape, space.dtype_for("float32"))
                for name, space in op.workspaces(run.shapes, backward).items()
            }
            arguments = kernel_arguments(op, kernel, {**arrays, **spaces}, {"xp": np})
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


@pytest.mark.parametrize("wanted", ["", *ALGORITHMS])
def test_parts_of_a_batch(wanted, kernels):
    """An operator that was tuned for a batch serves any part of it: the outputs are those of the whole."""
    case = CASES[3]
    op = operator(case)
    run = kernels(op, {"data": case[0]}, "float32")
    op = run.op = tuned(op, run, wanted, "float32")
    whole = run.forward()["output"]
    part = kernels(op, {"data": (5, *case[0][1:])}, "float32")
    for name in ("weight", "bias"):
        part.set(name, run.arrays[name])
    part.set("data", run.arrays["data"][7:12])
    np.testing.assert_allclose(part.forward()["output"], whole[7:12], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wanted", ["", *ALGORITHMS])
@pytest.mark.parametrize("layout", ["C", "last", "channels"])
def test_rows_of_an_output(layout, wanted, kernels):
    """A piece may be any rows of the output: it needs no more workspace than it says for all of them."""
    for case in CASES:
        op = operator(case)
        run = kernels(op, {"data": case[0]}, layout=layout)
        op = run.op = tuned(op, run, wanted, "float64")
        whole = run.forward()["output"]
        count = whole.shape[2]
        for begin, end in {(0, 1), (0, count - 1), (1, count), (count // 2, count // 2 + 1), (1, count - 1)}:
            if not 0 < end - begin < count:
                continue
            part = (*whole.shape[:2], end - begin, *whole.shape[3:])
            shapes = Shapes({**{name: run.shapes.full(name) for name in run.shapes.known}, "output": part})
            spaces = {
                name: np.full(space.shape, np.nan) for name, space in op.workspaces(shapes, False).items()
            }
            output = np.full(part, np.nan)
            arrays = {**run.arrays, **spaces, "output": output}
            op.forward(*kernel_arguments(op, op.forward, arrays, {"xp": np, "begin": begin}))
            np.testing.assert_allclose(output, whole[:, :, begin:end], rtol=1e-10, atol=1e-10)


# -- the choice ------------------------------------------------


def chosen(data, filters, kernel, pad=0, stride=1, groups=1, wanted=""):
    """The names of the algorithms for the three passes of a square kernel."""
    op = Convolution(num_filter=filters, kernel=(kernel,) * 2, pad=pad, stride=stride, num_group=groups)
    choice = choose(op._sizes(data), "float32", wanted)
    return [choice.told(which) for which in (FORWARD, DATA, WEIGHT)]


def test_what_is_chosen():
    """Measured best: products for 1x1, Winograd for many channels, along one for some, columns for few."""
    assert chosen((16, 64, 56, 56), 256, 1) == ["pointwise"] * 3
    assert chosen((16, 256, 14, 14), 256, 3, pad=1) == ["winograd"] * 3
    assert chosen((32, 20, 12, 12), 50, 5) == ["winograd1d"] * 3
    assert not {"winograd", "winograd1d"} & {*chosen((64, 1, 28, 28), 20, 5)}
    few = chosen((1, 512, 7, 7), 512, 3, pad=1)
    assert not {"winograd", "winograd1d"} & {*few}, "the filters outweigh four tiles"
    assert chosen((128, 32, 16, 16), 64, 3, pad=1, stride=2) == ["im2col", "col2im", "im2col"]


def test_a_wish_that_cannot_be_granted_is_told():
    """The cheapest algorithm takes its place, and the text says which one cannot serve."""
    cheapest = chosen((4, 3, 16, 16), 8, 3, stride=2)
    told = [f"{name} (winograd cannot)" for name in cheapest]
    assert chosen((4, 3, 16, 16), 8, 3, stride=2, wanted="winograd") == told
    assert chosen((4, 3, 16, 16), 8, 3, wanted="direct") == ["direct"] * 3
    assert chosen((4, 3, 16, 16), 8, 3, wanted="auto") == chosen((4, 3, 16, 16), 8, 3)
    with pytest.raises(ValueError, match=r"there is no algorithm fft; there are auto, pointwise, .*direct"):
        chosen((4, 3, 16, 16), 8, 3, wanted="fft")


def test_the_choice_is_no_attribute(kernels):
    """A tuned operator equals the one it was made from, which stays as it was."""
    op = operator(CASES[1])
    run = kernels(op, {"data": CASES[1][0]})
    other = tuned(op, run, "direct", "float64")
    assert op.choice is None
    assert (other, hash(other), repr(other)) == (op, hash(op), repr(op))
    assert other.values() == op.values()
    assert other.algorithm(["output"]) == "direct"
    assert other.algorithm(["dweight", "dbias"]) == "dweight direct"
    assert op.algorithm(["output"]) == other.algorithm(["dbias"]) == ""

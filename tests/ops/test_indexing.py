"""Indexing: indices of any type, outside the range or equal, and what is refused."""

import tracemalloc

import numpy as np
import pytest

from netdef.ops import find
from netdef.ops.base import kernel_arguments
from netdef.ops.shapes import ShapeError, Shapes, Types

#: operator, attributes, shapes of its data, the name of its indices
INDEXED = [
    ("take", {}, {"a": (5, 2), "indices": (3,)}, "indices"),
    ("take", {"mode": "wrap"}, {"a": (5, 2), "indices": (3,)}, "indices"),
    ("pick", {}, {"data": (3, 5)}, "index"),
    ("Embedding", {"input_dim": 5, "output_dim": 2}, {"data": (3,)}, "data"),
    ("gather_nd", {}, {"data": (5, 2), "indices": (1, 3)}, "indices"),
    ("scatter_nd", {"shape": (5,)}, {"data": (3,), "indices": (1, 3)}, "indices"),
    ("_contrib_index_copy", {}, {"old_tensor": (5, 2), "new_tensor": (3, 2)}, "index_vector"),
    ("fill_element_0index", {}, {"lhs": (3, 5)}, "rhs"),
    ("one_hot", {"depth": 5}, {"indices": (3,)}, "indices"),
]


@pytest.mark.parametrize("dtype", ["float16", "float32", "int32", "int64", "uint8"])
@pytest.mark.parametrize(("name", "attributes", "shapes", "index"), INDEXED)
def test_indices_have_any_type_and_are_truncated(name, attributes, shapes, index, dtype, kernels):
    """1.75 means 1, whatever the data are."""
    run = kernels(find(name)(**attributes), shapes, "float32")
    numbers = np.array([1.75, 0, 3.5]).reshape(run.arrays[index].shape)
    run.set(index, np.trunc(numbers))
    expected = run.forward()["output"].copy()
    gradients = run.backward()

    run.arrays[index] = numbers.astype(dtype)

    np.testing.assert_array_equal(run.forward()["output"], expected)
    for gradient, values in run.backward().items():
        np.testing.assert_array_equal(values, gradients[gradient])


@pytest.mark.parametrize(
    ("name", "attributes", "shapes", "index", "number"),
    [
        ("take", {"mode": "raise"}, {"a": (5,), "indices": (3,)}, "indices", 5),
        ("take", {"mode": "raise"}, {"a": (5,), "indices": (3,)}, "indices", -1),
        ("take", {"mode": "raise"}, {"a": (5,), "indices": (3,)}, "indices", 4.5),
        *((*INDEXED[4], number) for number in (5, -6)),
        *((*INDEXED[5], number) for number in (5, -6)),
        *((*INDEXED[6], number) for number in (5, -1)),
        *((*INDEXED[7], number) for number in (5, -1)),
    ],
)
def test_an_index_outside_is_an_error_that_says_the_range(name, attributes, shapes, index, number, kernels):
    """Where MXNet raises, or writes beyond its memory."""
    run = kernels(find(name)(**attributes), shapes)
    run.arrays[index].flat[:] = [0, number, 1]

    with pytest.raises(IndexError, match=f"index {number}.* is out of range: from .* to 4"):
        run.forward()


def test_thousands_of_equal_indices_add_up_exactly(kernels):
    """The gradient of a row that is taken often is the sum of what arrives for it."""
    run = kernels(find("Embedding")(input_dim=3, output_dim=2), {"data": (5000,)})
    run.set("data", np.arange(5000) % 2)
    heads = {"doutput": np.arange(10000.0).reshape(5000, 2)}

    gradient = run.backward(heads)["dweight"]

    expected = [heads["doutput"][0::2].sum(0), heads["doutput"][1::2].sum(0), [0, 0]]
    np.testing.assert_array_equal(gradient, expected)


def test_of_equal_multi_indices_the_last_one_counts(kernels):
    """scatter_nd overwrites, _backward_gather_nd adds; the gradient goes to all of them either way."""
    for name, expected in (("scatter_nd", [0, 3, 0]), ("_backward_gather_nd", [0, 6, 0])):
        run = kernels(find(name)(shape=(3,)), {"data": (3,), "indices": (1, 3)})
        run.set("data", [1, 2, 3])
        run.set("indices", 1)

        np.testing.assert_array_equal(run.forward()["output"], expected)
        np.testing.assert_array_equal(run.backward({"doutput": np.array([4.0, 5, 6])})["ddata"], [5, 5, 5])


@pytest.mark.parametrize(
    ("name", "attributes", "parts", "depth"),
    [
        ("scatter_nd", {"shape": (512, 512)}, "data", 2),
        ("_backward_gather_nd", {"shape": (512, 512)}, "data", 2),
        ("_scatter_set_nd", {"shape": (512, 512)}, "rhs", 2),
        ("_ravel_multi_index", {"shape": (512, 512)}, "output", 2),
    ],
)
def test_writing_at_many_multi_indices_allocates_nothing(name, attributes, parts, depth, kernels):
    """As the harness asks where it can enlarge the batch; all but the last one only move data."""
    count = 2**17
    op = find(name)(**attributes)
    index = "data" if parts == "output" else "indices"
    run = kernels(
        op, {index: (depth, count), parts: (count,)} | ({"lhs": (512, 512)} if parts == "rhs" else {})
    )
    run.set(index, np.arange(2 * count).reshape(2, count) % 40)
    assert op.flops(run.shapes) == (2 * count if parts == "output" else 0)
    run.forward()
    heads = run.head_gradients()
    made = {name: run.empty(name) for name in run.step.writes}
    for kernel, arrays in ((op.forward, run.arrays), (op.backward, {**run.arrays, **heads, **made})):
        if kernel == op.backward and not made:
            continue
        spaces = op.workspaces(run.shapes, kernel == op.backward)
        work = {name: np.empty(space.shape, space.dtype or run.dtype) for name, space in spaces.items()}
        bound = kernel_arguments(op, kernel, {**arrays, **work}, {"xp": np})
        tracemalloc.start()
        try:
            kernel(*bound)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 2**18


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("uint8", [255, 3]), ("int8", [-1, 3]), ("int64", [-1, 3]), ("float16", [-1.5, 3.75])],
)
def test_values_of_one_hot_become_numbers_of_its_type(dtype, expected, kernels):
    """As in C: whole numbers are cut off, then taken modulo the range."""
    run = kernels(find("one_hot")(depth=2, on_value=3.75, off_value=-1.5, dtype=dtype), {"indices": (1,)})
    run.set("indices", 1)

    output = run.forward()["output"]

    assert output.dtype == dtype
    np.testing.assert_array_equal(output, [expected])


def test_where_takes_whole_elements(kernels):
    """What is not taken does not show, even if it is no number; NaN as a condition holds."""
    run = kernels(find("where")(), {"condition": (3,), "x": (3,)})
    run.set("condition", [0, np.nan, -0.5])
    run.set("x", [np.nan, 1, 2])
    run.set("y", [3, np.inf, np.nan])

    np.testing.assert_array_equal(run.forward()["output"], [3, 1, 2])
    gradients = run.backward({"doutput": np.array([np.inf, np.nan, 5])})
    np.testing.assert_array_equal(gradients["dx"], [0, np.nan, 5])
    np.testing.assert_array_equal(gradients["dy"], [np.inf, 0, 0])


def test_places_beyond_a_shape(kernels):
    """unravel_index lets the first index run on, and divides towards zero."""
    run = kernels(find("unravel_index")(shape=(2, 4)), {"data": (3,)})
    run.set("data", [20, -1, -9])

    np.testing.assert_array_equal(run.forward()["output"], [[5, 0, -2], [0, -1, -1]])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"data": "int32"}, {"weight": "float16", "output": "float16"}),
        ({"data": "int32", "weight": "float64"}, {"weight": "float64", "output": "float64"}),
        ({}, {"data": "float16", "weight": "float16"}),
        ({"output": "float32"}, {"weight": "float32"}),
    ],
)
def test_the_type_of_an_embedding_is_that_of_its_weight(given, expected):
    """The attribute dtype counts for a weight of which nothing is known."""
    types = Types({"data": None, "weight": None, "output": None, **given})

    find("Embedding")(input_dim=3, output_dim=2, dtype="float16").types(types)

    assert {name: types[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("length", "last", "masked"), [(0, 1, [0, 0, 0]), (2, 2, [1, 2, 0]), (9, 3, [1, 2, 3])]
)
def test_lengths_outside_the_sequence(length, last, masked, kernels):
    """SequenceMask takes them as they are, the others bring them within the sequence."""
    for name, expected in (("SequenceLast", [last]), ("SequenceMask", np.transpose([masked]))):
        run = kernels(find(name)(use_sequence_length=True), {"data": (3, 1)})
        run.set("data", [[1], [2], [3]])
        run.set("sequence_length", length)

        np.testing.assert_array_equal(run.forward()["output"], expected)


@pytest.mark.parametrize("condition", [(4, 1), (4, 3, 1), (2, 3)])
def test_a_condition_is_checked_when_it_is_bound(condition):
    """Inference lets its shape pass, as MXNet's does; the check before the first run says what would fit."""
    op, facts = find("where")(), Shapes(dict.fromkeys(("condition", "x", "y", "output")))
    facts.merge("condition", condition)
    facts.merge("x", (4, 3))

    op.shape(facts)

    assert facts["output"] == (4, 3)
    with pytest.raises(ShapeError, match="give its shape, or one number for each row"):
        op.check(facts)


def test_where_infers_both_ways():
    """A condition of as many axes says what is not known of x, and the other way round."""
    op, facts = find("where")(), Shapes({"condition": (4, None), "x": (None, 3), "y": None, "output": None})

    op.shape(facts)

    assert {facts[name] for name in ("condition", "x", "y", "output")} == {(4, 3)}


#: operator, attributes, shapes, words of the message
REFUSED = [
    ("take", {"axis": 2}, {"a": (4, 3), "indices": (2,)}, "axis 2 is out of range"),
    ("take", {}, {"a": (4, 3), "indices": (2,), "output": (2, 4)}, "a is 4x3 and indices 2"),
    ("pick", {}, {"data": (4, 3), "index": (3,)}, "index is 3, but data is 4x3"),
    ("pick", {}, {"data": (4, 3), "index": (4, 2)}, "index is 4x2"),
    ("batch_take", {}, {"a": (4,)}, "a batch of rows is needed"),
    ("where", {}, {"condition": (3,), "x": (4, 3)}, "one number for each row"),
    ("gather_nd", {}, {"data": (4, 3), "indices": (3, 2)}, "data 4x3 has 2 axes"),
    ("gather_nd", {}, {"data": (4, 3), "indices": (2,)}, "one row for each axis"),
    ("scatter_nd", {"shape": (4, 3)}, {"data": (2, 2), "indices": (1, 2)}, "output is 4x3 and indices 1x2"),
    ("_ravel_multi_index", {"shape": (4, 3)}, {"data": (3, 2)}, "a row for each axis of (4, 3)"),
    ("_ravel_multi_index", {"shape": ()}, {"data": (3, 2)}, "a shape without axes"),
    ("_unravel_index", {"shape": (4, 3)}, {"data": (3,), "output": (3, 3)}, "output is 3x3, but data is 3"),
    ("_unravel_index", {"shape": ()}, {"data": (3,)}, "a shape without axes"),
    (
        "_contrib_index_copy",
        {},
        {"old_tensor": (2, 3), "new_tensor": (3, 3)},
        "more rows than old_tensor 2x3",
    ),
    ("_contrib_index_copy", {}, {"old_tensor": (2, 3), "new_tensor": (1, 4)}, "only the number of rows"),
    ("Embedding", {"input_dim": 3, "output_dim": 2}, {"data": (4,), "weight": (2, 3)}, "weight is 2x3"),
    ("SequenceLast", {}, {"data": (4,)}, "an axis of time and one of the batch"),
    ("SequenceMask", {"axis": 2}, {"data": (4, 3, 2)}, "axis is 2, but time lies along axis 0 or 1"),
    ("SequenceReverse", {"axis": 1}, {"data": (4, 3, 2)}, "axis is 1, but time lies along axis 0"),
    (
        "SequenceMask",
        {"use_sequence_length": True},
        {"data": (4, 3), "sequence_length": (4,)},
        "sequence_length is 4, but data is 4x3",
    ),
]


@pytest.mark.parametrize(("name", "attributes", "shapes", "words"), REFUSED)
def test_shapes_that_do_not_fit_are_refused(name, attributes, shapes, words, kernels):
    """The message names the tensors and their shapes."""
    with pytest.raises(ShapeError) as refused:
        kernels(find(name)(**attributes), shapes)

    assert words in refused.value.message

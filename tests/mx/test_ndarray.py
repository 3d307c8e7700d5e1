"""NDArrays: values, parts, arithmetic, places of results, devices, and every operator at once."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import netdef as mx

A = np.array([[1, -2, 3], [4, 5, -6]], "float32")


def nd(values, dtype=None):
    return mx.nd.array(values, dtype=dtype)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (lambda a: a + a, A + A),
        (lambda a: 1 - a, 1 - A),
        (lambda a: a / 2, A / 2),
        (lambda a: 2 / a, 2 / A),
        (lambda a: a % 2, A % 2),
        (lambda a: a**2, A**2),
        (lambda a: -a, -A),
        (lambda a: abs(a), abs(A)),
        (lambda a: a + nd([10, 20, 30]), A + np.array([10, 20, 30])),
        (lambda a: a >= 3, (A >= 3).astype("float32")),
        (lambda a: a == nd([[1], [5]]), (A == [[1], [5]]).astype("float32")),
        (lambda a: a.T, A.T),
        (lambda a: a.sum(1), A.sum(1)),
        (lambda a: a.reshape(0, -1, 1), A[:, :, None]),
        (lambda a: a.reshape((-1,)), A.ravel()),
        (lambda a: mx.nd.maximum(a, 0), np.maximum(A, 0)),
        (lambda a: mx.nd.subtract(1, a), 1 - A),
        (lambda a: mx.nd.greater(2, a), (A < 2).astype("float32")),
        (lambda a: mx.nd.logical_and(a, a - 1), ((A != 0) & (A != 1)).astype("float32")),
        (lambda a: mx.nd.moveaxis(a, 0, 1), A.T),
        (lambda a: mx.nd.concatenate([a, a], axis=1), np.concatenate([A, A], 1)),
        (
            lambda a: mx.nd.FullyConnected(a, nd(np.ones((2, 3))), num_hidden=2, no_bias=True),
            A.sum(1, keepdims=True) * [1, 1],
        ),
        (lambda a: mx.nd.linalg.gemm2(a, a, transpose_b=True), A @ A.T),
        (lambda a: mx.nd.arange(2, 5, 0.5, repeat=2), np.repeat(np.arange(2, 5, 0.5), 2)),
        (lambda a: mx.nd.linspace(0, 1, 3), [0, 0.5, 1]),
        (lambda a: mx.nd.eye(2, 3, 1), np.eye(2, 3, 1)),
        (lambda a: mx.nd.full((2,), 3), [3, 3]),
        (lambda a: mx.nd.onehot_encode(nd([2, 0]), mx.nd.zeros((2, 3))), [[0, 0, 1], [1, 0, 0]]),
        (lambda a: mx.nd.split_v2(a, (1,), axis=1)[1], A[:, 1:]),
        (lambda a: mx.nd.histogram(a, 3, (-6, 6))[0], np.histogram(A, 3, (-6, 6))[0]),
    ],
)
def test_operations_give_what_numpy_gives(expression, expected):
    """Arithmetic broadcasts; methods and functions are the operators."""
    result = expression(nd(A))
    np.testing.assert_allclose(result.asnumpy(), expected, rtol=1e-6)


def test_dtypes():
    """float32 unless told otherwise; numbers beside integers are cut; two types do not mix."""
    assert nd(np.ones(2, "int64")).dtype is np.float32
    assert nd(nd([1], "int64")).dtype is np.int64
    assert (nd([1, 2], "int32") + 1.5).asnumpy().tolist() == [2, 3]
    assert (nd([1, 2], "int32") / 2).dtype is np.int32
    assert nd([1.7]).astype("int32").asscalar() == 1
    same = nd([1.0])
    assert same.astype("float32", copy=False) is same
    with pytest.raises(mx.MXNetError, match="rhs is float64, but lhs is float32"):
        nd([1]) + nd([1], "float64")


def test_a_part_shares_memory_where_it_is_contiguous():
    """Writing to a row changes the whole; a column is a copy, as in MXNet."""
    whole = nd(A)
    whole[0][:] = 7
    whole[:, 1][:] = 9
    whole[1, 2:3][:] = 8
    assert whole.asnumpy().tolist() == [[7, 7, 7], [4, 5, 8]]
    assert nd([1, 2])[0].shape == (1,)
    assert nd(A)[1, 1].shape == (1,)
    assert nd(A)[None].shape == (1, 2, 3)


@given(st.data())
def test_indexing_is_numpys(data):
    """Basic keys and lists of numbers read and write the elements that numpy reads and writes."""
    values = data.draw(
        arrays.arrays("float32", arrays.array_shapes(max_dims=3, max_side=4), elements=st.integers(-9, 9))
    )
    key = data.draw(
        arrays.basic_indices(values.shape, allow_newaxis=True)
        | st.lists(st.integers(-values.shape[0], values.shape[0] - 1), min_size=1, max_size=4)
    )
    expected = values[key]
    array = nd(values)

    found = array[key].asnumpy()
    assert found.shape == (expected.shape or (1,))
    assert found.ravel().tolist() == np.ravel(expected).tolist()
    array[key] = 5
    changed = values.copy()
    changed[key] = 5
    assert array.asnumpy().tolist() == changed.tolist()


def test_bad_keys_are_refused():
    """IndexError for what is not there, ValueError for no index at all; NDArrays of numbers are indices."""
    array = nd(A)
    assert array[nd([1, 0]), nd([2, 0])].asnumpy().tolist() == [-6, 1]
    for key in (5, (0, 5), ["a"]):
        with pytest.raises(IndexError):
            array[key]
    for key in ("x", 1.5):
        with pytest.raises(ValueError, match="is no index"):
            array[key]
    with pytest.raises(ValueError, match="broadcast"):
        array[:] = [1, 2]


def test_in_place_forms_write_to_the_array():
    """So that what shares the memory sees it; a result that would be larger is refused."""
    array = nd(A)
    view = array[1]
    array += 1
    array *= nd([[2], [3]])
    array -= array
    array /= 4
    array %= 3
    assert view.asnumpy().tolist() == [0, 0, 0]
    small = nd([1, 2, 3])
    with pytest.raises(mx.MXNetError, match="output is 2x3 of float32, but out is 3"):
        small += array


def test_results_go_where_out_says():
    """Also over an input, where the kernel could not write while it reads."""
    array = nd([[1, 2], [3, 4]])
    assert mx.nd.transpose(array, out=array) is array
    assert array.asnumpy().tolist() == [[1, 3], [2, 4]]
    overlapping = nd([1, 2, 3, 4])
    mx.nd.cumsum(overlapping[:3], out=overlapping[1:])
    assert overlapping.asnumpy().tolist() == [1, 1, 3, 6]
    with pytest.raises(mx.MXNetError, match="exp: output is 2 of float32, but out is 3 of float32"):
        mx.nd.exp(nd([1, 2]), out=mx.nd.zeros(3))
    with pytest.raises(mx.MXNetError, match="2 outputs"):
        mx.nd.split(nd([[1, 2]]), num_outputs=2, out=mx.nd.zeros(1))


def test_wrong_calls_name_operator_and_input():
    """What is missing, too much, of another kind or shape."""
    for use, words in (
        (
            lambda: mx.nd.FullyConnected(nd(A), num_hidden=2, no_bias=True),
            "expects data, weight, but there is no weight",
        ),
        (lambda: mx.nd.exp(3), "data must be an NDArray, not <class 'int'>"),
        (lambda: mx.nd.exp(nd(A), nd(A)), r"takes 1 inputs \(data\), not 2"),
        (lambda: mx.nd.dot(nd(A), nd(A)), "lhs 2x3, rhs 2x3"),
        (lambda: mx.nd.Activation(nd(A), act_type="rlu"), "relu"),
        (lambda: nd(A).reshape(7), "6 elements"),
        (lambda: nd(A).tostype("csr"), "dense"),
    ):
        with pytest.raises(mx.MXNetError, match=words):
            use()
    with pytest.raises(ValueError, match="no scalar"):
        nd(A).asscalar()
    with pytest.raises(ValueError, match="truth value"):
        bool(nd(A))
    with pytest.raises(mx.MXNetError, match=r"shape \(2, 3\) into the shape \(2, 2\)"):
        nd(A).copyto(mx.nd.zeros((2, 2)))
    with pytest.raises(TypeError, match="not supported"):
        nd(A) + np.ones(3)
    with pytest.raises(ValueError, match="no device 'tpu'"):
        mx.Context("tpu")


def test_states_move_imperatively():
    """An optimizer's step writes the weight and its moments."""
    weight, gradient, moments = nd([1.0]), nd([2.0]), nd([0.5])
    mx.nd.sgd_mom_update(weight, gradient, moments, lr=0.1, momentum=0.9, out=weight)
    np.testing.assert_allclose(moments.asnumpy(), [0.9 * 0.5 - 0.1 * 2], rtol=1e-6)
    np.testing.assert_allclose(weight.asnumpy(), [1.25], rtol=1e-6)


def test_values_that_leave_the_array():
    """Copies, pickles and numbers."""
    array = nd(A)
    for other in (
        array.copy(),
        copy.deepcopy(array),
        pickle.loads(pickle.dumps(array)),
        array.as_in_context(mx.cpu(1)),
    ):
        other[:] = 0
    assert array.asnumpy().tolist() == A.tolist()
    assert array.as_in_context(mx.cpu()) is array
    assert nd([3]).asscalar() == 3
    assert bool(nd([3]))
    assert not bool(nd([0]))
    assert [row.asnumpy().tolist() for row in array] == A.tolist()
    assert repr(nd([[1, 2]])) == "\n[[1. 2.]]\n<NDArray 1x2 @cpu(0)>"
    assert len({array, array}) == 1


def test_the_device_of_a_with_block_is_the_default():
    """Blocks nest; MXNet's `with ctx:`."""
    with mx.cpu(3):
        with mx.Context("cpu", 4):
            assert mx.current_context() == mx.cpu(4)
        assert mx.nd.ones(1).context == mx.cpu(3)
        assert mx.nd.random.uniform(shape=2).context == mx.cpu(3)
    assert mx.current_context() == mx.cpu(0)


def test_random_numbers_follow_the_seed():
    """mx.random and mx.nd.random are one; tensors as parameters draw for each element."""
    mx.random.seed(5)
    first = mx.random.uniform(0, 1, (3,)).asnumpy()
    mx.random.seed(5)
    assert mx.nd.random.uniform(0, 1, shape=(3,)).asnumpy().tolist() == first.tolist()
    assert mx.nd.random.normal(nd([0, 100]), nd([1, 1]), shape=3).shape == (2, 3)
    assert mx.nd.random.randn(2, 3).shape == (2, 3)
    assert sorted(mx.nd.random.shuffle(nd([1, 2, 3])).asnumpy().tolist()) == [1, 2, 3]
    assert mx.nd.random.multinomial(nd([0, 1])).asscalar() == 1


@pytest.mark.parametrize("source", [[[1, 2], [3]], "x", [mx.nd.ones(2), mx.nd.zeros(2)]])
def test_what_makes_no_array_is_a_type_error(source):
    """MXNet says so, too, whatever numpy raises."""
    with pytest.raises(TypeError, match="does not make an array"):
        mx.nd.array(source)


@pytest.mark.parametrize("data", [3, {"a": 3}, [1.5], {1: mx.nd.ones(1)}])
def test_only_arrays_with_texts_as_names_are_saved(data, tmp_path):
    """TypeError, and no file."""
    with pytest.raises(TypeError):
        mx.nd.save(str(tmp_path / "file"), data)

    assert not list(tmp_path.iterdir())

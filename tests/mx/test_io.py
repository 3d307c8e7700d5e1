"""Iterators over arrays and over other iterators; the orders and pads are those that MXNet 1.9.1 gave."""

import copy
import gc
import pickle
import threading

import numpy as np
import pytest

import netdef as mx

X = np.arange(14, dtype=np.float32).reshape(7, 2)
Y = np.arange(7)


def epoch(iterator):
    """The labels and the pad of every batch until the end; then reset."""
    batches = [(batch.label[0].asnumpy().tolist(), batch.pad) for batch in iterator]
    iterator.reset()
    return batches


# -- descriptions and batches --


def test_a_description_is_a_name_and_a_shape_with_two_attributes():
    """It unpacks and compares as a pair; dtype and layout survive copying and pickling."""
    description = mx.io.DataDesc("data", (2, 3), "float64", "NC")
    name, shape = description

    assert (name, shape) == description == ("data", (2, 3))
    assert str(description) == "DataDesc[data,(2, 3),float64,NC]"
    for other in (copy.copy(description), pickle.loads(pickle.dumps(description))):
        assert (other.dtype, other.layout) == ("float64", "NC")
    default = mx.io.DataDesc("data", (2, 3))
    assert (default.dtype, default.layout) == (np.float32, "NCHW")


@pytest.mark.parametrize(("layout", "axis"), [("NCHW", 0), ("TNC", 1), ("TC", -1), (None, 0)])
def test_the_batch_axis_of_a_layout(layout, axis):
    """It is that of N."""
    assert mx.io.DataDesc.get_batch_axis(layout) == axis


def test_descriptions_from_pairs_and_dicts():
    """Types are looked up by name; a name without one is an error."""
    shapes = {"a": (1, 2), "b": (3,)}
    listed = mx.io.DataDesc.get_list(list(shapes.items()), [("b", "int32"), ("a", "float16")])

    assert [(d.name, d.shape, d.dtype) for d in listed] == [("a", (1, 2), "float16"), ("b", (3,), "int32")]
    assert [d.dtype for d in mx.io.DataDesc.get_list(shapes, None)] == [np.float32] * 2
    with pytest.raises(KeyError, match="b"):
        mx.io.DataDesc.get_list(shapes, {"a": "int32"})


def test_a_batch_holds_lists():
    """A bare array is refused, as in MXNet; the text tells the shapes."""
    batch = mx.io.DataBatch([mx.nd.zeros((2, 3))], pad=1, bucket_key=5)

    assert str(batch) == "DataBatch: data shapes: [(2, 3)] label shapes: None"
    assert (batch.pad, batch.index, batch.bucket_key, batch.provide_data) == (1, None, 5, None)
    for data, label in ((mx.nd.zeros((2,)), None), ([], mx.nd.zeros((2,)))):
        with pytest.raises(AssertionError, match="must be a list of NDArrays"):
            mx.io.DataBatch(data, label)


class Countdown(mx.io.DataIter):
    """Batches of one number, down to 1; written in parts, as users write iterators."""

    def __init__(self, start):
        super().__init__(batch_size=1)
        self.left = start + 1

    def iter_next(self):
        self.left -= 1
        return self.left > 0

    def getdata(self):
        return [mx.nd.array([self.left])]


def test_an_iterator_is_made_of_parts():
    """`next` puts them together; those that are left out give None."""
    batches = list(Countdown(2))

    assert [batch.data[0].asscalar() for batch in batches] == [2, 1]
    assert [(batch.label, batch.pad, batch.index) for batch in batches] == [(None, None, None)] * 2
    with pytest.raises(NotImplementedError, match="DataIter has neither next nor iter_next"):
        mx.io.DataIter().next()


# -- NDArrayIter --


def test_pad_fills_the_last_batch_with_the_first_samples():
    """In every epoch alike; with fewer samples than a batch has, several times around."""
    expected = [([0, 1, 2], 0), ([3, 4, 5], 0), ([6, 0, 1], 2)]
    iterator = mx.io.NDArrayIter(X, Y, 3)

    assert [epoch(iterator), epoch(iterator)] == [expected, expected]
    assert epoch(mx.io.NDArrayIter(X[:2], Y[:2], 5)) == [([0, 1, 0, 1, 0], 3)]


def test_discard_leaves_incomplete_batches_out():
    """In every epoch alike."""
    iterator = mx.io.NDArrayIter(X, Y, 3, last_batch_handle="discard")
    expected = [([0, 1, 2], 0), ([3, 4, 5], 0)]

    assert [epoch(iterator), epoch(iterator)] == [expected, expected]


def test_roll_over_begins_the_next_epoch_with_what_was_left():
    """Three epochs of MXNet; the pad counts the samples of this epoch in the mixed batch."""
    iterator = mx.io.NDArrayIter(X, Y, 3, last_batch_handle="roll_over")

    assert epoch(iterator) == [([0, 1, 2], 0), ([3, 4, 5], 0)]
    assert epoch(iterator) == [([6, 0, 1], 1), ([2, 3, 4], 0)]
    assert epoch(iterator) == [([5, 6, 0], 2), ([1, 2, 3], 0), ([4, 5, 6], 0)]
    assert epoch(iterator) == [([0, 1, 2], 0), ([3, 4, 5], 0)]
    iterator.hard_reset()
    assert epoch(iterator)[0] == ([0, 1, 2], 0)


def test_shuffling_draws_from_numpys_generator_as_mxnet_does():
    """Each epoch permutes the order of the last one; what rolls over is of the old order."""
    np.random.seed(3)
    iterator = mx.io.NDArrayIter(X, Y, 3, shuffle=True)
    assert epoch(iterator) == [([4, 6, 5], 0), ([3, 1, 0], 0), ([2, 4, 6], 2)]
    assert epoch(iterator) == [([5, 6, 2], 0), ([0, 3, 4], 0), ([1, 5, 6], 2)]

    np.random.seed(3)
    iterator = mx.io.NDArrayIter(X, Y, 3, shuffle=True, last_batch_handle="roll_over")
    assert epoch(iterator) == [([4, 6, 5], 0), ([3, 1, 0], 0)]
    assert epoch(iterator) == [([2, 5, 6], 1), ([2, 0, 3], 0)]
    assert epoch(iterator) == [([4, 1, 3], 2), ([6, 4, 0], 0), ([2, 5, 1], 0)]


def test_data_and_labels_stay_together():
    """A shuffled batch has the rows of its labels."""
    for batch in mx.io.NDArrayIter(X, Y, 2, shuffle=True, last_batch_handle="discard"):
        numbers = batch.label[0].asnumpy().astype(int)
        assert np.array_equal(batch.data[0].asnumpy(), X[numbers])


def test_names_shapes_and_types_of_the_arrays():
    """numpy becomes float32, NDArrays keep their type, dicts are sorted; so in MXNet."""

    def told(descriptions):
        return [(d.name, d.shape, d.dtype) for d in descriptions]

    single = mx.io.NDArrayIter(X.astype(np.int64), mx.nd.array(Y, dtype=np.uint8), 2, layout="NTC")
    assert told(single.provide_data) == [("data", (2, 2), np.float32)]
    assert told(single.provide_label) == [("softmax_label", (2,), np.uint8)]
    assert single.provide_data[0].layout == "NTC"
    assert single.next().label[0].dtype == np.uint8
    several = mx.io.NDArrayIter([X, X], {"b": Y, "a": X}, 2)
    assert [d.name for d in several.provide_data] == ["_0_data", "_1_data"]
    assert told(several.provide_label) == [("a", (2, 2), np.float32), ("b", (2,), np.float32)]
    assert [label.shape for label in several.next().label] == [(2, 2), (2,)]
    named = mx.io.NDArrayIter(X, None, 2, data_name="x")
    assert [d.name for d in named.provide_data] == ["x"]
    assert named.provide_label == named.next().label == []


def test_batches_are_copies():
    """Writing to a batch changes neither the source nor later batches."""
    source = mx.nd.array(X)
    iterator = mx.io.NDArrayIter(source, Y, 3)
    iterator.next().data[0][:] = -1
    iterator.reset()

    assert np.array_equal(source.asnumpy(), X)
    assert np.array_equal(iterator.next().data[0].asnumpy(), X[:3])


def test_the_parts_of_the_protocol():
    """`iter_next` moves, the others look; before the first and after the last batch there are no data."""
    iterator = mx.io.NDArrayIter(X, Y, 4)
    with pytest.raises(AssertionError, match="before the first batch"):
        iterator.getdata()
    assert iterator.iter_next()
    assert iterator.iter_next()
    assert iterator.getlabel()[0].asnumpy().tolist() == [4, 5, 6, 0]
    assert (iterator.getpad(), iterator.getindex(), iterator.num_data) == (1, None, 7)
    assert not iterator.iter_next()
    with pytest.raises(AssertionError, match="after the last batch"):
        iterator.getlabel()
    with pytest.raises(StopIteration):
        iterator.next()


class Dataset:
    """What h5py's look like."""

    shape, dtype = (3, 2), np.dtype("float32")

    def __getitem__(self, key):
        raise AssertionError("nobody reads it")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((Dataset(),), TypeError, "data is a Dataset; give a numpy array"),
        (([X, Dataset()],), TypeError, "_1_data is a Dataset"),
        (("text",), TypeError, "data is a str"),
        ((None, Y), TypeError, "data is a NoneType"),
        ((np.array(["a", "b"]),), TypeError, "data holds <U1"),
        ((np.array([1j]),), TypeError, "data holds complex128"),
        (([[[1, 2], [3]]],), TypeError, "parts have different lengths"),
        (({1: X},), TypeError, "names in data must be texts, not 1"),
        (([],), ValueError, "data holds no array"),
        (({},), ValueError, "data holds no array"),
        ((np.zeros(()),), ValueError, "data is a single number"),
        ((X[:0], Y[:0]), ValueError, r"data has no samples: its shape is \(0, 2\)"),
        ((X, Y[:5]), ValueError, "data has 7, softmax_label has 5"),
        ((X, Y, 0), ValueError, "batch_size is 0"),
        ((X, Y, 2.5), TypeError, "batch_size must be a whole number, not 2.5"),
        ((X, Y, 2, False, "rollover"), ValueError, "'rollover' is not known; did you mean roll_over?"),
        ((X, Y, 8, False, "discard"), ValueError, "7 samples do not fill a batch of 8"),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, message):
    """At once, and naming what is wrong."""
    with pytest.raises(error, match=message):
        mx.io.NDArrayIter(*arguments)


def test_a_roll_over_that_cannot_fill_a_batch_is_an_error():
    """2 samples carried over and 2 more do not make 7."""
    iterator = mx.io.NDArrayIter(X[:2], Y[:2], 7, last_batch_handle="roll_over")
    assert epoch(iterator) == []
    with pytest.raises(mx.MXNetError, match="do not fill a batch of 7"):
        iterator.next()


# -- ResizeIter --


def test_resizing_begins_the_inner_iterator_anew():
    """Epochs of as many batches as were asked for."""
    iterator = mx.io.ResizeIter(mx.io.NDArrayIter(X, Y, 3), 5)

    first = epoch(iterator)
    assert [labels for labels, _ in first] == [[0, 1, 2], [3, 4, 5], [6, 0, 1], [0, 1, 2], [3, 4, 5]]
    assert epoch(iterator) == first
    assert iterator.batch_size == 3
    assert iterator.provide_data == [("data", (3, 2))]


def test_resizing_may_go_on_where_it_stopped():
    """Without `reset_internal` the second epoch begins with the third batch."""
    iterator = mx.io.ResizeIter(mx.io.NDArrayIter(X, Y, 3), 2, reset_internal=False)

    assert epoch(iterator) == [([0, 1, 2], 0), ([3, 4, 5], 0)]
    assert epoch(iterator) == [([6, 0, 1], 2), ([0, 1, 2], 0)]


def test_resizing_nothing_is_an_error():
    """An inner iterator without batches would never fill an epoch."""
    inner = Countdown(0)
    inner.provide_data = inner.provide_label = []
    with pytest.raises(mx.MXNetError, match="Countdown to be resized gives no batch"):
        mx.io.ResizeIter(inner, 1).next()
    with pytest.raises(ValueError, match="size is -1"):
        mx.io.ResizeIter(inner, -1)


# -- PrefetchingIter --


def test_prefetching_puts_iterators_side_by_side():
    """Data and labels of all, under new names, in every epoch."""
    iterator = mx.io.PrefetchingIter(
        [mx.io.NDArrayIter(X, Y, 3), mx.io.NDArrayIter(-X, -Y, 3)],
        rename_data=[{"data": "a"}, {"data": "b"}],
        rename_label=[{"softmax_label": "l"}, {"softmax_label": "m"}],
    )
    for _ in range(2):
        batches = list(iterator)
        iterator.reset()
        assert [batch.pad for batch in batches] == [0, 0, 2]
        for batch in batches:
            assert np.array_equal(batch.data[0].asnumpy(), -batch.data[1].asnumpy())
            assert np.array_equal(batch.label[0].asnumpy(), -batch.label[1].asnumpy())
    assert iterator.provide_data == [("a", (3, 2)), ("b", (3, 2))]
    assert [d.name for d in iterator.provide_label] == ["l", "m"]
    assert batches[0].provide_data == iterator.provide_data
    assert iterator.batch_size == 3


def test_prefetching_one_iterator_changes_nothing():
    """Neither names nor batches; the parts of the protocol look at the current batch."""
    plain, ahead = mx.io.NDArrayIter(X, Y, 3), mx.io.PrefetchingIter(mx.io.NDArrayIter(X, Y, 3))

    with pytest.raises(AssertionError, match="call next first"):
        ahead.getdata()
    assert ahead.iter_next()
    assert (ahead.getlabel()[0].asnumpy().tolist(), ahead.getpad(), ahead.getindex()) == ([0, 1, 2], 0, None)
    ahead.reset()
    assert [epoch(ahead), epoch(ahead)] == [epoch(plain)] * 2
    assert ahead.provide_data == plain.provide_data


class Failing(mx.io.NDArrayIter):
    """Fails at its second batch."""

    def iter_next(self):
        if self.cursor == 0:
            raise OSError("the disk is gone")
        return super().iter_next()


def test_errors_of_the_inner_iterator_arrive():
    """At the batch that failed, again until reset."""
    iterator = mx.io.PrefetchingIter([mx.io.NDArrayIter(X, Y, 3), Failing(X, Y, 3)])

    assert iterator.next().pad == 0
    for _ in range(2):
        with pytest.raises(OSError, match="the disk is gone"):
            iterator.next()
    iterator.reset()
    assert iterator.next().pad == 0


def test_threads_end_with_the_iterator():
    """Also in the middle of an epoch."""
    before = set(threading.enumerate())
    iterator = mx.io.PrefetchingIter([mx.io.NDArrayIter(X, Y, 3), mx.io.NDArrayIter(X, Y, 3)])
    iterator.next()
    threads = set(threading.enumerate()) - before
    assert threads
    del iterator
    gc.collect()
    for thread in threads:
        thread.join(timeout=30)
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ((X[:3], Y[:3], 3), "different numbers of batches"),
        ((X[:6], Y[:6], 3), "different numbers of batches"),
        ((np.tile(X, (2, 1))[:9], np.tile(Y, 2)[:9], 3), "pads differ: 2, 0"),
    ],
)
def test_iterators_that_disagree_are_an_error(second, message):
    """In the number of batches or in their pads."""
    iterator = mx.io.PrefetchingIter([mx.io.NDArrayIter(X, Y, 3), mx.io.NDArrayIter(*second)])
    with pytest.raises(AssertionError, match=message):
        list(iterator)


@pytest.mark.parametrize("renames", [{"data": "a"}, [{"data": "a"}, {"data": "b"}], [{"x": "a"}]])
def test_renames_must_be_complete(renames):
    """A dict for each iterator, with every name."""
    with pytest.raises(ValueError, match="rename_data"):
        mx.io.PrefetchingIter(mx.io.NDArrayIter(X, Y, 3), rename_data=renames)
    with pytest.raises(ValueError, match="iters is empty"):
        mx.io.PrefetchingIter([])

"""In which order samples are drawn."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from netdef.data.order import Order


def drawn(order, batches):
    """The sample numbers of the next batches, as one list."""
    return [int(number) for _ in range(batches) for number in order.next()]


def test_without_shuffle_the_file_is_read_round_and_round():
    """Batches straddle the end of the data, as in Caffe."""
    order = Order(5, 3, shuffle=False, seed=(1,))

    assert drawn(order, 4) == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]


@given(samples=st.integers(1, 40), batch=st.integers(1, 50), seed=st.integers(0, 2**31))
def test_every_epoch_has_every_sample_once(samples, batch, seed):
    """Whatever the batch size, each stretch of `samples` draws is a permutation."""
    numbers = drawn(Order(samples, batch, shuffle=True, seed=(seed,)), 3 * samples // batch + 1)

    for epoch in range(len(numbers) // samples):
        assert sorted(numbers[epoch * samples : (epoch + 1) * samples]) == list(range(samples))


def test_epochs_differ_and_seeds_differ():
    """Each epoch has a permutation of its own, and so has each seed."""
    one, other = (drawn(Order(50, 50, shuffle=True, seed=(seed,)), 2) for seed in (1, 2))

    assert one[:50] != one[50:]
    assert one[:50] != other[:50]


@given(cut=st.integers(0, 30))
def test_the_count_of_draws_is_the_whole_state(cut):
    """An order that is set to the position of another goes on as that one would."""
    whole = Order(7, 3, shuffle=True, seed=(5,))
    drawn(whole, cut)
    resumed = Order(7, 3, shuffle=True, seed=(5,))
    resumed.drawn = whole.drawn

    assert drawn(resumed, 10) == drawn(whole, 10)


def test_the_batch_array_is_used_again():
    """Nothing is allocated from batch to batch."""
    order = Order(10, 4, shuffle=True, seed=(1,))

    assert order.next() is order.next()
    assert order.next().dtype == np.intp

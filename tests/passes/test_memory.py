"""Packing of tensors into one arena."""

from hypothesis import given
from hypothesis import strategies as st

from netdef.passes.memory import ALIGNMENT, Interval, pack

INTERVALS = st.lists(
    st.tuples(st.integers(0, 1000), st.integers(0, 20), st.integers(0, 20)).map(
        lambda t: Interval(t[0], min(t[1:]), max(t[1:]))
    ),
    max_size=30,
)


@given(INTERVALS)
def test_tensors_alive_together_never_overlap(intervals):
    """Two tensors in use at one step have no byte in common, and all lie inside the arena."""
    offsets, total = pack(intervals)

    for i, (one, start) in enumerate(zip(intervals, offsets)):
        assert start % ALIGNMENT == 0
        assert 0 <= start <= total - one.bytes
        for other, there in list(zip(intervals, offsets))[:i]:
            together = one.first <= other.last and other.first <= one.last
            if together and one.bytes and other.bytes:
                assert start + one.bytes <= there or there + other.bytes <= start


@given(INTERVALS)
def test_the_arena_is_at_least_what_one_step_needs(intervals):
    """The most that is in use at one step bounds every packing from below."""
    _, total = pack(intervals)

    by_hand = max(
        (
            sum(-(-i.bytes // ALIGNMENT) * ALIGNMENT for i in intervals if i.first <= step <= i.last)
            for step in range(21)
        ),
        default=0,
    )
    assert total >= by_hand


def test_a_chain_needs_two_tensors():
    """In a chain only two neighbours live at once, so the arena is two tensors large."""
    chain = [Interval(4096, i, i + 1) for i in range(10)]

    assert pack(chain)[1] == 2 * 4096

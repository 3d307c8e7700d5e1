"""What is made in the background: the same items, errors where they belong, and an end."""

import threading
import time

import numpy as np
import pytest

from netdef.data import feed as feeds
from netdef.data.ahead import ITEMS, Ahead
from netdef.data.dataset import Library
from netdef.data.feed import Feed, FeedAhead
from netdef.diag import Findings
from netdef.passes.pipeline import load_net
from netdef.spec.net import NetState

NET = """\
layer:
  - name: data
    type: ArrayData
    top: [data, label]
    transform_param: {crop_size: 3, mirror: true, scale: 0.5, mean_value: 1}
    array_data_param: {source: data.npz, batch_size: 4, shuffle: true}
"""


def threads():
    """The background threads that are alive."""
    return [thread for thread in threading.enumerate() if thread.name == "netdef-ahead"]


def assert_threads_end():
    """Within a moment: what raises does not wait for them."""
    for thread in threads():
        thread.join(5)
    assert not threads()


def test_items_come_in_order_and_end():
    """Every item once, then the end, as often as it is asked for."""
    with Ahead(iter(range(7))) as items:
        assert list(items) == list(range(7))
        assert list(items) == []
    assert not threads()


def test_no_more_items_are_made_than_there_is_room_for():
    """One beside the item in use: its memory is free from the next call on."""
    made = []

    def make():
        for number in range(9):
            made.append(number)
            yield number

    with Ahead(make()) as items:
        for number in items:
            until = time.monotonic() + 0.02
            while time.monotonic() < until:
                assert len(made) <= number + ITEMS
    assert made == list(range(9))


def test_an_error_is_raised_where_its_item_is_asked_for():
    """Items before it come first; the error is the very one, and so is what follows."""

    def make():
        yield 1
        raise ValueError("no second item")

    items = Ahead(make())
    assert next(items) == 1
    for _ in range(2):
        with pytest.raises(ValueError, match="no second item"):
            next(items)
    with items:
        pass
    assert not threads()


def test_the_thread_ends_with_the_block():
    """Whether it ends well, early, or with an error."""
    with Ahead(iter(range(100))) as items:
        assert next(items) == 0
    assert not threads()
    with pytest.raises(KeyError), Ahead(iter(range(100))):
        raise KeyError
    assert_threads_end()


@pytest.fixture
def feed_of(tmp_path):
    """Feeds of a net over 11 images, shuffled, cropped and mirrored."""
    random = np.random.default_rng(0)
    data = random.integers(0, 255, (11, 1, 5, 6)).astype(np.uint8)
    np.savez(tmp_path / "data.npz", data=data, label=np.arange(11))
    (tmp_path / "net.yaml").write_text(NET)
    findings = Findings()
    loaded = load_net(str(tmp_path / "net.yaml"), NetState(phase="TRAIN"), findings)
    dataset = Library().open(loaded.net.layers[0].layer, findings)
    findings.raise_errors()
    return lambda: Feed([dataset], train=True, seed=3)


def batches_of(fill, feed, count):
    """Copies of the next batches, and the positions after each."""
    arrays = {"data": np.zeros((4, 1, 3, 3), np.float32), "label": np.zeros(4, np.float32)}
    found = []
    for _ in range(count):
        fill(arrays)
        found.append(({top: array.copy() for top, array in arrays.items()}, feed.drawn))
    return found


@pytest.mark.parametrize("start", [0, 24])
def test_batches_are_those_of_the_feed(monkeypatch, feed_of, start):
    """Bit for bit over several epochs, with the position of the batch that was filled, not of those made."""
    monkeypatch.setattr(feeds, "SLOW", 0)
    plain, feed = feed_of(), feed_of()
    plain.drawn = feed.drawn = [start]
    with FeedAhead(feed) as ahead:
        found = batches_of(ahead.fill, feed, 12)
        assert len(threads()) == 1
    assert not threads()

    for (mine, drawn), (theirs, position) in zip(found, batches_of(plain.fill, plain, 12)):
        assert drawn == position
        for top, array in mine.items():
            np.testing.assert_array_equal(array, theirs[top])


def test_the_feed_goes_on_where_the_block_ended(monkeypatch, feed_of):
    """Batches that were made ahead and not used are drawn again."""
    monkeypatch.setattr(feeds, "SLOW", 0)
    plain, feed = feed_of(), feed_of()
    with FeedAhead(feed) as ahead:
        batches_of(ahead.fill, feed, 5)
    batches_of(plain.fill, plain, 5)

    (mine, drawn), (theirs, position) = batches_of(feed.fill, feed, 1)[0], batches_of(plain.fill, plain, 1)[0]
    assert drawn == position == [24]
    np.testing.assert_array_equal(mine["data"], theirs["data"])


def test_quick_batches_need_no_thread(monkeypatch, feed_of):
    """Handing them over would cost more than filling them."""
    monkeypatch.setattr(feeds, "SLOW", 1e9)
    feed = feed_of()
    with FeedAhead(feed) as ahead:
        batches_of(ahead.fill, feed, 4)
        assert not threads()

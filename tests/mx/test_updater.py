"""The Updater: it keeps states by index, and writes and reads them without pickle."""

import pickle

import numpy as np
import pytest

import netdef as mx


def run(updater, weights, steps):
    """Some steps with gradients that depend on the weights."""
    for step in steps:
        for index, weight in weights.items():
            updater(index, mx.nd.array(np.cos(weight.asnumpy() + step)), weight)


def trained(optimizer, steps=3):
    """An updater and its weights after some steps."""
    updater, weights = (
        mx.optimizer.get_updater(optimizer),
        {0: mx.nd.array([1.0, 2.0]), "fc": mx.nd.array([[3.0]])},
    )
    run(updater, weights, range(steps))
    return updater, weights


def test_an_updater_makes_each_state_once():
    """By index, which may be a name or bytes of one."""
    updater, _ = trained(mx.optimizer.create("adam"))
    updater([b"fc"], [mx.nd.array([[1.0]])], [mx.nd.array([[1.0]])])

    assert list(updater.states) == [0, "fc"]
    with pytest.raises(mx.MXNetError, match="as many"):
        updater([0, 1], [mx.nd.array([1.0])], [mx.nd.array([1.0])])


@pytest.mark.parametrize(
    ("name", "own"),
    [("sgd", {"momentum": 0.9}), ("sgd", {}), ("adam", {}), ("dcasgd", {}), ("rmsprop", {"centered": True})],
)
def test_training_goes_on_from_saved_states(name, own):
    """With the optimizer, an interrupted run ends where the other ends, to the last bit."""

    def create():
        scheduler = mx.lr_scheduler.FactorScheduler(2, factor=0.5, base_lr=0.1)
        return mx.optimizer.create(name, lr_scheduler=scheduler, learning_rate=0.1, **own)

    _, whole = trained(create(), 6)
    updater, weights = trained(create(), 3)
    saved = updater.get_states(dump_optimizer=True)

    resumed = mx.optimizer.get_updater(create())
    resumed.set_states(saved)
    run(resumed, weights, range(3, 6))

    for index, weight in whole.items():
        np.testing.assert_array_equal(weights[index].asnumpy(), weight.asnumpy())
    assert updater.get_states(True) == saved, "the same states are the same bytes"


def test_states_alone_leave_the_optimizer():
    """Its counts begin anew, as in MXNet."""
    updater, _ = trained(mx.optimizer.create("adam"))
    other = mx.optimizer.get_updater(mx.optimizer.create("adam"))
    other.set_states(updater.get_states())

    assert other.optimizer.num_update == 0
    mean, _ = other.states["fc"]
    np.testing.assert_array_equal(mean.asnumpy(), updater.states["fc"][0].asnumpy())


def test_states_keep_their_precision_and_structure():
    """float16 master pairs, None, nested tuples, names."""
    updater = mx.optimizer.get_updater(mx.optimizer.create("sgd", multi_precision=True))
    updater.states = {
        0: (None, mx.nd.array([1.0])),
        "x": [mx.nd.array([2], dtype=np.float16), {"n": 3, "t": "é"}],
    }
    other = mx.optimizer.get_updater(mx.optimizer.create("sgd"))
    other.set_states(updater.get_states())

    assert other.states[0][0] is None
    assert other.states["x"][0].dtype == np.float16
    assert other.states["x"][1] == {"n": 3, "t": "é"}


def test_pickles_are_never_loaded():
    """Neither MXNet's states nor anything else; the message says what to do."""

    class Trap:
        def __reduce__(self):
            return pytest.fail, ("unpickled",)

    updater = mx.optimizer.get_updater(mx.optimizer.create("sgd"))
    for protocol in (2, 4):
        with pytest.raises(mx.MXNetError, match="does not unpickle"):
            updater.set_states(pickle.dumps({0: Trap()}, protocol=protocol))


def damaged():
    """Bytes that are no states."""
    updater, _ = trained(mx.optimizer.create("adam"))
    good = updater.get_states(True)
    yield b""
    yield b"no archive"
    yield pickle.dumps({0: 1}, protocol=0)
    yield good[: len(good) // 2]
    yield good.replace(b"netdef optimizer states 1", b"netdef optimizer states 9")
    yield good.replace(b'"array"', b'"areas"')
    yield good.replace(b'"tuple"', b'"shell"')


@pytest.mark.parametrize("data", list(damaged()))
def test_damaged_states_are_refused(data):
    """With one message, and nothing is changed."""
    updater, _ = trained(mx.optimizer.create("adam"))
    before = updater.states
    with pytest.raises(mx.MXNetError, match="no states that get_states wrote"):
        updater.set_states(data)
    assert updater.states is before


def test_states_are_bytes_and_compressed_archives_are_refused(tmp_path):
    """A small archive cannot unpack to a large one."""
    updater = mx.optimizer.get_updater(mx.optimizer.create("sgd"))
    with pytest.raises(mx.MXNetError, match="bytes"):
        updater.set_states("text")
    np.savez_compressed(tmp_path / "bomb.npz", tree=np.zeros(10**6, np.uint8))
    with pytest.raises(mx.MXNetError, match="compressed"):
        updater.set_states((tmp_path / "bomb.npz").read_bytes())


def test_states_of_another_optimizer_are_refused():
    """Where the file says whose they are, at once; else by the shape of the state."""
    updater, weights = trained(mx.optimizer.create("adam"))
    other = mx.optimizer.get_updater(mx.optimizer.create("sgd", momentum=0.9))
    with pytest.raises(mx.MXNetError, match="saved with Adam, but here is SGD"):
        other.set_states(updater.get_states(True))
    other.set_states(updater.get_states())
    with pytest.raises(mx.MXNetError, match="SGD needs 1"):
        other(0, weights[0], weights[0])


def test_a_state_that_is_no_data_cannot_be_saved():
    """The message says what can."""
    updater = mx.optimizer.get_updater(mx.optimizer.create("sgd"))
    updater.states = {0: object()}
    with pytest.raises(mx.MXNetError, match="hold arrays, numbers"):
        updater.get_states()

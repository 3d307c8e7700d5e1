"""The store of one machine: sums, updaters, keys."""

import numpy as np
import pytest

import netdef as mx


def pulled(store, key):
    out = mx.nd.zeros(2)
    store.pull(key, out=out)
    return out.asnumpy().tolist()


def test_push_adds_up_and_pull_copies():
    """Without an updater the sum becomes the value; lists of keys work together."""
    store = mx.kv.create("local")
    store.init(3, mx.nd.ones(2))
    assert pulled(store, 3) == [1, 1]
    store.push(3, [mx.nd.ones(2) * 2, mx.nd.ones(2) * 4])
    assert pulled(store, 3) == [6, 6]
    store.init([4, 5], [mx.nd.ones(2)] * 2)
    store.push([4, 5], [[mx.nd.ones(2)] * 2] * 2)
    out = mx.nd.zeros(2)
    store.pushpull(4, mx.nd.ones(2) * 7, out=out)
    assert (pulled(store, 4), pulled(store, 5), out.asnumpy().tolist()) == ([7, 7], [2, 2], [7, 7])
    assert (store.type, store.rank, store.num_workers) == ("local", 0, 1)


def test_updaters_and_optimizers_change_the_value(tmp_path):
    """A function, and an optimizer whose states can be saved."""
    store = mx.kv.create("device")
    store.init("w", mx.nd.ones(2))
    store._set_updater(lambda key, grad, weight: weight.__isub__(grad))
    store.push("w", [mx.nd.ones(2)] * 3)
    assert pulled(store, "w") == [-2, -2]
    store.set_optimizer(mx.optimizer.SGD(learning_rate=0.5, momentum=0.5))
    store.push("w", mx.nd.ones(2))
    path = str(tmp_path / "states")
    store.save_optimizer_states(path)
    store.load_optimizer_states(path)
    store.push("w", mx.nd.ones(2))
    np.testing.assert_allclose(pulled(store, "w"), -2 - 0.5 - 0.75)


def test_what_is_refused(tmp_path):
    """Each with the key or the name in the message."""
    store = mx.kv.create()
    store.init(1, mx.nd.ones(2))
    for call, told in (
        (lambda: store.init(1, mx.nd.ones(2)), "key 1 has a value already"),
        (lambda: store.init("w", mx.nd.ones(2)), "key 'w' is no int"),
        (lambda: store.push(9, mx.nd.ones(2)), "key 9 has no value"),
        (lambda: store.push(1, mx.nd.ones(3)), r"shape \(2,\), not \(3,\)"),
        (lambda: store.push([1, 2], mx.nd.ones(2)), "2 keys need a list"),
        (lambda: store.push(1, 3), "must be an NDArray"),
        (lambda: store.pull(1), "pull needs out"),
        (lambda: store.save_optimizer_states(str(tmp_path / "s")), "no optimizer"),
        (lambda: mx.kv.create("dist_sync"), "several machines"),
        (lambda: mx.kv.create("lokal"), "did you mean local"),
    ):
        with pytest.raises(mx.MXNetError, match=told):
            call()
    with pytest.raises(TypeError, match="must be a text"):
        mx.kv.create(3)

"""BucketingModule: nets of several sizes over the same parameters."""

import numpy as np
import pytest

import netdef as mx

RANDOM = np.random.RandomState(5)
WEIGHT = RANDOM.uniform(-1, 1, (2, 3)).astype(np.float32)


def sized(length):
    """A linear classifier of the mean over `length` steps of three features."""
    steps = mx.sym.Variable("data")
    mean = mx.sym.mean(steps, axis=1, name=f"mean{length}")
    net = mx.sym.FullyConnected(mean, num_hidden=2, no_bias=True, name="fc")
    return mx.sym.SoftmaxOutput(net, name="softmax"), ("data",), ("softmax_label",)


def batch(length, key=None):
    """Two sequences."""
    values = np.random.RandomState(length).uniform(-1, 1, (2, length, 3)).astype(np.float32)
    return mx.io.DataBatch(
        [mx.nd.array(values)],
        [mx.nd.array([0, 1])],
        pad=0,
        bucket_key=length if key is None else key,
        provide_data=[("data", values.shape)],
        provide_label=[("softmax_label", (2,))],
    )


def trained(lengths):
    """The weight after momentum descent over such batches, in plain numpy."""
    weight, moving = WEIGHT.astype(float), np.zeros_like(WEIGHT)
    for length in lengths:
        means = batch(length).data[0].asnumpy().mean(axis=1)
        powers = np.exp(means @ weight.T)
        error = powers / powers.sum(axis=1, keepdims=True) - np.eye(2)
        moving = 0.9 * moving - 0.5 / 2 * error.T @ means
        weight = weight + moving
    return weight


def bound(**options):
    module = mx.mod.BucketingModule(sized, default_bucket_key=6, **options)
    module.bind([("data", (2, 6, 3))], [("softmax_label", (2,))])
    module.set_params({"fc_weight": mx.nd.array(WEIGHT)}, {})
    return module


class Sequences(mx.io.DataIter):
    """Batches of these lengths."""

    def __init__(self, lengths):
        super().__init__(2)
        self.lengths, self.default_bucket_key = lengths, 6
        self.provide_data, self.provide_label = [("data", (2, 6, 3))], [("softmax_label", (2,))]
        self.reset()

    def reset(self):
        self.coming = iter(self.lengths)

    def next(self):
        return batch(next(self.coming))


def test_buckets_train_the_same_parameters_with_one_optimizer():
    """Also its momentum, and whichever bucket comes last."""
    module = bound()
    module.init_optimizer(optimizer_params={"learning_rate": 0.5, "momentum": 0.9})
    for length in (6, 3, 6, 4, 3):
        module.prepare(batch(length))
        module.forward_backward(batch(length))
        module.update()
        assert module.data_shapes == [("data", (2, length, 3))]

    found = module.get_params()[0]["fc_weight"].asnumpy()
    np.testing.assert_allclose(found, trained((6, 3, 6, 4, 3)), rtol=1e-4, atol=1e-6)


def test_prepare_stays_in_the_current_bucket():
    """Only forward enters the batch's."""
    module = bound()
    module.forward(batch(4), is_train=False)
    module.prepare(batch(3))

    assert module.data_shapes == [("data", (2, 4, 3))]
    assert "mean4_output" in module.symbol.get_internals().list_outputs()


@pytest.mark.parametrize("feedforward", [False, True])
def test_fit_over_an_iterator_of_buckets(feedforward):
    """By the module, and by FeedForward with a function for its symbol."""
    start = {"fc_weight": mx.nd.array(WEIGHT)}
    if feedforward:
        model = mx.model.FeedForward(
            lambda key: sized(key)[0], num_epoch=1, arg_params=start, learning_rate=0.5, momentum=0.9
        )
        model.fit(Sequences([3, 6, 4]))
        weight = model.arg_params["fc_weight"]
    else:
        module = mx.mod.BucketingModule(sized, default_bucket_key=6)
        options = {"learning_rate": 0.5, "momentum": 0.9}
        module.fit(
            Sequences([3, 6, 4]), num_epoch=1, arg_params=start, aux_params={}, optimizer_params=options
        )
        weight = module.get_params()[0]["fc_weight"]

    np.testing.assert_allclose(weight.asnumpy(), trained((3, 6, 4)), rtol=1e-4, atol=1e-6)


def test_a_checkpoint_holds_every_bucket(tmp_path):
    """MXNet's files: parameters, symbols, and the list of keys."""
    module = bound()
    module.forward(batch(3), is_train=False)
    wanted = module.get_outputs()[0].asnumpy()
    prefix = str(tmp_path / "net")
    module.save_checkpoint(prefix, 2)

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "net-0002.params", "net-3-symbol.json", "net-6-symbol.json", "net.buckets",
    ]  # fmt: skip
    assert mx.nd.load(f"{prefix}.buckets")[0].asnumpy().tolist() == [6, 3]
    again = mx.mod.BucketingModule.load(prefix, 2, sym_gen=sized, default_bucket_key=6)
    again.bind([("data", (2, 6, 3))], [("softmax_label", (2,))], for_training=False)
    again.forward(batch(3))
    np.testing.assert_array_equal(again.get_outputs()[0].asnumpy(), wanted)
    with pytest.raises(AssertionError, match="sym_gen"):
        mx.mod.BucketingModule.load(prefix, 2)
    with pytest.raises(mx.MXNetError, match=r"other\.buckets cannot be read"):
        mx.mod.BucketingModule.load(str(tmp_path / "other"), 2, sym_gen=sized, default_bucket_key=6)


def test_rebinding_keeps_parameters_and_optimizer():
    """For other shapes of the default bucket."""
    module = bound()
    module.init_optimizer(optimizer_params={"learning_rate": 0.5, "momentum": 0.9})
    module.bind([("data", (2, 6, 3))], [("softmax_label", (2,))], force_rebind=True)
    module.forward_backward(batch(6))
    module.update()

    found = module.get_params()[0]["fc_weight"].asnumpy()
    np.testing.assert_allclose(found, trained((6,)), rtol=1e-4, atol=1e-6)


def test_what_is_refused():
    """No default, no triple, wrong order, batches without a key, parameters that the default lacks."""
    with pytest.raises(AssertionError, match="default_bucket_key"):
        mx.mod.BucketingModule(sized)
    with pytest.raises(ValueError, match=r"sym_gen\(6\) gave.*symbol, data names, label names"):
        mx.mod.BucketingModule(lambda key: sized(key)[0], default_bucket_key=6)
    with pytest.raises(AssertionError, match="call bind before switching"):
        mx.mod.BucketingModule(sized, default_bucket_key=6).switch_bucket(3, [("data", (2, 3, 3))])
    with pytest.raises(mx.MXNetError, match="needs bucket_key"):
        bound().forward(mx.io.DataBatch([mx.nd.ones((2, 6, 3))]))

    def growing(key):
        net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, no_bias=True, name=f"fc{key}")
        return mx.sym.SoftmaxOutput(net, name="softmax"), ["data"], ["softmax_label"]

    module = mx.mod.BucketingModule(growing, default_bucket_key=6)
    module.bind([("data", (2, 6, 3))], [("softmax_label", (2,))])
    module.init_params()
    with pytest.raises(mx.MXNetError, match="the shared module has no fc3_weight"):
        module.forward(batch(3))

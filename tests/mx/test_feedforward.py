"""FeedForward: training and prediction with arrays and iterators, files, and what is refused."""

import logging

import numpy as np
import pytest

import netdef as mx

RANDOM = np.random.RandomState(11)
SAMPLES = RANDOM.uniform(-1, 1, (10, 4)).astype(np.float32)
LABELS = (np.arange(10) % 3).astype(np.float32)
WEIGHT = RANDOM.uniform(-0.5, 0.5, (3, 4)).astype(np.float32)


def net(data=None):
    """A linear classifier without bias."""
    layer = mx.sym.FullyConnected(
        mx.sym.Variable("data") if data is None else data, num_hidden=3, no_bias=True, name="fc"
    )
    return mx.sym.SoftmaxOutput(layer, name="softmax")


def model(**options):
    """One that has values."""
    return mx.model.FeedForward(net(), arg_params={"fc_weight": mx.nd.array(WEIGHT)}, **options)


def probabilities(weight, samples):
    powers = np.exp(samples @ weight.T)
    return powers / powers.sum(axis=1, keepdims=True)


def trained(batches, lr):
    """The weight after gradient descent over batches of sample numbers, in plain numpy."""
    weight = WEIGHT.astype(float)
    for numbers in batches:
        error = probabilities(weight, SAMPLES[numbers]) - np.eye(3)[LABELS[numbers].astype(int)]
        weight = weight - lr / len(numbers) * error.T @ SAMPLES[numbers]
    return weight


def in_order(size=5):
    return mx.io.NDArrayIter(SAMPLES, LABELS, size)


def test_fit_predict_and_score_with_an_iterator(caplog):
    """As MXNet logs it; callbacks count batches from 1."""
    caplog.set_level(logging.INFO)
    seen = []
    fitted = model(num_epoch=2, learning_rate=0.5)
    fitted.fit(
        in_order(),
        eval_data=in_order(),
        batch_end_callback=lambda told: seen.append((told.epoch, told.nbatch)),
        epoch_end_callback=lambda epoch, symbol, arg, aux: seen.append(sorted(arg)),
    )

    weight = trained([range(5), range(5, 10)] * 2, 0.5)
    np.testing.assert_allclose(fitted.arg_params["fc_weight"].asnumpy(), weight, rtol=1e-4, atol=1e-6)
    assert seen == [(0, 1), (0, 2), ["fc_weight"], (1, 1), (1, 2), ["fc_weight"]]
    assert [message.split("=")[0] for message in caplog.messages[:4]] == [
        "Start training with [cpu(0)]", "Epoch[0] Train-accuracy", "Epoch[0] Time cost",
        "Epoch[0] Validation-accuracy",
    ]  # fmt: skip
    wanted = probabilities(weight, SAMPLES)
    np.testing.assert_allclose(fitted.predict(in_order(4)), wanted, rtol=1e-4)
    assert fitted.score(in_order()) == (wanted.argmax(axis=1) == LABELS).mean()
    assert (
        fitted.score(in_order(), ["acc", "ce"], num_batch=1)[0]
        == (wanted.argmax(axis=1) == LABELS)[:5].mean()
    )


def test_arrays_are_shuffled_and_evaluated():
    """Every sample is seen once in an epoch; the order is that of numpy's global generator."""
    results = []
    for _ in range(2):
        np.random.seed(4)
        fitted = model(num_epoch=1, numpy_batch_size=10, learning_rate=0.5)
        fitted.fit(SAMPLES, LABELS.reshape(-1, 1), eval_data=(SAMPLES.tolist(), mx.nd.array(LABELS)))
        results.append(fitted.arg_params["fc_weight"].asnumpy())

    np.testing.assert_array_equal(*results)
    np.testing.assert_allclose(results[0], trained([range(10)], 0.5), rtol=1e-4, atol=1e-6)


def test_epochs_of_a_given_size_go_on_where_the_last_one_stopped():
    """3 batches an epoch out of 2."""
    fitted = model(num_epoch=2, epoch_size=3, learning_rate=0.5)
    fitted.fit(in_order())

    weight = trained([range(5), range(5, 10)] * 3, 0.5)
    np.testing.assert_allclose(fitted.arg_params["fc_weight"].asnumpy(), weight, rtol=1e-4, atol=1e-6)


def test_predict_gives_arrays_and_what_it_used():
    """numpy arrays without padding, for an array or an iterator."""
    outputs, data, label = model().predict(in_order(4), return_data=True)

    np.testing.assert_allclose(outputs, probabilities(WEIGHT, SAMPLES), rtol=1e-5)
    np.testing.assert_array_equal(data, SAMPLES)
    np.testing.assert_array_equal(label, LABELS)
    assert model(numpy_batch_size=3).predict(SAMPLES).shape == (10, 3)
    assert model().predict(in_order(4), num_batch=1).shape == (4, 3)
    samples = mx.sym.Variable("data")
    two = mx.sym.Group([net(samples), mx.sym.BlockGrad(samples)])
    pair = mx.model.FeedForward(two, arg_params={"fc_weight": mx.nd.array(WEIGHT)}).predict(SAMPLES)
    assert [part.shape for part in pair] == [(10, 3), (10, 4)]


def test_a_model_is_saved_and_goes_on(tmp_path):
    """From the epoch after the saved one."""
    prefix = str(tmp_path / "net")
    first = mx.model.FeedForward.create(
        net(), in_order(), num_epoch=1, initializer=mx.init.Constant(0.1), learning_rate=0.5
    )
    first.save(prefix)
    again = mx.model.FeedForward.load(prefix, 1, num_epoch=3, learning_rate=0.5)

    assert again.begin_epoch == 1
    np.testing.assert_array_equal(again.predict(SAMPLES), first.predict(SAMPLES))
    epochs = []
    again.fit(in_order(), epoch_end_callback=lambda epoch, *rest: epochs.append(epoch))
    assert epochs == [1, 2]
    assert mx.FeedForward is mx.model.FeedForward
    with pytest.raises(mx.MXNetError, match=r"net-0009\.params cannot be read"):
        mx.model.FeedForward.load(prefix, 9)


def test_parameters_of_other_nets():
    """Refused, or dropped with allow_extra_params; missing ones are initialized for training only."""
    given = {"fc_weight": mx.nd.array(WEIGHT), "old_weight": mx.nd.ones(1)}
    with pytest.raises(ValueError, match="old_weight"):
        mx.model.FeedForward(net(), arg_params=given).predict(SAMPLES)
    assert list(mx.model.FeedForward(net(), arg_params=given, allow_extra_params=True).arg_params) == [
        "fc_weight"
    ]
    fitted = mx.model.FeedForward(net(), num_epoch=1, arg_params={}, learning_rate=0.1)
    with pytest.raises(RuntimeError, match="fc_weight is not presented"):
        fitted.predict(SAMPLES)
    fitted.fit(in_order())
    assert fitted.predict(SAMPLES).shape == (10, 3)


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda m: m.fit(SAMPLES), ValueError, "y must be specified"),
        (lambda m: m.fit(SAMPLES, LABELS[:4]), ValueError, "10 samples, but y 4 labels"),
        (lambda m: m.fit(SAMPLES, np.ones((10, 2))), ValueError, "labels are 1D"),
        (lambda m: m.fit([1, 2], LABELS), TypeError, "X must be DataIter"),
        (lambda m: m.fit(SAMPLES, [1]), TypeError, "y must be an array"),
        (lambda m: m.fit(SAMPLES, LABELS, eval_data=SAMPLES), TypeError, "eval_data must be a DataIter"),
        (lambda m: m.fit(SAMPLES, LABELS, eval_data=(None, None)), ValueError, "no samples"),
        (lambda m: m.fit(SAMPLES, LABELS, kvstore="dist_async"), mx.MXNetError, "several machines"),
        (lambda m: m.score(SAMPLES), TypeError, "score needs labels"),
        (lambda m: m.save("net"), AssertionError, "which epoch"),
        (lambda m: mx.model.FeedForward(net()).predict(SAMPLES), AssertionError, "no parameters"),
        (lambda m: mx.model.FeedForward("net"), TypeError, "symbol must be"),
    ],
)
def test_what_is_refused(call, error, told):
    """With a message that says what would be legal."""
    unnumbered = model(learning_rate=0.1)
    if error is not AssertionError:
        unnumbered.num_epoch = 1
    with pytest.raises(error, match=told):
        call(unnumbered)

"""Module: the order of calls, training as MXNet trains, prediction, files, and what is refused."""

import logging
from collections import namedtuple

import numpy as np
import pytest

import netdef as mx

CLASSES, FEATURES, BATCH = 3, 4, 5
RANDOM = np.random.RandomState(7)
SAMPLES = RANDOM.uniform(-1, 1, (12, FEATURES)).astype(np.float32)
LABELS = (np.arange(12) % CLASSES).astype(np.float32)
WEIGHT = RANDOM.uniform(-0.5, 0.5, (CLASSES, FEATURES)).astype(np.float32)


def softmax_net(label=None):
    """A linear classifier with the parameters fc_weight and fc_bias."""
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=CLASSES, name="fc")
    labels = {} if label is None else {"label": mx.sym.Variable(label)}
    return mx.sym.SoftmaxOutput(net, name="softmax", **labels)


def params():
    """Values for the classifier."""
    return {"fc_weight": mx.nd.array(WEIGHT), "fc_bias": mx.nd.zeros(CLASSES)}


def batch(start=0, size=BATCH):
    """Some of the samples."""
    part = slice(start, start + size)
    return mx.io.DataBatch([mx.nd.array(SAMPLES[part])], [mx.nd.array(LABELS[part])])


def bound(**options):
    """A module that is bound and has values."""
    module = mx.mod.Module(softmax_net())
    module.bind([("data", (BATCH, FEATURES))], [("softmax_label", (BATCH,))], **options)
    module.set_params(params(), {})
    return module


def ready(**optimizer):
    """A module that can be trained."""
    module = bound()
    module.init_optimizer(optimizer_params={"learning_rate": 0.5, **optimizer})
    return module


def probabilities(weight, bias, samples):
    """What the classifier computes."""
    scores = samples @ weight.T + bias
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def gradients(weight, bias, part):
    """Sums over the batch of the gradients of the cross-entropy."""
    error = probabilities(weight, bias, SAMPLES[part]) - np.eye(CLASSES)[LABELS[part].astype(int)]
    return error.T @ SAMPLES[part], error.sum(axis=0)


def trained(steps, lr=0.5, momentum=0.0, scale=1 / BATCH):
    """Weight and bias after gradient descent, in plain numpy."""
    values = [WEIGHT.astype(float), np.zeros(CLASSES)]
    moving = [np.zeros_like(value) for value in values]
    for start in steps:
        for i, gradient in enumerate(gradients(*values, slice(start, start + BATCH))):
            moving[i] = momentum * moving[i] - lr * scale * gradient
        values = [value + step for value, step in zip(values, moving)]
    return values


def assert_params(module, weight, bias):
    found, states = module.get_params()
    np.testing.assert_allclose(found["fc_weight"].asnumpy(), weight, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["fc_bias"].asnumpy(), bias, rtol=1e-4, atol=1e-6)
    assert states == {}


# --- training ---


def test_steps_follow_the_gradient_divided_by_the_batch_size():
    """forward, backward, update; the outputs are those before the update."""
    module = ready(momentum=0.9)
    for start in (0, 5, 0):
        module.forward_backward(batch(start))
        module.update()

    assert_params(module, *trained((0, 5, 0), momentum=0.9))
    before = trained((0, 5), momentum=0.9)
    np.testing.assert_allclose(
        module.get_outputs()[0].asnumpy(), probabilities(*before, SAMPLES[:5]), rtol=1e-4
    )
    assert [len(each) for each in module.get_outputs(merge_multi_context=False)] == [1]


def test_fit_is_those_steps_and_logs_what_mxnet_logs(caplog):
    """Twice over the data; the padded batch begins with the first samples again."""
    caplog.set_level(logging.INFO)
    data = mx.io.NDArrayIter(SAMPLES[:10], LABELS[:10], BATCH)
    held_out = mx.io.NDArrayIter(SAMPLES, LABELS, 4)
    seen, module = [], mx.mod.Module(softmax_net())
    module.fit(
        data,
        held_out,
        optimizer_params={"learning_rate": 0.5},
        arg_params=params(),
        aux_params={},
        num_epoch=2,
        batch_end_callback=lambda told: seen.append((told.epoch, told.nbatch, told.eval_metric.num_inst)),
        epoch_end_callback=[
            lambda epoch, net, arg, aux: seen.append((epoch, net is module.symbol, sorted(arg)))
        ],
        eval_end_callback=lambda told: seen.append((told.epoch, told.nbatch, "score")),
    )

    names = ["fc_bias", "fc_weight"]
    assert seen == [
        (0, 0, 5), (0, 1, 10), (0, True, names), (0, 3, "score"),
        (1, 0, 5), (1, 1, 10), (1, True, names), (1, 3, "score"),
    ]  # fmt: skip
    assert_params(module, *trained((0, 5, 0, 5)))
    heads = [message.split("=")[0] for message in caplog.messages]
    assert heads == [
        "Epoch[0] Train-accuracy", "Epoch[0] Time cost", "Epoch[0] Validation-accuracy",
        "Epoch[1] Train-accuracy", "Epoch[1] Time cost", "Epoch[1] Validation-accuracy",
    ]  # fmt: skip
    hits = probabilities(*trained((0, 5, 0, 5)), SAMPLES).argmax(axis=1) == LABELS
    assert caplog.messages[-1] == f"Epoch[1] Validation-accuracy={hits.mean():f}"


def test_the_epochs_metric_survives_a_callback_that_resets_it(caplog):
    """Speedometer starts the metric anew; the line of the epoch tells about all of it."""
    caplog.set_level(logging.INFO)
    data = mx.io.NDArrayIter(SAMPLES[:10], LABELS[:10], BATCH)
    mx.mod.Module(softmax_net()).fit(
        data,
        arg_params=params(),
        aux_params={},
        num_epoch=1,
        optimizer_params={"learning_rate": 0.0},
        batch_end_callback=lambda told: told.eval_metric.reset_local(),
    )

    hits = probabilities(WEIGHT, 0, SAMPLES[:10]).argmax(axis=1) == LABELS[:10]
    assert caplog.messages[0] == f"Epoch[0] Train-accuracy={hits.mean():f}"


def test_an_optimizer_may_be_an_instance(recwarn):
    """Its rescale_grad counts, with a warning where that is not 1 / batch size; names reach its decay."""
    module = bound()
    module.init_optimizer(optimizer=mx.optimizer.SGD(learning_rate=0.1))
    module.forward_backward(batch())
    module.update()

    assert "rescale_grad is 1.0" in str(recwarn.pop(UserWarning).message)
    assert_params(module, *trained((0,), lr=0.1, scale=1))


def test_fixed_parameters_stay():
    """Those in `fixed_param_names` are not trained, the others are."""
    module = mx.mod.Module(softmax_net(), fixed_param_names=["fc_weight"])
    module.bind([("data", (BATCH, FEATURES))], [("softmax_label", (BATCH,))])
    module.set_params(params(), {})
    module.init_optimizer(optimizer_params={"learning_rate": 0.5})
    module.forward_backward(batch())
    module.update()

    assert_params(module, WEIGHT, trained((0,))[1])


def test_gradients_of_inputs_and_adding():
    """With inputs_need_grad; `grad_req="add"` adds up until the caller sets it back."""
    module = bound(inputs_need_grad=True)
    module.forward_backward(batch())
    error = probabilities(WEIGHT, 0, SAMPLES[:5]) - np.eye(CLASSES)[LABELS[:5].astype(int)]

    np.testing.assert_allclose(module.get_input_grads()[0].asnumpy(), error @ WEIGHT, rtol=1e-4, atol=1e-6)
    adding = bound(grad_req="add")
    adding.init_optimizer(optimizer_params={"learning_rate": 0.5})
    for start in (0, 5):
        adding.forward_backward(batch(start))
    adding.update()
    total = sum(gradients(WEIGHT, 0, part)[0] for part in (slice(0, 5), slice(5, 10)))
    found = adding.get_params()[0]["fc_weight"].asnumpy()
    np.testing.assert_allclose(found, WEIGHT - 0.1 * total, rtol=1e-4, atol=1e-6)


def test_out_grads_for_a_net_without_a_loss():
    """The gradient at the output is the caller's."""
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=CLASSES, name="fc")
    module = mx.mod.Module(net, label_names=None)
    module.bind([("data", (BATCH, FEATURES))], inputs_need_grad=True)
    module.set_params(params(), {})
    module.forward(mx.io.DataBatch([mx.nd.array(SAMPLES[:5])]))
    module.backward([mx.nd.ones((BATCH, CLASSES))])

    wanted = np.tile(WEIGHT.sum(axis=0), (BATCH, 1))
    np.testing.assert_allclose(module.get_input_grads()[0].asnumpy(), wanted, rtol=1e-5)


def test_auxiliary_states_are_trained_kept_and_saved(tmp_path):
    """BatchNorm's running mean moves by a tenth of the batch's mean, also when shapes change later."""
    net = mx.sym.SoftmaxOutput(mx.sym.BatchNorm(mx.sym.Variable("data"), name="bn"), name="softmax")
    module = mx.mod.Module(net)
    module.bind([("data", (BATCH, FEATURES))], [("softmax_label", (BATCH,))])
    module.init_params()
    module.init_optimizer()
    module.forward_backward(batch())
    module.update()
    module.forward(batch(0, 3), is_train=False)

    mean = module.get_params()[1]["bn_moving_mean"].asnumpy()
    np.testing.assert_allclose(mean, 0.1 * SAMPLES[:5].mean(axis=0), rtol=1e-4)
    module.save_params(str(tmp_path / "p"))
    module.set_params(*({name: 0 * array for name, array in each.items()} for each in module.get_params()))
    module.load_params(str(tmp_path / "p"))
    np.testing.assert_array_equal(module.get_params()[1]["bn_moving_mean"].asnumpy(), mean)


# --- evaluation and prediction ---


def test_predict_cuts_padding_off_and_joins_batches():
    """12 samples in batches of 5; an array is one batch."""
    module, data = bound(), mx.io.NDArrayIter(SAMPLES, None, BATCH)
    wanted = probabilities(WEIGHT, 0, SAMPLES)

    np.testing.assert_allclose(module.predict(data).asnumpy(), wanted, rtol=1e-5)
    assert module.predict(data, num_batch=2).shape == (10, CLASSES)
    assert [out.shape[0] for (out,) in module.predict(data, merge_batches=False)] == [5, 5, 2]
    assert len(module.predict(data, always_output_list=True)) == 1
    np.testing.assert_allclose(module.predict(SAMPLES[:3]).asnumpy(), wanted[:3], rtol=1e-5)
    assert [number for _, number, _ in module.iter_predict(data, num_batch=2)] == [0, 1]
    assert next(data).pad == 3, "no batch more than asked for was taken"


def test_score_names_and_values():
    """Of one metric or of several, of all batches or of the first."""
    module, data = bound(), mx.io.NDArrayIter(SAMPLES[:10], LABELS[:10], BATCH)
    picked = probabilities(WEIGHT, 0, SAMPLES[:10])[np.arange(10), LABELS[:10].astype(int)]

    assert dict(module.score(data, ["acc", "ce"]))["cross-entropy"] == pytest.approx(-np.log(picked).mean())
    (pair,) = module.score(data, mx.metric.create("ce"), num_batch=1)
    assert pair == ("cross-entropy", pytest.approx(-np.log(picked[:5]).mean()))


def test_shapes_may_change_from_batch_to_batch():
    """A smaller batch, then training goes on with the same parameters and optimizer."""
    module = ready(momentum=0.9)
    module.forward_backward(batch())
    module.update()
    module.forward(batch(0, 2), is_train=False)

    assert module.data_shapes == [("data", (2, FEATURES))]
    assert module.label_shapes == [("softmax_label", (2,))]
    assert module.output_shapes == [("softmax_output", (2, CLASSES))]
    module.forward(mx.io.DataBatch([mx.nd.array(SAMPLES[:3])]), is_train=False)
    assert module.get_outputs()[0].shape == (3, CLASSES)
    module.forward_backward(batch(5))
    module.update()
    assert_params(module, *trained((0, 5), momentum=0.9))
    module.reshape([("data", (1, FEATURES))], [("softmax_label", (1,))])
    module.forward(batch(0, 1))
    assert module.get_outputs()[0].shape == (1, CLASSES)


def test_batches_need_only_data():
    """A module that only predicts takes anything with `data`, and the label's shape follows."""
    module = mx.mod.Module(softmax_net())
    module.bind([("data", (1, FEATURES))], for_training=False)
    module.set_params(params(), {})
    Batch = namedtuple("Batch", ["data"])
    module.forward(Batch([mx.nd.array(SAMPLES[:2])]))

    assert module.get_outputs()[0].shape == (2, CLASSES)
    assert module.label_shapes is None


def test_states_are_inputs_that_batches_do_not_bring():
    """They are 0, then what set_states says."""
    net = mx.sym.Variable("data") + mx.sym.Variable("carried", shape=(2, 2))
    module = mx.mod.Module(net, label_names=None, state_names=["carried"])
    module.bind([("data", (2, 2))])
    module.init_params()
    ones = mx.io.DataBatch([mx.nd.ones((2, 2))])
    results = []
    for states in (
        {"value": 0},
        {"value": 3},
        {"states": [mx.nd.ones((2, 2)) * 5]},
        {"states": [[mx.nd.ones((2, 2))]]},
    ):
        module.set_states(**states)
        module.forward(ones, is_train=False)
        results.append(float(module.get_outputs()[0].asnumpy()[0, 0]))

    assert results == [1, 4, 6, 2]
    assert module.get_states(merge_multi_context=False)[0][0].asnumpy().tolist() == [[1, 1], [1, 1]]
    with pytest.raises(mx.MXNetError, match="2 states are given for carried"):
        module.set_states(states=[0, 0])


class Watching:
    """What a module needs of a monitor."""

    def __init__(self):
        self.exes = []

    def install(self, exe):
        self.exes.append(exe)


def test_a_monitor_watches_the_executor_of_the_moment():
    """A batch of another shape has another executor; the old one is let go."""
    module, monitor = bound(), Watching()
    module.install_monitor(monitor)
    (first,) = monitor.exes
    module.forward(batch(0, 2), is_train=False)

    (second,) = monitor.exes
    assert second is not first
    assert second.arg_dict["data"].shape == (2, FEATURES)
    assert second.arg_dict["fc_weight"] is first.arg_dict["fc_weight"]


# --- sharing, copies, files ---


def test_get_params_gives_copies():
    """Training does not change them, and changing them does not change the module."""
    module = ready()
    before = module.get_params()[0]
    module.forward_backward(batch())
    module.update()
    before["fc_bias"][:] = 9

    np.testing.assert_array_equal(before["fc_weight"].asnumpy(), WEIGHT)
    assert_params(module, *trained((0,)))


def test_a_shared_module_has_the_same_parameters_and_optimizer():
    """Training one trains the other."""
    first = ready(momentum=0.9)
    second = mx.mod.Module(softmax_net())
    second.bind([("data", (2, FEATURES))], shared_module=first, for_training=False)
    for start in (0, 5):
        first.forward_backward(batch(start))
        first.update()

    assert_params(second, *trained((0, 5), momentum=0.9))
    assert second.optimizer_initialized
    more = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=1, name="other")
    with pytest.raises(mx.MXNetError, match="the shared module has no other_weight, other_bias"):
        mx.mod.Module(more, label_names=None).bind([("data", (1, FEATURES))], shared_module=first)


def test_rebinding_keeps_the_parameters(caplog):
    """`force_rebind` for other options; without it bind does nothing."""
    module = ready()
    module.bind([("data", (2, FEATURES))])
    assert caplog.messages == ["Already bound, ignoring bind()"]
    module.bind([("data", (2, FEATURES))], for_training=False, force_rebind=True)

    assert_params(module, WEIGHT, 0)
    assert not module.for_training
    with pytest.raises(mx.MXNetError, match=r"fc_weight is float32 of shape \(3, 4\).*\(3, 7\)"):
        module.bind([("data", (2, 7))], for_training=False, force_rebind=True)
    assert module.data_shapes == [("data", (2, FEATURES))]


def test_a_checkpoint_goes_on_where_training_stopped(tmp_path):
    """Symbol, parameters and the momentum."""
    prefix = str(tmp_path / "net")
    module = ready(momentum=0.9)
    module.forward_backward(batch())
    module.update()
    module.save_checkpoint(prefix, 1, save_optimizer_states=True)

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "net-0001.params", "net-0001.states", "net-symbol.json",
    ]  # fmt: skip
    again = mx.mod.Module.load(prefix, 1, load_optimizer_states=True)
    again.bind([("data", (BATCH, FEATURES))], [("softmax_label", (BATCH,))])
    again.init_optimizer(optimizer_params={"learning_rate": 0.5, "momentum": 0.9})
    again.forward_backward(batch(5))
    again.update()
    assert_params(again, *trained((0, 5), momentum=0.9))


def test_missing_and_damaged_files_are_told(tmp_path):
    """With the name of the file."""
    module = ready()
    prefix = str(tmp_path / "net")
    with pytest.raises(mx.MXNetError, match=r"net-symbol\.json cannot be read"):
        mx.mod.Module.load(prefix, 1)
    module.save_checkpoint(prefix, 1)
    with pytest.raises(mx.MXNetError, match=r"net-0001\.states cannot be read"):
        module.load_optimizer_states(f"{prefix}-0001.states")
    (tmp_path / "net-0001.states").write_bytes(b"PK nothing")
    with pytest.raises(mx.MXNetError, match=r"net-0001\.states: these are no states"):
        module.load_optimizer_states(f"{prefix}-0001.states")
    whole = (tmp_path / "net-0001.params").read_bytes()
    (tmp_path / "net-0001.params").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(mx.MXNetError, match=r"net-0001\.params"):
        mx.mod.Module.load(prefix, 1)
    mx.nd.save(prefix, [mx.nd.ones(1)])
    with pytest.raises(mx.MXNetError, match="is no checkpoint"):
        module.load_params(prefix)


# --- parameters ---


def test_parameters_come_from_values_initializer_or_both():
    """What is given counts; with allow_missing the initializer does the rest, else missing ones are told."""
    module = mx.mod.Module(softmax_net())
    module.bind([("data", (BATCH, FEATURES))], [("softmax_label", (BATCH,))])
    given = {"fc_bias": mx.nd.ones(CLASSES)}
    with pytest.raises(RuntimeError, match="fc_weight is not presented"):
        module.init_params(arg_params=given)
    module.init_params(mx.init.Constant(2), given, allow_missing=True)
    assert_params(module, 2, 1)
    with pytest.warns(UserWarning, match="unless force_init"):
        module.init_params(mx.init.Constant(3))
    module.init_params(mx.init.Constant(3), force_init=True)
    assert_params(module, 3, 0)
    module.set_params(given, {}, allow_missing=True)
    assert_params(module, 3, 1)
    with pytest.raises(mx.MXNetError, match=r"fc_bias has shape \(3,\); the value given is of shape \(2,\)"):
        module.set_params({"fc_bias": mx.nd.ones(2)}, {}, allow_missing=True)


def test_values_for_what_is_no_parameter():
    """Ignored with a warning, refused beside allow_missing, ignored with allow_extra, as MXNet does."""
    module = bound()
    extra = {**params(), "fc_wieght": mx.nd.ones(1)}
    with pytest.warns(UserWarning, match="fc_wieght"):
        module.set_params(extra, {})
    with pytest.raises(ValueError, match="fc_wieght"):
        module.set_params(extra, {}, allow_missing=True)
    module.set_params(extra, {}, allow_extra=True)


# --- what is refused ---


def test_calls_in_the_wrong_order():
    """An AssertionError as in MXNet, which says what to call first."""
    module = mx.mod.Module(softmax_net())
    for call, told in (
        (lambda: module.forward(batch()), "call bind first"),
        (module.init_params, "call bind before"),
        (module.get_params, "call bind first"),
        (lambda: module.data_shapes, "call bind first"),
        (lambda: module.fit(mx.io.NDArrayIter(SAMPLES, LABELS)), "number of epochs"),
    ):
        with pytest.raises(AssertionError, match=told) as error:
            call()
        assert isinstance(error.value, mx.MXNetError)
    module.bind([("data", (BATCH, FEATURES))], [("softmax_label", (BATCH,))])
    with pytest.raises(AssertionError, match="init_params"):
        module.forward(batch())
    module.init_params()
    with pytest.raises(AssertionError, match="init_optimizer before update"):
        module.update()
    with pytest.raises(AssertionError, match="inputs_need_grad"):
        module.get_input_grads()
    predicting = bound(for_training=False)
    predicting.forward(batch())
    with pytest.raises(AssertionError, match="for_training=True"):
        predicting.backward()


def test_names_that_the_symbol_does_not_have():
    """ValueError, but labels are only warned about; the commonest mistake is told when it matters."""
    for kind in ("data", "state", "fixed_param"):
        with pytest.raises(ValueError, match=f"{kind}_names.*there is no argument 'dta'"):
            mx.mod.Module(softmax_net(), **{f"{kind}_names": ["dta"]})
    with pytest.raises(ValueError, match="data_names is the text 'data'"):
        mx.mod.Module(softmax_net(), data_names="data")
    with pytest.warns(UserWarning, match="there is no argument 'softmax_label'"):
        module = mx.mod.Module(softmax_net("own_label"))
    module.bind([("data", (BATCH, FEATURES))])
    with pytest.raises(ValueError, match=r"own_label counts as a parameter.*label_names"):
        module.init_params()
    with pytest.raises(ValueError, match=r"data_shapes is of \['other'\]"):
        mx.mod.Module(softmax_net()).bind([("other", (1, 1))])


def test_training_without_labels():
    """A warning from bind, and an error where the gradients would depend on labels that are not there."""
    module = mx.mod.Module(softmax_net())
    with pytest.warns(UserWarning, match=r"label_shapes is of \[\]"):
        module.bind([("data", (BATCH, FEATURES))])
    module.init_params()
    module.forward(batch())
    with pytest.raises(mx.MXNetError, match="no label softmax_label"):
        module.backward()


def test_batches_that_do_not_fit():
    """Too many arrays, other features, no arrays, no batch."""
    module = bound()
    with pytest.raises(mx.MXNetError, match="2 data arrays; the module is bound for 1: data"):
        module.forward(mx.io.DataBatch([mx.nd.ones((5, 4))] * 2))
    with pytest.raises(mx.MXNetError, match="fc_weight"):
        module.forward(mx.io.DataBatch([mx.nd.ones((5, 7))]))
    with pytest.raises(TypeError, match="lists of NDArrays"):
        module.forward(mx.io.DataBatch([[1, 2]]))
    with pytest.raises(TypeError, match=r"must be like mx\.io\.DataBatch"):
        module.forward([batch()])
    module.forward(batch())
    assert module.get_outputs()[0].shape == (BATCH, CLASSES)


@pytest.mark.parametrize(
    "shapes", ["data", [("data", 3)], [("data",)], [("data", (5, -1))], [("data", (0, 4))]]
)
def test_shapes_that_are_none(shapes):
    """Pairs of a name and positive sizes."""
    with pytest.raises(ValueError, match="data"):
        mx.mod.Module(softmax_net()).bind(shapes, for_training=False)


def test_one_device_and_no_cluster():
    """Contexts of the CPU are one device; stores of one machine are taken, others refused."""
    assert mx.mod.Module(softmax_net(), context=[mx.cpu(0), mx.cpu(1)]).data_names == ["data"]
    with pytest.raises(mx.MXNetError, match="one device"):
        mx.mod.Module(softmax_net(), context=[mx.gpu(0), mx.gpu(1)])
    with pytest.raises(TypeError, match=r"mx\.cpu"):
        mx.mod.Module(softmax_net(), context="cpu")
    module = bound()
    for kvstore in (None, "local", "device", mx.kv.create("local")):
        module.init_optimizer(kvstore, force_init=True)
    with pytest.raises(mx.MXNetError, match="spans several machines"):
        module.init_optimizer("dist_sync", force_init=True)
    with pytest.raises(mx.MXNetError, match="did you mean local"):
        module.init_optimizer("locl", force_init=True)
    with pytest.raises(TypeError, match="kvstore must be"):
        module.init_optimizer(3, force_init=True)


def test_data_must_be_an_iterator_with_batches():
    """Arrays are told how to become one; an iterator at its end is not silently no training at all."""
    module = mx.mod.Module(softmax_net())
    with pytest.raises(TypeError, match="NDArrayIter"):
        module.fit(SAMPLES, num_epoch=1)
    data = mx.io.NDArrayIter(SAMPLES, LABELS, BATCH)
    with pytest.raises(TypeError, match="eval_data must be a DataIter"):
        module.fit(data, eval_data=(SAMPLES, LABELS), num_epoch=1)
    list(data)
    with pytest.raises(mx.MXNetError, match="no batch in epoch 0"):
        module.fit(data, num_epoch=1)
    with pytest.raises(ValueError, match="NDArray or DataIter"):
        module.predict([1])

"""SequentialModule and the modules that are written in Python."""

import numpy as np
import pytest

import netdef as mx

RANDOM = np.random.RandomState(3)
SAMPLES = RANDOM.uniform(-1, 1, (4, 3)).astype(np.float32)
LABELS = np.array([0, 1, 1, 0], np.float32)
WEIGHT = RANDOM.uniform(-1, 1, (2, 3)).astype(np.float32)
UPPER = RANDOM.uniform(-1, 1, (2, 2)).astype(np.float32)


def linear(name, data="data"):
    """A layer without a loss."""
    return mx.sym.FullyConnected(mx.sym.Variable(data), num_hidden=2, no_bias=True, name=name)


def classifier():
    """A layer with a loss, whose input is called hidden."""
    return mx.sym.SoftmaxOutput(linear("upper", "hidden"), name="softmax")


def chain():
    """Two modules in a row, with values."""
    modules = mx.mod.SequentialModule()
    modules.add(mx.mod.Module(linear("lower"), label_names=None))
    modules.add(mx.mod.Module(classifier(), data_names=["hidden"]), take_labels=True, auto_wiring=True)
    return modules


def batch():
    return mx.io.DataBatch([mx.nd.array(SAMPLES)], [mx.nd.array(LABELS)])


def errors(scores):
    """The gradient of the summed cross-entropy."""
    powers = np.exp(scores)
    return powers / powers.sum(axis=1, keepdims=True) - np.eye(2)[LABELS.astype(int)]


def test_a_chain_trains_as_one_net():
    """Gradients reach the first module through the second."""
    modules = chain()
    modules.bind([("data", (4, 3))], [("softmax_label", (4,))])
    modules.set_params({"lower_weight": mx.nd.array(WEIGHT), "upper_weight": mx.nd.array(UPPER)}, {})
    modules.init_optimizer(optimizer_params={"learning_rate": 0.1})
    modules.forward_backward(batch())
    modules.update()

    error = errors(SAMPLES @ WEIGHT.T @ UPPER.T)
    found = modules.get_params()[0]
    lower = WEIGHT - 0.1 / 4 * (error @ UPPER).T @ SAMPLES
    upper = UPPER - 0.1 / 4 * error.T @ (SAMPLES @ WEIGHT.T)
    np.testing.assert_allclose(found["lower_weight"].asnumpy(), lower, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["upper_weight"].asnumpy(), upper, rtol=1e-4, atol=1e-6)
    assert (modules.data_names, modules.output_names) == (["data"], ["softmax_output"])
    assert modules.output_shapes == [("softmax_output", (4, 2))]
    (pair,) = modules.score(mx.io.NDArrayIter(SAMPLES, LABELS, 4), "acc")
    assert pair[1] == ((SAMPLES @ lower.T @ upper.T).argmax(axis=1) == LABELS).mean()


def test_a_loss_in_python_trains_a_chain():
    """Its function gives the gradient; fit runs, and its metric sees the scores."""
    modules = mx.mod.SequentialModule()
    modules.add(mx.mod.Module(linear("lower"), label_names=None))
    loss = mx.mod.PythonLossModule(grad_func=lambda scores, labels: errors(scores.asnumpy()))
    modules.add(loss, take_labels=True, auto_wiring=True)
    modules.fit(
        mx.io.NDArrayIter(SAMPLES, LABELS, 4),
        num_epoch=1,
        arg_params={"lower_weight": mx.nd.array(WEIGHT)},
        aux_params={},
        optimizer_params={"learning_rate": 0.1},
    )

    wanted = WEIGHT - 0.1 / 4 * errors(SAMPLES @ WEIGHT.T).T @ SAMPLES
    found = modules.get_params()[0]["lower_weight"].asnumpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
    assert modules.output_names == ["pyloss_output"]


def test_a_python_module_computes_what_it_likes():
    """Here it doubles its input."""

    class Double(mx.mod.PythonModule):
        def _compute_output_shapes(self):
            return [("double_output", self.data_shapes[0].shape)]

        def forward(self, data_batch, is_train=None):
            self.outputs = [2 * data_batch.data[0]]

        def get_outputs(self, merge_multi_context=True):
            return self.outputs

    module = Double(["data"], None, ["double_output"])
    module.bind([("data", (4, 3))], for_training=False)
    module.init_params()

    assert module.output_shapes == [("double_output", (4, 3))]
    predicted = module.predict(mx.io.NDArrayIter(SAMPLES, None, 4))
    np.testing.assert_array_equal(predicted.asnumpy(), 2 * SAMPLES)


def test_chains_that_cannot_be():
    """Empty, with a misspelled option, with one name twice; a name that none has is warned about."""
    with pytest.raises(AssertionError, match="empty"):
        mx.mod.SequentialModule().bind([("data", (4, 3))])
    with pytest.raises(AssertionError, match="did you mean take_labels"):
        mx.mod.SequentialModule().add(mx.mod.Module(classifier(), ["hidden"]), take_lables=True)
    twice = mx.mod.SequentialModule()
    for _ in range(2):
        twice.add(mx.mod.Module(linear("lower"), label_names=None), auto_wiring=True)
    twice.bind([("data", (4, 2))])
    with pytest.raises(AssertionError, match="modules 0 and 1 both have a parameter lower_weight"):
        twice.init_params()
    modules = chain()
    modules.bind([("data", (4, 3))], [("softmax_label", (4,))])
    with pytest.warns(UserWarning, match="misspelled"):
        modules.init_params(arg_params={"misspelled": mx.nd.ones(1)}, allow_missing=True)


def test_a_loss_in_python_needs_its_calls_in_order():
    """Labels for training, a function for the gradient."""
    loss = mx.mod.PythonLossModule()
    loss.bind([("data", (4, 2))], [("softmax_label", (4,))])
    with pytest.raises(AssertionError, match="forward"):
        loss.get_outputs()
    with pytest.raises(mx.MXNetError, match="no label"):
        loss.forward(mx.io.DataBatch([mx.nd.ones((4, 2))]))
    loss.forward(batch())
    with pytest.raises(NotImplementedError, match="grad_func"):
        loss.backward()

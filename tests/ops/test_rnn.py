"""The RNN operator: what its reference cannot say."""

import numpy as np
import pytest

from netdef.ops import find
from netdef.ops.fields import BadValue
from netdef.ops.shapes import ShapeError, Shapes

RNN = find("RNN")
LSTM = {"state_size": 2, "num_layers": 1, "mode": "lstm"}


def shapes_of(given, **attributes):
    """The shapes that follow from those given."""
    op = RNN(**{**LSTM, **attributes})
    known = Shapes({**dict.fromkeys((*op.input_names(), *op.output_names())), **given})
    op.shape(known)
    return known


# -- parameters ------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "count"),
    [
        ({"mode": "rnn_tanh"}, 2 * (3 + 2 + 2)),
        ({"mode": "gru"}, 6 * (3 + 2 + 2)),
        ({}, 8 * (3 + 2 + 2)),
        ({"num_layers": 2, "bidirectional": True}, 2 * 8 * (3 + 2 + 2) + 2 * 8 * (4 + 2 + 2)),
        ({"projection_size": 1}, 8 * (3 + 1 + 2) + 2),
    ],
)
def test_the_parameters_and_the_inputs_follow_from_each_other(attributes, count):
    """MXNet's counts; a vector without data says how many inputs there are."""
    assert shapes_of({"data": (4, 5, 3)}, **attributes)["parameters"] == (count,)
    assert shapes_of({"parameters": (count,)}, **attributes)["data"] == (None, None, 3)


def test_shapes_are_inferred_from_the_states():
    """Steps come from the output, the batch from any state."""
    known = shapes_of({"state_cell": (1, 5, 2), "output": (4, None, None), "parameters": (56,)})

    assert known["data"] == (4, 5, 3)
    assert known["state"] == (1, 5, 2)
    assert known["hiddens"] == (1, 4, 5, 2)


REFUSED = [
    ({"data": (4, 5)}, {}, "steps x batch x inputs"),
    ({"data": (4, 5, 3), "parameters": (55,)}, {}, "parameters is 55"),
    ({"parameters": (55,)}, {}, "there are 32 and 8 more for each input"),
    ({"parameters": (32,)}, {}, "32 elements"),
    ({"data": (4, 5, 3), "state": (1, 5, 3)}, {}, "state is 1x5x3"),
    ({"data": (4, 5, 3), "state": (2, 5, 2)}, {}, "state is 2x5x2"),
    ({"data": (4, 5, 3), "state_cell": (1, 4, 2)}, {}, "data is 4x5x3"),
    ({"data": (4, 5, 3), "sequence_length": (4,)}, {"use_sequence_length": True}, "sequence_length is 4"),
]


@pytest.mark.parametrize(("given", "attributes", "words"), REFUSED)
def test_shapes_that_do_not_fit_are_refused(given, attributes, words):
    """The message names the tensor and what there is."""
    with pytest.raises(ShapeError) as refused:
        shapes_of(given, **attributes)

    assert words in refused.value.message


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"lstm_state_clip_min": -1}, "needs the other one"),
        ({"lstm_state_clip_max": 1}, "needs the other one"),
        ({"mode": "gru", "projection_size": 1}, "gru has no projection"),
        ({"p": 1.5}, "too large"),
        ({"mode": "sru"}, "not rnn_relu"),
    ],
)
def test_attributes_that_do_not_fit_are_refused(attributes, words):
    """What MXNet would pass over in silence is said."""
    with pytest.raises(BadValue) as refused:
        RNN(**{**LSTM, **attributes})

    assert words in refused.value.message


# -- layers and directions ------------------------------------------------

MODES = ["rnn_relu", "rnn_tanh", "lstm", "gru"]


@pytest.mark.parametrize("mode", MODES)
def test_the_reverse_direction_is_the_forward_one_on_reversed_data(mode, kernels):
    """With the same weights and states, outputs are reversed in time and the last states are equal."""
    op = RNN(state_size=2, num_layers=1, mode=mode, bidirectional=True, state_outputs=True)
    run = kernels(op, {"data": (4, 3, 2)})
    run.set("data", np.concatenate([run.arrays["data"][:2], run.arrays["data"][1::-1]]))
    weights, biases = (2 * op.layout().weights(2) // 2, 2 * op.layout().rows)
    parts = np.split(run.arrays["parameters"], [weights // 2, weights, weights + biases])
    run.set("parameters", np.concatenate([parts[0], parts[0], parts[2], parts[2]]))
    for name in op.state_names() or [n for n in op.input_names() if n.startswith("state")]:
        run.set(name, run.arrays[name][:1])

    found = run.forward()

    np.testing.assert_allclose(found["output"][..., :2], found["output"][::-1, :, 2:])
    np.testing.assert_allclose(*found["state_output"])


@pytest.mark.parametrize("mode", MODES)
def test_ends_of_sequences_are_those_of_shorter_ones(mode, kernels):
    """A sample with a length gives what it gives alone and cut off; nothing behind its end matters."""
    attributes = {"state_size": 2, "num_layers": 2, "mode": mode, "bidirectional": True} | {
        "state_outputs": True
    }
    run = kernels(RNN(**attributes, use_sequence_length=True), {"data": (5, 3, 2)})
    run.set("sequence_length", [5, 2, 0])
    run.arrays["data"][2:, 1] = np.nan
    run.arrays["data"][:, 2] = np.nan
    short = kernels(RNN(**attributes), {"data": (2, 1, 2)})
    short.set("parameters", run.arrays["parameters"])
    short.set("data", run.arrays["data"][:2, 1:2])
    for name in ("state", "state_cell"):
        if name in short.arrays:
            short.set(name, run.arrays[name][:, 1:2])

    whole, alone = run.forward(), short.forward()

    np.testing.assert_allclose(whole["output"][:2, 1:2], alone["output"])
    assert not whole["output"][2:, 1].any()
    assert not whole["output"][:, 2].any()
    np.testing.assert_allclose(whole["state_output"][:, 1:2], alone["state_output"])
    np.testing.assert_array_equal(whole["state_output"][:, 2], run.arrays["state"][:, 2])


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
def test_lengths_may_have_any_dtype(dtype, kernels):
    """And one beyond the last step means all of them."""
    run = kernels(RNN(**LSTM, use_sequence_length=True), {"data": (3, 2, 2)})
    run.arrays["sequence_length"] = np.array([1, 9], dtype)

    output = run.forward()["output"]

    assert (output != 0).any(axis=2).T.tolist() == [[True, False, False], [True, True, True]]


# -- dropout ------------------------------------------------


def test_dropout_acts_between_layers_only(kernels):
    """Two layers with p are two operators with the mask between them, gradients included."""
    both = kernels(RNN(state_size=3, num_layers=2, mode="gru", p=0.4), {"data": (4, 5, 2)})
    output, mask = (both.forward()[name] for name in ("output", "mask"))
    heads = both.head_gradients()
    gradients = both.backward(heads)
    lower, upper = (
        kernels(RNN(state_size=3, num_layers=1, mode="gru"), {"data": (4, 5, size)}) for size in (2, 3)
    )
    w = both.arrays["parameters"]
    split = lower.op.layout().weights(2), lower.op.layout().weights(2) + upper.op.layout().weights(3)
    first, second = (
        np.concatenate(p) for p in ((w[: split[0]], w[split[1] :][:18]), (w[split[0] :][:54], w[-18:]))
    )
    for run, weights, number in ((lower, first, 0), (upper, second, 1)):
        run.set("parameters", weights)
        run.set("state", both.arrays["state"][number : number + 1])
    lower.set("data", both.arrays["data"])
    upper.set("data", lower.forward()["output"] * mask[0] / 0.6)

    np.testing.assert_allclose(upper.forward()["output"], output)
    top = upper.backward(heads)
    bottom = lower.backward({"doutput": top["ddata"] * mask[0] / 0.6})

    assert set(np.unique(mask)) == {0, 1}
    np.testing.assert_allclose(gradients["ddata"], bottom["ddata"], atol=1e-12)
    np.testing.assert_allclose(gradients["dstate"][0], bottom["dstate"][0], atol=1e-12)
    np.testing.assert_allclose(gradients["dparameters"][:54][: split[0]], bottom["dparameters"][: split[0]])


def test_dropout_drops_a_share_in_training_only(kernels):
    """The share of zeros is near p; an inference pass drops nothing."""
    run = kernels(RNN(state_size=20, num_layers=2, mode="rnn_tanh", p=0.3), {"data": (20, 20, 2)})
    plain = kernels(RNN(state_size=20, num_layers=2, mode="rnn_tanh"), {"data": (20, 20, 2)})

    assert abs(1 - run.forward()["mask"].mean() - 0.3) < 0.03
    np.testing.assert_array_equal(run.forward(train=False)["output"], plain.forward()["output"])


# -- numbers ------------------------------------------------


@pytest.mark.parametrize("mode", ["rnn_tanh", "lstm", "gru"])
def test_large_numbers_saturate(mode, kernels):
    """Gates far out are 0 or 1, without overflow (warnings are errors) and with finite gradients."""
    run = kernels(RNN(state_size=2, num_layers=1, mode=mode), {"data": (3, 2, 2)}, "float32")
    run.set("data", 1e6 * run.arrays["data"])

    assert np.isfinite(run.forward()["output"]).all()
    assert all(np.isfinite(gradient).all() for gradient in run.backward().values())


@pytest.mark.parametrize("stop", [True, False])
def test_nan_in_a_cell_state_may_be_stopped(stop, kernels):
    """With lstm_state_clip_nan it becomes the lower bound."""
    bounds = {"lstm_state_clip_min": -0.5, "lstm_state_clip_max": 0.25, "lstm_state_clip_nan": stop}
    run = kernels(RNN(**LSTM, **bounds, state_outputs=True), {"data": (1, 1, 2)})
    run.set("state_cell", np.nan)

    assert np.isnan(run.forward()["statecell_output"]).all() != stop
    assert not stop or (run.arrays["statecell_output"] == -0.5).all()


def test_gradients_of_the_last_states_alone_arrive(kernels):
    """A net that reads only the last state, as an encoder does."""
    run = kernels(RNN(**LSTM, state_outputs=True, use_sequence_length=True), {"data": (3, 2, 2)})
    run.set("sequence_length", 3)
    output = run.forward()
    heads = run.head_gradients()
    only = run.backward({"dstate_output": heads["dstate_output"]})
    last = np.zeros_like(output["output"])
    last[2] = heads["dstate_output"][0]

    for name, gradient in run.backward({"doutput": last}).items():
        np.testing.assert_allclose(only[name], gradient)

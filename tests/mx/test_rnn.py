"""Recurrent cells: names, weights, and agreement of single steps with the fused operator."""

import numpy as np
import pytest

import netdef as mx
from netdef.ops.rnn import RNN

MODES = ["rnn_relu", "rnn_tanh", "lstm", "gru"]
rnn = mx.rnn


def variables(names):
    """One variable for each name."""
    return [mx.sym.Variable(name) for name in names]


def run(net, values, shapes=None):
    """Outputs, head gradients drawn from a seed, and gradients by name, in float32."""
    executor = net.simple_bind(mx.cpu(), **(shapes or {k: v.shape for k, v in values.items()}))
    for name, value in values.items():
        executor.arg_dict[name][:] = value
    outputs = [output.asnumpy() for output in executor.forward(is_train=True)]
    random = np.random.default_rng(1)
    heads = [mx.nd.array(random.standard_normal(output.shape)) for output in outputs]
    executor.backward(heads)
    return outputs, {name: gradient.asnumpy() for name, gradient in executor.grad_dict.items()}


def weights(mode, layers, directions, inputs, hidden):
    """A packed vector of parameters."""
    op = RNN(state_size=hidden, num_layers=layers, mode=mode, bidirectional=directions == 2)
    return np.random.default_rng(0).standard_normal(op.layout().count(inputs)).astype("float32")


# -- names ------------------------------------------------

WEIGHTS = ["i2h_weight", "i2h_bias", "h2h_weight", "h2h_bias"]


@pytest.mark.parametrize(
    ("cell", "prefix"), [(rnn.RNNCell, "rnn_"), (rnn.LSTMCell, "lstm_"), (rnn.GRUCell, "gru_")]
)
def test_arguments_stand_in_mxnets_order(cell, prefix):
    """Data, the weights of the inputs, those of the states; the steps share them."""
    outputs, states = cell(5).unroll(2, mx.sym.Variable("data"), merge_outputs=True)

    assert outputs.list_arguments() == ["data", *(prefix + name for name in WEIGHTS)]
    assert [state.name for state in states] == [
        f"{prefix}t1_{name}" for name in ("out", "state")[: len(states)]
    ]
    shapes, out, _ = outputs.infer_shape(data=(3, 2, 4))
    rows = 5 * {"rnn_": 1, "lstm_": 4, "gru_": 3}[prefix]
    assert shapes == [(3, 2, 4), (rows, 4), (rows,), (rows, 5), (rows,)]
    assert out == [(3, 2, 5)]


def test_nodes_have_mxnets_names():
    """Those of a step of LSTMCell, the ones without a name of their own included."""
    with mx.name.NameManager():
        outputs, _ = rnn.LSTMCell(5).unroll(1, [mx.sym.Variable("x")])

    made = [name.removesuffix("_output") for name in outputs[0].get_internals().list_outputs()]
    assert {"lstm_t0_i2h", "lstm_t0_h2h", "_plus0", "lstm_t0_slice_output3", "lstm_begin_state_1"} < set(made)
    assert made[-3:] == ["lstm_t0_state", "activation0", "lstm_t0_out"]


def test_initial_values_are_told_with_the_variables():
    """The forget gate's bias and the packed vector say how they start, in MXNet's words."""
    bias = rnn.LSTMCell(5, forget_bias=2.5).params.get("i2h_bias")
    packed = rnn.FusedRNNCell(3, mode="gru").params.get("parameters")

    assert bias.attr("__init__") == '["lstmbias", {"forget_bias": 2.5}]'
    assert packed.attr("__init__") == (
        '["fusedrnn", {"init": null, "num_hidden": 3, "num_layers": 1, "mode": "gru", '
        '"bidirectional": false, "forget_bias": 1.0}]'
    )


def test_states_say_their_shapes():
    """Unknown batches are 0; a stack has the states of its cells."""
    stack = rnn.SequentialRNNCell()
    stack.add(rnn.LSTMCell(4, prefix="a_"))
    stack.add(rnn.DropoutCell(0.5))
    stack.add(rnn.GRUCell(3, prefix="b_"))

    assert stack.state_shape == [(0, 4), (0, 4), (0, 3)]
    assert rnn.FusedRNNCell(3, 2, "lstm", True).state_shape == [(4, 0, 3), (4, 0, 3)]
    states = stack.begin_state(mx.sym.Variable)
    assert [state.name for state in states] == ["a_begin_state_0", "a_begin_state_1", "b_begin_state_0"]


def test_cells_share_weights_through_params():
    """Two cells with one container are one set of variables."""
    params = rnn.RNNParams("shared_")
    x, h = variables("xh")
    first = rnn.RNNCell(4, prefix="one_", params=params)(x, [h])[0]
    second = rnn.RNNCell(4, prefix="two_", params=params)(first, [h])[0]

    assert second.list_arguments() == ["x", *(f"shared_{name}" for name in WEIGHTS[:2]), "h"] + [
        f"shared_{name}" for name in WEIGHTS[2:]
    ]


# -- weights ------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_weights_survive_unpacking(mode, bidirectional):
    """From one vector to gates, to the matrices of single cells, and all the way back."""
    packed = mx.nd.array(weights(mode, 2, 1 + bidirectional, 5, 3))
    fused = rnn.FusedRNNCell(3, 2, mode, bidirectional)
    single = fused.unfuse()

    gates = fused.unpack_weights({f"{mode}_parameters": packed, "other": packed})
    matrices = single.pack_weights(gates)
    back = fused.pack_weights(single.unpack_weights(matrices))

    assert back.keys() == {f"{mode}_parameters", "other"}
    np.testing.assert_array_equal(back[f"{mode}_parameters"].asnumpy(), packed.asnumpy())
    rows = 3 * {"lstm": 4, "gru": 3}.get(mode, 1)
    assert matrices[f"{mode}_l0_i2h_weight"].shape == (rows, 5)
    assert matrices[f"{mode}_l1_i2h_weight"].shape == (rows, 3 * (1 + bidirectional))
    letters = {"lstm": "ifco", "gru": "rzo"}.get(mode, "")
    names = [f"{mode}_l1_h2h_{letter}_bias" for letter in letters] or [f"{mode}_l1_h2h_bias"]
    assert all(gates[name].shape == (3,) for name in names)


# -- numbers ------------------------------------------------


def test_an_unrolled_cell_is_the_operator():
    """RNNCell over a list of inputs with given states, against RNN on the packed weights."""
    steps, batch, inputs, hidden = 3, 2, 4, 5
    random = np.random.default_rng(2)
    data = random.standard_normal((steps, batch, inputs)).astype("float32")
    state = random.standard_normal((batch, hidden)).astype("float32")
    packed = weights("rnn_tanh", 1, 1, inputs, hidden)
    cell = rnn.FusedRNNCell(hidden, mode="rnn_tanh")
    single = rnn.RNNCell(hidden, prefix="rnn_tanh_l0_")
    x, h = variables(f"x{t}" for t in range(steps)), mx.sym.Variable("h")
    outputs, _ = single.unroll(steps, x, begin_state=[h])
    parts = single.pack_weights(cell.unpack_weights({"rnn_tanh_parameters": mx.nd.array(packed)}))
    values = {f"x{t}": data[t] for t in range(steps)} | {k: v.asnumpy() for k, v in parts.items()}
    found, gradients = run(mx.sym.Group(outputs), {**values, "h": state})
    fused = mx.sym.RNN(mx.sym.Variable("data"), state_size=hidden, num_layers=1, mode="rnn_tanh", name="r")
    given = {"data": data, "r_parameters": packed, "r_state": state[None]}
    executor = fused.simple_bind(mx.cpu(), **{name: value.shape for name, value in given.items()})
    for name, value in given.items():
        executor.arg_dict[name][:] = value
    whole = executor.forward(is_train=True)[0].asnumpy()
    random = np.random.default_rng(1)
    executor.backward([mx.nd.array(np.stack([random.standard_normal(step.shape) for step in found]))])

    np.testing.assert_allclose(np.stack(found), whole, rtol=1e-5, atol=1e-6)
    ours = cell.unpack_weights({"rnn_tanh_parameters": executor.grad_dict["r_parameters"]})
    for name, gradient in single.pack_weights(ours).items():
        np.testing.assert_allclose(gradients[name], gradient.asnumpy(), rtol=1e-4, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(
        np.stack([gradients[f"x{t}"] for t in range(steps)]),
        executor.grad_dict["data"].asnumpy(),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layout", ["NTC", "TNC"])
def test_unfused_cells_are_the_fused_operator(mode, layers, bidirectional, layout):
    """The same outputs, and gradients of data and weights, whichever way the net is written."""
    steps, batch, inputs, hidden = 3, 2, 4, 5
    fused = rnn.FusedRNNCell(hidden, layers, mode, bidirectional)
    packed = mx.nd.array(weights(mode, layers, 1 + bidirectional, inputs, hidden))
    shape = (steps, batch, inputs) if layout == "TNC" else (batch, steps, inputs)
    data = np.random.default_rng(2).standard_normal(shape).astype("float32")
    single = fused.unfuse()
    matrices = single.pack_weights(fused.unpack_weights({f"{mode}_parameters": packed}))
    results = []
    for cell, given in ((fused, {f"{mode}_parameters": packed}), (single, matrices)):
        net, _ = cell.unroll(steps, mx.sym.Variable("data"), layout=layout, merge_outputs=True)
        results.append(
            run(net, {"data": data, **{k: v.asnumpy() for k, v in given.items()}}, {"data": shape})
        )
    (whole, whole_gradients), (found, gradients) = results

    np.testing.assert_allclose(found[0], whole[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gradients["data"], whole_gradients["data"], rtol=1e-3, atol=1e-4)
    ours = {f"{mode}_parameters": mx.nd.array(whole_gradients[f"{mode}_parameters"])}
    for name, gradient in single.pack_weights(fused.unpack_weights(ours)).items():
        np.testing.assert_allclose(gradients[name], gradient.asnumpy(), rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("mode", MODES)
def test_last_states_of_fused_and_unfused_cells_agree(mode):
    """With get_next_state the operator's states are those of the single cells, side by side."""
    fused = rnn.FusedRNNCell(5, 2, mode, get_next_state=True)
    packed = mx.nd.array(weights(mode, 2, 1, 4, 5))
    single = fused.unfuse()
    matrices = single.pack_weights(fused.unpack_weights({f"{mode}_parameters": packed}))
    data = np.random.default_rng(2).standard_normal((2, 3, 4)).astype("float32")
    results = []
    for cell, given in ((fused, {f"{mode}_parameters": packed}), (single, matrices)):
        _, states = cell.unroll(3, mx.sym.Variable("data"))
        values = {"data": data, **{k: v.asnumpy() for k, v in given.items()}}
        results.append(run(mx.sym.Group(states), values, {"data": data.shape})[0])
    together, apart = results

    kinds = len(together)
    for kind in range(kinds):
        np.testing.assert_allclose(together[kind], np.stack(apart[kind::kinds]), rtol=1e-4, atol=1e-5)


# -- modifiers ------------------------------------------------


def step(cell, **values):
    """The output and the next state of one step, in and outside training."""
    x, h = variables("xh")
    output, states = cell(x, [h])
    net = mx.sym.Group([output, *states])
    executor = net.simple_bind(mx.cpu(), grad_req="null", **{name: v.shape for name, v in values.items()})
    random = np.random.default_rng(0)
    for name, array in executor.arg_dict.items():
        array[:] = values.get(name, random.standard_normal(array.shape))
    return [[out.asnumpy() for out in executor.forward(is_train=train)] for train in (True, False)]


X, H = np.full((40, 3), 0.5, "float32"), np.full((40, 3), 7, "float32")


def test_residual_cells_add_their_inputs():
    """One step, and a sequence in either form."""
    plain, residual = step(rnn.RNNCell(3), x=X, h=H)[1], step(rnn.ResidualCell(rnn.RNNCell(3)), x=X, h=H)[1]

    np.testing.assert_allclose(residual[0], plain[0] + X)
    np.testing.assert_array_equal(residual[1], plain[1])
    outputs, _ = rnn.ResidualCell(rnn.RNNCell(3)).unroll(2, variables("ab"), begin_state=variables("h"))
    assert [output.name for output in outputs] == ["rnn_t0_out_plus_residual", "rnn_t1_out_plus_residual"]


def test_zoneout_keeps_old_states_at_random_while_training():
    """About the given share is old; outside training all is new, and the first output's past is 0."""
    cell = rnn.ZoneoutCell(rnn.RNNCell(3), zoneout_outputs=0.25, zoneout_states=0.5)

    (output, state), (plain_output, plain_state) = step(cell, x=X, h=H)

    assert 0.3 < np.mean(state == H) < 0.7
    assert 0.1 < np.mean(output == 0) < 0.4
    np.testing.assert_array_equal(state[state != H], plain_state[state != H])
    np.testing.assert_array_equal(output[output != 0], plain_output[output != 0])


def test_dropout_cells_have_no_states():
    """They drop a share of what they are given, step by step or in one symbol."""
    cell = rnn.DropoutCell(0.5)
    merged, states = cell.unroll(2, mx.sym.Variable("data"))
    steps, _ = cell.unroll(2, variables("ab"))

    assert (merged.list_arguments(), states, cell.state_info) == (["data"], [], [])
    assert [s.list_arguments() for s in steps] == [["a"], ["b"]]
    assert rnn.DropoutCell(0)(merged, [])[0] is merged


# -- refusals ------------------------------------------------

REFUSED = [
    (lambda: rnn.RNNCell(3).unroll(3, variables("ab")), "2 inputs for 3 steps"),
    (lambda: rnn.FusedRNNCell(3).unroll(3, mx.sym.Variable("x"), layout="CTN"), "layout CTN"),
    (lambda: rnn.ZoneoutCell(rnn.FusedRNNCell(3)), "unfuse it"),
    (lambda: rnn.ZoneoutCell(rnn.BidirectionalCell(rnn.RNNCell(3), rnn.RNNCell(3))), "modify the cells"),
    (lambda: modified().begin_state(mx.sym.Variable), "call the modifier instead"),
]


def modified():
    cell = rnn.RNNCell(3)
    rnn.ResidualCell(cell)
    return cell


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_what_no_cell_can_do_is_refused(call, words):
    """In words that say what to do."""
    with pytest.raises(mx.UsageError, match=words):
        call()


@pytest.mark.parametrize("cell", [rnn.FusedRNNCell(3), rnn.BidirectionalCell(rnn.RNNCell(3), rnn.RNNCell(3))])
def test_cells_over_sequences_have_no_single_steps(cell):
    """As in MXNet."""
    with pytest.raises(NotImplementedError, match="use unroll"):
        cell(mx.sym.Variable("x"), [])

"""Initializers: the choice by name, the values, names and JSON, the layout of fused RNNs."""

import logging

import mxnet_parts
import numpy as np
import pytest

import netdef as mx
from netdef.mx.initializer import InitDesc

#: parameters whose recorded values are small arrays of random numbers
RANDOM = {"upsampling_weight", "q_weight_quantize"}


def filled(initializer, shape=(2, 3), name="fc_weight", attrs=None, plain=False):
    """What an initializer makes of an array that held sevens."""
    array = mx.nd.array(np.full(shape, 7.0))
    initializer(name if plain else InitDesc(name, attrs), array)
    return array.asnumpy()


@pytest.mark.parametrize("case", mxnet_parts.recorded("initializers"))
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_mxnet_recordings(case):
    """Values or statistics, texts and refusals are those of MXNet."""

    def make():
        return eval(case["expr"], {"mx": mx, "np": np})

    plain = case["call"] == "str"
    if case.get("raises"):
        with pytest.raises((ValueError, mx.MXNetError)):
            filled(make(), case["shape"], case["name"], plain=plain)
        return
    if case["name"] in RANDOM and not case.get("raises"):
        pytest.skip("random numbers, too few for statistics")
    found = filled(make(), case["shape"], case["name"], plain=plain)
    if case["arrays"]:
        np.testing.assert_allclose(found, mxnet_parts.arrays(case)["value"], rtol=1e-6)
    else:
        stats = case["stats"]
        assert found.std() == pytest.approx(stats["std"], rel=0.05)
        assert abs(found.mean() - stats["mean"]) < 8 * stats["std"] / np.sqrt(found.size)
    if case.get("dumps"):
        assert make().dumps() == case["dumps"]


def test_names_choose():
    """The ending of a name, for an InitDesc."""
    one = mx.init.Constant(5)
    found = {
        name: filled(one, name=name).max()
        for name in ("w_weight", "bias", "a_gamma", "a_beta", "q_min", "q_max")
    }

    assert found == {"w_weight": 5, "bias": 0, "a_gamma": 1, "a_beta": 0, "q_min": 0, "q_max": 1}
    assert filled(one, name="q_bias_quantize").max() == 0
    quantized = filled(one, (50,), name="q_weight_quantize")
    assert len(np.unique(quantized)) > 5
    assert np.abs(quantized).max() <= 127


def test_plain_names_choose_as_in_mxnet_0_7():
    """With a warning; they know the statistics of BatchNorm and two prefixes more."""
    one = mx.init.Constant(5)
    expected = {
        "a_moving_mean": 0,
        "a_moving_var": 1,
        "a_moving_inv_var": 0,
        "a_moving_avg": 0,
        "stn_loc_weight": 0,
    }
    for name, value in expected.items():
        with pytest.warns(DeprecationWarning, match="InitDesc"):
            assert filled(one, name=name, plain=True).max() == value
    with pytest.warns(DeprecationWarning, match="InitDesc"):
        np.testing.assert_array_equal(filled(one, (6,), "stn_loc_bias", plain=True), [1, 0, 0, 0, 1, 0])
    with pytest.warns(DeprecationWarning, match="InitDesc"):
        assert filled(one, (1, 1, 2, 2), "upsampling_weight", plain=True).max() < 5


def test_an_attribute_outranks_the_name():
    """`__init__` holds a name or JSON text."""
    for text, value in (
        ("ones", 1),
        ('["constant", {"value": 3}]', 3),
        ('{"initializer": "constant", "value": 4}', 4),
    ):
        assert filled(mx.init.Zero(), name="bn_moving_var", attrs={"__init__": text}).min() == value


def test_values_of_exact_initializers():
    """Numbers, arrays, the forget gate."""
    table = np.arange(6.0).reshape(2, 3)

    assert filled(mx.init.Zero()).max() == 0
    assert filled(mx.init.One()).min() == 1
    for value in (table, table.tolist(), mx.nd.array(table)):
        np.testing.assert_array_equal(filled(mx.init.Constant(value)), table)
        assert (
            mx.init.Constant(value).dumps() == '["constant", {"value": [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]}]'
        )
    attrs = {"__init__": mx.init.LSTMBias(2.0).dumps()}
    np.testing.assert_array_equal(filled(mx.init.One(), (8,), "l_bias", attrs), [0, 0, 2, 2, 0, 0, 0, 0])


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_bilinear_weights_interpolate(size):
    """A tent over the kernel, the product of both axes, in every channel."""
    half = (size + 1) // 2
    centre = (2 * half - 1 - half % 2) / (2 * half)
    tent = [1 - abs(i / half - centre) for i in range(size)]

    for weights in filled(mx.init.Bilinear(), (2, 3, size, size)).reshape(-1, size, size):
        np.testing.assert_allclose(weights, [[a * b for b in tent] for a in tent], rtol=1e-6)


def moments(initializer, shape):
    """Deviation and largest size of many numbers, whose mean must be about 0."""
    found = filled(initializer, shape)
    assert abs(found.mean()) < 6 * found.std() / np.sqrt(found.size)
    return found.std(), np.abs(found).max()


def test_uniform_and_normal():
    """Limits and deviations."""
    deviation, largest = moments(mx.init.Uniform(0.3), (100, 200))
    assert deviation == pytest.approx(0.3 / np.sqrt(3), rel=0.03)
    assert 0.29 < largest <= 0.3
    assert moments(mx.init.Normal(0.3), (100, 200))[0] == pytest.approx(0.3, rel=0.03)


@pytest.mark.parametrize(("factor", "fan"), [("in", 40 * 9), ("out", 60 * 9), ("avg", 50 * 9)])
def test_xavier_divides_by_the_fan(factor, fan):
    """Weights are (outputs, inputs, kernel...)."""
    shape, size = (60, 40, 3, 3), np.sqrt(2 / fan)

    assert moments(mx.init.Xavier("gaussian", factor, 2), shape)[0] == pytest.approx(size, rel=0.03)
    deviation, largest = moments(mx.init.Xavier("uniform", factor, 2), shape)
    assert deviation == pytest.approx(size / np.sqrt(3), rel=0.03)
    assert largest <= size * (1 + 1e-6)
    slope = np.sqrt(2 / 1.25 / fan)
    assert moments(mx.init.MSRAPrelu(factor, 0.5), shape)[0] == pytest.approx(slope, rel=0.03)


@pytest.mark.parametrize("kind", ["uniform", "normal"])
@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (4, 3, 3, 3), (4, 4)])
def test_orthogonal_rows_or_columns(shape, kind):
    """Of length `scale`, the fewer of both."""
    matrix = filled(mx.init.Orthogonal(2.0, kind), shape).reshape(shape[0], -1)
    product = matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix

    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-5)


def test_the_same_seed_gives_the_same_numbers():
    """And the next draw others."""
    made = []
    for _ in range(2):
        mx.random.seed(11)
        made.append([filled(mx.init.Normal()), filled(mx.init.Normal())])

    np.testing.assert_array_equal(made[0], made[1])
    assert not np.array_equal(*made[0])


def test_a_seed_is_any_int_and_reaches_who_holds_the_generator():
    """The generator stays the same object."""
    held = mx.random.generator()
    for seed in (-1, 2**40, np.int64(3)):
        mx.random.seed(seed, ctx=mx.cpu())
        first = held.random()
        mx.random.seed(seed)
        assert held.random() == first
    assert mx.random.generator() is held
    for wrong in (1.5, "1", None, True):
        with pytest.raises(ValueError, match="must be an int"):
            mx.random.seed(wrong)


# --- others chosen ---


def test_mixed_takes_the_first_pattern_that_matches_the_start():
    """As re.match does."""
    mixed = mx.init.Mixed(["fc1_", ".*bias", ".*"], [mx.init.One(), mx.init.One(), mx.init.Zero()])

    assert filled(mixed, name="fc1_weight").min() == 1
    assert filled(mixed, name="conv_weight").max() == 0
    with pytest.raises(ValueError, match='end the patterns with "'):
        filled(mx.init.Mixed(["fc1"], [mx.init.One()]), name="x_weight")


def test_load_copies_by_name(caplog):
    """Without the kind before the name; what is missing goes to the default."""
    caplog.set_level(logging.INFO)
    stored = {"arg:fc_weight": mx.nd.array(np.full((2, 3), 4.0)), "aux:bn_moving_mean": mx.nd.array([1.0])}
    load = mx.init.Load(stored, default_init=mx.init.One(), verbose=True)

    assert filled(load).min() == 4
    assert filled(load, name="other_weight").max() == 1
    assert caplog.messages == ["Initialized fc_weight by loading", "Initialized other_weight by default"]
    with pytest.raises(mx.MXNetError, match=r"fc_weight has shape \(3,\), the loaded one \(2, 3\)"):
        filled(load, (3,))
    with pytest.raises(mx.MXNetError, match="no default_init"):
        filled(mx.init.Load(stored), name="other_weight")


def test_verbosity_logs_what_was_done(caplog):
    """Kind of parameter and a number about it."""
    caplog.set_level(logging.INFO)
    filled(mx.init.Constant(3).set_verbosity(True))
    filled(mx.init.One().set_verbosity(True, lambda array: f"{array.shape}"), name="x_bias")

    assert caplog.messages == ["Initialized fc_weight as weight: 3.0", "Initialized x_bias as bias: (2, 3)"]


# --- by name and JSON ---


@pytest.mark.parametrize(
    "initializer",
    [
        mx.init.Uniform(0.5),
        mx.init.Xavier("gaussian", "in", 2),
        mx.init.MSRAPrelu("out", 0.1),
        mx.init.Constant(2),
    ],
)
def test_dumps_creates_the_same(initializer):
    """Equal to the first, and its attributes the same."""
    again = mx.init.create(initializer.dumps())

    assert again == initializer
    assert vars(again) == vars(initializer)
    assert mx.init.create(initializer) is initializer
    assert initializer != mx.init.Zero()


def test_create_takes_names_in_any_case():
    """With the arguments of the class."""
    assert mx.init.create("Xavier", magnitude=2) == mx.init.Xavier(magnitude=2)
    assert mx.initializer is mx.init


def test_an_initializer_of_ones_own():
    """It overrides _init_weight, or whatever else."""
    registry = mx.registry._REGISTRIES[mx.init.Initializer]

    @mx.init.register
    class Twos(mx.init.Initializer):
        def _init_weight(self, desc, arr):
            arr[:] = 2

        def _init_default(self, desc, arr):
            arr[:] = 3

    try:
        assert filled(mx.init.create("twos")).min() == 2
        assert filled(mx.init.create("twos"), name="odd").min() == 3
    finally:
        del registry["twos"]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: filled(mx.init.One(), name="odd"), ValueError, "Unknown initialization pattern for odd"),
        (lambda: mx.init.create("xaver"), mx.MXNetError, "did you mean xavier"),
        (lambda: mx.init.Xavier("normal"), ValueError, "legal: uniform, gaussian"),
        (lambda: mx.init.Xavier(factor_type="sum"), ValueError, "legal: avg, in, out"),
        (lambda: mx.init.Orthogonal(rand_type="x"), ValueError, "legal: uniform, normal"),
        (lambda: filled(mx.init.Xavier(), (3,)), ValueError, r"shape \(3,\)"),
        (lambda: filled(mx.init.Bilinear()), ValueError, "4 axes"),
        (lambda: mx.init.One()(3, mx.nd.zeros((1,))), TypeError, "str or an InitDesc"),
        (lambda: mx.init.One()(InitDesc("x_weight"), np.zeros(1)), TypeError, "must be an NDArray"),
        (lambda: mx.init.Mixed(["a"], []), mx.MXNetError, "1 patterns"),
        (lambda: mx.init.Load([1]), mx.MXNetError, "loaded by name"),
        (lambda: mx.init.FusedRNN(None, 2, 1, "tanh"), ValueError, "legal: rnn_relu"),
        (lambda: filled(mx.init.FusedRNN(None, 2, 1, "gru"), (48,)), ValueError, "whole net"),
        (lambda: filled(mx.init.FusedRNN(mx.init.One(), 2, 1, "gru"), (47,)), ValueError, r"6 \(inputs"),
        (lambda: filled(mx.init.Initializer()), NotImplementedError, "_init_weight"),
    ],
)
def test_wrong_arguments_are_told(call, error, words):
    """What is wrong, and what would be legal."""
    with pytest.raises(error, match=words):
        call()


# --- fused RNNs ---

GATES = {"rnn_relu": [""], "rnn_tanh": [""], "lstm": ["_i", "_f", "_c", "_o"], "gru": ["_r", "_z", "_o"]}


class Numbered(mx.init.Initializer):
    """Numbers its calls, and fills with the number."""

    def __init__(self):
        super().__init__()
        self.names = []

    def _init_weight(self, desc, arr):
        arr[:] = len(self.names)
        self.names.append((str(desc), arr.shape))

    _init_bias = _init_weight


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("mode", sorted(GATES))
def test_a_fused_rnn_is_initialized_part_by_part(mode, bidirectional):
    """All weights, then all biases; layer, direction, source and gate in this order."""
    hidden, inputs, sides = 3, 5, "lr" if bidirectional else "l"
    expected = []
    for kind in ("weight", "bias"):
        for layer in (0, 1):
            for side in sides:
                for source, width in (
                    ("i2h", inputs if layer == 0 else hidden * len(sides)),
                    ("h2h", hidden),
                ):
                    shape = (hidden, width) if kind == "weight" else (hidden,)
                    expected += [(f"{side}{layer}_{source}{gate}_{kind}", shape) for gate in GATES[mode]]
    size = sum(int(np.prod(shape)) for _, shape in expected)
    inner = Numbered()
    found = filled(mx.init.FusedRNN(inner, hidden, 2, mode, bidirectional, forget_bias=-1.0), (size,))

    called = [part for part in expected if not part[0].endswith("_f_bias") or mode != "lstm"]
    assert inner.names == called
    numbers = {name: number for number, (name, _) in enumerate(called)}
    whole = [np.full(np.prod(shape), numbers.get(name, -1)) for name, shape in expected]
    np.testing.assert_array_equal(found, np.concatenate(whole))


def test_a_fused_rnn_asks_the_initializer_of_the_net():
    """Where it has none of its own, or finds it as text."""
    alone = mx.init.FusedRNN(None, 2, 1, "gru")
    assert filled(mx.init.Constant(4), (48,), "rnn_parameters", {"__init__": alone.dumps()}).max() == 4

    inside = mx.init.FusedRNN(mx.init.Constant(6), 2, 1, "gru")
    assert filled(mx.init.Constant(4), (48,), "rnn_parameters", {"__init__": inside.dumps()}).max() == 6

"""Optimizers: each rule element by element, rates and decays by parameter, what is refused."""

import copy
import math
import pickle
import tracemalloc

import mxnet_parts
import numpy as np
import pytest

import netdef as mx

RULES = {}


def rule(function):
    """Note a definition under its optimizer's name: `function(k, w, g, raw, s, lr, wd, t)` gives w.

    k are the hyperparameters, g the gradient clipped with decay as the optimizer wants it, raw that without
    decay, s a dict of what is remembered for the element, t the number of the update.
    """
    RULES[function.__name__] = function
    return function


@rule
def sgd(k, w, g, raw, s, lr, wd, t):
    s["m"] = k.get("momentum", 0) * s.get("m", 0) - lr * g
    return w + s["m"]


RULES["ccsgd"] = sgd


@rule
def nag(k, w, g, raw, s, lr, wd, t):
    momentum = k.get("momentum", 0)
    old = momentum * s.get("m", 0)
    new = w + momentum * (old - lr * g) - lr * g
    s["m"] = old - lr * (raw + wd * new)
    return new


@rule
def dcasgd(k, w, g, raw, s, lr, wd, t):
    before = s.get("before", w)
    step = raw + wd * w + k.get("lamda", 0.04) * raw * raw * (w - before)
    s["m"] = k.get("momentum", 0) * s.get("m", 0) - lr * step
    s["before"] = w
    return w + s["m"]


@rule
def signum(k, w, g, raw, s, lr, wd, t):
    momentum = k.get("momentum", 0.9)
    if not momentum:
        return (1 - lr * wd) * w - lr * np.sign(raw)
    s["m"] = momentum * s.get("m", 0) - (1 - momentum) * g
    return (1 - lr * k.get("wd_lh", 0)) * w + lr * np.sign(s["m"])


@rule
def adam(k, w, g, raw, s, lr, wd, t):
    b1, b2 = k.get("beta1", 0.9), k.get("beta2", 0.999)
    s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
    s["v"] = b2 * s.get("v", 0) + (1 - b2) * g * g
    rate = lr * math.sqrt(1 - b2**t) / (1 - b1**t)
    return w - rate * s["m"] / (math.sqrt(s["v"]) + k.get("epsilon", 1e-8))


@rule
def adamax(k, w, g, raw, s, lr, wd, t):
    b1, b2 = k.get("beta1", 0.9), k.get("beta2", 0.999)
    s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
    s["u"] = max(b2 * s.get("u", 0), abs(g))
    return w - lr / (1 - b1**t) * (s["m"] / s["u"] if s["u"] else 0)


@rule
def adagrad(k, w, g, raw, s, lr, wd, t):
    s["h"] = s.get("h", 0) + raw * raw
    return w - lr * (raw / math.sqrt(s["h"] + k.get("eps", 1e-7)) + wd * w)


@rule
def adadelta(k, w, g, raw, s, lr, wd, t):
    rho, eps = k.get("rho", 0.9), k.get("epsilon", 1e-5)
    s["h"] = rho * s.get("h", 0) + (1 - rho) * raw * raw
    step = math.sqrt(s.get("u", 0) + eps) / math.sqrt(s["h"] + eps) * raw
    s["u"] = rho * s.get("u", 0) + (1 - rho) * step * step
    return w - step - wd * w


@rule
def rmsprop(k, w, g, raw, s, lr, wd, t):
    g1, eps = k.get("gamma1", 0.9), k.get("epsilon", 1e-8)
    s["n"] = g1 * s.get("n", 0) + (1 - g1) * g * g
    if k.get("centered"):
        s["g"] = g1 * s.get("g", 0) + (1 - g1) * g
        s["d"] = k.get("gamma2", 0.9) * s.get("d", 0) - lr * g / math.sqrt(s["n"] - s["g"] ** 2 + eps)
        new = w + s["d"]
    else:
        new = w - lr * g / math.sqrt(s["n"] + eps)
    limit = k.get("clip_weights") or math.inf
    return min(max(new, -limit), limit)


@rule
def ftrl(k, w, g, raw, s, lr, wd, t):
    z, n, limit = s.get("z", 0), s.get("n", 0), k.get("lamda1", 0.01)
    s["z"] = z + raw - (math.sqrt(n + raw * raw) - math.sqrt(n)) * w / lr
    s["n"] = n + raw * raw
    if abs(s["z"]) <= limit:
        return 0.0
    return (math.copysign(limit, s["z"]) - s["z"]) / ((k.get("beta", 1) + math.sqrt(s["n"])) / lr + wd)


@rule
def ftml(k, w, g, raw, s, lr, wd, t):
    b1, b2 = k.get("beta1", 0.6), k.get("beta2", 0.999)
    s["v"] = b2 * s.get("v", 0) + (1 - b2) * g * g
    d = (1 - b1**t) / lr * (math.sqrt(s["v"] / (1 - b2**t)) + k.get("epsilon", 1e-8))
    s["z"] = b1 * s.get("z", 0) + (1 - b1) * g - (d - b1 * s.get("d", 0)) * w
    s["d"] = d
    return -s["z"] / d


#: optimizers that add the decay before they clip
BEFORE = {"adam", "adamax", "rmsprop", "ftml"}

CASES = [
    ("sgd", {}),
    ("sgd", {"momentum": 0.9}),
    ("ccsgd", {"momentum": 0.5}),
    ("nag", {}),
    ("nag", {"momentum": 0.9}),
    ("dcasgd", {"lamda": 0.5}),
    ("dcasgd", {"momentum": 0.9}),
    ("signum", {"wd_lh": 0.1}),
    ("signum", {"momentum": 0.0}),
    ("adam", {}),
    ("adam", {"beta1": 0.5, "beta2": 0.8, "epsilon": 0.01}),
    ("adamax", {"beta1": 0.5, "beta2": 0.8}),
    ("adagrad", {"eps": 0.01}),
    ("adadelta", {"rho": 0.5, "epsilon": 0.01}),
    ("rmsprop", {"gamma1": 0.5}),
    ("rmsprop", {"centered": True, "gamma2": 0.5, "clip_weights": 0.8}),
    ("ftrl", {"lamda1": 0.3, "beta": 0.5}),
    ("ftml", {"epsilon": 0.01}),
]
COMMON = [{}, {"wd": 0.3}, {"wd": 0.5, "clip_gradient": 0.4, "rescale_grad": 0.7}]


def gradients(number, shape):
    """Different gradients, some of them zero."""
    random = np.random.default_rng(number)
    return [(random.normal(size=shape) * (random.random(shape) < 0.8)) for _ in range(5)]


@pytest.mark.parametrize("common", COMMON, ids=["plain", "decay", "clipped"])
@pytest.mark.parametrize(("name", "own"), CASES)
def test_a_rule_is_what_its_definition_says(name, own, common):
    """Five updates in float64, each element on its own."""
    lr = 0.1
    optimizer = (
        mx.optimizer.create(name, learning_rate=lr, **own, **common)
        if name != "adadelta"
        else (mx.optimizer.create(name, **own, **common))
    )
    scale, limit, wd = (
        common.get(key, default)
        for key, default in (("rescale_grad", 1), ("clip_gradient", math.inf), ("wd", 0))
    )
    start = np.random.default_rng(0).normal(size=(2, 3))
    weight = mx.nd.array(start, dtype=np.float64)
    state = optimizer.create_state(0, weight)
    expected, memory = start.copy(), {place: {} for place in np.ndindex(start.shape)}
    for t, gradient in enumerate(gradients(1, start.shape), 1):
        before = gradient.copy()
        optimizer.update(0, weight, mx.nd.array(gradient, dtype=np.float64), state)
        for place, s in memory.items():
            w, g = expected[place], scale * gradient[place]
            raw = min(max(g, -limit), limit)
            decayed = raw + wd * w if name not in BEFORE else min(max(g + wd * w, -limit), limit)
            expected[place] = RULES[name](own, w, decayed, raw, s, lr, wd, t)
        np.testing.assert_allclose(weight.asnumpy(), expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(gradient, before)


@pytest.mark.parametrize("case", mxnet_parts.recorded("optimizers"))
def test_mxnet_recordings(case):
    """Weights after every update are those of MXNet."""
    stored = mxnet_parts.arrays(case)
    scheduler = {"lr_scheduler": eval(case["lr_scheduler"], {"mx": mx})} if case["lr_scheduler"] else {}
    names = dict(enumerate(case["weights"]))
    optimizer = mx.optimizer.create(case["optimizer"], param_idx2name=names, **scheduler, **case["kwargs"])
    for kind, values in (case["multipliers"] or {}).items():
        getattr(optimizer, f"set_{kind}")(values)
    weights = [mx.nd.array(stored[f"weight0/{i}"]) for i in names]
    states = [optimizer.create_state(i, weight) for i, weight in enumerate(weights)]
    for t in range(case["updates"]):
        for i, weight in enumerate(weights):
            optimizer.update(i, weight, mx.nd.array(stored[f"grad/{i}/{t}"]), states[i])
            np.testing.assert_allclose(weight.asnumpy(), stored[f"weight/{i}/{t}"], rtol=1e-5, atol=1e-6)
        assert optimizer.learning_rate == pytest.approx(case["lr_after"][t])


@pytest.mark.parametrize("case", mxnet_parts.recorded("defaults"))
def test_defaults_are_those_of_mxnet(case):
    """Hyperparameters can be read from the optimizer under MXNet's names."""
    optimizer = mx.optimizer.create(case["optimizer"])
    found = {name: getattr(optimizer, name) for name in case["defaults"].keys() - {"allow_np_array"}}

    assert found == {name: value for name, value in case["defaults"].items() if name in found}


# --- rules that look at whole arrays ---


def one_update(name, weight, gradient, names=None, **arguments):
    """The weight after one update in float64."""
    optimizer = mx.optimizer.create(name, param_idx2name=names, **arguments)
    array = mx.nd.array(weight, dtype=np.float64)
    optimizer.update(0, array, mx.nd.array(gradient, dtype=np.float64), optimizer.create_state(0, array))
    return array.asnumpy()


def test_lars_scales_the_rate_by_norms():
    """lr eta |w| / (|g| + wd |w| + eps), but lr for biases and where the gradient is zero."""
    w, g = np.array([3.0, 4.0]), np.array([1.0, 0.0])
    arguments = {"learning_rate": 0.5, "eta": 0.1, "eps": 1.0, "wd": 0.2, "rescale_grad": 2.0}

    trust = 0.1 * 5 / (2 + 0.2 * 5 + 1)
    np.testing.assert_allclose(one_update("lars", w, g, **arguments), w - 0.5 * trust * (2 * g + 0.2 * w))
    np.testing.assert_allclose(
        one_update("lars", w, g, {0: "fc_bias"}, **arguments), w - 0.5 * 2 * g, err_msg="no decay, no scaling"
    )
    np.testing.assert_allclose(one_update("lars", w, 0 * g, **arguments), w - 0.5 * 0.2 * w)


def test_lars_corrects_the_momentum_when_the_rate_changes():
    """By new rate / old rate, once."""
    scheduler = mx.lr_scheduler.FactorScheduler(1, factor=0.5, base_lr=1.0)
    arguments = {"momentum": 0.5, "lr_scheduler": scheduler, "param_idx2name": {0: "fc_bias"}}
    optimizer = mx.optimizer.create("lars", **arguments)
    weight = mx.nd.array([0.0])
    state = optimizer.create_state(0, weight)
    found = []
    for _ in range(3):
        optimizer.update(0, weight, mx.nd.array([1.0]), state)
        found.append(-state.asscalar())

    assert found == pytest.approx([1, 0.25 * 1 + 0.5, 0.25 * 0.75 + 0.25])


def test_lamb_limits_the_norm_of_the_weight():
    """The step has the length lr |w|, with |w| between the bounds."""
    w, g = np.array([3.0, 4.0]), np.array([1.0, -1.0])

    for bounds, length in (({}, 5), ({"lower_bound": 7.0}, 7), ({"upper_bound": 2.0}, 2)):
        moved = w - one_update("lamb", w, g, learning_rate=0.1, **bounds)
        np.testing.assert_allclose(moved, np.sign(g) * 0.1 * length / math.sqrt(2), rtol=1e-4)
    moved = w - one_update("lamb", w, g, learning_rate=0.1, epsilon=1.0, bias_correction=False, wd=0.5)
    step = 0.1 * g / (math.sqrt(0.001) + 1) + 0.5 * w
    np.testing.assert_allclose(moved, 0.1 * 5 * step / np.linalg.norm(step), rtol=1e-4)


def test_lbsgd_averages_gradients_and_warms_up():
    """Every second gradient an update by the mean of two, at a rate that grows to batch_scale times lr."""
    arguments = {"batch_scale": 2, "warmup_epochs": 1, "updates_per_epoch": 4, "learning_rate": 0.1}
    optimizer = mx.optimizer.create("lbsgd", **arguments)
    weight, found = mx.nd.array([0.0]), []
    state = optimizer.create_state(0, weight)
    for gradient in (1.0, 3.0, 2.0, 4.0):
        optimizer.update(0, weight, mx.nd.array([gradient]), state)
        found.append(-weight.asscalar())

    second = 0.1 * (1 + 2 / 4) * 2
    assert found == pytest.approx([0, second, second, second + 0.1 * 2 * 3])


@pytest.mark.parametrize(
    ("strategy", "factor"), [("linear", 1.5), ("power2", 1.25), ("sqrt", 1 + math.sqrt(0.5)), ("none", 1)]
)
def test_lbsgd_strategies(strategy, factor):
    """How the factor depends on the part of the warm-up that is over, here one half."""
    optimizer = mx.optimizer.create(
        "lbsgd", batch_scale=2, warmup_strategy=strategy, warmup_epochs=2, updates_per_epoch=2
    )
    weight = mx.nd.array([0.0])
    for _ in range(2):
        optimizer.update(0, weight, mx.nd.array([1.0]), None)

    assert weight.asscalar() == pytest.approx(-0.01 * factor)


def test_lbsgd_lars_compares_norms():
    """The factor is the root of the ratio of squared norms, within limits."""
    arguments = {"warmup_strategy": "lars", "learning_rate": 0.1}

    assert one_update("lbsgd", [3.0, 4.0], [0.5, 0.0], **arguments)[0] == pytest.approx(3 - 0.1 * 10 * 0.5)
    assert one_update("lbsgd", [30.0], [1e-9], **arguments)[0] == pytest.approx(30 - 0.1 * 100 * 1e-9)


def test_nadam_runs_one_schedule_over_all_weights():
    """The first step of two weights that are alike differs, since the schedule moved on."""
    optimizer = mx.optimizer.create("nadam", learning_rate=0.1, epsilon=0.0)
    weights = [mx.nd.array([0.0]), mx.nd.array([0.0])]
    for index, weight in enumerate(weights):
        optimizer.update(index, weight, mx.nd.array([1.0]), optimizer.create_state(index, weight))

    first, second = (0.9 * (1 - 0.5 * 0.96 ** (t * 0.004)) for t in (1, 2))
    for weight, product in zip(weights, (first, first * first)):
        bar = (1 - first) / (1 - product) + second * 0.1 / (1 - product * second)
        assert weight.asscalar() == pytest.approx(-0.1 * bar, rel=1e-5)


def test_sgld_adds_noise_of_the_generator():
    """Deviation sqrt(lr) around the step of half the rate, the same after the same seed."""
    moved = []
    for _ in range(2):
        mx.random.seed(3)
        moved.append(one_update("sgld", np.zeros(20_000), np.ones(20_000), learning_rate=0.04))

    np.testing.assert_array_equal(*moved)
    assert moved[0].mean() == pytest.approx(-0.02, abs=0.01)
    assert moved[0].std() == pytest.approx(0.2, rel=0.03)


def test_the_test_optimizer_copies_the_weight():
    """It adds the rescaled gradient, and its state tells what it left."""
    optimizer = mx.optimizer.create("test", rescale_grad=0.5, clip_gradient=0.1)
    weight = mx.nd.array([1.0, 2.0])
    state = optimizer.create_state(0, weight)
    optimizer.update(0, weight, mx.nd.array([2.0, 4.0]), state)

    np.testing.assert_array_equal(weight.asnumpy(), [2.0, 4.0])
    np.testing.assert_array_equal(state.asnumpy(), [2.0, 4.0])


@pytest.mark.parametrize("name", ["ftrl", "ftml", "sgd", "adam"])
def test_a_rate_of_zero_changes_nothing(name):
    """Also where the rule divides by the rate."""
    np.testing.assert_array_equal(one_update(name, [1.0, -2.0], [1.0, 0.0], learning_rate=0.0), [1.0, -2.0])


def test_adamax_leaves_weights_without_gradients_alone():
    """Zero over zero is no step."""
    np.testing.assert_array_equal(one_update("adamax", [1.0], [0.0]), [1.0])


@pytest.mark.parametrize("clip", [None, 0, -1.0])
@pytest.mark.parametrize("name", ["sgd", "adagrad"])
def test_only_a_positive_limit_clips(name, clip):
    """All optimizers agree on what switches clipping off."""
    assert one_update(name, [0.0], [3.0], clip_gradient=clip) == one_update(name, [0.0], [3.0])


# --- rates, decays and counts ---


def test_only_weights_and_gammas_decay():
    """By name; an index without a name decays."""
    names = {0: "fc_weight", 1: "fc_bias", 2: "bn_gamma", 3: "bn_beta"}
    optimizer = mx.optimizer.create("sgd", wd=0.1, param_idx2name=names)

    assert [optimizer._get_wd(index) for index in (0, 1, 2, 3, 4)] == [0.1, 0, 0.1, 0, 0.1]


def test_multipliers_come_from_attributes_indices_names_and_parameters():
    """A parameter outranks an index, an index a name, and what is set outranks the variable's attribute."""

    class Net:
        def list_arguments(self):
            return ["a", "b"]

        def attr_dict(self):
            return {"a": {"__lr_mult__": "0.5", "__wd_mult__": "3"}, "c": {"__lr_mult__": "9"}}

    optimizer = mx.optimizer.create(
        "sgd", sym=Net(), param_idx2name={0: "a", 1: "b"}, wd=1.0, learning_rate=1.0
    )
    assert [optimizer._get_lr(0), optimizer._get_wd(0), optimizer._get_lr(1), optimizer._get_wd(1)] == [
        0.5,
        3,
        1,
        0,
    ]

    optimizer.set_lr_mult({"b": 7, 0: 2})
    optimizer.set_wd_mult({"a": 4})
    assert [optimizer._get_lr(0), optimizer._get_lr(1), optimizer._get_wd(0)] == [2, 7, 4]

    class Parameter:
        lr_mult, wd_mult = 11, 12

    optimizer.param_dict = {0: Parameter}
    assert [optimizer._get_lr(0), optimizer._get_wd(0)] == [11, 12]


def test_counts_are_kept_by_index_and_device():
    """num_update is the largest count; begin_num_update is where every index starts."""
    optimizer = mx.optimizer.create("sgd", begin_num_update=5)
    for index in (0, 0, 1):
        optimizer._update_count(index)
    optimizer._set_current_context(1)
    optimizer._update_count([0, 1])

    assert optimizer.num_update == 7
    assert optimizer._index_update_count == {0: 6, 1: 6}


def test_a_scheduler_gives_the_rate():
    """It is asked with the number of the update that is going on, and owns the rate."""
    scheduler = mx.lr_scheduler.FactorScheduler(2, factor=0.5, base_lr=1.0)
    optimizer = mx.optimizer.create("sgd", lr_scheduler=scheduler)
    weight, found = mx.nd.array([0.0]), []
    for _ in range(4):
        optimizer.update(0, weight, mx.nd.array([1.0]), None)
        found.append(optimizer.learning_rate)

    assert found == [1, 1, 0.5, 0.5]
    assert weight.asscalar() == pytest.approx(-3)
    with pytest.raises(UserWarning, match="scheduler"):
        optimizer.set_learning_rate(1)


def test_a_rate_beside_a_scheduler_becomes_its_base():
    """Adam always has a rate of its own, Ftrl leaves the scheduler's."""
    with pytest.warns(UserWarning, match=r"learning_rate 0\.001"):
        adam = mx.optimizer.create("adam", lr_scheduler=mx.lr_scheduler.FactorScheduler(9, base_lr=1.0))
    assert adam.learning_rate == 0.001

    ftrl = mx.optimizer.create("ftrl", lr_scheduler=mx.lr_scheduler.FactorScheduler(9, base_lr=1.0))
    assert ftrl.learning_rate == 1.0


def test_the_rate_can_be_set():
    """Where there is no scheduler."""
    optimizer = mx.optimizer.create("SGD")
    optimizer.set_learning_rate(0.3)

    assert optimizer.learning_rate == optimizer.lr == 0.3


# --- lists, precision, memory ---


@pytest.mark.parametrize("name", ["sgd", "lamb", "adam"])
def test_lists_are_updated_like_their_elements(name):
    """One call for many weights."""
    made = []
    for together in (False, True):
        optimizer = mx.optimizer.create(name)
        weights = [mx.nd.array(g) for g in gradients(2, (3,))]
        grads = [mx.nd.array(g) for g in gradients(3, (3,))]
        states = [optimizer.create_state(i, w) for i, w in enumerate(weights)]
        for _ in range(2):
            if together:
                optimizer.update(list(range(5)), weights, grads, states)
            else:
                for entry in zip(range(5), weights, grads, states):
                    optimizer.update(*entry)
        made.append(np.stack([w.asnumpy() for w in weights]))

    np.testing.assert_array_equal(*made)


@pytest.mark.parametrize(
    ("name", "own"), [("sgd", {"momentum": 0.9}), ("sgd", {}), ("adam", {}), ("nag", {})]
)
def test_half_weights_can_be_updated_in_single_precision(name, own):
    """A hundred steps too small for float16 add up in the float32 copy, and the weight follows it."""
    optimizer = mx.optimizer.create(name, multi_precision=True, learning_rate=1e-5, **own)
    weight = mx.nd.array([1.0], dtype=np.float16)
    updater = mx.optimizer.get_updater(optimizer)
    wide = mx.nd.array([1.0])
    single = mx.optimizer.get_updater(mx.optimizer.create(name, learning_rate=1e-5, **own))
    for _ in range(100):
        updater(0, mx.nd.array([1.0], dtype=np.float16), weight)
        single(0, mx.nd.array([1.0]), wide)

    assert weight.dtype == np.float16
    assert weight.asscalar() == np.float16(wide.asscalar())
    assert weight.asscalar() < 1


def test_half_weights_without_it_are_warned_about():
    """Once for each state that is made."""
    optimizer = mx.optimizer.create("sgd")
    with pytest.warns(UserWarning, match="multi_precision=True"):
        optimizer.create_state_multi_precision(0, mx.nd.array([1.0], dtype=np.float16))


def test_an_update_allocates_nothing():
    """After the first update, for every optimizer but SGLD, whose noise is new each time."""
    size = 50_000
    for name in sorted(
        mx.optimizer.Optimizer.opt_registry.keys() & set(RULES) | {"lars", "lbsgd", "lamb", "nadam"}
    ):
        optimizer = mx.optimizer.create(name, wd=0.1, clip_gradient=0.5)
        weight, grad = mx.nd.array(np.ones(size)), mx.nd.array(np.ones(size))
        state = optimizer.create_state(0, weight)
        optimizer.update(0, weight, grad, state)
        tracemalloc.start()
        optimizer.update(0, weight, grad, state)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < size, name


def test_an_optimizer_can_be_copied_and_pickled():
    """With its counts, without what belongs to its process."""
    optimizer = mx.optimizer.create("adam", wd=0.5, param_dict={0: object()})
    weight = mx.nd.array([1.0])
    optimizer.param_dict = {}
    optimizer.update(0, weight, mx.nd.array([1.0]), optimizer.create_state(0, weight))
    for other in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert (other.wd, other.num_update, other._index_update_count) == (0.5, 1, {0: 1})
        other.update(0, weight, mx.nd.array([1.0]), other.create_state(0, weight))


# --- one's own ---


def test_an_optimizer_of_ones_own_is_created_by_name():
    """It defines create_state and update, and an Updater hands its weights over one by one."""

    @mx.optimizer.register
    class Slow(mx.optimizer.Optimizer):
        def create_state(self, index, weight):
            return {"steps": mx.nd.zeros((1,))}

        def update(self, index, weight, grad, state):
            self._update_count(index)
            weight[:] = weight.asnumpy() - self._get_lr(index) * grad.asnumpy()
            state["steps"][:] = self._index_update_count[index]

    try:
        updater = mx.optimizer.get_updater(mx.optimizer.create("slow", learning_rate=0.5))
        weights = [mx.nd.array([1.0]), mx.nd.array([2.0])]
        updater([0, 1], [mx.nd.array([1.0]), mx.nd.array([1.0])], weights)
        assert [w.asscalar() for w in weights] == [0.5, 1.5]
        assert updater.states[1]["steps"].asscalar() == 1
        with pytest.warns(UserWarning, match="slow"):
            mx.optimizer.register(type("Slow", (Slow,), {}))
    finally:
        del mx.optimizer.Optimizer.opt_registry["slow"]


def test_the_base_has_no_rule():
    """It says what to define."""
    optimizer = mx.optimizer.Optimizer()
    with pytest.raises(NotImplementedError, match="update"):
        optimizer.update(0, mx.nd.array([1.0]), mx.nd.array([1.0]), None)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: mx.optimizer.create("adm"), ValueError, "did you mean adam"),
        (lambda: mx.optimizer.create("zzz"), ValueError, "legal: .*adam"),
        (lambda: mx.optimizer.create("sgd", speed=1), TypeError, "speed"),
        (lambda: mx.optimizer.create("sgd", param_idx2name=["a"]), mx.MXNetError, "must be a dict"),
        (lambda: mx.optimizer.create("signum", momentum=0, wd_lh=0.1), ValueError, "no momentum"),
        (lambda: mx.optimizer.register(3), mx.MXNetError, "no class"),
    ],
)
def test_wrong_arguments_are_told(call, error, words):
    """What is wrong, and what would be legal."""
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize(
    ("weight", "grad", "state", "words"),
    [
        (mx.nd.zeros((2,)), mx.nd.zeros((3,)), mx.nd.zeros((2,)), r"gradient of weight 7 .* \(3,\)"),
        (mx.nd.zeros((2,)), mx.nd.zeros((2,), dtype=np.float64), mx.nd.zeros((2,)), "float64"),
        (mx.nd.zeros((2,)), mx.nd.zeros((2,)), None, "state of weight 7 holds arrays of shape none"),
        (mx.nd.zeros((2,)), mx.nd.zeros((2,)), mx.nd.zeros((3,)), r"\(3,\).* needs 1"),
        (np.zeros(2), mx.nd.zeros((2,)), None, "weight is ndarray"),
        (mx.nd.zeros((2,)), [1, 2], None, "gradient is list"),
    ],
)
def test_arrays_that_do_not_fit_are_told(weight, grad, state, words):
    """With the index and the shapes; nothing is changed."""
    with pytest.raises(mx.MXNetError, match=words):
        mx.optimizer.create("sgd", momentum=0.9).update(7, weight, grad, state)


def test_lists_must_be_equally_long():
    """One state is missing here."""
    weights = [mx.nd.zeros((2,)), mx.nd.zeros((2,))]
    with pytest.raises(mx.MXNetError, match="2 indices"):
        mx.optimizer.create("sgd").update([0, 1], weights, weights, [None])

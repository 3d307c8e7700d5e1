"""References of netdef.ops.update and netdef.ops.adaptive."""

import numpy as np

from references import ELSEWHERE, exempt, reference, sample

UPDATES = [
    *("SGDUpdate", "SGDMomUpdate", "NAGMomUpdate", "SignSGDUpdate", "SignumUpdate", "AdamUpdate"),
    *("RMSPropUpdate", "RMSPropAlexUpdate", "FtrlUpdate", "FTMLUpdate", "LambUpdatePhase1"),
]
TWO_PRECISIONS = ["MPSGDUpdate", "MPSGDMomUpdate", "MPNAGMomUpdate"]

exempt(
    "every_element_is_written_and_inputs_are_not",
    "a step moves the states whether it trains or not",
    *(name for name in UPDATES + TWO_PRECISIONS if name not in ("SGDUpdate", "SignSGDUpdate")),
)
ELSEWHERE.update(dict.fromkeys(TWO_PRECISIONS, "tests/ops/test_update.py"))


def clipped(gradient, limit):
    return gradient if limit < 0 else np.minimum(np.maximum(gradient, -limit), limit)


def decayed(op, x):
    """The gradient, clipped, then with weight decay."""
    return clipped(op.rescale_grad * x["grad"], op.clip_gradient) + op.wd * x["weight"]


def decayed_clipped(op, x, limit=None):
    """The gradient with weight decay, then clipped."""
    gradient = op.rescale_grad * x["grad"] + op.wd * x["weight"]
    return clipped(gradient, op.clip_gradient if limit is None else limit)


def average(share, state, value):
    return share * state + (1 - share) * value


@reference("SGDUpdate")
def sgd(op, x, heads):
    return {"output": x["weight"] - op.lr * decayed(op, x)}


@reference("SGDMomUpdate")
def sgd_mom(op, x, heads):
    mom = op.momentum * x["mom"] - op.lr * decayed(op, x)
    return {"output": x["weight"] + mom, "mom": mom}


@reference("NAGMomUpdate")
def nag_mom(op, x, heads):
    mom = op.momentum * x["mom"] - op.lr * decayed(op, x)
    return {"output": x["weight"] + op.momentum * mom - op.lr * decayed(op, x), "mom": mom}


@reference("SignSGDUpdate")
def signsgd(op, x, heads):
    step = op.lr * np.sign(x["grad"])
    return {"output": x["weight"] - op.lr * op.wd * x["weight"] - step}


@reference("SignumUpdate")
def signum(op, x, heads):
    mom = average(op.momentum, x["mom"], -decayed(op, x))
    return {"output": (1 - op.lr * op.wd_lh) * x["weight"] + op.lr * np.sign(mom), "mom": mom}


@reference("AdamUpdate")
def adam(op, x, heads):
    g = decayed_clipped(op, x)
    mean, var = average(op.beta1, x["mean"], g), average(op.beta2, x["var"], g**2)
    return {"output": x["weight"] - op.lr * mean / (var**0.5 + op.epsilon), "mean": mean, "var": var}


@reference("RMSPropUpdate")
def rmsprop(op, x, heads):
    g = decayed_clipped(op, x)
    n = average(op.gamma1, x["n"], g**2)
    return {"output": clipped(x["weight"] - op.lr * g / (n + op.epsilon) ** 0.5, op.clip_weights), "n": n}


@sample("RMSPropAlexUpdate")
def mean_squares(op, shapes, random):
    """Larger than the squares of g, as moving averages are."""
    return {"n": random.uniform(9, 10, shapes.full("n")), "g": random.uniform(-2, 2, shapes.full("g"))}


@reference("RMSPropAlexUpdate")
def rmspropalex(op, x, heads):
    gradient = decayed_clipped(op, x)
    n, g = average(op.gamma1, x["n"], gradient**2), average(op.gamma1, x["g"], gradient)
    delta = op.gamma2 * x["delta"] - op.lr * gradient / (n - g**2 + op.epsilon) ** 0.5
    return {"output": clipped(x["weight"] + delta, op.clip_weights), "n": n, "g": g, "delta": delta}


@reference("FtrlUpdate")
def ftrl(op, x, heads):
    g = clipped(op.rescale_grad * x["grad"], op.clip_gradient)
    n = x["n"] + g**2
    z = x["z"] + g - (n**0.5 - x["n"] ** 0.5) * x["weight"] / op.lr
    output = (np.sign(z) * op.lamda1 - z) / ((op.beta + n**0.5) / op.lr + op.wd)
    return {"output": np.where(abs(z) > op.lamda1, output, 0), "z": z, "n": n}


@reference("FTMLUpdate")
def ftml(op, x, heads):
    g = decayed_clipped(op, x, op.clip_grad)
    v = average(op.beta2, x["v"], g**2)
    d = (1 - op.beta1**op.t) / op.lr * ((v / (1 - op.beta2**op.t)) ** 0.5 + op.epsilon)
    z = average(op.beta1, x["z"], g) - (d - op.beta1 * x["d"]) * x["weight"]
    return {"output": -z / d, "d": d, "v": v, "z": z}


@reference("LambUpdatePhase1")
def lamb_direction(op, x, heads):
    g = clipped(op.rescale_grad * x["grad"], op.clip_gradient)
    mean, var = average(op.beta1, x["mean"], g), average(op.beta2, x["var"], g**2)
    m, v = mean, var
    if op.bias_correction:
        m, v = mean / (1 - op.beta1**op.t), var / (1 - op.beta2**op.t)
    return {"output": m / (v**0.5 + op.epsilon) + op.wd * x["weight"], "mean": mean, "var": var}


@sample("LambUpdatePhase2")
def norms(op, shapes, random):
    return {"r1": random.uniform(0.1, 2, 1), "r2": random.uniform(0.5, 2, 1)}


@reference(
    "LambUpdatePhase2",
    more=[({"lr": 0.1, "upper_bound": 0}, {"weight": (3,)}), ({"lr": 1, "lower_bound": 5}, {"weight": (3,)})],
)
def lamb_step(op, x, heads):
    r1, r2 = x["r1"][0], x["r2"][0]
    r1 = max(r1, op.lower_bound) if op.lower_bound >= 0 else r1
    r1 = min(r1, op.upper_bound) if op.upper_bound >= 0 else r1
    return {"output": x["weight"] - op.lr * (r1 / r2 if r1 and r2 else 1) * x["g"]}

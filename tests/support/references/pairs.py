"""References of netdef.ops.binary, broadcast and scalar: functions of two numbers and their derivatives."""

import math

import numpy as np

from references import each, reference, sample

#: name -> value, derivative by a, derivative by b (None: no gradient passes)
FUNCTIONS = {
    "Plus": (lambda a, b: a + b, lambda a, b: 1, lambda a, b: 1),
    "Minus": (lambda a, b: a - b, lambda a, b: 1, lambda a, b: -1),
    "Mul": (lambda a, b: a * b, lambda a, b: b, lambda a, b: a),
    "Div": (lambda a, b: a / b, lambda a, b: 1 / b, lambda a, b: -a / b**2),
    "Mod": (lambda a, b: a - b * math.floor(a / b), lambda a, b: 1, lambda a, b: -math.floor(a / b)),
    "Power": (
        lambda a, b: math.exp(b * math.log(a)),
        lambda a, b: b * math.exp((b - 1) * math.log(a)),
        lambda a, b: math.log(a) * math.exp(b * math.log(a)),
    ),
    "Hypot": (
        lambda a, b: math.sqrt(a * a + b * b),
        lambda a, b: a / math.sqrt(a * a + b * b),
        lambda a, b: b / math.sqrt(a * a + b * b),
    ),
    "Maximum": (max, lambda a, b: float(a >= b), lambda a, b: float(b > a)),
    "Minimum": (min, lambda a, b: float(a <= b), lambda a, b: float(b < a)),
    "Equal": (lambda a, b: a == b, None, None),
    "NotEqual": (lambda a, b: a != b, None, None),
    "Greater": (lambda a, b: a > b, None, None),
    "GreaterEqual": (lambda a, b: a >= b, None, None),
    "Lesser": (lambda a, b: a < b, None, None),
    "LesserEqual": (lambda a, b: a <= b, None, None),
    "LogicalAnd": (lambda a, b: bool(a) and bool(b), None, None),
    "LogicalOr": (lambda a, b: bool(a) or bool(b), None, None),
    "LogicalXor": (lambda a, b: bool(a) != bool(b), None, None),
}
STEPS = [name for name, (_, slope, _) in FUNCTIONS.items() if slope is None]
#: MXNet's names of the broadcasting sum and difference are other ones
BROADCAST = {f"Broadcast{ {'Plus': 'Add', 'Minus': 'Sub'}.get(name, name) }": name for name in FUNCTIONS}
REVERSED = {f"R{name}Scalar": name for name in ("Minus", "Div", "Mod", "Power")}
PLAIN = {f"{name}Scalar": name for name in FUNCTIONS}
SCALAR = {**PLAIN, "ScatterPlusScalar": "Plus", "ScatterMinusScalar": "Minus"}
PAIRS = {**{name: name for name in FUNCTIONS}, "GradAdd": "Plus", "ScatterDiv": "Div"}


@sample("Power", "BroadcastPower", "PowerScalar", "RPowerScalar")
def positive(op, shapes, random):
    return {name: random.uniform(0.5, 2, shapes.full(name)) for name in op.input_names()}


@sample("RDivScalar", "RModScalar", "Div", "ScatterDiv", "BroadcastDiv", "Mod", "BroadcastMod")
def divisors(op, shapes, random):
    name = op.input_names()[-1]
    signs = random.choice([-1, 1], shapes.full(name))
    return {name: signs * random.uniform(0.5, 2, shapes.full(name))}


@sample(*STEPS, *(f"Broadcast{name}" for name in STEPS), *(f"{name}Scalar" for name in STEPS))
def few_numbers(op, shapes, random):
    return {name: random.integers(-1, 2, shapes.full(name)) for name in op.input_names()}


@reference(*PAIRS)
def binary(op, x, heads):
    value, *slopes = FUNCTIONS[PAIRS[type(op).__name__]]
    pair = x["lhs"], x["rhs"]
    result = {"output": each(value, *pair)}
    if slopes[0]:
        for name, slope in zip(("dlhs", "drhs"), slopes):
            result[name] = each(slope, *pair) * heads["doutput"]
    return result


@reference(*BROADCAST, more=[({}, {"lhs": (), "rhs": (3, 2)}), ({}, {"lhs": (4, 3), "rhs": (1,)})])
def broadcast(op, x, heads):
    value, *slopes = FUNCTIONS[BROADCAST[type(op).__name__]]
    shape = np.broadcast_shapes(x["lhs"].shape, x["rhs"].shape)
    result = {"output": np.empty(shape)}
    if slopes[0]:
        result |= {f"d{name}": np.zeros(x[name].shape) for name in ("lhs", "rhs")}
    for place in np.ndindex(*shape):
        places = {}
        for name in ("lhs", "rhs"):
            sizes = x[name].shape
            last = place[len(place) - len(sizes) :]
            places[name] = tuple(0 if size == 1 else i for i, size in zip(last, sizes))
        a, b = (float(x[name][places[name]]) for name in ("lhs", "rhs"))
        result["output"][place] = value(a, b)
        for name, slope in zip(("lhs", "rhs"), slopes):
            if slope:
                result[f"d{name}"][places[name]] += slope(a, b) * heads["doutput"][place]
    return result


@reference(*SCALAR, *REVERSED, more=[({"scalar": 1}, {"data": (5,)})])
def scalar(op, x, heads):
    name = type(op).__name__
    value, left, right = FUNCTIONS[REVERSED.get(name) or SCALAR[name]]
    if name in REVERSED:
        result = {"output": each(lambda v: value(op.scalar, v), x["data"])}
        slope = right and (lambda v: right(op.scalar, v))
    else:
        result = {"output": each(lambda v: value(v, op.scalar), x["data"])}
        slope = left and (lambda v: left(v, op.scalar))
    if slope:
        result["ddata"] = each(slope, x["data"]) * heads["doutput"]
    return result

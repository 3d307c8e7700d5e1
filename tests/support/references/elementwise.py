"""References of netdef.ops.elementwise."""

import math

from references import each, mapped, reference

SCALAR = {
    "PlusScalar": (lambda x, s: x + s, lambda x, s: 1),
    "MinusScalar": (lambda x, s: x - s, lambda x, s: 1),
    "RMinusScalar": (lambda x, s: s - x, lambda x, s: -1),
    "MulScalar": (lambda x, s: x * s, lambda x, s: s),
    "DivScalar": (lambda x, s: x / s, lambda x, s: 1 / s),
    "RDivScalar": (lambda x, s: s / x, lambda x, s: -s / x**2),
}

BINARY = {
    "Plus": (lambda a, b: a + b, lambda a, b: 1, lambda a, b: 1),
    "Minus": (lambda a, b: a - b, lambda a, b: 1, lambda a, b: -1),
    "Mul": (lambda a, b: a * b, lambda a, b: b, lambda a, b: a),
    "Div": (lambda a, b: a / b, lambda a, b: 1 / b, lambda a, b: -a / b**2),
    "Maximum": (max, lambda a, b: float(a >= b), lambda a, b: float(b > a)),
    "Minimum": (min, lambda a, b: float(a <= b), lambda a, b: float(b < a)),
}


@reference(*SCALAR)
def scalar(op, x, heads):
    value, slope = SCALAR[type(op).__name__]
    return mapped(lambda v: value(v, op.scalar), lambda v: slope(v, op.scalar), x, heads)


@reference(*BINARY)
def binary(op, x, heads):
    value, left, right = BINARY[type(op).__name__]
    pair = x["lhs"], x["rhs"]
    return {
        "output": each(value, *pair),
        "dlhs": each(left, *pair) * heads["doutput"],
        "drhs": each(right, *pair) * heads["doutput"],
    }


@reference("ElementWiseSum")
def elementwise_sum(op, x, heads):
    weights = op.coeff or [1] * op.num_args
    names = [f"arg{i}" for i in range(op.num_args)]
    parts = [each(lambda v, w=w: w * v, x[name]) for name, w in zip(names, weights)]
    return {
        "output": each(lambda *values: math.fsum(values), *parts),
        **{f"d{name}": w * heads["doutput"] for name, w in zip(names, weights)},
    }


@reference("Copy")
def copy(op, x, heads):
    return {"output": x["data"], "ddata": heads["doutput"]}


@reference("BlockGrad")
def block_grad(op, x, heads):
    return {"output": x["data"]}

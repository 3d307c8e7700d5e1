"""References of netdef.ops.contrib."""

import math

import numpy as np

from references import exempt, mapped, reference, sample

for _operator, _why in (("IndexArray", "indices are int64"), ("AllClose", "a fact is uint8")):
    exempt("the_outputs_have_the_dtype_of_the_data", _why, _operator)


@reference("Quadratic")
def quadratic(op, x, heads):
    return mapped(lambda v: op.a * v**2 + op.b * v + op.c, lambda v: 2 * op.a * v + op.b, x, heads)


@reference("DivSqrtDim")
def div_sqrt_dim(op, x, heads):
    root = math.sqrt(x["data"].shape[-1])
    return {"output": x["data"] / root, "ddata": heads["doutput"] / root}


exempt("gradients_are_derivatives", "its gradient is scaled on purpose", "GradientMultiplier")


@reference("GradientMultiplier")
def gradient_multiplier(op, x, heads):
    return {"output": x["data"], "ddata": op.scalar * heads["doutput"]}


@reference("ArangeLike")
def arange_like(op, x, heads):
    shape = x["data"].shape if op.axis is None else (x["data"].shape[op.axis],)
    numbers = [op.start + op.step * (i // op.repeat) for i in range(math.prod(shape))]
    return {"output": np.array(numbers).reshape(shape)}


@reference("IndexArray")
def index_array(op, x, heads):
    shape = x["data"].shape
    axes = range(len(shape)) if op.axes is None else op.axes
    output = np.empty((*shape, len(axes)))
    for place in np.ndindex(shape):
        output[place] = [place[axis] for axis in axes]
    return {"output": output}


@sample("AllClose")
def nearly_equal(op, shapes, random):
    a = random.standard_normal(shapes.full("a"))
    return {"a": a, "b": a * (1 + random.uniform(-1e-5, 1e-5, a.shape) * random.integers(0, 2))}


@reference("AllClose")
def all_close(op, x, heads):
    near = [
        p == q or abs(p - q) <= op.atol + op.rtol * abs(q) or (op.equal_nan and p != p and q != q)
        for p, q in zip(x["a"].flat, x["b"].flat)
    ]
    return {"output": float(all(near))}

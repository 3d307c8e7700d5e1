"""References of netdef.ops.elementwise."""

import math

import numpy as np

from references import each, exempt, mapped, reference

exempt(
    "the_outputs_have_the_dtype_of_the_data",
    "it is there to change it, and a test of its own says how",
    "Cast",
)
exempt("gradients_are_derivatives", "a cast to whole numbers is a step, whatever its gradient says", "Cast")
exempt("gradients_are_derivatives", "its gradient is 1 whatever arrives", "MakeLossOfEach")


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


@reference("MakeLossOfEach")
def make_loss(op, x, heads):
    return {"loss": x["data"], "ddata": np.ones(x["data"].shape)}


@reference("IdentityWithAttrLikeRhs")
def identity_with_attr_like_rhs(op, x, heads):
    return {"output": x["lhs"], "dlhs": heads["doutput"]}


@reference("ZerosLike", "OnesLike")
def constant(op, x, heads):
    return {"output": np.full(x["data"].shape, float(type(op).__name__ == "OnesLike"))}


@reference("Cast")
def cast(op, x, heads):
    whole = op.dtype.startswith(("int", "uint"))
    return {"output": each(math.trunc if whole else float, x["data"]), "ddata": heads["doutput"]}


@reference("Clip", more=[({"a_min": "-inf", "a_max": 0}, {"data": (3,)})])
def clip(op, x, heads):
    return mapped(lambda v: min(max(v, op.a_min), op.a_max), lambda v: op.a_min <= v <= op.a_max, x, heads)

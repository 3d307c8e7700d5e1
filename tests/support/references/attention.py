"""References of netdef.ops.attention and netdef.ops.interleaved."""

import math

import numpy as np

from references import exempt, reference, sample
from references.rnn import by_complex_steps

exempt("gradients_are_derivatives", "-inf has no differences; a test of its own", "MaskedLogSoftmax")


@sample("MaskedSoftmax", "MaskedLogSoftmax")
def masks(op, shapes, random):
    """Any number that is not 0 lets an element in; everything is left out of the first distribution."""
    mask = random.choice([0, 0, 1, -2.5], shapes.full("mask"))
    mask[(0,) * (mask.ndim - 1)] = 0
    return {"mask": mask}


def masked(op, x, logarithm):
    """One distribution after the other."""
    data = np.moveaxis(x["data"] / op.temperature, op.axis, -1)
    mask = np.moveaxis(np.broadcast_to(x["mask"], x["data"].shape[1:]), op.axis, -1)
    output = np.full(data.shape, -math.inf if logarithm else 0, complex)
    for place in np.ndindex(mask.shape[:-1]):
        kept = [k for k in range(mask.shape[-1]) if mask[(*place, k)] != 0]
        total = sum((np.exp(data[(slice(None), *place, k)]) for k in kept), start=0)
        for k in kept:
            here = (slice(None), *place, k)
            output[here] = data[here] - np.log(total) if logarithm else np.exp(data[here]) / total
    return {"output": np.moveaxis(output, -1, op.axis)}


def masked_axis(op, x, heads, logarithm):
    """The axis counts without that of the variants, which a negative one leaves alone."""
    rank = x["data"].ndim
    op = type(op)(axis=op.axis % rank - rank, temperature=op.temperature)
    return by_complex_steps(lambda op, x: masked(op, x, logarithm), op, x, heads, constant=("mask",))


MASKED = [
    ({}, {"data": (3,), "mask": (1,)}),
    ({"axis": 0}, {"data": (3, 2), "mask": (3, 1)}),
    ({"axis": 1, "temperature": 0.5}, {"data": (2, 1, 3, 4), "mask": (4,)}),
]


@reference("MaskedSoftmax", more=MASKED)
def masked_softmax(op, x, heads):
    return masked_axis(op, x, heads, logarithm=False)


@reference("MaskedLogSoftmax", more=MASKED)
def masked_log_softmax(op, x, heads):
    return masked_axis(op, x, heads, logarithm=True)


@sample("MultiHeadAttention")
def lengths(op, shapes, random):
    """Samples with any number of keys, none among them."""
    if not op.use_length:
        return {}
    batch, keys, _ = shapes.full("key")
    return {"valid_length": [n % (keys + 1) for n in range(batch)]}


def attend(query, keys, values, scale):
    """One query (variants, d) on lists of keys and values."""
    weights = [np.exp(scale * (query * key).sum(axis=1)) for key in keys]
    return sum(w[:, None] * value for w, value in zip(weights, values)) / sum(weights)[:, None]


def heads_one_by_one(op, x):
    query, key, value = x["query"], x["key"], x["value"]
    output = np.zeros(query.shape, complex)
    width = query.shape[3] // op.num_heads
    scale = op.scale or 1 / math.sqrt(width)
    for n, h, t in np.ndindex(query.shape[1], op.num_heads, query.shape[2]):
        part = slice(h * width, (h + 1) * width)
        seen = range(key.shape[2])
        if op.causal:
            seen = [s for s in seen if s <= t]
        if op.use_length:
            seen = [s for s in seen if s < x["valid_length"][n]]
        if len(seen) and op.p < 1:
            keys, values = [key[:, n, s, part] for s in seen], [value[:, n, s, part] for s in seen]
            output[:, n, t, part] = attend(query[:, n, t, part], keys, values, scale)
    return {"output": output}


@reference(
    "MultiHeadAttention",
    more=[
        ({"num_heads": 3, "scale": -2.0}, {"query": (1, 1, 3), "key": (1, 1, 3)}),
        ({"num_heads": 1, "causal": True}, {"query": (2, 4, 2), "key": (2, 2, 2)}),
        ({"num_heads": 2, "use_length": True}, {"query": (3, 1, 2), "key": (3, 2, 2)}),
    ],
)
def multi_head_attention(op, x, heads):
    return by_complex_steps(heads_one_by_one, op, x, heads, constant=("valid_length",))


def interleaved(array, heads, parts, part):
    """One part of projections as (batch * heads, steps, d), number by number."""
    steps, batch, width = array.shape
    size = width // (heads * parts)
    out = np.empty((batch * heads, steps, size))
    for b, h, t, d in np.ndindex(batch, heads, steps, size):
        out[b * heads + h, t, d] = array[t, b, (h * parts + part) * size + d]
    return out


def put_back(values, heads, parts, part, shape):
    """The other way; the other parts are 0."""
    array = np.zeros(shape)
    size = values.shape[2]
    for m, t, d in np.ndindex(values.shape):
        array[t, m // heads, (m % heads * parts + part) * size + d] = values[m, t, d]
    return array


@reference("SelfAttentionScores", "CrossAttentionScores")
def scores(op, x, heads):
    (q_name, q_parts), (k_name, k_parts) = next(iter(op.parts.items())), list(op.parts.items())[-1]
    together = q_name == k_name
    q = interleaved(x[q_name], op.heads, q_parts, 0)
    k = interleaved(x[k_name], op.heads, k_parts, 1 if together else 0)
    scale = 1 / math.sqrt(q.shape[2])
    dq = np.einsum("mts,msd->mtd", heads["doutput"], k) * scale
    dk = np.einsum("mts,mtd->msd", heads["doutput"], q) * scale
    dq = put_back(dq, op.heads, q_parts, 0, x[q_name].shape)
    dk = put_back(dk, op.heads, k_parts, 1 if together else 0, x[k_name].shape)
    gradients = {f"d{q_name}": dq + dk} if together else {f"d{q_name}": dq, f"d{k_name}": dk}
    return {"output": np.einsum("mtd,msd->mts", q, k) * scale, **gradients}


@reference("SelfAttentionValues", "CrossAttentionValues")
def mixtures(op, x, heads):
    (name, parts), *_ = op.parts.items()
    values = interleaved(x[name], op.heads, parts, parts - 1)
    output = np.einsum("mts,msd->mtd", x["attention"], values)
    arriving = interleaved(heads["doutput"], op.heads, 1, 0)
    dvalues = np.einsum("mts,mtd->msd", x["attention"], arriving)
    return {
        "output": put_back(output, op.heads, 1, 0, heads["doutput"].shape),
        f"d{name}": put_back(dvalues, op.heads, parts, parts - 1, x[name].shape),
        "dattention": np.einsum("mtd,msd->mts", arriving, values),
    }

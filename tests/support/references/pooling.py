"""References of netdef.ops.pooling and pooling_v1: one window after the other."""

import math

import numpy as np

from references import reference
from references.windows import numbers, turned


def each_window(op, data):
    """The place in the output of each window, and for each axis where it starts and how many it spans."""
    sizes = data.shape[2:]
    rank = len(sizes)
    if op.global_pool:
        kernel, stride, pad = sizes, (1,) * rank, (0,) * rank
    else:
        kernel, stride, pad = (numbers(getattr(op, n), rank, n != "pad") for n in ("kernel", "stride", "pad"))
    counts = []
    for n, k, s, p in zip(sizes, kernel, stride, pad):
        room = (n + 2 * p - k) / s
        count = (math.floor if op.pooling_convention == "valid" else math.ceil)(room) + 1
        if op.pooling_convention == "same":
            count = math.ceil((n + 2 * p) / s)
        if op.pooling_convention == "clip" and p and (count - 1) * s >= n + p:
            count -= 1
        counts.append(count)
    for place in np.ndindex(*data.shape[:2], *counts):
        starts = [o * s - p for o, s, p in zip(place[2:], stride, pad)]
        # what reaches beyond the padded input is no part of a window
        yield place, [range(a, min(a + k, n + p)) for a, k, n, p in zip(starts, kernel, sizes, pad)]


def elements(image, spans):
    """The elements of a window of one map, in order: place (None in the padding) and value."""
    for offset in np.ndindex(*map(len, spans)):
        place = tuple(span[o] for span, o in zip(spans, offset))
        inside = all(0 <= p < n for p, n in zip(place, image.shape))
        yield (place, image[place]) if inside else (None, 0.0)


def lowest(values):
    return max(values, default=np.finfo("float64").min)


def pool(op, values, padding):
    """The number of a window and its slope at each element of data: Pooling's rules."""
    if op.pool_type == "max":
        best = lowest(values)
        return best, [float(i == values.index(best)) for i in range(len(values))]
    if op.pool_type == "lp":
        total = sum(v**op.p_value for v in values)
        root = math.copysign(abs(total) ** (1 / op.p_value), total)
        return root, [(v / root) ** (op.p_value - 1) if root else 0.0 for v in values]
    divisor = 1
    if op.pool_type == "avg":
        divisor = max(1, len(values) + (padding if op.count_include_pad else 0))
    return sum(values) / divisor, [1 / divisor] * len(values)


def pool_v1(op, values, padding, volume):
    """As `pool`, by the rules of Pooling_v1."""
    if op.pool_type == "max":
        best = max([*values, *([0.0] if padding else [])], default=-math.inf)
        return best, [float(v == best) for v in values]
    divisor = volume if op.pool_type == "avg" else 1
    return sum(values) / divisor, [1 / divisor] * len(values)


def pooled(op, x, heads, rule):
    data, upper = (turned(op, v) for v in (x["data"], heads["doutput"]))
    output, ddata = np.full(upper.shape, np.nan), np.zeros(data.shape)
    for place, spans in each_window(op, data):
        window = list(elements(data[place[:2]], spans))
        inside = [(where, value) for where, value in window if where is not None]
        values = [float(value) for _, value in inside]
        output[place], slopes = rule(values, len(window) - len(inside), data.shape[2:])
        for (where, _), slope in zip(inside, slopes):
            ddata[place[:2]][where] += slope * upper[place]
    return {"output": turned(op, output, back=True), "ddata": turned(op, ddata, back=True)}


@reference(
    "Pooling",
    more=(
        *(
            (
                {"kernel": k, "stride": s, "pad": p, "pool_type": "lp", "p_value": power, "layout": layout},
                {"data": data},
            )
            for power in (1, 2, 3)
            for k, s, p, layout, data in (
                ((3,), (2,), (1,), "NCW", (2, 2, 6)),
                ((2, 3), (2, 1), (0, 1), None, (2, 1, 4, 5)),
                ((2, 2), (2, 2), (1, 1), "NHWC", (2, 4, 3, 2)),
                ((2, 1, 2), (), (), "NCDHW", (1, 2, 3, 2, 3)),
            )
        ),
        ({"global_pool": True, "pool_type": "lp", "p_value": 3, "pad": (9, 9)}, {"data": (2, 1, 3, 2)}),
        (
            {
                "kernel": 2,
                "stride": 3,
                "pad": 1,
                "pool_type": "lp",
                "p_value": 2,
                "pooling_convention": "full",
            },
            {"data": (1, 1, 4, 4)},
        ),
        (
            {"kernel": (2, 2), "stride": 2, "layout": "NHWC", "pooling_convention": "full"},
            {"data": (1, 3, 3, 2)},
        ),
        (
            {"kernel": 2, "layout": "NDHWC", "pool_type": "avg", "pad": 1, "count_include_pad": False},
            {"data": (1, 2, 3, 2, 2)},
        ),
        ({"kernel": 2, "layout": "NWC", "pool_type": "sum"}, {"data": (1, 3, 2)}),
        ({"global_pool": True, "layout": "NWC"}, {"data": (2, 3, 2)}),
    ),
)
def pooling(op, x, heads):
    return pooled(op, x, heads, lambda values, padding, sizes: pool(op, values, padding))


@reference(
    "PoolingV1",
    more=(
        ({"kernel": (1, 1), "stride": 2, "pooling_convention": "full"}, {"data": (1, 1, 4, 4)}),
        ({"kernel": 3, "pad": 3, "pool_type": "max"}, {"data": (1, 2, 4)}),
        ({"kernel": 3, "pad": 3, "pool_type": "avg", "stride": 2}, {"data": (1, 2, 4)}),
        ({"kernel": (2, 1, 2), "stride": 2}, {"data": (1, 2, 4, 2, 3)}),
    ),
)
def pooling_v1(op, x, heads):
    def rule(values, padding, sizes):
        volume = math.prod(sizes if op.global_pool else numbers(op.kernel, len(sizes), 1))
        return pool_v1(op, values, padding, volume)

    return pooled(op, x, heads, rule)

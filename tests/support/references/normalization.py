"""References of netdef.ops.normalization."""

import math

import numpy as np

from references import exempt, lines, reference

exempt(
    "the_outputs_have_the_dtype_of_the_data",
    "statistics are float32 where data is float16, as in MXNet",
    "BatchNorm",
    "BatchNormV1",
)


@reference("BatchNormV1", "SyncBatchNorm", more=[({"use_global_stats": True}, {"data": (4, 3)})])
def batch_norm_of_old(op, x, heads):
    result = batch_norm(op, x, heads)
    return {**result, "var": result["var"] ** -2 - op.eps}


@reference(
    "BatchNorm",
    more=[
        ({"statistics": "sum", "fix_gamma": False}, {"data": (1, 3)}),
        ({"momentum": 1.0}, {"data": (4, 3)}),
        ({"axis": 0}, {"data": (3, 5)}),
    ],
)
def batch_norm(op, x, heads):
    data, head = lines(x["data"], op.axis), lines(heads["doutput"], op.axis)
    channels, sums = data.shape[1], op.statistics == "sum"
    result = {name: np.zeros(channels) for name in ("mean", "var", "dgamma", "dbeta")}
    result |= {name: x[name].copy() for name in op.state_names()}
    output, gradient = np.empty(data.shape), np.zeros(data.shape)
    for c in range(channels):
        values, heads_c = list(data[:, c].flat), list(head[:, c].flat)
        n = len(values)
        own = not op.use_global_stats
        if own:
            mean = math.fsum(values) / n
            variance = math.fsum((v - mean) ** 2 for v in values) / n
            if sums:
                result["moving_mean"][c] = x["moving_mean"][c] * op.momentum + mean
                unbiased = variance * n / (n - 1) if n > 1 else variance
                result["moving_var"][c] = x["moving_var"][c] * op.momentum + unbiased
            else:
                result["moving_mean"][c] = x["moving_mean"][c] * op.momentum + mean * (1 - op.momentum)
                result["moving_var"][c] = x["moving_var"][c] * op.momentum + variance * (1 - op.momentum)
        else:
            weight = x["moving_factor"][0] if sums else 1
            mean, variance = x["moving_mean"][c] / weight, x["moving_var"][c] / weight
        gamma = x["gamma"][c] if op.affine and not op.fix_gamma else 1
        beta = x["beta"][c] if op.affine else 0
        s = math.sqrt(variance + op.eps)
        output[:, c] = (data[:, c] - mean) / s * gamma + beta
        result["mean"][c], result["var"][c] = mean, 1 / s
        result["dbeta"][c] = math.fsum(heads_c)
        if not op.fix_gamma:
            result["dgamma"][c] = math.fsum(h * (v - mean) / s for h, v in zip(heads_c, values))
        jacobian = np.empty((n, n))
        for i, j in np.ndindex(n, n):
            through = (1 / n + (values[i] - mean) * (values[j] - mean) / (n * s**2)) if own else 0
            jacobian[i, j] = gamma / s * ((i == j) - through)
        gradient[:, c] = (np.array(heads_c) @ jacobian).reshape(gradient[:, c].shape)
    if sums and not op.use_global_stats:
        result["moving_factor"] = x["moving_factor"] * op.momentum + 1
    if not op.affine:
        del result["dgamma"], result["dbeta"]
    return {**result, "output": output.reshape(x["data"].shape), "ddata": gradient.reshape(x["data"].shape)}


@reference("Scale")
def scale(op, x, heads):
    data, factor, head = x["data"], x["scale"], heads["doutput"]
    first = op.axis % data.ndim if factor.ndim else 0
    output, d_data = np.empty(data.shape), np.empty(data.shape)
    d_scale, d_bias = np.zeros(factor.shape), np.zeros(factor.shape)
    for place in np.ndindex(data.shape):
        where = place[first : first + factor.ndim]
        output[place] = data[place] * factor[where] + (x["bias"][where] if op.bias_term else 0)
        d_data[place] = head[place] * factor[where]
        d_scale[where] += head[place] * data[place]
        d_bias[where] += head[place]
    bias = {"dbias": d_bias} if op.bias_term else {}
    return {"output": output, "ddata": d_data, "dscale": d_scale, **bias}

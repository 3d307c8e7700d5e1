"""Reference of netdef.ops.upsampling."""

import numpy as np

from references import reference


@reference(
    "UpSampling",
    more=(
        ({"scale": 1, "sample_type": "nearest"}, {"arg0": (1, 2, 2, 2)}),
        ({"scale": 4, "sample_type": "nearest"}, {"arg0": (2, 1, 1, 2)}),
        (
            {"scale": 2, "sample_type": "nearest", "num_args": 2},
            {"arg0": (1, 2, 4, 6), "arg1": (1, 1, 2, 3)},
        ),
        *(
            (
                {"scale": scale, "sample_type": "bilinear", "num_filter": 2, "num_args": 2},
                {"data": (2, 2, 2, 3)},
            )
            for scale in (1, 2, 3, 4, 5)
        ),
    ),
)
def up_sampling(op, x, heads):
    upper = heads["doutput"]
    output = np.zeros(upper.shape)
    if op.sample_type == "nearest":
        found, start = {}, 0
        for name in op.input_names():
            data = x[name]
            found[f"d{name}"] = np.zeros(data.shape)
            factor = upper.shape[2] // data.shape[2]
            for n, c, i, j in np.ndindex(data.shape[0], data.shape[1], *upper.shape[2:]):
                above = (n, c + start, i, j)
                output[above] += data[n, c, i // factor, j // factor]
                found[f"d{name}"][n, c, i // factor, j // factor] += upper[above]
            start += data.shape[1] if op.multi_input_mode == "concat" else 0
        return {"output": output, **found}
    data, weight = x["data"], x["weight"]
    found = {"ddata": np.zeros(data.shape), "dweight": np.zeros(weight.shape)}
    cut = -(-(op.scale - 1) // 2)
    assert weight.shape[2] == 2 * op.scale - op.scale % 2
    for n, c, i, j in np.ndindex(*data.shape):
        for a, b in np.ndindex(*weight.shape[2:]):
            y, z = i * op.scale + a - cut, j * op.scale + b - cut
            if 0 <= y < output.shape[2] and 0 <= z < output.shape[3]:
                output[n, c, y, z] += data[n, c, i, j] * weight[c, 0, a, b]
                found["ddata"][n, c, i, j] += upper[n, c, y, z] * weight[c, 0, a, b]
                found["dweight"][c, 0, a, b] += upper[n, c, y, z] * data[n, c, i, j]
    return {"output": output, **found}

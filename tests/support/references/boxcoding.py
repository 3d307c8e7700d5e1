"""References of netdef.ops.boxcoding, box by box."""

import math

import numpy as np

from references import reference, sample
from references.detection import boxes
from references.multibox import centred


@sample("BoxEncode")
def matched(op, shapes, random):
    batch, most, _ = shapes.full("refs")
    return {
        "samples": random.choice([-1, 0, 0.5, 1], shapes.full("samples")),
        "matches": random.integers(0, most, shapes.full("samples")),
        "anchors": boxes(random, *shapes.full("anchors")[:-1]),
        "refs": boxes(random, batch, most),
        "stds": random.uniform(0.1, 1, 4),
    }


@reference("BoxEncode")
def encode(op, x, heads):
    target, mask = np.zeros((2, *x["anchors"].shape))
    for n, j in np.ndindex(x["samples"].shape):
        if x["samples"][n, j] <= 0.5:
            continue
        ax, ay, aw, ah = centred(x["anchors"][n, j])
        gx, gy, gw, gh = centred(x["refs"][n, int(x["matches"][n, j])])
        offset = [(gx - ax) / aw, (gy - ay) / ah, math.log(gw / aw), math.log(gh / ah)]
        target[n, j] = (offset - x["means"]) / x["stds"]
        mask[n, j] = 1
    return {"output0": target, "output1": mask}


@reference("BoxDecode")
def decode(op, x, heads):
    output = np.empty(x["data"].shape)
    for n, j in np.ndindex(output.shape[:2]):
        anchor = x["anchors"][0, j]
        ax, ay, aw, ah = centred(anchor) if op.format == "corner" else anchor
        dx, dy, dw, dh = x["data"][n, j] * [op.std0, op.std1, op.std2, op.std3]
        most = op.clip if op.clip > 0 else math.inf
        cx, cy = dx * aw + ax, dy * ah + ay
        w, h = math.exp(min(dw, most)) * aw / 2, math.exp(min(dh, most)) * ah / 2
        output[n, j] = cx - w, cy - h, cx + w, cy + h
    return {"output": output}

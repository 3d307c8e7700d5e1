"""References of netdef.ops.proposal."""

import math

import numpy as np

from references import exempt, reference, sample
from references.detection import iou, survivors

OPERATORS = "Proposal", "MultiProposal"

for _test in ("work_grows_with_the_batch", "kernels_allocate_nothing"):
    exempt(_test, "it takes one image; MultiProposal is the same for several", "Proposal")


@sample(*OPERATORS)
def network(op, shapes, random):
    samples, _, height, width = shapes.full("cls_prob")
    sizes = np.array([height, width, 1.0]) * [op.feature_stride, op.feature_stride, 1]
    return {
        "cls_prob": random.uniform(0, 1, shapes.full("cls_prob")),
        "bbox_pred": random.normal(0, 0.2, shapes.full("bbox_pred")) * (9 if op.iou_loss else 1),
        "im_info": [sizes - [5 * number, 0, 0.4 * number] for number in range(samples)],
    }


@reference(
    *OPERATORS,
    more=[
        (
            {"scales": (1, 2), "ratios": (0.5, 2), "rpn_pre_nms_top_n": 0, "threshold": 0.3},
            {"cls_prob": (1, 8, 2, 3)},
        )
    ],
)
def proposal(op, x, heads):
    samples, _, height, width = x["cls_prob"].shape
    stride, most = op.feature_stride, op.rpn_post_nms_top_n
    kinds, rows, scores = [], [], []
    for ratio in op.ratios:
        side = math.floor(math.sqrt(math.floor(stride**2 / ratio)) + 0.5)
        kinds += [(side * scale, math.floor(side * ratio + 0.5) * scale) for scale in op.scales]
    for n in range(samples):
        tall, wide, scale = x["im_info"][n]
        found = []
        for i, j in np.ndindex(height, width):
            for a, (w, h) in enumerate(kinds):
                cx, cy = (stride - 1) / 2 + j * stride, (stride - 1) / 2 + i * stride
                dx, dy, dw, dh = x["bbox_pred"][n, 4 * a : 4 * a + 4, i, j]
                if op.iou_loss:
                    box = [cx - (w - 1) / 2 + dx, cy - (h - 1) / 2 + dy]
                    box += [cx + (w - 1) / 2 + dw, cy + (h - 1) / 2 + dh]
                else:
                    cx, cy, w, h = cx + dx * w, cy + dy * h, w * math.exp(dw), h * math.exp(dh)
                    box = [cx - (w - 1) / 2, cy - (h - 1) / 2, cx + (w - 1) / 2, cy + (h - 1) / 2]
                box = [min(max(v, 0), end - 1) for v, end in zip(box, (wide, tall, wide, tall))]
                score = x["cls_prob"][n, len(kinds) + a, i, j]
                least = op.rpn_min_size * scale
                if i >= int(tall / stride) or j >= int(wide / stride):
                    score = -1
                if box[2] - box[0] + 1 < least or box[3] - box[1] + 1 < least:
                    box = [v + sign * least / 2 for v, sign in zip(box, (-1, -1, 1, 1))]
                    score = -1
                found.append((score, box))
        found.sort(key=lambda item: -item[0])
        found = found[: op.rpn_pre_nms_top_n] if op.rpn_pre_nms_top_n > 0 else found
        left = survivors(found, lambda one, other: iou(one[1], other[1], 1) > op.threshold)
        kept = [item for item in left if item is not None][:most]
        for number in range(most):
            score, box = kept[number % len(kept)]
            rows.append([n, *box])
            scores.append([score])
    return (
        {"output": np.array(rows), "score": np.array(scores)}
        if op.output_score
        else {"output": np.array(rows)}
    )

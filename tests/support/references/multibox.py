"""References of netdef.ops.multibox."""

import math

import numpy as np

from references import distribution, exempt, reference, sample
from references.detection import boxes, iou, survivors

exempt("work_grows_with_the_batch", "the boxes are those of every image", "MultiBoxPrior")
exempt("work_grows_with_the_batch", "the anchors are those of every image, without a batch", "MultiBoxTarget")
exempt(
    "gradients_are_derivatives",
    "gradients go back to where a box came from, also where its format changes",
    "BoxNMS",
)


@reference(
    "MultiBoxPrior",
    more=[
        ({"sizes": (0.5, 0.7), "ratios": (4, 1)}, {"data": (1, 1, 3, 2)}),
        ({"sizes": (1,), "ratios": (1, 2)}, {"data": (1, 1, 2, 2)}),
    ],
)
def prior(op, x, heads):
    height, width = x["data"].shape[2:]
    kinds = [(size, op.ratios[0]) for size in op.sizes]
    kinds += [(op.sizes[0], ratio) for ratio in op.ratios[1:]]
    rows = []
    for i, j in np.ndindex(height, width):
        y = (i + op.offsets[0]) * (op.steps[0] if op.steps[0] > 0 else 1 / height)
        x_ = (j + op.offsets[1]) * (op.steps[1] if op.steps[1] > 0 else 1 / width)
        for size, ratio in kinds:
            w, h = size * height / width * math.sqrt(ratio) / 2, size / math.sqrt(ratio) / 2
            rows.append([x_ - w, y - h, x_ + w, y + h])
    output = np.array([rows])
    return {"output": np.clip(output, 0, 1) if op.clip else output}


def centred(box):
    """Middle and size of a box by its corners."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]


@sample("MultiBoxTarget")
def labelled_boxes(op, shapes, random):
    samples, most, width = shapes.full("label")
    label = random.uniform(0, 1, (samples, most, width))
    label[:, :, 0] = random.integers(0, 3, (samples, most))
    label[:, :, 1:5] = boxes(random, samples, most)
    for number in range(samples):
        label[number, most - number % (most + 1) :] = -1  # all boxes, one less, ...
    return {"anchor": boxes(random, *shapes.full("anchor")[:-1]), "label": label}


@reference(
    "MultiBoxTarget",
    more=[
        ({"overlap_threshold": 0.1}, {"anchor": (1, 3, 4), "label": (2, 5, 5), "cls_pred": (2, 2, 3)}),
        (
            {"overlap_threshold": 0.3, "negative_mining_ratio": 0.5, "negative_mining_thresh": 0.1},
            {"anchor": (1, 12, 4), "label": (4, 3, 5), "cls_pred": (4, 4, 12)},
        ),
    ],
)
def target(op, x, heads):
    samples, anchors = x["cls_pred"].shape[0], x["anchor"].shape[1]
    loc_target, loc_mask = np.zeros((2, samples, anchors, 4))
    cls_target = np.full((samples, anchors), op.ignore_label)
    for n in range(samples):
        true = []
        for row in x["label"][n]:
            if row[0] == -1:
                break
            true.append(row)
        if not true:
            continue
        share = np.array([[iou(anchor, row[1:5]) for row in true] for anchor in x["anchor"][0]])
        match = {}
        for _ in true:
            free = [
                (share[j, k], -j, -k)
                for j in range(anchors)
                for k in range(len(true))
                if j not in match and k not in match.values() and share[j, k] > 1e-6
            ]
            if free:
                _, j, k = max(free)
                match[-j] = -k
        if op.overlap_threshold > 0:
            near = {
                j: int(share[j].argmax()) for j in range(anchors) if share[j].max() > op.overlap_threshold
            }
            match = {**near, **match}
        background = [j for j in range(anchors) if j not in match]
        if op.negative_mining_ratio > 0:
            wanted = min(int(len(match) * op.negative_mining_ratio), len(background))
            hard = [j for j in background if share[j].max() < op.negative_mining_thresh]
            hard.sort(key=lambda j: distribution(x["cls_pred"][n, :, j])[0])
            background = hard[:wanted]
        cls_target[n, background] = 0
        for j, k in match.items():
            ax, ay, aw, ah = centred(x["anchor"][0, j])
            gx, gy, gw, gh = centred(true[k][1:5])
            offset = [(gx - ax) / aw, (gy - ay) / ah, math.log(gw / aw), math.log(gh / ah)]
            loc_target[n, j], loc_mask[n, j] = np.array(offset) / op.variances, 1
            cls_target[n, j] = true[k][0] + 1
    shape = samples, 4 * anchors
    return {
        "loc_target": loc_target.reshape(shape),
        "loc_mask": loc_mask.reshape(shape),
        "cls_target": cls_target,
    }


@sample("MultiBoxDetection")
def predictions(op, shapes, random):
    odds = random.uniform(0.1, 1, shapes.full("cls_prob"))
    return {
        "cls_prob": odds / odds.sum(axis=1, keepdims=True),
        "anchor": boxes(random, *shapes.full("anchor")[:-1]),
    }


@reference(
    "MultiBoxDetection",
    more=[
        ({"nms_threshold": 1, "threshold": 0.5}, {"cls_prob": (4, 2, 9)}),
        ({"nms_threshold": 0.1, "nms_topk": 20}, {"cls_prob": (2, 3, 9)}),
        ({"threshold": 2}, {"cls_prob": (2, 3, 4)}),
    ],
)
def detection(op, x, heads):
    samples, _, anchors = x["cls_prob"].shape
    output = np.full((samples, anchors, 6), -1.0)
    for n in range(samples):
        rows = []
        for j in range(anchors):
            probability = x["cls_prob"][n, 1:, j]
            if probability.max() < op.threshold:
                continue
            ax, ay, aw, ah = centred(x["anchor"][0, j])
            dx, dy, dw, dh = x["loc_pred"][n, 4 * j : 4 * j + 4] * op.variances
            cx, cy, w, h = dx * aw + ax, dy * ah + ay, math.exp(dw) * aw / 2, math.exp(dh) * ah / 2
            box = [cx - w, cy - h, cx + w, cy + h]
            box = [min(max(v, 0), 1) for v in box] if op.clip else box
            rows.append([float(probability.argmax()), probability.max(), *box])
        if 0 < op.nms_threshold <= 1:
            most = op.nms_topk if op.nms_topk > 0 else anchors
            best = sorted(rows, key=lambda row: -row[1])[:most]

            def removes(one, other):
                same = op.force_suppress or one[0] == other[0]
                return same and iou(one[2:], other[2:]) >= op.nms_threshold

            left = survivors(best, removes)
            best = [row if kept else [-1, *row[1:]] for row, kept in zip(best, left)]
            rows = best + [[-1, *row[1:]] for row in rows[most:]]
        output[n, : len(rows)] = np.array(rows).reshape(-1, 6)
    return {"output": output}

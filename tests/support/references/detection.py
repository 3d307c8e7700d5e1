"""References of netdef.ops.detection, and what those of multibox and proposal share."""

import numpy as np

from references import reference, sample


def boxes(random, *shape):
    """Boxes by their corners within the unit square and a little beyond."""
    first = random.uniform(0, 0.7, (*shape, 2))
    return np.concatenate([first, first + random.uniform(0.05, 0.5, first.shape)], axis=-1)


def corners(box, kind):
    if kind == "corner":
        return list(box)
    x, y, width, height = box
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def iou(one, other, edge=0):
    """Intersection over union of two boxes by their corners, which are `edge` wider than these are apart."""

    def area(box):
        return (box[2] - box[0] + edge) * (box[3] - box[1] + edge)

    width = min(one[2], other[2]) - max(one[0], other[0]) + edge
    height = min(one[3], other[3]) - max(one[1], other[1]) + edge
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (area(one) + area(other) - width * height)


def survivors(candidates, removes):
    """Go through candidates, the best first; each that is left removes later ones."""
    left = list(candidates)
    for number, one in enumerate(left):
        if one is not None:
            for later in range(number + 1, len(left)):
                if left[later] is not None and removes(one, left[later]):
                    left[later] = None
    return left


@sample("BoxIOU")
def pairs(op, shapes, random):
    return {name: boxes(random, *shapes.full(name)[:-1]) for name in ("lhs", "rhs")}


@reference("BoxIOU", more=[({}, {"lhs": (2, 4), "rhs": (3, 2, 4)})])
def box_iou(op, x, heads):
    left, right = (x[name].reshape(-1, 4) for name in ("lhs", "rhs"))
    table = [[iou(corners(a, op.format), corners(b, op.format)) for b in right] for a in left]
    return {"output": np.array(table).reshape(x["lhs"].shape[:-1] + x["rhs"].shape[:-1])}


@sample("BoxNMS")
def scored_boxes(op, shapes, random):
    data = random.integers(0, 3, shapes.full("data")).astype(float)
    data[..., op.coord_start : op.coord_start + 4] = boxes(random, *data.shape[:-1])
    data[..., op.score_index] = random.uniform(-0.3, 1, data.shape[:-1])
    return {"data": data}


@reference(
    "BoxNMS",
    more=[
        ({"in_format": "center", "overlap_thresh": 0.1}, {"data": (6, 6)}),
        ({"out_format": "center", "valid_thresh": 0.4}, {"data": (2, 6, 8)}),
        ({"valid_thresh": 2}, {"data": (4, 6)}),
    ],
)
def box_nms(op, x, heads):
    output = np.full(x["data"].shape, -1.0)
    gradient = np.zeros(x["data"].shape)
    first, last = op.coord_start, op.coord_start + 4
    for batch in np.ndindex(x["data"].shape[:-2]):
        rows = x["data"][batch]
        if op.topk == 0:
            output[batch], gradient[batch] = rows, heads["doutput0"][batch]
            continue
        chosen = [
            number
            for number, row in enumerate(rows)
            if row[op.score_index] > op.valid_thresh
            and (op.id_index < 0 or row[op.id_index] != op.background_id)
        ]
        chosen.sort(key=lambda number: -rows[number][op.score_index])
        chosen = chosen[: op.topk] if op.topk > 0 else chosen

        def removes(one, other, rows=rows):
            same = op.id_index < 0 or op.force_suppress or rows[one][op.id_index] == rows[other][op.id_index]
            ends = [corners(rows[number][first:last], op.in_format) for number in (one, other)]
            return same and iou(*ends) > op.overlap_thresh

        kept = [number for number in survivors(chosen, removes) if number is not None]
        for place, number in enumerate(kept):
            output[(*batch, place)] = rows[number]
            if op.in_format != op.out_format:
                a, b, c, d = rows[number][first:last]
                centre = [(a + c) / 2, (b + d) / 2, c - a, d - b]
                box = centre if op.out_format == "center" else corners((a, b, c, d), "center")
                output[(*batch, place)][first:last] = box
            gradient[(*batch, number)] = heads["doutput0"][(*batch, place)]
    return {"output0": output, "ddata": gradient}


@reference(
    "BipartiteMatching",
    more=[
        ({"threshold": -9, "topk": 0}, {"data": (2, 2, 3, 3)}),
        ({"threshold": 9}, {"data": (3, 3)}),
        ({"threshold": 0.1, "is_ascend": True}, {"data": (3, 5, 2)}),
    ],
)
def bipartite_matching(op, x, heads):
    *batches, rows, columns = x["data"].shape
    of_row, of_column = np.full((*batches, rows), -1), np.full((*batches, columns), -1)
    sign = 1 if op.is_ascend else -1
    for batch in np.ndindex(*batches):
        pairs = sorted(np.ndindex(rows, columns), key=lambda pair: sign * x["data"][(*batch, *pair)])
        made = 0
        for row, column in pairs:
            score = x["data"][(*batch, row, column)]
            if not sign * score < sign * op.threshold or (op.topk > 0 and made > op.topk):
                break
            if of_row[(*batch, row)] < 0 and of_column[(*batch, column)] < 0:
                of_row[(*batch, row)], of_column[(*batch, column)] = column, row
                made += 1
    return {"output0": of_row, "output1": of_column}

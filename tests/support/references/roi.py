"""References of netdef.ops.roi and roi_align: one bin of one region after the other."""

import math

import numpy as np

from references import exempt, reference, sample

exempt(
    "work_grows_with_the_batch", "the work grows with the regions, not the images", "ROIPooling", "ROIAlign"
)


@sample("ROIPooling", "ROIAlign")
def regions(op, shapes, random):
    """Regions within the images, across borders, beyond them, upside down, and of images that are not."""
    batch, _, height, width = shapes.full("data")
    rois = np.empty(shapes.full("rois"))
    rois[:, 0] = random.integers(0, batch, len(rois))
    size = np.array([width, height]) / (op.spatial_scale or 1)
    rois[:, 1:3] = random.uniform(-0.2, 0.6, (len(rois), 2)) * size
    rois[:, 3:5] = rois[:, 1:3] + random.uniform(0.1, 0.8, (len(rois), 2)) * size
    special = [
        (batch, 0, 0, 3, 3),
        (-1, 0, 0, 3, 3),
        (0, -40, -40, -30, -30),
        (0.7, 0, 0, 0, 0),
        (0, 3, 3, 1, 1),
    ]
    for number, region in enumerate(special[: max(0, len(rois) - 3)]):
        rois[3 + number] = region
    return {"rois": rois}


def rounded(value):
    """To the nearest whole number, halves away from 0."""
    return math.copysign(math.floor(abs(value) + 0.5), value)


@reference(
    "ROIPooling",
    more=(
        ({"pooled_size": (3, 2), "spatial_scale": 0.5}, {"data": (2, 2, 7, 9), "rois": (8, 5)}),
        ({"pooled_size": (2, 4), "spatial_scale": 1.0}, {"data": (3, 1, 3, 4), "rois": (8, 5)}),
        ({"pooled_size": (2, 2), "spatial_scale": 0.0}, {"data": (1, 2, 3, 3), "rois": (2, 5)}),
    ),
)
def roi_pooling(op, x, heads):
    data, rois, upper = x["data"], x["rois"], heads["doutput"]
    output, ddata = np.zeros(upper.shape), np.zeros(data.shape)
    high, wide = op.pooled_size
    for r, c, i, j in np.ndindex(*upper.shape):
        image = math.trunc(rois[r, 0])
        if not 0 <= image < len(data):
            continue
        left, top, right, bottom = (rounded(v * op.spatial_scale) for v in rois[r, 1:])
        spans = []
        for start, stop, bin_, count, size in (
            (top, bottom, i, high, data.shape[2]),
            (left, right, j, wide, data.shape[3]),
        ):
            step = max(stop - start + 1, 1) / count
            first, last = start + math.floor(bin_ * step), start + math.ceil((bin_ + 1) * step)
            spans.append(range(int(max(first, 0)), int(min(last, size))))
        places = [(y, z) for y in spans[0] for z in spans[1]]
        if places:
            best = max(places, key=lambda place: data[(image, c, *place)])  # the first of equal ones
            output[r, c, i, j] = data[(image, c, *best)]
            ddata[(image, c, *best)] += upper[r, c, i, j]
    return {"output": output, "ddata": ddata}


def corners(place, size):
    """The elements on both sides of a place, with their shares; none if it is too far outside."""
    if not -1 <= place <= size:
        return []
    place = min(max(place, 0), size - 1)
    low = math.floor(place)
    return [(low, 1 - place + low), *([(low + 1, place - low)] if low + 1 < size else [])]


@reference(
    "ROIAlign",
    more=(
        ({"pooled_size": (2, 2), "spatial_scale": 1.0}, {"data": (2, 2, 6, 5), "rois": (8, 5)}),
        (
            {"pooled_size": (3, 2), "spatial_scale": 0.5, "sample_ratio": 3, "aligned": True},
            {"data": (2, 2, 6, 5), "rois": (6, 5)},
        ),
        (
            {"pooled_size": (2, 1), "spatial_scale": 0.25, "sample_ratio": 1},
            {"data": (1, 1, 1, 4), "rois": (3, 5)},
        ),
        (
            {"pooled_size": (1, 3), "spatial_scale": 1.0, "position_sensitive": True, "sample_ratio": 2},
            {"data": (2, 6, 4, 4), "rois": (7, 5)},
        ),
    ),
)
def roi_align(op, x, heads):
    data, rois, upper = x["data"], x["rois"], heads["doutput"]
    output, ddata = np.zeros(upper.shape), np.zeros(data.shape)
    high, wide = op.pooled_size
    for r, c, i, j in np.ndindex(*upper.shape):
        image = math.trunc(rois[r, 0])
        if not 0 <= image < len(data):
            continue
        left, top, right, bottom = rois[r, 1:] * op.spatial_scale - (0.5 if op.aligned else 0)
        ways = []
        for start, stop, bin_, count, size in (
            (top, bottom, i, high, data.shape[2]),
            (left, right, j, wide, data.shape[3]),
        ):
            step = (stop - start if op.aligned else max(stop - start, 1)) / count
            samples = op.sample_ratio if op.sample_ratio > 0 else math.ceil(step)
            places = [start + bin_ * step + (k + 0.5) * step / samples for k in range(samples)]
            ways.append([corners(place, size) for place in places])
        channel = (c * high + i) * wide + j if op.position_sensitive else c
        total = max(1, len(ways[0]) * len(ways[1]))
        for rows in ways[0]:
            for columns in ways[1]:
                for y, wy in rows:
                    for z, wz in columns:
                        output[r, c, i, j] += data[image, channel, y, z] * wy * wz / total
                        ddata[image, channel, y, z] += upper[r, c, i, j] * wy * wz / total
    return {"output": output, "ddata": ddata}

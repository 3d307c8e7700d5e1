"""Pooling of regions of images, each to the same size."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from netdef.ops.arrays import count_up
from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Dims, Float
from netdef.ops.shapes import Full, ShapeError, Shapes, show


class Regions(Op, abstract=True):
    """What the operators share that pool regions to one size."""

    pooled_size = Dims(help="height and width that every region becomes", min=1)
    spatial_scale = Float(help="size of data over size of the image that rois are measured in", min=0, max=1)

    inputs = ("data", "rois")
    scratch: ClassVar[tuple[str, ...]]

    def _channels(self, channels: int | None) -> int | None:
        """The channels of the output for those of data."""
        return channels

    def shape(self, s: Shapes) -> None:
        if len(self.pooled_size) != 2:
            raise ShapeError(
                f"pooled_size has {len(self.pooled_size)} numbers, but a height and a width are needed",
                attribute="pooled_size",
            )
        s.merge("data", (None, None, None, None), "images are needed, (batch, channels, height, width)")
        s.merge(
            "rois", (None, 5), "image, left, top, right and bottom of each region are needed, (regions, 5)"
        )
        data, rois = s["data"] or (None,) * 4, s["rois"] or (None,)
        for name in self.output_names():
            whole = (rois[0], self._channels(data[1]), *self.pooled_size)
            s.merge(
                name, whole, f"data is {show(data)}, rois {show(rois)}, pooled_size {show(self.pooled_size)}"
            )
        s.merge("rois", ((s["output"] or (None,))[0], 5), f"output is {show(s['output'])}")


def find_images(xp: Any, rois: Any, batch: int, image: Any, unknown: Any, mark: Any) -> None:
    """The image of each region as a whole number (R,), and where there is none: fractions are cut off."""
    xp.trunc(rois[:, 0], out=image)
    xp.greater_equal(image, 0, out=unknown)  # not-a-number is no image
    xp.less(image, batch, out=mark)
    xp.logical_and(unknown, mark, out=unknown)
    xp.logical_not(unknown, out=unknown)
    xp.copyto(image, 0, where=unknown)


class ROIPooling(Regions):
    """The maxima of the bins of every region.

    data (N, C, H, W), rois (R, 5), each image, left, top, right and bottom -> output (R, C, h, w); (h, w) is
    `pooled_size`.  The corners of a region, times `spatial_scale`, are rounded to elements, halves
    away from 0, and belong to it; it is at least one element high and wide.  Bins are rounded outwards, so
    that they overlap.  A bin outside the image, and every bin of an image that does not exist, gives 0.  The
    first of tied maxima in row-major order gets the gradient; rois gets none.

    Girshick 2015; MXNet's ROIPooling.
    """

    outputs = ("output", "winner")
    scratch = (
        "image",
        "bounds",
        "edges",
        "unknown",
        "outside",
        "index",
        "elements",
        "values",
        "best",
        "better",
    )
    examples = (
        ({"pooled_size": (2, 2), "spatial_scale": 1.0}, {"data": (2, 3, 5, 6), "rois": (4, 5)}),
        ({"pooled_size": (3, 1), "spatial_scale": 0.5}, {"data": (1, 2, 4, 7), "rois": (2, 5)}),
    )

    def types(self, t: Shapes) -> None:
        t.floating("data", "rois", "output")  # type: ignore[attr-defined]
        t.same("data", "rois", "output")
        t.merge("winner", "int32")  # type: ignore[arg-type]

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        data, output = s.full("data"), s.full("output")
        rois, bins = output[0], output[2:]
        rows = (rois * math.prod(bins), data[1])
        needed = {
            "image": Workspace((data[0] * data[2] * data[3], data[1])),
            "elements": Workspace((rows[0] + 1, data[1]), "int64"),
            "values": Workspace(rows),
            "better": Workspace(rows, "bool"),
        }
        if backward:
            return needed
        return {
            **needed,
            "bounds": Workspace((5, rois)),
            "edges": Workspace((3, rois, sum(bins))),
            "unknown": Workspace((2, rois), "bool"),
            "outside": Workspace((2, rois, *bins), "bool"),
            "index": Workspace((3, rois, *bins), "int64"),
            "best": Workspace(rows),
        }

    def flops(self, s: Shapes) -> int:
        return math.prod(s.full("output"))

    def _edges(self, xp: Any, rois: Any, size: Full, bounds: Any, edges: Any, unknown: Any) -> Any:
        """First and last element (exclusive) of each bin (R, h) and (R, w), empty where there is no image."""
        low, high, step, work, _ = bounds
        mark = unknown[1]
        at = 0
        for axis, (count, limit) in enumerate(zip(self.pooled_size, size)):
            for edge, column in ((low, 2 - axis), (high, 4 - axis)):
                xp.multiply(rois[:, column], self.spatial_scale, out=work)
                xp.trunc(work, out=edge)
                xp.subtract(work, edge, out=work)
                for sign, compare in ((0.5, xp.greater_equal), (-0.5, xp.less_equal)):
                    compare(work, sign, out=mark)
                    xp.add(edge, 2 * sign, out=edge, where=mark)
            xp.subtract(high, low, out=step)
            xp.add(step, 1, out=step)
            xp.maximum(step, 1, out=step)
            xp.divide(step, count, out=step)
            start, stop, numbers = (part[:, at : at + count] for part in edges)
            count_up(xp, numbers[:1].reshape(-1))
            numbers[1:] = numbers[:1]
            xp.multiply(numbers, step[:, None], out=start)
            xp.floor(start, out=start)
            xp.add(numbers, 1, out=stop)
            xp.multiply(stop, step[:, None], out=stop)
            xp.ceil(stop, out=stop)
            for edge in (start, stop):
                xp.add(edge, low[:, None], out=edge)
                xp.fmax(edge, 0, out=edge)  # not-a-number leaves a bin empty
                xp.fmin(edge, limit, out=edge)
            xp.copyto(stop, 0, where=unknown[0][:, None])
            at += count
        return edges

    def forward(
        self,
        xp: Any,
        data: Any,
        rois: Any,
        output: Any,
        winner: Any,
        image: Any,
        bounds: Any,
        edges: Any,
        unknown: Any,
        outside: Any,
        index: Any,
        elements: Any,
        values: Any,
        best: Any,
        better: Any,
    ) -> None:
        batch, channels, height, width = data.shape
        xp.copyto(image.reshape(batch, height, width, channels), xp.moveaxis(data, 1, -1))
        number = bounds[4]
        find_images(xp, rois, batch, number, unknown[0], unknown[1])
        start, stop, room = self._edges(xp, rois, (height, width), bounds, edges, unknown)
        high = self.pooled_size[0]
        xp.subtract(stop, start, out=room)
        tallest, widest = (int(part.max(initial=0)) for part in (room[:, :high], room[:, high:]))
        place, row, first = index
        outside, mark = outside
        first[...] = 0
        xp.copyto(first, number[:, None, None], casting="unsafe")
        xp.multiply(first, height * width, out=first)
        found = elements[:-1]
        found[...] = -1
        best[...] = float(xp.finfo(data.dtype).min)
        for down in range(tallest):
            for along in range(widest):
                # `room` is how many elements a bin has, so that only those within it count.
                xp.less_equal(room[:, :high, None], down, out=outside)
                xp.less_equal(room[:, None, high:], along, out=mark)
                xp.logical_or(outside, mark, out=outside)
                xp.copyto(row, start[:, :high, None], casting="unsafe")
                xp.copyto(place, start[:, None, high:], casting="unsafe")
                xp.add(row, down, out=row)
                xp.multiply(row, width, out=row)
                xp.add(place, along, out=place)
                xp.add(place, row, out=place)
                xp.add(place, first, out=place)
                xp.copyto(place, 0, where=outside)
                flat = place.reshape(-1)
                xp.take(image, flat, axis=0, out=values, mode="clip")
                xp.greater(values, best, out=better)
                xp.logical_not(outside, out=mark)
                xp.logical_and(better, mark.reshape(-1, 1), out=better)
                xp.copyto(best, values, where=better)
                xp.copyto(found, flat[:, None], where=better)
        xp.less_equal(room[:, :high, None], 0, out=outside)
        xp.less_equal(room[:, None, high:], 0, out=mark)
        xp.logical_or(outside, mark, out=outside)
        xp.copyto(best, 0, where=outside.reshape(-1, 1))
        back = (output.shape[0], *output.shape[2:], channels)
        xp.copyto(output, xp.moveaxis(best.reshape(back), -1, 1))
        if winner is not None:
            xp.copyto(winner, xp.moveaxis(found.reshape(back), -1, 1), casting="unsafe")

    def backward(
        self,
        xp: Any,
        doutput: Any,
        winner: Any,
        ddata: Any,
        image: Any,
        elements: Any,
        values: Any,
        better: Any,
    ) -> None:
        if ddata is None:
            return
        batch, channels, height, width = ddata.shape
        turned = (doutput.shape[0], *doutput.shape[2:], channels)
        found, numbers = elements[:-1], elements[-1]
        xp.copyto(values.reshape(turned), xp.moveaxis(doutput, 1, -1))
        xp.copyto(found.reshape(turned), xp.moveaxis(winner, 1, -1))
        xp.less(found, 0, out=better)
        count_up(xp, numbers)
        xp.multiply(found, channels, out=found)
        xp.add(found, numbers, out=found)
        xp.copyto(found, 0, where=better)
        xp.copyto(values, 0, where=better)
        image[...] = 0
        xp.add.at(image.reshape(-1), found.reshape(-1), values.reshape(-1))
        xp.copyto(ddata, xp.moveaxis(image.reshape(batch, height, width, channels), -1, 1))

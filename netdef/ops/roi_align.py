"""Pooling of regions of images without rounding."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

from netdef.ops import sampling
from netdef.ops.arrays import count_up
from netdef.ops.base import Workspace
from netdef.ops.fields import Bool, Int
from netdef.ops.roi import Regions, find_images
from netdef.ops.shapes import Full, ShapeError, Shapes


class ROIAlign(Regions):
    """The means of samples of every bin of every region.

    data (N, C, H, W), rois (R, 5), each image, left, top, right and bottom -> output (R, C, h, w); (h, w) is
    `pooled_size`.  A region, times `spatial_scale`, is cut into bins, and each has `sample_ratio` times
    `sample_ratio` samples between elements, evenly spaced.  A sample up to one element outside the image
    counts as on its border, any further one as 0.  A region is at least one element high and wide, unless
    `aligned`, which moves it by half an element.  Nothing is read for an image that does not exist.  rois
    gets no gradient.

    With `position_sensitive`, each bin has channels of its own: data (N, C * h * w, H, W) -> (R, C, h, w)
    (Dai et al. 2016).  He et al. 2017; MXNet's contrib.ROIAlign.
    """

    sample_ratio = Int(-1, "samples of a bin along each axis; less than 1 for one for each element")
    position_sensitive = Bool(False, "whether each bin has channels of its own")
    aligned = Bool(False, "whether the centre of an element, not its corner, has its coordinates")

    scratch = (*sampling.SCRATCH, "bounds", "unknown", "spots")
    names = ("_contrib_ROIAlign",)
    work = 8
    examples = (
        (
            {"pooled_size": (2, 3), "spatial_scale": 1.0, "sample_ratio": 2},
            {"data": (2, 3, 5, 6), "rois": (4, 5)},
        ),
        (
            {"pooled_size": (1, 2), "spatial_scale": 0.5, "aligned": True},
            {"data": (1, 2, 4, 7), "rois": (3, 5)},
        ),
        (
            {"pooled_size": (2, 2), "spatial_scale": 1.0, "position_sensitive": True},
            {"data": (2, 8, 4, 5), "rois": (3, 5)},
        ),
    )

    def _channels(self, channels: int | None) -> int | None:
        if channels is None or not self.position_sensitive:
            return channels
        bins = math.prod(self.pooled_size)
        if channels % bins:
            raise ShapeError(
                f"data has {channels} channels, which cannot be shared out to {bins} bins",
                tensor="data",
                attribute="pooled_size",
            )
        return channels // bins

    @property
    def _parts(self) -> int:
        """How many images the channels of one make: one for each bin that has its own."""
        return math.prod(self.pooled_size) if self.position_sensitive else 1

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        batch, _, height, width = s.full("data")
        rois, channels, *bins = s.full("output")
        places = (rois, math.prod(bins))
        return {
            **sampling.workspaces((batch * self._parts, channels, height, width), places, backward),
            "starts": Workspace(places, "int64"),
            "bounds": Workspace((9, rois)),
            "unknown": Workspace((2, rois), "bool"),
            "spots": Workspace((4, *places)),
        }

    # -- kernels ---------------------------------------------------------------------------------------------

    def _apart(self, xp: Any, rows: Any, data: Any) -> tuple[Any, Any]:
        """Rows and data (N, C, H, W) as (N, parts, H, W, C / parts)."""
        batch, channels, *size = data.shape
        own = channels // self._parts
        split = data.reshape(batch, own, self._parts, *size)
        return rows.reshape(batch, self._parts, *size, own), xp.moveaxis(split, 1, -1)

    def _starts(self, xp: Any, image: Any, size: int, starts: Any, whole: Any) -> None:
        """Write the first row of the image that each bin samples."""
        starts[...] = 0
        if self.position_sensitive:
            count_up(xp, starts[:1].reshape(-1))
            starts[1:] = starts[:1]
        xp.copyto(whole, image[:, None], casting="unsafe")
        xp.multiply(whole, self._parts, out=whole)
        xp.add(starts, whole, out=starts)
        xp.multiply(starts, size, out=starts)

    def _lay_out(self, xp: Any, rois: Any, bounds: Any, unknown: Any, begins: Any) -> None:
        """Write height, width and number of samples of each region's bins, and where each bin begins."""
        shift = 0.5 if self.aligned else 0
        for axis, size in enumerate(self.pooled_size):
            low, step, count = bounds[axis], bounds[2 + axis], bounds[4 + axis]
            for edge, column in ((low, 2 - axis), (step, 4 - axis)):
                xp.multiply(rois[:, column], self.spatial_scale, out=edge)
                xp.subtract(edge, shift, out=edge)
            xp.subtract(step, low, out=step)
            if not self.aligned:
                xp.maximum(step, 1, out=step)
            xp.divide(step, size, out=step)
            if self.sample_ratio < 1:
                xp.ceil(step, out=count)
                xp.fmax(count, 0, out=count)
            else:
                count[...] = self.sample_ratio
            xp.copyto(count, 0, where=unknown)
            begin = begins[axis].reshape(-1, *self.pooled_size)
            line = begin[0, 0] if axis else begin[0, :, 0]
            count_up(xp, line)
            begin[...] = line.reshape((1, -1) if axis else (-1, 1))
            xp.multiply(begin, step[:, None, None], out=begin)
            xp.add(begin, low[:, None, None], out=begin)
        total = bounds[6]
        xp.multiply(bounds[4], bounds[5], out=total)
        xp.maximum(total, 1, out=total)

    def _samples(
        self, xp: Any, size: Full, bounds: Any, begins: Any, places: Any, marks: Any
    ) -> Iterator[tuple[Any, Any]]:
        """The places x, y (R, h * w) of one sample of every bin after the other, far outside for none."""
        counts, share = bounds[4:6], bounds[7]
        outside, mark = marks
        down, along = (range(int(count.max())) for count in counts)
        for numbers in itertools.product(down, along):
            for axis, (number, limit) in enumerate(zip(numbers, size)):
                place = places[axis]
                xp.multiply(bounds[2 + axis], number + 0.5, out=share)
                xp.maximum(counts[axis], 1, out=bounds[8])
                xp.divide(share, bounds[8], out=share)
                xp.add(begins[axis], share[:, None], out=place)
                xp.less(place, -1, out=outside)
                xp.greater(place, limit, out=mark)
                xp.logical_or(outside, mark, out=outside)
                xp.less_equal(counts[axis][:, None], number, out=mark)
                xp.logical_or(outside, mark, out=outside)
                xp.maximum(place, 0, out=place)
                xp.minimum(place, limit - 1, out=place)
                xp.copyto(place, -2, where=outside)
            yield places[1], places[0]

    def _prepare(
        self,
        xp: Any,
        rois: Any,
        shape: Full,
        spaces: sampling.Sampling,
        bounds: Any,
        unknown: Any,
        spots: Any,
    ) -> Iterator[tuple[Any, Any]]:
        """Everything that does not depend on the data; returns the samples."""
        batch, _, height, width = shape
        find_images(xp, rois, batch, bounds[8], unknown[0], unknown[1])
        self._starts(xp, bounds[8], height * width, spaces.starts, spaces.whole[0])
        self._lay_out(xp, rois, bounds, unknown[0], spots[2:])
        return self._samples(xp, (height, width), bounds, spots[2:], spots[:2], spaces.marks)

    def forward(
        self,
        xp: Any,
        data: Any,
        rois: Any,
        output: Any,
        image: Any,
        starts: Any,
        reals: Any,
        whole: Any,
        marks: Any,
        values: Any,
        sums: Any,
        bounds: Any,
        unknown: Any,
        spots: Any,
    ) -> None:
        if not output.size:
            return
        spaces = sampling.Sampling(image, starts, reals, whole, marks, values, sums)
        samples = self._prepare(xp, rois, data.shape, spaces, bounds, unknown, spots)
        xp.copyto(*self._apart(xp, image[0], data))
        sums[...] = 0
        for x, y in samples:
            for corner in spaces.corners(xp, x, y, *data.shape[2:]):
                spaces.take(xp, image[0], corner)
                xp.add(sums, spaces.weigh(xp, values, corner), out=sums)
        means = xp.moveaxis(sums.reshape(len(rois), *self.pooled_size, -1), -1, 1)
        xp.divide(means, bounds[6].reshape(-1, 1, 1, 1), out=output)

    def backward(
        self,
        xp: Any,
        doutput: Any,
        rois: Any,
        ddata: Any,
        image: Any,
        starts: Any,
        reals: Any,
        whole: Any,
        marks: Any,
        values: Any,
        sums: Any,
        elements: Any,
        bounds: Any,
        unknown: Any,
        spots: Any,
    ) -> None:
        if ddata is None:
            return
        back = image[1]
        back[...] = 0
        if doutput.size:
            spaces = sampling.Sampling(image, starts, reals, whole, marks, values, sums, elements)
            samples = self._prepare(xp, rois, ddata.shape, spaces, bounds, unknown, spots)
            heads = xp.moveaxis(sums.reshape(len(rois), *self.pooled_size, -1), -1, 1)
            xp.divide(doutput, bounds[6].reshape(-1, 1, 1, 1), out=heads)
            for x, y in samples:
                for corner in spaces.corners(xp, x, y, *ddata.shape[2:]):
                    spaces.weigh(xp, sums, corner)
                    spaces.put(xp, corner, back)
        rows, target = self._apart(xp, back, ddata)
        xp.copyto(target, rows)

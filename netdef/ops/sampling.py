"""Bilinear interpolation at arbitrary places of images, for the operators that sample.

Images are copied to rows, one for each place with its channels side by side, so that a place is taken or
added to in one piece.  Coordinates count elements, x along the width, y along the height.  A place between
elements takes its four corners by their distance; corners beyond the image count as 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from netdef.ops.arrays import count_up
from netdef.ops.base import Workspace
from netdef.ops.shapes import Full

#: the workspaces of `Sampling`, in the order of its fields
SCRATCH = ("image", "starts", "reals", "whole", "marks", "values", "sums", "elements")


def workspaces(data: Full, places: Full, backward: bool) -> dict[str, Workspace]:
    """What `Sampling` needs for data (N, C, H, W) and places (groups, places of a group)."""
    rows = (math.prod(places), data[1])
    spaces = {
        "image": Workspace((2 if backward else 1, data[0] * data[2] * data[3], data[1])),
        "starts": Workspace((places[0], 1), "int64"),
        "reals": Workspace((14 if backward else 10, *places)),
        "whole": Workspace((2, *places), "int64"),
        "marks": Workspace((2, *places), "bool"),
        "values": Workspace(rows),
        "sums": Workspace(rows),
    }
    return {**spaces, "elements": Workspace((rows[0] + 1, data[1]), "int64")} if backward else spaces


class Corner(NamedTuple):
    """One of the four corners of every place: the sides it lies on (0 or 1), its row and its weights."""

    side_x: int
    side_y: int
    index: Any
    outside: Any
    weight_x: Any
    weight_y: Any


class Sampling(NamedTuple):
    """The workspaces of one operator while it samples.

    A pass takes the corners one after the other: `take`, `weigh` and `put` work on `values`, and what they
    make of a corner is added to `sums` or to the rows of a gradient before the next.
    """

    image: Any
    starts: Any
    reals: Any
    whole: Any
    marks: Any
    values: Any
    sums: Any
    elements: Any = None

    def load(self, xp: Any, data: Any) -> Any:
        """Copy data (N, C, H, W) to rows (N * H * W, C)."""
        batch, channels, height, width = data.shape
        rows = self.image[0]
        xp.copyto(rows.reshape(batch, height, width, channels), xp.moveaxis(data, 1, -1))
        return rows

    def corners(self, xp: Any, x: Any, y: Any, height: int, width: int) -> Iterator[Corner]:
        """The corners of the places x, y (groups, places); `starts` holds the first row of each image."""
        near_x, near_y, *weights, column, row = self.reals[:8]
        xp.floor(x, out=near_x)
        xp.floor(y, out=near_y)
        for value, near, low, high in ((x, near_x, *weights[:2]), (y, near_y, *weights[2:])):
            xp.subtract(value, near, out=high)
            xp.subtract(1, high, out=low)
        index, more = self.whole
        outside, mark = self.marks
        for side_y in (0, 1):
            for side_x in (0, 1):
                xp.add(near_x, side_x, out=column)
                xp.add(near_y, side_y, out=row)
                outside[...] = False
                for places, size in ((column, width), (row, height)):
                    xp.greater_equal(places, 0, out=mark)  # not-a-number lies outside
                    xp.logical_not(mark, out=mark)
                    xp.logical_or(outside, mark, out=outside)
                    xp.less(places, size, out=mark)
                    xp.logical_not(mark, out=mark)
                    xp.logical_or(outside, mark, out=outside)
                xp.copyto(column, 0, where=outside)
                xp.copyto(row, 0, where=outside)
                xp.copyto(index, row, casting="unsafe")
                xp.multiply(index, width, out=index)
                xp.copyto(more, column, casting="unsafe")
                xp.add(index, more, out=index)
                xp.add(index, self.starts, out=index)
                yield Corner(side_x, side_y, index, outside, weights[side_x], weights[2 + side_y])

    def take(self, xp: Any, rows: Any, corner: Corner) -> Any:
        """The rows (places, C) at a corner, 0 outside."""
        xp.take(rows, corner.index.reshape(-1), axis=0, out=self.values, mode="clip")
        xp.copyto(self.values, 0, where=corner.outside.reshape(-1, 1))
        return self.values

    def weigh(self, xp: Any, rows: Any, corner: Corner) -> Any:
        """`rows` (places, C) times the weight of a corner, 0 outside, in the workspace for values."""
        weight = self.reals[6]
        xp.multiply(corner.weight_x, corner.weight_y, out=weight)
        xp.multiply(rows, weight.reshape(-1, 1), out=self.values)
        return self.values

    def put(self, xp: Any, corner: Corner, rows: Any) -> None:
        """Add the values to the rows of a corner, where it is not outside."""
        values, elements = self.values, self.elements[:-1]
        xp.copyto(values, 0, where=corner.outside.reshape(-1, 1))
        channels = self.elements[-1]
        count_up(xp, channels)
        xp.multiply(corner.index.reshape(-1, 1), values.shape[1], out=elements)
        xp.add(elements, channels, out=elements)
        xp.add.at(rows.reshape(-1), elements.reshape(-1), values.reshape(-1))

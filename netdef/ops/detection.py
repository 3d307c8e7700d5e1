"""Overlaps of boxes and what is decided by them."""

from __future__ import annotations

from typing import Any

from netdef.ops.base import Op, Workspace
from netdef.ops.boxes import first_come, overlap, ranked, reordered, suppress, to_centre, to_corners
from netdef.ops.fields import Bool, Enum, Float, Int
from netdef.ops.shapes import Shape, ShapeError, Shapes, Types, prod, show

_FORMATS = "corner", "center"
_FORMAT_HELP = "corner: left, top, right, bottom; center: x, y, width, height"


class BoxIOU(Op):
    """Intersection over union of all pairs of boxes: lhs (A..., 4), rhs (B..., 4) -> output (A..., B...).

    No gradient passes.  MXNet's contrib.box_iou.
    """

    format = Enum(*_FORMATS, default="corner", help=_FORMAT_HELP)

    names = ("_contrib_box_iou",)
    inputs = ("lhs", "rhs")
    scratch = ("left", "right", "parts", "mask")
    work = 12
    examples = (
        ({}, {"lhs": (4, 4), "rhs": (3, 4)}),
        ({"format": "center"}, {"lhs": (5, 3, 4), "rhs": (2, 4)}),
    )

    def shape(self, s: Shapes) -> None:
        known = []
        for name in self.inputs:
            boxes = s.rank(name, 2, "a list of boxes")
            if boxes is not None:
                s.merge(name, (*(None,) * (len(boxes) - 1), 4), "a box has four numbers")
                known.append((s[name] or ())[:-1])
        if len(known) == 2:
            s.merge("output", (*known[0], *known[1]))
            output = s["output"] or ()
            s.merge("lhs", (*output[: len(known[0])], 4))
            s.merge("rhs", (*output[len(known[0]) :], 4))

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        left, right = (prod(s.full(name)[:-1]) or 0 for name in self.inputs)
        return {
            "left": Workspace((left, 1, 4)),
            "right": Workspace((1, right, 4)),
            "parts": Workspace((4, left, right)),
            "mask": Workspace((left, right), "bool"),
        }

    def forward(
        self, xp: Any, lhs: Any, rhs: Any, output: Any, left: Any, right: Any, parts: Any, mask: Any
    ) -> None:
        for boxes, copy in ((lhs, left), (rhs, right)):
            if self.format == "center":
                to_corners(xp, boxes.reshape(copy.shape), copy)
            else:
                xp.copyto(copy, boxes.reshape(copy.shape))
        xp.copyto(output, overlap(xp, left, right, parts, mask).reshape(output.shape))


class BoxNMS(Op):
    """The best boxes of those that overlap, the best first: data (..., n, k) -> output of the same shape.

    Each of n boxes has k numbers: a score, from `coord_start` on a box, perhaps a class.  Boxes with a score
    of at most `valid_thresh` and those of the background go, and all but the `topk` best; then, from the best
    on, each box removes the later ones (of its class) that it overlaps by more than `overlap_thresh`.  What
    remains moves to the front; the rest is -1.  With `topk` 0 nothing happens at all.

    Gradients go back to where a box came from, as they are, also where the format changes.  The hidden output
    keeps the places.  MXNet's contrib.box_nms.
    """

    overlap_thresh = Float(0.5, "how much of an overlap removes a box")
    valid_thresh = Float(0.0, "what a score must exceed")
    topk = Int(-1, "how many boxes take part; negative: all")
    coord_start = Int(2, "where the four numbers of a box begin")
    score_index = Int(1, "where the score stands")
    id_index = Int(-1, "where the class stands; negative: there is none")
    background_id = Int(-1, "the class that goes")
    force_suppress = Bool(False, "boxes remove those of other classes, too")
    in_format = Enum(*_FORMATS, default="corner", help=_FORMAT_HELP)
    out_format = Enum(*_FORMATS, default="corner", help=_FORMAT_HELP)

    names = ("_contrib_box_nms", "_contrib_box_non_maximum_suppression")
    outputs = ("output0", "record")
    allocates = "numpy's sorting and taking along an axis have no out"
    work = 20
    examples = (
        ({}, {"data": (5, 6)}),
        ({"id_index": 0, "overlap_thresh": 0.3, "background_id": 1, "topk": 4}, {"data": (3, 7, 6)}),
        ({"id_index": 5, "score_index": 0, "coord_start": 1, "force_suppress": True}, {"data": (2, 2, 4, 6)}),
        ({"in_format": "center", "out_format": "center"}, {"data": (5, 7)}),
        ({"topk": 0}, {"data": (5, 6)}),
    )

    def shape(self, s: Shapes) -> None:
        s.same("data", "output0")
        data = s.rank("data", 2, "a list of boxes")
        if data is None:
            return
        s.merge("record", data[:-1])
        s.merge("data", (*(s["record"] or ()), data[-1]))
        s.same("data", "output0")
        self._check_width(data)

    def _check_width(self, data: Shape) -> None:
        width = (data or ())[-1]
        last = self.coord_start + 3
        for name, first, end in (
            ("coord_start", self.coord_start, last),
            ("score_index", self.score_index, self.score_index),
            ("id_index", max(self.id_index, 0), self.id_index),
        ):
            if first < 0 or (width is not None and end >= width):
                told = f"{name} is {first}, but each box of data {show(data)} has {width} numbers"
                raise ShapeError(told, tensor="data", attribute=name)
            if name != "coord_start" and self.coord_start <= end <= last:
                told = f"{name} is {end}, within the box from {self.coord_start} to {last}"
                raise ShapeError(told, attribute=name)

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.same("data", "output0")
        t.merge("record", "int64")

    def forward(self, xp: Any, data: Any, output0: Any, record: Any) -> None:
        count, width = data.shape[-2:]
        rows = data.reshape(-1, count, width)
        kept, found = self._select(xp, rows)
        if record is not None:
            record[...] = found.reshape(record.shape)
        output0[...] = kept.reshape(output0.shape)

    def _select(self, xp: Any, rows: Any) -> tuple[Any, Any]:
        """The rows of the output, and which of the data each was, -1 for none."""
        scores = rows[:, :, self.score_index]
        if self.topk == 0:
            return rows, xp.broadcast_to(xp.arange(scores.shape[1]), scores.shape)
        valid = scores > self.valid_thresh
        if self.id_index >= 0:
            valid &= rows[:, :, self.id_index] != self.background_id
        order = ranked(xp, scores, valid)
        alive = xp.take_along_axis(valid, order, axis=1)
        if self.topk > 0:
            alive[:, self.topk :] = False
        sorted_rows = reordered(xp, rows, order)
        span = slice(self.coord_start, self.coord_start + 4)
        boxes = sorted_rows[:, :, span]
        if self.in_format == "center":
            boxes = xp.empty_like(boxes)
            to_corners(xp, sorted_rows[:, :, span], boxes)
        groups = None
        if self.id_index >= 0 and not self.force_suppress:
            groups = sorted_rows[:, :, self.id_index]
        suppress(xp, boxes, alive, self.overlap_thresh, groups)
        if self.in_format != self.out_format:
            change = to_corners if self.out_format == "corner" else to_centre
            change(xp, sorted_rows[:, :, span].copy(), sorted_rows[:, :, span])
        place = first_come(xp, alive)
        left = xp.take_along_axis(alive, place, axis=1)
        record = xp.where(left, xp.take_along_axis(order, place, axis=1), -1)
        return xp.where(left[:, :, None], reordered(xp, sorted_rows, place), -1), record

    def backward(self, xp: Any, doutput0: Any, record: Any, ddata: Any) -> None:
        count, width = ddata.shape[-2:]
        heads, found = doutput0.reshape(-1, count, width), record.reshape(-1, count)
        gradient = xp.zeros_like(heads)
        batch, place = xp.nonzero(found >= 0)
        gradient[batch, found[batch, place]] = heads[batch, place]
        ddata[...] = gradient.reshape(ddata.shape)


class BipartiteMatching(Op):
    """Pairs of rows and columns, the best score first: data -> output0, output1.

    data (..., N, M); output0 (..., N) holds for each row the column that it got, output1 (..., M) for each
    column the row, -1 for none.  Pairs
    are made while the score exceeds `threshold`, with `is_ascend` while it is below; a positive `topk` allows
    topk + 1 of them, as MXNet has it.  Of equal scores the first in row-major order counts.  No gradient
    passes.  MXNet's contrib.bipartite_matching.
    """

    is_ascend = Bool(False, "the lowest score is the best")
    threshold = Float(help="the score at which matching stops")
    topk = Int(-1, "one less than the most pairs; not positive: no limit")

    names = ("_contrib_bipartite_matching",)
    outputs = ("output0", "output1")
    visible = 2
    allocates = "numpy's argmax allocates where it runs over several axes"
    examples = (
        ({"threshold": -1}, {"data": (5, 3, 4)}),
        ({"threshold": 0.5, "is_ascend": True, "topk": 1}, {"data": (4, 3)}),
    )

    def shape(self, s: Shapes) -> None:
        data = s.rank("data", 2, "a matrix of scores")
        if data is None:
            return
        s.merge("output0", data[:-1], f"data is {show(data)}")
        s.merge("output1", (*data[:-2], data[-1]), f"data is {show(data)}")
        rows, columns = s["output0"] or (), s["output1"] or ()
        s.merge("data", (*rows, columns[-1]))
        s.merge("data", (*columns[:-1], rows[-1], columns[-1]))

    def flops(self, s: Shapes) -> int:
        return min(s.full("data")[-2:]) * (prod(s.full("data")) or 0)

    def forward(self, xp: Any, data: Any, output0: Any, output1: Any) -> None:
        rows, columns = data.shape[-2:]
        scores = xp.array(data.reshape(-1, rows, columns))
        if self.is_ascend:
            xp.negative(scores, out=scores)
        threshold = -self.threshold if self.is_ascend else self.threshold
        of_row, of_column = xp.full(scores.shape[:2], -1), xp.full((len(scores), columns), -1)
        for _ in range(min(rows, columns, self.topk + 1 if self.topk > 0 else rows)):
            row, column = xp.divmod(scores.reshape(len(scores), -1).argmax(axis=1), columns)
            batch = xp.arange(len(scores))
            more = scores[batch, row, column] > threshold
            batch, row, column = batch[more], row[more], column[more]
            of_row[batch, row], of_column[batch, column] = column, row
            scores[batch, row] = -xp.inf
            scores[batch, :, column] = -xp.inf
        output0[...] = of_row.reshape(output0.shape)
        output1[...] = of_column.reshape(output1.shape)

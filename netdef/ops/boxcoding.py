"""Boxes relative to anchors, as detectors learn them, and back."""

from __future__ import annotations

from typing import Any

from netdef.ops.base import Op, Workspace
from netdef.ops.boxes import to_centre
from netdef.ops.fields import Enum, Float
from netdef.ops.shapes import ShapeError, Shapes, show


class BoxEncode(Op):
    """True boxes relative to their anchors: samples, matches, anchors, refs, means, stds -> output0, output1.

    samples (B, N) says which anchors count, those of more than 1/2; matches (B, N) holds the number of each
    one's box in refs (B, M, 4); anchors (B, N, 4) and refs hold corners; means and stds (4,).  output0
    (B, N, 4) holds the distance of the centres in sizes of the anchor and the logarithm of the ratio of the
    sizes, less the means and divided by the stds, and 0 where an anchor does not count; output1 (B, N, 4)
    holds 1 where it does.  No gradient passes.  MXNet's contrib.box_encode.
    """

    names = ("_contrib_box_encode",)
    inputs = ("samples", "matches", "anchors", "refs", "means", "stds")
    outputs = ("output0", "output1")
    visible = 2
    allocates = "numpy's indexing has no out"
    work = 10
    examples = (
        ({}, {"samples": (4, 5), "refs": (4, 2, 4)}),
        ({}, {"samples": (2, 3), "refs": (2, 4, 4)}),
    )

    def shape(self, s: Shapes) -> None:
        for name in ("means", "stds"):
            s.merge(name, (4,), "there is one for each of the four numbers")
        s.same("samples", "matches")
        s.same("anchors", *self.outputs)
        s.merge("samples", (None, None), "a number for each anchor of each image is needed")
        s.merge("anchors", (*(s["samples"] or ()), 4), f"samples is {show(s['samples'])}")
        batch, count, _ = s["anchors"] or (None, None, 4)
        s.merge("refs", (batch, None, 4), "boxes (B, M, 4) of the images of the anchors are needed")
        s.merge("samples", ((s["refs"] or (None,))[0], count))
        s.same("samples", "matches")
        s.merge("anchors", (*(s["samples"] or ()), 4))
        s.same("anchors", *self.outputs)

    def forward(
        self,
        xp: Any,
        samples: Any,
        matches: Any,
        anchors: Any,
        refs: Any,
        means: Any,
        stds: Any,
        output0: Any,
        output1: Any,
    ) -> None:
        chosen = matches.astype("int64")[:, :, None]
        boxes, frames = xp.empty_like(output0), xp.empty_like(output0)
        to_centre(xp, xp.take_along_axis(refs, chosen, axis=1), boxes)
        to_centre(xp, anchors, frames)
        counts = (samples > 0.5)[:, :, None]
        xp.subtract(boxes[..., :2], frames[..., :2], out=output0[..., :2])
        xp.divide(output0[..., :2], frames[..., 2:], out=output0[..., :2])
        xp.divide(boxes[..., 2:], frames[..., 2:], out=output0[..., 2:])
        xp.log(output0[..., 2:], out=output0[..., 2:])
        xp.subtract(output0, means, out=output0)
        xp.divide(output0, stds, out=output0)
        xp.copyto(output0, 0, where=~counts)
        output1[...] = counts


class BoxDecode(Op):
    """Boxes by their corners from what a detector says: data, anchors -> output.

    data and output (B, N, 4), anchors (1, N, 4), the same for all images.  The four numbers of data,
    multiplied by `std0` to `std3`, are the distance of the centres in sizes of the anchor and the logarithm
    of the ratio of the sizes, which a positive `clip` limits.  No gradient passes.  MXNet's
    contrib.box_decode.
    """

    std0 = Float(1.0, "what the distance across is multiplied by")
    std1 = Float(1.0, "what the distance down is multiplied by")
    std2 = Float(1.0, "what the logarithm of the width is multiplied by")
    std3 = Float(1.0, "what the logarithm of the height is multiplied by")
    clip = Float(-1.0, "the most that a logarithm counts as; not positive: no limit")
    format = Enum("corner", "center", default="center", help="how anchors are given, see box_iou")

    names = ("_contrib_box_decode",)
    inputs = ("data", "anchors")
    scratch = ("frames", "end")
    work = 8
    examples = (
        ({}, {"data": (4, 3, 4)}),
        ({"format": "corner", "clip": 0.3, "std0": 0.1, "std1": 0.2, "std2": 2}, {"data": (4, 2, 4)}),
        ({"std3": 3}, {"data": (4, 2, 4)}),
    )

    def shape(self, s: Shapes) -> None:
        s.same("data", "output")
        s.merge("data", (None, None, 4), "boxes (B, N, 4) are needed")
        s.merge("anchors", (None, (s["data"] or ())[1], 4), f"data is {show(s['data'])}")
        batch, count, _ = s["anchors"] or (None, None, 4)
        if batch not in (None, 1):
            told = f"anchors is {show(s['anchors'])}, but all images have the same: (1, N, 4) is needed"
            raise ShapeError(told, tensor="anchors")
        s.merge("anchors", (1, None, None))
        s.merge("data", (None, count, 4))
        s.same("data", "output")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"frames": Workspace(s.full("anchors")), "end": Workspace(s.full("data")[:2])}

    def forward(self, xp: Any, data: Any, anchors: Any, output: Any, frames: Any, end: Any) -> None:
        xp.copyto(frames, anchors)
        if self.format == "corner":
            xp.subtract(anchors[..., 2:], anchors[..., :2], out=frames[..., 2:])
            xp.add(anchors[..., 2:], anchors[..., :2], out=frames[..., :2])
            xp.multiply(frames[..., :2], 0.5, out=frames[..., :2])
        for axis, (std, growth) in enumerate(((self.std0, self.std2), (self.std1, self.std3))):
            centre, half, size = output[..., axis], output[..., axis + 2], frames[..., axis + 2]
            xp.multiply(data[..., axis], std, out=centre)
            xp.multiply(centre, size, out=centre)
            xp.add(centre, frames[..., axis], out=centre)
            xp.multiply(data[..., axis + 2], growth, out=half)
            if self.clip > 0:
                xp.minimum(half, self.clip, out=half)
            xp.exp(half, out=half)
            xp.multiply(half, size, out=half)
            xp.multiply(half, 0.5, out=half)
            xp.add(centre, half, out=end)
            xp.subtract(centre, half, out=centre)
            xp.copyto(half, end)

"""Proposals of a region proposal network (Ren et al. 2015)."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from netdef.ops.base import Op
from netdef.ops.boxes import first_come, ranked, reordered, suppress
from netdef.ops.fields import Bool, Float, Floats, Int
from netdef.ops.shapes import Shapes, show


class MultiProposal(Op):
    """Boxes that may hold an object, for several images: cls_prob, bbox_pred, im_info -> output, score.

    cls_prob (N, 2 A, H, W), the last A channels the probabilities that an anchor holds an object; bbox_pred
    (N, 4 A, H, W), boxes relative to the anchors; im_info (N, 3), height, width and scale of each image;
    output (N R, 5), each row the number of the image and a box by its corners, in pixels; score (N R, 1),
    shown with `output_score`.  There is an anchor for each of `ratios` and `scales` at each place.

    Boxes are clipped to the image.  Those less than `rpn_min_size` times the scale wide or high, and those of
    places beyond the image, count as the least probable.  Of the `rpn_pre_nms_top_n` most probable ones (not
    positive: all) each removes the later ones that it overlaps by more than `threshold`; the first
    `rpn_post_nms_top_n` remain, and where there are fewer, they are repeated.  No gradient passes.  MXNet's
    contrib.MultiProposal.
    """

    rpn_pre_nms_top_n = Int(6000, "how many boxes take part; not positive: all")
    rpn_post_nms_top_n = Int(300, "how many boxes come out for each image", min=1)
    threshold = Float(0.7, "how much of an overlap removes a box")
    rpn_min_size = Int(16, "the least width and height, at scale 1")
    scales = Floats((4.0, 8.0, 16.0, 32.0), "sizes of the anchors, in strides")
    ratios = Floats((0.5, 1.0, 2.0), "height by width of the anchors")
    feature_stride = Int(16, "pixels between the places of the map", min=1)
    output_score = Bool(False, "show the second output, the probabilities")
    iou_loss = Bool(False, "bbox_pred holds distances of the corners in pixels")

    names = ("_contrib_MultiProposal",)
    inputs = ("cls_prob", "bbox_pred", "im_info")
    outputs = ("output", "score")
    allocates = "numpy's sorting and fancy indexing have no out"
    work = 20
    examples: ClassVar[Any] = (
        (
            {
                "scales": (1, 2),
                "ratios": (1,),
                "feature_stride": 8,
                "rpn_post_nms_top_n": 5,
                "rpn_min_size": 4,
            },
            {"cls_prob": (3, 4, 2, 4)},
        ),
        (
            {"scales": 2, "ratios": 1, "rpn_post_nms_top_n": 3, "output_score": True, "iou_loss": True},
            {"cls_prob": (5, 2, 3, 2)},
        ),
    )

    def visible_outputs(self) -> int:
        return 2 if self.output_score else 1

    def shape(self, s: Shapes) -> None:
        s.merge("cls_prob", (None, None, None, None), "probabilities (N, 2 A, H, W) are needed")
        s.merge("bbox_pred", (None, None, None, None), "boxes (N, 4 A, H, W) are needed")
        anchors = len(self.scales) * len(self.ratios)
        for name in ("cls_prob", "bbox_pred", "cls_prob"):
            (samples, _, height, width) = s[name] or (None,) * 4
            rule = f"{len(self.scales)} scales and {len(self.ratios)} ratios make {anchors} anchors"
            s.merge("cls_prob", (samples, 2 * anchors, height, width), rule)
            s.merge("bbox_pred", (samples, 4 * anchors, height, width), f"cls_prob is {show(s['cls_prob'])}")
        s.merge("im_info", ((s["cls_prob"] or ())[0], 3), "height, width and scale of each image are needed")
        samples = (s["im_info"] or ())[0]
        s.merge("cls_prob", (samples, None, None, None))
        s.merge("bbox_pred", (samples, None, None, None))
        rows = None if samples is None else samples * self.rpn_post_nms_top_n
        for name, width in (("output", 5), ("score", 1)):
            s.merge(name, (rows, width), f"each of {samples} images has {self.rpn_post_nms_top_n} boxes")

    def forward(self, xp: Any, cls_prob: Any, bbox_pred: Any, im_info: Any, output: Any, score: Any) -> None:
        samples, _, height, width = cls_prob.shape
        anchors = self._anchors(xp, height, width, cls_prob.dtype)
        count = len(anchors) // (height * width)
        scores = cls_prob[:, count:].transpose(0, 2, 3, 1).reshape(samples, -1).copy()
        deltas = bbox_pred.reshape(samples, count, 4, height, width).transpose(0, 3, 4, 1, 2)
        boxes = self._moved(xp, anchors, deltas.reshape(samples, -1, 4))
        sizes = im_info[:, None, [1, 0, 1, 0]]
        boxes = xp.minimum(xp.maximum(boxes, 0), sizes - 1)
        reach = (im_info[:, :2] / self.feature_stride).astype(int)
        row, column = xp.divmod(xp.arange(scores.shape[1]) // count, width)
        scores[(row >= reach[:, :1]) | (column >= reach[:, 1:])] = -1
        least = self.rpn_min_size * im_info[:, 2, None]
        small = ((boxes[..., 2:] - boxes[..., :2] + 1) < least[:, :, None]).any(axis=2)
        scores[small] = -1
        grown = least[:, :, None] / 2 * xp.asarray([-1, -1, 1, 1], boxes.dtype)
        boxes = xp.where(small[:, :, None], boxes + grown, boxes)

        order = ranked(xp, scores, True)
        if self.rpn_pre_nms_top_n > 0:
            order = order[:, : self.rpn_pre_nms_top_n]
        boxes, scores = reordered(xp, boxes, order), xp.take_along_axis(scores, order, axis=1)
        alive, wanted = xp.ones(order.shape, bool), self.rpn_post_nms_top_n
        suppress(xp, boxes, alive, self.threshold, edge=1, most=wanted)
        found = xp.minimum(alive.sum(axis=1, keepdims=True), wanted)
        chosen = xp.take_along_axis(first_come(xp, alive), xp.arange(wanted) % found, axis=1)
        output[:, 0] = xp.repeat(xp.arange(samples), wanted)
        output[:, 1:] = reordered(xp, boxes, chosen).reshape(-1, 4)
        if score is not None:
            score[...] = xp.take_along_axis(scores, chosen, axis=1).reshape(-1, 1)

    def _anchors(self, xp: Any, height: int, width: int, dtype: Any) -> Any:
        """The anchors of all places by their corners, (H * W * A, 4)."""
        stride = self.feature_stride
        middle, sizes = (stride - 1) / 2, []
        for ratio in self.ratios:
            side = math.floor(math.sqrt(math.floor(stride * stride / ratio)) + 0.5)
            sizes += [(side * scale, math.floor(side * ratio + 0.5) * scale) for scale in self.scales]
        half = (xp.asarray(sizes, dtype) - 1) / 2
        here = xp.concatenate([middle - half, middle + half], axis=1)
        down, across = xp.arange(height)[:, None] * stride, xp.arange(width) * stride
        shift = xp.stack(xp.broadcast_arrays(across, down, across, down), axis=-1).reshape(-1, 1, 4)
        return (here + shift).reshape(-1, 4).astype(dtype)

    def _moved(self, xp: Any, anchors: Any, deltas: Any) -> Any:
        """The predicted boxes by their corners."""
        if self.iou_loss:
            return anchors + deltas
        size = anchors[:, 2:] - anchors[:, :2] + 1
        centre = deltas[..., :2] * size + (anchors[:, :2] + (size - 1) / 2)
        half = (xp.exp(deltas[..., 2:]) * size - 1) / 2
        return xp.concatenate([centre - half, centre + half], axis=2)


class Proposal(MultiProposal):
    """Boxes that may hold an object, for one image: cls_prob, bbox_pred, im_info -> output, score.

    As MultiProposal with a batch of one.  MXNet's contrib.Proposal.
    """

    names = ("_contrib_Proposal",)
    examples = (
        (
            {"scales": (1, 2), "ratios": (0.5, 1), "feature_stride": 8, "rpn_post_nms_top_n": 5},
            {"cls_prob": (1, 8, 3, 4)},
        ),
        (
            {"scales": 1, "ratios": 1, "rpn_pre_nms_top_n": 4, "rpn_post_nms_top_n": 6, "output_score": True},
            {"cls_prob": (1, 2, 3, 2)},
        ),
    )

    def shape(self, s: Shapes) -> None:
        s.merge("cls_prob", (1, None, None, None), "one image is needed; MultiProposal takes several")
        super().shape(s)

"""Single-shot detection (Liu et al. 2016): anchors, their targets, and boxes from predictions."""

from __future__ import annotations

import math
from typing import Any

from netdef.ops.arrays import count_up, write_back
from netdef.ops.base import Op, Workspace
from netdef.ops.boxes import first_come, overlap, ranked, reordered, suppress
from netdef.ops.fields import Bool, Float, Floats, Int
from netdef.ops.shapes import Shape, ShapeError, Shapes, show

_VARIANCES = "what the four numbers of a box relative to its anchor are divided by"


class MultiBoxPrior(Op):
    """Anchors around every place of a map: data (N, C, H, W) -> output (1, H * W * P, 4).

    The P anchors of a place are those of all `sizes` with the first ratio, then those of the other `ratios`
    with the first size; sizes are parts of the height of the image, a ratio is width by height.  The output
    has corners in parts of the image.  No gradient passes.  MXNet's contrib.MultiBoxPrior.
    """

    sizes = Floats((1.0,), "sizes of the anchors as parts of the image's height")
    ratios = Floats((1.0,), "ratios of width and height")
    clip = Bool(False, "clip the anchors to the image")
    steps = Floats((-1.0, -1.0), "distances of places down and across; not positive: 1/H and 1/W")
    offsets = Floats((0.5, 0.5), "where the centre lies in a place, down and across")

    names = ("_contrib_MultiBoxPrior",)
    scratch = ("ramp",)
    work = 2
    examples = (
        ({}, {"data": (4, 1, 2, 3)}),
        ({"sizes": (0.5, 0.2), "ratios": (2, 1, 0.5), "clip": True}, {"data": (4, 3, 2, 1)}),
        ({"steps": (0.2, 0.4), "offsets": (0.1, 0.9)}, {"data": (4, 1, 2, 2)}),
    )

    def _anchors(self) -> list[tuple[float, float]]:
        """Size and ratio of each anchor of a place."""
        first, *others = self.ratios
        return [(size, first) for size in self.sizes] + [(self.sizes[0], ratio) for ratio in others]

    def shape(self, s: Shapes) -> None:
        for name in ("sizes", "ratios"):
            if not getattr(self, name):
                raise ShapeError(f"{name} is empty, but an anchor has a size and a ratio", attribute=name)
        for name in ("steps", "offsets"):
            if len(getattr(self, name)) != 2:
                told = f"{name} has {len(getattr(self, name))} numbers; give one for down and one for across"
                raise ShapeError(told, attribute=name)
        if self.steps[0] * self.steps[1] < 0:
            raise ShapeError(f"steps are {self.steps}; give both or none", attribute="steps")
        data = s["data"]
        if data is not None and len(data) != 4:
            raise ShapeError(f"data is {show(data)}, but maps (N, C, H, W) are needed", tensor="data")
        height, width = data[2:] if data else (None, None)
        places = None if height is None or width is None else height * width * len(self._anchors())
        s.merge("output", (1, places, 4), f"data is {show(data)}")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"ramp": Workspace((sum(s.full("data")[2:]),), "float64")}

    def forward(self, xp: Any, data: Any, output: Any, ramp: Any) -> None:
        height, width = data.shape[2:]
        anchors = self._anchors()
        boxes = output.reshape(height, width, len(anchors), 4)
        down, across = ramp[:height], ramp[height:]
        for centres, size, step, offset in zip((down, across), (height, width), self.steps, self.offsets):
            count_up(xp, centres)
            xp.add(centres, offset, out=centres)
            xp.multiply(centres, step if step > 0 else 1 / size, out=centres)
        for number, (size, ratio) in enumerate(anchors):
            half = size * height / width * math.sqrt(ratio) / 2, size / math.sqrt(ratio) / 2
            for axis, centres in ((0, across), (1, down.reshape(height, 1))):
                xp.subtract(centres, half[axis], out=boxes[:, :, number, axis])
                xp.add(centres, half[axis], out=boxes[:, :, number, axis + 2])
        if self.clip:
            xp.clip(boxes, 0, 1, out=boxes)
        write_back(xp, boxes, output)


def merge_anchors(s: Shapes, name: str, number: int | None) -> int | None:
    """Learn that `name` holds anchors (1, A, 4), `number` of them; returns how many."""
    s.merge(name, (1, number, 4), "anchors (1, A, 4) are needed")
    return (s[name] or ())[1]


def require_variances(variances: tuple[float, ...]) -> None:
    """Raises `ShapeError` unless there is a number for each of the four of a box."""
    if len(variances) != 4:
        told = f"variances has {len(variances)} numbers; give one for each of the four of a box"
        raise ShapeError(told, attribute="variances")


def four_times(number: int | None) -> int | None:
    return None if number is None else 4 * number


class MultiBoxTarget(Op):
    """What each anchor should predict: anchor, label, cls_pred -> loc_target, loc_mask, cls_target.

    anchor (1, A, 4); label (N, L, 5 or more), each row a class and a box, -1 for the class from the end on;
    cls_pred (N, C, A), scores of which class 0 is the background.  loc_target and loc_mask (N, 4 A) hold the
    box relative to the anchor and whether it counts; cls_target (N, A) the class plus one, 0 for the
    background, `ignore_label` for anchors that do not count.

    Each true box, the best pair first, takes the anchor that overlaps it most; then every other anchor takes
    the box that it overlaps most, by more than `overlap_threshold`.  The rest is background; with a positive
    `negative_mining_ratio` only that many times the number of matched anchors, of those which overlap nothing
    by `negative_mining_thresh` and are least sure to be background.  A sample without boxes is ignored
    whole.  No gradient passes.  MXNet's contrib.MultiBoxTarget, which raises where there are fewer such
    anchors than wanted; its CPU ignores `minimum_negative_samples`, and so does this.
    """

    overlap_threshold = Float(0.5, "how much an anchor must overlap a box; not positive: only the best do")
    ignore_label = Float(-1.0, "the class of anchors that do not count")
    negative_mining_ratio = Float(-1.0, "background for each match; not positive: all the rest")
    negative_mining_thresh = Float(0.5, "what background may not overlap by")
    minimum_negative_samples = Int(0, "without effect, as on MXNet's CPU")
    variances = Floats((0.1, 0.1, 0.2, 0.2), _VARIANCES)

    names = ("_contrib_MultiBoxTarget",)
    inputs = ("anchor", "label", "cls_pred")
    outputs = ("loc_target", "loc_mask", "cls_target")
    visible = 3
    allocates = "numpy's sorting and fancy indexing have no out"
    work = 20
    examples = (
        ({}, {"anchor": (1, 7, 4), "label": (3, 2, 5), "cls_pred": (3, 3, 7)}),
        (
            {"overlap_threshold": 0.2, "negative_mining_ratio": 1, "ignore_label": 9},
            {"anchor": (1, 9, 4), "label": (3, 2, 6), "cls_pred": (3, 2, 9)},
        ),
        (
            {"overlap_threshold": 0, "negative_mining_ratio": 2, "variances": (1, 2, 0.5, 0.2)},
            {"anchor": (1, 9, 4), "label": (3, 4, 5), "cls_pred": (3, 2, 9)},
        ),
    )

    def shape(self, s: Shapes) -> None:
        require_variances(self.variances)
        s.merge("cls_pred", (None, None, None), "scores (N, C, A) are needed")
        s.merge("label", (None, None, None), "labels (N, L, 5) are needed")
        samples, _, anchors = s["cls_pred"] or (None,) * 3
        anchors = merge_anchors(s, "anchor", anchors)
        samples, _, width = self._merged(s, "label", (samples, None, None))
        if width is not None and width < 5:
            told = f"label is {show(s['label'])}, but each needs a class and a box, five numbers"
            raise ShapeError(told, tensor="label")
        samples, anchors = self._merged(s, "cls_target", (samples, anchors))
        for name in ("loc_target", "loc_mask"):
            samples = self._merged(s, name, (samples, four_times(anchors)))[0]
        self._merged(s, "label", (samples, None, None))
        self._merged(s, "cls_pred", (samples, None, anchors))
        merge_anchors(s, "anchor", anchors)

    @staticmethod
    def _merged(s: Shapes, name: str, shape: Shape) -> tuple[int | None, ...]:
        s.merge(name, shape, "numbers of samples and of anchors must agree")
        return s[name] or ()

    def forward(
        self,
        xp: Any,
        anchor: Any,
        label: Any,
        cls_pred: Any,
        loc_target: Any,
        loc_mask: Any,
        cls_target: Any,
    ) -> None:
        samples, anchors = cls_target.shape
        real = xp.cumprod(label[:, :, 0] != -1, axis=1).astype(bool)
        shape = samples, anchors, label.shape[1]
        shared = overlap(
            xp,
            anchor[0][None, :, None],
            label[:, None, :, 1:5],
            xp.empty((4, *shape), cls_target.dtype),
            xp.empty(shape, bool),
        )
        shared[~xp.broadcast_to(real[:, None], shape)] = -1
        taken, match = self._best_pairs(xp, shared)
        share, nearest = shared.max(axis=2), shared.argmax(axis=2)
        if self.overlap_threshold > 0:
            match = xp.where(taken, match, nearest)
            taken |= share > self.overlap_threshold
        background = ~taken
        if self.negative_mining_ratio > 0:
            background = self._hard(xp, cls_pred, background & (share < self.negative_mining_thresh), taken)
        some = real.any(axis=1)[:, None]
        background &= some
        boxes = reordered(xp, label, xp.where(taken, match, 0))
        cls_target[...] = xp.where(taken, boxes[:, :, 0] + 1, xp.where(background, 0, self.ignore_label))
        wanted = xp.where(taken[:, :, None], self._encoded(xp, anchor, boxes[:, :, 1:5], taken), 0)
        loc_target[...] = wanted.reshape(loc_target.shape)
        loc_mask[...] = xp.repeat(taken, 4, axis=1)

    @staticmethod
    def _best_pairs(xp: Any, shared: Any) -> tuple[Any, Any]:
        """Which anchors got a box when each box in turn, the best pair first, took one, and which box."""
        samples, anchors, boxes = shared.shape
        left = shared.copy()
        taken, match = xp.zeros((samples, anchors), bool), xp.zeros((samples, anchors), int)
        for _ in range(min(boxes, anchors)):
            place = left.reshape(samples, -1).argmax(axis=1)
            row, box = xp.divmod(place, boxes)
            batch = xp.arange(samples)
            more = left[batch, row, box] > 1e-6
            batch, row, box = batch[more], row[more], box[more]
            taken[batch, row], match[batch, row] = True, box
            left[batch, row] = -1
            left[batch, :, box] = -1
        return taken, match

    def _hard(self, xp: Any, cls_pred: Any, candidates: Any, taken: Any) -> Any:
        """The candidates that are least sure to be background, so many for each that is taken."""
        odds = xp.exp(cls_pred - cls_pred.max(axis=1, keepdims=True))
        sure = odds[:, 0] / odds.sum(axis=1)
        order = ranked(xp, -sure, candidates)
        matched = taken.sum(axis=1, keepdims=True)
        wanted = xp.minimum((matched * self.negative_mining_ratio).astype(int), taken.shape[1] - matched)
        hard = xp.zeros_like(taken)
        xp.put_along_axis(hard, order, xp.arange(taken.shape[1]) < wanted, axis=1)
        return hard & candidates

    def _encoded(self, xp: Any, anchor: Any, boxes: Any, taken: Any) -> Any:
        """Boxes relative to the anchors: the centre's distance, and the logarithm of the size's ratio."""
        size, middle = anchor[..., 2:] - anchor[..., :2], (anchor[..., 2:] + anchor[..., :2]) / 2
        large = xp.where(taken[:, :, None], boxes[..., 2:] - boxes[..., :2], 1)
        offset = ((boxes[..., 2:] + boxes[..., :2]) / 2 - middle) / size
        variances = xp.asarray(self.variances, boxes.dtype)
        return xp.concatenate([offset, xp.log(large / size)], axis=2) / variances


class MultiBoxDetection(Op):
    """Boxes from predictions: cls_prob, loc_pred, anchor -> output.

    cls_prob (N, C, A), of which class 0 is the background; loc_pred (N, 4 A), boxes relative to the anchors
    (1, A, 4); output (N, A, 6), each row the class without the background, its probability and the corners of
    the box.  Anchors whose best class is less probable than `threshold` go; the others come first, the best
    first, with class -1 where a better box (of the same class) overlaps by `nms_threshold` or more, or beyond
    the `nms_topk` best, which stand in the order of the anchors; all else is -1.  An `nms_threshold` that is
    not above 0 and at most 1 leaves the order of the anchors, and all of them.  No gradient passes.  MXNet's
    contrib.MultiBoxDetection, which ignores `background_id`, too.
    """

    clip = Bool(True, "clip the boxes to the image")
    threshold = Float(0.01, "the least probability")
    background_id = Int(0, "without effect, as in MXNet")
    nms_threshold = Float(0.5, "how much of an overlap removes a box")
    force_suppress = Bool(False, "boxes remove those of other classes, too")
    variances = Floats((0.1, 0.1, 0.2, 0.2), _VARIANCES)
    nms_topk = Int(-1, "how many boxes are kept; not positive: all")

    names = ("_contrib_MultiBoxDetection",)
    inputs = ("cls_prob", "loc_pred", "anchor")
    allocates = "numpy's sorting and fancy indexing have no out"
    work = 20
    examples = (
        ({}, {"cls_prob": (3, 3, 7)}),
        ({"clip": False, "threshold": 0.4, "nms_threshold": 0.2, "nms_topk": 3}, {"cls_prob": (3, 4, 8)}),
        ({"nms_threshold": 0, "variances": (1, 2, 0.5, 0.2), "threshold": 0.4}, {"cls_prob": (3, 4, 8)}),
        ({"force_suppress": True}, {"cls_prob": (3, 4, 8)}),
    )

    def shape(self, s: Shapes) -> None:
        require_variances(self.variances)
        s.merge("cls_prob", (None, None, None), "probabilities (N, C, A) are needed")
        samples, classes, anchors = s["cls_prob"] or (None,) * 3
        if classes is not None and classes < 2:
            told = f"cls_prob is {show(s['cls_prob'])}, but there must be a class beside the background"
            raise ShapeError(told, tensor="cls_prob")
        anchors = merge_anchors(s, "anchor", anchors)
        s.merge("output", (samples, anchors, 6), f"cls_prob is {show(s['cls_prob'])}")
        samples, anchors, _ = s["output"] or (None,) * 3
        rule = f"four numbers for each of {anchors} anchors are needed"
        s.merge("loc_pred", (samples, four_times(anchors)), rule)
        s.merge("cls_prob", ((s["loc_pred"] or (None,))[0], None, anchors))
        s.merge("output", ((s["cls_prob"] or (None,))[0], None, None))
        merge_anchors(s, "anchor", anchors)

    def forward(self, xp: Any, cls_prob: Any, loc_pred: Any, anchor: Any, output: Any) -> None:
        scores, classes = cls_prob[:, 1:].max(axis=1), cls_prob[:, 1:].argmax(axis=1)
        valid = scores >= self.threshold
        rows = xp.concatenate(
            [classes[:, :, None], scores[:, :, None], self._boxes(xp, loc_pred, anchor)], axis=2
        ).astype(output.dtype)
        come = first_come(xp, valid)
        rows, alive = reordered(xp, rows, come), xp.take_along_axis(valid, come, axis=1)
        if 0 < self.nms_threshold <= 1:
            order = ranked(xp, rows[:, :, 1], alive)
            kept = alive.copy()
            if self.nms_topk > 0:
                order[:, self.nms_topk :] = xp.arange(alive.shape[1])[self.nms_topk :]
                kept[:, self.nms_topk :] = False
            rows = reordered(xp, rows, order)
            groups = None if self.force_suppress else rows[:, :, 0]
            suppress(xp, rows[:, :, 2:], kept, self.nms_threshold, groups, inclusive=True)
            rows[:, :, 0][~kept] = -1
        output[...] = xp.where(alive[:, :, None], rows, -1)

    def _boxes(self, xp: Any, loc_pred: Any, anchor: Any) -> Any:
        """The predicted boxes by their corners (N, A, 4)."""
        offset = loc_pred.reshape(len(loc_pred), -1, 4) * xp.asarray(self.variances, loc_pred.dtype)
        size, middle = anchor[..., 2:] - anchor[..., :2], (anchor[..., 2:] + anchor[..., :2]) / 2
        centre, half = offset[..., :2] * size + middle, xp.exp(offset[..., 2:]) * size / 2
        boxes = xp.concatenate([centre - half, centre + half], axis=2)
        return xp.clip(boxes, 0, 1) if self.clip else boxes

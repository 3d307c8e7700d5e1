"""Operators that read class numbers: what they share, and Caffe's loss and accuracy."""

from __future__ import annotations

from typing import Any, ClassVar

from netdef.ops.arrays import as_one, choose, ordered, ordered_for_sums, others, softmax
from netdef.ops.base import WIDE, Op, Stage, Workspace
from netdef.ops.fields import Bool, Enum, Int
from netdef.ops.shapes import Full, ShapeError, Shapes, Types, complete, prod, show

#: the least probability whose logarithm Caffe takes (FLT_MIN); the loss of one label is 87.34 at most
TINY = 2.0**-126


class WithLabel(Op, abstract=True):
    """An operator that reads predictions and labels, which may have a type of their own."""

    inputs = ("data", "label")

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.same("data", *self.output_names())
        t.floating("data")
        if t["label"] is None:  # any type will do; labels that nobody declares are made like the data
            t.merge("label", t["data"])  # type: ignore[arg-type]


class Labelled(WithLabel, abstract=True):
    """An operator that reads predictions and class numbers."""

    scratch: ClassVar[tuple[str, ...]] = ("classes", "chosen", "ignored", "column", "work")

    def class_axes(self, rank: int) -> tuple[int, ...]:
        """The axes of data over which the classes lie, counted from the front."""
        raise NotImplementedError

    def ignored_label(self) -> int | None:
        """The label that does not count, or None where all do; the workspace `ignored` is then absent."""
        raise NotImplementedError

    def count_classes(self, data: Full) -> int:
        """The number of classes for data of this shape."""
        return prod(data[axis] for axis in self.class_axes(len(data))) or 0

    def count_labels(self, xp: Any, column: Any, ignored: Any) -> int:
        """How many labels count."""
        return int(column.size) - (0 if ignored is None else int(xp.count_nonzero(ignored)))

    def labels(self, s: Shapes) -> dict[str, int]:
        return {"label": self.count_classes(s.full("data"))}

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        """`column` has one place for each label: the shape of data with size 1 for the classes."""
        data = s.full("data")
        axes = self.class_axes(len(data))
        column = tuple(1 if axis in axes else size for axis, size in enumerate(data))
        spaces = {
            "classes": Workspace((self.count_classes(data),), WIDE),
            "chosen": Workspace(data, "bool"),
            "column": Workspace(column),
            "work": Workspace(data),
        }
        return spaces if self.ignored_label() is None else {**spaces, "ignored": Workspace(column, "bool")}


class Classified(Labelled, abstract=True):
    """Caffe's rule for labels: one for each prediction, in any shape with that count."""

    axis = Int(1, "the axis of the classes; negative counts from the end")
    ignore_label = Int(None, "a label that does not count; left out: all count")

    def class_axes(self, rank: int) -> tuple[int, ...]:
        return (self.axis % rank,)

    def ignored_label(self) -> int | None:
        return self.ignore_label

    def shape(self, s: Shapes) -> None:
        data, label = s["data"], s["label"]
        if data is None:
            return
        axis = s.axis("data", self.axis)
        wanted = (*data[:axis], *data[axis + 1 :])
        if label is None or label == wanted or (not complete(label) and len(label) == len(wanted)):
            s.merge("label", wanted)
            known = s["label"] or ()
            s.merge("data", (*known[:axis], data[axis], *known[axis:]))
            return
        given, needed = prod(label), prod(wanted)
        if given != needed and None not in (given, needed):
            raise ShapeError(
                f"label {show(label)} holds {given} class numbers, but data {show(data)} with the classes "
                f"along axis {axis} needs {needed} ({show(wanted)})",
                tensor="label",
                attribute="axis",
            )


class SoftmaxWithLoss(Classified):
    """Softmax, then the mean of -log of the probability of the label: data, label -> loss, a scalar.

    data (N, C, S...) with the classes along `axis`; label: one class number for each distribution, any
    shape.  The sum over the labels that count is divided by: FULL all labels; VALID those that are not
    ignored; BATCH_SIZE the axes before `axis`; NONE 1; never by less than 1.  The second output holds the
    probabilities; no gradient passes through it; the hidden one what the sum was divided by.  Caffe's
    SoftmaxWithLoss.
    """

    normalization = Enum("FULL", "VALID", "BATCH_SIZE", "NONE", default="VALID", help="what divides the loss")
    output_prob = Bool(False, "show the second output, the probabilities")

    outputs = ("loss", "prob", "divisor")
    scratch = (*Classified.scratch, "stats")
    batch_last = None
    steady = ("score", "backward")
    inplace = (("data", "prob"), ("prob", "ddata"))
    examples = (
        ({}, {"data": (4, 3), "label": (4,)}),
        ({"axis": -1, "normalization": "FULL", "ignore_label": 0}, {"data": (2, 3, 4), "label": (2, 3)}),
        ({"normalization": "BATCH_SIZE", "output_prob": True}, {"data": (2, 3, 2, 2), "label": (2, 1, 2, 2)}),
        ({"normalization": "NONE", "axis": 0}, {"data": (3,), "label": ()}),
    )

    def visible_outputs(self) -> int:
        return 2 if self.output_prob else 1

    def shape(self, s: Shapes) -> None:
        s.merge("loss", ())
        s.merge("divisor", ())
        s.same("data", "prob")
        super().shape(s)

    def flops(self, s: Shapes) -> int:
        return 5 * (prod(s.full("data")) or 0)

    def samples(self, s: Shapes) -> tuple[str, ...]:
        data, label = s.full("data"), s.full("label")
        return ("data", "prob", "label") if s.axis("data", self.axis) and label[:1] == data[:1] else ()

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        stats = {} if backward else {"stats": Workspace((1, 2), WIDE)}
        return {**super().workspaces(s, backward), **stats}

    def gathered(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {} if backward else {"stats": Workspace((2,), WIDE)}

    def stages(self, s: Shapes, backward: bool, train: bool) -> tuple[Stage, ...]:
        return () if backward or not self.samples(s) else (Stage("score", True), Stage("total", False))

    def forward(
        self,
        xp: Any,
        data: Any,
        label: Any,
        loss: Any,
        prob: Any,
        divisor: Any,
        classes: Any,
        chosen: Any,
        ignored: Any,
        column: Any,
        work: Any,
        stats: Any,
    ) -> None:
        self.score(xp, 0, data, label, prob, classes, chosen, ignored, column, work, stats[0])
        self.total(xp, loss, divisor, stats)

    def score(
        self,
        xp: Any,
        begin: int,
        data: Any,
        label: Any,
        prob: Any,
        classes: Any,
        chosen: Any,
        ignored: Any,
        column: Any,
        work: Any,
        stats: Any,
    ) -> None:
        """stats (2,): the sum of the logarithms, and what they are divided by."""
        axes = self.class_axes(data.ndim)
        axis = axes[0]
        chosen, work = (ordered_for_sums(space, data, axis) for space in (chosen, work))
        choose(xp, label, self.ignored_label(), axes, classes, chosen, ignored, column, begin)
        xp.copyto(work, data)
        softmax(xp, work, axes, column, work)
        if prob is not None:
            xp.copyto(prob, work)
        xp.multiply(work, chosen, out=work)
        xp.sum(work, axis=axes, keepdims=True, out=column)
        xp.maximum(column, TINY, out=column)
        xp.log(column, out=column)
        if ignored is not None:
            xp.copyto(column, 0, where=ignored)
        total, divisor = stats[0, ...], stats[1, ...]
        xp.sum(column, out=total)
        if self.normalization == "BATCH_SIZE":
            xp.copyto(divisor, prod(column.shape[:axis]))
        elif self.normalization == "FULL" or ignored is None:
            xp.copyto(divisor, column.size)
        else:
            xp.sum(ignored, out=divisor)
            xp.subtract(column.size, divisor, out=divisor)

    def total(self, xp: Any, loss: Any, divisor: Any, stats: Any) -> None:
        """The loss from what all parts of the batch have scored: stats (parts, 2)."""
        number = 1.0 if self.normalization == "NONE" else max(1.0, float(stats[:, 1].sum()))
        xp.divide(stats[:, 0].sum(), -number, out=loss, casting="same_kind")
        if divisor is not None:
            divisor[...] = number

    def backward(
        self,
        xp: Any,
        dloss: Any,
        label: Any,
        prob: Any,
        divisor: Any,
        ddata: Any,
        classes: Any,
        chosen: Any,
        ignored: Any,
        column: Any,
    ) -> None:
        axes = self.class_axes(prob.ndim)
        chosen = ordered(chosen, prob)
        choose(xp, label, self.ignored_label(), axes, classes, chosen, ignored, column)
        xp.subtract(prob, chosen, out=ddata)
        as_one(xp, _scale, ddata, dloss, divisor)
        if ignored is not None:
            xp.copyto(ddata, 0, where=ignored)


def _scale(xp: Any, ddata: Any, dloss: Any, divisor: Any) -> None:
    xp.multiply(ddata, float(dloss) / float(divisor), out=ddata)


class Accuracy(Classified):
    """The share of labels whose prediction is among the `top_k` highest: data, label -> accuracy, a scalar.

    A class with a prediction as high as that of the label counts against it, as in Caffe: equal predictions
    for all classes score 0, and so does NaN.  Ignored labels are left out; 0 where none is left.  With
    `per_class` the second output (classes,) holds the share of each class among its own labels, 0 where it
    has none.  No gradient.  Caffe's Accuracy.
    """

    top_k = Int(1, "how many of the highest predictions may hold the label", min=1)
    per_class = Bool(False, "show the second output, the accuracy of each class")

    outputs = ("accuracy", "each")
    examples = (
        ({}, {"data": (4, 3), "label": (4,)}),
        ({"top_k": 2, "per_class": True, "ignore_label": 1}, {"data": (2, 4, 3), "label": (2, 3)}),
        ({"axis": -1}, {"data": (2, 3, 4), "label": (2, 1, 3)}),
    )

    def output_names(self) -> tuple[str, ...]:
        return self.outputs if self.per_class else self.outputs[:1]

    def visible_outputs(self) -> int:
        return len(self.output_names())

    def shape(self, s: Shapes) -> None:
        s.merge("accuracy", ())
        super().shape(s)
        data = s["data"]
        if data is None:
            return
        classes = data[self.axis]
        s.merge("each", (classes,))
        if classes is not None and self.top_k > classes:
            raise ShapeError(
                f"top_k is {self.top_k}, but data {show(data)} has {classes} classes along axis {self.axis}",
                tensor="data",
                attribute="top_k",
                hint=f"at most {classes}",
            )

    def flops(self, s: Shapes) -> int:
        return prod(s.full("data")) or 0

    def forward(
        self,
        xp: Any,
        data: Any,
        label: Any,
        accuracy: Any,
        each: Any,
        classes: Any,
        chosen: Any,
        ignored: Any,
        column: Any,
        work: Any,
    ) -> None:
        axes = self.class_axes(data.ndim)
        choose(xp, label, self.ignored_label(), axes, classes, chosen, ignored, column)
        # the prediction for the label by copying: a product with `chosen` would turn infinity into NaN
        work.fill(0)
        xp.copyto(work, data, where=chosen)
        work.sum(axis=axes, keepdims=True, out=column)
        xp.less(data, column, out=work)
        work.sum(axis=axes, keepdims=True, out=column)
        xp.greater_equal(column, classes.size - self.top_k, out=column)
        if ignored is not None:
            xp.copyto(column, 0, where=ignored)
        if each is not None:
            rest = others(data.ndim, axes[0])
            chosen.sum(axis=rest, out=classes)
            xp.maximum(classes, 1, out=classes)
            xp.multiply(chosen, column, out=work)
            work.sum(axis=rest, out=each)
            xp.divide(each, classes, out=each)
        column.sum(out=accuracy)
        xp.divide(accuracy, max(1, self.count_labels(xp, column, ignored)), out=accuracy)

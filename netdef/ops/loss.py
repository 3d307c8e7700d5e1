"""Softmax losses and the accuracy: operators that read class numbers."""

from __future__ import annotations

from typing import Any

from netdef.ops.arrays import choose, others, softmax
from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Bool, Enum, Float, Int
from netdef.ops.shapes import Full, ShapeError, Shapes, complete, prod, show

#: the least probability whose logarithm Caffe takes (FLT_MIN); the loss of one label is 87.34 at most
TINY = 2.0**-126


class Labelled(Op, abstract=True):
    """An operator that reads predictions and class numbers."""

    inputs = ("data", "label")
    scratch = ("classes", "chosen", "ignored", "column", "work")

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

    def types(self, t: Shapes) -> None:
        t.same("data", *self.output_names())
        if t["label"] is None:  # any type will do; labels that nobody declares are made like the data
            t.merge("label", t["data"])

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        """`column` has one place for each label: the shape of data with size 1 for the classes."""
        data = s.full("data")
        axes = self.class_axes(len(data))
        column = tuple(1 if axis in axes else size for axis, size in enumerate(data))
        spaces = {
            "classes": Workspace((self.count_classes(data),)),
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
    probabilities; no gradient passes through it.  Caffe's SoftmaxWithLoss.
    """

    normalization = Enum("FULL", "VALID", "BATCH_SIZE", "NONE", default="VALID", help="what divides the loss")
    output_prob = Bool(False, "show the second output, the probabilities")

    outputs = ("loss", "prob")
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
        s.same("data", "prob")
        super().shape(s)

    def flops(self, s: Shapes) -> int:
        return 5 * (prod(s.full("data")) or 0)

    def _normalizer(self, xp: Any, column: Any, ignored: Any) -> int:
        if self.normalization == "NONE":
            return 1
        if self.normalization == "BATCH_SIZE":
            return max(1, prod(column.shape[: self.axis % column.ndim]) or 0)
        return max(1, self.count_labels(xp, column, None if self.normalization == "FULL" else ignored))

    def forward(
        self,
        xp: Any,
        data: Any,
        label: Any,
        loss: Any,
        prob: Any,
        classes: Any,
        chosen: Any,
        ignored: Any,
        column: Any,
        work: Any,
    ) -> None:
        axes = self.class_axes(data.ndim)
        choose(xp, label, self.ignored_label(), axes, classes, chosen, ignored, column)
        prob = work if prob is None else prob
        softmax(xp, data, axes, column, prob)
        xp.multiply(prob, chosen, out=work)
        work.sum(axis=axes, keepdims=True, out=column)
        xp.maximum(column, TINY, out=column)
        xp.log(column, out=column)
        if ignored is not None:
            xp.copyto(column, 0, where=ignored)
        column.sum(out=loss)
        xp.multiply(loss, -1 / self._normalizer(xp, column, ignored), out=loss)

    def backward(
        self,
        xp: Any,
        dloss: Any,
        label: Any,
        prob: Any,
        ddata: Any,
        classes: Any,
        chosen: Any,
        ignored: Any,
        column: Any,
    ) -> None:
        axes = self.class_axes(prob.ndim)
        choose(xp, label, self.ignored_label(), axes, classes, chosen, ignored, column)
        xp.subtract(prob, chosen, out=ddata)
        xp.multiply(ddata, float(dloss) / self._normalizer(xp, column, ignored), out=ddata)
        if ignored is not None:
            xp.copyto(ddata, 0, where=ignored)


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


class SoftmaxOutput(Labelled):
    """Softmax forwards, the gradient of the cross-entropy backwards: data, label -> output, shaped as data.

    The classes lie along axis 1 with `multi_output`, along the last axis with `preserve_shape`, otherwise
    along all axes but the first.  label holds class numbers, or probabilities where it has the shape of
    data.  The gradient is (output - onehot(label)) * grad_scale / Z, whatever arrives from above unless
    `out_grad`; Z is 1 (null), the size of the batch (batch) or the number of labels that are not
    `ignore_label` (valid), times the number of positions with `multi_output` unless valid.  MXNet's
    SoftmaxOutput, as of 1.9.1.
    """

    grad_scale = Float(1.0, "factor of the gradient")
    ignore_label = Float(-1.0, "a label whose gradient is zero if use_ignore is set")
    multi_output = Bool(False, "the classes lie along axis 1, with one label for each position")
    use_ignore = Bool(False, "whether ignore_label is heeded")
    preserve_shape = Bool(False, "the classes lie along the last axis")
    normalization = Enum("null", "batch", "valid", default="null", help="what the gradient is divided by")
    out_grad = Bool(False, "multiply by the gradient that arrives")
    smooth_alpha = Float(0.0, "probability moved from the label to the other classes", min=0, max=1)

    names = ("SoftmaxOutput", "Softmax")
    work = 5
    inplace = (("data", "output"),)
    examples = (
        ({}, {"data": (4, 3), "label": (4,)}),
        ({"multi_output": True, "normalization": "valid"}, {"data": (2, 3, 2, 2), "label": (2, 4)}),
        ({"preserve_shape": True, "normalization": "batch"}, {"data": (2, 3, 4), "label": (2, 3)}),
        ({"smooth_alpha": 0.1, "use_ignore": True, "ignore_label": 0}, {"data": (4, 3), "label": (4,)}),
        ({"grad_scale": 0.5}, {"data": (4, 3), "label": (4, 3)}),
        ({"out_grad": True}, {"data": (4, 3), "label": (4,)}),
    )

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        if self.out_grad:
            # the graph connects what a kernel names, so the head's gradient is named only where it is used
            object.__setattr__(self, "backward", self._backward_of_head)

    def class_axes(self, rank: int) -> tuple[int, ...]:
        if self.multi_output:
            return (1,)
        return (rank - 1,) if self.preserve_shape else tuple(range(1, rank))

    def ignored_label(self) -> int | None:
        return int(self.ignore_label) if self.use_ignore else None

    def labels(self, s: Shapes) -> dict[str, int]:
        return {} if s["label"] == s["data"] else super().labels(s)

    def shape(self, s: Shapes) -> None:
        s.same("data", "output")
        data = s.rank("data", 2, "a batch of class scores")
        if data is None:
            return
        label = s["label"]
        if label is not None and len(label) == len(data) and (label == data or not self.multi_output):
            s.same("data", "label")  # probabilities
            return
        if not self.multi_output:
            s.merge("label", data[:-1], f"data is {show(data)}")
            s.merge("data", (*(s["label"] or ()), data[-1]))
            return
        legal = ((data[0], prod(data[2:])), (data[0], *data[2:]), (data[0], 1, *data[2:]))
        if label is None or None in label:
            rank = 2 if label is None else len(label)
            s.merge("label", next((shape for shape in legal if len(shape) == rank), legal[0]))
        elif None not in data and label not in legal:
            raise ShapeError(
                f"label is {show(label)}, but data is {show(data)}: with multi_output it is "
                + " or ".join(dict.fromkeys(map(show, legal))),
                tensor="label",
                attribute="multi_output",
            )

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        spaces = super().workspaces(s, backward)
        if not backward:
            return {"column": spaces["column"]}
        del spaces["work"]
        return {**spaces, "ignored": Workspace(spaces["column"].shape, "bool")}

    def forward(self, xp: Any, data: Any, output: Any, column: Any) -> None:
        softmax(xp, data, self.class_axes(data.ndim), column, output)

    def backward(
        self,
        xp: Any,
        label: Any,
        output: Any,
        ddata: Any,
        classes: Any,
        chosen: Any,
        ignored: Any,
        column: Any,
    ) -> None:
        if label.shape == output.shape:
            xp.subtract(output, label, out=ddata)
            xp.multiply(ddata, self.grad_scale, out=ddata)
            return
        count = label.size
        if count > column.size:
            # MXNet infers a label for all axes but the last, even where one distribution has more, and then
            # reads as many as there are distributions
            label = label.reshape(-1)[: column.size]
        ignore, axes = self.ignored_label(), self.class_axes(output.ndim)
        choose(xp, label, ignore, axes, classes, chosen, ignored, column)
        # the target is 1 - alpha at the label and share elsewhere; MXNet leaves alpha aside with multi_output
        alpha = 0.0 if self.multi_output else self.smooth_alpha
        share = alpha / max(1, classes.size - 1)
        xp.multiply(chosen, alpha + share - 1, out=ddata)
        xp.add(ddata, output, out=ddata)
        if share:
            xp.subtract(ddata, share, out=ddata)
        if ignore is not None:
            xp.copyto(ddata, 0, where=ignored)
        xp.multiply(ddata, self.grad_scale / self._divisor(xp, count, column, ignored), out=ddata)

    def _divisor(self, xp: Any, count: int, column: Any, ignored: Any) -> int:
        """What the gradient is divided by; valid leaves out `ignore_label` whether or not it is in use."""
        if self.normalization == "batch":
            return count
        if self.normalization == "null":
            return max(1, prod(column.shape[2:]) or 0) if self.multi_output else 1
        if not self.use_ignore:
            xp.equal(column, int(self.ignore_label), out=ignored)
        return max(1, self.count_labels(xp, column, ignored))

    def _backward_of_head(
        self,
        xp: Any,
        doutput: Any,
        label: Any,
        output: Any,
        ddata: Any,
        classes: Any,
        chosen: Any,
        ignored: Any,
        column: Any,
    ) -> None:
        """`backward` with `out_grad`."""
        SoftmaxOutput.backward(self, xp, label, output, ddata, classes, chosen, ignored, column)
        xp.multiply(ddata, doutput, out=ddata)

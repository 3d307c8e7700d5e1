"""MXNet's softmax losses: SoftmaxOutput, softmax_cross_entropy."""

from __future__ import annotations

from typing import Any

from netdef.ops.arrays import choose, softmax
from netdef.ops.base import WIDE, Workspace
from netdef.ops.fields import Bool, Enum, Float
from netdef.ops.loss import Labelled
from netdef.ops.shapes import Full, ShapeError, Shapes, complete, prod, show

#: the least probability whose logarithm softmax_cross_entropy takes
TINY = 1e-8


class SoftmaxOutput(Labelled):
    """Softmax whose gradient is that of the cross entropy: data, label -> output, shaped as data.

    One distribution for each sample over all axes but the first; with `multi_output` one for each position
    over axis 1, with `preserve_shape` one over the last axis.  The label holds class numbers, or
    probabilities where it has the shape of data.  The gradient is (output - onehot(label)) * grad_scale / Z,
    whatever arrives from above; Z is 1 (null), the number of labels (batch) or of those that are not
    `ignore_label` (valid, whether or not `use_ignore` is set), with null and `multi_output` the number of
    positions.  For probabilities Z is 1, and nothing is ignored or smoothed.

    MXNet's SoftmaxOutput, as of 1.9.1.  There `out_grad` multiplies the gradient by the output, not by the
    gradient that arrives as its documentation says, and multi_output leaves `smooth_alpha` aside.
    """

    grad_scale = Float(1.0, "factor of the gradient")
    ignore_label = Float(-1.0, "a label whose gradient is zero if use_ignore is set")
    multi_output = Bool(False, "the classes lie along axis 1, with one label for each position")
    use_ignore = Bool(False, "whether ignore_label is heeded")
    preserve_shape = Bool(False, "the classes lie along the last axis")
    normalization = Enum("null", "batch", "valid", default="null", help="what the gradient is divided by")
    out_grad = Bool(False, "multiply the gradient by the output, as MXNet 1.9.1 does")
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
        data, label = s["data"], s["label"]
        alike = data is not None and label is not None and len(label) == len(data)
        if alike and (label == data or not self.multi_output):
            s.same("data", "label")  # probabilities
            return
        if s.rank("data", 2, "a batch of class scores") is None or data is None:
            return
        if not self.multi_output:
            s.merge("label", data[:-1], f"data is {show(data)}")
            s.merge("data", (*(s["label"] or ()), data[-1]))
            return
        legal = ((data[0], prod(data[2:])), (data[0], *data[2:]), (data[0], 1, *data[2:]))
        if label is None or not complete(label):
            rank = 2 if label is None else len(label)
            s.merge("label", next((shape for shape in legal if len(shape) == rank), legal[0]))
        elif complete(data) and label not in legal:
            raise ShapeError(
                f"label is {show(label)}, but data is {show(data)}: with multi_output it is "
                + " or ".join(dict.fromkeys(map(show, legal))),
                tensor="label",
                attribute="multi_output",
            )

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        data, label = s.full("data"), s.full("label")
        if not backward:
            return {"column": Workspace(self._column(data), WIDE)}
        if label == data:
            return {}
        spaces = super().workspaces(s, backward)
        count = prod(label) or 0
        return {
            "classes": spaces["classes"],
            "chosen": spaces["chosen"],
            "column": Workspace((count,), WIDE),
            **({"ignored": Workspace((count,), "bool")} if self._finds_ignored() else {}),
        }

    def _column(self, data: Full) -> Full:
        """The shape of data with size 1 for the classes."""
        axes = self.class_axes(len(data))
        return tuple(1 if axis in axes else size for axis, size in enumerate(data))

    def _finds_ignored(self) -> bool:
        return self.use_ignore or self.normalization == "valid"

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
            factor = self.grad_scale
        else:
            factor = self.grad_scale / self._subtract_classes(
                xp, label, output, ddata, classes, chosen, ignored, column
            )
        xp.multiply(ddata, factor, out=ddata)
        if self.out_grad:
            xp.multiply(ddata, output, out=ddata)

    def _subtract_classes(
        self,
        xp: Any,
        label: Any,
        output: Any,
        ddata: Any,
        classes: Any,
        chosen: Any,
        ignored: Any,
        column: Any,
    ) -> int:
        """Write output - onehot(label); returns what the gradient is divided by."""
        divisor = label.size if self.normalization == "batch" else 1
        if self.normalization == "null" and self.multi_output:
            divisor = max(1, prod(output.shape[2:]) or 0)
        xp.copyto(column.reshape(label.shape), label)
        xp.trunc(column, out=column)
        if self.normalization == "valid":
            xp.equal(column, int(self.ignore_label), out=ignored)
            divisor = max(1, self.count_labels(xp, column, ignored))
        # MXNet infers a label for all axes but the last even where one distribution takes up more, counts
        # them all and reads as many as there are distributions.
        shape = self._column(output.shape)
        count = prod(shape)
        column = column[:count].reshape(shape)
        ignored = ignored[:count].reshape(shape) if self.use_ignore else None
        ignore, axes = self.ignored_label(), self.class_axes(output.ndim)
        choose(xp, column, ignore, axes, classes, chosen, ignored, column)
        # the target is 1 - alpha at the label and share elsewhere
        alpha = 0.0 if self.multi_output else self.smooth_alpha
        share = alpha / max(1, classes.size - 1)
        xp.multiply(chosen, alpha + share - 1, out=ddata)
        xp.add(ddata, output, out=ddata)
        if share:
            xp.subtract(ddata, share, out=ddata)
        if ignored is not None:
            xp.copyto(ddata, 0, where=ignored)
        return divisor


class SoftmaxCrossEntropy(Labelled):
    """The sum of -log of the softmax at the labels: data (N, C), label (N,) -> output (1,).

    MXNet's softmax_cross_entropy; a probability below 1e-8 counts as 1e-8 there, and here.
    """

    names = ("softmax_cross_entropy",)
    examples = (({}, {"data": (4, 3), "label": (4,)}),)

    def class_axes(self, rank: int) -> tuple[int, ...]:
        return (1,)

    def ignored_label(self) -> None:
        return None

    def shape(self, s: Shapes) -> None:
        s.merge("data", (None, None), "a batch of class scores (samples, classes) is needed")
        s.merge("label", (None,), "one class number for each sample is needed")
        s.merge("output", (1,))
        data, label = s["data"], s["label"]
        if data is not None:
            s.merge("label", data[:1], f"data is {show(data)}")
        if label is not None:
            s.merge("data", (*label, None))

    def flops(self, s: Shapes) -> int:
        return 5 * (prod(s.full("data")) or 0)

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        spaces = super().workspaces(s, backward)
        wides = {name: Workspace(spaces[name].shape, WIDE) for name in ("column", "work")}
        return {**spaces, **wides}

    def forward(
        self,
        xp: Any,
        data: Any,
        label: Any,
        output: Any,
        classes: Any,
        chosen: Any,
        column: Any,
        work: Any,
    ) -> None:
        softmax(xp, data, (1,), column, work)
        choose(xp, label, None, (1,), classes, chosen, None, column)
        xp.multiply(work, chosen, out=work)
        work.sum(axis=1, keepdims=True, out=column)
        xp.maximum(column, TINY, out=column)
        xp.log(column, out=column)
        column.sum(axis=0, out=output)
        xp.negative(output, out=output)

    def backward(
        self,
        xp: Any,
        doutput: Any,
        data: Any,
        label: Any,
        ddata: Any,
        classes: Any,
        chosen: Any,
        column: Any,
        work: Any,
    ) -> None:
        softmax(xp, data, (1,), column, work)
        choose(xp, label, None, (1,), classes, chosen, None, column)
        xp.subtract(work, chosen, out=work)
        xp.multiply(work, doutput, out=ddata)

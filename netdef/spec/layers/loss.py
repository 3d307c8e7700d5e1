"""Losses and scores: SoftmaxWithLoss, Accuracy."""

from __future__ import annotations

from typing import Any

from netdef.ops.fields import Bool, Enum, Int
from netdef.spec import codes
from netdef.spec.layers.base import Builder, Entry, Layer
from netdef.spec.layers.common import SoftmaxParameter
from netdef.spec.message import Message, Report, Sub


def _normalization_wins(block: Any, report: Report) -> None:
    """Caffe passes over normalize where normalization is given."""
    if block.has("normalize") and block.has("normalization"):
        told = "normalize has no effect beside normalization"
        report(codes.WITHOUT_EFFECT, "normalize", told, "remove it")


class LossParameter(Message):
    """Which labels count, and what the loss is divided by."""

    ignore_label = Int(None, "samples with this label do not count", number=1)
    normalization = Enum(
        "FULL",
        "VALID",
        "BATCH_SIZE",
        "NONE",
        default="VALID",
        number=3,
        help="what the loss is divided by: all labels, those not ignored, samples, or 1",
    )
    normalize = Bool(
        None, "Caffe's older form of normalization: true for VALID, false for BATCH_SIZE", number=2
    )

    rules = (_normalization_wins,)

    def divisor(self) -> str:
        """The normalization that these fields ask for."""
        if self.has("normalize") and not self.has("normalization"):
            return "VALID" if self.normalize else "BATCH_SIZE"
        return str(self.normalization)


class SoftmaxWithLoss(Layer):
    """Softmax and the negative log-likelihood of the labels: the loss of a classifier.

    Bottoms: scores (N, C, ...) and labels, one for each position outside `axis`.  Tops: the loss, a scalar:
    minus the sum of log p(label), divided as loss_param.normalization says; and, if a second top is named,
    the probabilities.  Labels are whole numbers from 0 to C - 1.
    """

    softmax_param = Sub(SoftmaxParameter, "settings of the softmax", number=125)
    loss_param = Sub(LossParameter, "settings of the loss", number=101)

    bottoms = (2, 2)
    tops = (1, 2)
    is_loss = True
    blame = {
        "axis": ("softmax_param.axis",),
        "ignore_label": ("loss_param.ignore_label",),
        "normalization": ("loss_param.normalization", "loss_param.normalize"),
    }

    def lower(self, net: Builder) -> list[Entry]:
        param: LossParameter = self.loss_param
        return net.op(
            "SoftmaxWithLoss",
            *net.bottoms,
            axis=self.softmax_param.axis,
            normalization=param.divisor(),
            output_prob=len(self.top) == 2,
            **_ignored(param.ignore_label),
        )

    def prediction(self) -> tuple[str, dict[str, Any]]:
        return "softmax", {"axis": self.softmax_param.axis}


def _ignored(label: int | None) -> dict[str, Any]:
    """The operator's attribute for a label that does not count, where there is one."""
    return {} if label is None else {"ignore_label": label}


class AccuracyParameter(Message):
    """Settings of Accuracy."""

    top_k = Int(1, "a sample is right if its label is among the k best", min=1, number=1)
    axis = Int(1, "axis of the classes; negative counts from the end", number=2)
    ignore_label = Int(None, "samples with this label do not count", number=3)


class Accuracy(Layer):
    """The share of samples whose label is among the top_k best scores.

    Bottoms: scores (N, C, ...) and labels, one for each position outside `axis`.  Tops: the accuracy, a
    scalar; and, if a second top is named, that of each class (C).  A tie counts against the label, and a
    class that a batch does not have counts as 0 in the mean over batches, both as in Caffe.  No gradient.
    """

    accuracy_param = Sub(AccuracyParameter, "settings of the layer", number=102)

    bottoms = (2, 2)
    tops = (1, 2)
    blame = {
        "top_k": ("accuracy_param.top_k",),
        "axis": ("accuracy_param.axis",),
        "ignore_label": ("accuracy_param.ignore_label",),
    }

    def lower(self, net: Builder) -> list[Entry]:
        param: AccuracyParameter = self.accuracy_param
        return net.op(
            "Accuracy",
            *net.bottoms,
            top_k=param.top_k,
            axis=param.axis,
            per_class=len(self.top) == 2,
            **_ignored(param.ignore_label),
        )

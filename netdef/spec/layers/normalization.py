"""Normalisation over the batch and what follows it: BatchNorm, Scale."""

from __future__ import annotations

from typing import Any

from netdef.ops.fields import Bool, Float, Int
from netdef.spec import codes
from netdef.spec.layers.base import Builder, Entry, FillerParameter, Layer
from netdef.spec.message import Message, Report, Sub

#: Caffe's default for the factors of Scale, other than for all other blobs
ONE = FillerParameter(type="constant", value=1.0)


class BatchNormParameter(Message):
    """Settings of BatchNorm."""

    use_global_stats = Bool(
        None,
        "normalise by the stored statistics; default: in the TEST phase yes, in the TRAIN phase no",
        number=1,
    )
    moving_average_fraction = Float(0.999, "how much of the stored sums stays at each step", number=2)
    eps = Float(1e-5, "added to the variance", min=0, number=3)


def _statistics_fixed(layer: Any, report: Report) -> None:
    """Caffe: lr_mult of the statistics must be 0; exactly three params are an older form, which it clears."""
    if len(layer.param) == layer.blobs:
        return
    for number, param in enumerate(layer.param):
        if param.lr_mult != 0:
            told = f"lr_mult of a BatchNorm statistic is {param.lr_mult:g}"
            hint = "write lr_mult: 0, or leave param out; a Scale layer after it learns factors"
            report(codes.STATISTICS_LEARNT, f"param.{number}", told, hint)


class BatchNorm(Layer):
    """Batch normalisation: (x - mean) / sqrt(variance + eps) for each channel (Ioffe and Szegedy 2015).

    Bottom (N, C, S...), top of the same shape; may work in place.  In the TRAIN phase mean and variance are
    those of the batch, in the TEST phase the stored ones.  Blobs, none of them learnt: sum of means (C), sum
    of variances (C), and the number (1) that both are divided by; each step multiplies them by
    moving_average_fraction and adds to them.  A Scale layer with bias_term after it adds the learnt factor
    and bias.
    """

    batch_norm_param = Sub(BatchNormParameter, "settings of the layer", number=139)

    rules = (*Layer.rules, _statistics_fixed)
    blobs = 3

    def lower(self, net: Builder) -> list[Entry]:
        param: BatchNormParameter = self.batch_norm_param
        return net.op(
            "BatchNorm",
            net.bottoms[0],
            *(net.state(role) for role in ("mean", "variance", "factor")),
            affine=False,
            statistics="sum",
            momentum=param.moving_average_fraction,
            eps=param.eps,
            use_global_stats=param.use_global_stats if param.has("use_global_stats") else not net.train,
        )


class ScaleParameter(Message):
    """Settings of Scale."""

    axis = Int(
        1, "first axis of the bottom that the factors run along; negative counts from the end", number=1
    )
    num_axes = Int(
        1, "number of axes of the factors; -1: all from `axis` on, 0: one factor", min=-1, number=2
    )
    filler = Sub(
        FillerParameter, "how the factors are filled before training; default 1", number=3, optional=True
    )
    bias_term = Bool(False, "whether a bias of the same shape is added", number=4)
    bias_filler = Sub(FillerParameter, "how the bias is filled before training", number=5)


class Scale(Layer):
    """Multiplies by factors along some axes and, with bias_term, adds a bias.

    Bottom of any shape, top of the same shape; may work in place.  The factors have the shape of the bottom's
    axes from `axis` on, `num_axes` of them; they are a blob, or the second bottom, whose number of axes then
    decides.  Blobs: scale, unless it is a bottom, then bias.
    """

    scale_param = Sub(ScaleParameter, "settings of the layer", number=142)

    bottoms = (1, 2)
    blobs = 2
    blame = {"axis": ("scale_param.axis",), "num_axes": ("scale_param.num_axes",)}

    def blob_count(self) -> int:
        return int(len(self.bottom) < 2) + int(self.scale_param.bias_term)

    def lower(self, net: Builder) -> list[Entry]:
        param: ScaleParameter = self.scale_param
        inputs = list(net.bottoms)
        if len(inputs) == 1:
            inputs.append(net.weight("scale", param.filler or ONE))
        if param.bias_term:
            inputs.append(net.weight("bias", param.bias_filler))
        return net.op("Scale", *inputs, axis=param.axis, num_axes=param.num_axes, bias_term=param.bias_term)

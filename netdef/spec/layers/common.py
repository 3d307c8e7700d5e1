"""Layers that map, join and reshape blobs: InnerProduct, Dropout, Softmax, Flatten, Concat, Eltwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netdef.ops.fields import Bool, Enum, Float, Int
from netdef.ops.shapes import Full, ShapeError, show
from netdef.spec import codes
from netdef.spec.layers.activation import ENGINE_HELP
from netdef.spec.layers.base import Builder, Entry, FillerParameter, Layer
from netdef.spec.layers.rules import one_of
from netdef.spec.message import Message, Report, Sub


def _no_bilinear(block: Any, report: Report) -> None:
    """A bilinear filler fills windows, which a matrix does not have."""
    for field in ("weight_filler", "bias_filler"):
        if getattr(block, field).type == "bilinear":
            told = "a bilinear filler fills the windows of a convolution only"
            report(codes.BAD_FILLER, f"{field}.type", told, "use another filler, such as xavier")


class InnerProductParameter(Message):
    """Settings of InnerProduct."""

    num_output = Int(min=1, help="number of outputs of each sample", number=1)
    bias_term = Bool(True, "whether a bias is added", number=2)
    weight_filler = Sub(FillerParameter, "how the weights are filled before training", number=3)
    bias_filler = Sub(FillerParameter, "how the bias is filled before training", number=4)
    axis = Int(1, "first axis that is mapped; negative counts from the end", number=5)
    transpose = Bool(False, "the weights are stored as (K, num_output)", number=6)

    rules = (_no_bilinear,)


class InnerProduct(Layer):
    """Fully connected layer: top = bottom . weight' + bias.

    Bottom (M..., K...), where the axes from `axis` on are taken as one of size K; top (M..., num_output).
    Blobs: weight (num_output, K), or (K, num_output) with transpose; bias (num_output) with bias_term.
    """

    inner_product_param = Sub(InnerProductParameter, "settings of the layer", number=117)

    blobs = 2
    blame = {
        "num_hidden": ("inner_product_param.num_output",),
        "axis": ("inner_product_param.axis",),
        "transpose": ("inner_product_param.transpose",),
    }

    def blob_count(self) -> int:
        return 1 + int(self.inner_product_param.bias_term)

    def lower(self, net: Builder) -> list[Entry]:
        param: InnerProductParameter = self.inner_product_param
        blobs = [net.weight("weight", param.weight_filler)]
        if param.bias_term:
            blobs.append(net.weight("bias", param.bias_filler))
        return net.op(
            "FullyConnected",
            net.bottoms[0],
            *blobs,
            num_hidden=param.num_output,
            no_bias=not param.bias_term,
            axis=param.axis,
            transpose=param.transpose,
        )


class DropoutParameter(Message):
    """Settings of Dropout."""

    dropout_ratio = Float(0.5, "the probability that an element is dropped", min=0, max=1, number=1)


class Dropout(Layer):
    """Dropout: in training, elements are zeroed at random and the others scaled up (Srivastava et al. 2014).

    One bottom of any shape, one top of the same shape; may work in place.  In training each element is zero
    with probability dropout_ratio and otherwise divided by 1 - dropout_ratio; in the TEST phase the
    top is the bottom.
    """

    dropout_param = Sub(DropoutParameter, "settings of the layer", number=108)

    blame = {"p": ("dropout_param.dropout_ratio",)}

    def lower(self, net: Builder) -> list[Entry]:
        # A layer's own phase rules, whatever the pass: in TEST nothing is dropped, in TRAIN always.
        return net.op(
            "Dropout",
            net.bottoms[0],
            p=self.dropout_param.dropout_ratio if net.train else 0.0,
            mode="always" if self.phase == "TRAIN" else "training",
        )


class SoftmaxParameter(Message):
    """Settings of Softmax, and of the softmax inside SoftmaxWithLoss."""

    engine = Enum("DEFAULT", "CAFFE", "CUDNN", default="DEFAULT", number=1, help=ENGINE_HELP)
    axis = Int(1, "axis of the classes; negative counts from the end", number=2)


class Softmax(Layer):
    """Softmax: exp(x) divided by its sum over `axis`, so that the classes' outputs are probabilities.

    One bottom of any shape, one top of the same shape; may work in place.
    """

    softmax_param = Sub(SoftmaxParameter, "settings of the layer", number=125)

    blame = {"axis": ("softmax_param.axis",)}

    def lower(self, net: Builder) -> list[Entry]:
        return net.op("softmax", net.bottoms[0], axis=self.softmax_param.axis)


class FlattenParameter(Message):
    """Settings of Flatten."""

    axis = Int(1, "first axis that is merged; negative counts from the end", number=1)
    end_axis = Int(-1, "last axis that is merged; negative counts from the end", number=2)


class Flatten(Layer):
    """Merges the axes from `axis` to `end_axis` into one.

    Bottom (N, C, H, W), top (N, C H W) by default.  It cannot work in place.
    """

    flatten_param = Sub(FlattenParameter, "settings of the layer", number=135)

    blame = {"axis": ("flatten_param.axis",), "end_axis": ("flatten_param.end_axis",)}

    @property
    def inplace(self) -> bool:
        return False

    def check_bottoms(self, shapes: Sequence[Full]) -> None:
        axes = len(shapes[0])
        if self.flatten_param.axis >= axes:
            raise ShapeError(
                f"axis {self.flatten_param.axis} is out of range for bottom {show(shapes[0])}",
                attribute="axis",
                hint=f"from {-axes} to {axes - 1}",
            )

    def lower(self, net: Builder) -> list[Entry]:
        param: FlattenParameter = self.flatten_param
        return net.op("Flatten", net.bottoms[0], axis=param.axis, end_axis=param.end_axis)


class ConcatParameter(Message):
    """Settings of Concat."""

    axis = Int(1, "axis along which the bottoms are joined; negative counts from the end", number=2)
    concat_dim = Int(1, "Caffe's older name of axis", min=0, number=1)

    rules = (one_of("axis", "concat_dim", "give axis alone; concat_dim is its older name"),)


class Concat(Layer):
    """Joins its bottoms along one axis; all other axes must agree.

    Bottoms (N, C1, H, W), (N, C2, H, W), ...; top (N, C1 + C2 + ..., H, W) by default.
    """

    concat_param = Sub(ConcatParameter, "settings of the layer", number=104)

    bottoms = (1, None)
    blame = {"dim": ("concat_param.axis", "concat_param.concat_dim")}

    def lower(self, net: Builder) -> list[Entry]:
        param: ConcatParameter = self.concat_param
        return net.op("Concat", *net.bottoms, dim=param.concat_dim if param.has("concat_dim") else param.axis)


class EltwiseParameter(Message):
    """Settings of Eltwise."""

    operation = Enum("PROD", "SUM", "MAX", default="SUM", number=1, help="what is done with the elements")
    coeff = Float(help="SUM: a factor for each bottom; default 1", number=2, repeated=True)
    stable_prod_grad = Bool(
        True, "PROD: Caffe's choice of implementation; accepted, without effect", number=3
    )


def _coeff_for_sum(layer: Any, report: Report) -> None:
    """Caffe: coeff once for each bottom, and for sums only."""
    param: EltwiseParameter = layer.eltwise_param
    if not param.coeff:
        return
    if param.operation != "SUM":
        told = f"coeff and operation: {param.operation} are both given"
        report(codes.CONFLICT, "eltwise_param.coeff", told, "coefficients belong to operation: SUM")
    elif layer.bottom and len(param.coeff) != len(layer.bottom):
        told = f"coeff has {len(param.coeff)} entries for {len(layer.bottom)} bottoms"
        report(codes.WRONG_COUNT, "eltwise_param.coeff", told, "give one for each bottom, or leave it out")


class Eltwise(Layer):
    """Sum, product or maximum of its bottoms, element by element.

    Two or more bottoms of one shape, one top of that shape; nothing is broadcast.
    """

    eltwise_param = Sub(EltwiseParameter, "settings of the layer", number=110)

    rules = (*Layer.rules, _coeff_for_sum)
    bottoms = (2, None)
    blame = {"coeff": ("eltwise_param.coeff",)}

    @property
    def inplace(self) -> bool:
        # Caffe clears the top of a SUM before it adds the bottoms, so that the one in place is lost.
        return bool(self.eltwise_param.operation != "SUM")

    def lower(self, net: Builder) -> list[Entry]:
        param: EltwiseParameter = self.eltwise_param
        if param.operation == "SUM":
            coefficients = {"coeff": param.coeff} if param.coeff else {}
            return net.op("ElementWiseSum", *net.bottoms, **coefficients)
        first, second, *others = net.bottoms
        # The operator gives a tie to its left input.  Caffe gives it to the second of the first two bottoms,
        # and never to a later one.
        operator, left, right = (
            ("elemwise_mul", first, second) if param.operation == "PROD" else ("_maximum", second, first)
        )
        result = net.op(operator, left, right, suffix="_0" if others else "")
        for number, bottom in enumerate(others, 1):
            last = number == len(others)
            result = net.op(operator, result[0], bottom, suffix="" if last else f"_{number}")
        return result

"""Layers that slide windows over images: Convolution, Pooling, LRN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netdef.ops.fields import Bool, Enum, Float, Int
from netdef.ops.shapes import Full, ShapeError, show
from netdef.spec import codes
from netdef.spec.layers.activation import ENGINE_HELP
from netdef.spec.layers.base import Builder, Entry, FillerParameter, Layer
from netdef.spec.layers.rules import generic_or_pair, images_only
from netdef.spec.message import Message, Report, Sub


def _divides_outputs(block: Any, report: Report) -> None:
    """`group` divides num_output; whether it divides the input's channels only shapes can tell."""
    if block.num_output % block.group:
        told = f"group {block.group} does not divide num_output {block.num_output}"
        report(codes.BAD_VALUE, "group", told, "give a divisor of num_output")


def _square_for_bilinear(block: Any, report: Report) -> None:
    """A bilinear filler needs square windows over two axes."""
    kernel = block.kernel()
    if block.weight_filler.type == "bilinear" and len({*kernel}) > 1:
        told = f"a bilinear filler needs a square kernel, not {'x'.join(map(str, kernel))}"
        report(codes.BAD_FILLER, "weight_filler.type", told, "give kernel_size, or another filler")
    if block.bias_filler.type == "bilinear":
        told = "a bilinear filler fills the weights of windows, not a bias"
        report(codes.BAD_FILLER, "bias_filler.type", told, "use type: constant")


class ConvolutionParameter(Message):
    """Settings of Convolution.

    kernel_size, stride, pad and dilation are given once for all spatial axes, or once for each of them.
    """

    num_output = Int(min=1, help="number of filters: channels of the top", number=1)
    bias_term = Bool(True, "whether a bias is added", number=2)
    pad = Int(min=0, help="zeros added on both sides; default 0", number=3, repeated=True)
    kernel_size = Int(min=1, help="size of the filters", number=4, repeated=True)
    stride = Int(min=1, help="step between windows; default 1", number=6, repeated=True)
    dilation = Int(min=1, help="step between the elements of a window; default 1", number=18, repeated=True)
    pad_h = Int(0, "zeros added above and below (2-D only)", min=0, number=9)
    pad_w = Int(0, "zeros added left and right (2-D only)", min=0, number=10)
    kernel_h = Int(None, "height of the filters (2-D only)", min=1, number=11)
    kernel_w = Int(None, "width of the filters (2-D only)", min=1, number=12)
    stride_h = Int(None, "vertical step between windows (2-D only)", min=1, number=13)
    stride_w = Int(None, "horizontal step between windows (2-D only)", min=1, number=14)
    group = Int(1, "groups of channels that are convolved apart from each other", min=1, number=5)
    weight_filler = Sub(FillerParameter, "how the weights are filled before training", number=7)
    bias_filler = Sub(FillerParameter, "how the bias is filled before training", number=8)
    engine = Enum("DEFAULT", "CAFFE", "CUDNN", default="DEFAULT", number=15, help=ENGINE_HELP)
    axis = Int(
        1, "axis of the channels; all axes after it are spatial; negative counts from the end", number=16
    )
    force_nd_im2col = Bool(False, "Caffe's choice of implementation; accepted, without effect", number=17)

    rules = (
        generic_or_pair("kernel_size", "kernel_h", "kernel_w"),
        generic_or_pair("stride", "stride_h", "stride_w"),
        generic_or_pair("pad", "pad_h", "pad_w", pair=False),
        _divides_outputs,
        _square_for_bilinear,
    )

    def kernel(self) -> tuple[int, ...]:
        """The size of the window in the operator's form: one number for all spatial axes, or one for each.

        None at all is right for a bottom without spatial axes; for others shape inference reports it.
        """
        return (self.kernel_h, self.kernel_w) if self.has("kernel_h") else self.kernel_size

    def strides(self) -> tuple[int, ...]:
        """The step between windows in the operator's form."""
        return (self.stride_h, self.stride_w) if self.has("stride_h") else self.stride

    def pads(self) -> tuple[int, ...]:
        """The padding in the operator's form."""
        return (self.pad_h, self.pad_w) if self.has("pad_h") or self.has("pad_w") else self.pad


class Convolution(Layer):
    """Convolution: filters slide over the spatial axes (LeCun et al. 1989).

    Each bottom (N..., C, S...) gives one top (N..., num_output, O...), for any number of spatial axes, with
    O = (S + 2 pad - dilation (kernel - 1) - 1) / stride + 1, rounded down.  Several bottoms share
    the weights.  Blobs: weight (num_output, C / group, kernel...), bias (num_output) with bias_term.
    `group` divides both channel counts.
    """

    convolution_param = Sub(ConvolutionParameter, "settings of the layer", number=106)

    bottoms = (1, None)
    tops = (1, None)
    tops_match_bottoms = True
    blobs = 2
    blame = {
        "kernel": tuple(f"convolution_param.{name}" for name in ("kernel_size", "kernel_h", "kernel_w")),
        "stride": tuple(f"convolution_param.{name}" for name in ("stride", "stride_h", "stride_w")),
        "pad": tuple(f"convolution_param.{name}" for name in ("pad", "pad_h", "pad_w")),
        "dilate": ("convolution_param.dilation",),
        "num_filter": ("convolution_param.num_output",),
        "num_group": ("convolution_param.group",),
        "axis": ("convolution_param.axis",),
    }

    def blob_count(self) -> int:
        return 1 + int(self.convolution_param.bias_term)

    def check_bottoms(self, shapes: Sequence[Full]) -> None:
        for shape in shapes[1:]:
            if shape != shapes[0]:
                raise ShapeError(
                    f"its bottoms differ: {show(shapes[0])} and {show(shape)}",
                    hint="give each its own layer, and let them share their blobs by the name in param",
                    kind="input-shapes-differ",
                )

    def lower(self, net: Builder) -> list[Entry]:
        param: ConvolutionParameter = self.convolution_param
        blobs = [net.weight("weight", param.weight_filler)]
        if param.bias_term:
            blobs.append(net.weight("bias", param.bias_filler))
        tops: list[Entry] = []
        for number, bottom in enumerate(net.bottoms):
            tops += net.op(
                "Convolution",
                bottom,
                *blobs,
                suffix=f"_{number}" if number else "",
                num_filter=param.num_output,
                kernel=param.kernel(),
                stride=param.strides(),
                pad=param.pads(),
                dilate=param.dilation,
                num_group=param.group,
                no_bias=not param.bias_term,
                axis=param.axis,
            )
        return tops


_WINDOW = ("kernel_size", "kernel_h", "kernel_w")


def _window_given(layer: Any, report: Report) -> None:
    """Caffe: a pooling window has a size unless it is global."""
    block = layer.pooling_param
    if not block.global_pooling and not any(map(block.has, _WINDOW)):
        told = "pooling_param.kernel_size is missing"
        report(codes.MISSING_FIELD, "pooling_param", told, "give kernel_size, or kernel_h and kernel_w")


def _global_alone(block: Any, report: Report) -> None:
    """Caffe: with global_pooling no kernel, pad 0 and stride 1."""
    if not block.global_pooling:
        return
    for name in filter(block.has, _WINDOW):
        told = f"{name} and global_pooling are both given"
        report(codes.CONFLICT, name, told, "remove it: the window is the whole image")
    for names, value in ((("pad", "pad_h", "pad_w"), 0), (("stride", "stride_h", "stride_w"), 1)):
        for name in names:
            if block.has(name) and getattr(block, name) != value:
                told = f"{name} is not possible with global_pooling"
                report(codes.CONFLICT, name, told, "remove it: there is only one window")


class PoolingParameter(Message):
    """Settings of Pooling."""

    pool = Enum(
        "MAX", "AVE", "STOCHASTIC", default="MAX", number=1, help="the maximum or the mean of each window"
    )
    pad = Int(0, "padding on both sides; it never wins a maximum and counts in a mean", min=0, number=4)
    pad_h = Int(0, "padding above and below", min=0, number=9)
    pad_w = Int(0, "padding left and right", min=0, number=10)
    kernel_size = Int(None, "height and width of the window", min=1, number=2)
    kernel_h = Int(None, "height of the window", min=1, number=5)
    kernel_w = Int(None, "width of the window", min=1, number=6)
    stride = Int(1, "step between windows", min=1, number=3)
    stride_h = Int(None, "vertical step between windows", min=1, number=7)
    stride_w = Int(None, "horizontal step between windows", min=1, number=8)
    engine = Enum("DEFAULT", "CAFFE", "CUDNN", default="DEFAULT", number=11, help=ENGINE_HELP)
    global_pooling = Bool(False, "one window over the whole image", number=12)
    round_mode = Enum(
        "CEIL", "FLOOR", default="CEIL", number=13, help="whether a last window that is cut off counts or not"
    )

    rules = (
        _global_alone,
        generic_or_pair("kernel_size", "kernel_h", "kernel_w"),
        generic_or_pair("stride", "stride_h", "stride_w"),
        generic_or_pair("pad", "pad_h", "pad_w"),
    )

    def kernel(self) -> tuple[int, int]:
        """Height and width of the window; of a global one (1, 1), which the operator passes over."""
        if self.global_pooling:
            return (1, 1)
        return (
            (self.kernel_h, self.kernel_w) if self.has("kernel_h") else (self.kernel_size, self.kernel_size)
        )

    def strides(self) -> tuple[int, int]:
        """The vertical and the horizontal step between windows."""
        return (self.stride_h, self.stride_w) if self.has("stride_h") else (self.stride, self.stride)

    def pads(self) -> tuple[int, int]:
        """The vertical and the horizontal padding."""
        return (self.pad_h, self.pad_w) if self.has("pad_h") else (self.pad, self.pad)


def _computed_pooling(layer: Any, report: Report) -> None:
    """What Caffe has and this version does not compute."""
    if layer.pooling_param.pool == "STOCHASTIC":
        told = "stochastic pooling is not supported (Caffe has it on GPUs only)"
        report(codes.NOT_SUPPORTED, "pooling_param.pool", told, "use pool: MAX or pool: AVE")
    if len(layer.top) == 2:
        told = "the second top, the positions of the maxima, is not supported"
        report(codes.NOT_SUPPORTED, "top", told, "remove it")


class Pooling(Layer):
    """Pooling: the maximum or the mean of windows over images.

    Bottom (N, C, H, W), top (N, C, PH, PW) with PH = (H + 2 pad - kernel) / stride + 1, rounded up (Caffe's
    rule, CEIL) or down (FLOOR); with padding a last window that starts beyond the image and its padding is
    dropped.  `pad` is smaller than the kernel.  The first of equal maxima gets the gradient; a mean divides
    by the window's part of the padded image.
    """

    pooling_param = Sub(PoolingParameter, "settings of the layer", number=121)

    rules = (*Layer.rules, _computed_pooling, _window_given)
    tops = (1, 2)
    blame = {
        "kernel": tuple(f"pooling_param.{name}" for name in ("kernel_size", "kernel_h", "kernel_w")),
        "stride": tuple(f"pooling_param.{name}" for name in ("stride", "stride_h", "stride_w")),
        "pad": tuple(f"pooling_param.{name}" for name in ("pad", "pad_h", "pad_w")),
        "global_pool": ("pooling_param.global_pooling",),
    }

    def check_bottoms(self, shapes: Sequence[Full]) -> None:
        images_only(self.type, shapes)

    def lower(self, net: Builder) -> list[Entry]:
        param: PoolingParameter = self.pooling_param
        return net.op(
            "Pooling",
            net.bottoms[0],
            pool_type={"MAX": "max", "AVE": "avg"}[param.pool],
            kernel=param.kernel(),
            stride=param.strides(),
            pad=param.pads(),
            global_pool=param.global_pooling,
            pooling_convention={"CEIL": "clip", "FLOOR": "valid"}[param.round_mode],
        )


def _odd_size(block: Any, report: Report) -> None:
    """A window has a middle."""
    if block.local_size % 2 == 0:
        told = f"local_size {block.local_size} is even"
        report(codes.BAD_VALUE, "local_size", told, "give an odd number, so that the window has a middle")


class LRNParameter(Message):
    """Settings of LRN."""

    local_size = Int(5, "channels, or height and width, of the window; odd", min=1, number=1)
    alpha = Float(
        1.0, "weight of the squares; it is divided by the number of elements of the window", number=2
    )
    beta = Float(0.75, "the exponent", number=3)
    norm_region = Enum(
        "ACROSS_CHANNELS", "WITHIN_CHANNEL", default="ACROSS_CHANNELS", number=4, help="where the window lies"
    )
    k = Float(1.0, "the constant; WITHIN_CHANNEL takes 1 whatever it says, as in Caffe", number=5)
    engine = Enum("DEFAULT", "CAFFE", "CUDNN", default="DEFAULT", number=6, help=ENGINE_HELP)

    rules = (_odd_size,)


class LRN(Layer):
    """Local response normalisation (Krizhevsky, Sutskever and Hinton 2012).

    Bottom and top (N, C, H, W): x (k + alpha / n sum x^2)^-beta, the sum over a window of n = local_size
    channels, or within each channel over n = local_size^2 neighbours, both padded with zeros.
    """

    lrn_param = Sub(LRNParameter, "settings of the layer", number=118)

    blame = {
        "nsize": ("lrn_param.local_size",),
        "norm_region": ("lrn_param.norm_region",),
    }

    def check_bottoms(self, shapes: Sequence[Full]) -> None:
        images_only(self.type, shapes)

    def lower(self, net: Builder) -> list[Entry]:
        param: LRNParameter = self.lrn_param
        return net.op(
            "LRN",
            net.bottoms[0],
            nsize=param.local_size,
            alpha=param.alpha,
            beta=param.beta,
            knorm=param.k,
            norm_region=param.norm_region,
        )

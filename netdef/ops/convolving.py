"""What convolution and deconvolution share."""

from __future__ import annotations

import copy
import math
from collections.abc import Collection
from typing import Any, ClassVar

from netdef.ops import layouts, windows
from netdef.ops.arrays import batch_last
from netdef.ops.base import WIDE, Op, Workspace
from netdef.ops.conv_algorithm import Algorithm
from netdef.ops.conv_blocks import joined
from netdef.ops.conv_choice import PLAIN, Choice, choose
from netdef.ops.conv_sizes import Sizes
from netdef.ops.fields import Bool, Dims, Hint, Int
from netdef.ops.foreign import Fixed, Lost, To
from netdef.ops.shapes import Full, ShapeError, Shapes


class Convolving(Op, abstract=True):
    """What convolution and deconvolution share: attributes, inputs, groups, layouts and algorithms."""

    kernel = Dims(help="size of the filters: one number, or one for each spatial axis", min=1)
    stride = Dims((), "step between windows; default 1", min=1)
    dilate = Dims((), "step between the elements of a window; default 1", min=1)
    pad = Dims((), "zeros added on both sides; default 0", min=0)
    num_filter = Int(min=1, help="number of filters: channels of the output")
    num_group = Int(1, "groups of channels that are convolved apart from each other", min=1)
    no_bias = Bool(False, "leave out the bias")
    layout = layouts.Layout()
    workspace = Hint()
    cudnn_tune = Hint()
    cudnn_off = Hint()

    inputs: ClassVar[tuple[str, ...]] = ("data", "weight", "bias")
    begins: ClassVar[tuple[str, ...]] = (
        *inputs,
        "kernel",
        "stride",
        "dilate",
        "pad",
        "num_filter",
        "num_group",
        "workspace",
    )
    batched: ClassVar[tuple[str, ...]] = ("data", "output")
    batch_last = True
    steady = ("forward", "backward")
    scratch: ClassVar[tuple[str, ...]] = ("space", "filters")
    #: the pass of the convolution that computes each tensor
    computed: ClassVar[dict[str, str]]
    #: the algorithm of each pass; None where nobody has tuned the operator
    choice: Choice | None = None

    def input_names(self) -> tuple[str, ...]:
        return self.inputs[:2] if self.no_bias else self.inputs

    def _windows(self, rank: int) -> windows.Windows:
        return windows.windows(rank, self.kernel, self.stride, self.pad, self.dilate)

    def _require_groups_of(self, number: int, what: str) -> None:
        if number < 1:
            raise ShapeError(f"data has no {what}", tensor="data")
        if number % self.num_group:
            raise ShapeError(
                f"{self.num_group} groups do not divide {number} {what}",
                tensor="data",
                attribute="num_group",
                hint=f"group: {math.gcd(number, self.num_group)} would do",
                kind="group-not-dividing-channels",
            )

    def _seen(self, xp: Any, array: Any) -> Any:
        """An array with its channels second, whatever the layout."""
        return None if array is None else layouts.seen(xp, self.layout, array)

    def _sizes(self, data: Full, weight: Full = ()) -> Sizes:
        """The sizes of the convolution for data with its channels second.

        Where a piece has but some of the filters, its `weight` says which.
        """
        raise NotImplementedError

    def _weight(self, xp: Any, weight: Any, filters: Any) -> Any:
        """The weight as (filters, channels of a group, k...), side by side in memory, as it is multiplied."""
        turned = with_axis(self._seen(xp, weight))
        if filters is None:
            return turned
        filters = filters.reshape(turned.shape)
        xp.copyto(filters, turned)
        return filters

    # -- algorithms --

    def tuned(
        self,
        s: Shapes,
        dtype: str,
        wanted: str = "",
        constant: Collection[str] = (),
        channels_last: bool = False,
    ) -> Op:
        sizes = self._sizes(layouts.inwards(self.layout, s.full("data")))
        twin = copy.copy(self)
        object.__setattr__(twin, "choice", choose(sizes, dtype, wanted, "weight" in constant, channels_last))
        return twin

    def algorithm(self, written: Collection[str]) -> str:
        passes = {name: which for name, which in self.computed.items() if name in written}
        if self.choice is None or not passes:
            return ""
        if "output" in passes:
            return self.choice.told(passes["output"])
        return ", ".join(f"{name} {self.choice.told(which)}" for name, which in passes.items())

    def _by(self, tensor: str) -> Algorithm:
        """What computes a tensor."""
        return (self.choice or PLAIN).algorithm(self.computed[tensor])

    def _possible(self, s: Shapes) -> list[Sizes]:
        """The sizes of the convolution for complete shapes: several where a piece may be any part of it."""
        data, weight = (layouts.inwards(self.layout, s.full(name)) for name in ("data", "weight"))
        return [self._sizes(data, weight)]

    def seconds(self, s: Shapes, written: Collection[str]) -> float:
        *_, sizes = self._possible(s)
        return 1e-9 * sum(
            self._by(name).cost(sizes, which) for name, which in self.computed.items() if name in written
        )

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        tensors = ("ddata", "dweight") if backward else ("output",)
        space = max(
            self._by(tensor).room(sizes, self.computed[tensor])
            for tensor in tensors
            for sizes in self._possible(s)
        )
        if backward:
            space = max(space, math.prod(s.full("output")) // self.num_filter)
        spaces = {"space": Workspace((space,), WIDE)}
        # Where the dtype is not known yet, it may be one that is not multiplied as it is.
        if layouts.channels_last(self.layout) or self.choice is None or self.choice.widens:
            spaces["filters"] = Workspace(s.full("weight"), WIDE)
        return spaces


def bias_gradient(xp: Any, doutput: Any, dbias: Any, space: Any) -> None:
    """dbias (F,) from doutput (N, F, O...), with a workspace of an element for each of N and O...

    With the batch last, one product with ones takes a quarter of the time of numpy's sums.
    """
    last = batch_last(doutput)
    if joined(last, space) and dbias.dtype == space.dtype:
        matrix = last.reshape(last.shape[0], math.prod(last.shape[1:]))
        ones = space[: matrix.shape[1]]
        xp.copyto(ones, 1)
        xp.matmul(matrix, ones, out=dbias)
    else:
        xp.sum(doutput, axis=(0, *range(2, doutput.ndim)), out=dbias)


#: what stands for the axes of data that have none
POINT = windows.Axis(size=1, kernel=1, stride=1, pad=0, dilate=1, windows=1)


def with_axis(array: Any) -> Any:
    """An array with its channels second; one without spatial axes has one of a single element."""
    return array[..., None] if array is not None and array.ndim == 2 else array


#: what both say alike in ONNX
ONNX: dict[str, To | Fixed | Lost | str] = {
    "kernel": "kernel_shape",
    "stride": "strides",
    "dilate": "dilations",
    "pad": "pads",
    "num_filter": Lost("the shape of the weight says it"),
    "num_group": "group",
    "no_bias": Lost("the absence of the third input says it"),
    "layout": Fixed(None, ("NCW", "NCHW", "NCDHW")),
    **dict.fromkeys(("workspace", "cudnn_tune", "cudnn_off"), Lost("advice for MXNet's backends")),
}

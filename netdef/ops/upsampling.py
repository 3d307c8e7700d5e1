"""Up-sampling."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from netdef.ops import windows
from netdef.ops.base import MOST_TENSORS, Op, Workspace
from netdef.ops.conv_algorithm import DATA, FORWARD, WEIGHT
from netdef.ops.conv_choice import PLAIN
from netdef.ops.conv_sizes import Sizes
from netdef.ops.epilogue import NOTHING
from netdef.ops.fields import Enum, Hint, Int
from netdef.ops.shapes import Full, ShapeError, Shapes, show


class UpSampling(Op):
    """Enlarge images by a whole factor.

    * nearest: every element is repeated.  The first input (N, C, H, W) is enlarged `scale` times; any further
      one (N, C', H', W') by the factor that makes it as large.  Several are put together along the channels
      (`concat`), or added (`sum`, for equal C).
    * bilinear: one input data (N, C, H, W) and weight (C, 1, k, k), a deconvolution of each channel with
      kernel k = 2 * scale - scale % 2, stride `scale` and pad ceil((scale - 1) / 2).  The weight is learnt;
      MXNet's initializer `bilinear` makes it interpolate.

    The output is (N, C..., H * scale, W * scale).  MXNet's UpSampling.
    """

    scale = Int(min=1, help="how many times as high and wide the first input becomes")
    num_filter = Int(0, "number of channels, for bilinear; 0 to leave it to the data", min=0)
    sample_type = Enum("nearest", "bilinear", help="how elements come into being")
    multi_input_mode = Enum(
        "concat", "sum", default="concat", help="what becomes of several inputs of nearest"
    )
    num_args = Int(
        1,
        "number of inputs, set by composition; bilinear has two whatever it says",
        min=1,
        max=MOST_TENSORS,
    )
    workspace = Hint()

    variadic = True
    inputs = ("data", "weight")
    scratch = ("space",)
    initial = {"weight": '["bilinear", {}]', "arg1": '["bilinear", {}]'}
    work = 0
    examples = (
        ({"scale": 2, "sample_type": "nearest"}, {"arg0": (2, 3, 2, 3)}),
        (
            {"scale": 2, "sample_type": "nearest", "num_args": 3},
            {"arg0": (2, 1, 2, 3), "arg1": (2, 2, 4, 6), "arg2": (2, 1, 2, 3)},
        ),
        (
            {"scale": 3, "sample_type": "nearest", "num_args": 2, "multi_input_mode": "sum"},
            {"arg0": (2, 2, 2, 1), "arg1": (2, 2, 6, 3)},
        ),
        ({"scale": 2, "sample_type": "bilinear", "num_filter": 2, "num_args": 2}, {"data": (2, 2, 3, 2)}),
        ({"scale": 3, "sample_type": "bilinear"}, {"data": (2, 3, 2, 2)}),
        ({"scale": 1, "sample_type": "bilinear"}, {"data": (2, 3, 2, 2)}),
    )

    def input_names(self) -> tuple[str, ...]:
        if self.sample_type == "bilinear":
            return self.inputs
        return tuple(f"arg{i}" for i in range(self.num_args))

    # -- shapes ----------------------------------------------------------------------------------------------

    def shape(self, s: Shapes) -> None:
        names = self.input_names()
        first = s.rank(names[0], 4, "(batch, channels, height, width)")
        if first is not None and len(first) > 4:
            raise ShapeError(f"{names[0]} is {show(first)}, but images have 4 axes", tensor=names[0])
        if first is not None:
            sizes = tuple(size and size * self.scale for size in first[2:])
            rule = f"{names[0]} is {show(first)} and scale is {self.scale}"
            s.merge("output", (first[0], None, *sizes), rule)
        output = s["output"]
        if output is not None:
            sizes = tuple(
                None if size is None or size % self.scale else size // self.scale for size in output[2:]
            )
            s.merge(
                names[0], (output[0], None, *sizes), f"output is {show(output)} and scale is {self.scale}"
            )
        if self.sample_type == "bilinear":
            self._bilinear_shape(s)
        else:
            self._nearest_shape(s, names)

    def _bilinear_shape(self, s: Shapes) -> None:
        if self.num_filter:
            s.merge("data", (None, self.num_filter, None, None), f"num_filter is {self.num_filter}")
        data = s["data"]
        channels = None if data is None else data[1]
        axis = self._axis(1)
        s.merge(
            "weight", (channels, 1, axis.kernel, axis.kernel), f"data is {show(data)}, scale {self.scale}"
        )
        known = s["weight"] or ()
        s.merge("data", (None, known[0], None, None), f"weight is {show(s['weight'])}")
        s.merge("output", (None, known[0], None, None), f"data is {show(data)}")

    def _nearest_shape(self, s: Shapes, names: tuple[str, ...]) -> None:
        output = s["output"]
        for name in names:
            shape = s.rank(name, 4, "(batch, channels, height, width)")
            if output is None or shape is None:
                continue
            s.merge(name, (output[0], None, None, None), f"the output has a batch of {output[0]}")
            self._require_factor(name, shape, output)
        shapes = [s[name] for name in names]
        if self.multi_input_mode == "sum":
            for name, shape in zip(names, shapes):
                rule = f"{name} is {show(shape)} and all channels are added"
                s.merge("output", None if shape is None else (None, shape[1], None, None), rule)
            for name in names:
                whole = s["output"]
                rule = f"output is {show(whole)} and all channels are added"
                s.merge(name, None if whole is None else (None, whole[1], None, None), rule)
            return
        channels = [None if shape is None else shape[1] for shape in shapes]
        total = None if None in channels else sum(channels)  # type: ignore[arg-type]
        s.merge("output", (None, total, None, None), f"the inputs have {total} channels together")
        if channels.count(None) == 1 and s["output"][1] is not None:  # type: ignore[index]
            left = s["output"][1] - sum(c for c in channels if c is not None)  # type: ignore[index]
            name = names[channels.index(None)]
            if left < 1:
                raise ShapeError(f"{name} would have {left} channels: the others have too many", tensor=name)
            s.merge(name, (None, left, None, None))

    def _require_factor(
        self, name: str, shape: tuple[int | None, ...], output: tuple[int | None, ...]
    ) -> None:
        """Raise `ShapeError` where no whole factor makes an input as large as the output."""
        factors = set()
        for size, whole in zip(shape[2:], output[2:]):
            if size is not None and whole is not None:
                factors.add(whole // size if size and whole % size == 0 else None)
        if None in factors or len(factors) > 1:
            raise ShapeError(
                f"{name} is {show(shape)}, which no whole factor makes as large as {show(output[2:])}",
                tensor=name,
                attribute="scale",
            )

    def _axis(self, size: int) -> windows.Axis:
        """One spatial axis of the convolution that bilinear up-sampling is the gradient of."""
        scale = self.scale
        return windows.Axis(size * scale, 2 * scale - scale % 2, scale, scale // 2, 1, windows=size)

    def _sizes(self, data: Full) -> Sizes:
        axes = tuple(self._axis(size) for size in data[2:])
        return Sizes(data[0], data[1], data[1], data[1], axes)

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        if self.sample_type == "nearest":
            return {}
        sizes = self._sizes(s.full("data"))
        passes = (FORWARD, WEIGHT) if backward else (DATA,)
        return {"space": Workspace((max(PLAIN.algorithm(which).room(sizes, which) for which in passes),))}

    def macs(self, s: Shapes) -> int:
        if self.sample_type == "nearest":
            return 0
        return math.prod(s.full("data")) * math.prod(s.full("weight")[1:])

    # -- kernels ---------------------------------------------------------------------------------------------

    def _repeated(self, args: list[Any], output: Any) -> Iterator[tuple[Any, Any]]:
        """Each input with its part of the output, seen as (N, C, H, factor, W, factor)."""
        start = 0
        for arg in args:
            batch, channels, height, width = arg.shape
            factor = output.shape[2] // height if height else 1
            stop = start + channels
            part = output if self.multi_input_mode == "sum" else output[:, start:stop]
            yield arg, part.reshape(batch, channels, height, factor, width, factor)
            start = stop

    def forward(self, xp: Any, args: list[Any], output: Any, space: Any) -> None:
        if self.sample_type == "bilinear":
            data, weight = args
            PLAIN.data.data_gradient(xp, self._sizes(data.shape), data, weight, output, space)
            return
        added = False
        for arg, part in self._repeated(args, output):
            source = arg[:, :, :, None, :, None]
            if added:
                xp.add(part, source, out=part)
            else:
                xp.copyto(part, source)
            added = self.multi_input_mode == "sum"

    def backward(self, xp: Any, doutput: Any, args: list[Any], dargs: list[Any], space: Any) -> None:
        if self.sample_type == "bilinear":
            (data, weight), (ddata, dweight) = args, dargs
            sizes = self._sizes(data.shape)
            if ddata is not None:
                PLAIN.forward.correlate(xp, sizes, doutput, weight, NOTHING, ddata, space)
            if dweight is not None:
                PLAIN.weight.weight_gradient(xp, sizes, data, doutput, dweight, space)
            return
        for number, (_, part) in enumerate(self._repeated(args, doutput)):
            if dargs[number] is not None:
                part.sum(axis=(3, 5), out=dargs[number])

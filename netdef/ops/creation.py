"""Operators that make tensors from their attributes, or from a shape alone."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from netdef.ops.arrays import as_stored
from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Bool, Dims, DType, Float, Hint, Int
from netdef.ops.foreign import As
from netdef.ops.shapes import Shape, ShapeError, Shapes, show

FLOATS = ("float16", "float32", "float64")
NUMBERS = (*FLOATS, "int8", "uint8", "int32", "int64")
#: MXNet's numbers for dtypes
CODES = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64")


class Device(Hint):
    """The device that MXNet creates the array on."""

    def __init__(self) -> None:
        super().__init__("MXNet's device for the array, without effect: a plan runs on one device")


def wanted(shape: tuple[int, ...] | None) -> Shape:
    """A shape attribute as a partial shape: nothing, or 0 for a size, is what the reader needs."""
    return tuple(size or None for size in shape) if shape else None


class _Created(Op, abstract=True):
    """A tensor without inputs: -> output."""

    inputs = ()
    work = 0

    def types(self, t: Shapes) -> None:
        t.merge("output", self.dtype)  # type: ignore[attr-defined]


class _Filled(_Created, abstract=True):
    """A tensor of one number."""

    shape_ = Dims((), "the shape; 0, or nothing at all, is what the reader needs", min=0)
    ctx = Device()
    dtype = DType(*NUMBERS, "bool", default="float32", help="the dtype")

    examples: ClassVar[Any] = (
        ({}, {"output": (4, 3)}),
        ({"shape": (0, 3)}, {"output": (4, 3)}),
        ({"shape": (2, 3)}, {}),
        ({"shape": 2, "dtype": "int32"}, {}),
    )
    value: float = 0

    def shape(self, s: Shapes) -> None:
        s.merge("output", wanted(self.shape_), f"the attribute says {self.shape_}", "shape")

    def forward(self, xp: Any, output: Any) -> None:
        output[...] = as_stored(self.value, output.dtype)


class Zeros(_Filled):
    """Zeros: -> output."""

    names = ("_zeros",)


class Ones(_Filled):
    """Ones: -> output."""

    names = ("_ones",)
    value = 1


class Fill(_Filled):
    """One number in every place: -> output.  Whole numbers take it as C does: without its fraction."""

    shape_ = Dims(None, "the shape; 0, or nothing at all, is what the reader needs", min=0)
    value = Float(help="the number", infinite=True)

    names = ("_full",)
    examples: ClassVar[Any] = (
        ({"value": 2.5}, {"output": (4, 3)}),
        ({"value": -2.5, "shape": (2, 3), "dtype": "int32"}, {}),
    )


class ZerosWithoutDType(_Filled):
    """Zeros of the dtype that the reader needs: -> output."""

    shape_ = Dims(None, "the shape; 0, or nothing at all, is what the reader needs", min=0)
    dtype = Int(-1, "MXNet's number of the dtype; -1: what the reader needs", min=-1, max=len(CODES) - 1)

    names = ("_zeros_without_dtype",)
    examples: ClassVar[Any] = (
        ({}, {"output": (4, 3)}),
        ({"shape": (2, 3), "dtype": 4}, {}),
    )

    def types(self, t: Shapes) -> None:
        t.merge("output", CODES[self.dtype] if self.dtype >= 0 else None)  # type: ignore[arg-type]


def ramp(xp: Any, numbers: Any, start: float, step: float, repeat: int = 1) -> None:
    """Write start, start + step, ... to a workspace of float64, each number `repeat` times."""
    numbers.fill(0)
    numbers[::repeat] = 1
    xp.cumsum(numbers, out=numbers)  # 1, 1, 2, 2, ...: an arange that allocates nothing
    xp.subtract(numbers, 1, out=numbers)
    xp.multiply(numbers, step, out=numbers)
    xp.add(numbers, start, out=numbers)


class _Ramp(_Created, abstract=True):
    """Numbers at equal distances."""

    scratch = ("numbers",)

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {} if backward else {"numbers": Workspace((math.prod(s.full("output")),), "float64")}


class Arange(_Ramp):
    """Numbers at equal distances, each `repeat` times: -> output (count*repeat,).

    start, start + step, ... as long as that is before `stop`.  Without `stop` they begin at 0 and `start` is
    the end; with `infer_range`, they begin at `start` and fill the shape that the reader needs, in row-major
    order.  Integer dtypes lose the fractions of start and step.  MXNet's _arange, whose float16 loses them,
    too; here it does not.
    """

    start = Float(help="the first number; without stop the number behind the last one")
    stop = Float(None, "the number behind the last one")
    step = Float(1.0, "distance between numbers; not 0")
    repeat = Int(1, "how often each number stands", min=1)
    infer_range = Bool(False, "without stop: the reader's shape says how many numbers there are")
    ctx = Device()
    dtype = DType(*NUMBERS, default="float32", help="the dtype")

    names = ("_arange",)
    examples = (
        ({"start": 3}, {}),
        ({"start": 2, "stop": 8, "step": 1.5}, {}),
        ({"start": 3, "stop": -1, "step": -0.5, "repeat": 2}, {}),
        ({"start": 1.5, "step": 2, "repeat": 2, "infer_range": True}, {"output": (6,)}),
        ({"start": 1, "stop": 6, "step": 1.5, "dtype": "int32"}, {}),
    )

    def shape(self, s: Shapes) -> None:
        if self.step == 0:
            raise ShapeError("step is 0", attribute="step", hint="give another number")
        if self.stop is None and self.infer_range:
            return
        start, stop = self._ends()
        count = math.ceil((stop - start) / self.step)
        if count < 1:
            told = f"there is no number from {start:g} to before {stop:g} in steps of {self.step:g}"
            raise ShapeError(told, attribute="stop")
        s.merge("output", (count * self.repeat,), f"{count} numbers, {self.repeat} times each", "stop")

    def _ends(self) -> tuple[float, float]:
        return (0.0, self.start) if self.stop is None else (self.start, self.stop)

    def forward(self, xp: Any, output: Any, numbers: Any) -> None:
        start = self.start if self.infer_range else self._ends()[0]
        step = self.step
        if not self.dtype.startswith("float"):
            start, step = int(start), int(step)
        ramp(xp, numbers, start, step, self.repeat)
        output[...] = numbers.reshape(output.shape)


class Linspace(_Ramp):
    """`num` numbers at equal distances from `start` to `stop`: -> output (num,).  MXNet's _linspace."""

    start = Float(help="the first number")
    stop = Float(help="the last number, or the one behind it")
    num = Int(help="how many numbers", min=0)
    endpoint = Bool(True, "whether stop is the last number")
    ctx = Device()
    dtype = DType(*NUMBERS, default="float32", help="the dtype")

    names = ("_linspace",)
    examples = (
        ({"start": 2, "stop": 3, "num": 5}, {}),
        ({"start": 2, "stop": -3, "num": 4, "endpoint": False}, {}),
        ({"start": 2, "stop": 3, "num": 1}, {}),
        ({"start": 0, "stop": 5, "num": 4, "dtype": "int32"}, {}),
    )

    def shape(self, s: Shapes) -> None:
        s.merge("output", (self.num,), f"num is {self.num}", "num")

    def forward(self, xp: Any, output: Any, numbers: Any) -> None:
        ramp(xp, numbers, self.start, (self.stop - self.start) / max(1, self.num - self.endpoint))
        output[...] = numbers


class Eye(_Created):
    """Ones on one diagonal and zeros elsewhere: -> output (N, M).  MXNet's _eye."""

    N = Int(help="number of rows", min=0)
    M = Int(0, "number of columns; 0: as many as rows", min=0)
    k = Int(0, "which diagonal: 0 the main one, above it positive, below it negative")
    ctx = Device()
    dtype = DType(*NUMBERS, default="float32", help="the dtype")

    names = ("_eye",)
    examples = (
        ({"N": 3}, {}),
        ({"N": 2, "M": 4, "k": 1}, {}),
        ({"N": 4, "M": 2, "k": -2}, {}),
        ({"N": 2, "k": 5}, {}),
    )

    def shape(self, s: Shapes) -> None:
        s.merge("output", (self.N, self.M or self.N), f"N is {self.N} and M {self.M}", "N")

    def forward(self, xp: Any, output: Any) -> None:
        output[...] = 0
        part = output[max(-self.k, 0) :, max(self.k, 0) :]
        length = min(part.shape)
        xp.einsum("ii->i", part[:length, :length])[...] = 1


class ShapeArray(Op):
    """The sizes of the data: data -> output (number of axes,) of int64.  MXNet's shape_array."""

    names = ("shape_array",)
    work = 0
    onnx = (As("Shape"),)
    examples = (({}, {"data": (4, 3, 2)}), ({}, {"data": (4,)}))

    def shape(self, s: Shapes) -> None:
        if s["data"] is not None:
            s.merge("output", (len(s["data"] or ()),), f"data is {show(s['data'])}")

    def types(self, t: Shapes) -> None:
        t.merge("output", "int64")  # type: ignore[arg-type]

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        for axis, size in enumerate(data.shape):
            output[axis] = size


class SizeArray(Op):
    """The number of elements of the data: data -> output (1,) of int64.  MXNet's size_array."""

    names = ("size_array",)
    work = 0
    examples = (({}, {"data": (4, 3, 2)}),)

    def shape(self, s: Shapes) -> None:
        s.merge("output", (1,))

    def types(self, t: Shapes) -> None:
        t.merge("output", "int64")  # type: ignore[arg-type]

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        output[0] = data.size

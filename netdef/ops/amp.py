"""What MXNet's automatic mixed precision adds to a graph: casts of some dtypes only, checks for overflow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netdef.ops.base import MOST_TENSORS, Op, Workspace
from netdef.ops.fields import Bool, DType, Int
from netdef.ops.shapes import Shapes, Types, prod

#: what is cast; float64 and whole numbers stay as they are
_CAST = ("float16", "float32")


class AmpCast(Op):
    """Half and single precision in another dtype, everything else as it is: data -> output of the same shape.

    The gradient is cast back.  MXNet's amp_cast.
    """

    dtype = DType(
        *("float16", "float32", "float64", "uint8", "int8", "int32", "int64"),
        help="the dtype of the output where data are float16 or float32",
    )

    names = ("amp_cast",)
    work = 0
    examples = (({"dtype": "float32"}, {"data": (4, 3)}), ({"dtype": "float16"}, {"data": (4, 3)}))

    def types(self, t: Types) -> None:  # type: ignore[override]
        data: Any = t["data"]
        if data in _CAST:
            t.merge("output", self.dtype, f"data, {data}, are cast to {self.dtype}")
        elif data is not None:
            t.merge("output", data, f"data, {data}, are not cast")

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        xp.copyto(output, data, casting="unsafe")

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        xp.copyto(ddata, doutput, casting="unsafe")


class AmpMulticast(Op):
    """Half and single precision in one dtype: data_0, data_1, ... -> output0, output1, ..., shaped as they.

    The dtype is that of the first input, or float32 if one of them has it; with `cast_narrow` float16 if one
    of them has that.  Inputs of other dtypes stay as they are.  MXNet's amp_multicast.
    """

    num_outputs = Int(help="number of inputs, and of outputs", min=1, max=MOST_TENSORS)
    cast_narrow = Bool(False, "cast to float16, not to float32, where both occur")

    names = ("amp_multicast",)
    listed = splits = True
    inputs, outputs = (), ()
    work = 0
    examples = (
        ({"num_outputs": 2}, {"data_0": (4, 3), "data_1": (2,)}),
        ({"num_outputs": 1, "cast_narrow": True}, {"data_0": (4, 3)}),
    )

    def input_names(self) -> tuple[str, ...]:
        return tuple(f"data_{number}" for number in range(self.num_outputs))

    def output_names(self) -> tuple[str, ...]:
        return tuple(f"output{number}" for number in range(self.num_outputs))

    def visible_outputs(self) -> int:
        return self.num_outputs

    def shape(self, s: Shapes) -> None:
        for pair in zip(self.input_names(), self.output_names()):
            s.same(*pair)

    def types(self, t: Types) -> None:  # type: ignore[override]
        given: list[Any] = [t[name] for name in self.input_names()]
        decisive = "float16" if self.cast_narrow else "float32"
        if None in given:
            return
        common = decisive if decisive in given else given[0]
        for name, dtype in zip(self.output_names(), given):
            t.merge(name, common if dtype in _CAST else dtype, f"the inputs are {', '.join(given)}")

    def forward(self, xp: Any, args: Any, outs: Any) -> None:
        for data, output in zip(args, outs):
            xp.copyto(output, data, casting="unsafe")

    def backward(self, xp: Any, douts: Any, dargs: Any) -> None:
        for head, gradient in zip(douts, dargs):
            if gradient is None:
                continue
            if head is None:
                gradient.fill(0)
            else:
                xp.copyto(gradient, head, casting="unsafe")


class _Finite(Op, abstract=True):
    """Whether all numbers are finite: 1 or 0 in float32, as output (1,); no gradient passes."""

    init_output = Bool(True, "advice for arrays that are written in turn; every output here starts anew")

    scratch = ("finite", "every")

    def shape(self, s: Shapes) -> None:
        s.merge("output", (1,))

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.floating(*self.input_names())
        t.same(*self.input_names())
        t.merge("output", "float32", "the answer is a float32")

    def flops(self, s: Shapes) -> int:
        return sum(prod(s.full(name)) or 0 for name in self.input_names())

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        most = max(prod(s.full(name)) or 0 for name in self.input_names())
        return {"finite": Workspace((most,), "bool"), "every": Workspace((), "bool")}

    @staticmethod
    def _judge(xp: Any, arrays: Sequence[Any], output: Any, finite: Any, every: Any) -> None:
        output.fill(1)
        for array in arrays:
            marks = finite[: array.size].reshape(array.shape)
            xp.isfinite(array, out=marks)
            marks.all(out=every)
            xp.multiply(output, every, out=output)


class AllFinite(_Finite):
    """Whether no number is infinite or NaN: data -> output (1,), 1 or 0 in float32.

    No gradient passes.  MXNet's all_finite.
    """

    names = ("all_finite",)
    examples = (({}, {"data": (4, 3)}),)

    def forward(self, xp: Any, data: Any, output: Any, finite: Any, every: Any) -> None:
        self._judge(xp, (data,), output, finite, every)


class MultiAllFinite(_Finite):
    """Whether no number of several tensors is infinite or NaN: array_0, array_1, ... -> output (1,).

    The answer is 1 or 0 in float32, the inputs have one dtype, and no gradient passes.  MXNet's
    multi_all_finite.
    """

    num_arrays = Int(1, "number of inputs", min=1, max=MOST_TENSORS)

    names = ("multi_all_finite",)
    listed = True
    inputs = ()
    examples = (({"num_arrays": 2}, {"array_0": (4, 3), "array_1": (2,)}),)

    def input_names(self) -> tuple[str, ...]:
        return tuple(f"array_{number}" for number in range(self.num_arrays))

    def forward(self, xp: Any, args: Any, output: Any, finite: Any, every: Any) -> None:
        self._judge(xp, args, output, finite, every)

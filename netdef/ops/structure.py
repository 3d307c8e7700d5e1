"""Operators that move elements without changing them."""

from __future__ import annotations

from typing import Any, ClassVar

from netdef.ops.base import Op, Variadic
from netdef.ops.fields import Int
from netdef.ops.foreign import As, Fixed, Lost, To
from netdef.ops.shapes import Shape, ShapeError, Shapes, merge, prod, show


def new_axis(s: Shapes, name: str, axis: int) -> int:
    """Where an axis that is added to a tensor of known rank stands, counted from the front."""
    rank = len(s[name] or ()) + 1
    if not -rank <= axis < rank:
        raise ShapeError(
            f"axis {axis} is out of range for {name} {show(s[name])} with one axis more",
            tensor=name,
            attribute="axis",
            hint=f"from {-rank} to {rank - 1}",
        )
    return axis % rank


class SameMemory(Op, abstract=True):
    """An operator whose output is the memory of its data in another shape."""

    work = 0
    batch_last = None
    inplace: ClassVar[tuple[tuple[str, str], ...]] = (("data", "output"), ("doutput", "ddata"))

    def view(self, train: bool) -> tuple[str, str] | None:
        return "data", "output"

    def samples(self, s: Shapes) -> tuple[str, ...]:
        names = (self.inputs[0], "output")
        first, second = (s.full(name)[:1] for name in names)
        return names if first == second != () else ()

    def forward(self, xp: Any, data: Any, output: Any) -> None:
        output[...] = data.reshape(output.shape)

    def backward(self, xp: Any, doutput: Any, ddata: Any) -> None:
        ddata[...] = doutput.reshape(ddata.shape)


class Flatten(SameMemory):
    """The axes `axis` to `end_axis` as one: data (N, A, B, ...) -> output (N, A*B*...) by default.

    MXNet's Flatten with the fields of Caffe's.  An axis just behind the last one adds an axis of size 1, as
    MXNet does for data of one axis.  The output is the memory of the data.
    """

    axis = Int(1, "first axis to flatten; negative counts from the end")
    end_axis = Int(-1, "last axis to flatten; negative counts from the end")

    names = ("Flatten", "flatten")
    onnx = (As("Flatten", axis=To("axis", {1: 1}, absent=1), end_axis=Fixed(-1)),)
    examples = (
        ({}, {"data": (4, 3, 2, 2)}),
        ({}, {"data": (4,)}),
        ({"axis": 0, "end_axis": 1}, {"data": (4, 3, 2)}),
        ({"axis": -2}, {"data": (4, 3, 2)}),
        ({"axis": 1, "end_axis": 1}, {"data": (4, 3, 2)}),
    )

    def shape(self, s: Shapes) -> None:
        data = s["data"]
        if data is None:
            return
        first = len(data) if self.axis == len(data) else s.axis("data", self.axis)
        last = len(data) - 1 if self.end_axis == -1 else s.axis("data", self.end_axis, "end_axis")
        if last < first - (first == len(data)):
            raise ShapeError(
                f"end_axis {self.end_axis} lies before axis {self.axis} of data {show(data)}",
                tensor="data",
                attribute="end_axis",
                hint=f"from {first} to {len(data) - 1}",
            )
        after = len(data) - last - 1
        s.merge("output", (*data[:first], prod(data[first : last + 1]), *data[last + 1 :]))
        output = s["output"]
        assert output is not None, "merged just now"
        s.merge("data", (*output[:first], *data[first : last + 1], *output[len(output) - after :]))


class Reinterpret(SameMemory):
    """The same elements under the shape that their reader needs: data -> output of as many elements.

    Caffe's `share_mode: PERMISSIVE`: a layer uses another one's blob as if it had its own shape.  The output
    is the memory of the data.
    """

    examples = (({}, {"data": (4, 6), "output": (4, 3, 2)}),)

    def shape(self, s: Shapes) -> None:
        given, needed = (None if s[name] is None else prod(s[name] or ()) for name in ("data", "output"))
        if given is not None and needed is not None and given != needed:
            raise ShapeError(
                f"the shared blob is {show(s['data'])}, {given} elements, but {show(s['output'])} is needed",
                tensor="data",
                hint="share blobs of equal size only",
            )


class Concat(Variadic):
    """Tensors one after the other along the axis `dim`: arg0, arg1, ... -> output.

    All other axes must agree.  MXNet's and Caffe's Concat.  The hidden output `sizes` (num_args,) keeps the
    size of each part, so that the gradient needs none of the inputs.
    """

    dim = Int(1, "the axis along which the inputs follow each other; negative counts from the end")

    names: ClassVar[tuple[str, ...]] = ("Concat", "concat", "_sparse_concat")
    outputs = ("output", "sizes")
    work = 0
    onnx: ClassVar[tuple[As, ...]] = (
        As("Concat", dim="axis", num_args=Lost("the number of inputs says it")),
    )
    counted = 1
    batch_last = None
    any_order = True
    between = True
    examples: ClassVar[Any] = (
        ({"num_args": 3}, {"arg0": (4, 1), "arg1": (4, 3), "arg2": (4, 2)}),
        ({"num_args": 2, "dim": -3}, {"arg0": (4, 3, 2), "arg1": (1, 3, 2)}),
        ({"num_args": 1, "dim": 0}, {"arg0": (4,)}),
    )

    def shape(self, s: Shapes) -> None:
        s.merge("sizes", (self.num_args,))
        names = self.input_names()
        for name in (*names, "output"):
            if s[name] is not None:
                axis = s.axis(name, self.dim, "dim")
                rank = len(s[name] or ())
                break
        else:
            return
        common: Shape = (None,) * rank
        for name in (*names, "output"):
            try:
                known = s[name]
                rest = None if known is None else (*known[:axis], None, *known[axis + 1 :])
                common = merge(common, rest)
            except ValueError as conflict:
                raise ShapeError(
                    f"{name} is {show(known)}, but the others are {show(common)} ({conflict})",
                    tensor=name,
                    kind="input-shapes-differ",
                ) from None
        for name in (*names, "output"):
            s.merge(name, common)
        self._merge_sizes(s, axis)

    def joins(self, s: Shapes) -> int | None:
        return s.axis("output", self.dim, "dim")

    def samples(self, s: Shapes) -> tuple[str, ...]:
        return (*self.input_names(), "output") if self.joins(s) else ()

    def _merge_sizes(self, s: Shapes, axis: int) -> None:
        """The output has the parts' sizes together; one part that is not known follows from the others."""
        names = self.input_names()
        sizes = {name: (s[name] or ())[axis] for name in names}
        total = (s["output"] or ())[axis]
        unknown = [name for name in names if sizes[name] is None]
        known = sum(size for size in sizes.values() if size is not None)
        if not unknown:
            self._merge_axis(s, "output", axis, known, f"the inputs have {known} together")
        elif total is not None and known + len(unknown) > total:
            told = f"output has {total} along axis {self.dim}, but some of the inputs have {known} already"
            raise ShapeError(told, tensor="output")
        elif total is not None and len(unknown) == 1:
            self._merge_axis(s, unknown[0], axis, total - known, f"output has {total} along axis {self.dim}")

    @staticmethod
    def _merge_axis(s: Shapes, name: str, axis: int, size: int, rule: str) -> None:
        shape = s[name] or ()
        s.merge(name, (*shape[:axis], size, *shape[axis + 1 :]), rule)

    def types(self, t: Shapes) -> None:
        t.merge("sizes", "int64")  # type: ignore[arg-type]
        t.same(*self.input_names(), "output")

    def forward(self, xp: Any, args: Any, output: Any, sizes: Any) -> None:
        xp.concatenate(args, axis=self.dim, out=output)
        if sizes is not None:
            for number, array in enumerate(args):
                sizes[number] = array.shape[self.dim]

    def backward(self, xp: Any, doutput: Any, sizes: Any, dargs: Any) -> None:
        before = (slice(None),) * (self.dim % doutput.ndim)
        start = 0
        for gradient, size in zip(dargs, sizes):
            stop = start + int(size)
            if gradient is not None:
                part = (*before, slice(start, stop))
                xp.copyto(gradient, doutput[part])
            start = stop


class RNNParamConcat(Concat):
    """The parts of a flat parameter vector one after the other: arg0, arg1, ... -> output.

    MXNet's Gluon joins the weights of its recurrent layers with it; it computes what Concat computes.
    """

    names = ("_rnn_param_concat",)
    onnx = ()
    examples = (({"num_args": 2, "dim": 0}, {"arg0": (4,), "arg1": (3,)}),)


class Stack(Variadic):
    """Tensors of one shape along a new axis: arg0, arg1, ... (A, B) -> output (A, num_args, B)."""

    axis = Int(0, "where the new axis stands in the output; negative counts from the end")

    names = ("stack",)
    work = 0
    examples = (
        ({"num_args": 3}, {"arg0": (4, 2), "arg1": (4, 2), "arg2": (4, 2)}),
        ({"num_args": 2, "axis": -2}, {"arg0": (4, 3), "arg1": (4, 3)}),
        ({"num_args": 1, "axis": 1}, {"arg0": (4,)}),
    )

    def shape(self, s: Shapes) -> None:
        names = self.input_names()
        try:
            s.same(*names)
        except ShapeError as error:
            error.kind = "input-shapes-differ"
            raise
        one = s[names[0]]
        if one is not None:
            axis = new_axis(s, names[0], self.axis)
            whole = (*one[:axis], self.num_args, *one[axis:])
            s.merge("output", whole, f"{self.num_args} tensors {show(one)} are stacked along axis {axis}")
        output = s.rank("output", 1, "an axis for the stacked tensors")
        if output is not None:
            axis = s.axis("output", self.axis)
            s.merge("output", (*output[:axis], self.num_args, *output[axis + 1 :]), attribute="axis")
            for name in names:
                s.merge(name, (*output[:axis], *output[axis + 1 :]), f"output is {show(output)}")

    def forward(self, xp: Any, args: Any, output: Any) -> None:
        for part, array in zip(self._parts(xp, output), args):
            xp.copyto(part, array)

    def backward(self, xp: Any, doutput: Any, dargs: Any) -> None:
        for part, gradient in zip(self._parts(xp, doutput), dargs):
            if gradient is not None:
                xp.copyto(gradient, part)

    def _parts(self, xp: Any, whole: Any) -> Any:
        return xp.moveaxis(whole, self.axis, 0)

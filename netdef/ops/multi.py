"""What optimizers ask about many tensors at once: whether they are finite, how long they are."""

from __future__ import annotations

from typing import Any, ClassVar

from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Float, Hint, Int
from netdef.ops.shapes import Shapes, Types, prod, show


class Many(Op, abstract=True):
    """An operator on tensors of any shapes: array_0, array_1, ... -> output."""

    num_arrays = Int(help="number of inputs", min=1)

    variadic = True
    inputs = ()
    work = 0
    examples: ClassVar[Any] = (
        ({"num_arrays": 2}, {"array_0": (4, 3), "array_1": (4,)}),
        ({"num_arrays": 1}, {"array_0": (4, 3, 2)}),
    )

    def input_names(self) -> tuple[str, ...]:
        return tuple(f"array_{number}" for number in range(self.num_arrays))

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.same(*self.input_names())
        t.merge("output", "float32")

    def flops(self, s: Shapes) -> int:
        return 2 * sum(prod(s.full(name)) or 0 for name in self.input_names())


class MultiSumSq(Many):
    """The sum of the squares of each tensor: array_0, array_1, ... -> output (num_arrays,) of type float32.

    No gradient passes.  MXNet's multi_sum_sq.
    """

    names = ("multi_sum_sq",)
    scratch = ("squares",)

    def shape(self, s: Shapes) -> None:
        s.merge("output", (self.num_arrays,), f"num_arrays is {self.num_arrays}", "num_arrays")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        most = max(prod(s.full(name)) or 0 for name in self.input_names())
        return {"squares": Workspace((most,), "float64")}

    def forward(self, xp: Any, args: Any, output: Any, squares: Any) -> None:
        for number, array in enumerate(args):
            part = squares[: array.size].reshape(array.shape)
            xp.multiply(array, array, out=part, dtype=part.dtype)
            output[number] = part.sum()


def _finite(xp: Any, arrays: Any, marks: Any) -> bool:
    """Whether all elements are finite; `marks` has room for the largest array."""
    for array in arrays:
        part = marks[: array.size].reshape(array.shape)
        if not xp.isfinite(array, out=part).all():
            return False
    return True


class MultiAllFinite(Many):
    """1 where all elements of all tensors are finite, else 0: array_0, array_1, ... -> output (1,).

    Of type float32.  No gradient passes.  MXNet's multi_all_finite.
    """

    num_arrays = Int(1, "number of inputs", min=1)
    init_output = Hint("whether MXNet starts anew or adds to what the output held; here it is always new")

    names = ("multi_all_finite",)
    scratch = ("marks",)

    def shape(self, s: Shapes) -> None:
        s.merge("output", (1,))

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"marks": Workspace((max(prod(s.full(name)) or 0 for name in self.input_names()),), "bool")}

    def forward(self, xp: Any, args: Any, output: Any, marks: Any) -> None:
        output[...] = _finite(xp, args, marks)


class AllFinite(Op):
    """1 where all elements are finite, else 0: data -> output (1,) of type float32.

    No gradient passes.  MXNet's all_finite.
    """

    init_output = Hint("whether MXNet starts anew or adds to what the output held; here it is always new")

    names = ("all_finite",)
    scratch = ("marks",)
    examples = (({}, {"data": (4, 3)}),)

    def shape(self, s: Shapes) -> None:
        s.merge("output", (1,))

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.merge("output", "float32")

    def flops(self, s: Shapes) -> int:
        return prod(s.full("data")) or 0

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"marks": Workspace((prod(s.full("data")) or 0,), "bool")}

    def forward(self, xp: Any, data: Any, output: Any, marks: Any) -> None:
        output[...] = _finite(xp, [data], marks)


class MultiLars(Op):
    """Learning rates by the layers' lengths: lrs, weights_sum_sq, grads_sum_sq, wds (n,) -> output (n,).

    A rate is multiplied by `eta` w / (`rescale_grad` g + wd w + `eps`), w and g the roots of the sums of
    squares, unless one of them is 0.  LARS, You et al. 2017.  No gradient passes.  MXNet's multi_lars.
    """

    eta = Float(help="the share of a weight's length that a step may have")
    eps = Float(help="what is added to the divisor")
    rescale_grad = Float(1.0, "what gradients are multiplied by")

    names = ("multi_lars",)
    inputs = ("lrs", "weights_sum_sq", "grads_sum_sq", "wds")
    scratch = ("parts", "mask")
    work = 8
    examples = (
        ({"eta": 0.5, "eps": 0.01}, {"lrs": (4,)}),
        ({"eta": 1, "eps": 1, "rescale_grad": 2}, {"lrs": (3,)}),
    )

    def shape(self, s: Shapes) -> None:
        s.same(*self.inputs, "output")
        s.merge("lrs", (None,), f"lrs is {show(s['lrs'])} and one rate for each weight is needed")
        s.same(*self.inputs, "output")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        shape = s.full("lrs")
        return {"parts": Workspace((3, *shape)), "mask": Workspace(shape, "bool")}

    def forward(
        self,
        xp: Any,
        lrs: Any,
        weights_sum_sq: Any,
        grads_sum_sq: Any,
        wds: Any,
        output: Any,
        parts: Any,
        mask: Any,
    ) -> None:
        weight, grad, divisor = parts
        xp.sqrt(weights_sum_sq, out=weight)
        xp.sqrt(grads_sum_sq, out=grad)
        xp.multiply(weight, grad, out=divisor)
        xp.less_equal(divisor, 0, out=mask)
        xp.multiply(grad, self.rescale_grad, out=grad)
        xp.multiply(wds, weight, out=divisor)
        xp.add(divisor, grad, out=divisor)
        xp.add(divisor, self.eps, out=divisor)
        xp.multiply(weight, self.eta, out=weight)
        xp.divide(weight, divisor, out=weight)
        xp.copyto(weight, 1, where=mask)
        xp.multiply(lrs, weight, out=output)

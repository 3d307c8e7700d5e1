"""What optimizers ask about many tensors at once: how long they are, and rates by that."""

from __future__ import annotations

from typing import Any

from netdef.ops.base import MOST_TENSORS, Op, Workspace
from netdef.ops.fields import Float, Int
from netdef.ops.shapes import Shapes, Types, prod, show


class MultiSumSq(Op):
    """The sum of the squares of each tensor: array_0, array_1, ... -> output (num_arrays,) of type float32.

    The tensors may have any shapes.  No gradient passes.  MXNet's multi_sum_sq.
    """

    num_arrays = Int(help="number of inputs", min=1, max=MOST_TENSORS)

    names = ("multi_sum_sq",)
    listed = True
    inputs = ()
    scratch = ("squares",)
    examples = (
        ({"num_arrays": 2}, {"array_0": (4, 3), "array_1": (4,)}),
        ({"num_arrays": 1}, {"array_0": (4, 3, 2)}),
    )

    def input_names(self) -> tuple[str, ...]:
        return tuple(f"array_{number}" for number in range(self.num_arrays))

    def shape(self, s: Shapes) -> None:
        s.merge("output", (self.num_arrays,), f"num_arrays is {self.num_arrays}", "num_arrays")

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.same(*self.input_names())
        t.merge("output", "float32")

    def flops(self, s: Shapes) -> int:
        return 2 * sum(prod(s.full(name)) or 0 for name in self.input_names())

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        most = max(prod(s.full(name)) or 0 for name in self.input_names())
        return {"squares": Workspace((most,), "float64")}

    def forward(self, xp: Any, args: Any, output: Any, squares: Any) -> None:
        for number, array in enumerate(args):
            part = squares[: array.size].reshape(array.shape)
            xp.multiply(array, array, out=part, dtype=part.dtype)
            output[number] = part.sum()


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

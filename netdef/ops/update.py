"""Steps of optimizers as operators.

weight, grad[, states] -> output, the new weight, all of one shape.  MXNet calls them with `out=weight`, and
the states change in place.  Here states are auxiliary states: they stand behind the inputs, as in MXNet's
signatures, and every pass moves them, whether it trains or not.  (MXNet's Symbol cannot compose these
operators at all.)  No gradient passes.

The gradient that counts is `rescale_grad` * grad, clipped to +-`clip_gradient`; where weight decay comes in,
before the clipping or after it, is MXNet's choice for each.
"""

from __future__ import annotations

from typing import Any, ClassVar

from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Float, Hint
from netdef.ops.shapes import Full, Shapes, Types

LAZY = "whether MXNet leaves the rows alone that a sparse gradient does not have"


def samples(*attributes: dict[str, Any]) -> tuple[tuple[dict[str, Any], dict[str, Full]], ...]:
    """The samples that each operator has: these attributes and a small weight."""
    return tuple((values, {"weight": (4, 3)}) for values in attributes)


def move(xp: Any, state: Any, share: float, value: Any, part: Any) -> None:
    """Let a state keep a share of itself and take the rest from `value`."""
    xp.multiply(state, share, out=state)
    xp.multiply(value, 1 - share, out=part)
    xp.add(state, part, out=state)


def move_square(xp: Any, state: Any, share: float, value: Any, part: Any) -> None:
    """Let a state keep a share of itself and take the rest from the square of `value`."""
    xp.multiply(state, share, out=state)
    xp.multiply(value, value, out=part)
    xp.multiply(part, 1 - share, out=part)
    xp.add(state, part, out=state)


def clip(xp: Any, array: Any, limit: float) -> None:
    """Clip to plus and minus a limit; a negative one means none."""
    if limit >= 0:
        xp.clip(array, -limit, limit, out=array)


class Update(Op, abstract=True):
    """A step of an optimizer."""

    wd = Float(0.0, "weight decay: how much of the weight is added to the gradient")
    rescale_grad = Float(1.0, "what the gradient is multiplied by")

    inputs = ("weight", "grad")
    scratch: ClassVar[tuple[str, ...]] = ("step", "part")
    inplace = (("weight", "output"),)
    work = 5
    #: the dtype that a step is computed in; empty: that of the weight
    precision: ClassVar[str] = ""

    def shape(self, s: Shapes) -> None:
        s.same(*self.input_names(), *self.state_names(), "output")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return dict.fromkeys(self.scratch, Workspace(s.full("weight"), self.precision))

    def limit(self) -> float:
        """What gradients are clipped to; negative: nothing."""
        raise NotImplementedError

    def gradient(
        self, xp: Any, weight: Any, grad: Any, step: Any, part: Any, decay_clipped: bool = False
    ) -> None:
        """Write the gradient that counts to `step`; `decay_clipped`: weight decay is clipped with it."""
        xp.multiply(grad, self.rescale_grad, out=step)
        if not decay_clipped:
            clip(xp, step, self.limit())
        xp.multiply(weight, self.wd, out=part)
        xp.add(step, part, out=step)
        if decay_clipped:
            clip(xp, step, self.limit())


class Clipping(Update, abstract=True):
    """A step whose limit has the name that nearly all have for it."""

    clip_gradient = Float(-1.0, "clip the gradient to plus and minus this; negative: off")

    def limit(self) -> float:
        return self.clip_gradient


class MultiPrecision(Update, abstract=True):
    """An update of a weight in half precision, computed on its copy `weight32` in single precision."""

    precision = "float32"

    def types(self, t: Types) -> None:  # type: ignore[override]
        t.same("weight", "grad", "output")
        for name in self.state_names():
            t.merge(name, "float32")


class SGD(Clipping, abstract=True):
    """Gradient descent."""

    lr = Float(help="the learning rate")

    def descend(self, xp: Any, weight: Any, grad: Any, output: Any, step: Any, part: Any) -> None:
        self.gradient(xp, weight, grad, step, part)
        xp.multiply(step, self.lr, out=step)
        xp.subtract(weight, step, out=output)


class SGDUpdate(SGD):
    """weight - lr * (grad + wd * weight): weight, grad -> output.  MXNet's sgd_update."""

    lazy_update = Hint(LAZY)

    begins = ("weight", "grad", "lr")
    names = ("sgd_update", "_sparse_sgd_update")
    examples = samples(
        {"lr": 0.1}, {"lr": 0.1, "wd": 0.2, "rescale_grad": 0.5, "clip_gradient": 0.3, "lazy_update": "0"}
    )

    def forward(self, xp: Any, weight: Any, grad: Any, output: Any, step: Any, part: Any) -> None:
        self.descend(xp, weight, grad, output, step, part)


class MPSGDUpdate(SGD, MultiPrecision):
    """sgd_update in two precisions: weight, grad (weight32) -> output.  MXNet's mp_sgd_update."""

    lazy_update = Hint(LAZY)

    begins = ("weight", "grad", "weight32", "lr")
    names = ("mp_sgd_update",)
    states = ("weight32",)
    examples = samples({"lr": 0.1, "wd": 0.2})

    def forward(self, xp: Any, grad: Any, weight32: Any, output: Any, step: Any, part: Any) -> None:
        self.descend(xp, weight32, grad, weight32, step, part)
        xp.copyto(output, weight32, casting="unsafe")


class Momentum(SGD, abstract=True):
    """Gradient descent with momentum."""

    momentum = Float(0.0, "the share of the last step that is taken again")

    def roll(self, xp: Any, weight: Any, grad: Any, mom: Any, output: Any, step: Any, part: Any) -> None:
        """mom = momentum * mom - lr * step, which the weight moves by."""
        self.gradient(xp, weight, grad, step, part)
        xp.multiply(step, self.lr, out=step)
        xp.multiply(mom, self.momentum, out=mom)
        xp.subtract(mom, step, out=mom)
        xp.add(weight, mom, out=output)


class SGDMomUpdate(Momentum):
    """Gradient descent with momentum: weight, grad (mom) -> output.

    mom becomes momentum * mom - lr * (grad + wd * weight), output is weight + mom.  MXNet's sgd_mom_update.
    """

    lazy_update = Hint(LAZY)

    begins = ("weight", "grad", "mom", "lr", "momentum")
    names = ("sgd_mom_update", "_sparse_sgd_mom_update")
    states = ("mom",)
    examples = samples(
        {"lr": 0.1, "momentum": 0.9},
        {"lr": 0.1, "momentum": 0.5, "wd": 0.2, "rescale_grad": 0.5, "clip_gradient": 0.3},
    )

    def forward(self, xp: Any, weight: Any, grad: Any, mom: Any, output: Any, step: Any, part: Any) -> None:
        self.roll(xp, weight, grad, mom, output, step, part)


class MPSGDMomUpdate(Momentum, MultiPrecision):
    """sgd_mom_update in two precisions: weight, grad (mom, weight32) -> output.

    MXNet's mp_sgd_mom_update.
    """

    lazy_update = Hint(LAZY)

    begins = ("weight", "grad", "mom", "weight32", "lr", "momentum")
    names = ("mp_sgd_mom_update",)
    states = ("mom", "weight32")
    examples = samples({"lr": 0.1, "momentum": 0.9, "wd": 0.2})

    def forward(self, xp: Any, grad: Any, mom: Any, weight32: Any, output: Any, step: Any, part: Any) -> None:
        self.roll(xp, weight32, grad, mom, weight32, step, part)
        xp.copyto(output, weight32, casting="unsafe")


class Nesterov(Momentum, abstract=True):
    """Nesterov's accelerated gradient: the weight moves by the step after next, too."""

    def roll(self, xp: Any, weight: Any, grad: Any, mom: Any, output: Any, step: Any, part: Any) -> None:
        self.gradient(xp, weight, grad, step, part)
        xp.multiply(step, self.lr, out=step)
        xp.multiply(mom, self.momentum, out=mom)
        xp.subtract(mom, step, out=mom)
        xp.multiply(mom, self.momentum, out=part)
        xp.subtract(part, step, out=part)
        xp.add(weight, part, out=output)


class NAGMomUpdate(Nesterov):
    """Nesterov's accelerated gradient: weight, grad (mom) -> output.

    mom becomes momentum * mom - lr * (grad + wd * weight), output is weight + momentum * mom - lr * (grad +
    wd * weight).  MXNet's nag_mom_update.
    """

    begins = ("weight", "grad", "mom", "lr", "momentum")
    names = ("nag_mom_update",)
    states = ("mom",)
    examples = samples({"lr": 0.1, "momentum": 0.9, "wd": 0.2, "rescale_grad": 2, "clip_gradient": 0.3})

    def forward(self, xp: Any, weight: Any, grad: Any, mom: Any, output: Any, step: Any, part: Any) -> None:
        self.roll(xp, weight, grad, mom, output, step, part)


class MPNAGMomUpdate(Nesterov, MultiPrecision):
    """nag_mom_update in two precisions: weight, grad (mom, weight32) -> output.

    MXNet's mp_nag_mom_update; with weight decay it gives mom another value there, as if the weight had moved
    before.
    """

    begins = ("weight", "grad", "mom", "weight32", "lr", "momentum")
    names = ("mp_nag_mom_update",)
    states = ("mom", "weight32")
    examples = samples({"lr": 0.1, "momentum": 0.9, "wd": 0.2})

    def forward(self, xp: Any, grad: Any, mom: Any, weight32: Any, output: Any, step: Any, part: Any) -> None:
        self.roll(xp, weight32, grad, mom, weight32, step, part)
        xp.copyto(output, weight32, casting="unsafe")


class SignSGDUpdate(Clipping):
    """A step of one length: (1 - lr * wd) * weight - lr * sign(grad): weight, grad -> output.

    Bernstein et al. 2018.  MXNet's signsgd_update, which leaves `rescale_grad` and `clip_gradient` alone.
    """

    lr = Float(help="the learning rate")

    begins = ("weight", "grad", "lr")
    names = ("signsgd_update",)
    examples = samples({"lr": 0.1, "wd": 0.2, "rescale_grad": -2, "clip_gradient": 0})

    def forward(self, xp: Any, weight: Any, grad: Any, output: Any, step: Any) -> None:
        xp.sign(grad, out=step)
        xp.multiply(step, self.lr, out=step)
        xp.multiply(weight, 1 - self.lr * self.wd, out=output)
        xp.subtract(output, step, out=output)


class SignumUpdate(Clipping):
    """signsgd with momentum: weight, grad (mom) -> output.

    mom becomes momentum * mom - (1 - momentum) * (grad + wd * weight), output is (1 - lr * wd_lh) * weight +
    lr * sign(mom).  Bernstein et al. 2018.  MXNet's signum_update.
    """

    lr = Float(help="the learning rate")
    momentum = Float(0.0, "the share of the momentum that remains")
    wd_lh = Float(0.0, "weight decay that does not go through the momentum")

    begins = ("weight", "grad", "mom", "lr", "momentum")
    names = ("signum_update",)
    states = ("mom",)
    examples = samples(
        {"lr": 0.1, "momentum": 0.5, "wd": 0.2, "wd_lh": 0.3, "rescale_grad": 2, "clip_gradient": 0.3}
    )

    def forward(self, xp: Any, weight: Any, grad: Any, mom: Any, output: Any, step: Any, part: Any) -> None:
        self.gradient(xp, weight, grad, step, part)
        xp.negative(step, out=step)
        move(xp, mom, self.momentum, step, part)
        xp.sign(mom, out=step)
        xp.multiply(step, self.lr, out=step)
        xp.multiply(weight, 1 - self.lr * self.wd_lh, out=output)
        xp.add(output, step, out=output)

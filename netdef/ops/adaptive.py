"""Steps of optimizers that adapt to each element; see `netdef.ops.update` for what they share."""

from __future__ import annotations

from typing import Any

from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Bool, Float, Hint, Int
from netdef.ops.shapes import Shapes, show
from netdef.ops.update import LAZY, Clipping, Update, clip, move, move_square, samples

_CLIP_WEIGHTS = "clip the new weight to plus and minus this; negative: off"


class AdamUpdate(Clipping):
    """Adam without its correction of the bias: weight, grad (mean, var) -> output.

    With g = grad + wd * weight, clipped as one: mean and var become moving averages of g and g^2, output is
    weight - lr * mean / (sqrt(var) + epsilon).  Kingma and Ba 2015.  MXNet's adam_update.
    """

    lr = Float(help="the learning rate")
    beta1 = Float(0.9, "the share of the mean that remains")
    beta2 = Float(0.999, "the share of the variance that remains")
    epsilon = Float(1e-8, "what is added to the divisor")
    lazy_update = Hint(LAZY)

    begins = ("weight", "grad", "mean", "var", "lr", "beta1", "beta2", "epsilon")
    names = ("adam_update", "_sparse_adam_update")
    states = ("mean", "var")
    work = 12
    examples = samples(
        {"lr": 0.1},
        {"lr": 0.1, "beta1": 0.5, "beta2": 0.6, "wd": 0.2, "rescale_grad": 2, "clip_gradient": 0.3},
    )

    def forward(
        self, xp: Any, weight: Any, grad: Any, mean: Any, var: Any, output: Any, step: Any, part: Any
    ) -> None:
        self.gradient(xp, weight, grad, step, part, decay_clipped=True)
        move(xp, mean, self.beta1, step, part)
        move_square(xp, var, self.beta2, step, part)
        xp.sqrt(var, out=part)
        xp.add(part, self.epsilon, out=part)
        xp.divide(mean, part, out=step)
        xp.multiply(step, self.lr, out=step)
        xp.subtract(weight, step, out=output)


class RMSPropUpdate(Clipping):
    """A step divided by a moving root of mean squares: weight, grad (n) -> output.

    With g = grad + wd * weight, clipped as one: n becomes a moving average of g^2, output is weight - lr * g
    / sqrt(n + epsilon).  Tieleman and Hinton 2012.  MXNet's rmsprop_update.
    """

    lr = Float(help="the learning rate")
    gamma1 = Float(0.95, "the share of n that remains")
    epsilon = Float(1e-8, "what is added below the root")
    clip_weights = Float(-1.0, _CLIP_WEIGHTS)

    begins = ("weight", "grad", "n", "lr", "gamma1", "epsilon")
    names = ("rmsprop_update",)
    states = ("n",)
    work = 10
    examples = samples(
        {"lr": 0.1},
        {"lr": 0.1, "gamma1": 0.5, "wd": 0.2, "rescale_grad": 2, "clip_gradient": 0.3, "clip_weights": 0.6},
    )

    def forward(self, xp: Any, weight: Any, grad: Any, n: Any, output: Any, step: Any, part: Any) -> None:
        self.gradient(xp, weight, grad, step, part, decay_clipped=True)
        move_square(xp, n, self.gamma1, step, part)
        xp.add(n, self.epsilon, out=part)
        xp.sqrt(part, out=part)
        xp.divide(step, part, out=step)
        xp.multiply(step, self.lr, out=step)
        xp.subtract(weight, step, out=output)
        clip(xp, output, self.clip_weights)


class RMSPropAlexUpdate(Clipping):
    """RMSProp with centred squares and momentum: weight, grad (n, g, delta) -> output.

    With G = grad + wd * weight, clipped as one: n and g become moving averages of G^2 and G, delta becomes
    gamma2 * delta - lr * G / sqrt(n - g^2 + epsilon), output is weight + delta.  Graves 2013.  MXNet's
    rmspropalex_update.
    """

    lr = Float(help="the learning rate")
    gamma1 = Float(0.95, "the share of n and g that remains")
    gamma2 = Float(0.9, "the share of the last step that is taken again")
    epsilon = Float(1e-8, "what is added below the root")
    clip_weights = Float(-1.0, _CLIP_WEIGHTS)

    begins = ("weight", "grad", "n", "g", "delta", "lr", "gamma1", "gamma2", "epsilon")
    names = ("rmspropalex_update",)
    states = ("n", "g", "delta")
    work = 15
    examples = samples(
        {"lr": 0.1, "epsilon": 9},
        {"lr": 0.1, "gamma1": 0.5, "gamma2": 0.6, "epsilon": 9, "wd": 0.2, "clip_weights": 0.6},
        {"lr": 0.1, "epsilon": 9, "rescale_grad": 2, "clip_gradient": 0.3},
    )

    def forward(
        self,
        xp: Any,
        weight: Any,
        grad: Any,
        n: Any,
        g: Any,
        delta: Any,
        output: Any,
        step: Any,
        part: Any,
    ) -> None:
        self.gradient(xp, weight, grad, step, part, decay_clipped=True)
        move_square(xp, n, self.gamma1, step, part)
        move(xp, g, self.gamma1, step, part)
        xp.multiply(g, g, out=part)
        xp.subtract(n, part, out=part)
        xp.add(part, self.epsilon, out=part)
        xp.sqrt(part, out=part)
        xp.divide(step, part, out=step)
        xp.multiply(step, self.lr, out=step)
        xp.multiply(delta, self.gamma2, out=delta)
        xp.subtract(delta, step, out=delta)
        xp.add(weight, delta, out=output)
        clip(xp, output, self.clip_weights)


class FtrlUpdate(Clipping):
    """Follow the regularised leader: weight, grad (z, n) -> output.

    z becomes z + grad - (sqrt(n + grad^2) - sqrt(n)) * weight / lr, n becomes n + grad^2, output is
    (sign(z) * lamda1 - z) / ((beta + sqrt(n)) / lr + wd) where |z| > lamda1, and 0 elsewhere.  McMahan et al.
    2013.  MXNet's ftrl_update.
    """

    lr = Float(help="the learning rate")
    lamda1 = Float(0.01, "the weight of the absolute values")
    beta = Float(1.0, "what is added to the root")

    begins = ("weight", "grad", "z", "n", "lr", "lamda1", "beta")
    names = ("ftrl_update", "_sparse_ftrl_update")
    states = ("z", "n")
    scratch = ("step", "part", "root")
    work = 20
    examples = samples(
        {"lr": 0.1},
        {"lr": 0.3, "lamda1": 1, "beta": 0.5, "wd": 0.2, "rescale_grad": 2, "clip_gradient": 0.3},
    )

    def forward(
        self,
        xp: Any,
        weight: Any,
        grad: Any,
        z: Any,
        n: Any,
        output: Any,
        step: Any,
        part: Any,
        root: Any,
    ) -> None:
        xp.multiply(grad, self.rescale_grad, out=step)
        clip(xp, step, self.clip_gradient)
        xp.sqrt(n, out=root)
        xp.multiply(step, step, out=part)
        xp.add(n, part, out=n)
        xp.sqrt(n, out=part)
        xp.subtract(part, root, out=root)
        xp.multiply(root, weight, out=root)
        xp.divide(root, self.lr, out=root)
        xp.add(z, step, out=z)
        xp.subtract(z, root, out=z)
        # what is beyond +-lamda1: 0 between
        xp.clip(z, -self.lamda1, self.lamda1, out=step)
        xp.subtract(step, z, out=step)
        xp.add(part, self.beta, out=part)
        xp.divide(part, self.lr, out=part)
        xp.add(part, self.wd, out=part)
        xp.divide(step, part, out=output)


class FTMLUpdate(Update):
    """Follow the moving leader: weight, grad (d, v, z) -> output.

    With g = grad + wd * weight, clipped as one: v becomes a moving average of g^2, d becomes (1 - beta1^t) /
    lr * (sqrt(v / (1 - beta2^t)) + epsilon), z becomes beta1 * z + (1 - beta1) * g - (d - beta1 * the old d)
    * weight, output is -z / d.  Zheng and Kwok 2017.  MXNet's ftml_update.
    """

    lr = Float(help="the learning rate")
    beta1 = Float(0.6, "the share of z that remains")
    beta2 = Float(0.999, "the share of v that remains")
    epsilon = Float(1e-8, "what is added to the root")
    t = Int(help="the number of the update, from 1 on")
    clip_grad = Float(-1.0, "clip the gradient to plus and minus this; negative: off")

    begins = ("weight", "grad", "d", "v", "z", "lr", "beta1", "beta2", "epsilon", "t")
    names = ("ftml_update",)
    states = ("d", "v", "z")
    work = 20
    examples = samples(
        {"lr": 0.1, "t": 1},
        {"lr": 0.1, "t": 3, "beta1": 0.5, "beta2": 0.7, "wd": 0.2, "rescale_grad": 2, "clip_grad": 0.3},
    )

    def limit(self) -> float:
        return self.clip_grad

    def forward(
        self,
        xp: Any,
        weight: Any,
        grad: Any,
        d: Any,
        v: Any,
        z: Any,
        output: Any,
        step: Any,
        part: Any,
    ) -> None:
        self.gradient(xp, weight, grad, step, part, decay_clipped=True)
        move_square(xp, v, self.beta2, step, part)
        move(xp, z, self.beta1, step, part)
        xp.multiply(d, self.beta1, out=step)
        xp.divide(v, 1 - self.beta2**self.t, out=d)
        xp.sqrt(d, out=d)
        xp.add(d, self.epsilon, out=d)
        xp.multiply(d, (1 - self.beta1**self.t) / self.lr, out=d)
        xp.subtract(d, step, out=step)
        xp.multiply(step, weight, out=step)
        xp.subtract(z, step, out=z)
        xp.divide(z, d, out=output)
        xp.negative(output, out=output)


class LambUpdatePhase1(Clipping):
    """The direction of LAMB: weight, grad (mean, var) -> output.

    mean and var become moving averages of grad and grad^2, output is mean / (sqrt(var) + epsilon) + wd *
    weight, with `bias_correction` of mean / (1 - beta1^t) and var / (1 - beta2^t).  You et al. 2020.  MXNet's
    lamb_update_phase1.
    """

    beta1 = Float(0.9, "the share of the mean that remains")
    beta2 = Float(0.999, "the share of the variance that remains")
    epsilon = Float(1e-6, "what is added to the divisor")
    t = Int(help="the number of the update, from 1 on")
    bias_correction = Bool(True, "make up for the averages' start at 0")
    wd = Float(help="weight decay: how much of the weight is added to the direction")

    begins = ("weight", "grad", "mean", "var", "beta1", "beta2", "epsilon", "t", "bias_correction")
    names = ("lamb_update_phase1",)
    states = ("mean", "var")
    work = 14
    examples = samples(
        {"t": 2, "wd": 0.1, "rescale_grad": 2},
        {"t": 3, "wd": 0.2, "bias_correction": False, "beta1": 0.5, "beta2": 0.6, "clip_gradient": 0.3},
    )

    def forward(
        self, xp: Any, weight: Any, grad: Any, mean: Any, var: Any, output: Any, step: Any, part: Any
    ) -> None:
        xp.multiply(grad, self.rescale_grad, out=step)
        clip(xp, step, self.clip_gradient)
        move(xp, mean, self.beta1, step, part)
        move_square(xp, var, self.beta2, step, part)
        corrected = self.bias_correction
        xp.divide(mean, 1 - self.beta1**self.t if corrected else 1, out=step)
        xp.divide(var, 1 - self.beta2**self.t if corrected else 1, out=part)
        xp.sqrt(part, out=part)
        xp.add(part, self.epsilon, out=part)
        xp.divide(step, part, out=step)
        xp.multiply(weight, self.wd, out=part)
        xp.add(step, part, out=output)


class LambUpdatePhase2(Op):
    """The step of LAMB: weight, g, r1, r2 -> output, which is weight - lr * r1 / r2 * g.

    g is what phase 1 gave, r1 and r2 (1,) are the norms of weight and of g; where one of them is 0 their
    quotient counts as 1.  No gradient passes.  MXNet's lamb_update_phase2.
    """

    lr = Float(help="the learning rate")
    lower_bound = Float(-1.0, "the least that r1 counts as; negative: off")
    upper_bound = Float(-1.0, "the most that r1 counts as; negative: off")

    names = ("lamb_update_phase2",)
    inputs = ("weight", "g", "r1", "r2")
    inplace = (("weight", "output"),)
    scratch = ("step",)
    work = 2
    examples = (
        ({"lr": 0.1}, {"weight": (4, 3)}),
        ({"lr": 0.1, "lower_bound": 0.5, "upper_bound": 0.8}, {"weight": (4,)}),
    )

    def shape(self, s: Shapes) -> None:
        s.same("weight", "g", "output")
        for name in ("r1", "r2"):
            s.merge(name, (1,), f"it is the norm of one tensor, weight {show(s['weight'])} or g")

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"step": Workspace(s.full("weight"))}

    def forward(self, xp: Any, weight: Any, g: Any, r1: Any, r2: Any, output: Any, step: Any) -> None:
        of_weight, of_step = float(r1[0]), float(r2[0])
        if self.lower_bound >= 0:
            of_weight = max(of_weight, self.lower_bound)
        if self.upper_bound >= 0:
            of_weight = min(of_weight, self.upper_bound)
        ratio = of_weight / of_step if of_weight and of_step else 1
        xp.multiply(g, self.lr * ratio, out=step)
        xp.subtract(weight, step, out=output)

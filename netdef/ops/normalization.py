"""Normalisation over the batch."""

from __future__ import annotations

from typing import Any, ClassVar

from netdef.ops.arrays import spread
from netdef.ops.base import WIDE, Cut, Op, Stage, Workspace, wide
from netdef.ops.channels import deviations, pooled, projections, scaled, through
from netdef.ops.fields import Bool, Enum, Float, Hint, Int
from netdef.ops.foreign import As, Fixed, Lost, To
from netdef.ops.moments import invert_root
from netdef.ops.shapes import Shapes, show


class _BatchNorm(Op, abstract=True):
    """What MXNet's operators of this kind share; see `BatchNorm`.

    As in MXNet 1.9.1 the backward pass moves the moving averages: a forward pass alone, or one that no wanted
    gradient passes through, leaves them.
    """

    eps = Float(1e-3, "what is added to the variance", min=0)
    momentum = Float(0.9, "the share of the old statistics that remains")
    fix_gamma = Bool(True, "gamma counts as 1 and gets no gradient")
    use_global_stats = Bool(False, "use the states in training, too, and leave them alone")
    output_mean_var = Bool(False, "show the outputs mean and var")
    #: what only `BatchNorm` lets one choose
    axis: Any = 1
    affine: Any = True
    statistics: Any = "average"

    inputs = ("data", "gamma", "beta")
    states = ("moving_mean", "moving_var", "moving_factor")
    begins = (*inputs, *states[:2], "eps", "momentum", "fix_gamma", "use_global_stats")
    initial: ClassVar[dict[str, str]] = {"moving_mean": '["zero", {}]', "moving_var": '["one", {}]'}
    outputs = ("output", "mean", "var")
    initial = {"moving_mean": '["zero", {}]', "moving_var": '["one", {}]'}
    scratch = ("work", "stats", "first", "second", "scale")
    work = 5
    batch_last = True
    steady = ("measure", "normalise", "project", "pass_down")
    inplace = (("data", "output"), ("doutput", "ddata"))
    #: whether the output `var` holds 1 / sqrt(variance + eps)
    inverse_shown = True

    def input_names(self) -> tuple[str, ...]:
        return self.inputs if self.affine else self.inputs[:1]

    def state_names(self) -> tuple[str, ...]:
        return self.states if self.statistics == "sum" else self.states[:2]

    def visible_outputs(self) -> int:
        return 3 if self.output_mean_var else 1

    def shape(self, s: Shapes) -> None:
        s.same("data", "output")
        s.merge("moving_factor", (1,))
        data = s["data"]
        if data is None:
            return
        axis = s.axis("data", self.axis)
        channels = data[axis]
        for name in (*self.input_names()[1:], *self.state_names()[:2], "mean", "var"):
            s.merge(name, (channels,), f"data {show(data)} has {channels} channels along axis {axis}")

    def types(self, t: Shapes) -> None:
        t.same("data", "output")
        vectors = (*self.input_names()[1:], *self.state_names(), "mean", "var")
        t.same(*vectors)
        if t["data"] is not None:
            for name in vectors:
                t.merge(name, wide(t["data"]), f"data is {t['data']}")  # type: ignore[arg-type]

    # -- how a pass can be divided --

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        stats = Workspace((1, *self.gathered(s, backward)["stats"].shape), WIDE)
        return {"work": Workspace(s.full("data"), WIDE), **self.carried(s, backward), "stats": stats}

    def carried(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return dict.fromkeys(("first", "second", "scale"), Workspace((self._channels(s),), WIDE))

    def gathered(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"stats": Workspace((3, self._channels(s)), WIDE)}

    def _channels(self, s: Shapes) -> int:
        return s.full("data")[s.axis("data", self.axis)]

    def samples(self, s: Shapes) -> tuple[str, ...]:
        return ("data", "output") if s.axis("data", self.axis) else ()

    def stages(self, s: Shapes, backward: bool, train: bool) -> tuple[Stage, ...]:
        if not self._of_the_batch(train) or not self.samples(s):
            return ()
        names = ("project", "combine", "pass_down") if backward else ("measure", "settle", "normalise")
        return tuple(Stage(name, cut=number != 1) for number, name in enumerate(names))

    def cuts(self, s: Shapes, backward: bool) -> tuple[Cut, ...]:
        if self.statistics == "sum":
            return ()  # all channels share one factor, which a forward pass moves
        vectors = (*self.inputs[1:], *self.states[:2], "mean", "var")
        return (Cut({"data": self.axis, "output": self.axis, **dict.fromkeys(vectors, 0)}),)

    def _of_the_batch(self, train: bool) -> bool:
        """Whether a pass uses the statistics of the batch."""
        return train and not self.use_global_stats

    # -- forward --

    def forward(
        self,
        xp: Any,
        train: bool,
        data: Any,
        gamma: Any,
        beta: Any,
        moving_mean: Any,
        moving_var: Any,
        moving_factor: Any,
        output: Any,
        mean: Any,
        var: Any,
        work: Any,
        stats: Any,
        first: Any,
        second: Any,
        scale: Any,
    ) -> None:
        if self._of_the_batch(train):
            self.measure(xp, data, work, stats[0])
            states = moving_mean, moving_var, moving_factor
            self.settle(xp, gamma, *states, mean, var, stats, first, second, scale)
        else:
            weight = 1 if moving_factor is None else float(moving_factor[0])
            share = 1 / weight if weight else 0
            xp.multiply(moving_mean, share, out=first)
            xp.multiply(moving_var, share, out=second)
            self._show(xp, gamma, mean, var, first, second, scale)
        self.normalise(xp, data, beta, output, first, scale)

    def measure(self, xp: Any, data: Any, work: Any, stats: Any) -> None:
        """stats (3, C): how many numbers a channel has, their mean, the squares of the rest summed up."""
        xp.copyto(stats[0], data.size // max(1, stats.shape[1]))
        deviations(xp, data, self.axis % data.ndim, stats[1], stats[2], work)

    def settle(
        self,
        xp: Any,
        gamma: Any,
        moving_mean: Any,
        moving_var: Any,
        moving_factor: Any,
        mean: Any,
        var: Any,
        stats: Any,
        first: Any,
        second: Any,
        scale: Any,
    ) -> None:
        """Mean and variance from what all parts of the batch have measured: stats (parts, 3, C)."""
        count = pooled(xp, stats, first, second, scale)
        if moving_factor is not None:
            self._move(xp, moving_mean, first, 1, scale)
            self._move(xp, moving_var, second, count / max(1, count - 1), scale)
            xp.multiply(moving_factor, self.momentum, out=moving_factor)
            xp.add(moving_factor, 1, out=moving_factor)
        self._show(xp, gamma, mean, var, first, second, scale)

    def _show(self, xp: Any, gamma: Any, mean: Any, var: Any, first: Any, second: Any, scale: Any) -> None:
        """From mean and variance (`first`, `second`) the outputs, and what data are multiplied by."""
        if mean is not None:
            xp.copyto(mean, first)
        if var is not None and not self.inverse_shown:
            xp.copyto(var, second)
        invert_root(xp, second, self.eps, second)
        if var is not None and self.inverse_shown:
            xp.copyto(var, second)
        self._factor(xp, gamma, second, scale)

    def normalise(self, xp: Any, data: Any, beta: Any, output: Any, first: Any, scale: Any) -> None:
        """output = (data - first) * scale + beta"""
        scaled(xp, data, self.axis % data.ndim, first, scale, beta, output)

    def _move(self, xp: Any, state: Any, batch: Any, weight: float, vector: Any) -> None:
        """Let a state forget a share and add the batch's value with a weight."""
        xp.multiply(state, self.momentum, out=state)
        xp.multiply(batch, weight, out=vector)
        xp.add(state, vector, out=state)

    def _factor(self, xp: Any, gamma: Any, inverse: Any, scale: Any) -> None:
        """What the centred data are multiplied by, for each channel."""
        if gamma is None or self.fix_gamma:
            xp.copyto(scale, inverse)
        else:
            xp.multiply(gamma, inverse, out=scale)

    # -- backward --

    def backward(
        self,
        xp: Any,
        train: bool,
        doutput: Any,
        data: Any,
        gamma: Any,
        moving_mean: Any,
        moving_var: Any,
        mean: Any,
        var: Any,
        ddata: Any,
        dgamma: Any,
        dbeta: Any,
        work: Any,
        stats: Any,
        first: Any,
        second: Any,
        scale: Any,
    ) -> None:
        self.project(xp, doutput, data, mean, work, stats[0])
        if self._of_the_batch(train):
            states = moving_mean, moving_var
            self.combine(xp, gamma, *states, mean, var, dgamma, dbeta, stats, first, second, scale)
            self.pass_down(xp, doutput, data, mean, ddata, work, first, second, scale)
            return
        self._gradients(xp, gamma, var, dgamma, dbeta, stats, first, second, scale)
        if ddata is not None:
            xp.multiply(doutput, spread(scale, data, self.axis % data.ndim), out=ddata)

    def project(self, xp: Any, doutput: Any, data: Any, mean: Any, work: Any, stats: Any) -> None:
        """stats (3, C): numbers of a channel, the sums of doutput and of doutput * (data - mean)."""
        xp.copyto(stats[0], data.size // max(1, stats.shape[1]))
        projections(xp, doutput, data, self.axis % data.ndim, mean, stats[1], stats[2], work)

    def combine(
        self,
        xp: Any,
        gamma: Any,
        moving_mean: Any,
        moving_var: Any,
        mean: Any,
        var: Any,
        dgamma: Any,
        dbeta: Any,
        stats: Any,
        first: Any,
        second: Any,
        scale: Any,
    ) -> None:
        """The gradients of gamma and beta, and what `pass_down` needs, from the sums of all parts."""
        if self.statistics == "average":
            self._move(xp, moving_mean, mean, 1 - self.momentum, scale)
            self._move(xp, moving_var, self._variance(xp, var, first), 1 - self.momentum, scale)
        count = self._gradients(xp, gamma, var, dgamma, dbeta, stats, first, second, scale)
        xp.divide(first, count, out=first)
        xp.divide(second, count, out=second)

    def _gradients(
        self,
        xp: Any,
        gamma: Any,
        var: Any,
        dgamma: Any,
        dbeta: Any,
        stats: Any,
        first: Any,
        second: Any,
        scale: Any,
    ) -> float:
        """dbeta and dgamma; `first` their sum for beta, `second` what (data - mean) / count goes down by.

        Returns how many numbers a channel has.
        """
        if self.inverse_shown:
            inverse = var
        else:
            inverse = stats[0, 0]
        count = float(stats[:, 0, 0].sum()) if stats.shape[2] else 1.0
        stats[:, 1].sum(axis=0, out=first)
        stats[:, 2].sum(axis=0, out=second)
        if not self.inverse_shown:
            invert_root(xp, var, self.eps, inverse)
        xp.multiply(second, inverse, out=second)
        if dbeta is not None:
            xp.copyto(dbeta, first)
        if dgamma is not None:
            xp.copyto(dgamma, 0 if self.fix_gamma else second)
        xp.multiply(second, inverse, out=second)
        self._factor(xp, gamma, inverse, scale)
        return max(1.0, count)

    def pass_down(
        self,
        xp: Any,
        doutput: Any,
        data: Any,
        mean: Any,
        ddata: Any,
        work: Any,
        first: Any,
        second: Any,
        scale: Any,
    ) -> None:
        """ddata = (doutput - first - (data - mean) * second) * scale"""
        if ddata is None:
            return
        axis = self.axis % data.ndim
        through(xp, doutput, data, axis, mean, first, second, scale, work, ddata)

    def _variance(self, xp: Any, var: Any, vector: Any) -> Any:
        """The variance of the batch, from the output `var`."""
        if not self.inverse_shown:
            return var
        xp.multiply(var, var, out=vector)
        xp.divide(1, vector, out=vector)
        xp.subtract(vector, self.eps, out=vector)
        return xp.maximum(vector, 0, out=vector)


class BatchNorm(_BatchNorm):
    """Normalise every channel over the batch: output = (data - mean) / sqrt(variance + eps) * gamma + beta.

    data (N, C, S...) with the channels along `axis`; gamma, beta and the states (C,), of float32 where data
    is float16.  A training pass uses the mean and the biased variance of the batch, and its backward pass
    moves the states; any other pass, and any pass with `use_global_stats`, uses the states, and gradients
    then pass through the affine map alone.  The outputs `mean` and `var` hold what was used, `var` as
    1/sqrt(variance + eps) (as MXNet 1.9.1 does); no gradient passes through them.

    Ioffe and Szegedy 2015.  MXNet's BatchNorm: states are moving averages.  Caffe's with `affine` off and
    `statistics` sum: the states are a sum of means, a sum of unbiased variances and their weight
    `moving_factor` (1,), each multiplied by `momentum` before the forward pass adds a batch; with weight 0
    mean and variance are 0.
    """

    axis = Int(1, "the axis of the channels; negative counts from the end")
    cudnn_off = Hint()
    min_calib_range = Hint()
    max_calib_range = Hint()
    affine = Bool(True, "scale by gamma and shift by beta")
    statistics = Enum("average", "sum", default="average", help="moving averages as states, or Caffe's sums")

    names = ("BatchNorm", "CuDNNBatchNorm")
    onnx = (
        As(
            "BatchNormalization",
            eps=To("epsilon", absent=1e-5),
            momentum=To("momentum", absent=0.9),
            fix_gamma=Fixed(False),
            use_global_stats=Lost("inference always uses the states"),
            output_mean_var=Fixed(False),
            axis=Fixed(1),
            cudnn_off=Lost("advice"),
            min_calib_range=Lost("advice"),
            max_calib_range=Lost("advice"),
            affine=Fixed(True),
            statistics=Fixed("average"),
        ),
    )
    examples = (
        ({"fix_gamma": False}, {"data": (4, 3, 2, 2)}),
        ({"eps": 0.1, "output_mean_var": True, "axis": -1}, {"data": (4, 2, 3)}),
        ({"use_global_stats": True, "fix_gamma": False}, {"data": (4, 3)}),
        ({"affine": False, "statistics": "sum", "momentum": 0.7}, {"data": (4, 3, 2)}),
        ({"affine": False, "statistics": "sum", "use_global_stats": True}, {"data": (4, 3)}),
    )


class BatchNormV1(_BatchNorm):
    """BatchNorm as it was at first: the channels lie along axis 1, and the output `var` is the variance.

    data (N, C, S...), gamma, beta and the states (C,) -> output, shaped as data.  MXNet's BatchNorm_v1.
    """

    names = ("BatchNorm_v1",)
    inverse_shown = False
    examples = (
        ({"fix_gamma": False}, {"data": (4, 3, 2, 2)}),
        ({"output_mean_var": True}, {"data": (4, 3)}),
    )


class SyncBatchNorm(_BatchNorm):
    """BatchNorm whose statistics MXNet gathers from several devices; here there is one.

    data (N, C, S...), gamma, beta and the states (C,) -> output, shaped as data.  The output `var` is the
    variance.  MXNet's SyncBatchNorm.
    """

    ndev = Hint("how many devices share the batch; without effect here")
    key = Hint("the name under which devices share their statistics; without effect here")

    names = ("_contrib_SyncBatchNorm",)
    inverse_shown = False
    examples = (({"key": "bn", "fix_gamma": False}, {"data": (4, 3, 2)}),)

"""Normalisation over the batch, and scaling by channel."""

from __future__ import annotations

from typing import Any, ClassVar

from netdef.ops.arrays import ordered, others, spread
from netdef.ops.base import WIDE, Cut, Op, Workspace, wide
from netdef.ops.fields import Bool, Enum, Float, Hint, Int
from netdef.ops.foreign import As, Fixed, Lost, To
from netdef.ops.moments import centre, invert_root, projections, through
from netdef.ops.shapes import ShapeError, Shapes, show


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
    scratch = ("work", "first", "second", "scale", "inverse")
    work = 5
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

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        data = s.full("data")
        channels = Workspace((data[s.axis("data", self.axis)],), WIDE)
        names = ("first", "second", "scale", "inverse") if backward else ("first", "second", "scale")
        return {"work": Workspace(data, WIDE), **dict.fromkeys(names, channels)}

    def cuts(self, s: Shapes, backward: bool) -> tuple[Cut, ...]:
        if self.statistics == "sum":
            return ()  # all channels share one factor, which a forward pass moves
        vectors = (*self.inputs[1:], *self.states[:2], "mean", "var")
        return (Cut({"data": self.axis, "output": self.axis, **dict.fromkeys(vectors, 0)}),)

    def _of_the_batch(self, train: bool) -> bool:
        """Whether a pass uses the statistics of the batch."""
        return train and not self.use_global_stats

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
        first: Any,
        second: Any,
        scale: Any,
    ) -> None:
        mean = first if mean is None else mean
        var = second if var is None else var
        axis = self.axis % data.ndim
        centres, spreads = spread(mean, data, axis), spread(var, data, axis)
        if self._of_the_batch(train):
            centre(xp, data, others(data.ndim, axis), centres, spreads, output, ordered(work, data))
            if moving_factor is not None:
                count = data.size // mean.size
                self._move(xp, moving_mean, mean, 1, scale)
                self._move(xp, moving_var, var, count / max(1, count - 1), scale)
                xp.multiply(moving_factor, self.momentum, out=moving_factor)
                xp.add(moving_factor, 1, out=moving_factor)
        else:
            weight = 1 if moving_factor is None else float(moving_factor[0])
            share = 1 / weight if weight else 0
            xp.multiply(moving_mean, share, out=mean)
            xp.multiply(moving_var, share, out=var)
            xp.subtract(data, centres, out=output)
        inverse = var if self.inverse_shown else scale
        invert_root(xp, var, self.eps, inverse)
        factor = self._factor(xp, gamma, inverse, scale)
        xp.multiply(output, spread(factor, data, axis), out=output)
        if beta is not None:
            xp.add(output, spread(beta, data, axis), out=output)

    def _move(self, xp: Any, state: Any, batch: Any, weight: float, vector: Any) -> None:
        """Let a state forget a share and add the batch's value with a weight."""
        xp.multiply(state, self.momentum, out=state)
        xp.multiply(batch, weight, out=vector)
        xp.add(state, vector, out=state)

    def _factor(self, xp: Any, gamma: Any, inverse: Any, scale: Any) -> Any:
        """What the centred data are multiplied by, for each channel."""
        if gamma is None or self.fix_gamma:
            return inverse
        xp.multiply(gamma, inverse, out=scale)
        return scale

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
        first: Any,
        second: Any,
        scale: Any,
        inverse: Any,
    ) -> None:
        if self._of_the_batch(train) and self.statistics == "average":
            self._move(xp, moving_mean, mean, 1 - self.momentum, scale)
            self._move(xp, moving_var, self._variance(xp, var, first), 1 - self.momentum, scale)
        if self.inverse_shown:
            inverse = var
        else:
            invert_root(xp, var, self.eps, inverse)
        axis = self.axis % data.ndim
        work = ordered(work, data)

        def along(vector: Any) -> Any:
            return spread(vector, data, axis)

        sums = along(first), along(second), work
        centres, inverses = along(mean), along(inverse)
        projections(xp, doutput, data, others(data.ndim, axis), centres, inverses, *sums)
        if dbeta is not None:
            xp.copyto(dbeta, first)
        if dgamma is not None:
            xp.copyto(dgamma, 0 if self.fix_gamma else second)
        if ddata is None:
            return
        factor = along(self._factor(xp, gamma, inverse, scale))
        if self._of_the_batch(train):
            through(xp, doutput, data, centres, inverses, factor, *sums, ddata)
        else:
            xp.multiply(doutput, factor, out=ddata)

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


class Scale(Op):
    """Multiply by one number for each place along some axes: data, scale[, bias] -> output, shaped as data.

    scale has the shape of `num_axes` axes of data from `axis` on (-1: to the last, 0: one number); bias, with
    `bias_term`, has the shape of scale.  A scale whose shape is known beforehand, because it is computed,
    decides by its own rank.  Caffe's Scale.
    """

    axis = Int(1, "first axis of data that scale runs along; negative counts from the end")
    num_axes = Int(1, "how many axes; -1 for all from `axis` on, 0 for a single number", min=-1)
    bias_term = Bool(False, "add a bias")

    inputs = ("data", "scale", "bias")
    scratch = ("work",)
    inplace = (("data", "output"), ("doutput", "ddata"))
    examples = (
        ({}, {"data": (4, 3, 2)}),
        ({"num_axes": -1, "bias_term": True}, {"data": (4, 3, 2)}),
        ({"num_axes": 0, "bias_term": True}, {"data": (4, 3)}),
        ({"axis": 0, "num_axes": 2}, {"data": (4, 3, 2)}),
        ({"axis": -2}, {"data": (4, 3, 2), "scale": (3, 2)}),
    )

    def input_names(self) -> tuple[str, ...]:
        return self.inputs if self.bias_term else self.inputs[:2]

    def shape(self, s: Shapes) -> None:
        s.same("data", "output")
        s.same(*self.input_names()[1:])
        data, scale = s["data"], s["scale"]
        if data is None:
            return
        if (self.num_axes if scale is None else len(scale)) == 0:
            axis = count = 0
        else:
            axis = s.axis("data", self.axis)
            count = self.num_axes if scale is None else len(scale)
            count = len(data) - axis if count < 0 else count
        if axis + count > len(data):
            raise ShapeError(
                f"data {show(data)} has no {count} axes from axis {axis} on",
                tensor="data",
                attribute="num_axes" if scale is None else "axis",
                hint=f"at most {len(data) - axis}, or another axis",
            )
        for name in self.input_names()[1:]:
            rule = f"data is {show(data)} and scale runs along its axes from {axis} on"
            s.merge(name, data[axis : axis + count], rule)
        known = s["scale"] or ()
        s.merge("data", (*data[:axis], *known, *data[axis + count :]))

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"work": Workspace(s.full("data"))} if backward else {}

    def _first(self, data: Any, scale: Any) -> int:
        return self.axis % data.ndim if scale.ndim else 0

    def forward(self, xp: Any, data: Any, scale: Any, bias: Any, output: Any) -> None:
        axis = self._first(data, scale)
        xp.multiply(data, spread(scale, data, axis), out=output)
        if bias is not None:
            xp.add(output, spread(bias, data, axis), out=output)

    def backward(
        self, xp: Any, doutput: Any, data: Any, scale: Any, ddata: Any, dscale: Any, dbias: Any, work: Any
    ) -> None:
        axis = self._first(data, scale)
        rest = others(data.ndim, axis, scale.ndim)
        if dscale is not None:
            work = ordered(work, data)
            xp.multiply(doutput, data, out=work)
            work.sum(axis=rest, out=dscale)
        if dbias is not None:
            doutput.sum(axis=rest, out=dbias)
        if ddata is not None:
            xp.multiply(doutput, spread(scale, data, axis), out=ddata)

"""Normalisation over the batch, and scaling by channel."""

from __future__ import annotations

from typing import Any, ClassVar

from netdef.ops.arrays import ordered, others, spread
from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Bool, Enum, Float, Int
from netdef.ops.foreign import As, Fixed, Lost, To
from netdef.ops.shapes import ShapeError, Shapes, show


class BatchNorm(Op):
    """Normalise every channel over the batch: output = (data - mean) / sqrt(variance + eps) * gamma + beta.

    data (N, C, S...) with the channels along `axis`; gamma, beta and the states (C,).  A training pass uses
    the mean and the biased variance of the batch and moves the states; any other pass, and any pass with
    `use_global_stats`, uses the states, and gradients then pass through the affine map alone.  The outputs
    `mean` and `var` hold what was used, `var` as 1/sqrt(variance + eps) (as MXNet 1.9.1 does); no gradient
    passes through them.

    Ioffe and Szegedy 2015.  MXNet's BatchNorm: states are moving averages.  Caffe's with `affine` off and
    `statistics` sum: the states are a sum of means, a sum of unbiased variances and their weight
    `moving_factor` (1,), each multiplied by `momentum` before a batch is added; with weight 0 mean and
    variance are 0.
    """

    eps = Float(1e-3, "what is added to the variance", min=0)
    momentum = Float(0.9, "the share of the old statistics that remains")
    fix_gamma = Bool(True, "gamma counts as 1 and gets no gradient")
    use_global_stats = Bool(False, "use the states in training, too, and leave them alone")
    output_mean_var = Bool(False, "show the outputs mean and var")
    axis = Int(1, "the axis of the channels; negative counts from the end")
    affine = Bool(True, "scale by gamma and shift by beta")
    statistics = Enum("average", "sum", default="average", help="moving averages as states, or Caffe's sums")

    inputs = ("data", "gamma", "beta")
    states = ("moving_mean", "moving_var", "moving_factor")
    initial: ClassVar[dict[str, str]] = {"moving_mean": '["zero", {}]', "moving_var": '["one", {}]'}
    outputs = ("output", "mean", "var")
    scratch = ("work", "first", "second", "third")
    work = 5
    inplace = (("data", "output"), ("doutput", "ddata"))
    onnx = (
        As(
            "BatchNormalization",
            eps=To("epsilon", absent=1e-5),
            momentum=To("momentum", absent=0.9),
            fix_gamma=Fixed(False),
            use_global_stats=Lost("inference always uses the states"),
            output_mean_var=Fixed(False),
            axis=Fixed(1),
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

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        data = s.full("data")
        channels = Workspace((data[s.axis("data", self.axis)],))
        return {"work": Workspace(data), "first": channels, "second": channels, "third": channels}

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
        third: Any,
    ) -> None:
        mean = first if mean is None else mean
        var = second if var is None else var
        axis = self.axis % data.ndim
        if self._of_the_batch(train):
            rest = others(data.ndim, axis)
            work = ordered(work, data)
            data.mean(axis=rest, out=mean)
            xp.subtract(data, spread(mean, data, axis), out=output)
            xp.multiply(output, output, out=work)
            work.mean(axis=rest, out=var)
            count = data.size // mean.size
            new = 1 - self.momentum if moving_factor is None else 1
            unbiased = 1 if moving_factor is None or count == 1 else count / (count - 1)
            self._move(xp, moving_mean, mean, new, third)
            self._move(xp, moving_var, var, new * unbiased, third)
            if moving_factor is not None:
                xp.multiply(moving_factor, self.momentum, out=moving_factor)
                xp.add(moving_factor, 1, out=moving_factor)
        else:
            weight = 1 if moving_factor is None else float(moving_factor[0])
            share = 1 / weight if weight else 0
            xp.multiply(moving_mean, share, out=mean)
            xp.multiply(moving_var, share, out=var)
            xp.subtract(data, spread(mean, data, axis), out=output)
        xp.add(var, self.eps, out=var)
        xp.sqrt(var, out=var)
        xp.divide(1, var, out=var)
        xp.multiply(output, spread(self._scale(xp, gamma, var, third), data, axis), out=output)
        if beta is not None:
            xp.add(output, spread(beta, data, axis), out=output)

    def _move(self, xp: Any, state: Any, batch: Any, weight: float, vector: Any) -> None:
        """Let a state forget a share and add the batch's value with a weight."""
        xp.multiply(state, self.momentum, out=state)
        xp.multiply(batch, weight, out=vector)
        xp.add(state, vector, out=state)

    def _scale(self, xp: Any, gamma: Any, var: Any, vector: Any) -> Any:
        """What the centred data are multiplied by, for each channel."""
        if gamma is None or self.fix_gamma:
            return var
        xp.multiply(gamma, var, out=vector)
        return vector

    def backward(
        self,
        xp: Any,
        train: bool,
        doutput: Any,
        data: Any,
        gamma: Any,
        mean: Any,
        var: Any,
        ddata: Any,
        dgamma: Any,
        dbeta: Any,
        work: Any,
        first: Any,
        second: Any,
        third: Any,
    ) -> None:
        axis = self.axis % data.ndim
        rest = others(data.ndim, axis)
        work = ordered(work, data)
        doutput.sum(axis=rest, out=first)
        xp.subtract(data, spread(mean, data, axis), out=work)
        xp.multiply(work, doutput, out=work)
        work.sum(axis=rest, out=second)
        xp.multiply(second, var, out=second)  # the gradient of gamma
        if dbeta is not None:
            xp.copyto(dbeta, first)
        if dgamma is not None:
            xp.copyto(dgamma, 0 if self.fix_gamma else second)
        if ddata is None:
            return
        scale = spread(self._scale(xp, gamma, var, third), data, axis)
        if not self._of_the_batch(train):
            xp.multiply(doutput, scale, out=ddata)
            return
        # scale * (doutput - mean of doutput - normalised data * mean of (doutput * normalised data))
        count = data.size // mean.size
        xp.divide(first, count, out=first)
        xp.divide(second, count, out=second)
        xp.multiply(second, var, out=second)
        xp.subtract(data, spread(mean, data, axis), out=work)
        xp.multiply(work, spread(second, data, axis), out=work)
        xp.add(work, spread(first, data, axis), out=work)
        xp.subtract(doutput, work, out=ddata)
        xp.multiply(ddata, scale, out=ddata)


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

"""Normalisation of each sample by itself: GroupNorm, InstanceNorm, L2Normalization; what LayerNorm shares."""

from __future__ import annotations

from typing import Any

from netdef.ops.arrays import ordered, spread
from netdef.ops.base import WIDE, Op, Workspace, wide
from netdef.ops.fields import Bool, Enum, Float, Int
from netdef.ops.foreign import As
from netdef.ops.moments import centre, invert_root, projections, through
from netdef.ops.shapes import ShapeError, Shapes, show


class SelfNormalized(Op, abstract=True):
    """(data - mean) / std * gamma + beta, where std = sqrt(variance + eps) and mean are those of a sample."""

    inputs = ("data", "gamma", "beta")
    outputs = ("output", "mean", "std")
    scratch = ("work", "heads", "first", "second", "scale", "inverse", "vector")
    work = 8
    inplace = (("data", "output"), ("doutput", "ddata"))

    def types(self, t: Shapes) -> None:
        t.same("data", "gamma", "beta", "output")
        for name in ("mean", "std"):
            if self.visible_outputs() > 1:
                t.same("data", name)
            elif t["data"] is not None:
                t.merge(name, wide(t["data"]))  # type: ignore[arg-type]

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        group = Workspace(s.full("mean"), WIDE)
        names = ("first", "second", "scale", "inverse") if backward else ("first", "second", "scale")
        spaces = {"work": Workspace(s.full("data"), WIDE), **dict.fromkeys(names, group)}
        return {**spaces, "vector": Workspace(s.full("gamma"), WIDE)} if backward else spaces


class _Grouped(SelfNormalized, abstract=True):
    """Normalise each group of channels of each sample over all that it holds; gamma and beta by group.

    data is seen as (N, G, ...) with G groups; mean and std are (N, G).
    """

    eps: Any

    def view_groups(self, array: Any) -> Any:
        """data or its gradient as (N, G, ...), never a copy."""
        return array

    def groups(self, s: Shapes) -> int | None:
        """How many groups there are, for data of known rank."""
        raise NotImplementedError

    def shape(self, s: Shapes) -> None:
        s.same("data", "output")
        data = s.rank("data", 3, "(batch, channels, spatial axes...)")
        if data is None:
            return
        groups = self.groups(s)
        for name in ("gamma", "beta"):
            s.merge(name, (groups,), f"data {show(data)} has {groups} groups of channels, each with a {name}")
        for name in ("mean", "std"):
            s.merge(name, (data[0], groups))

    def forward(
        self,
        xp: Any,
        data: Any,
        gamma: Any,
        beta: Any,
        output: Any,
        mean: Any,
        std: Any,
        work: Any,
        first: Any,
        second: Any,
        scale: Any,
    ) -> None:
        work = self.view_groups(ordered(work, data))
        data, output = self.view_groups(data), self.view_groups(output)
        axes = tuple(range(2, data.ndim))
        centre(xp, data, axes, spread(first, data, 0), spread(second, data, 0), output, work)
        invert_root(xp, second, self.eps, scale)
        if mean is not None:
            xp.copyto(mean, first)
        if std is not None:
            xp.divide(1, scale, out=std)
        xp.multiply(scale, gamma, out=scale)
        xp.multiply(output, spread(scale, data, 0), out=output)
        xp.add(output, spread(beta, data, 1), out=output)

    def backward(
        self,
        xp: Any,
        doutput: Any,
        data: Any,
        gamma: Any,
        mean: Any,
        std: Any,
        ddata: Any,
        dgamma: Any,
        dbeta: Any,
        work: Any,
        first: Any,
        second: Any,
        scale: Any,
        inverse: Any,
        vector: Any,
    ) -> None:
        work = self.view_groups(ordered(work, data))
        data, doutput = self.view_groups(data), self.view_groups(doutput)
        xp.divide(1, std, out=inverse)
        sums = spread(first, data, 0), spread(second, data, 0), work
        centres, inverses = spread(mean, data, 0), spread(inverse, data, 0)
        projections(xp, doutput, data, tuple(range(2, data.ndim)), centres, inverses, *sums)
        if dbeta is not None:
            first.sum(axis=0, out=vector)
            xp.copyto(dbeta, vector)
        if dgamma is not None:
            second.sum(axis=0, out=vector)
            xp.copyto(dgamma, vector)
        if ddata is not None:
            xp.multiply(inverse, gamma, out=scale)
            factor = spread(scale, data, 0)
            through(xp, doutput, data, centres, inverses, factor, *sums, self.view_groups(ddata))


class InstanceNorm(_Grouped):
    """Normalise each channel of each sample: (data - mean) / sqrt(variance + eps) * gamma + beta.

    data (N, C, S...), gamma and beta (C,) -> output, shaped as data; mean and variance run over S.  Ulyanov
    et al. 2016; MXNet's InstanceNorm.
    """

    eps = Float(1e-3, "what is added to the variance")

    onnx = (As("InstanceNormalization", eps="epsilon"),)
    examples = (
        ({}, {"data": (2, 3, 4)}),
        ({"eps": 0.1}, {"data": (2, 3, 2, 3)}),
    )

    def groups(self, s: Shapes) -> int | None:
        return (s["data"] or ())[1]


class GroupNorm(_Grouped):
    """Normalise each group of channels of each sample: (data - mean) / std * gamma + beta.

    data (N, C, S...) -> output, shaped as data; the C channels form `num_groups` groups of neighbours, and
    std is sqrt(variance + eps).  As in MXNet 1.9.1 gamma and beta are (num_groups,), one number for each
    group and not for each channel.  The outputs `mean` and `std` are (N, num_groups); no gradient passes
    through them.  Wu and He 2018; MXNet's GroupNorm.
    """

    num_groups = Int(1, "how many groups the channels form", min=1)
    eps = Float(1e-5, "what is added to the variance")
    output_mean_var = Bool(False, "show the outputs mean and std")

    examples = (
        ({"num_groups": 2}, {"data": (2, 4, 3)}),
        ({"num_groups": 3, "eps": 0.1, "output_mean_var": True}, {"data": (2, 3, 2, 2)}),
        ({}, {"data": (2, 3, 2, 2)}),
    )

    def visible_outputs(self) -> int:
        return 3 if self.output_mean_var else 1

    def groups(self, s: Shapes) -> int | None:
        channels = (s["data"] or ())[1]
        if channels is not None and channels % self.num_groups:
            raise ShapeError(
                f"data {show(s['data'])} has {channels} channels, which do not form {self.num_groups} groups",
                tensor="data",
                attribute="num_groups",
                hint=f"a divisor of {channels}",
            )
        return self.num_groups

    def view_groups(self, array: Any) -> Any:
        batch, channels, *rest = array.shape
        return array.reshape(batch, self.num_groups, channels // self.num_groups, *rest)


class L2Normalization(Op):
    """Divide by the length: data / norm, where norm = sqrt(sum of data ** 2 + eps).

    data (N, C, S...) -> output of the same shape; the sum runs over all of a sample (instance), over the
    channels of each position (channel) or over the positions of each channel (spatial).  MXNet's
    L2Normalization.
    """

    eps = Float(1e-10, "what is added to the sum of squares")
    mode = Enum("instance", "channel", "spatial", default="instance", help="what has length 1 afterwards")

    outputs = ("output", "norm")
    scratch = ("work", "sums")
    work = 4
    inplace = (("data", "output"), ("doutput", "ddata"), ("output", "ddata"))
    examples = (
        ({"eps": 0.1}, {"data": (2, 3)}),
        ({"mode": "channel"}, {"data": (2, 3, 4)}),
        ({"mode": "spatial"}, {"data": (2, 3, 2, 2)}),
        ({}, {"data": (2, 3, 2)}),
    )

    def _axes(self, rank: int) -> tuple[int, ...]:
        """The axes that a length runs over."""
        return (1,) if self.mode == "channel" else tuple(range(2 if self.mode == "spatial" else 1, rank))

    def shape(self, s: Shapes) -> None:
        s.same("data", "output")
        if self.mode == "instance":
            data = s.rank("data", 1, "(batch, ...)")
        else:
            data = s.rank("data", 3, "(batch, channels, spatial axes...)")
        if data is not None:
            axes = self._axes(len(data))
            s.merge("norm", tuple(1 if axis in axes else size for axis, size in enumerate(data)))

    def types(self, t: Shapes) -> None:
        t.same("data", "output")
        if t["data"] is not None:
            t.merge("norm", wide(t["data"]))  # type: ignore[arg-type]

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {"work": Workspace(s.full("data"), WIDE), "sums": Workspace(s.full("norm"), WIDE)}

    def forward(self, xp: Any, data: Any, output: Any, norm: Any, work: Any, sums: Any) -> None:
        norm = sums if norm is None else norm
        work = ordered(work, data)
        xp.multiply(data, data, out=work, dtype=work.dtype)
        work.sum(axis=self._axes(data.ndim), keepdims=True, out=norm)
        xp.add(norm, self.eps, out=norm)
        xp.sqrt(norm, out=norm)
        xp.divide(data, norm, out=output)

    def backward(
        self, xp: Any, doutput: Any, output: Any, norm: Any, ddata: Any, work: Any, sums: Any
    ) -> None:
        # (doutput - output * sum of doutput * output) / norm
        work = ordered(work, output)
        xp.multiply(doutput, output, out=work, dtype=work.dtype)
        work.sum(axis=self._axes(output.ndim), keepdims=True, out=sums)
        xp.multiply(output, sums, out=work)
        xp.subtract(doutput, work, out=ddata)
        xp.divide(ddata, norm, out=ddata)

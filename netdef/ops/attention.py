"""Attention: softmax under a mask, and scaled dot products with several heads."""

from __future__ import annotations

from typing import Any

from netdef.ops.arrays import count_up
from netdef.ops.base import Op, Workspace
from netdef.ops.fields import Bool, Float, Hint, Int
from netdef.ops.masks import drop, drop_again, masked_softmax, shift, softmax_gradient
from netdef.ops.shapes import ShapeError, Shapes, show


class _Masked(Op, abstract=True):
    """A softmax that some values take no part in."""

    axis = Int(-1, "the axis whose values sum to one; negative counts from the end")
    temperature = Float(1, "what the data are divided by", above=0)
    normalize = Hint("whether MXNet subtracts the largest value first, which is always done here")

    inputs = ("data", "mask")
    scratch = ("hidden", "column", "work")
    inplace = (("data", "output"),)
    work = 5
    examples = (
        ({}, {"data": (4, 3), "mask": (4, 3)}),
        ({"axis": 1, "temperature": 2.5}, {"data": (2, 3, 4), "mask": (2, 3, 1)}),
        ({"axis": -2}, {"data": (2, 3, 4), "mask": (3, 4)}),
    )

    def shape(self, s: Shapes) -> None:
        s.same("data", "output")
        data, mask = s["data"], s["mask"]
        if data is None:
            return
        s.axis("data", self.axis)
        for place, size in enumerate(reversed(mask or ()), 1):
            there = data[-place] if place <= len(data) else 1
            if size not in (None, 1, there) and there is not None:
                raise ShapeError(
                    f"mask {show(mask)} does not broadcast to data {show(data)}",
                    tensor="mask",
                    hint="equal sizes, or 1, counted from the last axis",
                )
        if mask is not None and len(mask) > len(data):
            raise ShapeError(f"mask {show(mask)} has more axes than data {show(data)}", tensor="mask")

    def types(self, t: Shapes) -> None:
        t.same("data", "output")
        if t["mask"] is None:
            t.merge("mask", t["data"])

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        shape, axis = s.full("data"), s.axis("data", self.axis)
        return {
            "column": Workspace((*shape[:axis], 1, *shape[axis + 1 :])),
            "hidden": Workspace(s.full("mask"), "bool"),
        }

    def _hide(self, xp: Any, data: Any, mask: Any, hidden: Any, output: Any) -> Any:
        """The data over the temperature; marks what the mask hides."""
        xp.equal(mask, 0, out=hidden)
        return data if self.temperature == 1 else xp.divide(data, self.temperature, out=output)


class MaskedSoftmax(_Masked):
    """Softmax over the elements whose mask is not 0: data, mask -> output, shaped as data.

    The mask broadcasts against the data.  Where it is 0 the output is 0, also where all elements along the
    axis are left out.  MXNet 2's masked_softmax.
    """

    names = ("masked_softmax",)

    def forward(self, xp: Any, data: Any, mask: Any, output: Any, hidden: Any, column: Any) -> None:
        data = self._hide(xp, data, mask, hidden, output)
        masked_softmax(xp, data, hidden, self.axis, column, output)

    def backward(self, xp: Any, doutput: Any, output: Any, ddata: Any, column: Any) -> None:
        softmax_gradient(xp, doutput, output, self.axis, column, ddata)
        if self.temperature != 1:
            xp.divide(ddata, self.temperature, out=ddata)


class MaskedLogSoftmax(_Masked):
    """The logarithm of masked_softmax: data, mask -> output, shaped as data; -inf where the mask is 0.

    The gradients that arrive there count for nothing.  MXNet 2's masked_log_softmax.
    """

    names = ("masked_log_softmax",)

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        return {**super().workspaces(s, backward), "work": Workspace(s.full("data"))}

    def forward(
        self, xp: Any, data: Any, mask: Any, output: Any, hidden: Any, column: Any, work: Any
    ) -> None:
        data = self._hide(xp, data, mask, hidden, output)
        shift(xp, data, hidden, self.axis, column, output)
        xp.exp(output, out=work)
        work.sum(axis=self.axis, keepdims=True, out=column)
        xp.maximum(column, 1, out=column)  # less than 1 only where all are left out
        xp.log(column, out=column)
        xp.subtract(output, column, out=output)

    def backward(
        self,
        xp: Any,
        doutput: Any,
        mask: Any,
        output: Any,
        ddata: Any,
        hidden: Any,
        column: Any,
        work: Any,
    ) -> None:
        xp.equal(mask, 0, out=hidden)
        xp.copyto(ddata, doutput)
        xp.copyto(ddata, 0, where=hidden)
        ddata.sum(axis=self.axis, keepdims=True, out=column)
        xp.exp(output, out=work)
        xp.multiply(work, column, out=work)
        xp.subtract(ddata, work, out=ddata)
        if self.temperature != 1:
            xp.divide(ddata, self.temperature, out=ddata)


class MultiHeadAttention(Op):
    """Scaled dot-product attention of several heads: softmax(scale * query . key') . value for each.

    query (N, T, C), key and value (N, S, C) [, valid_length (N,)] -> output (N, T, C).  Head i reads and
    writes the i-th of num_heads stretches of C.  With `causal` step t sees the keys 0 to t, with `use_length`
    sample n those below its valid_length; a query that sees none gives 0.  Dropout acts on the weights; the
    hidden output `weights` (N, num_heads, T, S) holds them before it.  Vaswani et al. 2017, without the
    projections: these are FullyConnected with flatten=False.
    """

    num_heads = Int(help="the number of heads, a divisor of C", min=1)
    causal = Bool(False, "let no query see later keys")
    use_length = Bool(False, "take an input with the number of keys of each sample")
    scale = Float(None, "what the products are multiplied by; left out: 1 / sqrt(C / num_heads)")
    p = Float(0, "the share of the weights that is dropped while training", min=0, max=1)

    inputs = ("query", "key", "value", "valid_length")
    outputs = ("output", "weights", "mask")
    scratch = ("work", "column", "noise", "positions", "limits", "hidden", "product")
    examples = (
        ({"num_heads": 1}, {"query": (2, 3, 4), "key": (2, 5, 4)}),
        ({"num_heads": 2, "causal": True, "scale": 0.3}, {"query": (2, 3, 4), "key": (2, 3, 4)}),
        ({"num_heads": 2, "use_length": True}, {"query": (4, 3, 6), "key": (4, 5, 6)}),
        ({"num_heads": 2, "causal": True, "use_length": True}, {"query": (4, 5, 2), "key": (4, 4, 2)}),
        ({"num_heads": 2, "p": 1}, {"query": (2, 3, 4), "key": (2, 5, 4)}),
    )

    def input_names(self) -> tuple[str, ...]:
        return self.inputs if self.use_length else self.inputs[:3]

    def output_names(self) -> tuple[str, ...]:
        return self.outputs if self.p > 0 else self.outputs[:2]

    def shape(self, s: Shapes) -> None:
        for name in (*self.inputs[:3], "output"):
            s.merge(name, (None, None, None), "it is batch x steps x channels")
        s.merge("valid_length", (None,), "it holds one number for each sample")
        s.same("query", "output")
        s.same("key", "value")
        query, key, length = (
            s["query"] or (None,) * 3,
            s["key"] or (None,) * 3,
            s.get("valid_length") or (None,),
        )
        batch = next((size for size in (query[0], key[0], length[0]) if size is not None), None)
        width = query[2] if key[2] is None else key[2]
        if width is not None and width % self.num_heads:
            raise ShapeError(
                f"{width} channels are no {self.num_heads} equal heads", tensor="query", attribute="num_heads"
            )
        for name in ("query", "output", "key", "value"):
            s.merge(name, (batch, None, width), f"query is {show(query)} and key {show(key)}")
        s.merge("valid_length", (batch,), f"query is {show(query)}")
        for name in ("weights", "mask"):
            s.merge(name, (batch, self.num_heads, query[1], key[1]))

    def types(self, t: Shapes) -> None:
        t.same(*self.inputs[:3], *self.output_names())
        if t.get("valid_length") is None:
            t.merge("valid_length", t["query"])

    def macs(self, s: Shapes) -> int:
        batch, steps, width = s.full("query")
        return 2 * batch * steps * width * s.full("key")[1]

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        batch, steps, width = s.full("query")
        weights = batch, self.num_heads, steps, s.full("key")[1]
        spaces = {"work": Workspace(weights)}
        if backward:
            product = batch, steps, self.num_heads, width // self.num_heads
            return {**spaces, "product": Workspace(product), "column": Workspace(product[:3])}
        spaces["column"] = Workspace((*weights[:3], 1))
        if self.p > 0:
            spaces["noise"] = Workspace(weights, "float32")
        if self.causal or self.use_length:
            rows = batch if self.use_length else 1, 1, steps if self.causal else 1
            spaces["positions"] = Workspace((max(weights[2:]),), "int32")
            spaces["limits"] = Workspace((*rows, 1), "float64")
            spaces["hidden"] = Workspace((*rows, weights[3]), "bool")
        return spaces

    def _heads(self, array: Any) -> Any:
        """A view (N, heads, steps, C / heads)."""
        return array.reshape(*array.shape[:2], self.num_heads, -1).transpose(0, 2, 1, 3)

    def _factor(self, query: Any) -> float:
        return (self.num_heads / query.shape[2]) ** 0.5 if self.scale is None else self.scale

    def _hide(self, xp: Any, valid_length: Any, positions: Any, limits: Any, hidden: Any, keys: int) -> Any:
        """Which keys (N or 1, 1, T or 1, S) a query does not see, or None."""
        if hidden is None:
            return None
        count_up(xp, positions)
        if self.causal:
            xp.add(positions[: limits.shape[2], None], 1, out=limits)
        if valid_length is not None:
            length = valid_length[:, None, None, None]
            xp.minimum(limits, length, out=limits) if self.causal else xp.copyto(limits, length)
        return xp.greater_equal(positions[:keys], limits, out=hidden)

    def forward(
        self,
        xp: Any,
        train: bool,
        random: Any,
        query: Any,
        key: Any,
        value: Any,
        valid_length: Any,
        output: Any,
        weights: Any,
        mask: Any,
        work: Any,
        column: Any,
        noise: Any,
        positions: Any,
        limits: Any,
        hidden: Any,
    ) -> None:
        weights = work if weights is None else weights
        xp.matmul(self._heads(query), self._heads(key).swapaxes(2, 3), out=weights)
        xp.multiply(weights, self._factor(query), out=weights)
        hidden = self._hide(xp, valid_length, positions, limits, hidden, key.shape[1])
        masked_softmax(xp, weights, hidden, 3, column, weights)
        if train and self.p > 0:
            drop(xp, random, self.p, weights, mask, noise, work)
            weights = work
        elif mask is not None:
            mask.fill(1)
        xp.matmul(weights, self._heads(value), out=self._heads(output))

    def backward(
        self,
        xp: Any,
        train: bool,
        doutput: Any,
        query: Any,
        key: Any,
        value: Any,
        output: Any,
        weights: Any,
        mask: Any,
        dquery: Any,
        dkey: Any,
        dvalue: Any,
        work: Any,
        column: Any,
        product: Any,
    ) -> None:
        dropping = train and self.p > 0
        arriving = self._heads(doutput)
        if dvalue is not None:
            used = weights
            if dropping:
                drop_again(xp, self.p, weights, mask, work)
                used = work
            xp.matmul(used.swapaxes(2, 3), arriving, out=self._heads(dvalue))
        if dquery is None and dkey is None:
            return
        xp.matmul(arriving, self._heads(value).swapaxes(2, 3), out=work)
        if dropping:
            drop_again(xp, self.p, work, mask, work)
        # the softmax takes off the sum of gradient times weight, which is that of doutput times output
        xp.multiply(doutput.reshape(product.shape), output.reshape(product.shape), out=product)
        product.sum(axis=3, out=column)
        xp.subtract(work, column.transpose(0, 2, 1)[..., None], out=work)
        xp.multiply(work, weights, out=work)
        xp.multiply(work, self._factor(query), out=work)
        if dquery is not None:
            xp.matmul(work, self._heads(key), out=self._heads(dquery))
        if dkey is not None:
            xp.matmul(work.swapaxes(2, 3), self._heads(query), out=self._heads(dkey))

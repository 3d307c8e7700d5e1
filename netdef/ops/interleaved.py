"""MXNet's products of attention whose projections lie side by side in one tensor."""

from __future__ import annotations

from typing import Any

from netdef.ops.base import Op
from netdef.ops.fields import Int
from netdef.ops.shapes import ShapeError, Shapes, prod, show


class _Interleaved(Op, abstract=True):
    """A product of projections whose parts (query, key, value) alternate for each head.

    A tensor of projections is (steps, batch, heads * parts * d), one of weights (batch * heads, T, S).
    """

    heads = Int(help="the number of heads", min=1)

    #: name of each tensor of projections -> how many parts lie in it
    parts: dict[str, int]
    #: name of the tensor of weights
    weights = "attention"

    def shape(self, s: Shapes) -> None:
        for name in (*self.parts, self.weights):
            s.merge(name, (None, None, None), "it has three axes")
        batch = width = None
        for name, parts in self.parts.items():
            _, here, size = s[name] or (None, None, None)
            batch = here if batch is None else batch
            if size is not None:
                self._require(size, parts * self.heads, name, "values", s)
                width = size // parts if width is None else width
        matrices = (s[self.weights] or (None,))[0]
        if matrices is not None:
            self._require(matrices, self.heads, self.weights, "matrices", s)
            batch = matrices // self.heads if batch is None else batch
        told = f"{', '.join(self.parts)}: {show((batch,))} samples of {show((width,))} values a part"
        for name, parts in self.parts.items():
            s.merge(name, (None, batch, prod((width, parts))), told)
        s.merge(self.weights, (prod((batch, self.heads)), None, None), told)

    def _require(self, size: int, divisor: int, name: str, what: str, s: Shapes) -> None:
        if size % divisor:
            raise ShapeError(
                f"{name} is {show(s[name])}, but {size} {what} are no multiple of {divisor}",
                tensor=name,
                attribute="heads",
            )

    def _steps(self, s: Shapes, *places: tuple[str, int]) -> None:
        """These axes have one size."""
        known = [shape[axis] for name, axis in places if (shape := s[name]) and shape[axis] is not None]
        for name, axis in places if known else ():
            shape = tuple(known[0] if place == axis else None for place in range(3))
            s.merge(name, shape, f"there are {known[0]} steps")

    def macs(self, s: Shapes) -> int:
        """One product for every weight and channel of a head."""
        name, parts = next(iter(self.parts.items()))
        return (prod(s.full(self.weights)) or 0) * s.full(name)[2] // (parts * self.heads)

    def part(self, name: str, projections: Any, number: int) -> Any:
        """One part as a view (batch, heads, steps, d)."""
        steps, batch, _ = projections.shape
        split = projections.reshape(steps, batch, self.heads, self.parts[name], -1)
        return split[:, :, :, number].transpose(1, 2, 0, 3)

    def matrices(self, weights: Any) -> Any:
        """The weights as a view (batch, heads, T, S)."""
        return weights.reshape(-1, self.heads, *weights.shape[1:])


class _Scores(_Interleaved, abstract=True):
    """The products of queries and keys, over sqrt(d)."""

    weights = "output"

    def _forward(self, xp: Any, queries: Any, keys: Any, output: Any) -> None:
        xp.matmul(queries, keys.swapaxes(2, 3), out=self.matrices(output))
        xp.multiply(output, queries.shape[3] ** -0.5, out=output)

    def _backward(self, xp: Any, doutput: Any, other: Any, keys: bool, out: Any) -> None:
        """The gradient of the keys, or of the queries, from the others."""
        arriving = self.matrices(doutput)
        xp.matmul(arriving.swapaxes(2, 3) if keys else arriving, other, out=out)
        xp.multiply(out, other.shape[3] ** -0.5, out=out)


class SelfAttentionScores(_Scores):
    """queries_keys_values (T, N, heads*3*d) -> output (N*heads, T, T): query . key' / sqrt(d).

    The values get no gradient.  MXNet's interleaved_matmul_selfatt_qk.
    """

    names = ("_contrib_interleaved_matmul_selfatt_qk",)
    inputs = ("queries_keys_values",)
    parts = {"queries_keys_values": 3}
    examples = (
        ({"heads": 1}, {"queries_keys_values": (3, 80, 6)}),
        ({"heads": 2}, {"queries_keys_values": (2, 80, 12)}),
    )

    def shape(self, s: Shapes) -> None:
        super().shape(s)
        self._steps(s, ("queries_keys_values", 0), ("output", 1), ("output", 2))

    def forward(self, xp: Any, queries_keys_values: Any, output: Any) -> None:
        queries, keys = (self.part("queries_keys_values", queries_keys_values, i) for i in range(2))
        self._forward(xp, queries, keys, output)

    def backward(self, xp: Any, doutput: Any, queries_keys_values: Any, dqueries_keys_values: Any) -> None:
        parts = [self.part("queries_keys_values", queries_keys_values, i) for i in range(2)]
        into = [self.part("queries_keys_values", dqueries_keys_values, i) for i in range(3)]
        self._backward(xp, doutput, parts[1], False, into[0])
        self._backward(xp, doutput, parts[0], True, into[1])
        into[2].fill(0)


class CrossAttentionScores(_Scores):
    """queries (T, N, heads*d), keys_values (S, N, heads*2*d) -> output (N*heads, T, S).

    query . key' / sqrt(d); the values get no gradient.  MXNet's interleaved_matmul_encdec_qk.
    """

    names = ("_contrib_interleaved_matmul_encdec_qk",)
    inputs = ("queries", "keys_values")
    parts = {"queries": 1, "keys_values": 2}
    examples = (
        ({"heads": 1}, {"queries": (3, 2, 4), "keys_values": (5, 2, 8)}),
        ({"heads": 2}, {"queries": (3, 4, 4), "keys_values": (5, 4, 8)}),
    )

    def shape(self, s: Shapes) -> None:
        super().shape(s)
        self._steps(s, ("queries", 0), ("output", 1))
        self._steps(s, ("keys_values", 0), ("output", 2))

    def forward(self, xp: Any, queries: Any, keys_values: Any, output: Any) -> None:
        self._forward(xp, self.part("queries", queries, 0), self.part("keys_values", keys_values, 0), output)

    def backward(
        self, xp: Any, doutput: Any, queries: Any, keys_values: Any, dqueries: Any, dkeys_values: Any
    ) -> None:
        if dqueries is not None:
            keys = self.part("keys_values", keys_values, 0)
            self._backward(xp, doutput, keys, False, self.part("queries", dqueries, 0))
        if dkeys_values is not None:
            keys, values = (self.part("keys_values", dkeys_values, i) for i in range(2))
            self._backward(xp, doutput, self.part("queries", queries, 0), True, keys)
            values.fill(0)


class _Mixtures(_Interleaved, abstract=True):
    """The sums of values under weights; the values are the last part."""

    def _forward(self, xp: Any, values: Any, attention: Any, output: Any) -> None:
        xp.matmul(self.matrices(attention), values, out=self.part("output", output, 0))

    def _backward(
        self, xp: Any, doutput: Any, values: Any, attention: Any, dvalues: Any, dattention: Any
    ) -> None:
        arriving = self.part("output", doutput, 0)
        if dattention is not None:
            xp.matmul(arriving, values.swapaxes(2, 3), out=self.matrices(dattention))
        if dvalues is not None:
            xp.matmul(self.matrices(attention).swapaxes(2, 3), arriving, out=dvalues)


class SelfAttentionValues(_Mixtures):
    """queries_keys_values (T, N, heads*3*d), attention (N*heads, T, T) -> output (T, N, heads*d).

    attention . value; queries and keys get no gradient.  MXNet's interleaved_matmul_selfatt_valatt.
    """

    names = ("_contrib_interleaved_matmul_selfatt_valatt",)
    inputs = ("queries_keys_values", "attention")
    parts = {"queries_keys_values": 3, "output": 1}
    examples = (
        ({"heads": 1}, {"queries_keys_values": (3, 80, 6)}),
        ({"heads": 2}, {"queries_keys_values": (2, 80, 12)}),
    )

    def shape(self, s: Shapes) -> None:
        super().shape(s)
        self._steps(s, ("queries_keys_values", 0), ("attention", 1), ("attention", 2), ("output", 0))

    def forward(self, xp: Any, queries_keys_values: Any, attention: Any, output: Any) -> None:
        values = self.part("queries_keys_values", queries_keys_values, 2)
        self._forward(xp, values, attention, output)

    def backward(
        self,
        xp: Any,
        doutput: Any,
        queries_keys_values: Any,
        attention: Any,
        dqueries_keys_values: Any,
        dattention: Any,
    ) -> None:
        values, into = self.part("queries_keys_values", queries_keys_values, 2), None
        if dqueries_keys_values is not None:
            dqueries_keys_values.fill(0)
            into = self.part("queries_keys_values", dqueries_keys_values, 2)
        self._backward(xp, doutput, values, attention, into, dattention)


class CrossAttentionValues(_Mixtures):
    """keys_values (S, N, heads*2*d), attention (N*heads, T, S) -> output (T, N, heads*d).

    attention . value; the keys get no gradient.  MXNet's interleaved_matmul_encdec_valatt.
    """

    names = ("_contrib_interleaved_matmul_encdec_valatt",)
    inputs = ("keys_values", "attention")
    parts = {"keys_values": 2, "output": 1}
    examples = (
        ({"heads": 1}, {"keys_values": (5, 2, 8), "output": (3, 2, 4)}),
        ({"heads": 2}, {"keys_values": (5, 4, 8), "output": (3, 4, 4)}),
    )

    def shape(self, s: Shapes) -> None:
        super().shape(s)
        self._steps(s, ("keys_values", 0), ("attention", 2))
        self._steps(s, ("output", 0), ("attention", 1))

    def forward(self, xp: Any, keys_values: Any, attention: Any, output: Any) -> None:
        self._forward(xp, self.part("keys_values", keys_values, 1), attention, output)

    def backward(
        self,
        xp: Any,
        doutput: Any,
        keys_values: Any,
        attention: Any,
        dkeys_values: Any,
        dattention: Any,
    ) -> None:
        values, into = self.part("keys_values", keys_values, 1), None
        if dkeys_values is not None:
            dkeys_values.fill(0)
            into = self.part("keys_values", dkeys_values, 1)
        self._backward(xp, doutput, values, attention, into, dattention)

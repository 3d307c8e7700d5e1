"""The gradient of an operator as what a node of the graph computes."""

from __future__ import annotations

from netdef.ops.base import Op
from netdef.ops.shapes import Shapes, Types


class Backward:
    """The gradient of an operator as a node of the graph: what it reads, what it writes and the kernel."""

    def __init__(self, op: Op) -> None:
        self.op = op
        self.reads, self.writes = op.backward_tensors()

    def shape(self, s: Shapes) -> None:
        """Merge what is known of the shapes of the operator's tensors and of their gradients."""
        self.op.shape(s)
        self._alike(s)

    def types(self, t: Types) -> None:
        """Merge what is known of the dtypes likewise."""
        self.op.types(t)
        self._alike(t)

    def _alike(self, facts: Shapes) -> None:
        """A gradient is like its tensor."""
        tensors = {*self.op.input_names(), *self.op.output_names()}
        for name in (*self.reads, *self.writes):
            if name[1:] in tensors and name not in tensors and name in facts and name[1:] in facts:
                facts.same(name[1:], name)

    @property
    def wants_head(self) -> bool:
        """Whether a gradient has to arrive; a loss operator makes its own (MXNet's rule)."""
        return any(f"d{name}" in self.reads for name in self.op.output_names())

"""What a pass has to do before it is decided how: kernels, what they read and write, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import NamedTuple

from netdef.graph.node import Entry, Node
from netdef.ops.base import Op, Stage
from netdef.ops.shapes import Shapes
from netdef.runtime.pieces import base, elements, seconds_of

#: how many elements a step may read or add up whole, for each that is cut
WHOLE = 8


class Work(NamedTuple):
    """What one kernel has to do for a node."""

    node: Node
    op: Op
    kernel: str
    backward: bool
    shapes: Shapes
    reads: Mapping[str, Entry]
    writes: Mapping[str, Entry]
    itemsize: int
    #: the pair (input, output) that are one memory; nothing runs then
    view: tuple[str, str] | None
    #: whether it adds to gradients of the caller
    adds: bool
    #: which part of the node's pass it is, where that has several
    stage: Stage | None = None
    #: whether the node's pass is complete after it
    last: bool = True

    @property
    def entries(self) -> dict[str, Entry]:
        return {**self.reads, **self.writes}

    @property
    def flops(self) -> int:
        """Floating-point operations, counted where the node's pass is complete."""
        return self.op.flops(self.shapes) * (2 if self.backward else 1) if self.last else 0

    @property
    def seconds(self) -> float:
        names = [*self.reads, *self.writes]
        return seconds_of(self.flops, self.shapes, names, self.itemsize)

    def cost(self, images: int, channels_last: bool, wanted: str, constants: Collection[str]) -> float:
        """Nanoseconds of a part of the batch in an order; see `Op.cost`."""
        if self.view:
            alike = len({self.shapes.full(name) for name in self.view}) == 1
            return math.inf if channels_last and not alike else 0.0
        constant = [name for name, entry in self.reads.items() if entry.node.name in constants]
        return self.op.cost(self.shapes, images, channels_last, wanted, constant)

    def cut(self) -> tuple[int, frozenset[str]]:
        """The size of the batch, and the tensors that have it in front; 0: samples are not by themselves."""
        if self.view:
            firsts = {self.shapes.full(name)[:1] for name in self.view}
            alike = len(firsts) == 1 and firsts != {()}
            return (firsts.pop()[0], frozenset(self.view)) if alike else (0, frozenset())
        draws = self.op.draws() and not self.backward
        if self.adds or draws or (self.stage and not self.stage.cut):
            return 0, frozenset()
        samples = self.op.samples(self.shapes)
        sizes = {
            name: self.shapes.full(base(name, self.shapes))[0]
            for name in self.entries
            if base(name, self.shapes) in samples and self.shapes.full(base(name, self.shapes))
        }
        extent = max(sizes.values(), default=0)
        names = frozenset(name for name, size in sizes.items() if size == extent)
        if not self.backward and not names.issuperset(self.writes):
            return 0, frozenset()  # what a forward pass writes for the whole batch is no sum
        whole = sum(elements(self.shapes, name) for name in self.entries if name not in names)
        if whole > WHOLE * sum(elements(self.shapes, name) for name in names):
            return 0, frozenset()
        return extent, names

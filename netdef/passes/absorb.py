"""What convolutions do besides in inference: sums and rectifiers after them are part of their operators.

Their outputs are then written once, where each of these would read and write all of them anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from netdef.graph.node import Entry, Node, topological
from netdef.ops.activation import Activation, Relu
from netdef.ops.base import Op
from netdef.ops.binary import Plus
from netdef.ops.convolution import Convolution
from netdef.ops.elementwise import ElementWiseSum
from netdef.ops.fused import FusedConvolution
from netdef.passes.infer import Known


def absorb(heads: Sequence[Entry], shapes: Known) -> tuple[Entry, ...]:
    """The heads of a graph for passes that do not train; `shapes` has those of every entry."""
    return _Absorber(heads, shapes).absorb()


class _Absorber:
    def __init__(self, heads: Sequence[Entry], shapes: Known) -> None:
        self.heads, self.shapes = tuple(heads), shapes
        self.order = topological(heads)
        self.place = {node: number for number, node in enumerate(self.order)}
        self.readers = Counter(entry for node in self.order for entry in node.inputs if entry is not None)
        self.readers.update(self.heads)
        #: what stands for an entry in the new graph
        self.now: dict[Entry, Entry] = {}

    def absorb(self) -> tuple[Entry, ...]:
        for node in self.order:
            if node.is_variable:
                continue
            made = self._with_sum(node) or self._with_rectifier(node)
            if made is None:
                made = node.reading(tuple(entry and self.now.get(entry, entry) for entry in node.inputs))
            for number in range(len(node.write_names())):
                self.now[Entry(node, number)] = Entry(made, number)
        return tuple(self.now.get(head, head) for head in self.heads)

    def _convolution(self, entry: Entry | None) -> Node | None:
        """The node of the new graph that makes an entry, where it may do more before anybody reads that."""
        if entry is None or self.readers[entry] != 1:
            return None
        made = self.now.get(entry, entry).node
        if isinstance(made.op, FusedConvolution):
            return None if made.op.rectifies else made
        return made if type(made.op) is Convolution else None

    def _with_sum(self, node: Node) -> Node | None:
        """The convolution that adds what a node adds to its output: the later one of two."""
        if not isinstance(node.op, ElementWiseSum | Plus) or len(node.inputs) != 2:
            return None
        found = []
        for entry, addend in (node.inputs, node.inputs[::-1]):
            made = self._convolution(entry)
            if made is None or entry is None or addend is None or self.shapes[entry] != self.shapes[addend]:
                continue
            if not (isinstance(made.op, FusedConvolution) and made.op.sums):
                found.append((self.place[entry.node], made, addend))
        if not found:
            return None
        _, made, addend = max(found, key=lambda each: each[0])
        return _extended(made, node, (self.now.get(addend, addend),), sums=True)

    def _with_rectifier(self, node: Node) -> Node | None:
        """The convolution whose output a node rectifies."""
        op = node.op
        if not (isinstance(op, Relu) or (isinstance(op, Activation) and op.act_type == "relu")):
            return None
        made = self._convolution(node.inputs[0])
        return made and _extended(made, node, (), rectifies=True)


def _extended(made: Node, after: Node, more: tuple[Entry, ...], **does: bool) -> Node:
    """A convolution that does the work of the operator after it, too."""
    assert isinstance(made.op, Op), "convolutions are operators of the forward pass"
    op = FusedConvolution.trusted({**made.op.given_values(), **does})
    return Node(op, f"{made.name}+{after.name}", (*made.inputs, *more), origin=made.origin)

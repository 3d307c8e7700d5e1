"""Nodes and entries: the graph that a Symbol is made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from netdef.ops.backward import Backward
from netdef.ops.base import Op
from netdef.ops.shapes import Shape


class Node:
    """A variable (`op` is None) or an operator with its inputs.

    Compared by identity and never changed once built, but for `attributes`.  `inputs` lists the operator's
    inputs, then its auxiliary states; a backward node has `None` where a gradient does not arrive.  `shape`
    and `dtype` are what is known of a variable beforehand.  `texts` are the operator's attributes as the user
    wrote them and `attributes` those that no operator knows (`__lr_mult__`), both as MXNet's texts.  `origin`
    is the layer that the node was built for, if any; `forward` the node whose gradient this one computes.
    """

    __slots__ = ("attributes", "dtype", "forward", "inputs", "name", "op", "origin", "shape", "texts")

    def __init__(
        self,
        op: Op | Backward | None,
        name: str,
        inputs: tuple[Entry | None, ...] = (),
        *,
        attributes: dict[str, str] | None = None,
        texts: dict[str, str] | None = None,
        shape: Shape = None,
        dtype: str | None = None,
        origin: Any = None,
        forward: Node | None = None,
    ) -> None:
        self.op, self.name, self.inputs = op, name, inputs
        self.attributes, self.texts, self.dtype = attributes or {}, texts or {}, dtype
        self.shape, self.origin, self.forward = shape, origin, forward

    @property
    def is_variable(self) -> bool:
        return self.op is None

    def read_names(self) -> tuple[str, ...]:
        """The names of `inputs` in the operator's own terms."""
        if self.op is None:
            return ()
        if isinstance(self.op, Backward):
            return self.op.reads
        return (*self.op.input_names(), *self.op.state_names())

    def write_names(self) -> tuple[str, ...]:
        """The names of the node's outputs in the operator's own terms, hidden ones included."""
        if self.op is None:
            return (self.name,)
        return self.op.writes if isinstance(self.op, Backward) else self.op.output_names()

    def visible_outputs(self) -> int:
        return 1 if self.op is None or isinstance(self.op, Backward) else self.op.visible_outputs()

    def reading(self, inputs: tuple[Entry | None, ...]) -> Node:
        """The node itself, or one like it that reads other entries."""
        if inputs == self.inputs:
            return self
        return Node(
            self.op,
            self.name,
            inputs,
            attributes=self.attributes,
            texts=self.texts,
            shape=self.shape,
            dtype=self.dtype,
            origin=self.origin,
            forward=self.forward,
        )

    def __repr__(self) -> str:
        kind = "Variable" if self.op is None else type(self.op).__name__
        return f"<{kind} {self.name}>"


class Entry(NamedTuple):
    """One output of a node."""

    node: Node
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls

    @property
    def name(self) -> str:
        """MXNet's name of an output: `fc1_output`, or the variable's own."""
        node = self.node
        if node.op is None:
            return node.name
        name = node.write_names()[self.index]
        return f"{node.name}_{name if isinstance(node.op, Backward) else node.op.called(name)}"


def topological(heads: Iterable[Entry]) -> list[Node]:
    """Every node that the heads need, inputs first: depth-first post-order, MXNet's order of arguments."""
    order: list[Node] = []
    seen: set[Node] = set()
    for head in heads:
        stack = [(head.node, False)]
        while stack:
            node, expanded = stack.pop()
            if expanded:
                order.append(node)
            elif node not in seen:
                seen.add(node)
                if not node.inputs:
                    order.append(node)
                    continue
                stack.append((node, True))
                for entry in reversed(node.inputs):
                    if entry is not None and entry.node not in seen:
                        stack.append((entry.node, False))
    return order

"""How a shape came to be: the chain of shapes that leads to a node, for messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netdef.graph.node import Entry, Node
from netdef.ops.base import Op
from netdef.ops.shapes import Shape, show
from netdef.passes.infer import Failure, Known

#: how many nodes a trail tells
LONGEST = 12


def per_sample(shape: Shape) -> str:
    """A shape without its batch axis, which says nothing about how windows fit."""
    return show(shape[1:] if shape is not None and len(shape) > 1 else shape)


def chain(node: Node, longest: int) -> list[Node]:
    """The first-input chain that leads down to `node`, of at most so many nodes."""
    nodes = [node]
    while len(nodes) < longest and nodes[-1].inputs and nodes[-1].inputs[0] is not None:
        nodes.append(nodes[-1].inputs[0].node)
    return nodes[::-1]


def trail(node: Node, known: Known, note: Callable[[Node], str] = lambda node: "") -> str:
    """`data 1x28x28 -> conv1 20x24x24 -> conv2`: the shapes per sample that led to a failing node.

    `note` gives a remark about a step, such as the line and the stride that shrank it.
    """
    nodes = chain(node, LONGEST)
    steps = [] if nodes[0].is_variable else ["..."]
    for step in nodes[:-1]:
        if node.origin is not None and step.origin is node.origin:
            continue  # what the layer computes on the way has no name in the spec
        remark = f" ({told})" if (told := note(step)) else ""
        steps.append(f"{step.name} {per_sample(known.get(Entry(step, 0)))}{remark}")
    return " -> ".join([*steps, node.name])


def explain(failure: Failure, known: Known) -> str:
    """A failure in one line for callers without source places: the node, the rule and its inputs."""
    node = failure.node
    called = node.op.called if isinstance(node.op, Op) else str
    inputs = [f"{called(name)} {show_fact(fact)}" for name, fact in failure.known.items() if fact is not None]
    hint = f" ({failure.error.hint})" if failure.error.hint else ""
    kind = "" if node.is_variable else f" ({type(node.op).__name__})"
    return f"{node.name}{kind}: {failure.error.message}{hint}; its tensors: {', '.join(inputs)}"


def show_fact(fact: Any) -> str:
    """A shape or a dtype as text."""
    return fact if isinstance(fact, str) else show(fact)

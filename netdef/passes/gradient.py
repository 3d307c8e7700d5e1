"""The joint graph of a forward and a backward pass.

A forward graph together with the nodes that compute gradients (reverse-mode differentiation).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from netdef.graph.node import Entry, Node, topological
from netdef.ops import find
from netdef.ops.backward import Backward
from netdef.ops.base import Op


class Joint(NamedTuple):
    """Forward and backward nodes in an order in which they can run.

    `forward` and `backward` hold operator nodes; `head_gradients` the variables for the gradients that arrive
    at the heads, None where a head needs none; `gradients` the entry that holds the gradient of each wanted
    variable.
    """

    forward: list[Node]
    backward: list[Node]
    heads: tuple[Entry, ...]
    head_gradients: tuple[Node | None, ...]
    gradients: dict[Node, Entry]
    #: the forward entry whose shape and dtype a gradient entry has
    like: dict[Entry, Entry]


def forward_only(heads: Sequence[Entry]) -> Joint:
    """The joint graph of a pass without gradients."""
    nodes = [node for node in topological(heads) if not node.is_variable]
    return Joint(nodes, [], tuple(heads), (None,) * len(heads), {}, {})


def differentiate(
    heads: Sequence[Entry], wanted: Collection[Node], objective: Collection[int] | None = None
) -> Joint:
    """The joint graph that computes the gradients of the wanted variables.

    `objective` numbers the heads whose weighted sum is differentiated; by default all of them.  A variable
    that these do not depend on differentiably has no entry in `gradients`.
    """
    order = topological(heads)
    reaches: set[Node] = set()
    for node in order:
        if node in wanted or any(entry is not None and entry.node in reaches for entry in node.inputs):
            reaches.add(node)

    arriving: dict[Entry, list[Entry]] = {}
    like: dict[Entry, Entry] = {}
    head_nodes = [Node(None, f"{head.name}_grad") for head in heads]
    for number, (head, node) in enumerate(zip(heads, head_nodes)):
        if objective is not None and number not in objective:
            continue
        like[Entry(node, 0)] = head
        arriving.setdefault(head, []).append(Entry(node, 0))

    backward: list[Node] = []
    gradients: dict[Node, Entry] = {}

    def total(entry: Entry) -> Entry | None:
        """The sum of the gradients that arrive at an entry."""
        parts = arriving.get(entry, [])
        if len(parts) < 2:
            return parts[0] if parts else None
        node = Node(find("add_n")(num_args=len(parts)), f"{entry.name}_grad_sum", tuple(parts))
        backward.append(node)
        like[Entry(node, 0)] = entry
        return Entry(node, 0)

    for node in reversed(order):
        if node not in reaches:
            continue
        if node.is_variable:
            if node in wanted and (gradient := total(Entry(node, 0))) is not None:
                gradients[node] = gradient
            continue
        assert isinstance(node.op, Op), "only forward graphs are differentiated"
        step = Backward(node.op)
        outputs = [Entry(node, i) for i in range(len(node.write_names()))]
        if not step.writes or not any(output in arriving for output in outputs):
            continue
        tensors: dict[str, Entry | None] = dict(zip(node.read_names(), node.inputs))
        below = [each for name in node.op.hands_down() if (each := tensors[name]) and each.node in reaches]
        # variables have arrays of their own for their gradients
        if below and not any(each.node.is_variable for each in below) and (whole := total(outputs[0])):
            for each in below:
                arriving.setdefault(each, []).append(whole)
            continue
        for name, output in zip(node.write_names(), outputs):
            tensors[name] = output
            if f"d{name}" in step.reads:
                tensors[f"d{name}"] = total(output)
        if step.wants_head and all(tensors[f"d{name}"] is None for name in _heads_read(step)):
            continue
        made = Node(step, f"{node.name}_backward", tuple(tensors[name] for name in step.reads), forward=node)
        backward.append(made)
        for i, name in enumerate(step.writes):
            source = tensors[name[1:]]
            if source is not None and source.node in reaches:
                like[Entry(made, i)] = source
                arriving.setdefault(source, []).append(Entry(made, i))

    live = _live(backward, gradients.values())
    used = {entry.node for node in live for entry in node.inputs if entry is not None}
    used.update(entry.node for entry in gradients.values())
    return Joint(
        [node for node in order if not node.is_variable],
        live,
        tuple(heads),
        tuple(node if node in used else None for node in head_nodes),
        gradients,
        like,
    )


def _heads_read(step: Backward) -> list[str]:
    return [name for name in step.op.output_names() if f"d{name}" in step.reads]


def _live(backward: list[Node], targets: Collection[Entry]) -> list[Node]:
    """The backward nodes that some wanted gradient needs."""
    needed = {entry.node for entry in targets}
    kept = []
    for node in reversed(backward):
        if node in needed:
            kept.append(node)
            needed.update(entry.node for entry in node.inputs if entry is not None)
    return kept[::-1]

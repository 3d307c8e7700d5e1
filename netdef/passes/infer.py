"""Shape and dtype inference, forwards and backwards, in one algorithm.

Every node's rule merges what is known about its tensors; sweeps over the graph, forwards then backwards,
repeat until nothing is learnt.  A graph with known inputs is done after one sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from netdef.graph.node import Entry, Node, topological
from netdef.ops.base import Op
from netdef.ops.shapes import Shape, ShapeError, Shapes, Types, complete, merge

#: learnt facts by entry; hidden outputs included
Known = dict[Entry, Any]


class Failure:
    """A node whose rule refused what it was given."""

    def __init__(self, node: Node, error: ShapeError, known: Mapping[str, Any]) -> None:
        self.node, self.error = node, error
        #: what the node's tensors were when the rule refused, by the operator's names
        self.known = known


def infer_shapes(
    heads: Sequence[Entry], given: Mapping[str, Shape], nodes: Sequence[Node] | None = None
) -> tuple[Known, list[Failure]]:
    """The shapes of every entry, as far as they follow from `given` (by variable name) and the variables'
    own.

    Never raises; a node that refuses becomes a `Failure` and teaches nothing further.
    """
    nodes = topological(heads) if nodes is None else nodes
    known: Known = {}
    failures = []
    for node in nodes:
        if node.is_variable:
            entry = Entry(node, 0)
            try:
                known[entry] = merge(node.shape, given.get(node.name))
            except ValueError as conflict:
                known[entry] = None
                error = ShapeError(
                    f"{node.name} is declared otherwise than it is given: {conflict}", tensor=node.name
                )
                failures.append(Failure(node, error, {"declared": node.shape, "given": given[node.name]}))
    more = _sweep(nodes, known, lambda op, facts: op.shape(facts), Shapes, complete)
    return known, failures + more


def infer_types(
    heads: Sequence[Entry], given: Mapping[str, str], nodes: Sequence[Node] | None = None
) -> tuple[Known, list[Failure]]:
    """The dtypes of every entry, as numpy names; the same algorithm as for shapes."""
    nodes = topological(heads) if nodes is None else nodes
    known: Known = {Entry(node, 0): given.get(node.name) for node in nodes if node.is_variable}
    failures = _sweep(nodes, known, lambda op, facts: op.types(facts), Types, lambda dtype: dtype is not None)
    return known, failures


def _sweep(
    nodes: Sequence[Node],
    known: Known,
    rule: Callable[[Op, Any], None],
    facts_type: type,
    settled: Callable[[Any], bool],
) -> list[Failure]:
    """Apply `rule` to every node, in both directions, until nothing changes; fills `known`."""
    operators = [node for node in nodes if isinstance(node.op, Op)]
    entries = {node: _tensors(node) for node in operators}
    failed: dict[Node, Failure] = {}
    for tensors in entries.values():
        for entry in tensors.values():
            known.setdefault(entry, None)
    forward, changed = True, True
    while changed:
        changed = False
        for node in operators if forward else reversed(operators):
            if node in failed:
                continue
            tensors = entries[node]
            facts = facts_type({name: known[entry] for name, entry in tensors.items()})
            try:
                rule(node.op, facts)  # type: ignore[arg-type]
            except ShapeError as error:
                failed[node] = Failure(node, error, dict(facts.known))
                continue
            for name, entry in tensors.items():
                if facts.known[name] != known[entry]:
                    known[entry] = facts.known[name]
                    changed = True
        if changed and forward and all(map(settled, known.values())) and not failed:
            # Everything is known; one more sweep only checks that the rules agree with what they were told
            # later.
            changed = any(_disagrees(node, entries[node], known, rule, facts_type) for node in operators)
        forward = not forward
    return list(failed.values())


def _disagrees(
    node: Node, tensors: dict[str, Entry], known: Known, rule: Callable[[Op, Any], None], facts_type: type
) -> bool:
    facts = facts_type({name: known[entry] for name, entry in tensors.items()})
    try:
        rule(node.op, facts)  # type: ignore[arg-type]
    except ShapeError:
        return True
    return False


def _tensors(node: Node) -> dict[str, Entry]:
    """The entries that an operator node touches, by the operator's names."""
    reads = zip(node.read_names(), node.inputs)
    tensors = {name: entry for name, entry in reads if entry is not None}
    tensors.update((name, Entry(node, i)) for i, name in enumerate(node.write_names()))
    return tensors


def node_shapes(node: Node, known: Known) -> Shapes:
    """The inferred shapes of one node's tensors, by the operator's names."""
    return Shapes({name: known.get(entry) for name, entry in _tensors(node).items()})

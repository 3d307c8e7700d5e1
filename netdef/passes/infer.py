"""Shape and dtype inference, forwards and backwards, in one algorithm.

Every node's rule merges what is known about its tensors; sweeps over the graph, forwards then backwards,
repeat until nothing is learnt.  A graph with known inputs is done after one sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from netdef.graph.node import Entry, Node, topological
from netdef.ops.base import Op
from netdef.ops.shapes import Shape, ShapeError, Shapes, Types, complete, merge

#: learnt facts by entry; hidden outputs included
Known = dict[Entry, Any]


class Order(NamedTuple):
    """The nodes of a graph, inputs first, prepared for inferences of which there may be several."""

    nodes: list[Node]
    #: the nodes that are operators, and the entries that each touches, by the operator's names
    operators: list[Node]
    tensors: list[dict[str, Entry]]
    #: entry -> the number of the first operator that touches it
    first: dict[Entry, int]


def ordered(heads: Iterable[Entry]) -> Order:
    """The graph that the heads need, in order."""
    nodes = topological(heads)
    operators = [node for node in nodes if node.op is not None]
    tensors = [_tensors(node) for node in operators]
    first: dict[Entry, int] = {}
    for number, touched in enumerate(tensors):
        for entry in touched.values():
            first.setdefault(entry, number)
    return Order(nodes, operators, tensors, first)


class Failure:
    """A node whose rule refused what it was given."""

    def __init__(self, node: Node, error: ShapeError, known: Mapping[str, Any]) -> None:
        self.node, self.error = node, error
        #: what the node's tensors were when the rule refused, by the operator's names
        self.known = known


def infer_shapes(graph: Sequence[Entry] | Order, given: Mapping[str, Shape]) -> tuple[Known, list[Failure]]:
    """The shapes of every entry, as far as they follow from what is given and what variables declare.

    `graph` is its heads, or what `ordered` makes of them.
    `given` holds partial shapes by the names of variables; one that is complete takes the place of what its
    variable declares, as in MXNet.
    Never raises; a node that refuses becomes a `Failure` and teaches nothing further.
    """
    order = graph if isinstance(graph, Order) else ordered(graph)
    known: Known = {}
    failures = []
    for node in order.nodes:
        if node.is_variable:
            entry = Entry(node, 0)
            known[entry] = stated = given.get(node.name)
            if complete(stated):
                continue
            try:
                known[entry] = merge(node.shape, stated)
            except ValueError as conflict:
                known[entry] = None
                error = ShapeError(
                    f"{node.name} is declared otherwise than it is given: {conflict}", tensor=node.name
                )
                failures.append(Failure(node, error, {"declared": node.shape, "given": given[node.name]}))
    more = _sweep(order, known, lambda op, facts: op.shape(facts), Shapes, complete)
    return known, failures + more


def infer_types(graph: Sequence[Entry] | Order, given: Mapping[str, str]) -> tuple[Known, list[Failure]]:
    """The dtypes of every entry, as numpy names; the same algorithm as for shapes."""
    order = graph if isinstance(graph, Order) else ordered(graph)
    variables = [node for node in order.nodes if node.is_variable]
    known: Known = {Entry(node, 0): given.get(node.name) or node.dtype for node in variables}
    failures = _sweep(order, known, lambda op, facts: op.types(facts), Types, lambda dtype: dtype is not None)
    return known, failures


def unfit(nodes: Sequence[Node], known: Known) -> list[Failure]:
    """The nodes whose shapes follow but cannot be run (`Op.check`)."""
    failures = []
    for node in nodes:
        if not isinstance(node.op, Op) or type(node.op).check is Op.check:
            continue
        facts = node_shapes(node, known)
        if all(map(complete, facts.known.values())):
            try:
                node.op.check(facts)
            except ShapeError as error:
                failures.append(Failure(node, error, facts.known))
    return failures


def _sweep(
    order: Order,
    known: Known,
    rule: Callable[[Op, Any], None],
    facts_type: type[Shapes],
    settled: Callable[[Any], bool],
) -> list[Failure]:
    """Apply `rule` to every node, in both directions, until nothing changes; fills `known`."""
    _, operators, entries, first = order
    failed: dict[int, Failure] = {}
    for entry in first:
        known.setdefault(entry, None)
    forward, changed = True, True
    while changed:
        changed = False
        #: entry -> the last node of this sweep that taught something about it, where one before touches it
        taught: dict[Entry, int] = {}
        for number in range(len(operators)) if forward else range(len(operators) - 1, -1, -1):
            if number in failed:
                continue
            node, tensors = operators[number], entries[number]
            before = {name: known[entry] for name, entry in tensors.items()}
            facts = facts_type(before.copy())
            try:
                rule(node.op, facts)  # type: ignore[arg-type]
                learnt = _learnt(tensors, before, facts)
            except ShapeError as error:
                failed[number] = Failure(node, error, dict(facts.known))
                continue
            for entry, fact in learnt.items():
                known[entry] = fact
                changed = True
                if first[entry] < number:
                    taught[entry] = number
        if changed and forward and not failed and all(map(settled, known.values())):
            # Nothing more can be learnt, but what a node was told after its turn may contradict its rule.
            later = (
                number
                for number, tensors in enumerate(entries if taught else ())
                if any(taught.get(entry, -1) > number for entry in tensors.values())
            )
            changed = any(_disagrees(operators[n], entries[n], known, rule, facts_type) for n in later)
        forward = not forward
    return list(failed.values())


def _learnt(tensors: Mapping[str, Entry], known: Mapping[str, Any], facts: Shapes) -> Known:
    """What is new about a node's entries, of which one may stand under several names; raises `ShapeError`.

    `known` is what was known before, by the operator's names.
    """
    learnt: Known = {}
    for name, told in facts.known.items():
        if told == known[name]:
            continue
        entry = tensors[name]
        before = learnt.get(entry, known[name])
        try:
            fact = facts.join(before, told)
        except ValueError as conflict:
            raise ShapeError(
                f"{entry.name} is read twice, as two different things: {conflict}", tensor=name
            ) from None
        if fact != before:
            learnt[entry] = fact
    return learnt


def _disagrees(
    node: Node, tensors: Mapping[str, Entry], known: Known, rule: Callable[[Op, Any], None], facts_type: type
) -> bool:
    """Whether a node's rule refuses what is known now."""
    facts = facts_type({name: known[entry] for name, entry in tensors.items()})
    try:
        rule(node.op, facts)  # type: ignore[arg-type]
    except ShapeError:
        return True
    return False


def _tensors(node: Node) -> dict[str, Entry]:
    """The entries that an operator node touches, by the operator's names.

    Those of the operator as well where the node computes its gradient.
    """
    tensors = _tensors(node.forward) if node.forward is not None else {}
    for name, read in zip(node.read_names(), node.inputs):
        if read is not None:
            tensors[name] = read
    for index, name in enumerate(node.write_names()):
        tensors[name] = Entry(node, index)
    return tensors


def node_shapes(node: Node, known: Known) -> Shapes:
    """The inferred shapes of one node's tensors, by the operator's names."""
    return Shapes({name: known.get(entry) for name, entry in _tensors(node).items()})


def node_types(node: Node, known: Known) -> Types:
    """The inferred dtypes of one node's tensors, by the operator's names."""
    return Types({name: known.get(entry) for name, entry in _tensors(node).items()})

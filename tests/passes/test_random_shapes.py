"""Inference on random graphs of which part of the shapes is known."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from interpreter import tensors
from randomgraphs import graphs
from rules import inference_must_end

from netdef.graph.node import topological
from netdef.ops.shapes import Shapes
from netdef.passes.infer import infer_shapes

FEW = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
MANY = settings(FEW, max_examples=3000)


def infer(graph, given):
    """What is learnt about every entry; graphs whose shapes fit are never refused."""
    with inference_must_end():
        known, failures = infer_shapes(graph.symbol.heads, given)
    assert not [f"{failure.node.name}: {failure.error.message}" for failure in failures]
    return known


@st.composite
def partial_knowledge(draw, graph):
    """The true shapes of some of a graph's variables, without some of their sizes."""
    given = {}
    for name, shape in graph.variable_shapes().items():
        if draw(st.integers(0, 2)):
            hidden = draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))
            given[name] = tuple(None if hide else size for hide, size in zip(hidden, shape))
    return given


def fits(known, true):
    """Whether a partial shape says nothing but the truth."""
    return known is None or (
        len(known) == len(true) and all(size in (None, right) for size, right in zip(known, true))
    )


def at_least(known, given):
    """Whether a partial shape says all that another one says."""
    if known is None or given is None:
        return given is None
    return len(known) == len(given) and all(size in (None, found) for found, size in zip(known, given))


def check(graph, given):
    """Nothing but the truth is learnt, nothing is forgotten, and no rule would learn more from it."""
    known = infer(graph, given)

    for node in topological(graph.symbol.heads):
        if node.is_variable:
            continue
        named = tensors(node)
        for entry in named.values():
            assert fits(known[entry], graph.shapes[entry]), f"{entry.name} is {known[entry]}"
            assert at_least(known[entry], given.get(entry.node.name) if entry.node.is_variable else None)
        before = {name: known[entry] for name, entry in named.items()}
        facts = Shapes(dict(before))
        node.op.shape(facts)
        assert facts.known == before, f"{node.name} learns more"


@FEW
@given(st.data())
def test_partial_knowledge_never_contradicts_the_truth(data):
    """What follows from some sizes of some variables is part of what follows from all, and is complete."""
    graph = data.draw(graphs())
    check(graph, data.draw(partial_knowledge(graph)))


@FEW
@given(graphs())
def test_parameters_follow_from_the_inputs(graph):
    """The inputs' shapes determine those of all weights, states and results."""
    given = {name: shape for name, shape in graph.variable_shapes().items() if name in graph.inputs}
    known = infer(graph, given)

    for entry, shape in known.items():
        assert shape == graph.shapes[entry], entry.name


@pytest.mark.slow
@MANY
@given(st.data())
def test_much_partial_knowledge_never_contradicts_the_truth(data):
    """The same for many more graphs."""
    graph = data.draw(graphs())
    check(graph, data.draw(partial_knowledge(graph)))

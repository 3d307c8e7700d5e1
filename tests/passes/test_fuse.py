"""BatchNorm and the Scale after it as one operator in training: the same numbers, where nobody looks."""

import numpy as np
import pytest

import netdef as mx
from netdef.graph.node import Entry, Node
from netdef.graph.symbol import Symbol
from netdef.ops.elementwise import ElementWiseSum
from netdef.ops.normalization import BatchNorm
from netdef.ops.scaling import Scale
from netdef.passes.fuse import fuse
from netdef.passes.infer import infer_shapes
from netdef.runtime.executor import Executor

SHAPES = {"data": (4, 3, 5, 2), "factor": (3,), "shift": (3,), "mean": (3,), "var": (3,), "count": (1,)}


def net(norm=None, scale=None, factor="factor"):
    """data -> BatchNorm -> Scale, and the entry between them."""
    made = {name: Entry(Node(None, name), 0) for name in (*SHAPES, "plane")}
    op = BatchNorm(**{"affine": False, "statistics": "sum", "momentum": 0.9, **(norm or {})})
    states = [made[name] for name in ("mean", "var", "count")][: len(op.state_names())]
    inner = Entry(Node(op, "bn", (made["data"], *states)), 0)
    op = Scale(**{"bias_term": True, **(scale or {})})
    inputs = (made[factor], made["shift"])[: len(op.input_names()) - 1]
    return Entry(Node(op, "scale", (inner, *inputs)), 0), inner


def fused(*heads, shapes=SHAPES):
    known, failures = infer_shapes(heads, shapes)
    assert not failures
    return fuse(heads, known)


def results(heads):
    """Output, gradients and states of two training passes."""
    random = np.random.default_rng(3)
    symbol = Symbol(heads)
    arguments, states = symbol.variables()
    arrays = {
        name: random.standard_normal(shape) + 0.5 for name, shape in SHAPES.items() if name != "count"
    } | {"count": np.zeros(1), "var": np.abs(random.standard_normal(3))}
    given = {node.name: arrays[node.name] for node in arguments}
    gradients = {name: np.zeros_like(array) for name, array in given.items()}
    executor = Executor(
        symbol,
        mx.cpu(),
        given,
        gradients,
        dict.fromkeys(given, "write"),
        {node.name: arrays[node.name] for node in states},
    )
    head = random.standard_normal(SHAPES["data"])
    for _ in range(2):
        (output,) = executor.forward(train=True)
        executor.backward([head])
    return {"output": output, **gradients, **executor.states}


def test_the_numbers_are_the_same():
    output, _ = net()
    (head,) = fused(output)
    assert [type(node.op).__name__ for node in (head.node,)] == ["BatchNorm"]
    expected, found = results([output]), results([head])
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-12, atol=1e-12, err_msg=name)


def test_what_comes_before_and_after_is_kept():
    """Two pairs in a row, each with a reader of its own."""
    first, _ = net()
    second = Entry(
        Node(first.node.inputs[0].node.op, "bn2", (first, *first.node.inputs[0].node.inputs[1:])), 0
    )
    output = Entry(Node(first.node.op, "scale2", (second, *first.node.inputs[1:])), 0)
    total = Entry(Node(ElementWiseSum(num_args=2), "sum", (output, first)), 0)
    (head,) = fused(total)
    kinds = [type(entry.node.op).__name__ for entry in head.node.inputs]
    assert kinds == ["BatchNorm", "BatchNorm"]
    assert head.node.inputs[0].node.inputs[0] == head.node.inputs[1]


@pytest.mark.parametrize(
    ("norm", "scale"),
    [
        ({}, {"bias_term": False}),
        ({}, {"axis": 2, "num_axes": 1}),
        ({}, {"num_axes": 2}),
        ({"output_mean_var": True}, {}),
    ],
    ids=["no bias", "another axis", "two axes", "statistics shown"],
)
def test_another_pair_is_left_alone(norm, scale):
    output, _ = net(norm, scale)
    shapes = {name: shape for name, shape in SHAPES.items() if name not in ("factor", "shift")}
    assert fused(output, shapes=shapes) == (output,)


def test_normalised_data_that_somebody_reads_stay():
    output, inner = net()
    total = Entry(Node(ElementWiseSum(num_args=2), "sum", (output, inner)), 0)
    assert fused(total) == (total,)
    assert fused(output, inner) == (output, inner)

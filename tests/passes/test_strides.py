"""Strides move up to the convolutions whose output they leave out."""

import numpy as np
import pytest

import netdef as mx
from netdef.graph.node import Entry, topological
from netdef.graph.symbol import Symbol
from netdef.ops.convolution import Convolution
from netdef.passes.absorb import absorb
from netdef.passes.infer import infer_shapes
from netdef.passes.strides import raise_strides
from netdef.runtime.executor import Executor

data = mx.sym.Variable("data")
SHAPE = (3, 4, 9, 8)


def conv(net, name, kernel=1, stride=(1, 1), filters=4, pad=None):
    pad = (kernel // 2,) * 2 if pad is None else pad
    return mx.sym.Convolution(
        net, num_filter=filters, kernel=(kernel, kernel), stride=stride, pad=pad, name=name
    )


def relu(net):
    return mx.sym.Activation(net, act_type="relu")


def raised(net, shape=SHAPE):
    """The symbol after absorption and this pass."""
    shapes, _ = infer_shapes(net.heads, {"data": shape})
    heads = absorb(net.heads, shapes)
    arguments = {node.name: shapes[Entry(node, 0)] for node in topological(net.heads) if node.is_variable}
    return Symbol(raise_strides(heads, infer_shapes(heads, arguments)[0]))


def is_convolution(node):
    return isinstance(node.op, Convolution)


def told(net):
    """What computes something: convolutions with their strides, and other operators."""
    nodes = [node for node in topological(net.heads) if not node.is_variable]
    return [
        (node.name.split("+")[0], node.op.stride)
        if isinstance(node.op, Convolution)
        else type(node.op).__name__
        for node in nodes
    ]


def results(net, shape=SHAPE):
    shapes, _ = infer_shapes(net.heads, {"data": shape})
    random = np.random.default_rng(5)
    arguments = {
        node.name: random.standard_normal(shapes[Entry(node, 0)])
        for node in sorted(net.variables()[0], key=lambda node: node.name)
    }
    return Executor(net, mx.cpu(), arguments).forward()


def stages():
    """The end of a stage of ResNet and the beginning of the next."""
    start = relu(conv(data, "start"))
    inner = relu(conv(relu(conv(start, "a")), "b", 3))
    end = relu(mx.sym.elemwise_add(conv(inner, "c"), start, name="end"))
    return mx.sym.elemwise_add(
        conv(relu(conv(end, "d", stride=(2, 2))), "e", 3), conv(end, "f", stride=(2, 2)), name="sum"
    )


both = relu(conv(data, "a", 3))
ending = conv(data, "a", 3)
CASES = {
    "one after the other": (
        conv(relu(conv(data, "a", 3)), "b", stride=(2, 2)),
        [("a", (2, 2)), ("b", (1, 1))],
    ),
    "through one with filters of one element": (
        conv(conv(conv(data, "a", 3), "b"), "c", stride=(2, 2)),
        [("a", (2, 2)), ("b", (1, 1)), ("c", (1, 1))],
    ),
    "strides multiply": (
        conv(conv(data, "a", 3, stride=(2, 2)), "b", stride=(3, 3)),
        [("a", (6, 6)), ("b", (1, 1))],
    ),
    "along one axis": (
        conv(conv(data, "a", 3), "b", stride=(1, 2)),
        [("a", (1, 2)), ("b", (1, 1))],
    ),
    "two readers": (
        mx.sym.Group([conv(both, "b", stride=(2, 2)), conv(both, "c", stride=(2, 2))]),
        [("a", (2, 2)), ("b", (1, 1)), ("c", (1, 1))],
    ),
    "stages of ResNet": (
        stages(),
        [
            ("start", (1, 1)),
            ("a", (1, 1)),
            ("b", (2, 2)),
            "Slice",
            ("c", (1, 1)),
            ("d", (1, 1)),
            ("e", (1, 1)),
            ("f", (1, 1)),
        ],
    ),
    "an addend that nobody else reads": (
        conv(mx.sym.elemwise_add(conv(data, "a", 3), conv(data, "b", 3), name="sum"), "c", stride=(2, 2)),
        [("a", (2, 2)), ("b", (2, 2)), ("c", (1, 1))],
    ),
    "readers that differ": (
        mx.sym.Group([conv(both, "b", stride=(2, 2)), conv(both, "c", stride=(3, 3))]),
        [("a", (1, 1)), ("b", (2, 2)), ("c", (3, 3))],
    ),
    "one that reads all": (
        mx.sym.Group([conv(both, "b", stride=(2, 2)), mx.sym.tanh(both, name="t")]),
        [("a", (1, 1)), ("b", (2, 2)), "Tanh"],
    ),
    "a head": (
        mx.sym.Group([ending, conv(ending, "b", stride=(2, 2))]),
        [("a", (1, 1)), ("b", (2, 2))],
    ),
    "larger filters": (conv(conv(data, "a"), "b", 3, stride=(2, 2)), [("a", (1, 1)), ("b", (2, 2))]),
    "padding": (conv(conv(data, "a"), "b", stride=(2, 2), pad=(1, 1)), [("a", (1, 1)), ("b", (2, 2))]),
    "no convolution before": (
        conv(mx.sym.tanh(data, name="t"), "b", stride=(2, 2)),
        ["Tanh", ("b", (2, 2))],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_where_strides_move(case):
    net, expected = CASES[case]
    assert told(raised(net)) == expected


@pytest.mark.parametrize("size", [(9, 8), (7, 7), (1, 3)])
@pytest.mark.parametrize("case", CASES)
def test_the_outputs_are_the_same(case, size):
    net, _ = CASES[case]
    shape = (*SHAPE[:2], *size)
    for one, other in zip(results(net, shape), results(raised(net, shape), shape), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-12)

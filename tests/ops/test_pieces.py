"""Steps that are cut into pieces compute what whole steps compute."""

import numpy as np
import pytest

import netdef as mx
from netdef.ops import every_operator, find
from netdef.ops.convolution import Convolution
from netdef.runtime import pieces, planner
from netdef.runtime.executor import Executor
from netdef.runtime.shards import Sharding
from netdef.runtime.threads import set_threads


@pytest.fixture
def cut(monkeypatch):
    """Every step that can be cut is cut, however small it is; batches are not divided into shards."""
    monkeypatch.setattr(planner, "shard", lambda *_: Sharding())
    monkeypatch.setattr(pieces, "SEVERAL", 1e-15)
    monkeypatch.setattr(pieces, "WAKE", 0.0)
    monkeypatch.setattr(pieces, "REPEATED", np.inf)
    yield
    set_threads(1)


def examples():
    return [
        pytest.param(operator, attributes, shapes, id=f"{operator.__name__}-{number}")
        for operator in every_operator()
        if operator.batched or "cuts" in {name for base in operator.__mro__[:-3] for name in vars(base)}
        for number, (attributes, shapes) in enumerate(operator.examples)
    ]


def computed(run):
    """Outputs, gradients and states of one training pass of an operator alone; the number of its pieces."""
    op = run.op
    symbol = getattr(mx.sym, op.names[0])(
        **{name: mx.sym.Variable(name) for name in (*op.input_names(), *op.state_names())},
        **{name: op.fields[name].text(op.values()[name]) for name in op.given if name != "num_args"},
    )
    arguments = {name: run.arrays[name].copy() for name in op.input_names()}
    states = {name: run.arrays[name].copy() for name in op.state_names()}
    gradients = {name: np.full_like(array, 7) for name, array in arguments.items()}
    requests = dict.fromkeys(arguments, "write")
    executor = Executor(symbol, mx.cpu(), arguments, gradients, requests, states, np.random.default_rng(3))
    outputs = [output.copy() for output in executor.forward(train=True)]
    heads = [
        np.random.default_rng(5).standard_normal(output.shape).astype(output.dtype) for output in outputs
    ]
    executor.backward(heads)
    plan = executor.plan(True)
    return [*outputs, *gradients.values(), *states.values()], sum(len(step.pieces) for step in plan.steps)


#: operators that cut a single image: attributes, and shapes for it
SINGLE = [
    ("Convolution", {"kernel": (3, 3), "num_filter": 5, "pad": 1}, {"data": (1, 3, 5, 6)}),
    ("Convolution", {"kernel": (1, 1), "num_filter": 5, "no_bias": True}, {"data": (1, 3, 5, 6)}),
    ("Convolution", {"kernel": (1, 1), "num_filter": 5, "stride": 2}, {"data": (1, 3, 8, 9)}),
    ("Convolution", {"kernel": (1, 1), "num_filter": 5, "stride": 2}, {"data": (1, 3, 7, 9)}),
    ("Convolution", {"kernel": (1, 1), "num_filter": 5, "layout": "NHWC"}, {"data": (1, 6, 5, 3)}),
    ("Convolution", {"kernel": (1,), "num_filter": 50}, {"data": (1, 3, 8)}),
    ("Convolution", {"kernel": (1, 1), "num_filter": 4, "num_group": 2}, {"data": (1, 4, 8, 9)}),
    ("Convolution", {"kernel": 3, "num_filter": 8, "num_group": 4, "stride": 2}, {"data": (1, 4, 5, 6)}),
    ("Convolution", {"kernel": 3, "num_filter": 6, "num_group": 2}, {"data": (1, 4, 5, 6)}),
    ("Convolution", {"kernel": 2, "num_filter": 6, "layout": "NHWC"}, {"data": (1, 4, 5, 3)}),
    ("Convolution", {"kernel": 2, "num_filter": 6, "num_group": 3, "layout": "NHWC"}, {"data": (1, 4, 5, 3)}),
    ("Convolution", {"kernel": (2,), "num_filter": 2, "axis": 2}, {"data": (1, 4, 3, 4)}),
    ("Convolution", {"kernel": (2,), "num_filter": 6, "axis": 2}, {"data": (1, 1, 3, 4)}),
    ("Convolution", {"kernel": (2, 2), "num_filter": 4, "axis": 0}, {"data": (3, 4, 4)}),
    ("Pooling", {"kernel": (3, 3), "stride": 2}, {"data": (1, 5, 7, 7)}),
    ("Pooling", {"kernel": 2, "layout": "NHWC", "pool_type": "avg"}, {"data": (1, 5, 7, 6)}),
    ("Pooling", {"kernel": 2, "pool_type": "lp", "p_value": 2}, {"data": (1, 5, 7)}),
    ("LRN", {"nsize": 3, "alpha": 0.5}, {"data": (1, 5, 4, 3)}),
    ("LRN", {"nsize": 3, "alpha": 0.5, "norm_region": "WITHIN_CHANNEL"}, {"data": (1, 5, 4, 3)}),
    ("Activation", {"act_type": "relu"}, {"data": (1, 5, 4, 3)}),
    ("add_n", {"num_args": 2, "coeff": (1, -2)}, {"arg0": (1, 5, 4), "arg1": (1, 5, 4)}),
    ("Scale", {"bias_term": True}, {"data": (1, 5, 4)}),
    ("FullyConnected", {"num_hidden": 6}, {"data": (1, 5, 4)}),
]


@pytest.mark.parametrize(("name", "attributes", "shapes"), SINGLE, ids=str)
def test_one_image_is_cut(name, attributes, shapes, kernels, cut, monkeypatch):
    """A pass over one image is several pieces all the same, which compute the whole."""
    run = kernels(find(name)(**attributes), shapes, "float64")
    found, count = computed(run)
    with monkeypatch.context() as whole:
        whole.setattr(pieces, "MOST", 1)
        expected, _ = computed(run)

    assert count >= 4, "two at least, forward and backward"
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("by_rows", [False, True])
@pytest.mark.parametrize(("name", "attributes", "shapes"), SINGLE[:14], ids=str)
def test_an_output_is_cut_either_way(name, attributes, shapes, by_rows, kernels, cut, monkeypatch):
    """By filters or by rows that share rows of the data, whatever costs less; weights may be constants."""
    monkeypatch.setattr(Convolution, "_costs_less_by_rows", lambda *_: by_rows)
    op = find(name)(**attributes)
    run = kernels(op, shapes, "float64")
    symbol = mx.sym.Convolution(**{name: mx.sym.Variable(name) for name in op.input_names()}, **attributes)
    symbol = mx.sym.relu(symbol)
    found = []
    for algorithm, constants in (("", ()), ("", ("weight", "bias")), ("winograd", ("weight",))):
        arguments = {name: run.arrays[name] for name in op.input_names()}
        options = {"conv_algo": algorithm, "constants": constants}
        executor = Executor(symbol, mx.cpu(), arguments, **options)
        assert len(executor.plan(False).steps[0].pieces) > 1
        found.append(executor.forward()[0].copy())
    expected = np.maximum(run.forward()["output"], 0)
    for one in found:
        np.testing.assert_allclose(one, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("operator", "attributes", "shapes"), examples())
def test_pieces_compute_the_whole(operator, attributes, shapes, kernels, cut, monkeypatch):
    """Every operator that can be cut, forward and backward."""
    run = kernels(operator(**attributes), shapes, "float64")
    found, _ = computed(run)
    with monkeypatch.context() as whole:
        whole.setattr(pieces, "MOST", 1)
        expected, none = computed(run)

    assert none == 0
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)

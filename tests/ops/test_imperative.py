"""Operators at once, without a plan."""

import numpy as np
import pytest

import netdef as mx
from netdef.ops import every_operator


def examples():
    return [
        pytest.param(operator, attributes, shapes, id=f"{operator.__name__}-{number}")
        for operator in every_operator()
        for number, (attributes, shapes) in enumerate(operator.examples[:1])
        if not operator.__name__.startswith("Custom")
    ]


@pytest.mark.parametrize(("operator", "attributes", "shapes"), examples())
def test_an_operator_at_once_is_the_operator_in_a_graph(operator, attributes, shapes, kernels):
    """mx.nd and mx.sym run the same kernels: equal outputs outside of training, from equal seeds."""
    run = kernels(operator(**attributes), shapes, "float32")
    roles = (*run.op.input_names(), *run.op.state_names())
    values = {name: mx.nd.array(run.arrays[name], dtype=run.arrays[name].dtype) for name in roles}
    texts = {name: operator.fields[name].text(run.op.values()[name]) for name in attributes}
    if any(name not in roles for name in shapes):
        pytest.skip("its output's shape comes from its reader")
    symbol = getattr(mx.sym, operator.names[0])(**{name: mx.sym.Variable(name) for name in roles}, **texts)

    mx.random.seed(3)
    bound = symbol.bind(
        args={n: values[n].copy() for n in run.op.input_names()},
        aux_states={n: values[n].copy() for n in run.op.state_names()},
    )
    expected = [output.asnumpy() for output in bound.forward()]
    mx.random.seed(3)
    found = getattr(mx.nd, operator.names[0])(**values, **texts)

    found = found if isinstance(found, list) else [found]
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one.asnumpy(), other)

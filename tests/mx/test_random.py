"""The generator that `mx.random.seed` sets."""

import netdef as mx
from netdef.mx.random import generator


def test_a_seed_decides_the_numbers():
    """The same seed gives the same numbers, another one others."""
    drawn = []
    for seed in (7, 7, 8):
        mx.random.seed(seed)
        drawn.append(generator().standard_normal(4).tolist())

    assert drawn[0] == drawn[1] != drawn[2]


def test_dropout_draws_from_it():
    """An executor that is bound already starts anew with the seed."""
    drop = mx.sym.Dropout(mx.sym.Variable("x"), p=0.5)
    executor = drop.bind(mx.cpu(), {"x": mx.nd.ones((50,))})
    masks = []
    for seed in (1, 1, 2):
        mx.random.seed(seed)
        masks.append(executor.forward(is_train=True)[0].asnumpy().tolist())

    assert masks[0] == masks[1] != masks[2]

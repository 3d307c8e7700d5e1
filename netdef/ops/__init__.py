"""Operators, by every name that MXNet has for them.

The list is written out: an operator that is not in it does not exist, whatever is imported.
"""

from __future__ import annotations

from netdef.diag import MXNetError, did_you_mean
from netdef.ops.activation import Activation, LeakyReLU, Softmax
from netdef.ops.base import Op
from netdef.ops.convolution import Convolution
from netdef.ops.dense import FullyConnected
from netdef.ops.elementwise import (
    BlockGrad,
    Copy,
    Div,
    DivScalar,
    ElementWiseSum,
    Maximum,
    Minimum,
    Minus,
    MinusScalar,
    Mul,
    MulScalar,
    Plus,
    PlusScalar,
    RDivScalar,
    RMinusScalar,
)
from netdef.ops.loss import Accuracy, SoftmaxOutput, SoftmaxWithLoss
from netdef.ops.lrn import LRN
from netdef.ops.normalization import BatchNorm, Scale
from netdef.ops.pooling import Pooling
from netdef.ops.regularization import Dropout
from netdef.ops.structure import Concat, Flatten, Reinterpret

LISTED: tuple[type[Op], ...] = (
    Accuracy,
    Activation,
    BatchNorm,
    BlockGrad,
    Concat,
    Convolution,
    Copy,
    Div,
    DivScalar,
    Dropout,
    ElementWiseSum,
    Flatten,
    FullyConnected,
    LRN,
    LeakyReLU,
    Maximum,
    Minimum,
    Minus,
    MinusScalar,
    Mul,
    MulScalar,
    Plus,
    PlusScalar,
    Pooling,
    RDivScalar,
    RMinusScalar,
    Reinterpret,
    Scale,
    Softmax,
    SoftmaxOutput,
    SoftmaxWithLoss,
)


def _by_name() -> dict[str, type[Op]]:
    table: dict[str, type[Op]] = {}
    for operator in LISTED:
        for name in operator.names:
            if name in table:
                raise TypeError(f"{name} is the name of {table[name].__name__} and of {operator.__name__}")
            table[name] = operator
    return table


#: every name that an operator goes by -> its class
OPERATORS: dict[str, type[Op]] = _by_name()


def find(name: str) -> type[Op]:
    """The operator of a name; raises `MXNetError` with the nearest name."""
    if name not in OPERATORS:
        hint = did_you_mean(name, OPERATORS)
        raise MXNetError(f"there is no operator {name}{f'; {hint}' if hint else ''}")
    return OPERATORS[name]

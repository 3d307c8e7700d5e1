"""MXNet's initializers: the values of parameters before training, chosen by the parameters' names."""

from netdef.mx.initializer.base import InitDesc, Initializer, Load, Mixed, alias, create, register
from netdef.mx.initializer.rnn import FusedRNN
from netdef.mx.initializer.weights import (
    Bilinear,
    Constant,
    LSTMBias,
    MSRAPrelu,
    Normal,
    One,
    Orthogonal,
    Uniform,
    Xavier,
    Zero,
)

__all__ = [
    "Bilinear",
    "Constant",
    "FusedRNN",
    "InitDesc",
    "Initializer",
    "LSTMBias",
    "Load",
    "MSRAPrelu",
    "Mixed",
    "Normal",
    "One",
    "Orthogonal",
    "Uniform",
    "Xavier",
    "Zero",
    "alias",
    "create",
    "register",
]

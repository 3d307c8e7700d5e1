"""MXNet's recurrent cells (`mx.rnn`): functions from symbols to symbols, step by step or over a sequence.

A cell holds its weights as variables, and each call adds the nodes of one step.  `unroll` calls it for every
step of a sequence; `FusedRNNCell` is the exception, one RNN operator for all steps.
"""

from netdef.mx.rnn.cells import BaseRNNCell, GRUCell, LSTMCell, RNNCell, RNNParams
from netdef.mx.rnn.fused import FusedRNNCell
from netdef.mx.rnn.modifiers import ModifierCell, ResidualCell, ZoneoutCell
from netdef.mx.rnn.stacks import BidirectionalCell, DropoutCell, SequentialRNNCell

__all__ = [
    "BaseRNNCell",
    "BidirectionalCell",
    "DropoutCell",
    "FusedRNNCell",
    "GRUCell",
    "LSTMCell",
    "ModifierCell",
    "RNNCell",
    "RNNParams",
    "ResidualCell",
    "SequentialRNNCell",
    "ZoneoutCell",
]

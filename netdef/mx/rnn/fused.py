"""All steps of several layers as one RNN operator."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from netdef.diag import UsageError
from netdef.mx import symbol
from netdef.mx.rnn.cells import (
    BaseRNNCell,
    GRUCell,
    LSTMCell,
    RNNCell,
    RNNParams,
    Steps,
    Unrolled,
    Weights,
    arrange,
    like,
)
from netdef.mx.rnn.stacks import BidirectionalCell, DropoutCell, SequentialRNNCell
from netdef.ops.rnn import RNN


class FusedRNNCell(BaseRNNCell):
    """Layers of cells as one RNN operator, whose weights are one vector.

    `mode` is rnn_relu, rnn_tanh, lstm or gru; `dropout` acts between layers; with `get_next_state` unroll
    returns the last states, else none.  `unfuse` gives the same net of single cells, and `unpack_weights`
    followed by its `pack_weights` the weights for it.
    """

    def __init__(
        self,
        num_hidden: int,
        num_layers: int = 1,
        mode: str = "lstm",
        bidirectional: bool = False,
        dropout: float = 0.0,
        get_next_state: bool = False,
        forget_bias: float = 1.0,
        prefix: str | None = None,
        params: RNNParams | None = None,
    ) -> None:
        super().__init__(f"{mode}_" if prefix is None else prefix, params)
        self._operator = RNN(
            state_size=num_hidden,
            num_layers=num_layers,
            mode=mode,
            bidirectional=bidirectional,
            p=dropout,
            state_outputs=get_next_state,
        )
        self._forget_bias = forget_bias
        start: dict[str, Any] = {
            "init": None,
            "num_hidden": num_hidden,
            "num_layers": num_layers,
            "mode": mode,
        }
        start |= {"bidirectional": bidirectional, "forget_bias": forget_bias}
        self._parameter = self._params.get("parameters", attr={"__init__": json.dumps(["fusedrnn", start])})
        names = {"lstm": ("_i", "_f", "_c", "_o"), "gru": ("_r", "_z", "_o")}
        self._gate_names = names.get(mode, ("",))
        self._packed_name = str(self._parameter.name)

    @property
    def state_info(self) -> list[dict[str, Any]]:
        op = self._operator
        shape = (op.num_layers * op.directions, 0, op.state_size)
        return [{"shape": shape, "__layout__": "LNC"} for _ in range(1 + (op.mode == "lstm"))]

    def _parts(self, packed: np.ndarray, inputs: int) -> Iterator[tuple[str, np.ndarray]]:
        """The name of every gate's weights and biases, with its place in the packed vector."""
        op = self._operator
        for number, weights in enumerate(op.layout().unpack(packed, inputs)):
            layer, reverse = divmod(number, op.directions)
            for stem, matrix, bias in (
                ("i2h", weights.i2h, weights.i2h_bias),
                ("h2h", weights.h2h, weights.h2h_bias),
            ):
                for place, gate in enumerate(self._gate_names):
                    rows = slice(place * op.state_size, (place + 1) * op.state_size)
                    name = f"{self._prefix}{'lr'[reverse]}{layer}_{stem}{gate}"
                    yield f"{name}_weight", matrix[rows]
                    yield f"{name}_bias", bias[rows]

    def unpack_weights(self, args: Mapping[str, Any]) -> Weights:
        args = dict(args)
        packed = args.pop(self._packed_name)
        values = packed.asnumpy()
        parts = self._parts(values, self._operator.inputs_of(values.size))
        return {**args, **{name: like(part, packed) for name, part in parts}}

    def pack_weights(self, args: Mapping[str, Any]) -> Weights:
        args = dict(args)
        first = args[f"{self._prefix}l0_i2h{self._gate_names[0]}_weight"]
        inputs = first.shape[1]
        packed = np.zeros(self._operator.layout().count(inputs), first.dtype)
        for name, part in self._parts(packed, inputs):
            part[...] = args.pop(name).asnumpy()
        return {**args, self._packed_name: like(packed, first)}

    def unroll(
        self,
        length: int,
        inputs: Steps,
        begin_state: list[Any] | None = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> Unrolled:
        """One operator for all steps; the outputs are one symbol unless `merge_outputs` is False."""
        if layout not in ("NTC", "TNC"):
            raise UsageError(f"layout {layout} is neither NTC nor TNC")
        self.reset()
        sequence = arrange(inputs, length, layout, merge=True)
        if layout == "NTC":
            sequence = symbol.swapaxes(sequence, dim1=0, dim2=1)
        states = self.begin_state() if begin_state is None else begin_state
        named = dict(zip(("state", "state_cell"), states))
        given = self._operator.given_values()
        rnn = symbol.RNN(
            data=sequence, parameters=self._parameter, name=f"{self._prefix}rnn", **named, **given
        )
        outputs, *last = list(rnn)
        if layout == "NTC":
            outputs = symbol.swapaxes(outputs, dim1=0, dim2=1)
        return arrange(outputs, length, layout, merge_outputs), last

    def unfuse(self) -> SequentialRNNCell:
        """The same net as a stack of single cells."""
        op, stack = self._operator, SequentialRNNCell()
        for layer in range(op.num_layers):
            cell, *other = (self._single(f"{self._prefix}{side}{layer}_") for side in "lr"[: op.directions])
            if op.bidirectional:
                cell = BidirectionalCell(cell, other[0], output_prefix=f"{self._prefix}bi_l{layer}_")
            stack.add(cell)
            if op.p > 0 and layer < op.num_layers - 1:
                stack.add(DropoutCell(op.p, prefix=f"{self._prefix}_dropout{layer}_"))
        return stack

    def _single(self, prefix: str) -> BaseRNNCell:
        op = self._operator
        if op.mode == "lstm":
            return LSTMCell(op.state_size, prefix=prefix, forget_bias=self._forget_bias)
        if op.mode == "gru":
            return GRUCell(op.state_size, prefix=prefix)
        return RNNCell(op.state_size, activation=op.mode.removeprefix("rnn_"), prefix=prefix)

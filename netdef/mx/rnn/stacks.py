"""Cells made of cells, one after the other or one from each end, and dropout between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from netdef.mx import symbol
from netdef.mx.rnn.cells import BaseRNNCell, RNNParams, Steps, Unrolled, Weights, arrange
from netdef.mx.symbol import Symbol


class _Cells(BaseRNNCell):
    """Several cells; their states stand in one list."""

    def __init__(self, cells: list[BaseRNNCell], params: RNNParams | None) -> None:
        self._cells: list[BaseRNNCell] = []
        super().__init__("", params)
        for cell in cells:
            self._take(cell)

    def _take(self, cell: BaseRNNCell) -> None:
        """Add a cell and its variables."""
        self._cells.append(cell)
        self._params.update(cell.params)

    def reset(self) -> None:
        super().reset()
        for cell in self._cells:
            cell.reset()

    @property
    def state_info(self) -> list[dict[str, Any]]:
        return [info for cell in self._cells for info in cell.state_info]

    def begin_state(self, func: Callable[..., Symbol] | None = None, **kwargs: Any) -> list[Any]:
        self._require_unmodified()
        return [state for cell in self._cells for state in cell.begin_state(func, **kwargs)]

    def unpack_weights(self, args: Mapping[str, Any]) -> Weights:
        for cell in self._cells:
            args = cell.unpack_weights(args)
        return dict(args)

    def pack_weights(self, args: Mapping[str, Any]) -> Weights:
        for cell in self._cells:
            args = cell.pack_weights(args)
        return dict(args)

    def _share(self, states: list[Any]) -> list[list[Any]]:
        """The states of each cell."""
        shares, place = [], 0
        for cell in self._cells:
            count = len(cell.state_info)
            shares.append(states[place : place + count])
            place += count
        return shares


class SequentialRNNCell(_Cells):
    """Cells one after the other: each reads the outputs of the one before."""

    def __init__(self, params: RNNParams | None = None) -> None:
        super().__init__([], params)

    def add(self, cell: BaseRNNCell) -> None:
        """Put a cell on top."""
        self._take(cell)

    def __call__(self, inputs: Symbol, states: list[Any]) -> tuple[Symbol, list[Any]]:
        self._counter += 1
        following = []
        for cell, own in zip(self._cells, self._share(states)):
            inputs, after = cell(inputs, own)
            following += after
        return inputs, following

    def unroll(
        self,
        length: int,
        inputs: Steps,
        begin_state: list[Any] | None = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> Unrolled:
        """Each cell over the whole sequence, from the lowest to the topmost."""
        self.reset()
        states = self.begin_state() if begin_state is None else begin_state
        last = []
        for cell, own in zip(self._cells, self._share(states)):
            merge = merge_outputs if cell is self._cells[-1] else None
            inputs, after = cell.unroll(length, inputs, own, layout, merge)
            last += after
        return inputs, last


class BidirectionalCell(_Cells):
    """Two cells over a sequence, one from each end; the outputs are joined along the channels.

    `unroll` returns the last states as two lists.
    """

    def __init__(
        self,
        l_cell: BaseRNNCell,
        r_cell: BaseRNNCell,
        params: RNNParams | None = None,
        output_prefix: str = "bi_",
    ) -> None:
        super().__init__([l_cell, r_cell], params)
        self._output_prefix = output_prefix

    def unroll(
        self,
        length: int,
        inputs: Steps,
        begin_state: list[Any] | None = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> Unrolled:
        """Both cells; the outputs are merged if asked, or if both cells do so by themselves."""
        self.reset()
        axis = layout.find("T")
        steps = arrange(inputs, length, layout, merge=False)
        states = self.begin_state() if begin_state is None else begin_state
        left, right = self._cells
        to_left, to_right = self._share(states)
        ahead, left_states = left.unroll(length, steps, to_left, layout, merge_outputs)
        back, right_states = right.unroll(length, steps[::-1], to_right, layout, merge_outputs)
        merge = merge_outputs
        if merge is None:
            merge = isinstance(ahead, Symbol) and isinstance(back, Symbol)
            ahead, back = (arrange(part, length, layout, merge or False) for part in (ahead, back))
        outputs: Any
        if merge:
            back = symbol.reverse(back, axis=axis)
            outputs = symbol.Concat(ahead, back, dim=2, name=f"{self._output_prefix}out")
        else:
            outputs = [
                symbol.Concat(one, other, dim=1, name=f"{self._output_prefix}t{t}")
                for t, (one, other) in enumerate(zip(ahead, back[::-1]))
            ]
        return outputs, [left_states, right_states]


class DropoutCell(BaseRNNCell):
    """Dropout on what it is given, without states."""

    def __init__(self, dropout: float, prefix: str = "dropout_", params: RNNParams | None = None) -> None:
        super().__init__(prefix, params)
        self.dropout = dropout

    @property
    def state_info(self) -> list[dict[str, Any]]:
        return []

    def __call__(self, inputs: Symbol, states: list[Any]) -> tuple[Symbol, list[Any]]:
        return (symbol.Dropout(inputs, p=self.dropout) if self.dropout > 0 else inputs), states

    def unroll(
        self,
        length: int,
        inputs: Steps,
        begin_state: list[Any] | None = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> Unrolled:
        """One dropout for a sequence in one symbol, else one for each step."""
        self.reset()
        sequence = arrange(inputs, length, layout, merge_outputs)
        if isinstance(sequence, Symbol):
            return self(sequence, [])
        return [self(step, [])[0] for step in sequence], []

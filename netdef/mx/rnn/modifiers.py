"""Cells that change what another cell gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from netdef.diag import UsageError
from netdef.mx import symbol
from netdef.mx.rnn.cells import BaseRNNCell, RNNParams, Steps, Unrolled, Weights, arrange
from netdef.mx.rnn.fused import FusedRNNCell
from netdef.mx.rnn.stacks import BidirectionalCell
from netdef.mx.symbol import Symbol


class ModifierCell(BaseRNNCell):
    """A cell that changes the outputs or states of another, which then cannot be used by itself."""

    def __init__(self, base_cell: BaseRNNCell) -> None:
        self.base_cell = base_cell
        super().__init__()
        base_cell._modified = True

    def reset(self) -> None:
        super().reset()
        self.base_cell.reset()

    @property
    def params(self) -> RNNParams:
        return self.base_cell.params

    @property
    def state_info(self) -> list[dict[str, Any]]:
        return self.base_cell.state_info

    @contextmanager
    def _unmodified(self) -> Iterator[BaseRNNCell]:
        """The base cell as it was."""
        self.base_cell._modified = False
        try:
            yield self.base_cell
        finally:
            self.base_cell._modified = True

    def begin_state(self, func: Callable[..., Symbol] | None = None, **kwargs: Any) -> list[Any]:
        self._require_unmodified()
        with self._unmodified() as cell:
            return cell.begin_state(func, **kwargs)

    def unpack_weights(self, args: Mapping[str, Any]) -> Weights:
        return self.base_cell.unpack_weights(args)

    def pack_weights(self, args: Mapping[str, Any]) -> Weights:
        return self.base_cell.pack_weights(args)


class ZoneoutCell(ModifierCell):
    """Keep outputs and states of the step before, at random, with the given shares (Krueger et al. 2016).

    Outside training everything is new.
    """

    def __init__(
        self, base_cell: BaseRNNCell, zoneout_outputs: float = 0.0, zoneout_states: float = 0.0
    ) -> None:
        if isinstance(base_cell, (FusedRNNCell, BidirectionalCell)):
            kind = type(base_cell).__name__
            raise UsageError(f"{kind} has no single steps for zoneout: unfuse it, or modify the cells in it")
        self.zoneout_outputs, self.zoneout_states = zoneout_outputs, zoneout_states
        self._previous: Symbol | None = None
        super().__init__(base_cell)

    def reset(self) -> None:
        super().reset()
        self._previous = None

    @staticmethod
    def _mix(share: float, new: Symbol, old: Symbol | None) -> Symbol:
        if not share:
            return new
        kept = symbol.Dropout(symbol.ones_like(new), p=share)
        return symbol.where(kept, new, symbol.zeros_like(new) if old is None else old)

    def __call__(self, inputs: Symbol, states: list[Any]) -> tuple[Symbol, list[Any]]:
        output, after = self.base_cell(inputs, states)
        output = self._mix(self.zoneout_outputs, output, self._previous)
        self._previous = output
        return output, [self._mix(self.zoneout_states, new, old) for new, old in zip(after, states)]


class ResidualCell(ModifierCell):
    """The base cell's output plus its input (Wu et al. 2016)."""

    @staticmethod
    def _plus(output: Symbol, inputs: Symbol) -> Symbol:
        return symbol.elemwise_add(output, inputs, name=f"{output.name}_plus_residual")

    def __call__(self, inputs: Symbol, states: list[Any]) -> tuple[Symbol, list[Any]]:
        output, states = self.base_cell(inputs, states)
        return self._plus(output, inputs), states

    def unroll(
        self,
        length: int,
        inputs: Steps,
        begin_state: list[Any] | None = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> Unrolled:
        """The base cell's way, and its inputs added in the form in which its outputs come."""
        self.reset()
        with self._unmodified() as cell:
            outputs, states = cell.unroll(length, inputs, begin_state, layout, merge_outputs)
        merged = isinstance(outputs, Symbol)
        sequence = arrange(inputs, length, layout, merged)
        if merged:
            return self._plus(outputs, sequence), states
        return [self._plus(*pair) for pair in zip(outputs, sequence)], states

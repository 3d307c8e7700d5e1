"""The arithmetic of recurrent cells: what the RNN operator computes between its matrix products.

A cell has `gates` rows of weights for each hidden unit, and keeps `kept` numbers for each unit and step from
the forward to the backward pass.  What only depends on the forward pass is worked out for all steps at once
(`prepare`), so that the backward loop over time has little left to do.
"""

from __future__ import annotations

import math
from typing import Any


class Trace:
    """What one layer in one direction left behind: views of the plan's arrays.

    kept (T, N, kept, H): a cell's own numbers; hidden (T, N, P) and cells (T, N, H): the states after every
    step; first and first_cell (N, ...): those before the first one.  `after` and `before` pick, of an array
    over time, the steps but the first and those they follow, in the direction in which time runs.
    """

    def __init__(
        self, reverse: bool, kept: Any, hidden: Any, cells: Any, first: Any, first_cell: Any
    ) -> None:
        self.kept, self.hidden, self.cells = kept, hidden, cells
        self.first, self.first_cell = first, first_cell
        self.start, self.end = (len(hidden) - 1, 0) if reverse else (0, len(hidden) - 1)
        self.after, self.before = slice(1, None), slice(None, -1)
        if reverse:
            self.after, self.before = self.before, self.after
        self.step = -1 if reverse else 1

    def forwards(self) -> range:
        """The steps in the order in which they are computed."""
        return range(self.start, self.end + self.step, self.step)

    def backwards(self) -> range:
        """The steps from the last to the first."""
        return range(self.end, self.start - self.step, -self.step)


class Cell:
    """A step from `before`, with the input's share of the sums in `kept`, to `hidden`."""

    gates = 1
    kept = 1
    has_cells = False

    def bias(self, xp: Any, from_input: Any, from_state: Any, out: Any) -> None:
        """What is added to the input's share of the sums, (gates * H,)."""
        xp.add(from_input, from_state, out=out)

    def forward(
        self, xp: Any, kept: Any, sums: Any, bias: Any, before: Any, hidden: Any, cells: Any, work: Any
    ) -> None:
        """One step.

        kept (N, kept, H) holds the input's share and gets what `prepare` needs; sums (N, gates, H) the
        state's share; bias (gates, H) the state's biases; before and hidden (N, H) the states, cells the pair
        of cell states; work (N, H).
        """
        raise NotImplementedError

    def prepare(self, xp: Any, trace: Trace, slopes: Any, more: Any, raw: Any) -> None:
        """Write into slopes (T, N, kept, H) what the loop multiplies by the gradients of the states.

        more (T, N, H) is the cell's own; raw (T, N, H), if there is a projection, gets what was projected.
        """
        raise NotImplementedError

    def backward(
        self, xp: Any, kept: Any, slopes: Any, more: Any, cells: Any, dhidden: Any, dcells: Any, work: Any
    ) -> bool:
        """One step back: slopes become the gradients of the state's share of the sums.

        cells (N, H) is the cell state after the step.  dcells becomes the gradient of the one before; dhidden
        what reaches the state before past the matrix product, if True is returned.
        """
        raise NotImplementedError

    def turn_to_input(self, xp: Any, slopes: Any) -> None:
        """Make the gradients of the state's share those of the input's share, for all steps."""


class Vanilla(Cell):
    """h = f(sums) with f = relu or tanh (Elman 1990)."""

    def __init__(self, relu: bool) -> None:
        self.relu = relu

    def forward(
        self, xp: Any, kept: Any, sums: Any, bias: Any, before: Any, hidden: Any, cells: Any, work: Any
    ) -> None:
        xp.add(kept, sums, out=kept)
        if self.relu:
            xp.clip(kept[:, 0], 0, math.inf, out=hidden)
        else:
            xp.tanh(kept[:, 0], out=hidden)

    def prepare(self, xp: Any, trace: Trace, slopes: Any, more: Any, raw: Any) -> None:
        slope = slopes[:, :, 0]
        if self.relu:
            xp.greater(trace.hidden, 0, out=slope)
        else:
            _tanh_slope(xp, trace.hidden, slope)

    def backward(
        self, xp: Any, kept: Any, slopes: Any, more: Any, cells: Any, dhidden: Any, dcells: Any, work: Any
    ) -> bool:
        xp.multiply(slopes[:, 0], dhidden, out=slopes[:, 0])
        return False


class Lstm(Cell):
    """Gates i, f and o, candidate g in the order i, f, g, o: c = f*c' + i*g, h = o*tanh(c).

    Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000.  With bounds the cell state is
    clipped, and no gradient passes where it was; `stop_nan` then makes NaN the lower bound.
    """

    gates = 4
    kept = 4
    has_cells = True

    def __init__(self, low: float | None, high: float | None, stop_nan: bool) -> None:
        self.low, self.high, self.stop_nan = low, high, stop_nan

    def forward(
        self, xp: Any, kept: Any, sums: Any, bias: Any, before: Any, hidden: Any, cells: Any, work: Any
    ) -> None:
        old, new = cells
        xp.add(kept, sums, out=kept)
        outer, candidate, out_gate = kept[:, :2], kept[:, 2], kept[:, 3]
        # sigmoid(x) = (1 + tanh(x/2)) / 2: nothing overflows, and one tanh serves all four
        xp.multiply(outer, 0.5, out=outer)
        xp.multiply(out_gate, 0.5, out=out_gate)
        xp.tanh(kept, out=kept)
        for gate in (outer, out_gate):
            xp.add(gate, 1, out=gate)
            xp.multiply(gate, 0.5, out=gate)
        xp.multiply(kept[:, 1], old, out=new)
        xp.multiply(kept[:, 0], candidate, out=work)
        xp.add(new, work, out=new)
        if self.low is not None:
            if self.stop_nan:
                xp.fmax(new, self.low, out=new)
            xp.clip(new, self.low, self.high, out=new)
        xp.tanh(new, out=work)
        xp.multiply(work, out_gate, out=hidden)

    def prepare(self, xp: Any, trace: Trace, slopes: Any, more: Any, raw: Any) -> None:
        in_gate, _, candidate, out_gate = (trace.kept[:, :, number] for number in range(4))
        xp.subtract(1, trace.kept, out=slopes)
        xp.multiply(slopes, trace.kept, out=slopes)
        _tanh_slope(xp, candidate, slopes[:, :, 2])
        xp.multiply(slopes[:, :, 0], candidate, out=slopes[:, :, 0])
        xp.multiply(slopes[:, :, 2], in_gate, out=slopes[:, :, 2])
        of_forget = slopes[:, :, 1]
        xp.multiply(of_forget[trace.after], trace.cells[trace.before], out=of_forget[trace.after])
        xp.multiply(of_forget[trace.start], trace.first_cell, out=of_forget[trace.start])
        xp.tanh(trace.cells, out=more)
        xp.multiply(slopes[:, :, 3], more, out=slopes[:, :, 3])
        if raw is not None:
            xp.multiply(out_gate, more, out=raw)
        _tanh_slope(xp, more, more)
        xp.multiply(more, out_gate, out=more)  # what of the hidden state's gradient reaches the cell state

    def backward(
        self, xp: Any, kept: Any, slopes: Any, more: Any, cells: Any, dhidden: Any, dcells: Any, work: Any
    ) -> bool:
        xp.multiply(slopes[:, 3], dhidden, out=slopes[:, 3])
        xp.multiply(more, dhidden, out=work)
        xp.add(dcells, work, out=dcells)
        if self.low is not None:
            xp.greater(cells, self.low, out=work)
            xp.multiply(dcells, work, out=dcells)
            xp.less(cells, self.high, out=work)
            xp.multiply(dcells, work, out=dcells)
        xp.multiply(slopes[:, :3], dcells[:, None], out=slopes[:, :3])
        xp.multiply(dcells, kept[:, 1], out=dcells)
        return False


class Gru(Cell):
    """Gates r and z, candidate n in this order: n = tanh(x_n + r*(h_n)), h = (1 - z)*n + z*h'.

    Cho et al. 2014, as cuDNN has it: the reset gate acts after the product with the state, whose bias it
    scales, too.  Kept are r, z, n and the state's share of n.
    """

    gates = 3
    kept = 4

    def bias(self, xp: Any, from_input: Any, from_state: Any, out: Any) -> None:
        split = len(out) // 3 * 2
        xp.copyto(out, from_input)
        xp.add(out[:split], from_state[:split], out=out[:split])

    def forward(
        self, xp: Any, kept: Any, sums: Any, bias: Any, before: Any, hidden: Any, cells: Any, work: Any
    ) -> None:
        both, reset, update, candidate, share = kept[:, :2], kept[:, 0], kept[:, 1], kept[:, 2], kept[:, 3]
        xp.add(both, sums[:, :2], out=both)
        xp.multiply(both, 0.5, out=both)
        xp.tanh(both, out=both)
        xp.add(both, 1, out=both)
        xp.multiply(both, 0.5, out=both)
        xp.add(sums[:, 2], bias[2], out=share)
        xp.multiply(reset, share, out=work)
        xp.add(candidate, work, out=candidate)
        xp.tanh(candidate, out=candidate)
        xp.subtract(before, candidate, out=work)
        xp.multiply(work, update, out=work)
        xp.add(candidate, work, out=hidden)

    def prepare(self, xp: Any, trace: Trace, slopes: Any, more: Any, raw: Any) -> None:
        reset, update, candidate, share = (trace.kept[:, :, number] for number in range(4))
        of_reset, of_update, of_share, of_candidate = (slopes[:, :, number] for number in range(4))
        xp.subtract(1, update, out=more)
        _tanh_slope(xp, candidate, of_candidate)
        xp.multiply(of_candidate, more, out=of_candidate)
        xp.multiply(more, update, out=more)
        xp.subtract(trace.hidden[trace.before], candidate[trace.after], out=of_update[trace.after])
        xp.subtract(trace.first, candidate[trace.start], out=of_update[trace.start])
        xp.multiply(of_update, more, out=of_update)
        xp.multiply(of_candidate, reset, out=of_share)
        xp.subtract(1, reset, out=of_reset)
        xp.multiply(of_reset, of_share, out=of_reset)
        xp.multiply(of_reset, share, out=of_reset)

    def backward(
        self, xp: Any, kept: Any, slopes: Any, more: Any, cells: Any, dhidden: Any, dcells: Any, work: Any
    ) -> bool:
        xp.multiply(slopes, dhidden[:, None], out=slopes)
        xp.multiply(dhidden, kept[:, 1], out=dhidden)
        return True

    def turn_to_input(self, xp: Any, slopes: Any) -> None:
        xp.copyto(slopes[:, :, 2], slopes[:, :, 3])


def _tanh_slope(xp: Any, values: Any, out: Any) -> None:
    """1 - y^2 for y = tanh(x)."""
    xp.multiply(values, values, out=out)
    xp.subtract(1, out, out=out)

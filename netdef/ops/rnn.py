"""Recurrent networks as one operator."""

from __future__ import annotations

from typing import Any

from netdef.ops.arrays import count_up
from netdef.ops.base import Op, Workspace
from netdef.ops.cells import Cell, Gru, Lstm, Trace, Vanilla
from netdef.ops.fields import BadValue, Bool, Enum, Float, Int
from netdef.ops.masks import drop, drop_again
from netdef.ops.recurrence import Layout, input_gradients, run, run_back, state_gradients, state_sums
from netdef.ops.shapes import ShapeError, Shapes, show


class RNN(Op):
    """Layers of recurrent cells over a sequence, one or both ways (MXNet's RNN; cuDNN's layout).

    data (T, N, I) -> output (T, N, D*P), with state_outputs also the last states, shaped as the first ones:
    state (L*D, N, P), for lstm also state_cell (L*D, N, H).  D is 2 if bidirectional, H is state_size, P is
    projection_size or H; a layer reads the outputs of both directions of the layer below.

    parameters is one vector: for each layer and direction the weights i2h (G*H, I or D*P), h2h (G*H, P) and,
    with a projection (Sak et al. 2014), (P, H); then likewise the biases i2h and h2h (G*H,).  G gates stand
    in the order i, f, g, o for lstm, r, z, n for gru; gru resets after the product with the state.

    With use_sequence_length each sample ends after its number of steps, sequence_length (N,): its outputs are
    0 after that, its last states those of its own last step, and the reverse direction starts there.  The
    cell states of lstm are clipped where bounds are given.  MXNet does both, and trains with a projection, on
    GPUs only; on CPUs it leaves ends and bounds aside.
    """

    state_size = Int(help="H: the size of the state of each layer", min=1)
    num_layers = Int(help="L: the number of layers", min=1)
    bidirectional = Bool(False, "run each layer from both ends")
    mode = Enum("rnn_relu", "rnn_tanh", "lstm", "gru", help="the kind of cell")
    p = Float(0, "the share of elements dropped between layers while training", min=0, max=1)
    state_outputs = Bool(False, "show the states after the last step")
    projection_size = Int(None, "P: project the outputs of lstm to this size", min=1)
    lstm_state_clip_min = Float(None, "the least value of a cell state; goes with lstm_state_clip_max")
    lstm_state_clip_max = Float(None, "the largest value of a cell state")
    lstm_state_clip_nan = Bool(False, "where cell states are clipped, NaN becomes the least value")
    use_sequence_length = Bool(False, "take an input with the number of steps of each sample")

    inputs = ("data", "parameters", "state", "state_cell", "sequence_length")
    #: hidden ones: the states after each step, the cells' own numbers, and what dropout kept
    outputs = ("output", "state_output", "statecell_output", "hiddens", "kept", "cells", "mask")
    scratch = (
        *("vectors", "positions", "padded", "dropped"),
        *("hidden_work", "kept_work", "cell_work", "sums", "bias", "noise"),
        *("slopes", "more", "uppers", "second", "dweight", "raw", "projected"),
    )
    work = 15
    examples = (
        ({"state_size": 2, "num_layers": 1, "mode": "rnn_relu"}, {"data": (3, 8, 40)}),
        (
            {"state_size": 2, "num_layers": 2, "mode": "rnn_tanh", "bidirectional": True},
            {"data": (3, 8, 40)},
        ),
        ({"state_size": 3, "num_layers": 1, "mode": "lstm", "state_outputs": True}, {"data": (3, 8, 40)}),
        (
            {"state_size": 2, "num_layers": 2, "mode": "lstm", "bidirectional": True}
            | {"lstm_state_clip_min": -0.4, "lstm_state_clip_max": 0.3, "use_sequence_length": True}
            | {"projection_size": 3, "state_outputs": True},
            {"data": (3, 8, 40)},
        ),
        (
            {"state_size": 2, "num_layers": 2, "mode": "gru", "bidirectional": True, "state_outputs": True},
            {"data": (3, 8, 40)},
        ),
        (
            {"state_size": 2, "num_layers": 1, "mode": "gru", "use_sequence_length": True},
            {"data": (5, 8, 40)},
        ),
        ({"state_size": 3, "num_layers": 2, "mode": "rnn_tanh", "p": 1}, {"data": (1, 8, 40)}),
    )

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        if (self.lstm_state_clip_min is None) != (self.lstm_state_clip_max is None):
            raise BadValue("a bound for cell states needs the other one", "give both lstm_state_clip_...")
        if self.projection_size is not None and self.mode != "lstm":
            raise BadValue(f"projection_size: {self.mode} has no projection", "leave it out, or take lstm")

    # -- what it consists of --

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def shown(self) -> int:
        """P: the size of what a layer shows of its state."""
        return self.projection_size or self.state_size

    def cell(self) -> Cell:
        if self.mode == "lstm":
            bounds = self.lstm_state_clip_min, self.lstm_state_clip_max
            return Lstm(*bounds, self.lstm_state_clip_nan)
        return Gru() if self.mode == "gru" else Vanilla(self.mode == "rnn_relu")

    def layout(self) -> Layout:
        """Where the parameters stand."""
        rows, projects = self.cell().gates * self.state_size, self.projection_size is not None
        return Layout(rows, self.state_size, self.shown, projects, self.num_layers, self.directions)

    def drops(self) -> bool:
        """Whether a training pass drops anything."""
        return self.p > 0 and self.num_layers > 1

    def input_names(self) -> tuple[str, ...]:
        left_out = {"state_cell": self.mode != "lstm", "sequence_length": not self.use_sequence_length}
        return tuple(name for name in self.inputs if not left_out.get(name))

    def output_names(self) -> tuple[str, ...]:
        lstm = self.mode == "lstm"
        states = ("state_output", "statecell_output")[: 1 + lstm] if self.state_outputs else ()
        return (
            "output",
            *states,
            *("hiddens", "kept"),
            *(("cells",) if lstm else ()),
            *(("mask",) if self.drops() else ()),
        )

    def counted_outputs(self) -> int:
        return self.visible_outputs()  # MXNet keeps what backward needs out of its graph

    def visible_outputs(self) -> int:
        return 1 + self.state_outputs * (1 + (self.mode == "lstm"))

    # -- shapes --

    def shape(self, s: Shapes) -> None:
        numbers, width = self.num_layers * self.directions, self.directions * self.shown
        s.merge("data", (None, None, None), "it is steps x batch x inputs")
        s.merge("parameters", (None,), "it is one vector")
        s.merge("sequence_length", (None,), "it holds one number for each sample")
        states = {"state": self.shown, "state_output": self.shown}
        states |= {"state_cell": self.state_size, "statecell_output": self.state_size}
        for name, size in states.items():
            s.merge(name, (numbers, None, size), "it is layers and directions x batch x size of the state")
        s.merge("output", (None, None, width), "it is steps x batch x directions and size of the state")
        data = s["data"]
        steps, batch, inputs = data or (None, None, None)
        steps = self._known(s, ("output",), 0, steps)
        batch = self._known(s, ("output", *states), 1, self._known(s, ("sequence_length",), 0, batch))
        s.merge("data", (steps, batch, None), f"there are {show((steps,))} steps of {show((batch,))} samples")
        s.merge("output", (steps, batch, None), f"data is {show(data)}")
        s.merge("sequence_length", (batch,), f"data is {show(data)}")
        for name in states:
            s.merge(name, (None, batch, None), f"data is {show(data)}")
        s.merge("hiddens", (self.num_layers, steps, batch, width))
        s.merge("kept", (numbers, steps, batch, self.cell().kept, self.state_size))
        s.merge("cells", (numbers, steps, batch, self.state_size))
        s.merge("mask", (self.num_layers - 1, steps, batch, width))
        packed = s["parameters"]
        if inputs is not None:
            s.merge("parameters", (self.layout().count(inputs),), f"data is {show(data)}")
        elif packed is not None and packed[0] is not None:
            s.merge("data", (None, None, self.inputs_of(packed[0])))

    @staticmethod
    def _known(s: Shapes, names: tuple[str, ...], axis: int, size: int | None) -> int | None:
        """`size`, or what one of these tensors says."""
        for name in names:
            size = (s.get(name) or (None,) * 3)[axis] if size is None else size
        return size

    def inputs_of(self, count: int) -> int:
        """The number of inputs that goes with so many parameters."""
        fixed = self.layout().count(0)
        each = self.layout().count(1) - fixed
        inputs, left = divmod(count - fixed, each)
        if left or inputs < 1:
            raise ShapeError(
                f"parameters has {count} elements, but there are {fixed} and {each} more for each input",
                tensor="parameters",
            )
        return inputs

    def types(self, t: Shapes) -> None:
        t.same(*(name for name in self.input_names() if name != "sequence_length"), *self.output_names())
        if t.get("sequence_length") is None:
            t.merge("sequence_length", t["data"])

    def macs(self, s: Shapes) -> int:
        steps, batch, inputs = s.full("data")
        return steps * batch * self.layout().weights(inputs)

    # -- kernels --

    def workspaces(self, s: Shapes, backward: bool) -> dict[str, Workspace]:
        steps, batch, inputs = s.full("data")
        cell, size, width = self.cell(), self.state_size, self.directions * self.shown
        rows = cell.gates * size
        shapes: dict[str, tuple[int, ...]] = {"vectors": (7 if backward else 2, batch, max(size, self.shown))}
        if self.use_sequence_length:
            shapes |= {"positions": (steps,), "padded": (steps, batch, 1)}
        if self.drops():
            shapes["dropped"] = (steps, batch, width)
        if backward:
            shapes |= {"slopes": (steps, batch, cell.kept, size), "more": (steps, batch, size)}
            shapes |= {"uppers": (2, steps, batch, width), "dweight": (rows, self.shown)}
            if self.bidirectional:
                shapes["second"] = (steps * batch * max(inputs, width),)
            if self.projection_size:
                shapes |= {"raw": (steps, batch, size), "projected": (steps, batch, self.shown)}
        else:
            shapes |= {"hidden_work": (2, steps, batch, width), "kept_work": (steps, batch, cell.kept, size)}
            shapes |= {"sums": (batch, rows), "bias": (rows,)}
            if cell.has_cells:
                shapes["cell_work"] = (steps, batch, size)
            if self.drops():
                shapes["noise"] = (steps, batch, width)
        types = {"positions": "int32", "padded": "bool", "noise": "float32"}
        return {name: Workspace(shape, types.get(name, "")) for name, shape in shapes.items()}

    def _trace(self, number: int, hiddens: Any, kept: Any, cells: Any, state: Any, state_cell: Any) -> Trace:
        """What one layer in one direction writes; `hiddens` are those of the layer."""
        reverse = number % self.directions
        hidden = hiddens[:, :, reverse * self.shown : (reverse + 1) * self.shown]
        first_cell = None if state_cell is None else state_cell[number]
        return Trace(bool(reverse), kept, hidden, cells, state[number], first_cell)

    def _ended(self, xp: Any, sequence_length: Any, positions: Any, padded: Any) -> Any:
        """Where samples have ended (T, N, 1), or None."""
        if sequence_length is not None:
            count_up(xp, positions)
            xp.greater_equal(positions[:, None, None], sequence_length[:, None], out=padded)
        return padded

    def forward(
        self,
        xp: Any,
        train: bool,
        random: Any,
        data: Any,
        parameters: Any,
        state: Any,
        state_cell: Any,
        sequence_length: Any,
        output: Any,
        state_output: Any,
        statecell_output: Any,
        hiddens: Any,
        kept: Any,
        cells: Any,
        mask: Any,
        vectors: Any,
        positions: Any,
        padded: Any,
        dropped: Any,
        hidden_work: Any,
        kept_work: Any,
        cell_work: Any,
        sums: Any,
        bias: Any,
        noise: Any,
    ) -> None:
        padded = self._ended(xp, sequence_length, positions, padded)
        if mask is not None and not train:
            mask.fill(1)
        lower = whole = data
        for number, weights in enumerate(self.layout().unpack(parameters, data.shape[2])):
            layer, reverse = divmod(number, self.directions)
            if layer and not reverse:
                lower = whole
                if train and self.p:
                    drop(xp, random, self.p, whole, None if mask is None else mask[layer - 1], noise, dropped)
                    lower = dropped
            whole = hidden_work[layer % 2] if hiddens is None else hiddens[layer]
            own = kept_work if kept is None else kept[number]
            own_cells = cell_work if cells is None else cells[number]
            trace = self._trace(number, whole, own, own_cells, state, state_cell)
            run(xp, self.cell(), trace, weights, lower, padded, vectors, sums, bias)
            if state_output is not None:
                xp.copyto(state_output[number], trace.hidden[trace.end])
            if statecell_output is not None:
                xp.copyto(statecell_output[number], trace.cells[trace.end])
        xp.copyto(output, whole)
        if padded is not None:
            xp.copyto(output, 0, where=padded)

    def backward(
        self,
        xp: Any,
        train: bool,
        doutput: Any,
        dstate_output: Any,
        dstatecell_output: Any,
        data: Any,
        parameters: Any,
        state: Any,
        state_cell: Any,
        sequence_length: Any,
        hiddens: Any,
        kept: Any,
        cells: Any,
        mask: Any,
        ddata: Any,
        dparameters: Any,
        dstate: Any,
        dstate_cell: Any,
        vectors: Any,
        positions: Any,
        padded: Any,
        dropped: Any,
        slopes: Any,
        more: Any,
        uppers: Any,
        second: Any,
        dweight: Any,
        raw: Any,
        projected: Any,
    ) -> None:
        padded = self._ended(xp, sequence_length, positions, padded)
        dropping = train and self.drops()
        cell, inputs = self.cell(), data.shape[2]
        weights = self.layout().unpack(parameters, inputs)
        gradients = None if dparameters is None else self.layout().unpack(dparameters, inputs)
        dhidden, dcells = vectors[0, :, : self.shown], vectors[1, :, : self.state_size]
        sums = state_sums(cell, slopes)
        upper = doutput
        if padded is not None and doutput is not None:
            upper = uppers[self.num_layers % 2]
            xp.copyto(upper, doutput)
            xp.copyto(upper, 0, where=padded)
        for number in range(len(weights) - 1, -1, -1):
            layer, reverse = divmod(number, self.directions)
            lower, below = (hiddens[layer - 1], uppers[layer % 2]) if layer else (data, ddata)
            if layer and dropping:
                drop_again(xp, self.p, lower, mask[layer - 1], dropped)
                lower = dropped
            own_cells = None if cells is None else cells[number]
            trace = self._trace(number, hiddens[layer], kept[number], own_cells, state, state_cell)
            xp.copyto(dhidden, 0 if dstate_output is None else dstate_output[number])
            xp.copyto(dcells, 0 if dstatecell_output is None else dstatecell_output[number])
            columns = slice(reverse * self.shown, (reverse + 1) * self.shown)
            arriving = None if upper is None else upper[:, :, columns]
            cell.prepare(xp, trace, slopes, more, raw)
            run_back(xp, cell, trace, weights[number], arriving, padded, vectors, slopes, more, projected)
            if dstate is not None:
                xp.copyto(dstate[number], dhidden)
            if dstate_cell is not None:
                xp.copyto(dstate_cell[number], dcells)
            into = None if gradients is None else gradients[number]
            if into is not None:
                state_gradients(xp, trace, into, sums, dweight, raw, projected)
            cell.turn_to_input(xp, slopes)
            adds = self.bidirectional and not reverse
            input_gradients(xp, weights[number], into, sums, lower, below, second if adds else None)
            if not reverse:
                if layer and dropping:
                    drop_again(xp, self.p, below, mask[layer - 1], below)
                upper = below

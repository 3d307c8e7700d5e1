"""How recurrent layers run over time: the packed parameters and the loops of one layer in one direction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from netdef.ops.arrays import write_back
from netdef.ops.cells import Cell, Trace


class Weights(NamedTuple):
    """The parameters of one layer in one direction: views of the packed vector."""

    i2h: Any
    h2h: Any
    projection: Any
    i2h_bias: Any
    h2h_bias: Any


class Layout(NamedTuple):
    """Where each parameter stands in the packed vector: all weights, layer by layer, then all biases.

    `rows` are the gates times the size of the state, `shown` what a layer shows of its state.
    """

    rows: int
    size: int
    shown: int
    projects: bool
    layers: int
    directions: int

    def shapes(self, inputs: int) -> Iterator[tuple[tuple[int, int], ...]]:
        """The shapes of i2h, h2h and the projection for each layer and direction."""
        projection = (self.shown if self.projects else 0, self.size)
        for layer in range(self.layers):
            columns = self.directions * self.shown if layer else inputs
            yield from [((self.rows, columns), (self.rows, self.shown), projection)] * self.directions

    def weights(self, inputs: int) -> int:
        """The number of parameters without biases."""
        return sum(rows * columns for shapes in self.shapes(inputs) for rows, columns in shapes)

    def count(self, inputs: int) -> int:
        """The number of parameters."""
        return self.weights(inputs) + self.layers * self.directions * 2 * self.rows

    def unpack(self, packed: Any, inputs: int) -> list[Weights]:
        """Views of the packed vector for each layer and direction."""
        place = 0

        def take(rows: int, columns: int) -> Any:
            nonlocal place
            place += rows * columns
            return packed[place - rows * columns : place].reshape(rows, columns)

        weights = [[take(*shape) for shape in shapes] for shapes in self.shapes(inputs)]
        biases = [[take(1, self.rows)[0] for _ in range(2)] for _ in weights]
        return [Weights(*matrices, *vectors) for matrices, vectors in zip(weights, biases)]


def run(
    xp: Any,
    cell: Cell,
    trace: Trace,
    weights: Weights,
    lower: Any,
    padded: Any,
    vectors: Any,
    sums: Any,
    bias: Any,
) -> None:
    """The forward pass of a layer in one direction.

    lower (T, N, I) is what it reads; padded (T, N, 1), or None, where samples have ended, whose states stay.
    Workspaces: vectors (2, N, H or P), sums (N, gates * H), bias (gates * H,).
    """
    size = trace.kept.shape[3]
    projects = len(weights.projection) > 0
    work, raw = vectors[:, :, :size]
    target = trace.kept[:, :, : cell.gates]
    flat = target.reshape(-1, len(bias))
    xp.matmul(lower.reshape(len(flat), -1), weights.i2h.T, out=flat)
    cell.bias(xp, weights.i2h_bias, weights.h2h_bias, bias)
    xp.add(flat, bias, out=flat)
    write_back(xp, flat, target)
    share = sums.reshape(-1, cell.gates, size)
    state_bias = weights.h2h_bias.reshape(cell.gates, size)
    h2h, projection = weights.h2h.T, weights.projection.T
    before, cell_before, cells = trace.first, trace.first_cell, None
    for t in trace.forwards():
        hidden = trace.hidden[t]
        if cell.has_cells:
            cells = trace.cells[t]
        xp.matmul(before, h2h, out=sums)
        after = raw if projects else hidden
        cell.forward(xp, trace.kept[t], share, state_bias, before, after, (cell_before, cells), work)
        if projects:
            xp.matmul(raw, projection, out=hidden)
        if padded is not None:
            xp.copyto(hidden, before, where=padded[t])
            if cell.has_cells:
                xp.copyto(cells, cell_before, where=padded[t])
        before, cell_before = hidden, cells


def run_back(
    xp: Any,
    cell: Cell,
    trace: Trace,
    weights: Weights,
    arriving: Any,
    padded: Any,
    vectors: Any,
    slopes: Any,
    more: Any,
    projected: Any,
) -> None:
    """The backward pass over time, after `cell.prepare`: slopes become the gradients of the sums.

    arriving (T, N, P), or None, is the gradient of what the layer showed.  vectors (7, N, H or P): the first
    two hold the gradients of the last states, then of the first ones.  projected (T, N, P) gets the gradients
    of what was projected, where anything was.
    """
    size, shown = trace.kept.shape[3], trace.hidden.shape[2]
    dhidden, product, rest = (vectors[place, :, :shown] for place in (0, 2, 3))
    dcells, rest_cells, work, unprojected = (vectors[place, :, :size] for place in (1, 4, 5, 6))
    sums = state_sums(cell, slopes)
    raw, cells = dhidden, None
    for t in trace.backwards():
        if arriving is not None:
            xp.add(dhidden, arriving[t], out=dhidden)
        if padded is not None:  # past its end a sample hands on what arrives
            for gradient, aside in ((dhidden, rest), (dcells, rest_cells)):
                xp.multiply(gradient, padded[t], out=aside)
                xp.copyto(gradient, 0, where=padded[t])
        if projected is not None:
            xp.copyto(projected[t], dhidden)
            raw = xp.matmul(dhidden, weights.projection, out=unprojected)
        if cell.has_cells:
            cells = trace.cells[t]
        if cell.backward(xp, trace.kept[t], slopes[t], more[t], cells, raw, dcells, work):
            xp.matmul(sums[t], weights.h2h, out=product)
            xp.add(dhidden, product, out=dhidden)
        else:
            xp.matmul(sums[t], weights.h2h, out=dhidden)
        if padded is not None:
            xp.add(dhidden, rest, out=dhidden)
            xp.add(dcells, rest_cells, out=dcells)


def state_sums(cell: Cell, slopes: Any) -> Any:
    """The part of slopes (T, N, kept, H) that belongs to the gates: (T, N, gates * H)."""
    return slopes[:, :, : cell.gates].reshape(*slopes.shape[:2], -1)


def state_gradients(
    xp: Any, trace: Trace, out: Weights, sums: Any, dweight: Any, raw: Any, projected: Any
) -> None:
    """The gradients of what acts on the state, after `run_back`; dweight is a workspace like h2h."""
    after, before = sums[trace.after], trace.hidden[trace.before]
    xp.matmul(after.reshape(-1, len(dweight)).T, before.reshape(-1, dweight.shape[1]), out=out.h2h)
    xp.matmul(sums[trace.start].T, trace.first, out=dweight)
    xp.add(out.h2h, dweight, out=out.h2h)
    sums.sum(axis=(0, 1), out=out.h2h_bias)
    if raw is not None:
        flat = projected.reshape(-1, projected.shape[2])
        xp.matmul(flat.T, raw.reshape(len(flat), -1), out=out.projection)


def input_gradients(
    xp: Any,
    weights: Weights,
    out: Weights | None,
    sums: Any,
    lower: Any,
    below: Any,
    second: Any,
) -> None:
    """The gradients of what acts on the layer's input, and of the input itself (`below`), if wanted.

    With `second`, a workspace, the latter is added to what is there.
    """
    flat = sums.reshape(-1, sums.shape[2])
    if out is not None:
        xp.matmul(flat.T, lower.reshape(len(flat), -1), out=out.i2h)
        flat.sum(axis=0, out=out.i2h_bias)
    if below is None:
        return
    whole = below if second is None else second[: below.size].reshape(below.shape)
    target = whole.reshape(len(flat), -1)
    xp.matmul(flat, weights.i2h, out=target)
    write_back(xp, target, whole)
    if second is not None:
        xp.add(below, whole, out=below)

"""What the tests of operators share: one operator with an array for each of its tensors."""

import numpy as np
import pytest
from references import SAMPLES

from netdef.ops.backward import Backward
from netdef.ops.base import kernel_arguments
from netdef.ops.shapes import Shapes, Types
from netdef.runtime.replay import Repeated


def strided(shape, dtype, layout):
    """An array that is contiguous ("C"), has its first or second axis last in memory, or is reversed."""
    if layout == "last" and shape:
        return np.moveaxis(np.empty((*shape[1:], shape[0]), dtype), -1, 0)
    if layout == "channels" and len(shape) > 1:
        return np.moveaxis(np.empty((shape[0], *shape[2:], shape[1]), dtype), -1, 1)
    if layout == "gaps" and shape:
        return np.empty([2 * size + 1 for size in shape], dtype)[(slice(None, 0, -2),) * len(shape)]
    return np.empty(shape, dtype)


def poison(array):
    """Fill an array with what no kernel would write, so that an element left out shows."""
    array.fill({"f": np.nan, "b": True}.get(array.dtype.kind, 99))


class Kernels:
    """The kernels of one operator on arrays made by hand, without graph, plan or executor.

    `arrays` holds inputs and states, later outputs, by the operator's names.  They are drawn from a seed:
    what `references.SAMPLES` names is as it says, labels are class numbers, states positive, everything else
    normal.  All outputs and workspaces are poisoned before a call.
    """

    def __init__(self, op, shapes, dtype="float64", layout="C", seed=0):
        self.op, self.dtype, self.layout = op, dtype, layout
        self.step = Backward(op)
        self.outputs = op.output_names()
        self.visible = self.outputs[: op.visible_outputs()]
        self.hidden = self.outputs[op.visible_outputs() :]
        self.shapes = self.inferred(op, shapes)
        self.types = self.inferred_types(op, dtype)
        random = np.random.default_rng(seed)
        labels = op.labels(self.shapes)
        draw = SAMPLES.get(type(op).__name__)
        drawn = draw(op, self.shapes, random) if draw else {}
        self.arrays = {}
        for name in (*op.input_names(), *op.state_names()):
            array = self.empty(name)
            if name in drawn:
                array[...] = drawn[name]
            elif name in labels:
                array[...] = random.integers(0, labels[name], array.shape)
            else:
                array[...] = random.standard_normal(array.shape)
            if name in op.state_names() and name not in drawn:
                array[...] = abs(array) + 0.5
            self.arrays[name] = array
        self.first_states = {name: self.arrays[name].copy() for name in op.state_names()}
        self.last_states = {name: first.copy() for name, first in self.first_states.items()}

    @staticmethod
    def inferred(op, shapes):
        """What follows from some shapes."""
        names = (*op.input_names(), *op.state_names(), *op.output_names())
        facts = Shapes({name: shapes.get(name) for name in names})
        op.shape(facts)
        return facts

    @staticmethod
    def inferred_types(op, dtype):
        """What follows from the dtype of the first input."""
        names = (*op.input_names(), *op.state_names(), *op.output_names())
        facts = Types(dict.fromkeys(names))
        for name in op.input_names()[:1]:
            facts.known[name] = dtype
        op.types(facts)
        return facts

    def empty(self, name):
        """A poisoned array for a tensor or, as `d<name>`, its gradient."""
        tensor = name if name in self.shapes else name[1:]
        array = strided(self.shapes.full(tensor), self.types[tensor] or self.dtype, self.layout)
        poison(array)
        return array

    def call(self, kernel, arrays, train, backward):
        """Run one kernel with poisoned workspaces; the generator starts anew each time."""
        spaces = {}
        for name, space in self.op.workspaces(self.shapes, backward).items():
            spaces[name] = np.empty(space.shape, space.dtype_for(self.dtype))
            poison(spaces[name])
        injected = {"xp": np, "train": train, "random": np.random.default_rng(7)}
        prepared = self.op.prepared(self.shapes)
        for name, space in prepared.items():
            spaces[name] = np.empty(space.shape, space.dtype_for(self.dtype))
            poison(spaces[name])
        if prepared:
            prepare = self.op.prepare
            prepare(*kernel_arguments(self.op, prepare, {**arrays, **spaces}, injected))
        with np.errstate(all="ignore"):  # as the executor does
            self._run(kernel, kernel_arguments(self.op, kernel, {**arrays, **spaces}, injected))

    def _run(self, kernel, arguments):
        """Run a kernel; of a steady one, the calls that it came to with other values in the same arrays."""
        if kernel.__name__ not in self.op.steady:
            kernel(*arguments)
            return
        repeated, random = Repeated(np, kernel), np.random.default_rng(3)
        held = [(array, array.copy()) for array in arguments if isinstance(array, np.ndarray)]
        for array, _ in held:
            if array.dtype.kind == "f":
                array[...] = random.random(array.shape)
        repeated(*arguments)
        assert (
            repeated.calls is not None
            or self.layout == "gaps"
            or not all(array.flags.c_contiguous for array, _ in held)
        )
        for array, before in held:
            array[...] = before
        repeated(*arguments)

    def set(self, name, value):
        """Give an input or a state its value."""
        self.arrays[name][...] = value
        if name in self.first_states:
            self.first_states[name][...] = value

    def forward(self, train=True, without=(), alias=None, keep_states=False):
        """Run the forward pass from the first states, or where the last pass left them; returns the outputs.

        `without` names outputs that nobody reads; `alias` is a pair (read, written) that shall be one array.
        """
        for name, first in self.first_states.items() if not keep_states else ():
            self.arrays[name][...] = first
        made = {name: self.empty(name) for name in self.outputs if name not in without}
        if alias:
            made[alias[1]] = self.arrays[alias[0]].reshape(made[alias[1]].shape)
        self.call(self.op.forward, {**self.arrays, **made}, train, backward=False)
        self.arrays.update(made)
        self.last_states = {name: self.arrays[name].copy() for name in self.first_states}
        return made

    def head_gradients(self, seed=1):
        """Random gradients for the outputs through which gradients pass."""
        random = np.random.default_rng(seed)
        heads = {f"d{name}": self.empty(name) for name in self.visible if f"d{name}" in self.step.reads}
        for head in heads.values():
            head[...] = random.standard_normal(head.shape)
        return heads

    def backward(self, heads=None, wanted=None, alias=None, train=True):
        """Run the backward pass from the states that `forward` left; returns the wanted gradients or all."""
        for name, last in self.last_states.items():
            self.arrays[name][...] = last
        arrays = {**self.arrays, **(self.head_gradients() if heads is None else heads)}
        made = {name: self.empty(name) for name in self.step.writes if wanted is None or name in wanted}
        if alias:
            made[alias[1]] = arrays[alias[0]].reshape(made[alias[1]].shape)
        if made:
            self.call(self.op.backward, {**arrays, **made}, train, backward=True)
        return made


@pytest.fixture(scope="session")
def kernels():
    """The class `Kernels`."""
    return Kernels

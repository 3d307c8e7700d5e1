"""What a monitor callback is told: arrays under MXNet's names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from netdef.graph.node import Entry, Node, topological
from netdef.ops.backward import Backward
from netdef.runtime.executor import Executor

Named = Iterator[tuple[str, Any]]


class Monitor:
    """Calls `callback(name, array)` with what a pass computes.

    Outputs are called `fc1_output`, gradients `fc1_backward_output1` by the number of the input, without it
    where there is one.  `with_inputs` adds the variables and, as soon as an array holds its values, the names
    of the inputs that it serves as: `fc1_data`, or `act_input0` where it is the only input.
    """

    def __init__(self, callback: Callable[[str, Any], Any], engine: Executor, with_inputs: bool) -> None:
        self._callback, self._engine, self._with_inputs = callback, engine, with_inputs
        self._roles: dict[Entry, list[str]] = {}
        for node in topological(engine.symbol.heads) if with_inputs else ():
            names = node.read_names()
            for name, entry in zip(("input0",) if names == ("data",) else names, node.inputs):
                assert entry is not None, "only backward nodes lack inputs"
                self._roles.setdefault(entry, []).append(f"{node.name}_{name}")

    def forward(self, train: bool) -> None:
        """Run the forward pass."""
        arrays = {**self._engine.arguments, **self._engine.states}
        for node in topological(self._engine.symbol.heads):
            if self._with_inputs and node.is_variable:
                self._callback(node.name, arrays[node.name])
                self._tell_roles(Entry(node, 0), arrays[node.name])
        for node, outputs in self._engine.watch(train):
            for index, name in enumerate(node.write_names()[: node.visible_outputs()]):
                if name in outputs:
                    self._callback(f"{node.name}_{name}", outputs[name])
                    self._tell_roles(Entry(node, index), outputs[name])

    def _tell_roles(self, entry: Entry, array: Any) -> None:
        for name in self._roles.get(entry, ()):
            self._callback(name, array)

    def backward(self, head_gradients: list[Any] | None) -> None:
        """Run the backward pass."""
        for node, gradients in self._engine.watch_backward(head_gradients):
            for name, array in self._gradients(node, gradients):
                self._callback(name, array)

    def _gradients(self, node: Node, gradients: Mapping[str, Any]) -> Named:
        if not isinstance(node.op, Backward) or node.forward is None:
            return  # a sum of gradients, which MXNet makes within an operator
        names = node.op.op.input_names()
        for number, (name, entry) in enumerate(zip(names, node.forward.inputs)):
            array = gradients.get(f"d{name}")
            if array is None and entry is not None and entry.node.is_variable:
                array = self._engine.gradients.get(entry.node.name)
            if array is not None:
                yield f"{node.name}_output{number if len(names) > 1 else ''}", array

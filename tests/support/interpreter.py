"""A slow interpreter of symbols, written from the operators' contract alone.

Every tensor has an array of its own, filled beforehand with what no kernel would write; every gradient is
computed, whether somebody wants it or not; nothing is planned, shared or pruned.  A backward kernel moves the
states only where a variable that is wanted gets something of its gradients.
"""

import inspect

import numpy as np

from netdef.graph.node import Entry, topological
from netdef.ops.shapes import Shapes, Types


def tensors(node):
    """The entries that an operator node reads and writes, by the operator's names."""
    read = (*node.op.input_names(), *node.op.state_names())
    return dict(zip(read, node.inputs)) | {
        name: Entry(node, number) for number, name in enumerate(node.op.output_names())
    }


def gradient_names(op):
    """The outputs whose gradients the backward kernel reads, and the inputs whose gradients it writes."""
    parameters = inspect.signature(op.backward).parameters
    reads = [name for name in op.output_names() if f"d{name}" in parameters]
    writes = [name for name in op.input_names() if f"d{name}" in parameters or "dargs" in parameters]
    return reads, writes


def complete_by_rule(node, shapes):
    """Add to `shapes` what follows for one node from the complete shapes of what it reads."""
    named = tensors(node)
    rule = Shapes({name: shapes.get(entry) for name, entry in named.items()})
    node.op.shape(rule)
    for name, entry in named.items():
        shapes[entry] = rule.full(name)


def shapes_of(symbol, given):
    """Every shape of a symbol whose variables follow, node by node, from the shapes given by name."""
    shapes = {}
    for node in topological(symbol.heads):
        if not node.is_variable:
            complete_by_rule(node, shapes)
        elif node.name in given:
            shapes[Entry(node, 0)] = given[node.name]
    return shapes


class Interpreter:
    """Runs a symbol forwards and backwards.

    `shapes` holds the shape of every entry, `variables` an array for each argument and state by name; states
    are changed in place by training passes, as the operators' contract says.
    """

    def __init__(self, symbol, shapes, variables, random=None):
        self.symbol, self.shapes, self.variables, self.random = symbol, shapes, variables, random
        self.order = topological(symbol.heads)
        self.train = False
        self.values = {}

    def forward(self, train):
        """The outputs of a pass."""
        self.train = train
        self.values = {Entry(node, 0): self.variables[node.name] for node in self.order if node.is_variable}
        for node in self.order:
            if not node.is_variable:
                dtypes = self._dtypes(node)
                arrays = {}
                for name, entry in tensors(node).items():
                    if entry not in self.values:
                        self.values[entry] = poisoned(self.shapes[entry], dtypes[name])
                    arrays[name] = self.values[entry]
                self._call(node, node.op.forward, arrays, backward=False)
        return [self.values[head] for head in self.symbol.heads]

    def backward(self, head_gradients, wanted):
        """The gradient of every variable by name, None where none arrives.

        `head_gradients` holds one array for each head, or None for a head that is not differentiated;
        `wanted` names the variables for whose gradients the pass is made.
        """
        arrived = {}
        useful = self._useful(wanted)

        def arrive(entry, gradient):
            arrived[entry] = arrived[entry] + gradient if entry in arrived else gradient.copy()

        for head, gradient in zip(self.symbol.heads, head_gradients):
            if gradient is not None:
                arrive(head, gradient)
        for node in reversed(self.order):
            if not node.is_variable:
                for entry, gradient in self._gradients(node, arrived, node in useful):
                    arrive(entry, gradient)
        return {node.name: arrived.get(Entry(node, 0)) for node in self.order if node.is_variable}

    def _useful(self, wanted):
        """The operator nodes of whose gradients a wanted variable gets something."""
        entries = {Entry(node, 0) for node in self.order if node.is_variable and node.name in wanted}
        nodes = set()
        for node in self.order:
            if node.is_variable:
                continue
            reads, writes = gradient_names(node.op)
            named = tensors(node)
            if any(named[name] in entries for name in writes):
                nodes.add(node)
                entries.update(named[name] for name in reads)
        return nodes

    def _gradients(self, node, arrived, useful):
        """What one node passes on to the entries that it reads.

        A kernel that names the gradient of an output needs one to arrive; a loss, which names none, makes its
        own as soon as it is part of what is differentiated (MXNet's rule).
        """
        reads, writes = gradient_names(node.op)
        named = tensors(node)
        outputs = reads or node.op.output_names()
        if not writes or all(named[name] not in arrived for name in outputs):
            return []
        arrays = {name: self.values[entry] for name, entry in named.items()}
        if not useful:
            arrays |= {name: arrays[name].copy() for name in node.op.state_names()}
        arrays |= {f"d{name}": arrived.get(named[name]) for name in reads}
        made = {f"d{name}": poisoned(arrays[name].shape, arrays[name].dtype) for name in writes}
        self._call(node, node.op.backward, arrays | made, backward=True)
        return [(named[name], made[f"d{name}"]) for name in writes]

    def _call(self, node, kernel, arrays, backward):
        """Call a kernel by the names of its parameters; what is left out is None."""
        inputs = node.op.input_names()
        known = {"xp": np, "train": self.train, "random": self.random, **arrays}
        if node.op.variadic:
            known["args"] = [arrays.get(name) for name in inputs]
            known["dargs"] = [arrays.get(f"d{name}") for name in inputs]
        shapes = Shapes({name: self.shapes[entry] for name, entry in tensors(node).items()})
        for name, space in node.op.workspaces(shapes, backward).items():
            known[name] = poisoned(space.shape, space.dtype_for(self.values[Entry(node, 0)].dtype.name))
        kernel(**{name: known.get(name) for name in inspect.signature(kernel).parameters})

    def _dtypes(self, node):
        """The dtypes of a node's tensors by its own rule."""
        known = {name: self.values.get(entry) for name, entry in tensors(node).items()}
        dtypes = Types({name: None if array is None else array.dtype.name for name, array in known.items()})
        node.op.types(dtypes)
        return dtypes


def poisoned(shape, dtype):
    """An array full of what no kernel would write."""
    array = np.empty(shape, dtype)
    array.fill({"f": np.nan, "b": True}.get(array.dtype.kind, 99))
    return array

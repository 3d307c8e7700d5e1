"""What inference can do without: constant factors and shifts go into the weights before them.

In a pass that does not train, BatchNorm and Scale multiply and shift every channel by constants.  One such
operator after the other is one multiply-add, and after a convolution or a fully connected layer it is that
layer with other weights.  Only values that nobody else reads are folded away; operators whose output is their
input, such as Dropout, are passed over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from netdef.graph.node import Entry, Node, topological
from netdef.ops.base import Op
from netdef.ops.convolution import Convolution
from netdef.ops.dense import FullyConnected
from netdef.ops.layouts import channels_last
from netdef.ops.normalization import BatchNorm, BatchNormV1, SyncBatchNorm
from netdef.ops.scaling import Scale
from netdef.ops.shapes import Full
from netdef.passes.infer import Known, infer_types, ordered

_NORMS = (BatchNorm, BatchNormV1, SyncBatchNorm)


class Folding(NamedTuple):
    """How the weights of a folded operator come about: `weight` and `bias` are variables of the new graph.

    The operators of `chain` follow on each other, each with variables besides its data.  Their factor and
    shift for each channel go into the weight of `base`, along its axis `along`, and into its bias; without
    a base they are weight and bias themselves.
    """

    weight: Node
    bias: Node
    base: Node | None
    chain: tuple[Node, ...]
    along: int
    #: the shape of one sample of data for the chain that has but its channels
    sample: Full


class Folded(NamedTuple):
    """The heads of a graph for inference, and how its new variables come about."""

    heads: tuple[Entry, ...]
    foldings: tuple[Folding, ...]


class _Run(NamedTuple):
    """An operator that takes in what follows: a base with operators after it, or these alone."""

    base: Node | None
    source: Entry
    chain: tuple[Node, ...]
    axis: int


def fold(heads: Sequence[Entry], shapes: Known, dtype: str = "float32") -> Folded:
    """The graph for passes that do not train.

    `shapes` has those of every entry, `dtype` is that of all variables; what computes in another one is left
    alone.
    """
    return _Folder(heads, shapes, dtype).fold()


class _Folder:
    def __init__(self, heads: Sequence[Entry], shapes: Known, dtype: str) -> None:
        self.heads, self.shapes, self.dtype = tuple(heads), shapes, dtype
        order = ordered(heads)
        self.order = order.nodes
        variables = {node.name: dtype for node in self.order if node.is_variable}
        self.dtypes, _ = infer_types(order, variables)
        self.readers = Counter(entry for node in self.order for entry in node.inputs if entry is not None)
        self.readers.update(self.heads)
        self.taken = {node.name for node in self.order}
        #: what stands for an entry in the new graph
        self.now: dict[Entry, Entry] = {}
        #: entries that several read, by themselves or under the name of another
        self.shared: set[Entry] = set()
        self.runs: dict[Entry, _Run] = {}
        self.foldings: dict[Node, Folding] = {}

    def fold(self) -> Folded:
        for node in self.order:
            if not node.is_variable:
                self._visit(node)
        heads = tuple(self.now.get(head, head) for head in self.heads)
        live = topological(heads)
        return Folded(heads, tuple(self.foldings[node] for node in live if node in self.foldings))

    def _visit(self, node: Node) -> None:
        entry = Entry(node, 0)
        data = node.inputs[0] if node.inputs else None
        if data is not None and self._is_identity(node, data):
            self.now[entry] = self.now.get(data, data)
            if data in self.shared or self.readers[data] > 1 or self.readers[entry] > 1:
                self.shared.add(entry)
            return
        if self.readers[entry] > 1:
            self.shared.add(entry)
        run = self._run(node, data)
        if run is not None and _is_shorter(run):
            made = self._folded(run, self.shapes[entry])
        else:
            made = node.reading(tuple(e and self.now.get(e, e) for e in node.inputs))
        for number in range(len(node.write_names())):
            self.now[Entry(node, number)] = Entry(made, number)
        if run is not None:
            self.runs[Entry(made, 0)] = run

    def _is_identity(self, node: Node, data: Entry) -> bool:
        """Whether a node only hands its input on; not where its output is a head, an array of its own."""
        if not isinstance(node.op, Op) or Entry(node, 0) in self.heads:
            return False
        same = node.op.view(False) == (node.read_names()[0], node.write_names()[0])
        alone = not any(self.readers[Entry(node, i)] for i in range(1, len(node.write_names())))
        return same and alone and self.shapes[data] == self.shapes[Entry(node, 0)]

    def _run(self, node: Node, data: Entry | None) -> _Run | None:
        """The run that a node starts, or goes on with."""
        others = node.inputs[1:]
        if data is None or not all(entry is not None and entry.node.is_variable for entry in others):
            return None
        if {self.dtypes[data], self.dtypes[Entry(node, 0)]} != {self.dtype}:
            return None
        source = self.now.get(data, data)
        rank = len(self.shapes[Entry(node, 0)])
        axis = _base_axis(node, rank)
        if axis is not None:
            return _Run(node, source, (), axis)
        axis = self._chain_axis(node, rank)
        if axis is None:
            return None
        before = self.runs.get(source)
        if before is not None and before.axis == axis and data not in self.shared:
            return before._replace(chain=(*before.chain, node))
        return _Run(None, source, (node,), axis)

    def _chain_axis(self, node: Node, rank: int) -> int | None:
        """The axis of the channels of an operator that multiplies and shifts them; None for any other."""
        if any(self.readers[Entry(node, i)] for i in range(1, len(node.write_names()))):
            return None
        if isinstance(node.op, _NORMS):
            return int(node.op.axis % rank)
        if isinstance(node.op, Scale) and node.inputs[1] is not None:
            return node.op.axis % rank if len(self.shapes[node.inputs[1]]) == 1 else None
        return None

    def _folded(self, run: _Run, shape: Full) -> Node:
        """The node that does the work of a run, with variables of its own."""
        channels = (shape[run.axis],)
        nodes = run.chain if run.base is None else (run.base, *run.chain)
        name = "+".join(node.name for node in nodes)
        origin = nodes[0].origin
        bias = Node(None, self._free(f"{name}_bias"), shape=channels, origin=origin)
        sample = tuple(size if axis == run.axis else 1 for axis, size in enumerate(shape))
        if run.base is None:
            weight = Node(None, self._free(f"{name}_scale"), shape=channels, origin=origin)
            op: Op = Scale(axis=run.axis, bias_term=True)
            along = 0
        else:
            assert isinstance(run.base.op, Op), "a base is an operator of the forward pass"
            original = run.base.inputs[1]
            assert original is not None, "a base has a weight"
            weight = Node(None, self._free(f"{name}_weight"), shape=self.shapes[original], origin=origin)
            op = _with_bias(run.base.op)
            along = 1 if isinstance(op, FullyConnected) and op.transpose else 0
        made = Node(op, name, (run.source, Entry(weight, 0), Entry(bias, 0)), origin=origin)
        self.foldings[made] = Folding(weight, bias, run.base, run.chain, along, sample)
        return made

    def _free(self, name: str) -> str:
        """A name for a variable that no node has."""
        while name in self.taken:
            name += "_folded"
        self.taken.add(name)
        return name


def _base_axis(node: Node, rank: int) -> int | None:
    """The axis of the channels that a layer with weights makes; None for any other operator."""
    if isinstance(node.op, Convolution) and not channels_last(node.op.layout):
        return node.op.axis % rank
    return rank - 1 if isinstance(node.op, FullyConnected) else None


def _with_bias(op: Op) -> Op:
    """The operator, with a bias where it has none."""
    if "bias" in op.input_names():
        return op
    with_bias: Op = type(op).trusted({**op.given_values(), "no_bias": False})
    return with_bias


def _is_shorter(run: _Run) -> bool:
    """Whether folding a run saves work: a Scale alone is a multiply-add as it is."""
    if run.base is not None:
        return bool(run.chain)
    return len(run.chain) > 1 or isinstance(run.chain[0].op, _NORMS)

"""What nobody reads is not computed in inference: strides move up to the convolutions that make the data.

Where all that read a tensor are convolutions with filters of one element that pass over the same elements of
it, as at the beginning of every stage of ResNet (He et al. 2015), the one that makes it takes their stride.
Its own filters may have one element, too, so that the stride moves on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from netdef.graph.node import Entry, Node, topological
from netdef.ops.convolution import Convolution
from netdef.ops.layouts import channels_last
from netdef.ops.slicing import Slice
from netdef.ops.windows import Axis
from netdef.passes.infer import Known

#: a step along each spatial axis
Steps = tuple[int, ...]


def raise_strides(heads: Sequence[Entry], shapes: Known) -> tuple[Entry, ...]:
    """The heads of a graph for passes that do not train; `shapes` has those of every entry."""
    steps = _Steps(heads, shapes)
    now: dict[Entry, Entry] = {}
    for node in steps.order:
        if node.is_variable:
            continue
        made = node.reading(tuple(entry and now.get(entry, entry) for entry in node.inputs))
        stride = steps.stride(node)
        if stride is not None:
            made = _striding(made, stride, steps.addend_step(node))
        for number in range(len(node.write_names())):
            now[Entry(node, number)] = Entry(made, number)
    return tuple(now.get(head, head) for head in heads)


class _Steps:
    """How far apart the elements of each tensor lie that anybody reads."""

    def __init__(self, heads: Sequence[Entry], shapes: Known) -> None:
        self.shapes = shapes
        self.order = topological(heads)
        self.readers: dict[Entry, list[tuple[Node, int]]] = defaultdict(list)
        for node in self.order:
            for number, entry in enumerate(node.inputs):
                if entry is not None:
                    self.readers[entry].append((node, number))
        #: the step of those entries that are to be computed in part
        self.of: dict[Entry, Steps] = {}
        #: the stride of each convolution by which its data are read, whoever takes it
        self._strides: dict[Node, Steps] = {}
        for node in reversed(self.order):
            axes = self._axes(node)
            if not axes:
                continue
            output = Entry(node, 0)
            step = None if output in heads else self._wanted(output)
            if step is not None:
                self.of[output] = step
            moved = step or (1,) * len(axes)
            self._strides[node] = tuple(axis.stride * more for axis, more in zip(axes, moved))

    def stride(self, node: Node) -> Steps | None:
        """The stride that a convolution shall have; None where it keeps its own, and for other nodes."""
        whole = self._strides.get(node)
        if whole is None or not {node.inputs[0], Entry(node, 0)} & self.of.keys():
            return None
        return (1,) * len(whole) if node.inputs[0] in self.of else whole

    def addend_step(self, node: Node) -> Steps | None:
        """The step at which a convolution shall read its addend; None where it reads all that is there."""
        names = node.read_names()
        addend = node.inputs[names.index("addend")] if "addend" in names else None
        return None if addend in self.of else self.of.get(Entry(node, 0))

    def _axes(self, node: Node) -> tuple[Axis, ...]:
        """The spatial axes of a convolution that can take another stride; none for any other node."""
        op, data = node.op, node.inputs[0] if node.inputs else None
        if not isinstance(op, Convolution) or channels_last(op.layout) or data is None:
            return ()
        shape = self.shapes[data]
        return op.axes_of(shape) if op.axis % len(shape) == 1 else ()

    def _wanted(self, entry: Entry) -> Steps | None:
        """The step at which all readers of an entry read it, where that leaves something out."""
        found = {self._read(node, number) for node, number in self.readers[entry]}
        step = found.pop() if len(found) == 1 else None
        return step if step is not None and max(step) > 1 else None

    def _read(self, node: Node, number: int) -> Steps | None:
        """The step at which a node reads one of its inputs; None where it needs all of it."""
        name = node.read_names()[number]
        if name == "addend":
            return self.of.get(Entry(node, 0))
        apart = name == "data" and all(axis.kernel == 1 and not axis.pad for axis in self._axes(node))
        return self._strides.get(node) if apart else None


def _striding(made: Node, stride: Steps, step: Steps | None) -> Node:
    """A convolution with another stride; of an addend it reads every `step`-th element."""
    assert isinstance(made.op, Convolution), "only convolutions have strides here"
    op = type(made.op).trusted({**made.op.given_values(), "stride": stride})
    inputs = tuple(
        _every(step, made, entry) if name == "addend" and step else entry
        for name, entry in zip(made.read_names(), made.inputs)
    )
    return Node(op, made.name, inputs, origin=made.origin)


def _every(step: Steps, reader: Node, entry: Entry | None) -> Entry:
    """Every `step`-th element of a tensor (N, C, S...)."""
    rank = 2 + len(step)
    part = Slice(begin=(None,) * rank, end=(None,) * rank, step=(1, 1, *step))
    return Entry(Node(part, f"{reader.name}_addend", (entry,), origin=reader.origin), 0)

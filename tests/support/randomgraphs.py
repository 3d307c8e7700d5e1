"""Hypothesis strategies for random graphs over the operators.

The graphs have what makes plans hard: values read several times, also by one operator, variables and computed
values as weights, weights that layers share, views of values and of variables, operators in place, several
outputs of one node, and any of these as heads.
"""

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from interpreter import complete_by_rule

import netdef as mx
from netdef.graph.node import Entry, topological

BATCH = 4
MATRIX, IMAGES = (BATCH, 3), (BATCH, 2, 6, 6)

BINARY = ("elemwise_add", "elemwise_sub", "elemwise_mul", "_maximum", "_minimum")
SCALAR = ("_plus_scalar", "_minus_scalar", "_rminus_scalar", "_mul_scalar", "_div_scalar")
ACTIVATIONS = ("relu", "sigmoid", "tanh", "softrelu", "softsign")


class Graph(NamedTuple):
    """A random symbol, and the facts that its making leaves behind.

    `shapes` holds the shape of every entry, `inputs` the names of the variables from which all other shapes
    follow, `labels` the number of classes of each variable that holds class numbers.
    """

    symbol: mx.sym.Symbol
    shapes: dict[Entry, tuple[int, ...]]
    inputs: list[str]
    labels: dict[str, int]

    def variable_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of arguments and states by name."""
        arguments, states = self.symbol.variables()
        return {node.name: self.shapes[Entry(node, 0)] for node in (*arguments, *states)}

    def arrays(self, random: np.random.Generator) -> tuple[dict[str, Any], dict[str, Any]]:
        """Random float64 arguments and states: labels are class numbers, states positive."""
        arguments, states = {}, {}
        shapes = self.variable_shapes()
        for name in self.symbol.list_arguments():
            if name in self.labels:
                arguments[name] = random.integers(0, self.labels[name], shapes[name]).astype("float64")
            else:
                arguments[name] = random.standard_normal(shapes[name])
        for name in self.symbol.list_auxiliary_states():
            states[name] = random.random(shapes[name]) + 0.5
        return arguments, states

    def __repr__(self) -> str:
        """The operators in their order, for Hypothesis's reports."""
        lines = []
        for node in topological(self.symbol.heads):
            if not node.is_variable:
                lines.append(f"{node.name} = {node.op!r} of {', '.join(entry.name for entry in node.inputs)}")
        return "\n".join(["", *lines, f"heads {', '.join(self.symbol.list_outputs())}"])


class _Making:
    """A graph while it is made: what can be read so far."""

    def __init__(self, draw):
        self.draw = draw
        self.shapes, self.inputs, self.labels = {}, [], {}
        self.values = []
        for shape in (MATRIX, IMAGES):
            self.variable(shape)

    def choose(self, *items):
        """One of the items."""
        return self.draw(st.sampled_from(items))

    def shape(self, value):
        """The shape of a value."""
        return self.shapes[value.heads[0]]

    def variable(self, shape):
        """A new variable of this shape."""
        value = mx.sym.Variable(f"x{len(self.inputs)}")
        self.inputs.append(value.name)
        self.shapes[value.heads[0]] = shape
        self.values.append(value)
        return value

    def value(self, shape=None):
        """A value that exists, of this shape if one is given, or a new variable; recent ones more often."""
        values = [value for value in self.values if shape in (None, self.shape(value))]
        if not values or (shape is not None and self.draw(st.integers(0, 5)) == 5):
            return self.variable(shape)
        return self.choose(*(values[-4:] if self.draw(st.integers(0, 2)) else values))

    def like(self, value):
        """A value of the same shape, often the same value."""
        return self.value(self.shape(value))

    def add(self, operator, *inputs, **attributes):
        """A new node; its visible outputs can be read from now on."""
        made = getattr(mx.sym, operator)(*inputs, name=f"n{len(self.shapes)}", **attributes)
        complete_by_rule(made.heads[0].node, self.shapes)
        self.values.extend(made)
        return made

    def positive(self, value):
        """1 + value^2, which can be divided by."""
        return self.add("_plus_scalar", self.add("elemwise_mul", value, value), scalar=1.0)

    def weight(self, shape):
        """A weight for a layer: another layer's, a computed value, or the memory of one of another shape."""
        if self.draw(st.integers(0, 3)):
            return self.value(shape)
        made = mx.sym.Reinterpret(self.value(shape[::-1]), name=f"n{len(self.shapes)}")
        self.shapes[made.heads[0]] = shape  # an operator whose output is as large as its reader needs
        return made

    def label(self, data, classes):
        """Class numbers for a matrix of predictions."""
        label = mx.sym.Variable(f"label{len(self.labels)}")
        self.labels[label.name] = classes
        self.inputs.append(label.name)
        self.shapes[label.heads[0]] = self.shape(data)[:1]
        return label


def _binary(graph, x):
    graph.add(graph.choose(*BINARY), x, graph.like(x))


def _quotient(graph, x):
    graph.add("elemwise_div", x, graph.positive(graph.like(x)))


def _scalar(graph, x):
    graph.add(graph.choose(*SCALAR), x, scalar=1.5)


def _reciprocal(graph, x):
    graph.add("_rdiv_scalar", graph.positive(x), scalar=1.5)


def _sum(graph, x):
    terms = [x, *(graph.like(x) for _ in range(graph.choose(0, 1, 2)))]
    weights = graph.choose((), (1, -1, 0.5), (-2, 1, 1))
    graph.add("ElementWiseSum", *terms, coeff=weights[: len(terms)])


def _identity(graph, x):
    graph.add(graph.choose("_copy", "BlockGrad"), x)


def _flatten(graph, x):
    graph.add("Flatten", x)


def _concat(graph, x):
    graph.add("Concat", *(x, graph.like(x))[: graph.choose(1, 2)], dim=graph.choose(0, 1))


def _activation(graph, x):
    graph.add("Activation", x, act_type=graph.choose(*ACTIVATIONS))


def _leaky(graph, x):
    graph.add("LeakyReLU", x, act_type=graph.choose("leaky", "elu"), slope=0.25)


def _softmax(graph, x):
    graph.add("softmax", x, axis=graph.choose(-1, 0))


def _dropout(graph, x):
    graph.add("Dropout", x, p=graph.choose(0, 0.5), mode=graph.choose("training", "always"))


def _batch_norm(graph, x):
    flags = ("fix_gamma", "output_mean_var", "use_global_stats")
    graph.add("BatchNorm", x, **{flag: graph.draw(st.booleans()) for flag in flags})


def _scale(graph, x):
    graph.add("Scale", x, bias_term=graph.draw(st.booleans()))


def _dense(graph, x):
    weight = graph.weight((3, int(np.prod(graph.shape(x)[1:]))))
    graph.add("FullyConnected", x, weight=weight, num_hidden=3, no_bias=graph.draw(st.booleans()))


def _softmax_output(graph, x):
    label = graph.label(x, graph.shape(x)[1])
    graph.add("SoftmaxOutput", x, label, out_grad=graph.draw(st.booleans()))


def _softmax_loss(graph, x):
    label = graph.label(x, graph.shape(x)[1])
    graph.add("SoftmaxWithLoss", x, label, output_prob=graph.draw(st.booleans()))


def _lrn(graph, x):
    graph.add("LRN", x, nsize=3, norm_region=graph.choose("ACROSS_CHANNELS", "WITHIN_CHANNEL"))


def _pooling(graph, x):
    stride = graph.choose(1, 2)
    graph.add("Pooling", x, kernel=(2, 2), stride=(stride, stride), pool_type=graph.choose("max", "avg"))


def _convolution(graph, x):
    graph.add("Convolution", x, kernel=(3, 3), pad=(1, 1), num_filter=2, no_bias=graph.draw(st.booleans()))


#: the operators that take data of any shape, of at least two axes, of two axes, and images; some stand twice,
#: to be drawn more often
ANY = (_binary, _binary, _quotient, _scalar, _reciprocal, _sum, _identity, _activation, _leaky, _dropout)
WITH_AXES = (*ANY, _flatten, _flatten, _concat, _softmax, _batch_norm, _scale, _dense, _dense)
MATRICES = (*WITH_AXES, _softmax_output, _softmax_loss)
PICTURES = (*WITH_AXES, *(_lrn, _pooling, _convolution) * 2)


def _steps(shape):
    """The operators that take data of this shape."""
    if len(shape) < 2:
        return ANY
    if len(shape) == 2:
        return MATRICES
    return PICTURES if min(shape[2:]) >= 2 else WITH_AXES


@st.composite
def graphs(draw, least=5, most=16):
    """Graphs with one to four heads, which may be one entry twice; the last value is one of them."""
    graph = _Making(draw)
    for _ in range(draw(st.integers(least, most))):
        value = graph.value()
        draw(st.sampled_from(_steps(graph.shape(value))))(graph, value)
    others = [graph.value() for _ in range(draw(st.integers(0, 3)))]
    symbol = mx.sym.Group(draw(st.permutations([graph.values[-1], *others])))
    used = {node for part in symbol.variables() for node in part}
    names = {node.name for node in used}
    return Graph(
        symbol,
        graph.shapes,
        [name for name in graph.inputs if name in names],
        {name: classes for name, classes in graph.labels.items() if name in names},
    )

"""Plans compute what the operators' contract says: random graphs against a slow interpreter."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from interpreter import Interpreter
from randomgraphs import graphs

from netdef.runtime import pieces, shards
from netdef.runtime.context import cpu
from netdef.runtime.executor import Executor
from netdef.runtime.threads import set_threads

FEW = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
MANY = settings(FEW, max_examples=3000)

SEEDS = st.integers(0, 2**32 - 1)
#: passes with gradients (True) and without; the last one is a pass with gradients
PASSES = st.lists(st.booleans(), max_size=2).map(lambda passes: [*passes, True])


def close(found, expected, what):
    """Equal up to the rounding of sums in another order; a shared byte would show in the leading digits."""
    scale = np.max(np.abs(expected), initial=1.0, where=np.isfinite(expected))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * scale, err_msg=what)


def copies(arrays):
    """The arrays of a dict, copied."""
    return {name: array.copy() for name, array in arrays.items()}


class Both:
    """One graph on the planned executor and on the interpreter, each with arrays of its own."""

    def __init__(self, graph, seed, requests, objective=None):
        self.graph, self.requests, self.objective = graph, requests, objective
        self.random = np.random.default_rng(seed)
        self.arguments, self.states = graph.arrays(self.random)
        self.gradients = {
            name: self.random.standard_normal(self.arguments[name].shape)
            for name, request in requests.items()
            if request != "null"
        }
        self.first_arguments, self.expected_states = copies(self.arguments), copies(self.states)
        self.executor = Executor(
            graph.symbol,
            cpu(),
            self.arguments,
            self.gradients,
            requests,
            self.states,
            np.random.default_rng(seed),
            objective,
        )
        self.interpreter = Interpreter(
            graph.symbol,
            graph.shapes,
            {**self.first_arguments, **self.expected_states},
            np.random.default_rng(seed),
        )

    def renew(self):
        """Give all arguments but labels other values."""
        for name, argument in self.arguments.items():
            if name not in self.graph.labels:
                argument[...] = self.random.standard_normal(argument.shape)
                self.first_arguments[name][...] = argument

    def forward(self, train):
        """Compare outputs and states of one pass; the arguments stay as they were."""
        expected = self.interpreter.forward(train)
        outputs = self.executor.forward(train)
        for head, output, right in zip(self.graph.symbol.heads, outputs, expected, strict=True):
            close(output, right, f"output {head.name}")
        self._same_states()
        for name, argument in self.arguments.items():
            np.testing.assert_array_equal(argument, self.first_arguments[name], f"argument {name}")

    def _same_states(self):
        for name, state in self.states.items():
            close(state, self.expected_states[name], f"state {name}")

    def backward(self):
        """Compare gradients and states after a pass forwards; the outputs stay as they were."""
        outputs = [output.copy() for output in self.executor.outputs]
        before = copies(self.gradients)
        if self.objective is None:
            heads = [self.random.standard_normal(output.shape) for output in outputs]
            self.executor.backward(heads)
        else:
            weights = [self.objective.get(number) for number in range(len(outputs))]
            heads = [None if w is None else np.full_like(o, w) for w, o in zip(weights, outputs)]
            self.executor.backward()
        arrived = self.interpreter.backward(heads, self.gradients.keys())
        self._same_states()
        for name, gradient in self.gradients.items():
            expected = np.zeros_like(gradient) if arrived[name] is None else arrived[name]
            if self.requests[name] == "add":
                expected = before[name] + expected
            close(gradient, expected, f"gradient of {name}, {self.requests[name]}")
        for head, output, right in zip(self.graph.symbol.heads, self.executor.outputs, outputs, strict=True):
            np.testing.assert_array_equal(output, right, f"output {head.name} after backward")


def check(data, with_objective):
    """Draw a graph and what to do with it; compare every pass."""
    graph = data.draw(graphs())
    names = graph.symbol.list_arguments()
    request = st.sampled_from(["write", "write", "add", "null"])
    requests = data.draw(st.fixed_dictionaries(dict.fromkeys(names, request)))
    objective = None
    if with_objective:
        numbers = st.integers(0, len(graph.symbol.heads) - 1)
        objective = data.draw(st.dictionaries(numbers, st.sampled_from([1.0, -0.5]), min_size=1))
    with np.errstate(all="ignore"):
        both = Both(graph, data.draw(SEEDS), requests, objective)
        for number, train in enumerate(data.draw(PASSES)):
            if number:
                both.renew()
            both.forward(train)
            if train:
                both.backward()


@FEW
@given(st.data())
def test_a_plan_computes_what_the_operators_say(data):
    """Outputs, states and gradients of any graph, in both modes, whatever shares memory."""
    check(data, with_objective=False)


@FEW
@given(st.data())
def test_an_objective_weights_its_heads(data):
    """With an objective the gradients are those of the weighted sum of its heads, and of no other head."""
    check(data, with_objective=True)


@FEW
@given(st.data())
def test_pieces_on_threads_compute_what_the_operators_say(data):
    """The same with every step in pieces, on more threads than there are pieces of work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "SEVERAL", 1e-15)
        patch.setattr(pieces, "WAKE", 0.0)
        set_threads(3)
        try:
            check(data, with_objective=data.draw(st.booleans()))
        finally:
            set_threads(1)


@FEW
@given(st.data())
def test_shards_on_threads_compute_what_the_operators_say(data):
    """The same with every batch of two and more in shards, each with memory and threads of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SHORTEST", 1e-15)
        patch.setattr(shards, "FEWEST", ((1, 0.0),))
        patch.setattr(shards, "RUN", 0.0)
        set_threads(3)
        try:
            check(data, with_objective=data.draw(st.booleans()))
        finally:
            set_threads(1)


@pytest.mark.slow
@MANY
@given(st.data())
def test_many_plans_compute_what_the_operators_say(data):
    """The same for many more graphs."""
    check(data, with_objective=data.draw(st.booleans()))

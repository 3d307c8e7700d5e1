"""Executors: a plan bound to arrays."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from netdef.diag import MXNetError
from netdef.graph.node import Entry, Node, topological
from netdef.graph.symbol import Symbol
from netdef.ops.backward import Backward
from netdef.ops.base import Op
from netdef.ops.shapes import complete, show
from netdef.passes.gradient import differentiate, forward_only
from netdef.passes.infer import Failure, infer_shapes, infer_types, node_shapes, node_types, unfit
from netdef.passes.trail import explain
from netdef.runtime import threads
from netdef.runtime.bind import Binder, Bound, Pool, Watched
from netdef.runtime.context import Context
from netdef.runtime.kernels import run
from netdef.runtime.plan import GRADIENT, VALUE, Plan
from netdef.runtime.planner import make_plan


class Executor:
    """Runs a symbol on arrays of the caller.

    `arguments`, `gradients` and `states` hold arrays by variable name; the executor reads and writes them in
    place and never replaces them.  `requests` says for each argument what happens to its gradient: write, add
    or null. Two plans are made on demand: one for passes with gradients (`train=True`), one for passes
    without. `objective` numbers the heads whose weighted sum the gradients are of, with the weights; without
    it `backward` takes a gradient for every head.  A `repeatable` executor keeps what `backward` reads, so
    that it may be called again.  With a `pool`, it shares memory with others: outputs hold until one of them
    runs.  `conv_algo` names an algorithm for the convolutions, as `make_plan` takes it.  `constants` names
    arguments whose arrays stay the same until `renew` is called.

    Raises `MXNetError` where an array is missing or does not fit.
    """

    def __init__(
        self,
        symbol: Symbol,
        context: Context,
        arguments: Mapping[str, Any],
        gradients: Mapping[str, Any] | None = None,
        requests: Mapping[str, str] | None = None,
        states: Mapping[str, Any] | None = None,
        random: Any = None,
        objective: Mapping[int, float] | None = None,
        repeatable: bool = False,
        pool: Pool | None = None,
        conv_algo: str = "",
        constants: Collection[str] = (),
    ) -> None:
        self.constants = constants
        self.objective, self.repeatable, self.pool = objective, repeatable, pool
        self.conv_algo = conv_algo
        self.symbol, self.context, self.xp = symbol, context, context.xp
        self.arguments, self.gradients = dict(arguments), dict(gradients or {})
        self.states = dict(states or {})
        self.requests = dict(requests or {})
        self.random = self.xp.random.default_rng(0) if random is None else random
        self._argument_nodes, self._state_nodes = symbol.variables()
        self._is_gradient = any(isinstance(node.op, Backward) for node in topological(symbol.heads))
        self._require(self._argument_nodes, self.arguments, "argument")
        self._require(self._state_nodes, self.states, "auxiliary state")
        self._require_fitting_gradients()
        given = {**self.arguments, **self.states}
        self._shapes = self._infer(infer_shapes, {name: tuple(array.shape) for name, array in given.items()})
        self._refuse(unfit(topological(symbol.heads), self._shapes), self._shapes)
        self._dtypes = self._infer(infer_types, {name: array.dtype.name for name, array in given.items()})
        self._instances = self._instantiate()
        self._bound: dict[bool, Bound] = {}
        #: which plans have what they make of constants
        self._prepared: set[bool] = set()
        self._last: Bound | None = None
        self._ready_for_backward = False

    # -- use --

    def forward(self, train: bool = False, **inputs: Any) -> list[Any]:
        """Copy `inputs` into the arguments of these names, run the forward pass, return the outputs.

        The outputs are the executor's own arrays, overwritten by the next pass.
        """
        self.copy_in(inputs)
        bound = self.bound(train)
        self._ready_for_backward = False
        run(self.xp, bound.forward)
        self._last, self._ready_for_backward = bound, train
        return bound.outputs

    def backward(self, head_gradients: Sequence[Any] | None = None) -> None:
        """Run the backward pass after `forward(train=True)`: once, or as often as wanted if `repeatable`.

        `head_gradients` holds one array for each output; without it the gradients that arrive are the weights
        of the objective.  Where nobody wants a gradient nothing happens.  Raises `MXNetError` where an output
        that is no loss lacks a gradient.
        """
        bound = self._begin_backward(head_gradients)
        if bound is not None:
            run(self.xp, bound.backward)

    def copy_in(self, inputs: Mapping[str, Any]) -> None:
        """Copy arrays into the arguments of these names; raises `TypeError` or `ValueError`, before any."""
        fitting = {}
        for name, value in inputs.items():
            if name not in self.arguments:
                raise TypeError(f"there is no argument {name}; there are {', '.join(self.arguments)}")
            fitting[name] = self._fitting(value, self.arguments[name], name)
        for name, value in fitting.items():
            self.arguments[name][...] = value

    def step_forward(self, train: bool, step: int) -> int:
        """Run one step of the forward pass; returns how many are left after it."""
        bound = self.bound(train)
        count = bound.plan.boundary
        if not 0 <= step < max(count, 1):
            raise MXNetError(f"there is no step {step}; the forward pass has {count}")
        if count:
            run(self.xp, [bound.steps[step]])
        left = max(count - step - 1, 0)
        if not left:
            self._last, self._ready_for_backward = bound, train
        return left

    def _begin_backward(self, head_gradients: Sequence[Any] | None) -> Bound | None:
        """The plan to run, with the gradients that arrive in place; None where there is nothing to do."""
        if all(request == "null" for request in self.requests.values()):
            return None
        if self._is_gradient:
            raise MXNetError("the graph computes gradients; there are no gradients of these")
        if not self._ready_for_backward or self._last is None:
            each = "" if self.repeatable else ", each time anew"
            raise MXNetError(f"backward needs forward(is_train=True) before it{each}")
        bound = self._last
        if head_gradients is not None and len(head_gradients) != len(bound.head_gradients):
            counts = f"backward: {len(head_gradients)} head gradients for {len(bound.head_gradients)} outputs"
            raise MXNetError(f"{counts}: give one for each of {', '.join(self.symbol.list_outputs())}")
        for i, target in enumerate(bound.head_gradients):
            if target is None or self.objective is not None:
                continue
            name = self.symbol.list_outputs()[i]
            if head_gradients is None or head_gradients[i] is None:
                shape = show(target.shape)
                raise MXNetError(f"{name} is no loss: give backward a gradient of the shape {shape} for it")
            target[...] = self._fitting(head_gradients[i], target, name)
        self._ready_for_backward = self.repeatable
        return bound

    def watch(self, train: bool = False) -> Iterator[Watched]:
        """Run the forward pass one step at a time; yields each node with its outputs by the operator's names.

        The arrays hold these values only until the next step, which may use their memory for its own.
        """
        bound = self.bound(train)
        self._ready_for_backward = False
        views = list(bound.views)
        for number, call in enumerate(bound.steps[: bound.plan.boundary]):
            while views and views[0][0] <= number:
                yield views.pop(0)[1].watched()
            run(self.xp, [call])
            if (written := bound.written[number]) is not None:
                yield written.watched()
        yield from (written.watched() for _, written in views)
        self._last, self._ready_for_backward = bound, train

    def failing(self, train: bool) -> Node | None:
        """Run the forward pass again to find the node that refuses its values; None where none does."""
        bound = self.bound(train)
        for step, call in zip(bound.plan.steps[: bound.plan.boundary], bound.steps):
            try:
                run(self.xp, [call])
            except (ValueError, IndexError):
                return step.node
        return None

    def watch_backward(self, head_gradients: Sequence[Any] | None = None) -> Iterator[Watched]:
        """`backward` one step at a time; yields each node with the gradients that it wrote, `d<input>`."""
        bound = self._begin_backward(head_gradients)
        if bound is None:
            return
        run(self.xp, bound.before)
        for written, call in zip(bound.written[bound.plan.boundary :], bound.steps[bound.plan.boundary :]):
            run(self.xp, [call])
            if written is not None:
                yield written.watched()
        run(self.xp, bound.after)

    @property
    def outputs(self) -> list[Any]:
        """The outputs of the last pass; before any, those of an inference pass, not yet computed."""
        return (self._last or self.bound(False)).outputs

    def bound(self, train: bool) -> Bound:
        """The plan for passes with or without gradients, bound to arrays on first use."""
        if train not in self._bound or self._bound[train].plan.workers != threads.count():
            self._bound[train] = self._bind(self.plan(train))
            self._prepared.discard(train)
        bound = self._bound[train]
        if train not in self._prepared:
            run(self.xp, bound.prepare)
            self._prepared.add(train)
        return bound

    def renew(self) -> None:
        """Take over constants that have changed, with the next pass."""
        self._prepared.clear()

    def plan(self, train: bool) -> Plan:
        """What `forward(train)` and, with gradients, `backward` would run."""
        wanted = {node for node in self._argument_nodes if self.requests.get(node.name, "null") != "null"}
        joint = (
            differentiate(self.symbol.heads, wanted, self.objective)
            if train and not self._is_gradient
            else forward_only(self.symbol.heads)
        )
        requests = {node: self.requests[node.name] for node in wanted}
        how = train, self.repeatable, self.conv_algo, threads.count()
        return make_plan(joint, self._shapes, self._dtypes, requests, *how, self.constants)

    # -- binding --

    def _bind(self, plan: Plan) -> Bound:
        external = {VALUE: {**self.arguments, **self.states}, GRADIENT: self.gradients}
        pool = self.pool or Pool()
        bound = Binder(self.xp, plan, external, self.random, self._instances, pool).bind()
        for number, weight in (self.objective or {}).items():
            if (target := bound.head_gradients[number]) is not None:
                target[...] = weight
        return bound

    def _instantiate(self) -> dict[Node, Op]:
        """The operators that are this executor's own, by node."""
        instances = {}
        for node in topological(self.symbol.heads):
            if isinstance(node.op, Op):
                shapes, dtypes = node_shapes(node, self._shapes), node_types(node, self._dtypes)
                op = node.op.instance(self.context, shapes, dtypes)
                if op is not node.op:
                    instances[node] = op
        return instances

    def _require(self, nodes: Sequence[Node], arrays: Mapping[str, Any], what: str) -> None:
        missing = [node.name for node in nodes if node.name not in arrays]
        if missing:
            raise MXNetError(f"there is no array for {what} {', '.join(missing)}")

    def _require_fitting_gradients(self) -> None:
        for name, gradient in self.gradients.items():
            if name in self.arguments and gradient.shape != self.arguments[name].shape:
                shapes = f"{show(gradient.shape)}, but the argument {show(self.arguments[name].shape)}"
                raise MXNetError(f"the gradient array of {name} has shape {shapes}")

    def _infer(self, infer: Callable[..., Any], given: Mapping[str, Any]) -> dict[Entry, Any]:
        known, failures = infer(self.symbol.heads, given)
        self._refuse(failures, known)
        unknown = [entry.name for entry, fact in known.items() if not _settled(fact)]
        if unknown:
            raise MXNetError(f"the shapes or dtypes of {', '.join(unknown)} do not follow from the arrays")
        facts: dict[Entry, Any] = known
        return facts

    @staticmethod
    def _refuse(failures: Sequence[Failure], known: dict[Entry, Any]) -> None:
        if failures:
            raise MXNetError("\n".join(explain(failure, known) for failure in failures))

    def _fitting(self, value: Any, target: Any, name: str) -> Any:
        value = self.xp.asarray(value)
        if value.shape != target.shape:
            raise ValueError(f"{name} has shape {show(target.shape)}, not {show(value.shape)}")
        return value


def _settled(fact: Any) -> bool:
    """Whether a dtype is known, or every size of a shape."""
    return isinstance(fact, str) or complete(fact)

"""Executors: a plan bound to arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple

from netdef.diag import MXNetError
from netdef.graph.node import Entry, Node, topological
from netdef.graph.symbol import Symbol
from netdef.ops.base import kernel_arguments, parameters
from netdef.ops.shapes import complete, show
from netdef.passes.gradient import differentiate, forward_only
from netdef.passes.infer import Failure, infer_shapes, infer_types, unfit
from netdef.passes.trail import explain
from netdef.runtime.context import Context
from netdef.runtime.plan import GRADIENT, HEAD_GRADIENT, VALUE, Plan, Tensor, make_plan

Call = tuple[Callable[..., Any], Sequence[Any]]


class Bound(NamedTuple):
    """A plan with its arrays: kernel calls whose arguments are fixed."""

    plan: Plan
    forward: list[Call]
    backward: list[Call]
    outputs: list[Any]
    head_gradients: list[Any]


class Executor:
    """Runs a symbol on arrays of the caller.

    `arguments`, `gradients` and `states` hold arrays by variable name; the executor reads and writes them in
    place and never replaces them.  `requests` says for each argument what happens to its gradient: write, add
    or null. Two plans are made on demand: one for passes with gradients (`train=True`), one for passes
    without. `objective` numbers the heads whose weighted sum the gradients are of, with the weights; without
    it `backward` takes a gradient for every head.

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
    ) -> None:
        self.objective = objective
        self.symbol, self.context, self.xp = symbol, context, context.xp
        self.arguments, self.gradients = dict(arguments), dict(gradients or {})
        self.states = dict(states or {})
        self.requests = dict(requests or {})
        #: CuPy has no such guard because it does not warn
        self._quiet = partial(self.xp.errstate, all="ignore") if hasattr(self.xp, "errstate") else nullcontext
        self.random = self.xp.random.default_rng(0) if random is None else random
        self._argument_nodes, self._state_nodes = symbol.variables()
        self._require(self._argument_nodes, self.arguments, "argument")
        self._require(self._state_nodes, self.states, "auxiliary state")
        self._require_fitting_gradients()
        given = {**self.arguments, **self.states}
        self._shapes = self._infer(infer_shapes, {name: tuple(array.shape) for name, array in given.items()})
        self._refuse(unfit(topological(symbol.heads), self._shapes), self._shapes)
        self._dtypes = self._infer(infer_types, {name: array.dtype.name for name, array in given.items()})
        self._bound: dict[bool, Bound] = {}
        self._last: Bound | None = None
        self._ready_for_backward = False

    # -- use --

    def forward(self, train: bool = False, **inputs: Any) -> list[Any]:
        """Copy `inputs` into the arguments of these names, run the forward pass, return the outputs.

        The outputs are the executor's own arrays, overwritten by the next pass.
        """
        for name, value in inputs.items():
            self._copy_in(name, value)
        bound = self.bound(train)
        self._run(bound.forward)
        self._last, self._ready_for_backward = bound, train
        return bound.outputs

    def backward(self, head_gradients: Sequence[Any] | None = None) -> None:
        """Run the backward pass, once after each `forward(train=True)`, whose memory it uses up.

        `head_gradients` holds one array for each output; without it the gradients that arrive are the weights
        of the objective, or one where the executor has none.  Raises `MXNetError` where an output needs a
        gradient and is not a scalar.
        """
        if not self._ready_for_backward or self._last is None:
            raise MXNetError("backward needs forward(is_train=True) before it, each time anew")
        bound = self._last
        if head_gradients is not None and len(head_gradients) != len(bound.head_gradients):
            counts = f"{len(head_gradients)} head gradients for {len(bound.head_gradients)} outputs"
            raise MXNetError(f"{counts}: give one for each of {', '.join(self.symbol.list_outputs())}")
        for i, target in enumerate(bound.head_gradients):
            if target is None or self.objective is not None:
                continue
            if head_gradients is not None:
                target[...] = self._fitting(head_gradients[i], target, self.symbol.list_outputs()[i])
            elif target.size != 1:
                name = self.symbol.list_outputs()[i]
                raise MXNetError(
                    f"{name} is no loss: give backward a gradient of shape {target.shape} for it"
                )
            else:
                target[...] = 1
        self._ready_for_backward = False
        self._run(bound.backward)

    def watch(self, train: bool = False) -> Iterator[tuple[Node, dict[str, Any]]]:
        """Run the forward pass one step at a time; yields each node with its outputs by the operator's names.

        The arrays hold these values only until the next step, which may use their memory for its own.
        """
        bound = self.bound(train)
        for step, (kernel, arguments) in zip(bound.plan.steps, bound.forward):
            self._run([(kernel, arguments)])
            named = dict(zip(parameters(kernel), arguments))
            yield (
                step.node,
                {name: named[name] for name in step.node.write_names() if named.get(name) is not None},
            )

    @property
    def outputs(self) -> list[Any]:
        """The outputs of the last pass; before any, those of an inference pass, not yet computed."""
        return (self._last or self.bound(False)).outputs

    def bound(self, train: bool) -> Bound:
        """The plan for passes with or without gradients, bound to arrays on first use."""
        if train not in self._bound:
            self._bound[train] = self._bind(self.plan(train))
        return self._bound[train]

    def plan(self, train: bool) -> Plan:
        """What `forward(train)` and, with gradients, `backward` would run."""
        wanted = {node for node in self._argument_nodes if self.requests.get(node.name, "null") != "null"}
        joint = (
            differentiate(self.symbol.heads, wanted, self.objective)
            if train
            else forward_only(self.symbol.heads)
        )
        requests = {node: self.requests[node.name] for node in wanted}
        return make_plan(joint, self._shapes, self._dtypes, requests, train)

    def _run(self, calls: Sequence[Call]) -> None:
        """Call kernels; infinity and NaN are results, of which none is warned about.

        One guard around all of them costs a microsecond; in the kernels there would be hundreds.
        """
        with self._quiet():
            for kernel, arguments in calls:
                kernel(*arguments)

    # -- binding --

    def _bind(self, plan: Plan) -> Bound:
        xp = self.xp
        arena = aligned_empty(xp, plan.arena_bytes)
        heads = [t for t in plan.head_gradients if t is not None]
        external = {
            VALUE: {**self.arguments, **self.states},
            GRADIENT: self.gradients,
            HEAD_GRADIENT: {t.name: xp.zeros(t.shape, t.dtype) for t in heads},
        }

        def array(tensor: Tensor) -> Any:
            if tensor.external:
                whole = external[tensor.offset][tensor.name]
                shaped = whole.reshape(tensor.shape)
                if not xp.may_share_memory(whole, shaped) and whole.size:
                    raise MXNetError(f"the array of {tensor.name} must be contiguous")
                return shaped
            part = arena[tensor.offset : tensor.offset + tensor.bytes]
            return part.view(tensor.dtype).reshape(tensor.shape)

        head_gradients = [None if t is None else array(t) for t in plan.head_gradients]
        for number, weight in (self.objective or {}).items():
            if (target := head_gradients[number]) is not None:
                target[...] = weight
        injected = {"xp": xp, "train": plan.train, "random": self.random}
        calls: list[Call] = []
        for step in plan.steps:
            kernel = step.op.backward if step.backward else step.op.forward
            arrays = {name: array(tensor) for name, tensor in step.tensors.items()}
            calls.append((kernel, kernel_arguments(step.op, kernel, arrays, injected)))
        backward: list[Call] = [(array(tensor).fill, (0,)) for tensor in plan.cleared]
        backward += calls[plan.boundary :]
        for part in plan.accumulate:
            source, target = array(part.source), array(part.target)
            backward.append((xp.add, (target, source, target)) if part.add else (xp.copyto, (target, source)))
        outputs = [array(tensor) for tensor in plan.heads]
        return Bound(plan, calls[: plan.boundary], backward, outputs, head_gradients)

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

    def _copy_in(self, name: str, value: Any) -> None:
        if name not in self.arguments:
            raise TypeError(f"there is no argument {name}; there are {', '.join(self.arguments)}")
        target = self.arguments[name]
        target[...] = self._fitting(value, target, name)

    def _fitting(self, value: Any, target: Any, name: str) -> Any:
        value = self.xp.asarray(value)
        if value.shape != target.shape:
            raise ValueError(f"{name} has shape {show(target.shape)}, not {show(value.shape)}")
        return value


def _settled(fact: Any) -> bool:
    """Whether a dtype is known, or every size of a shape."""
    return isinstance(fact, str) or complete(fact)


def aligned_empty(xp: Any, size: int, alignment: int = 64) -> Any:
    """Uninitialised bytes from a multiple of `alignment` on, so that vector loads do not straddle lines."""
    block = xp.empty(size + alignment, "uint8")
    start = -block.__array_interface__["data"][0] % alignment if hasattr(block, "__array_interface__") else 0
    return block[start : start + size]

"""Plans bound to arrays: kernel calls whose arguments are fixed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from netdef.diag import MXNetError
from netdef.graph.node import Node
from netdef.ops.base import Op, kernel_arguments
from netdef.runtime.kernels import Call, run_split
from netdef.runtime.pieces import part_of
from netdef.runtime.plan import HEAD_GRADIENT, Plan, Step, Tensor

#: a node, and the arrays that its kernel wrote by the operator's names
Watched = tuple[Node, dict[str, Any]]


class Pool:
    """Memory for values in between, which executors that run by turns may share; it grows as they need."""

    def __init__(self) -> None:
        self._block: Any = None

    def take(self, xp: Any, size: int) -> Any:
        """At least `size` bytes: the ones that others use as well, unless these are too few."""
        if self._block is None or self._block.size < size:
            self._block = aligned_empty(xp, size)
        return self._block


class Bound(NamedTuple):
    """A plan with its arrays: kernel calls whose arguments are fixed."""

    plan: Plan
    forward: list[Call]
    backward: list[Call]
    #: what each step writes
    written: list[Watched]
    #: how many forward calls come before a view, and the view
    views: list[tuple[int, Watched]]
    outputs: list[Any]
    head_gradients: list[Any]


class Binder:
    """Makes the calls of a plan.

    `external` holds the caller's arrays by what stands for their offset and by name, `random` is the
    generator of kernels, `instances` the operators that are the executor's own.
    """

    def __init__(
        self,
        xp: Any,
        plan: Plan,
        external: Mapping[int, Mapping[str, Any]],
        random: Any,
        instances: Mapping[Node, Op],
        pool: Pool,
    ) -> None:
        self._xp, self._plan, self._instances = xp, plan, instances
        self._arena = pool.take(xp, plan.arena_bytes)
        heads = [t for t in plan.head_gradients if t is not None]
        self._external = {**external, HEAD_GRADIENT: {t.name: xp.zeros(t.shape, t.dtype) for t in heads}}
        self._injected = {"xp": xp, "train": plan.train, "random": random}

    def bind(self) -> Bound:
        """Raises `MXNetError` for an array of the caller's that does not lie in one piece."""
        xp, plan = self._xp, self._plan
        head_gradients = [None if t is None else self._array(t) for t in plan.head_gradients]
        arrays = [{name: self._array(t) for name, t in step.tensors.items()} for step in plan.steps]
        calls = [self._call(step, own) for step, own in zip(plan.steps, arrays)]
        written = [
            (step.node, {name: own[name] for name in step.node.write_names() if name in own})
            for step, own in zip(plan.steps, arrays)
        ]
        backward: list[Call] = [(self._array(tensor).fill, (0,)) for tensor in plan.cleared]
        backward += calls[plan.boundary :]
        for part in plan.accumulate:
            source, target = self._array(part.source), self._array(part.target)
            backward.append((xp.add, (target, source, target)) if part.add else (xp.copyto, (target, source)))
        views = [(view.after, (view.node, {view.name: self._array(view.tensor)})) for view in plan.views]
        outputs = [self._array(tensor) for tensor in plan.heads]
        return Bound(plan, calls[: plan.boundary], backward, written, views, outputs, head_gradients)

    def _array(self, tensor: Tensor) -> Any:
        if tensor.external:
            whole = self._external[tensor.offset][tensor.name]
            shaped = whole.reshape(tensor.shape)
            if not self._xp.may_share_memory(whole, shaped) and whole.size:
                raise MXNetError(f"the array of {tensor.name} must be contiguous")
            return shaped
        part = self._arena[tensor.offset : tensor.offset + tensor.bytes]
        return part.view(tensor.dtype).reshape(tensor.shape)

    def _call(self, step: Step, arrays: dict[str, Any]) -> Call:
        """The call of a step's kernel, or of its pieces and then of the sums of their shares."""
        op = self._instances.get(step.node.forward or step.node, step.op)
        kernel = op.backward if step.backward else op.forward
        if not step.pieces:
            return kernel, kernel_arguments(op, kernel, arrays, self._injected, step.added)
        pieces: list[Call] = []
        sums: list[Call] = []
        for piece, tensors in step.pieces:
            own = {name: self._array(tensor) for name, tensor in tensors.items()}
            shares = [name for name in piece.shares if name in own]
            sums += ((self._xp.add, (arrays[name], own[name], arrays[name])) for name in shares)
            seen = {**part_of(piece, arrays), **own}
            pieces.append((kernel, kernel_arguments(op, kernel, seen, self._injected, step.added)))
        return run_split, (self._xp, pieces, sums)


def aligned_empty(xp: Any, size: int, alignment: int = 64) -> Any:
    """Uninitialised bytes from a multiple of `alignment` on, so that vector loads do not straddle lines."""
    block = xp.empty(size + alignment, "uint8")
    start = -block.__array_interface__["data"][0] % alignment if hasattr(block, "__array_interface__") else 0
    return block[start : start + size]

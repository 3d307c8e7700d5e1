"""Plans: what runs, in which order, on which memory.

A plan is decided before anything runs and holds no arrays: a flat list of steps whose tensors are either
external (arguments, states, gradients, heads' gradients: arrays of the caller) or a place in one arena.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from netdef.graph.node import Node
from netdef.ops.backward import Backward
from netdef.ops.base import Op
from netdef.ops.orders import Order
from netdef.ops.shapes import Full
from netdef.runtime.pieces import Piece

#: what stands for the offset of an array that is not in the arena: an argument or state, by the name of its
#: variable; the gradient of an argument, likewise; the gradient that arrives at a head, by the head's number
VALUE, GRADIENT, HEAD_GRADIENT = -1, -2, -3

#: bytes of one element of each dtype
ITEM_SIZES = {
    **{
        "bool": 1,
        "int8": 1,
        "uint8": 1,
        "int16": 2,
        "uint16": 2,
        "int32": 4,
        "uint32": 4,
        "int64": 8,
        "uint64": 8,
    },
    **{"float16": 2, "float32": 4, "float64": 8},
}


class Blocks(NamedTuple):
    """How a tensor (N, ...) is stored by shards of the batch, each of them in one piece."""

    #: where each shard begins, and the end of the batch
    ends: tuple[int, ...]
    #: bytes from the place of one shard to that of the next
    distance: int
    order: Order


class Part(NamedTuple):
    """Which part of another tensor one is: from `start` on along an `axis`."""

    #: of the other one
    shape: Full
    axis: int
    start: int


class Room(NamedTuple):
    """The part of the arena that workers have for themselves, one after the other."""

    start: int
    #: bytes of each worker
    bytes: int


class Tensor(NamedTuple):
    """An array of the plan, at an `offset` of the arena or, where that is negative, the caller's."""

    shape: Full
    dtype: str
    offset: int
    name: str
    #: None: in one piece, the first axis first
    blocks: Blocks | None = None
    #: None: of nothing else; otherwise `offset` and `blocks` are those of the other tensor
    part: Part | None = None

    @property
    def external(self) -> bool:
        """Whether the array is the caller's."""
        return self.offset < 0

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * ITEM_SIZES[self.dtype]


class Step(NamedTuple):
    """One kernel call: the tensors under the kernel's parameter names."""

    node: Node
    op: Op
    #: the name of the kernel
    kernel: str
    backward: bool
    tensors: Mapping[str, Tensor]
    #: parameter names that share their memory with another one
    inplace: tuple[tuple[str, str], ...]
    #: parameter names of the gradients that the kernel adds to
    added: frozenset[str]
    flops: int
    #: how the kernel computes what it writes, where there is a choice
    algorithm: str = ""
    #: the calls that it consists of where it is cut, each with the tensors of its own: workspaces, shares
    pieces: tuple[tuple[Piece, Mapping[str, Tensor]], ...] = ()
    #: number of the run whose steps a shard goes through without waiting for the others; 0: none
    run: int = 0
    #: seconds that it is expected to take on one core
    seconds: float = 0.0
    #: whether the node's pass is complete after it
    last: bool = True
    #: the workspaces that the operator's `prepare` fills before all passes
    prepared: tuple[str, ...] = ()


class View(NamedTuple):
    """An operator that runs nothing, since its output is the memory of its input."""

    node: Node
    #: how many steps run before the output holds its values
    after: int
    name: str
    tensor: Tensor


class Accumulate(NamedTuple):
    """A finished gradient that is added or copied to the caller's array, where no kernel could write it."""

    source: Tensor
    target: Tensor
    add: bool


class Plan(NamedTuple):
    """Everything that a pass does.  `steps[:boundary]` is the forward pass, the rest the backward pass."""

    steps: tuple[Step, ...]
    boundary: int
    views: tuple[View, ...]
    heads: tuple[Tensor, ...]
    head_gradients: tuple[Tensor | None, ...]
    accumulate: tuple[Accumulate, ...]
    #: gradients to write that no head depends on: the backward pass sets them to zero
    cleared: tuple[Tensor, ...]
    arena_bytes: int
    #: bytes that the same tensors would take without sharing
    unshared_bytes: int
    train: bool
    #: the end of the arena, where tensors are for the first worker; others have theirs behind it
    room: Room
    #: how many workers the plan has memory for
    workers: int = 1


def kernel_of(node: Node) -> tuple[Op, bool]:
    """The operator of a node, and whether it is its gradient that the node computes."""
    if isinstance(node.op, Backward):
        return node.op.op, True
    assert node.op is not None, "variables run nothing"
    return node.op, False

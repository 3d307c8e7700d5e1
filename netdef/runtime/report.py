"""Plans of built nets, and plans as text."""

from __future__ import annotations

from collections.abc import Collection

from netdef.graph.build import Net
from netdef.graph.node import Entry, topological
from netdef.passes.fuse import fuse
from netdef.passes.gradient import differentiate, forward_only
from netdef.passes.infer import Known, infer_shapes, infer_types
from netdef.passes.inference import for_inference
from netdef.runtime.footprint import Footprint
from netdef.runtime.plan import GRADIENT, HEAD_GRADIENT, VALUE, Plan, Step, Tensor
from netdef.runtime.planner import make_plan


def plan_net(net: Net, shapes: Known, dtype: str = "float32", conv_algo: str = "", workers: int = 1) -> Plan:
    """The plan of a net: a training step in the TRAIN phase, a folded forward pass in the TEST phase.

    `conv_algo` names an algorithm for convolutions, `workers` says how many take shards of the batch.
    """
    heads = net.symbol.heads
    arguments, states = net.symbol.variables()
    dtypes, failures = infer_types(heads, {node.name: dtype for node in [*arguments, *states]})
    assert not failures, "one dtype for all variables always agrees"
    if net.phase != "TRAIN":
        return _plan_folded(net, shapes, dtype, conv_algo, workers)
    wanted = {param.node: "write" for param in net.params().values() if param.lr_mult}
    objective = [loss.head for loss in net.losses]
    fused = fuse(heads, shapes)
    every, _ = infer_shapes(fused, {node.name: shapes[Entry(node, 0)] for node in [*arguments, *states]})
    dtypes, _ = infer_types(fused, {node.name: dtype for node in [*arguments, *states]})
    joint = differentiate(fused, wanted, objective)
    return make_plan(joint, every, dtypes, wanted, train=True, conv_algo=conv_algo, workers=workers)


def _plan_folded(net: Net, shapes: Known, dtype: str, conv_algo: str, workers: int) -> Plan:
    heads = for_inference(net.symbol.heads, shapes, dtype).heads
    variables = [node for node in topological(heads) if node.is_variable]
    given = {node.name: node.shape or shapes[Entry(node, 0)] for node in variables}
    every, _ = infer_shapes(heads, given)
    dtypes, _ = infer_types(heads, {node.name: dtype for node in variables})
    constants = given.keys() - set(net.inputs)
    joint = forward_only(heads)
    return make_plan(joint, every, dtypes, conv_algo=conv_algo, workers=workers, constants=constants)


def describe_plan(plan: Plan) -> str:
    """A plan as text, one line for each step.

    Pass, node, operator, where its results live and how many bytes they have, memory shared in place,
    workspaces, FLOPs, and the algorithm where there is a choice.  Steps that shards of the batch go through
    without waiting for each other stand under the run that they belong to.
    """
    lines = ["forward"]
    for number, step in enumerate(plan.steps):
        before = plan.steps[number - 1].run if number else 0
        if number == plan.boundary:
            lines.append("backward")
            before = 0
        if step.run and step.run != before:
            lines.append(f"  run {step.run}, for each of {len(step.pieces)} shards of the batch")
        elif before and not step.run:
            lines.append("  for the whole batch")
        lines.append(_step(number, step))
    peak = f"peak {_bytes(plan.arena_bytes)} of memory for what lies between"
    lines.append(f"{peak}; without sharing {_bytes(plan.unshared_bytes)}")
    lines.append(f"{sum(step.flops for step in plan.steps):,} FLOPs in {len(plan.steps)} steps")
    return "\n".join(lines)


def describe_footprint(taken: Footprint) -> str:
    """What processes take besides arrays as a line of text."""
    packed, calls, interpreter = map(_bytes, (taken.packed, taken.calls, taken.interpreter))
    each = f"{packed} for what BLAS packs and {calls} for calls in each that computes"
    if taken.processes == 1:
        return f"about {_bytes(taken.bytes)} besides in 1 process: {each}"
    more = f"{interpreter} for pages of the interpreter in each but the first"
    return f"about {_bytes(taken.bytes)} besides in {taken.processes} processes: {each}, {more}"


def _step(number: int, step: Step) -> str:
    results = [_tensor(name, step.tensors[name]) for name in step.node.write_names() if name in step.tensors]
    told = [", ".join(results)] if results else []
    told += [f"{name} over {source}" for source, name in step.inplace]
    if step.pieces and not step.run:
        told.append(f"in {len(step.pieces)} pieces")
    if spaces := _held(step, {*step.op.scratch} - {*step.prepared}):
        told.append(f"workspaces {_bytes(spaces)}")
    if kept := _held(step._replace(pieces=step.pieces[:1]) if step.run else step, {*step.prepared}):
        told.append(f"{_bytes(kept)} prepared")
    if step.flops:
        told.append(f"{step.flops:,} FLOPs")
    told += [step.algorithm] if step.algorithm else []
    part = "" if step.kernel in ("forward", "backward") else f" {step.kernel}"
    return f"{number:4} {step.node.name:24} {type(step.op).__name__ + part:18} {'; '.join(told)}"


def _held(step: Step, spaces: Collection[str]) -> int:
    """The bytes of workspaces of a step, those of all its shards or pieces together."""
    whole = sum(tensor.bytes for name, tensor in step.tensors.items() if name in spaces)
    pieces = (tensor.bytes for _, own in step.pieces for name, tensor in own.items() if name in spaces)
    return whole + sum(pieces)


def _tensor(name: str, tensor: Tensor) -> str:
    shape = "x".join(map(str, tensor.shape)) or "scalar"
    named = {
        VALUE: tensor.name,
        GRADIENT: f"gradient of {tensor.name}",
        HEAD_GRADIENT: f"head gradient {tensor.name}",
    }
    place = named.get(tensor.offset, f"@{tensor.offset}")
    told = [tensor.blocks.order.value] if tensor.blocks and tensor.blocks.order.value else []
    if tensor.part is not None:
        _, axis, start = tensor.part
        told.append(f"{start} to {start + tensor.shape[axis] - 1} along axis {axis} of what is there")
    return ", ".join([f"{name} {shape} {tensor.dtype} {_bytes(tensor.bytes)} {place}", *told])


def _bytes(size: int) -> str:
    if size < 2**10:
        return f"{size} bytes"
    return f"{size / 2**20:.2f} MiB" if size >= 2**20 else f"{size / 2**10:.1f} KiB"

"""Plans of built nets, and plans as text."""

from __future__ import annotations

from netdef.graph.build import Net
from netdef.graph.node import Entry, topological
from netdef.passes.fold import fold
from netdef.passes.gradient import differentiate, forward_only
from netdef.passes.infer import Known, infer_shapes, infer_types
from netdef.runtime.plan import GRADIENT, HEAD_GRADIENT, VALUE, Plan, Step, Tensor
from netdef.runtime.planner import make_plan


def plan_net(net: Net, shapes: Known, dtype: str = "float32", conv_algo: str = "") -> Plan:
    """The plan of a net: a training step in the TRAIN phase, a folded forward pass in the TEST phase.

    `conv_algo` names an algorithm for convolutions.
    """
    heads = net.symbol.heads
    arguments, states = net.symbol.variables()
    dtypes, failures = infer_types(heads, {node.name: dtype for node in [*arguments, *states]})
    assert not failures, "one dtype for all variables always agrees"
    if net.phase != "TRAIN":
        return _plan_folded(net, shapes, dtype, conv_algo)
    wanted = {param.node: "write" for param in net.params().values() if param.lr_mult}
    objective = [loss.head for loss in net.losses]
    joint = differentiate(heads, wanted, objective)
    return make_plan(joint, shapes, dtypes, wanted, train=True, conv_algo=conv_algo)


def _plan_folded(net: Net, shapes: Known, dtype: str, conv_algo: str) -> Plan:
    heads = fold(net.symbol.heads, shapes, dtype).heads
    variables = [node for node in topological(heads) if node.is_variable]
    given = {node.name: node.shape or shapes[Entry(node, 0)] for node in variables}
    every, _ = infer_shapes(heads, given)
    dtypes, _ = infer_types(heads, {node.name: dtype for node in variables})
    return make_plan(forward_only(heads), every, dtypes, conv_algo=conv_algo)


def describe_plan(plan: Plan) -> str:
    """A plan as text, one line for each step.

    Pass, node, operator, where its results live, memory shared in place, into how many pieces threads may
    take it, FLOPs, and the algorithm where there is a choice.
    """
    lines = []
    for number, step in enumerate(plan.steps):
        if number == plan.boundary:
            lines.append("backward")
        lines.append(_step(number, step))
    lines.append(f"arena {_bytes(plan.arena_bytes)}; without sharing {_bytes(plan.unshared_bytes)}")
    lines.append(f"{sum(step.flops for step in plan.steps):,} FLOPs in {len(plan.steps)} steps")
    return "\n".join(["forward", *lines])


def _step(number: int, step: Step) -> str:
    written = [name for name in step.node.write_names() if name in step.tensors]
    results = ", ".join(_tensor(name, step.tensors[name]) for name in written)
    shared = "".join(f", {name} over {source}" for source, name in step.inplace)
    if step.pieces:
        shared += f", in {len(step.pieces)} pieces"
    way = f"; {step.algorithm}" if step.algorithm else ""
    name = type(step.op).__name__
    return f"{number:4} {step.node.name:24} {name:18} {results}{shared}; {step.flops:,} FLOPs{way}"


def _tensor(name: str, tensor: Tensor) -> str:
    shape = "x".join(map(str, tensor.shape)) or "scalar"
    named = {
        VALUE: tensor.name,
        GRADIENT: f"gradient of {tensor.name}",
        HEAD_GRADIENT: f"head gradient {tensor.name}",
    }
    place = named.get(tensor.offset, f"@{tensor.offset}")
    return f"{name} {shape} {tensor.dtype} {place}"


def _bytes(size: int) -> str:
    return f"{size / 2**20:.2f} MiB"

"""The text that `Symbol.debug_str` gives: every node with its inputs and attributes, in MXNet's layout."""

from __future__ import annotations

from collections.abc import Iterator

from netdef.graph.node import Node, topological
from netdef.graph.symbol import Symbol, texts_of
from netdef.ops.base import Op


def debug_text(symbol: Symbol) -> str:
    """One block for each node, inputs first, after the list of outputs."""
    lines = ["Symbol Outputs:"]
    lines += [f"\toutput[{i}]={head.node.name}({head.index})" for i, head in enumerate(symbol.heads)]
    for node in topological(symbol.heads):
        lines += [f"Variable:{node.name}"] if node.is_variable else _operator(node)
    return "\n".join(lines) + "\n"


def _operator(node: Node) -> Iterator[str]:
    assert node.op is not None, "variables are shown otherwise"
    operator = node.op.names[0] if isinstance(node.op, Op) else f"_backward_{node.op.op.names[0]}"
    yield "-" * 20
    yield f"Op:{operator}, Name={node.name}"
    yield "Inputs:"
    for number, entry in enumerate(entry for entry in node.inputs if entry is not None):
        version = " version=0" if entry.node.is_variable else ""
        yield f"\targ[{number}]={entry.node.name}({entry.index}){version}"
    attributes = {**texts_of(node), **node.attributes}
    if attributes:
        yield "Attrs:"
    yield from (f"\t{key}={attributes[key]}" for key in sorted(attributes))

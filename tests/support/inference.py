"""What an operator's rules make of partial shapes."""

from netdef.ops import find
from netdef.ops.shapes import Shapes


def inferred(name, attributes=None, **known):
    """The shapes of an operator's tensors by name once its shape rule has run.

    `known` holds what is known beforehand, `None` standing for a size that is not; other tensors are unknown.
    """
    op = find(name)(**(attributes or {}))
    facts = Shapes({tensor: known.get(tensor) for tensor in (*op.input_names(), *op.output_names())})
    assert set(known) <= set(facts.known), f"{name} has no such tensors"
    op.shape(facts)
    return facts.known

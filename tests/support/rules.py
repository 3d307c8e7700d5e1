"""Inference that is stopped when it does not end by itself."""

from contextlib import contextmanager

import pytest

from netdef.ops.shapes import Shapes

#: a sweep applies the rule of each node at most twice, and nearly all graphs of the tests are done after four
#: sweeps of less than a hundred nodes
MOST_RULES = 5_000


@contextmanager
def inference_must_end():
    """Fail where shape rules are applied without end; counts the facts that are made for them."""
    applied = 0
    make = Shapes.__init__

    def count(self, known):
        nonlocal applied
        applied += 1
        assert applied <= MOST_RULES, "inference does not end"
        make(self, known)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shapes, "__init__", count)
        yield

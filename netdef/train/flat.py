"""Many arrays in one block of memory, so that a few long calls compute on all of them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import numpy as np

from netdef.runtime.memory import LINE, zeros


class Flat:
    """Arrays of zeros by name, one after another in the flat array `whole`.

    Each starts at a cache line; what lies between two of them belongs to nobody.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], dtype: str) -> None:
        self.shapes, self.dtype = dict(shapes), dtype
        line = LINE // np.dtype(dtype).itemsize
        #: where each array stands in `whole`, the room behind it included
        self.spans: dict[str, slice] = {}
        end = 0
        for name, shape in self.shapes.items():
            start, end = end, end + -(-math.prod(shape) // line) * line
            self.spans[name] = slice(start, end)
        self.whole = zeros(np, (end,), dtype)

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays, which are views of `whole`."""
        return {
            name: self.whole[span][: math.prod(self.shapes[name])].reshape(self.shapes[name])
            for name, span in self.spans.items()
        }

    def like(self, names: Collection[str]) -> Flat:
        """Zeros of the same shapes in the same order, for those of these names only."""
        return Flat({name: shape for name, shape in self.shapes.items() if name in names}, self.dtype)

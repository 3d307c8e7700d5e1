"""Tables and fits that several benchmarks share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> list[str]:
    """A Markdown table; the first `words` columns stand left, the others, numbers, right."""
    rule = ["---" if number < words else "---:" for number in range(len(head))]
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]


def fitted_exponent(measured: Mapping[int, float]) -> float:
    """The p of value = c size^p that fits best, by least squares of the logarithms."""
    points = [(math.log(size), math.log(value)) for size, value in measured.items()]
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)

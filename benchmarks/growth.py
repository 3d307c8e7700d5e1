"""How the time of a training step grows with batch, depth and width of a net.

The net is a chain of 3x3 convolutions with ReLUs on 16x16 images; one of the three sizes changes at a time.
Work grows with the batch and the depth, and with the square of the width.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.common import fitted_exponent, markdown
from benchmarks.jobs import TRAIN, Case
from benchmarks.process import Failed, System
from benchmarks.speed import measure


class Sizes(NamedTuple):
    """A net of the family: images in a batch, convolutions, channels."""

    batch: int = 32
    depth: int = 4
    width: int = 32


STEPS = {"batch": (8, 16, 32, 64, 128), "depth": (2, 4, 8, 16), "width": (16, 32, 64, 128)}


def spec(sizes: Sizes) -> str:
    """The net as a spec."""
    lines = [
        "name: growth",
        f"variables: {{batch: {sizes.batch}}}",
        "solver: {base_lr: 0.01, momentum: 0.9, lr_policy: fixed, max_iter: 1000000000}",
        "layer:",
        "- {name: data, type: Input, top: data, input_param: {shape: {dim: ['${batch}', 3, 16, 16]}}}",
        "- {name: label, type: Input, top: label, input_param: {shape: {dim: ['${batch}']}}}",
    ]
    bottom, fill = "data", "weight_filler: {type: msra}"
    for number in range(sizes.depth):
        param = f"convolution_param: {{num_output: {sizes.width}, kernel_size: 3, pad: 1, {fill}}}"
        lines.append(f"- {{name: conv{number}, type: Convolution, bottom: {bottom}, {param}}}")
        lines.append(f"- {{name: relu{number}, type: ReLU, top: conv{number}}}")
        bottom = f"conv{number}"
    param = f"inner_product_param: {{num_output: 10, {fill}}}"
    lines.append(f"- {{name: score, type: InnerProduct, bottom: {bottom}, {param}}}")
    lines.append("- {name: loss, type: SoftmaxWithLoss, bottom: [score, label]}")
    return "\n".join(lines) + "\n"


def seconds_of(sizes: Sizes, system: System, seconds: float, rounds: int) -> float:
    """The median time of a training step; raises `Failed` where there is none."""
    with tempfile.TemporaryDirectory(prefix="netdef-bench-") as folder:
        path = Path(folder, "growth.yaml")
        path.write_text(spec(sizes), encoding="utf-8")
        row = measure(Case(TRAIN, str(path), sizes.batch), [system], seconds, rounds)
    if row.problems:
        raise Failed(f"{sizes}: {row.problems}")
    return statistics.median(row.seconds[system.title])


def run(
    systems: Sequence[System],
    steps: Mapping[str, Sequence[int]] = STEPS,
    seconds: float = 0.3,
    rounds: int = 3,
) -> list[str]:
    """netdef's figures as lines of Markdown."""
    rows = []
    for size, values in steps.items():
        taken = {
            value: seconds_of(Sizes()._replace(**{size: value}), systems[0], seconds, rounds)
            for value in values
        }
        times = ", ".join(f"{value}: {second * 1e3:.1f}" for value, second in taken.items())
        rows.append([size, times, f"{fitted_exponent(taken):.2f}"])
    base = ", ".join(f"{name} {value}" for name, value in Sizes()._asdict().items())
    lines = markdown(["size", "ms of a training step", "exponent"], rows, words=2)
    return [f"The others stay at {base}.", "", *lines]

"""Options that several commands share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, TypeVar

import click

from netdef.diag import UsageError, did_you_mean
from netdef.spec.net import NetState

F = TypeVar("F", bound=Callable[..., Any])

#: those of `netdef.ops.conv_choice`, which takes longer to import than most commands run
CONV_ALGORITHMS = (
    "auto",
    "pointwise",
    "depthwise",
    "im2col",
    "col2im",
    "phases",
    "overlap",
    "rowwise",
    "winograd1d",
    "winograd",
    "im2row",
    "winograd_nhwc",
    "winograd_nhwc64",
    "depthwise_nhwc",
    "direct",
)
SET_HELP = (
    "Set a field, such as layer.conv1.convolution_param.num_output=32 or variables.data=/path; repeatable."
)


def overrides(function: F) -> F:
    """`--set PATH=VALUE`."""
    return click.option("--set", "overrides", metavar="PATH=VALUE", multiple=True, help=SET_HELP)(function)


def conv_algo(function: F) -> F:
    """`--conv-algo`, the algorithm of the convolutions that it can serve."""
    algorithms = click.Choice(CONV_ALGORITHMS)
    told = "Algorithm for the convolutions that it can serve; the others have auto, what costs least."
    return click.option("--conv-algo", type=algorithms, default="auto", show_default=True, help=told)(
        function
    )


def state(default: str) -> Callable[[F], F]:
    """`--phase`, `--level` and `--stage`, which say what include and exclude rules see."""

    def decorate(function: F) -> F:
        function = click.option("--stage", "stages", multiple=True, help="A stage that is set; repeatable.")(
            function
        )
        function = click.option("--level", default=0, show_default=True, help="The level.")(function)
        phases = click.Choice(["TRAIN", "TEST"], case_sensitive=False)
        return click.option("--phase", type=phases, default=default, show_default=True, help="The phase.")(
            function
        )

    return decorate


def threads(function: F) -> F:
    """`--threads N`."""
    told = "How many threads compute; all cores by default. Results are the same with any number."
    return click.option("--threads", metavar="N", type=click.IntRange(min=1), help=told)(function)


def net_state(phase: str, level: int, stages: Sequence[str]) -> NetState:
    """The state that the options ask for."""
    return NetState(phase=phase.upper(), level=level, stage=list(stages))


def input_shapes(options: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """`data=1,1,28,28` options as shapes by blob; raises `UsageError`."""
    shapes = {}
    for option in options:
        blob, equals, text = option.partition("=")
        sizes = text.replace("x", ",").split(",")
        if not equals or not blob or not all(size.strip().isdigit() for size in sizes):
            raise UsageError(f"--input {option}: give a blob and its shape, such as --input data=1,1,28,28")
        shapes[blob] = tuple(int(size) for size in sizes)
    return shapes


def require_known(given: Iterable[str], inputs: Collection[str]) -> None:
    """Raise `UsageError` where `--input` names a blob that does not feed the net."""
    for blob in given:
        if blob not in inputs:
            hint = did_you_mean(blob, inputs)
            raise UsageError(
                f"--input {blob}: no such blob feeds the net in this phase{f'; {hint}' if hint else ''}"
            )


def tell_fillers(*keys: Iterable[str]) -> None:
    """Say which blobs a weight file that was taken in part did not fill."""
    for key in sorted(itertools.chain(*keys)):
        layer, _, number = key.rpartition("/")
        click.echo(f"blob {number} of {layer} is not in the file and keeps its filler", err=True)

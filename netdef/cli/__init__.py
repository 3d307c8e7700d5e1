"""The command line: one file for each command, loaded when it is called."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

import netdef
from netdef.diag import EnvironmentFault, Error, UsageError, did_you_mean

#: command -> (module, function, help line); `--help` is printed from here, without loading any command
COMMANDS: dict[str, tuple[str, str, str]] = {
    "lint": ("netdef.cli.lint", "lint", "Check nets and solvers; silent when all is well."),
    "infer-shape": (
        "netdef.cli.infer_shape",
        "infer_shape",
        "Print the shapes, parameters and work of every layer.",
    ),
    "show": ("netdef.cli.show", "show", "Print a stage on the way from the file to the plan."),
    "train": ("netdef.cli.train", "train", "Train a net with a solver."),
    "test": ("netdef.cli.test", "test", "Evaluate weights on the data of the TEST phase."),
    "predict": (
        "netdef.cli.predict",
        "predict",
        "Compute a trained net's outputs for samples in files.",
    ),
    "check-grad": ("netdef.cli.check_grad", "check_grad", "Compare gradients with finite differences."),
    "time": ("netdef.cli.time", "time", "Measure how long each layer takes, forward and backward."),
    "layers": ("netdef.cli.layers", "layers", "List the layer types, or describe one."),
    "explain": ("netdef.cli.explain", "explain", "Explain a diagnostic code."),
    "schema": ("netdef.cli.schema", "schema", "Print the JSON Schema of nets or solvers."),
}


class Commands(click.Group):
    """The commands of the table, each loaded on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, function, help_line = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), function)
        command.short_help = help_line
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            status = super().invoke(ctx)
            sys.stdout.flush()  # what is held back may be refused, too
            return status
        except BrokenPipeError:
            # The reader of our output has gone, as in `netdef layers | head`: nobody is left to tell, and
            # click's status for it would mean findings here.
            _give_up(sys.stdout)
            raise click.exceptions.Exit(0) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, row[2]) for name, row in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            raise click.UsageError(f"there is no command {name}; {did_you_mean(name, COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(netdef.__version__, prog_name="netdef")
def command() -> None:
    """Neural networks written as data: check, see, train and test them.

    Exit status: 0 fine, 1 findings, 2 wrong usage, 3 a file or the machine refuses, 4 training met a number
    that is not finite; 130 and 143 after Ctrl-C and SIGTERM.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status; every `netdef.Error` becomes a message."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller, as with `>&-`
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  open to the end
    status = _run(arguments)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # has been told; the interpreter would try once more and end with a status of its own
            _give_up(stream)
    sys.exit(status)


def _give_up(stream: Any) -> None:
    """Let what is still to be written to a stream go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _run(arguments: Sequence[str] | None) -> int:
    """The exit status of a command, after what it could not do is told."""
    try:
        status = command.main(args=arguments, prog_name="netdef", standalone_mode=False, color=_colour())
        return int(status or 0)
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted")
        return 130
    except click.ClickException as problem:
        with contextlib.suppress(OSError):
            problem.show()
        return problem.exit_code
    except Error as error:
        _report(error)
        return error.exit_code
    except MemoryError:
        _say("netdef: error: there is not enough memory; make the batch or the layers smaller")
        return EnvironmentFault.exit_code
    except OSError as error:
        _say(f"netdef: error: {error.strerror or error}")
        return EnvironmentFault.exit_code


def _colour() -> bool | None:
    """False where colour is not wanted (https://no-color.org); None leaves it to what the output is."""
    return False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None


def _report(error: Error) -> None:
    if error.diagnostics:
        from netdef.cli.render import Renderer

        renderer = Renderer()
        for diagnostic in error.diagnostics:
            _say(renderer.block(diagnostic))
    else:
        kind = "usage" if isinstance(error, UsageError) else "error"
        _say(f"netdef: {kind}: {error}")


def _say(text: str) -> None:
    """Tell on standard error; where even that is refused, the exit status has to do."""
    with contextlib.suppress(OSError):
        click.echo(text, err=True)

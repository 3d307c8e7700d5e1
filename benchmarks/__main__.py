"""The command line: which benchmarks run, on which systems, and whether the results are kept."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence

from benchmarks import growth, memory, results, speed, startup
from benchmarks.process import Failed, System, find_systems, versions

TITLES = {
    "speed": "Speed",
    "startup": "Start-up and linting",
    "memory": "Memory of a training step",
    "growth": "How time grows",
}


def positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    """A number above 0, for argparse."""

    def read(text: str) -> float:
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    return read


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure netdef beside the peers that are installed.",
        epilog="A peer in another interpreter: --peer mxnet=/path/to/python.  It needs numpy and the peer.",
    )
    made.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TITLES)}; default all")
    made.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON", help="repeatable")
    made.add_argument(
        "--only", action="append", default=[], metavar="WORD", help="speed: a net, or train, infer"
    )
    made.add_argument("--compile", action="store_true", help="speed: torch.compile, too")
    made.add_argument("--threads", type=positive(int), help="speed: how many threads each system may use")
    made.add_argument("--seconds", type=positive(float), default=0.5, help="speed: of each measurement")
    made.add_argument("--rounds", type=positive(int), default=5, help="speed: how often each is measured")
    made.add_argument("--write", action="store_true", help="keep the results in benchmarks/RESULTS.md")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Run benchmarks and print their results."""
    options = parser().parse_args(arguments)
    if unknown := [name for name in options.names if name not in TITLES]:
        parser().error(f"there is no benchmark {unknown[0]}; there are {', '.join(TITLES)}")
    words = {word for case in speed.CASES for word in (case.net, case.task)}
    if unknown := [word for word in options.only if word not in words]:
        parser().error(f"--only {unknown[0]}: no case has it; give {', '.join(sorted(words))}")
    pairs = [text.partition("=") for text in options.peer]
    if wrong := [text for text, (name, _, python) in zip(options.peer, pairs) if not (name and python)]:
        parser().error(f"--peer {wrong[0]}: write NAME=PYTHON")
    try:
        systems = find_systems({name: python for name, _, python in pairs}, options.compile)
    except Failed as problem:
        parser().error(str(problem))
    given = sys.argv[1:] if arguments is None else arguments
    for _, _, python in pairs:
        given = [text.replace(f"={python}", "=PYTHON") for text in given]
    command = shlex.join(["python", "-m", "benchmarks", *given])
    for name in options.names or TITLES:
        lines = [*results.conditions(command, versions(systems)), "", *measured(name, systems, options)]
        print("\n".join([f"## {TITLES[name]}", "", *lines, ""]), flush=True)
        if options.write:
            results.write(TITLES[name], lines)


def measured(name: str, systems: Sequence[System], options: argparse.Namespace) -> list[str]:
    """The lines of one benchmark."""
    if name == "speed":
        return speed.run(
            systems,
            options.only,
            seconds=options.seconds,
            rounds=options.rounds,
            threads=options.threads,
        )
    return {"startup": startup, "memory": memory, "growth": growth}[name].run(systems)


if __name__ == "__main__":
    main()

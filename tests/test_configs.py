"""Every file of configs/ is linted, planned and trained two steps; every command of the README runs."""

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
NETS = [path for path in sorted((ROOT / "configs").rglob("*.yaml")) if "solver" not in path.name]
SOLVERS = [path for path in sorted((ROOT / "configs").rglob("*.yaml")) if "solver" in path.name]
MNIST = ROOT.parent / "shared" / "data" / "mnist"


def netdef(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "netdef", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "110"}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)


def variables(path: Path) -> list[str]:
    """The options that say where MNIST is; skips where it is not there."""
    if "mnist" not in path.parts:
        return []
    if not MNIST.exists():
        pytest.skip("MNIST is not beside the project (../shared/data/mnist)")
    return ["--set", f"variables.mnist={MNIST}"]


def test_every_config_is_clean():
    """`netdef lint configs` is silent."""
    result = netdef("lint", "configs")

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize("path", NETS, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_net_has_shapes_and_a_plan(path):
    """Both phases can be inferred and planned."""
    for phase in ("TRAIN", "TEST"):
        result = netdef("infer-shape", str(path), "--phase", phase, *variables(path))
        assert result.returncode == 0, result.stderr
        result = netdef("show", str(path), "--stage", "plan", "--phase", phase, *variables(path))
        assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("path", SOLVERS, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_solver_trains_two_steps(path, tmp_path):
    """Two iterations, a snapshot and a test of it."""
    data = variables(path)
    result = netdef("train", str(path), "--max-iter", "2", "--run", str(tmp_path / "run"), *data)
    assert result.returncode == 0, result.stderr

    net = re.search(r"^net: (\S+)", path.read_text(), re.MULTILINE)
    assert net
    weights = str(tmp_path / "run" / "last.npz")
    result = netdef("test", str(path.parent / net[1]), "--weights", weights, *data)
    assert result.returncode == 0, result.stderr
    assert "accuracy" in result.stdout


def test_the_transformer_learns_to_reverse(tmp_path):
    """From the command line, in seconds, on rows that it has not seen."""
    result = netdef("train", "configs/transformer/solver.yaml", "--run", str(tmp_path / "run"))

    assert result.returncode == 0, result.stderr
    scores = re.findall(r"^test at iteration 300: accuracy ([0-9.]+), loss", result.stdout, re.MULTILINE)
    assert [float(score) > 0.99 for score in scores] == [True]


def test_the_transformers_data_are_what_the_script_makes():
    """The bundled file has the arrays of make_data.py."""
    folder = ROOT / "configs" / "transformer"
    made = runpy.run_path(str(folder / "make_data.py"))["make"]()
    with np.load(folder / "reverse.npz") as kept:
        assert set(kept) == set(made)
        for name, array in made.items():
            np.testing.assert_array_equal(kept[name], array)


def test_the_layers_of_the_readme_are_a_net(tmp_path):
    """Those of Caffe's by themselves, those of MXNet's behind an input."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first, operators = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    data = "layer:\n  - {name: data, type: Input, input_param: {shape: {dim: [2, 5, 64]}}}\n"
    for number, net in enumerate((first, data + operators)):
        path = tmp_path / f"net{number}.yaml"
        path.write_text(net)
        result = netdef("lint", str(path))
        assert (result.returncode, result.stdout) == (0, ""), result.stdout


def readme_commands() -> list[str]:
    """The netdef commands in the README's console blocks."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ netdef")]


@pytest.mark.slow
def test_every_command_of_the_readme_runs(tmp_path):
    """In a copy of the project, in the README's order, each command does what a reader would expect."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    commands = readme_commands()
    assert commands, "the README shows no commands"
    for command in commands:
        if "/path/to" in command:
            continue
        expected = 1 if "broken" in command else 0
        result = netdef(*command.split()[1:], cwd=tmp_path)
        assert result.returncode == expected, f"{command}\n{result.stdout}\n{result.stderr}"

"""House rules: package order, what start-up loads, documentation, length of files."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "netdef"
MODULES = sorted(PACKAGE.rglob("*.py"))

#: packages from left to right; a package imports only from its left
ORDER = [
    "diag",
    "source",
    "ops",
    "spec",
    "graph",
    "passes",
    "runtime",
    "data",
    "interop",
    "train",
    "lint",
    "mx",
    "caffe",
]
ORDER.append("cli")
#: packages that may load numpy, and only when they are used
WITH_NUMPY = {"data", "interop", "train", "mx", "caffe"}


def package_of(path: Path) -> str:
    """`netdef/ops/dense.py` belongs to `ops`, `netdef/diag.py` to `diag`."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path, top_level_only: bool = False):
    """The modules that a file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        child
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if top_level_only and node in inside:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_packages_import_only_from_their_left(path):
    """The package order of the design is what the imports say."""
    here = package_of(path)
    if here in ("__init__", "__main__"):
        return
    for module in imports(path):
        if not module.startswith("netdef.") and module != "netdef":
            continue
        there = module.split(".")[1] if "." in module else "__init__"
        if there == "__init__":
            assert here in ("cli", "train"), f"{path} imports netdef itself"
            continue
        assert ORDER.index(there) <= ORDER.index(here), f"{path} imports {module}, which stands to its right"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_command_line_imports_lazily(path):
    """Imports stand at the top; the exceptions are optional or heavy libraries."""
    if package_of(path) in ("cli", "__init__", "__main__"):
        return
    inner = set(imports(path)) - set(imports(path, top_level_only=True))
    assert inner <= {"jsonschema", "jsonschema.validators", "numpy", "yaml"}, (
        f"{path} imports {inner} inside functions"
    )


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_numpy_stays_out_of_what_lint_loads(path):
    """Operators receive the array module as an argument; shape rules never need it."""
    if package_of(path) not in WITH_NUMPY:
        assert "numpy" not in set(imports(path, top_level_only=True)), f"{path} imports numpy"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_short(path):
    """400 lines is where a module is thought over again."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_and_public_classes_are_documented(path):
    """Every module with code, every public class has a docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if tree.body:
        assert ast.get_docstring(tree), f"{path} has no docstring"
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path}: {node.name} has no docstring"


def test_every_folder_is_a_package():
    """A folder without `__init__.py` would be left out of the wheel."""
    for path in MODULES:
        assert (path.parent / "__init__.py").exists(), f"{path.parent} has no __init__.py"


def test_operators_layers_and_commands_are_documented():
    """Each has a description, and so has each of its attributes or fields."""
    from netdef.cli import COMMANDS
    from netdef.ops import OPERATORS
    from netdef.spec.layers import LAYERS

    for declared in (*OPERATORS.values(), *LAYERS.values()):
        assert declared.__doc__, f"{declared.__name__} has no docstring"
        for name, field in declared.fields.items():
            assert field.help, f"{declared.__name__}.{name} has no help text"
    for name, (_, _, help_line) in COMMANDS.items():
        assert help_line, f"{name} has no help line"


def test_a_layer_type_is_an_operator_or_lowers_to_one():
    """Every layer type says how it is built."""
    from netdef.spec.layers import LAYERS
    from netdef.spec.layers.base import Layer

    for name, layer in LAYERS.items():
        assert layer.lower is not Layer.lower, f"{name} has no lower function"


def loaded_after(*arguments: str) -> set[str]:
    """The modules that a netdef command has loaded when it ends."""
    script = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(*sys.modules, sep='\\n', file=sys.stderr))\n"
        f"sys.argv = ['netdef', *{list(arguments)!r}]\n"
        "from netdef.cli import main\n"
        "main()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert result.returncode == 0, result.stderr
    return set(result.stderr.split())


def test_help_loads_next_to_nothing():
    """`netdef --help` loads neither numpy nor yaml nor jsonschema nor rich."""
    assert not loaded_after("--help") & {"numpy", "yaml", "jsonschema", "rich"}


def test_lint_loads_no_numpy():
    """`netdef lint` checks shapes without arrays."""
    loaded = loaded_after("lint", "configs/digits/lenet.yaml")

    assert "netdef.passes.infer" in loaded
    assert not loaded & {"numpy", "jsonschema", "rich", "dataclasses"}


def test_importing_netdef_loads_nothing_else():
    """`import netdef` is instant; MXNet's names load on first use."""
    script = (
        "import sys, netdef; print(*(m for m in sys.modules if m.startswith(('netdef.', 'numpy', 'yaml'))))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )

    assert result.stdout.split() == []

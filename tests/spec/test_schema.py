"""The JSON Schemas: valid, up to date, and never stricter than the checks they stand for."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from netdef.diag import Findings
from netdef.ops.fields import Bool, Enum, Float, Int, Str
from netdef.spec import schema
from netdef.spec.check import check_net, check_solver
from netdef.spec.layers import LAYERS
from netdef.spec.layers.base import Layer
from netdef.spec.message import Sub
from netdef.spec.read import read_string
from netdef.spec.solver import SolverSpec

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))


def checked_in(kind):
    return json.loads((ROOT / "schemas" / f"{kind}.schema.json").read_text(encoding="utf-8"))


NET = Draft202012Validator(schema.net_schema())
SOLVER = Draft202012Validator(schema.solver_schema())


@pytest.mark.parametrize("kind", ["net", "solver"])
def test_the_checked_in_schemas_are_valid(kind):
    """Against the draft's own schema; every reference leads somewhere."""
    document = checked_in(kind)

    Draft202012Validator.check_schema(document)
    for reference in references(document):
        target = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]


def references(node):
    """Every `$ref` in a schema."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_the_checked_in_schemas_are_up_to_date(tmp_path, capsys):
    """`make generated` writes what is there; a stale file is told with its first difference."""
    assert schema.main(["--check", str(ROOT / "schemas")]) == 0

    assert schema.main(["--check", str(tmp_path)]) == 1
    assert "net.schema.json is stale (0 lines -> " in capsys.readouterr().err
    assert schema.main([str(tmp_path / "new")]) == 0
    assert schema.main(["--check", str(tmp_path / "new")]) == 0
    changed = tmp_path / "new" / "solver.schema.json"
    changed.write_text(changed.read_text().replace("netdef solver", "something else"))
    assert schema.main(["--check", str(tmp_path / "new")]) == 1
    told = 'line 4: "title": "something else", -> "title": "netdef solver",'
    assert f"{changed} is stale ({told}); run make generated" in capsys.readouterr().err


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_projects_own_files_are_accepted(path):
    """With `${...}` and `variables` in them."""
    validator = SOLVER if "solver" in path.name else NET

    assert [error.message for error in validator.iter_errors(yaml.safe_load(path.read_text()))] == []


@pytest.mark.parametrize(
    ("data", "legal"),
    [
        ({"layer": {"type": "ReLU"}}, True),
        ({"layer": [{"type": "ReLU", "bottom": "a", "top": ["a"]}]}, True),
        ({"layer": {"type": "Relu"}}, False),
        ({"layer": {"name": "a"}}, False),
        ({"layer": {"type": "${kind}", "anything": 1}}, True),
        ({"layer": {"type": "ReLU", "pooling_param": {}}}, False),
        ({"layer": {"type": "Convolution"}}, False),
        ({"layer": {"type": "Convolution", "convolution_param": {"num_output": 0}}}, False),
        (
            {
                "layer": {
                    "type": "Convolution",
                    "convolution_param": {"num_output": "${n}", "pad": [1, "${p}"]},
                }
            },
            True,
        ),
        ({"layer": {"type": "Convolution", "convolution_param": {"num_output": "n"}}}, False),
        ({"layer": {"type": "Pooling", "pooling_param": {"pool": "${kind}", "kernel_size": 2}}}, True),
        ({"layer": {"type": "Pooling", "pooling_param": {"pool": "MEAN", "kernel_size": 2}}}, False),
        ({"layers": []}, False),
        ({"variables": {"a": 1}, "layer": []}, True),
        ({"solver": {"base_lr": 1, "lr_policy": "fixed", "max_iter": 1}}, True),
        ({"solver": {"base_lr": 1, "lr_policy": "fixed", "max_iter": 1, "net": "x"}}, False),
    ],
)
def test_what_a_net_may_say(data, legal):
    """Scalars for lists of one, `${...}` for scalars, one block for each type."""
    assert NET.is_valid(data) is legal


def test_every_field_is_described():
    """What an editor shows for each key, and for each layer type."""
    definitions = checked_in("net")["$defs"]
    for name in LAYERS:
        assert definitions[f"{name}Layer"]["description"]
        for key, field in definitions[f"{name}Layer"]["properties"].items():
            assert "description" in field or field["$ref"] == f"#/$defs/Layer/properties/{key}"
    for definition in definitions.values():
        assert definition["description"]


def must(field):
    """Whether a field has to be there, itself or for the sake of one in its block."""
    if isinstance(field, Sub):
        return not field.repeated and not field.optional and any(map(must, field.message.fields.values()))
    return field.required


def some(field):
    """Values for a field: mostly legal ones, some that are not."""
    if isinstance(field, Sub):
        one = block(field.message)
    elif isinstance(field, Enum):
        one = st.sampled_from([*field.choices, "NONE_OF_THEM"])
    elif isinstance(field, Bool):
        one = st.booleans() | st.integers(0, 1)
    elif isinstance(field, Int):
        one = st.integers(-1, 4) | st.sampled_from([2.0, 2.5, True])
    elif isinstance(field, Float):
        one = st.integers(0, 2) | st.floats(-1, 2) | st.just("x")
    elif isinstance(field, Str):
        one = st.sampled_from(["a", "x.npz", "xavier", "constant", ""]) | st.just(3)
    else:
        raise AssertionError(f"no values for {field}")
    return one | st.lists(one, max_size=3) if field.repeated else one


def block(message):
    """A mapping of some fields of a message, now and then with a key that it does not have."""
    required = {name: some(field) for name, field in message.fields.items() if must(field)}
    others = {name: some(field) for name, field in message.fields.items() if name not in required}
    whole = st.fixed_dictionaries(required, optional=others)
    return whole | st.fixed_dictionaries({**required, "unheard_of": st.just(1)}) | few(required, others)


def few(required, others):
    """The required fields and at most two others, which rules over several fields rarely refuse."""
    pairs = [st.tuples(st.just(name), values) for name, values in others.items()]
    chosen = st.lists(st.one_of(pairs), max_size=2).map(dict) if pairs else st.just({})
    return st.builds(lambda must, may: {**must, **may}, st.fixed_dictionaries(required), chosen)


def layers():
    """Entries of `layer`, of every type."""
    kinds = []
    for name, declaration in LAYERS.items():
        least = max(declaration.bottoms[0], 1) if declaration.bottoms[1] != 0 else 0
        blobs = {"bottom": ["data"] * least} if least else {}
        own = {key: some(field) for key, field in declaration.fields.items() if key not in Layer.fields}
        wrapper = {key: some(field) for key, field in Layer.fields.items() if key not in ("type", *blobs)}
        given = {key: values for key, values in own.items() if must(declaration.fields[key])}
        rest = {key: values for key, values in {**wrapper, **own}.items() if key not in given}
        entry = few(given, rest)
        kinds.append(entry.map(lambda data, kind=name, blobs=blobs: {"type": kind, **blobs, **data}))
    return st.one_of(kinds)


def solvers():
    """Solver files: small ones that are legal but for a few fields, and others."""
    legal = {"net": "net.yaml", "base_lr": 0.1, "lr_policy": "fixed", "max_iter": 10}
    others = {name: some(field) for name, field in SolverSpec.fields.items() if name not in legal}
    return few({name: st.just(value) for name, value in legal.items()}, others) | block(SolverSpec)


def findings_of(data, check):
    """What `check` says about data, through the text of a file."""
    findings = Findings()
    check(read_string(json.dumps(data), "file.yaml", findings), findings)
    return list(findings)


@settings(max_examples=400, deadline=None)
@given(layer=layers())
def test_what_check_accepts_the_schema_accepts(layer):
    """A layer without errors is valid; one with an unknown key is not; unknown keys are refused by both."""
    data = {"layer": [{"name": "data", "type": "Input"}, layer]}
    found = findings_of(data, check_net)
    unknown = any(d.code.id in ("ND002", "ND006") for d in found)

    if not any(d.severity == "error" for d in found):
        assert NET.is_valid(data), [error.message for error in NET.iter_errors(data)]
    if unknown:
        assert not NET.is_valid(data)


@settings(max_examples=100, deadline=None)
@given(solver=solvers())
def test_the_solvers_schema_agrees_too(solver):
    """The same for solver files."""
    found = findings_of(solver, check_solver)

    if not any(d.severity == "error" for d in found):
        assert SOLVER.is_valid(solver), [error.message for error in SOLVER.iter_errors(solver)]
    if any(d.code.id == "ND002" for d in found):
        assert not SOLVER.is_valid(solver)


@pytest.mark.parametrize("name", LAYERS)
def test_an_unknown_key_in_any_block_is_refused_by_both(name):
    """At every depth of every layer type."""
    for path in blocks(LAYERS[name]):
        data = {"type": name}
        inner = data
        for key in path:
            inner = inner.setdefault(key, {})
        inner["unheard_of"] = 1

        found = findings_of({"layer": [data]}, check_net)

        assert "ND002" in {d.code.id for d in found}, path
        assert not NET.is_valid({"layer": [data]}), path


def blocks(message, path=()):
    """The paths of a message and of every block in it."""
    yield path
    for name, field in message.fields.items():
        if isinstance(field, Sub):
            yield from blocks(field.message, (*path, name))

"""JSON Schemas (draft 2020-12) of nets and solvers, from the declarations, for editors and other tools.

netdef itself does not read them: `spec.check` says more.  A schema accepts everything that `spec.check`
accepts; what only rules over several fields can judge it does not see.  A text with `${` may stand for any
scalar.

`python -m netdef.spec.schema FOLDER` writes the files; with `--check` it compares them and fails where one is
stale.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from pathlib import Path
from typing import Any

from netdef.ops.fields import Field
from netdef.spec.layers import LAYERS
from netdef.spec.layers.base import Layer
from netdef.spec.layers.operators import OperatorLayer, operator_layer, operator_names
from netdef.spec.message import Message, Sub
from netdef.spec.net import NetSpec
from netdef.spec.solver import SolverSpec
from netdef.spec.variables import VARIABLES

Schema = dict[str, Any]

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_EXPRESSION = {"$ref": "#/$defs/expression"}
#: what is added to the declarations: these belong to the language, not to a message
_LANGUAGE: dict[str, Schema] = {
    "expression": {"type": "string", "pattern": r"\$\{", "description": "a value computed from variables"},
}
#: the width of the files, which some strings exceed
_COLUMNS = 110
#: definitions that layers which are operators share
_FIELD, _PLAIN, _ANY_OPERATOR = "LayerField", "PlainOperator", "Operator"
_VARIABLES: Schema = {"type": "object", "description": "values that ${name} stands for"}


def net_schema() -> Schema:
    """The schema of a net's file."""
    schema = _file("net", NetSpec)
    # A solver inside a net's file trains that net and names no other.
    del schema["$defs"][SolverSpec.__name__]["properties"]["net"]
    return schema


def solver_schema() -> Schema:
    """The schema of a solver's file."""
    schema = _file("solver", SolverSpec)
    schema["required"].append("net")
    return schema


def _file(kind: str, declaration: type[Message]) -> Schema:
    """The schema of a file that holds one message, with every message in it under `$defs`."""
    messages = _messages(declaration)
    definitions: dict[str, Schema] = {**_LANGUAGE}
    for message in sorted(messages - {declaration, Layer}, key=lambda message: message.__name__):
        definitions[message.__name__] = _message(message)
    if Layer in messages:
        definitions[Layer.__name__] = _any_layer()
        definitions.update((_definition(name), _one_layer(name)) for name in LAYERS)
        definitions.update(_operator_definitions())
    body = _message(declaration)
    body["properties"][VARIABLES] = _VARIABLES
    head = {"$schema": _DRAFT, "$id": f"urn:netdef:{kind}.schema.json", "title": f"netdef {kind}"}
    return {**head, **body, "$defs": definitions}


def _messages(declaration: type[Message]) -> set[type[Message]]:
    """A message and all that its fields hold, the blocks of every layer type with `Layer`."""
    found: set[type[Message]] = set()
    waiting = [declaration]
    while waiting:
        message = waiting.pop()
        if message not in found:
            found.add(message)
            holders = [*LAYERS.values(), *_operators().values()] if message is Layer else [message]
            fields = [field for holder in holders for field in holder.fields.values()]
            waiting += (field.message for field in fields if isinstance(field, Sub))
    return found


def _message(declaration: type[Message]) -> Schema:
    """The schema of one message."""
    required = [name for name, field in declaration.fields.items() if _must(field)]
    return {
        "description": _summary(declaration),
        "type": "object",
        "properties": {name: _field(field) for name, field in declaration.fields.items()},
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _any_layer() -> Schema:
    """An entry of `layer`: its type decides which fields it may have."""
    fields = {name: _field(field) for name, field in Layer.fields.items()}
    names = {"enum": [*LAYERS, *_operators()], "description": Layer.fields["type"].help}
    return {
        "description": "one layer",
        "type": "object",
        "properties": {**fields, "type": {"anyOf": [names, _EXPRESSION]}},
        "required": ["type"],
        "allOf": [
            *(_when([name], _definition(name)) for name in LAYERS),
            _when(list(_operators()), _ANY_OPERATOR),
        ],
    }


def _when(types: list[str], definition: str) -> Schema:
    """A definition that holds for layers of these types."""
    kind: Schema = {"const": types[0]} if len(types) == 1 else {"enum": types}
    return {
        "if": {"properties": {"type": kind}, "required": ["type"]},
        "then": {"$ref": f"#/$defs/{definition}"},
    }


def _operators() -> dict[str, type[OperatorLayer]]:
    """The layer types that are operators, which this loads."""
    made = {name: operator_layer(name) for name in operator_names()}
    return {name: layer for name, layer in made.items() if layer is not None}


def _operator_definitions() -> dict[str, Schema]:
    """What layers that are operators may have beside the fields of all layers: at most one block.

    There are many of them, so that each is said in as few words as possible: which keys there are.  An editor
    takes the fields that all layers have from `Layer`, and those of the block from its message.
    """
    plain = [name for name, layer in _operators().items() if not layer.block]
    others = {name: layer for name, layer in _operators().items() if layer.block}
    return {
        _FIELD: {"description": "a field that every layer may have", "enum": list(Layer.fields)},
        _PLAIN: {
            "description": "an operator without attributes",
            "type": "object",
            "propertyNames": {"$ref": f"#/$defs/{_FIELD}"},
        },
        _ANY_OPERATOR: {
            "description": "an operator of MXNet's as a layer",
            "allOf": [_when(plain, _PLAIN), *(_when([name], _definition(name)) for name in others)],
        },
        **{_definition(name): _one_operator(name, layer) for name, layer in others.items()},
    }


def _one_operator(name: str, layer: type[OperatorLayer]) -> Schema:
    """The block of one operator."""
    block = layer.fields[layer.block]
    return {
        "title": name,
        "description": _summary(layer),
        "type": "object",
        "properties": {layer.block: _field(block)},
        "propertyNames": {"anyOf": [{"$ref": f"#/$defs/{_FIELD}"}, {"const": layer.block}]},
        **({"required": [layer.block]} if _must(block) else {}),
    }


def _one_layer(name: str) -> Schema:
    """The fields of one layer type; those that all types have are described once."""
    declaration = LAYERS[name]
    shared = {field: {"$ref": f"#/$defs/{Layer.__name__}/properties/{field}"} for field in Layer.fields}
    own = {key: field for key, field in declaration.fields.items() if key not in Layer.fields}
    return {
        "title": name,
        "description": _summary(declaration),
        "type": "object",
        "properties": {**shared, **{key: _field(field) for key, field in own.items()}},
        "required": ["type", *(key for key, field in own.items() if _must(field))],
        "additionalProperties": False,
    }


def _definition(name: str) -> str:
    return f"{name}Layer"


def _must(field: Field) -> bool:
    """Whether a field has to be given: it has no default, or is a block with such a field."""
    if isinstance(field, Sub):
        return not (field.repeated or field.optional) and bool(field.message.required())
    return field.required


def _field(field: Field) -> Schema:
    return _or_expression(field.schema())


def _or_expression(schema: Schema) -> Schema:
    """The schema, with an expression allowed for every scalar that is no text already."""
    if "anyOf" in schema:
        return {**schema, "anyOf": [_or_expression(one) for one in schema["anyOf"]]}
    if "items" in schema:
        return {**schema, "items": _or_expression(schema["items"])}
    kind = schema.get("type")
    scalar = kind[0] if isinstance(kind, list) else kind
    if "enum" not in schema and scalar not in ("integer", "number", "boolean"):
        return schema
    about: Schema = {key: schema[key] for key in ("description", "default") if key in schema}
    value = {key: part for key, part in schema.items() if key not in about}
    return {"anyOf": [value, _EXPRESSION], **about}


def _summary(declaration: type[Message]) -> str:
    """The first sentence of a message's description."""
    return inspect.cleandoc(declaration.__doc__ or "").splitlines()[0]


# -- the files ----------------------------------------------------------------------------------------------


def texts() -> dict[str, str]:
    """The text of each schema file by name."""
    schemas = {"net": net_schema(), "solver": solver_schema()}
    return {f"{kind}.schema.json": as_text(schema) + "\n" for kind, schema in schemas.items()}


def as_text(value: Any, indent: str = "") -> str:
    """JSON text in which what fits on a line stands on one; otherwise it would be twice as long."""
    line = json.dumps(value)
    if len(indent) + len(line) <= _COLUMNS or not isinstance(value, (dict, list)):
        return line
    inner = indent + "  "
    if isinstance(value, dict):
        parts = [f"{inner}{json.dumps(key)}: {as_text(item, inner)}" for key, item in value.items()]
    else:
        parts = [f"{inner}{as_text(item, inner)}" for item in value]
    opened, closed = "{}" if isinstance(value, dict) else "[]"
    return "\n".join([opened, ",\n".join(parts), f"{indent}{closed}"])


def first_difference(old: str, new: str) -> str:
    """The first line in which two texts differ, as `line 12: old -> new`."""
    before, after = old.splitlines(), new.splitlines()
    for number, (here, there) in enumerate(zip(before, after), 1):
        if here != there:
            return f"line {number}: {here.strip()} -> {there.strip()}"
    return f"{len(before)} lines -> {len(after)} lines"


def main(arguments: list[str]) -> int:
    """Write or check the files; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m netdef.spec.schema", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare the files instead of writing them")
    parser.add_argument("folder", type=Path, help="where the files are")
    options = parser.parse_args(arguments)
    stale = 0
    for name, text in texts().items():
        path = options.folder / name
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if options.check:
            if old != text:
                print(f"{path} is stale ({first_difference(old, text)}); run make generated", file=sys.stderr)
                stale = 1
        elif old != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Caffe's text format as plain data, for tests that read recorded nets.

Enough for well-formed files, no more.
"""

import re

TOKEN = re.compile(r'\s+|#[^\n]*|"(?:[^"\\]|\\.)*"|[{}\[\]<>:;,]|[^\s{}\[\]<>:;,"#]+')
WORDS = {"true": True, "false": False}


def parse(text):
    """A message as a dict; a field that occurs several times becomes a list."""
    tokens = [
        t for t in TOKEN.findall(text) if not t.isspace() and not t.startswith("#") and t not in (";", ",")
    ]
    message, rest = _message(tokens, 0)
    assert rest == len(tokens), tokens[rest:]
    return message


def _message(tokens, at):
    message = {}
    while at < len(tokens) and tokens[at] not in ("}", ">"):
        name = tokens[at]
        at += 1
        if tokens[at] == ":":
            at += 1
        if tokens[at] in ("{", "<"):
            value, at = _message(tokens, at + 1)
            at += 1
        else:
            value, at = _value(tokens[at]), at + 1
        if name in message:
            known = message[name]
            message[name] = [*known, value] if isinstance(known, list) else [known, value]
        else:
            message[name] = value
    return message, at


def _value(token):
    if token.startswith('"'):
        return token[1:-1]
    if token in WORDS:
        return WORDS[token]
    for kind in (int, float):
        try:
            return kind(token)
        except ValueError:
            pass
    return token


def net(text):
    """A net: `layer` is always a list, and old-style inputs become a layer, as Caffe's upgrade does."""
    data = parse(text)
    layers = data.pop("layer", [])
    layers = layers if isinstance(layers, list) else [layers]
    if "input" in data:
        shape = data.pop("input_shape", None)
        top = data.pop("input")
        first = {"name": "input", "type": "Input", "top": top}
        if shape is not None:
            first["input_param"] = {"shape": shape}
        layers.insert(0, first)
    return {**data, "layer": layers}

"""Codes for the text of a spec: YAML, limits, variables, `--set`.  Those of files are in `netdef.source`."""

from __future__ import annotations

import netdef.source  # noqa: F401  its codes belong to the same list
from netdef.diag import Code

_DATA = "{name: data, type: Input, top: data, input_param: {shape: {dim: [1, 4]}}}\n"
_HEAD = f"name: example\nlayer:\n  - {_DATA}"
_LAYER = "  - name: ip1\n    type: InnerProduct\n"
_PARAM = "    inner_product_param:\n      num_output: 2\n      weight_filler: {type: xavier}\n"
GOOD = f"{_HEAD}{_LAYER}{_PARAM}"
_COUNTED = "      num_output: ${count * 2}\n      weight_filler: {type: xavier}\n"
GOOD_VARIABLE = f"variables: {{count: 2}}\n{_HEAD}{_LAYER}    inner_product_param:\n{_COUNTED}"
_STOPS = "Never: the file cannot be read."

DUPLICATE_KEY = Code(
    "ND001",
    "duplicate-key",
    what="A mapping has the same key twice.",
    why="Most readers keep the last one silently, so that a setting seems to be there and is not.",
    bad=f"{_HEAD}{_LAYER}    inner_product_param:\n      num_output: 2\n      num_output: 3\n"
    "      weight_filler: {type: xavier}\n",
    good=GOOD,
    ignore="Never: remove one of the two.",
)

NOT_UTF8 = Code(
    "ND014",
    "not-utf8",
    what="A file is not encoded in UTF-8 (a byte order mark may be there).",
    why="Its names could not be read without guessing.",
    shown_by="a file in Latin-1 or UTF-16; this page is UTF-8 itself",
    ignore="Never: save the file as UTF-8.",
)

CHARACTER = Code(
    "ND015",
    "illegal-character",
    what="A file holds a control character, half of a surrogate pair, or a line break of an unusual kind.",
    why="YAML does not allow it, or readers differ about it.",
    bad=f"{_HEAD}{_LAYER}    top: ip\x07\n{_PARAM}",
    good=GOOD,
    ignore='Never: remove it, or write it as an escape such as "\\u0007" in double quotes.',
)

SYNTAX = Code(
    "ND016",
    "syntax",
    what="The text is not YAML: an indentation, bracket, quote or colon is wrong.",
    why="What follows such a place has no certain meaning, so nothing behind it is checked.",
    bad=f"{_HEAD}  - name: ip1\n    type:InnerProduct\n{_PARAM}",
    good=GOOD,
    ignore=_STOPS,
)

EMPTY = Code(
    "ND017",
    "empty-file",
    what="A file holds nothing, or nothing but comments.",
    why="There is no net in it; most often the wrong file was named or a command before it failed.",
    bad="# nothing yet\n",
    good=GOOD,
    ignore=_STOPS,
)

SEVERAL_DOCUMENTS = Code(
    "ND018",
    "several-documents",
    what="A file holds several YAML documents, separated by ---.",
    why="Only one of them could be meant; the others would be skipped silently.",
    bad=f"{GOOD}---\n{GOOD}",
    good=GOOD,
    ignore=_STOPS,
)

NOT_A_MAPPING = Code(
    "ND019",
    "not-a-mapping",
    what="The whole file is a list or a single value.",
    why="A net and a solver are mappings: fields with names.",
    bad=f"- {_DATA}",
    good=GOOD,
    ignore=_STOPS,
)

KEY = Code(
    "ND020",
    "key-is-no-name",
    what="The key of a mapping is a number, true, false, null, a list or a mapping.",
    why="Every field has a name, so such a key can name none.  The key and its value are left out.",
    bad=f"{_HEAD}{_LAYER}{_PARAM}    1: x\n",
    good=GOOD,
    ignore="Never: write the name of a field; one that looks like a number needs quotes.",
)

TAG = Code(
    "ND021",
    "unknown-tag",
    what="A value has a YAML tag other than !!str, !!int, !!float, !!bool, !!null, !!seq and !!map.",
    why="Such tags can ask a reader to run code.  netdef never does: it reads the value as if it had no tag.",
    bad=f"{_HEAD}  - name: !secret ip1\n    type: InnerProduct\n{_PARAM}",
    good=GOOD,
    ignore="Never: leave the tag out.",
)

ALIAS = Code(
    "ND022",
    "bad-alias",
    what="An alias (*name) stands for nothing or for itself, or the value of a merge key (<<) is no mapping.",
    why="There is nothing that could be put in its place.",
    bad=f"{_HEAD}  - {{name: ip1, type: InnerProduct, inner_product_param: *common}}\n",
    good=f"{_HEAD}  - name: ip1\n    type: InnerProduct\n"
    "    inner_product_param: &common {num_output: 4, weight_filler: {type: xavier}}\n"
    "  - {name: ip2, type: InnerProduct, inner_product_param: *common}\n",
    ignore=_STOPS,
)

LIMIT = Code(
    "ND023",
    "over-limit",
    what="A file is nested more than 200 levels deep, has more than a million values (those that its aliases"
    " stand for included), or a text of more than a MiB.",
    why="No net needs that; a few lines of aliases could otherwise fill the memory of any machine.",
    bad=f"{_HEAD}{_LAYER}    param: {'[' * 201}{']' * 201}\n",
    good=GOOD,
    ignore=_STOPS,
)

BAD_SCALAR = Code(
    "ND024",
    "value-does-not-fit-its-tag",
    what="A value is not what its tag says, or a number has more than 4,000 digits.",
    why="It has no value that could be checked further.",
    bad=f"{_HEAD}{_LAYER}    inner_product_param:\n      num_output: !!int many\n"
    "      weight_filler: {type: xavier}\n",
    good=GOOD,
    ignore="Never: mend the value or leave the tag out.",
)

UNKNOWN_VARIABLE = Code(
    "ND025",
    "unknown-variable",
    what="A ${...} names a variable that the mapping `variables` at the top of the file does not have.",
    why="It has no value.  Variables come from the file and from --set, never from the environment.",
    bad=GOOD_VARIABLE.replace("${count", "${cuont"),
    good=GOOD_VARIABLE,
    ignore="Never: add the variable, mend its name, or write $${ for a text that contains ${.",
)

VARIABLE_CYCLE = Code(
    "ND026",
    "variable-cycle",
    what="Variables refer to each other in a circle.",
    why="None of them has a value.",
    bad=GOOD_VARIABLE.replace("{count: 2}", '{count: "${half * 2}", half: "${count // 2}"}'),
    good=GOOD_VARIABLE,
    ignore="Never: give one of them a value of its own.",
)

EXPRESSION = Code(
    "ND027",
    "bad-expression",
    what="A ${...} is no expression, or has no value: it divides by zero, mixes kinds, gets too large.",
    why="Expressions know names, numbers, texts, + - * / // %, comparisons and parentheses; nothing else.",
    bad=GOOD_VARIABLE.replace("count * 2", "count ** 2"),
    good=GOOD_VARIABLE,
    ignore="Never: mend the expression, or write $${ for a text that contains ${.",
)

VARIABLES = Code(
    "ND028",
    "bad-variables",
    what="`variables` is no mapping, or a variable has a name that an expression cannot use.",
    why="A name is letters, digits and _, no digit first; ${data-set} would be a subtraction.",
    bad=GOOD_VARIABLE.replace("{count: 2}", "{count: 2, data-set: mnist}"),
    good=GOOD_VARIABLE,
    ignore="Never: rename the variable.",
)

OVERRIDE = Code(
    "ND029",
    "bad-override",
    exit_code=2,
    what="A --set is not PATH=VALUE, its value is no YAML, or its path leads nowhere.",
    why="A setting that is silently ignored would be worse than none.",
    shown_by="`--set` on the command line; a file has none",
    ignore="Never: mend the path.",
)

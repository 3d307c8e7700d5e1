"""Codes for what is wrong with how layers are connected."""

from __future__ import annotations

from netdef.diag import WARNING, Code

_HEAD = (
    "name: example\nlayer:\n  - {name: data, type: Input, top: data, input_param: {shape: {dim: [1, 4]}}}\n"
)
_FILLED = "inner_product_param: {num_output: 2, weight_filler: {type: xavier}}"
GOOD = f"{_HEAD}  - {{name: ip1, type: InnerProduct, bottom: data, top: ip1, {_FILLED}}}\n"

DUPLICATE_LAYER = Code(
    "ND101",
    "duplicate-layer-name",
    what="Two layers that are present in the same phase have one name.",
    why="Weights are saved and loaded by layer name: those of the second layer would overwrite the first.",
    bad=GOOD + f"  - {{name: ip1, type: InnerProduct, bottom: ip1, top: ip2, {_FILLED}}}\n",
    good=GOOD + f"  - {{name: ip2, type: InnerProduct, bottom: ip1, top: ip2, {_FILLED}}}\n",
)

DANGLING_BOTTOM = Code(
    "ND102",
    "dangling-bottom",
    what="A layer reads a blob that no layer produces.",
    why="The net cannot be built; most often the name is misspelt.",
    bad=f"{_HEAD}  - {{name: ip1, type: InnerProduct, bottom: dta, top: ip1, {_FILLED}}}\n",
    good=GOOD,
)

BLOB_PRODUCED_TWICE = Code(
    "ND105",
    "blob-produced-twice",
    what="Two layers produce a blob of one name, and the second does not read it (which would be in place).",
    why="Every later reader would see only one of the two, depending on the order.",
    bad=GOOD + f"  - {{name: ip2, type: InnerProduct, bottom: data, top: ip1, {_FILLED}}}\n",
    good=GOOD + f"  - {{name: ip2, type: InnerProduct, bottom: data, top: ip2, {_FILLED}}}\n",
)

CYCLE = Code(
    "ND106",
    "cycle",
    what="Layers read each other's blobs in a circle.",
    why="Layers may stand in any order, but none of these can run before the others.",
    bad=f"{_HEAD}"
    f"  - {{name: a, type: InnerProduct, bottom: y, top: x, {_FILLED}}}\n"
    f"  - {{name: b, type: InnerProduct, bottom: x, top: y, {_FILLED}}}\n"
    f"  - {{name: c, type: InnerProduct, bottom: data, top: z, {_FILLED}}}\n",
    good=GOOD,
)

INPLACE_ON_SHARED_BLOB = Code(
    "ND108",
    "inplace-on-shared-blob",
    what="A layer writes over a blob that another layer, standing before it, reads as well.",
    why="Caffe refuses such a net: the other reader would see the overwritten values in its backward pass.",
    bad=GOOD + "  - {name: tanh, type: TanH, bottom: ip1, top: side}\n"
    "  - {name: relu, type: ReLU, bottom: ip1, top: ip1}\n",
    good=GOOD + "  - {name: relu, type: ReLU, bottom: ip1, top: ip1}\n"
    "  - {name: tanh, type: TanH, bottom: ip1, top: side}\n",
)

PHASE_MISMATCH = Code(
    "ND109",
    "phase-mismatch",
    what="A layer reads a blob that is produced, but not in this phase, level or stage.",
    why="The net works in one phase and cannot be built in the other.",
    bad=f"{_HEAD}"
    "  - {name: drop, type: Dropout, bottom: data, top: drop, include: {phase: TRAIN}}\n"
    f"  - {{name: ip1, type: InnerProduct, bottom: drop, top: ip1, {_FILLED}}}\n",
    good=GOOD,
)

SHARED_PARAM_CONFLICT = Code(
    "ND110",
    "shared-param-conflict",
    what="Layers that share a parameter by name ask for different lr_mult or decay_mult.",
    why="There is only one parameter, so only one of the values could hold; Caffe refuses the net.",
    bad=f"{_HEAD}"
    "  - {name: a, type: InnerProduct, bottom: data, top: a, param: {name: w, lr_mult: 1},"
    " inner_product_param: {num_output: 4, bias_term: false, weight_filler: {type: xavier}}}\n"
    "  - {name: b, type: InnerProduct, bottom: a, top: b, param: {name: w, lr_mult: 2},"
    " inner_product_param: {num_output: 4, bias_term: false, weight_filler: {type: xavier}}}\n",
    good=f"{_HEAD}"
    "  - {name: a, type: InnerProduct, bottom: data, top: a, param: {name: w, lr_mult: 1},"
    " inner_product_param: {num_output: 4, bias_term: false, weight_filler: {type: xavier}}}\n"
    "  - {name: b, type: InnerProduct, bottom: a, top: b, param: {name: w, lr_mult: 1},"
    " inner_product_param: {num_output: 4, bias_term: false, weight_filler: {type: xavier}}}\n",
)

INPLACE_REFUSED = Code(
    "ND112",
    "inplace-refused",
    what="A layer of a type that cannot work in place has its bottom as its top.",
    why="Caffe refuses it: the layer's output has another shape, or its gradient needs the input.",
    bad=f"{_HEAD}  - {{name: flat, type: Flatten, bottom: data, top: data}}\n",
    good=f"{_HEAD}  - {{name: flat, type: Flatten, bottom: data, top: flat}}\n",
)

EMPTY_NET = Code(
    "ND114",
    "empty-net",
    severity=WARNING,
    what="No layer is present in this phase.",
    why="There is nothing to compute; most often an include rule excludes more than was meant.",
    bad="name: example\nlayer:\n"
    "  - {name: data, type: Input, include: {stage: never}, input_param: {shape: {dim: [1, 4]}}}\n",
    good=GOOD,
    ignore="When a file is meant for other stages only.",
)

REFUSED_BY_OPERATOR = Code(
    "ND115",
    "refused-by-operator",
    what="A layer's fields are legal one by one, but the operator that computes it refuses them.",
    why="The net cannot be built.",
    shown_by="fields that only an operator can judge; no layer type of this version has any",
    good=GOOD,
)

"""Codes for shapes that do not fit; an operator names them by `ShapeError.kind`."""

from __future__ import annotations

from netdef.diag import Code

_HEAD = "name: example\nlayer:\n"
_DATA = "  - {name: data, type: Input, top: data, input_param: {shape: {dim: [1, 1, 8, 8]}}}\n"
_FILL = "weight_filler: {type: xavier}"


def _conv(fields: str) -> str:
    return (
        f"{_HEAD}{_DATA}  - {{name: conv, type: Convolution, bottom: data, top: conv,"
        f" convolution_param: {{{fields}, {_FILL}}}}}\n"
    )


SHAPE_MISMATCH = Code(
    "ND200",
    "shape-mismatch",
    what="A layer's inputs do not fit what its fields, or its other inputs, require.",
    why="The layer cannot be computed.",
    bad=f"{_HEAD}{_DATA}  - {{name: flat, type: Flatten, flatten_param: {{axis: 7}}}}\n",
    good=f"{_HEAD}{_DATA}  - {{name: flat, type: Flatten, flatten_param: {{axis: 1}}}}\n",
)

KERNEL_TOO_LARGE = Code(
    "ND201",
    "kernel-larger-than-padded-input",
    what="The window of a convolution or pooling layer is larger than its padded input.",
    why="There is no place where the window fits; most often a stride further up shrank the image too fast.",
    bad=_conv("num_output: 4, kernel_size: 9"),
    good=_conv("num_output: 4, kernel_size: 5"),
)

PAD_TOO_LARGE = Code(
    "ND205",
    "pad-not-smaller-than-kernel",
    what="The padding of a pooling layer is as large as its kernel or larger.",
    why="Some windows would lie wholly in the padding; Caffe refuses the net.",
    bad=f"{_HEAD}{_DATA}  - {{name: pool, type: Pooling, bottom: data, top: pool,"
    " pooling_param: {kernel_size: 2, pad: 2}}\n",
    good=f"{_HEAD}{_DATA}  - {{name: pool, type: Pooling, bottom: data, top: pool,"
    " pooling_param: {kernel_size: 3, pad: 1}}\n",
)

_OTHER = "  - {name: other, type: Input, top: other, input_param: {shape: {dim: [1, 1, 4, 4]}}}\n"
INPUTS_DIFFER = Code(
    "ND206",
    "input-shapes-differ",
    what="Layers that join blobs (Eltwise, Concat) got blobs whose shapes do not agree.",
    why="Nothing is broadcast here: all shapes must be equal, for Concat outside the joined axis.",
    bad=f"{_HEAD}{_DATA}{_OTHER}  - {{name: sum, type: Eltwise, bottom: [data, other], top: sum}}\n",
    good=f"{_HEAD}{_DATA}  - {{name: sum, type: Eltwise, bottom: [data, data], top: sum}}\n",
)

GROUP_DOES_NOT_DIVIDE = Code(
    "ND211",
    "group-not-dividing-channels",
    what="`group` does not divide the number of input channels or of outputs of a convolution.",
    why="Every group takes an equal share of both.",
    bad=_conv("num_output: 4, kernel_size: 3, group: 2"),
    good=_conv("num_output: 4, kernel_size: 3, group: 1"),
)


def _typed(dtype: str) -> str:
    """A net that adds a cast of its input to the input."""
    return (
        f"{_HEAD}  - {{name: data, type: Input, top: data, input_param: {{shape: {{dim: [2, 3]}}}}}}\n"
        f"  - {{name: cast, type: cast, bottom: data, cast_param: {{dtype: {dtype}}}}}\n"
        "  - {name: sum, type: broadcast_add, bottom: [data, cast]}\n"
    )


DTYPE_MISMATCH = Code(
    "ND212",
    "dtype-mismatch",
    what="The inputs of an operator have different number types, or a type that it does not take.",
    why="netdef converts nothing silently. What is fed or learnt is float32; a cast layer makes other types.",
    bad=_typed("int32"),
    good=_typed("float32"),
)

UNKNOWN_SHAPE = Code(
    "ND213",
    "unknown-shape",
    what="The shape of an input of the net, or of what a layer makes, is not known, so nothing that depends"
    " on it can be inferred.",
    why="Training and testing need every shape.",
    bad=f"{_HEAD}  - {{name: data, type: Input, top: data}}\n"
    f"  - {{name: ip, type: InnerProduct, inner_product_param: {{num_output: 2, {_FILL}}}}}\n",
    good=_conv("num_output: 4, kernel_size: 3"),
)

BLOB_TOO_LARGE = Code(
    "ND214",
    "blob-too-large",
    what="A blob or parameter has more than 2,147,483,647 elements.",
    why="It would take more than 8 GiB; Caffe refuses it. Most often a size was mistyped.",
    bad=f"{_HEAD}  - {{name: data, type: Input, input_param: {{shape: {{dim: [65536, 65536]}}}}}}\n",
    good=f"{_HEAD}  - {{name: data, type: Input, input_param: {{shape: {{dim: [64, 65536]}}}}}}\n",
)


def _phases(train: int, test: int) -> str:
    data = "".join(
        f"  - {{name: {phase}, type: Input, top: data, include: {{phase: {phase}}},"
        f" input_param: {{shape: {{dim: [1, 1, {size}, {size}]}}}}}}\n"
        for phase, size in (("TRAIN", train), ("TEST", test))
    )
    ip = f"inner_product_param: {{num_output: 2, {_FILL}}}"
    return f"{_HEAD}{data}  - {{name: ip, type: InnerProduct, bottom: data, {ip}}}\n"


PHASES_DISAGREE = Code(
    "ND215",
    "phases-disagree",
    what="A blob has one shape in the TRAIN net and another in a TEST net.",
    why="The TEST net computes with the weights that are trained; Caffe refuses the net, too.",
    bad=_phases(6, 8),
    good=_phases(6, 6),
)

BY_KIND = {
    code.name: code
    for code in (
        SHAPE_MISMATCH,
        KERNEL_TOO_LARGE,
        PAD_TOO_LARGE,
        INPUTS_DIFFER,
        GROUP_DOES_NOT_DIVIDE,
        DTYPE_MISMATCH,
    )
}

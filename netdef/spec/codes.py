"""Codes for what is wrong with the fields of a net or solver."""

from __future__ import annotations

from netdef.diag import WARNING, Code

_HEAD = (
    "name: example\nlayer:\n"
    "  - {name: data, type: Input, top: data, input_param: {shape: {dim: [2, 3, 8, 8]}}}\n"
)
_LABEL = "  - {name: label, type: Input, top: label, input_param: {shape: {dim: 2}}}\n"
_FILL = "weight_filler: {type: xavier}"
_IP = (
    "  - {name: ip, type: InnerProduct, bottom: data, top: ip,"
    f" inner_product_param: {{num_output: 4, {_FILL}}}}}\n"
)


def _layer(name: str, fields: str) -> str:
    """A net of an Input layer and one more."""
    return f"{_HEAD}  - {{name: {name}, {fields}}}\n"


def _ip(fields: str) -> str:
    return _layer("ip", f"type: InnerProduct, bottom: data, top: ip, {fields}")


def _conv(fields: str) -> str:
    return _layer(
        "conv", f"type: Convolution, bottom: data, top: conv, convolution_param: {{{fields}, {_FILL}}}"
    )


def _data(fields: str, others: str = "") -> str:
    """A net that is fed from a file."""
    param = f"array_data_param: {{batch_size: 2, {fields}}}"
    return (
        "name: example\nlayer:\n"
        f"  - {{name: data, type: ArrayData, top: [data, label], {others}{param}}}\n"
        f"{_IP}"
        "  - {name: loss, type: SoftmaxWithLoss, bottom: [ip, label], top: loss}\n"
    )


def _solver(fields: str) -> str:
    """A net with a solver."""
    loss = "  - {name: loss, type: SoftmaxWithLoss, bottom: [ip, label], top: loss}\n"
    return f"{_GOOD}{_LABEL}{loss}solver: {{{fields}}}\n"


_GOOD = _ip(f"inner_product_param: {{num_output: 4, {_FILL}}}")
_GOOD_CONV = _conv("num_output: 4, kernel_size: 3")
_GOOD_SOLVER = _solver("base_lr: 0.01, lr_policy: fixed, max_iter: 100")
_NEVER = "Never: the file cannot be used as it is."

UNKNOWN_KEY = Code(
    "ND002",
    "unknown-key",
    what="A key is no field of the net, layer, block or solver in which it stands.",
    why="A misspelt field would be left out silently, and its default would train in its place.",
    bad=_ip(f"inner_product_param: {{num_outputs: 4, num_output: 4, {_FILL}}}"),
    good=_GOOD,
    ignore=_NEVER,
)

UNKNOWN_TYPE = Code(
    "ND005",
    "unknown-layer-type",
    what="The type of a layer is none that netdef has.",
    why="The layer cannot be built; most often the name is misspelt, or is one of Caffe's older spellings.",
    bad=_layer("relu", "type: Relu6, bottom: data, top: relu"),
    good=_layer("relu", "type: ReLU, bottom: data, top: relu"),
    ignore=_NEVER,
)

FOREIGN_BLOCK = Code(
    "ND006",
    "param-block-of-another-layer",
    what="A layer has the parameter block of another layer type, such as pooling_param in a Convolution.",
    why="Caffe passes over such a block silently: what it says has no effect.",
    bad=_ip(f"inner_product_param: {{num_output: 4, {_FILL}}}, pooling_param: {{kernel_size: 2}}"),
    good=_GOOD,
    ignore=_NEVER,
)

DEPRECATED_FORM = Code(
    "ND007",
    "deprecated-form",
    what="A file uses a form that Caffe has replaced: layers, input, input_shape, input_dim, solver_type.",
    why="netdef reads the current form only, so that a net can be said in one way.",
    bad=f"name: example\ninput: data\ninput_shape: {{dim: [1, 4]}}\nlayer:\n{_IP}",
    good=_GOOD,
    ignore=_NEVER,
)

BAD_VALUE = Code(
    "ND008",
    "wrong-value",
    what="A value is of another type than its field, outside of its range, or none of the words it may be.",
    why="The field cannot be used.",
    bad=_ip(f"inner_product_param: {{num_output: four, {_FILL}}}"),
    good=_GOOD,
    ignore=_NEVER,
)

MISSING_FIELD = Code(
    "ND009",
    "missing-field",
    what="A field that has no default is not given.",
    why="The layer or solver cannot do its work without it.",
    bad=_ip(f"inner_product_param: {{{_FILL}}}"),
    good=_GOOD,
    ignore=_NEVER,
)

WRONG_ARITY = Code(
    "ND030",
    "wrong-number-of-blobs",
    what="A layer has more or fewer bottoms or tops than its type takes.",
    why="The layer cannot be built.",
    bad=_layer("sum", "type: Eltwise, bottom: data, top: sum"),
    good=_layer("sum", "type: Eltwise, bottom: [data, data], top: sum"),
    ignore=_NEVER,
)

CONFLICT = Code(
    "ND031",
    "conflicting-fields",
    what="Two fields that say the same thing in different ways, or exclude each other, are both given.",
    why="It is not clear which of them is meant; Caffe refuses the net.",
    bad=_conv("num_output: 4, kernel_size: 3, kernel_h: 3, kernel_w: 5"),
    good=_GOOD_CONV,
    ignore=_NEVER,
)

WRONG_COUNT = Code(
    "ND032",
    "wrong-count",
    what="A list has another number of entries than what it describes: param, loss_weight, propagate_down,"
    " coeff, shape and others.",
    why="It is not clear which entry belongs to which blob; Caffe refuses the net.",
    bad=_layer("sum", "type: Eltwise, bottom: [data, data], top: sum, eltwise_param: {coeff: [1, -1, 2]}"),
    good=_layer("sum", "type: Eltwise, bottom: [data, data], top: sum, eltwise_param: {coeff: [1, -1]}"),
    ignore=_NEVER,
)

BAD_FILLER = Code(
    "ND033",
    "bad-filler",
    what="A filler is none that Caffe has, or its values contradict each other.",
    why="The weights could not be filled.",
    bad=_ip("inner_product_param: {num_output: 4, weight_filler: {type: xavir}}"),
    good=_GOOD,
    ignore=_NEVER,
)

STATISTICS_LEARNT = Code(
    "ND034",
    "statistics-learnt",
    what="A BatchNorm layer has a param whose lr_mult is not 0.",
    why="Its blobs are running statistics, which a gradient step would spoil; Caffe refuses the net.",
    bad=_layer("bn", "type: BatchNorm, bottom: data, top: bn, param: {lr_mult: 1}"),
    good=_layer("bn", "type: BatchNorm, bottom: data, top: bn, param: {lr_mult: 0}"),
    ignore=_NEVER,
)

NOT_SUPPORTED = Code(
    "ND035",
    "not-supported",
    what="A field asks for something that Caffe has and netdef does not do.",
    why="Going on without it would give other results than those that were asked for.",
    bad=_layer(
        "pool", "type: Pooling, bottom: data, top: pool, pooling_param: {pool: STOCHASTIC, kernel_size: 2}"
    ),
    good=_layer("pool", "type: Pooling, bottom: data, top: pool, pooling_param: {pool: MAX, kernel_size: 2}"),
    ignore=_NEVER,
)

WITHOUT_EFFECT = Code(
    "ND036",
    "field-without-effect",
    severity=WARNING,
    what="A field is given that has no effect, because another field leaves it unused.",
    why="Whoever wrote it expected something of it; most often the other field is wrong.",
    bad=_solver("base_lr: 0.01, lr_policy: fixed, max_iter: 100, gamma: 0.1"),
    good=_GOOD_SOLVER,
    ignore="While trying out settings; remove the field in the end.",
)

DATA_FILE_MISSING = Code(
    "ND040",
    "data-file-missing",
    exit_code=3,
    what="The file of a data layer does not exist, and the layer does not declare the shape of its samples.",
    why="The shapes of the net hang on it.",
    bad=_data("source: no_such_file.npz"),
    good=_data("source: no_such_file.npz, shape: [{dim: 4}, {}]"),
    ignore="Never: give the right path, or declare `shape`, so that the net can be checked without the file.",
)

DATA_FILE_WRONG = Code(
    "ND041",
    "data-file-wrong",
    what="The file of a data layer is damaged, is of another kind, lacks the named array, or has another"
    " number of samples than the label file.",
    why="The layer could not feed the net.",
    shown_by="a data file; a spec alone does not hold it",
    good=_data("source: no_such_file.npz, shape: [{dim: 4}, {}]"),
    ignore=_NEVER,
)

DATA_SHAPE_DIFFERS = Code(
    "ND042",
    "data-shape-differs",
    what="The shape that a data layer declares is not that of the samples in its file.",
    why="One of them is wrong, and the net would be checked for other data than it is trained on.",
    shown_by="a data file; a spec alone does not hold it",
    good=_data("source: no_such_file.npz, shape: [{dim: 4}, {}]"),
    ignore=_NEVER,
)

BAD_TRANSFORM = Code(
    "ND043",
    "transform-does-not-fit",
    what="A transform_param does not fit the samples: crop_size is larger than the image, a sample is no"
    " image, or mean_value has neither one entry nor one for each channel.",
    why="The samples could not be transformed.",
    bad=_data("source: no_such_file.npz, shape: [{dim: [1, 8, 8]}, {}]", "transform_param: {crop_size: 9}, "),
    good=_data(
        "source: no_such_file.npz, shape: [{dim: [1, 8, 8]}, {}]", "transform_param: {crop_size: 7}, "
    ),
    ignore=_NEVER,
)

NET_MISSING = Code(
    "ND050",
    "net-missing",
    exit_code=3,
    what="The file that a solver names in `net` does not exist.",
    why="There is nothing to train.",
    bad="net: no_such_net.yaml\nbase_lr: 0.01\nlr_policy: fixed\nmax_iter: 100\n",
    good=_GOOD_SOLVER,
    ignore="Never: the path is relative to the solver's folder.",
)

NOT_ONE_NET = Code(
    "ND051",
    "not-one-net",
    what="A solver names no net, or a solver inside a net's file names another one.",
    why="A solver trains exactly one net: that of its `net` field, or that in whose file it stands.",
    bad=_solver("net: other.yaml, base_lr: 0.01, lr_policy: fixed, max_iter: 100"),
    good=_GOOD_SOLVER,
    ignore=_NEVER,
)

POLICY_INCOMPLETE = Code(
    "ND052",
    "policy-parameter-missing",
    what="A field that the learning-rate policy uses is not given.",
    why="Caffe takes 0 for it: the learning rate then falls to 0 after one step, or never changes.",
    bad=_solver("base_lr: 0.01, lr_policy: step, max_iter: 100, stepsize: 50"),
    good=_solver("base_lr: 0.01, lr_policy: step, max_iter: 100, stepsize: 50, gamma: 0.1"),
    ignore=_NEVER,
)

STEPS_NOT_RISING = Code(
    "ND053",
    "stepvalues-not-rising",
    what="The iterations in `stepvalue` do not rise.",
    why="Caffe counts them one by one: those after a larger one come too late, or never.",
    bad=_solver("base_lr: 0.01, lr_policy: multistep, max_iter: 100, gamma: 0.1, stepvalue: [60, 30]"),
    good=_solver("base_lr: 0.01, lr_policy: multistep, max_iter: 100, gamma: 0.1, stepvalue: [30, 60]"),
    ignore=_NEVER,
)

MOMENTUM_REFUSED = Code(
    "ND054",
    "momentum-refused",
    what="AdaGrad or RMSProp is given a momentum.",
    why="These rules have none; Caffe refuses the solver.",
    bad=_solver("type: AdaGrad, base_lr: 0.01, lr_policy: fixed, max_iter: 100, momentum: 0.9"),
    good=_solver("type: AdaGrad, base_lr: 0.01, lr_policy: fixed, max_iter: 100"),
    ignore=_NEVER,
)

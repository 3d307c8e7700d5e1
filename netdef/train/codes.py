"""Codes for training runs."""

from __future__ import annotations

from netdef.diag import Code

_SOLVER = "solver: {base_lr: 0.1, lr_policy: fixed, max_iter: 10}\n"
_NET = """\
name: example
layer:
  - {name: data, type: Input, top: data, input_param: {shape: {dim: [1, 4]}}}
  - {name: ip, type: InnerProduct, inner_product_param: {num_output: 2, weight_filler: {type: xavier}}}
"""

LOSS_NOT_FINITE = Code(
    "ND510",
    "loss-not-finite",
    exit_code=4,
    what="The loss became NaN or infinite; training stopped before the weights were updated with it.",
    why="After one such update every weight is NaN and the run cannot recover.",
    shown_by="a training run; most often base_lr is too high",
    ignore="Never: lower base_lr, set clip_gradients, or look at the layer that is named.",
)

NO_LOSS = Code(
    "ND511",
    "no-loss",
    what="A net that is to be trained has no loss: no loss layer and no loss_weight in the TRAIN phase.",
    why="There is nothing to minimise.",
    bad=_SOLVER + _NET,
    good=_NET,
    ignore="Never: add a loss layer such as SoftmaxWithLoss.",
)

WEIGHTS_DIFFER = Code(
    "ND512",
    "weights-differ",
    what="A weight file and the net differ: blobs are missing, unknown or of other shapes.",
    why="Caffe skips such layers silently, and the net then computes with its fillers.",
    shown_by="a weight file; a spec alone has no weights",
    ignore="`--partial` takes what fits, which is how a net is fine-tuned.",
)

NOT_A_SNAPSHOT = Code(
    "ND513",
    "not-a-snapshot",
    what="A file that is to be resumed from holds no training state, or that of another net or solver.",
    why="A run that goes on from it would not be the same run.",
    shown_by="a weight file given to --resume; a spec alone has no state",
    ignore="Never: start a new run with --weights.",
)

VALUES_REFUSED = Code(
    "ND514",
    "values-refused",
    what="An operator met values that it cannot compute with, such as an index outside of its table.",
    why="There is no right result; going on would train on a wrong one.",
    shown_by="a training run or a test; a spec alone has no values",
    ignore="Never: mend the data, or what computes the values from them.",
)

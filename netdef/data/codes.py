"""Codes for data that do not fit the net that they are to feed."""

from __future__ import annotations

from netdef.diag import Code

_SHOWN = "a data file; a spec alone does not hold the values"

LABEL_OUT_OF_RANGE = Code(
    "ND501",
    "label-out-of-range",
    what="A label is negative, fractional, or not below the number of classes that its reader has.",
    why="Caffe would read foreign memory in its release build: the loss would be garbage, without a message.",
    shown_by=_SHOWN,
    ignore="Never: give the last layer more outputs, set loss_param.ignore_label, or mend the labels.",
)

NOT_FINITE = Code(
    "ND502",
    "data-not-finite",
    what="A data file holds NaN or an infinite value.",
    why="One such value makes the loss and then every weight NaN.",
    shown_by=_SHOWN,
    ignore="Never: remove or replace these samples.",
)

UNREADABLE_DATA = Code(
    "ND504",
    "data-unreadable",
    what="A data file cannot be read: it is damaged, or holds something that netdef does not read.",
    why="Nothing can be computed from it.",
    shown_by=_SHOWN,
    ignore="Never.",
)

NOT_FED = Code(
    "ND505",
    "input-not-fed",
    what="A net that is to be trained or tested has an Input layer, whose blobs nobody fills.",
    why="An Input layer stands for values that a caller gives; the command line has none.",
    shown_by="`netdef train` on a net with an Input layer; such a net is fine for lint and shapes",
    ignore="Never: put a data layer in its place.",
)

NO_DATA = Code(
    "ND506",
    "no-data-layer",
    what="A net that is to be trained or tested has no layer that feeds it in the phase that is asked for.",
    why="There is nothing to compute with.",
    shown_by="`netdef test` on a net whose data layers are all in the TRAIN phase; lint accepts it",
    ignore="Never: add a data layer for the phase, or ask for another phase.",
)

INPUT_DOES_NOT_FIT = Code(
    "ND507",
    "input-does-not-fit",
    what="The samples of a file are not of the shape that the net takes.",
    why="The weights belong to inputs of one size.",
    shown_by="`netdef predict`, for each of its files; a spec alone does not name them",
    ignore="Never: store samples of the shape that is told, one after another along the first axis.",
)

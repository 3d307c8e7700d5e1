"""What a layer type is: a parameter message, arity, and a `lower` function that builds operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from netdef.diag import Findings, did_you_mean
from netdef.ops.fields import Bool, Enum, Float, Int, Name, Str
from netdef.ops.shapes import Full, Shape
from netdef.spec import codes
from netdef.spec.layers.rules import arity, include_or_exclude, once_per, params_match_blobs
from netdef.spec.message import Message, Report, Rule, Sub

Entry = Any  # one output of a node: graph.Entry, which this package may not import


#: the names of `FillerParameter.type`
FILLERS = ("constant", "gaussian", "uniform", "positive_unitball", "xavier", "msra", "bilinear")


def _known_filler(filler: FillerParameter, report: Report) -> None:
    """A filler that Caffe has, with values that do not contradict each other."""
    if filler.type not in FILLERS:
        hint = did_you_mean(filler.type, FILLERS)
        report(codes.BAD_FILLER, "type", f"there is no filler {filler.type!r}", hint)
    elif filler.type == "uniform" and filler.min > filler.max:
        field = "min" if filler.has("min") else "max"
        report(
            codes.BAD_FILLER, field, f"min {filler.min:g} is above max {filler.max:g}", "give a smaller min"
        )
    elif filler.type == "gaussian" and filler.std <= 0:
        report(
            codes.BAD_FILLER,
            "std",
            f"std {filler.std:g} is not positive",
            "give a positive std, or type: constant",
        )
    elif filler.sparse >= 0 and filler.type != "gaussian":
        told = f"sparse is not possible with {filler.type}"
        report(codes.BAD_FILLER, "sparse", told, "remove it, or use type: gaussian")


class FillerParameter(Message):
    """How a learnable blob is filled before training."""

    type = Str("constant", ", ".join(FILLERS[:-1]) + f" or {FILLERS[-1]}", number=1)
    value = Float(0.0, "constant: the value", number=2)
    min = Float(0.0, "uniform: lower bound", number=3)
    max = Float(1.0, "uniform: upper bound", number=4)
    mean = Float(0.0, "gaussian: mean", number=5)
    std = Float(1.0, "gaussian: standard deviation", number=6)
    sparse = Int(
        -1, "gaussian: expected number of non-zero inputs of an output; -1 for all", min=-1, number=7
    )
    variance_norm = Enum(
        "FAN_IN",
        "FAN_OUT",
        "AVERAGE",
        default="FAN_IN",
        number=8,
        help="xavier, msra: the count to divide by",
    )

    rules = (_known_filler,)


class ParamSpec(Message):
    """Training settings of one learnable blob."""

    name = Name("", "blobs of the same non-empty name share their storage", number=1)
    share_mode = Enum(
        "STRICT", "PERMISSIVE", default="STRICT", number=2, help="equal shapes, or only equal counts"
    )
    lr_mult = Float(1.0, "multiplies the learning rate", number=3)
    decay_mult = Float(1.0, "multiplies the weight decay", number=4)


class NetState(Message):
    """What include and exclude rules are judged by."""

    phase = Enum("TRAIN", "TEST", default="TEST", number=1, help="the phase")
    level = Int(0, "the level", number=2)
    stage = Str(help="the stages that are set", number=3, repeated=True)


class NetStateRule(Message):
    """A condition on the net's state; every field that is set must hold."""

    phase = Enum("TRAIN", "TEST", default=None, number=1, help="the phase")
    min_level = Int(None, "least level", number=2)
    max_level = Int(None, "greatest level", number=3)
    stage = Str(help="stages that must all be set", number=4, repeated=True)
    not_stage = Str(help="stages of which none may be set", number=5, repeated=True)

    def met_by(self, state: NetState) -> bool:
        """Whether `state` meets the condition (Caffe's StateMeetsRule)."""
        return (
            self.phase in (None, state.phase)
            and (self.min_level is None or state.level >= self.min_level)
            and (self.max_level is None or state.level <= self.max_level)
            and set(self.stage) <= set(state.stage)
            and not set(self.not_stage) & set(state.stage)
        )


class BlobShape(Message):
    """The size of each axis."""

    dim = Int(help="size of each axis", min=0, number=1, repeated=True)


class Builder(Protocol):
    """What `lower` builds with; `graph.build` implements it for one layer at a time."""

    bottoms: list[Entry]
    train: bool

    def op(self, operator: str, *inputs: Entry, suffix: str = "", **attributes: Any) -> list[Entry]:
        """Add an operator node, named after the layer (plus `suffix`); returns its visible outputs."""

    def weight(self, role: str, filler: FillerParameter | None = None) -> Entry:
        """The layer's next learnable blob in Caffe's order: a variable `<layer>_<role>`, or a shared one."""

    def state(self, role: str, filler: FillerParameter | None = None) -> Entry:
        """The layer's next blob that is not learnt, a variable `<layer>_<role>` (BatchNorm's statistics)."""

    def input(self, top: int) -> Entry:
        """The variable that stands for top number `top` of a layer that feeds the net."""


class Layer(Message):
    """One entry of `layer`.  A layer type derives from it and adds its own parameter blocks."""

    name = Name("", "name of the layer; its weights are saved under it", number=1)
    type = Str(help="the layer type", number=2)
    bottom = Name(
        help="blobs that the layer reads; left out: the previous layer's first top", number=3, repeated=True
    )
    top = Name(help="blobs that the layer produces; left out: the layer's name", number=4, repeated=True)
    loss_weight = Float(help="weight of each top in the objective", number=5, repeated=True)
    param = Sub(ParamSpec, "training settings of each learnable blob", number=6, repeated=True)
    include = Sub(NetStateRule, "present only where one of these rules is met", number=8, repeated=True)
    exclude = Sub(NetStateRule, "absent where one of these rules is met", number=9, repeated=True)
    phase = Enum("TRAIN", "TEST", default=None, number=10, help="the layer's own phase, whatever the net's")
    propagate_down = Bool(help="for each bottom, whether gradients pass", number=11, repeated=True)

    rules: ClassVar[tuple[Rule, ...]] = (
        arity,
        params_match_blobs,
        once_per("loss_weight", "top"),
        once_per("propagate_down", "bottom"),
        include_or_exclude,
    )

    #: how many bottoms and tops: (least, most), most None for any number
    bottoms: ClassVar[tuple[int, int | None]] = (1, 1)
    tops: ClassVar[tuple[int, int | None]] = (1, 1)
    #: whether there must be as many tops as bottoms
    tops_match_bottoms: ClassVar[bool] = False
    #: the number of learnable blobs at most
    blobs: ClassVar[int] = 0
    #: whether the first top is part of the objective with weight 1 unless `loss_weight` says otherwise
    is_loss: ClassVar[bool] = False
    #: whether it is a loss that makes its own gradient: its top is no number to minimise, and takes no weight
    own_gradient: ClassVar[bool] = False
    #: which fields set an operator's attribute, so that a shape error can point at them
    blame: ClassVar[dict[str, tuple[str, ...]]] = {}

    @property
    def inplace(self) -> bool:
        """Whether the layer may write its top over its bottom; Caffe refuses it for some types."""
        return True

    @property
    def feeds(self) -> bool:
        """Whether the layer feeds the net: it reads nothing, and need not."""
        return not self.bottoms[0] and not self.bottom

    def blob_count(self) -> int:
        """The number of learnable blobs that these fields call for."""
        return self.blobs

    def input_shapes(self, findings: Findings) -> list[Shape]:
        """The shapes of the tops of a layer that feeds the net, declared or from the headers of its files.

        A file that is missing or wrong becomes a finding, and the shapes that hang on it `None`.
        """
        return [None] * len(self.top)

    def prediction(self) -> tuple[str, dict[str, Any]] | None:
        """For a loss, the operator of its first bottom that has its place where there are no labels."""
        return None

    def check_bottoms(self, shapes: Sequence[Full]) -> None:
        """Raise `ShapeError` for bottoms that Caffe refuses although the operators would take them."""

    def lower(self, net: Builder) -> list[Entry]:
        """Build the operators of this layer and return one entry for each top."""
        raise TypeError(f"{type(self).__name__} does not say how it is built")

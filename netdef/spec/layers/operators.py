"""Operators as layer types: MXNet's vocabulary inside a spec.

An operator whose name is no Caffe layer type is a layer type of its own, derived from its declaration:
`type: LayerNorm` with `layer_norm_param: {axis: -1}`.  Which names there are follows from the operators'
catalogue; the operator itself is loaded when a spec uses it.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any, ClassVar

from netdef.diag import Code
from netdef.ops import OPERATORS, find
from netdef.ops.base import Op, parameters
from netdef.ops.catalogue import FAMILIES
from netdef.ops.fields import Hint
from netdef.spec import codes
from netdef.spec.layers import CAFFE_ONLY, LAYERS
from netdef.spec.layers.base import Builder, Entry, FillerParameter, Layer
from netdef.spec.layers.rules import arity, count_text
from netdef.spec.message import Message, Report, Sub

#: families that update weights, which is a solver's work
_OF_SOLVERS = ("update", "adaptive", "multi")
#: operators that netdef adds for the lowering of Caffe's layers, and users' Python code, which no spec names
_INTERNAL = ("Reinterpret", "Custom")
#: the prefix of MXNet's `contrib` namespace, which a type leaves out
_CONTRIB = "_contrib_"
#: inputs behind `data` that MXNet's initializers know as parameters by their names
_LEARNT = ("weight", "bias", "gamma", "beta")
#: how many outputs are told by name
_MOST_LISTED = 8
#: where a word of a name begins
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])")


@lru_cache(maxsize=1)
def operator_names() -> Mapping[str, str]:
    """Every layer type that is an operator -> MXNet's name of the operator; loads none of them.

    A name that Caffe has, too, means Caffe's layer, also where netdef does not have that layer yet.  Names
    that begin with `_`, which MXNet's own functions call, are left out; those of `contrib` stand without
    their prefix.
    """
    names: dict[str, str] = {}
    for family, listed in FAMILIES.items():
        for name in listed.split() if family not in _OF_SOLVERS else ():
            short = name.removeprefix(_CONTRIB)
            if not short.startswith("_") and short not in (*LAYERS, *CAFFE_ONLY, *_INTERNAL):
                names.setdefault(short, name)
    return MappingProxyType(names)


@lru_cache(maxsize=1)
def block_owners() -> Mapping[str, Sequence[str]]:
    """Each parameter block and the operators that are written with it: `layer_norm_param` -> LayerNorm."""
    owners: dict[str, list[str]] = {}
    for name in operator_names():
        owners.setdefault(block_of(name), []).append(name)
    return MappingProxyType(owners)


def block_of(name: str) -> str:
    """The name of an operator's parameter block: `layer_norm_param` for LayerNorm."""
    words = _WORD.sub("_", name.replace("ReLU", "Relu").replace("CuDNN", "Cudnn"))
    return f"{words.lower()}_param"


def spelled_otherwise(name: str) -> str:
    """The name in a spec of the operator that MXNet calls `name`, where that name itself means Caffe's layer.

    Empty where there is none.
    """
    names = find(name).names if name in OPERATORS else ()
    return next((other for other in names if other in operator_names()), "")


class Attributes(Message):
    """The block of an operator: its attributes, and how its learnable blobs are filled."""

    #: keys that the operator has and a spec does not -> what to do instead
    elsewhere: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def refusal(cls, key: str) -> tuple[Code, str]:
        if key in cls.elsewhere:
            return codes.UNKNOWN_KEY, cls.elsewhere[key]
        return super().refusal(key)


def _fits_operator(layer: Any, report: Report) -> None:
    """As many bottoms and tops as the operator takes with these attributes."""
    made = layer.made()
    inputs, number = made.input_names(), layer.count_bottoms()
    needed = [name for name in inputs if name not in layer.learnt()]
    bounds: tuple[int, int | None] = (len(needed), len(inputs))
    if layer.operator.variadic and number == 0:
        bounds, inputs = (1, None), ()
    if number < bounds[0] or (bounds[1] is not None and number > bounds[1]):
        legal = count_text(bounds, "bottom")
        listed = f" ({', '.join(inputs)})" if inputs else ""
        told = f"{layer.type} takes {legal}{listed}, not {number}"
        report(codes.WRONG_ARITY, "bottom", told, f"give {legal}")
    tops, outputs = len(layer.top) if layer.has("top") else 1, made.visible_outputs()
    if tops != outputs:
        legal = count_text((outputs, outputs), "top")
        # The attributes of split may ask for any number, whose names would take up all memory.
        listed = f" ({', '.join(made.output_names()[:outputs])})" if outputs <= _MOST_LISTED else ""
        told = f"{layer.type} has {legal}{listed}, not {tops}"
        report(codes.WRONG_ARITY, "top", told, f"give {legal}")


def _gradient_is_its_own(layer: Any, report: Report) -> None:
    """MXNet: a loss operator takes no gradient from above, so that no weight in the objective reaches it."""
    if layer.own_gradient and layer.has("loss_weight"):
        told = f"loss_weight has no effect on {layer.type}, which makes its own gradient"
        scale = "grad_scale" in layer.operator.fields
        report(codes.WITHOUT_EFFECT, "loss_weight", told, "set grad_scale" if scale else "remove it")


def _phase_is_that_of_the_pass(layer: Any, report: Report) -> None:
    """An operator whose work hangs on the phase goes by that of the pass, as in MXNet."""
    if layer.has("phase") and "train" in parameters(layer.operator.forward):
        told = f"phase has no effect on {layer.type}, which goes by the phase of the net"
        report(codes.WITHOUT_EFFECT, "phase", told, "remove it")


def _no_window(block: Any, report: Report) -> None:
    """A bilinear filler fills windows of two axes, which few operators have."""
    for name in block.fields:
        filler = getattr(block, name)
        if isinstance(filler, FillerParameter) and filler.type == "bilinear" and not block.windows:
            told = "a bilinear filler fills the windows of a convolution or of UpSampling only"
            report(codes.BAD_FILLER, f"{name}.type", told, "use another filler, such as xavier")


class OperatorLayer(Layer):
    """A layer that is one operator; `operator_layer` derives one class for each."""

    rules = (
        *(rule for rule in Layer.rules if rule is not arity),
        _fits_operator,
        _gradient_is_its_own,
        _phase_is_that_of_the_pass,
    )

    operator: ClassVar[type[Op]]
    #: the name of the parameter block, empty where the operator has no attributes
    block: ClassVar[str] = ""

    @classmethod
    def refusal(cls, key: str) -> tuple[Code, str]:
        if not cls.block and key == block_of(cls.__name__):
            return codes.UNKNOWN_KEY, f"remove it: {cls.__name__} has no attributes"
        return super().refusal(key)

    @property
    def feeds(self) -> bool:
        """Never: what an operator makes of nothing, such as noise, is no data."""
        return False

    @classmethod
    def learnt(cls) -> tuple[str, ...]:
        """The inputs that are learnable blobs of the layer where no bottom stands for them."""
        return learnt_inputs(cls.operator)

    def count_bottoms(self) -> int:
        """How many bottoms there are, the one that may be left out counted."""
        return len(self.bottom) if self.has("bottom") or self.bottom else min(1, self.bottoms[0])

    def attributes(self) -> dict[str, Any]:
        """The operator's attributes that the file gives, typed; `num_args` is the number of bottoms."""
        block = getattr(self, self.block) if self.block else None
        names = block.given & self.operator.fields.keys() if block else ()
        counted = {"num_args": self.count_bottoms()} if self.operator.variadic else {}
        return {**{name: getattr(block, name) for name in names}, **counted}

    def made(self) -> Op:
        """The operator with these attributes, which by themselves are legal."""
        made: Op = self.operator.trusted(self.attributes())
        return made

    def blob_count(self) -> int:
        inputs = self.made().input_names()
        return len([name for name in inputs[self.count_bottoms() :] if name in self.learnt()])

    def lower(self, net: Builder) -> list[Entry]:
        made = self.made()
        inputs = list(net.bottoms)
        for role in made.input_names()[len(inputs) :]:
            inputs.append(net.weight(role, self._filler(role)))
        inputs += (net.state(role, default_filler(self.operator, role)) for role in made.state_names())
        return net.op(self.operator.names[0], *inputs, **self.attributes())

    def _filler(self, role: str) -> FillerParameter:
        """How a blob is filled: as its field says, or MXNet's initializer for its role."""
        chosen: FillerParameter | None = getattr(getattr(self, self.block), f"{role}_filler")
        return chosen or default_filler(self.operator, role)


def learnt_inputs(operator: type[Op]) -> tuple[str, ...]:
    """The inputs of an operator that are parameters: those after `data` with a parameter's name."""
    if operator.inputs[:1] != ("data",):
        return ()
    return tuple(name for name in operator.inputs[1:] if name in _LEARNT)


def default_filler(operator: type[Op], role: str) -> FillerParameter:
    """What MXNet's initializers do for a parameter or state of that name; weights get xavier.

    MXNet leaves weights to the initializer that a user chooses.
    """
    kind, values = json.loads(operator.initial[role]) if role in operator.initial else ("", {})
    if kind == "bilinear" or (not kind and role == "weight"):
        return FillerParameter(type=kind or "xavier")
    ones = kind == "one" or (not kind and role == "gamma")
    return FillerParameter(type="constant", value=values.get("value", float(ones)))


def operator_layer(name: str) -> type[OperatorLayer] | None:
    """The layer type of an operator; None for a name that is none in a spec."""
    return _derived(name) if name in operator_names() else None


@cache
def _derived(name: str) -> type[OperatorLayer]:
    """The layer type that follows from an operator's declaration."""
    operator = find(operator_names()[name])
    message = _message(operator.names[0])
    takes = bool(operator.inputs or operator.variadic)
    members: dict[str, Any] = {
        "__doc__": operator.__doc__,
        "__module__": __name__,
        "operator": operator,
        "bottoms": (int(takes), None if takes else 0),
        "tops": (1, None),
        "blobs": len(learnt_inputs(operator)),
        "is_loss": _makes_gradient(operator),
        "own_gradient": _makes_gradient(operator),
    }
    if message is not None:
        block = block_of(name)
        members["block"] = block
        members[block] = Sub(message, "attributes of the operator")
        members["blame"] = {field: (f"{block}.{field}",) for field in message.fields}
    return type(name, (OperatorLayer,), members)


@cache
def _message(mxnets: str) -> type[Attributes] | None:
    """The parameter message of the operator that MXNet calls so; None where it has nothing to set."""
    operator = find(mxnets)
    fields: dict[str, Any] = {}
    elsewhere: dict[str, str] = {}
    for name, field in operator.fields.items():
        if isinstance(field, Hint):
            elsewhere[name] = "remove it: it advises MXNet's own backends and has no effect here"
        elif name == "num_args" and operator.variadic:
            elsewhere[name] = "remove it: the number of bottoms says it"
        else:
            # A copy, because a field knows by which name its owner holds it.
            fields[name] = copy.copy(field)
    for name in operator.inputs:
        elsewhere.setdefault(name, f"give {name} as a bottom")
    for role in learnt_inputs(operator):
        told = f"how {role} is filled before training; default {_told(default_filler(operator, role))}"
        fields[f"{role}_filler"] = Sub(FillerParameter, told, optional=True)
        elsewhere[role] = f"give {role} as a bottom, or {role}_filler for how it is filled"
    if not fields:
        return None
    name = mxnets.removeprefix(_CONTRIB)
    members = {
        "__doc__": f"Attributes of {name}, as MXNet names them.",
        "__module__": __name__,
        "elsewhere": elsewhere,
        "windows": any("bilinear" in told for told in operator.initial.values()),
        "rules": (_no_window,),
    }
    taken = fields.keys() & set(dir(Message))
    assert not taken, f"{name} has attributes that a message needs itself: {sorted(taken)}"
    return type(f"{name}Attributes", (Attributes,), {**members, **fields})


def _told(filler: FillerParameter) -> str:
    return f"{filler.value:g}" if filler.type == "constant" else str(filler.type)


def _makes_gradient(operator: type[Op]) -> bool:
    """Whether the operator is one of MXNet's losses: its gradient takes nothing from above."""
    heads = {"douts", *(f"d{name}" for name in operator.outputs)}
    return operator.backward is not Op.backward and not heads & set(parameters(operator.backward))


def describe_inputs(layer: type[OperatorLayer]) -> str:
    """The bottoms in words: `data; learnt unless given: gamma, beta`."""
    operator = layer.operator
    learnt = learnt_inputs(operator)
    fixed = [name for name in operator.inputs if name not in learnt]
    told = ", ".join(fixed)
    if operator.variadic:
        told = f"{told}, or any number" if told else "any number"
    return f"{told or 'none'}; learnt unless given: {', '.join(learnt)}" if learnt else told or "none"

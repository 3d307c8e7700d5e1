"""The layers of one state: include and exclude rules, then bottoms and tops that were left out."""

from __future__ import annotations

from netdef.spec.layers.base import Layer
from netdef.spec.message import replace
from netdef.spec.net import NetSpec, NetState


def expand(spec: NetSpec, state: NetState) -> list[Layer]:
    """The layers of `spec` that are present in `state`, in the file's order, bottoms and tops filled in.

    Phase and level are those of `state`; stages of the file's own `state` are added to it, as in Caffe.  A
    bottom that was left out is the first top of the layer before it among those present, or, where none is,
    of the layer before it in the file, whose absence can then be reported.  A top that was left out is the
    layer's name.
    """
    state = _with_own_stages(spec, state)
    layers: list[Layer] = []
    here = anywhere = ""
    for layer in spec.layer:
        filled = _filled(layer, here or anywhere)
        first = filled.top[0] if filled.top else ""
        anywhere = first or anywhere
        if is_present(layer, state):
            layers.append(filled)
            here = first or here
    return layers


def present(spec: NetSpec, state: NetState) -> list[Layer]:
    """The layers that `expand` returns, as they stand in the file."""
    state = _with_own_stages(spec, state)
    return [layer for layer in spec.layer if is_present(layer, state)]


def is_fed(spec: NetSpec, state: NetState) -> bool:
    """Whether some layer feeds the net in this state; where none does, as often in TEST, it is not used.

    A layer with errors that reads nothing is taken for one that feeds, so that the others are checked.
    """
    return any(layer.feeds for layer in present(spec, state))


def _with_own_stages(spec: NetSpec, state: NetState) -> NetState:
    """`state` with the stages of the file's own `state` added."""
    if not spec.state or not spec.state.stage:
        return state
    return NetState(phase=state.phase, level=state.level, stage=[*state.stage, *spec.state.stage])


def is_present(layer: Layer, state: NetState) -> bool:
    """Whether include and exclude rules admit the layer (Caffe's FilterNet)."""
    if layer.include:
        return any(rule.met_by(state) for rule in layer.include)
    return not layer.exclude or not any(rule.met_by(state) for rule in layer.exclude)


def _filled(layer: Layer, previous: str) -> Layer:
    reads = layer.bottom or layer.has("bottom") or not layer.bottoms[0] or not previous
    bottom = layer.bottom if reads else (previous,)
    top = layer.top if layer.top or layer.has("top") else (layer.name,)
    return layer if (bottom, top) == (layer.bottom, layer.top) else replace(layer, bottom=bottom, top=top)

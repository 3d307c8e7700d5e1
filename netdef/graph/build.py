"""Layers into a Symbol: blobs become entries, in-place tops new entries, parameters variables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from netdef.diag import Findings, Related
from netdef.graph import codes
from netdef.graph.node import Entry, Node
from netdef.graph.order import in_order
from netdef.graph.symbol import Symbol
from netdef.ops import find
from netdef.ops.fields import BadValue
from netdef.spec.layers.base import FillerParameter, Layer, ParamSpec


class Param(NamedTuple):
    """One blob of a layer: a learnable parameter, or with `lr_mult` None a state that is not learnt."""

    node: Node
    role: str
    filler: FillerParameter | None
    lr_mult: float | None
    decay_mult: float
    #: whether this layer is the first that uses the blob
    owner: bool


class BuiltLayer(NamedTuple):
    """What a layer became."""

    layer: Layer
    bottoms: tuple[Entry, ...]
    nodes: tuple[Node, ...]
    tops: tuple[Entry, ...]
    params: tuple[Param, ...]


class Loss(NamedTuple):
    """A top that is part of the objective; `head` is its number among the symbol's heads.

    One that has no value makes its own gradient (MXNet's SoftmaxOutput); what it holds is no loss.
    """

    blob: str
    head: int
    weight: float
    has_value: bool = True


class Net(NamedTuple):
    """A built net.

    `symbol` has one head for every output blob, those that no layer reads and every weighted top; after these
    it has heads for weighted tops that are not the last version of their blob.
    """

    name: str
    phase: str
    symbol: Symbol
    layers: tuple[BuiltLayer, ...]
    #: every blob with the entry that readers at the end see
    blobs: Mapping[str, Entry]
    #: the blobs that feed the net: tops of data and Input layers
    inputs: Mapping[str, Entry]
    outputs: tuple[str, ...]
    losses: tuple[Loss, ...]

    def params(self) -> dict[str, Param]:
        """The owned learnable parameters by variable name, in Caffe's order."""
        return {
            p.node.name: p for built in self.layers for p in built.params if p.owner and p.lr_mult is not None
        }


class LayerBuilder:
    """Builds the operators of one layer; see `spec.layers.base.Builder`."""

    def __init__(self, net: NetBuilder, layer: Layer, bottoms: list[Entry]) -> None:
        self._net, self.layer, self.bottoms = net, layer, bottoms
        self.findings = net.findings
        self.train = (layer.phase or net.phase) == "TRAIN"
        self.nodes: list[Node] = []
        self.params: list[Param] = []

    def op(self, operator: str, *inputs: Entry, suffix: str = "", **attributes: Any) -> list[Entry]:
        operation = find(operator)
        if "num_args" in operation.fields:
            attributes.setdefault("num_args", len(inputs))
        op = operation(**attributes)
        node = Node(op, self.layer.name + suffix, inputs, origin=self.layer)
        self.nodes.append(node)
        return [Entry(node, i) for i in range(op.visible_outputs())]

    def weight(self, role: str, filler: FillerParameter | None = None) -> Entry:
        node, spec, owner = self._parameter(role)
        # Multipliers may be given by any user of a shared blob, so they are filled in when all are known.
        self.params.append(Param(node, role, filler, 1.0, 1.0, owner))
        if owner or spec.share_mode == "STRICT":
            return Entry(node, 0)
        return self.op("Reinterpret", Entry(node, 0), suffix=f"_{role}")[0]

    def state(self, role: str, filler: FillerParameter | None = None) -> Entry:
        node, _, owner = self._parameter(role)
        self.params.append(Param(node, role, filler, None, 0.0, owner))
        return Entry(node, 0)

    def _parameter(self, role: str) -> tuple[Node, ParamSpec, bool]:
        """The variable of the layer's next blob, its entry in `param`, and whether this layer owns it."""
        number = len(self.params)
        spec = self.layer.param[number] if number < len(self.layer.param) else ParamSpec()
        node, owner = self._net.parameter(self.layer, role, spec)
        return node, spec, owner

    def input(self, top: int) -> Entry:
        node = Node(None, self.layer.top[top], origin=self.layer)
        self.nodes.append(node)
        self._net.inputs[self.layer.top[top]] = Entry(node, 0)
        return Entry(node, 0)


class NetBuilder:
    """Builds the layers of one phase in dependency order."""

    def __init__(self, phase: str, findings: Findings) -> None:
        self.phase, self.findings = phase, findings
        self.inputs: dict[str, Entry] = {}
        self._taken: set[str] = set()
        self._shared: dict[str, Node] = {}
        #: the entries in `param` of every user of a parameter, in order
        self._specs: dict[Node, list[ParamSpec]] = {}

    def parameter(self, layer: Layer, role: str, spec: ParamSpec) -> tuple[Node, bool]:
        """The variable of a blob, shared by the name in its param, and whether this layer owns it."""
        if spec.name and spec.name in self._shared:
            node = self._shared[spec.name]
            self._check_multipliers(node, spec)
            self._specs[node].append(spec)
            return node, False
        node = Node(None, self._free_name(spec.name or f"{layer.name}_{role}"), origin=layer)
        if spec.name:
            self._shared[spec.name] = node
        self._specs[node] = [spec]
        return node, True

    def _free_name(self, name: str) -> str:
        """`name`, or with `_param` where an input blob or another parameter has it.

        Caffe keeps these names apart.
        """
        while name in self._taken:
            name += "_param"
        self._taken.add(name)
        return name

    def _multiplier(self, node: Node, field: str) -> float:
        """lr_mult or decay_mult of a parameter: what any of its users says, else 1."""
        for spec in self._specs[node]:
            if spec.has(field):
                multiplier: float = getattr(spec, field)
                return multiplier
        return 1.0

    def _check_multipliers(self, node: Node, spec: ParamSpec) -> None:
        """Report a multiplier that contradicts that of an earlier user of the blob, as Caffe does."""
        for field in ("lr_mult", "decay_mult"):
            first = next((user for user in self._specs[node] if user.has(field)), None)
            if first and spec.has(field) and getattr(first, field) != getattr(spec, field):
                self.findings.add(
                    codes.SHARED_PARAM_CONFLICT,
                    spec.span(field),
                    f"shared parameter {spec.name} has {field} {getattr(spec, field)} here",
                    f"give it {getattr(first, field)}, as the layer before",
                    [Related(first.span(field), f"{field} {getattr(first, field)} here")],
                )

    def _with_multipliers(self, built: BuiltLayer) -> BuiltLayer:
        """The layer with the multipliers of its learnable blobs filled in."""
        if not built.params:
            return built
        params = []
        for param in built.params:
            node, role, filler, learnt, _, owner = param
            if learnt is not None:
                lr, decay = self._multiplier(node, "lr_mult"), self._multiplier(node, "decay_mult")
                param = Param(node, role, filler, lr, decay, owner)
            params.append(param)
        return built._replace(params=tuple(params))

    def build(self, name: str, layers: Sequence[Layer], elsewhere: Iterable[str]) -> Net:
        """The net; what cannot be built is left out, with a finding."""
        self._check_names(layers)
        self._taken.update(blob for layer in layers if layer.bottoms[1] == 0 for blob in layer.top)
        elsewhere = set(elsewhere)
        blobs: dict[str, Entry] = {}
        versions: dict[tuple[int, str], Entry] = {}
        built: dict[int, BuiltLayer] = {}
        readers: set[Entry] = set()
        for plan in in_order(layers, self.findings, elsewhere):
            layer = layers[plan.number]
            bottoms = [versions.get(version) for version in plan.reads]
            if None in bottoms:
                continue  # the producer was refused, which has been said
            builder = LayerBuilder(self, layer, self._stopped(layer, bottoms))  # type: ignore[arg-type]
            try:
                tops = layer.lower(builder)
            except BadValue as bad:
                self.findings.add(
                    codes.REFUSED_BY_OPERATOR, layer.span(), f"{layer.name}: {bad.message}", bad.hint
                )
                continue
            readers.update(entry for entry in bottoms if entry is not None)
            built[plan.number] = BuiltLayer(
                layer, tuple(builder.bottoms), tuple(builder.nodes), tuple(tops), tuple(builder.params)
            )
            for blob, entry in zip(layer.top, tops):
                versions[plan.number, blob] = entry
                if plan.final(blob):
                    blobs[blob] = entry
        ordered = tuple(self._with_multipliers(built[number]) for number in sorted(built))
        weighted = list(_weighted(ordered))
        parts = {loss.entry for loss in weighted}
        outputs = tuple(blob for blob, entry in blobs.items() if entry not in readers or entry in parts)
        heads = [blobs[blob] for blob in outputs]
        heads += dict.fromkeys(loss.entry for loss in weighted if loss.entry not in heads)
        losses = tuple(
            Loss(loss.blob, heads.index(loss.entry), loss.weight, loss.has_value) for loss in weighted
        )
        return Net(name, self.phase, Symbol(heads), ordered, blobs, self.inputs, outputs, losses)

    def _stopped(self, layer: Layer, bottoms: list[Entry]) -> list[Entry]:
        """The bottoms with gradients stopped where `propagate_down` is false."""
        stopped = []
        for i, entry in enumerate(bottoms):
            if i < len(layer.propagate_down) and not layer.propagate_down[i]:
                node = Node(find("BlockGrad")(), f"{layer.name}_bottom{i}", (entry,), origin=layer)
                entry = Entry(node, 0)
            stopped.append(entry)
        return stopped

    def _check_names(self, layers: Sequence[Layer]) -> None:
        first: dict[str, Layer] = {}
        for layer in layers:
            if layer.name in first:
                related = [Related(first[layer.name].span("name"), "the first one is here")]
                message = f"a second layer is called {layer.name}"
                self.findings.add(codes.DUPLICATE_LAYER, layer.span("name"), message, "rename one", related)
            first.setdefault(layer.name, layer)


class _Weighted(NamedTuple):
    """A top that is part of the objective, before its number among the heads is known."""

    blob: str
    entry: Entry
    weight: float
    has_value: bool


def _weighted(layers: Iterable[BuiltLayer]) -> Iterator[_Weighted]:
    """The tops of the objective with their weights: those of losses count 1 unless `loss_weight` is given.

    A loss that makes its own gradient heeds no weight.
    """
    for built in layers:
        default = (1.0,) if built.layer.is_loss else ()
        own = built.layer.own_gradient
        weights = default if own else built.layer.loss_weight or default
        for blob, entry, weight in zip(built.layer.top, built.tops, weights):
            if weight:
                yield _Weighted(blob, entry, weight, not own)


def build(
    name: str, layers: Sequence[Layer], phase: str, findings: Findings, elsewhere: Iterable[str] = ()
) -> Net:
    """The net of expanded layers; findings say what is wrong with their connections.

    `elsewhere` names the blobs that are produced in other phases, levels or stages only.
    """
    return NetBuilder(phase, findings).build(name, layers, elsewhere)
